package azure

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/storage"
)

// Entities are encoded here and not by the SDK, whose own type writes float64
// values without their type, so that 5.0 comes back as an integer. We name the
// type of every value that is not a string or a boolean, and never write an
// Int32: a bare number is a Double.

const typeSuffix = "@odata.type"

// Microseconds are among the 100 ns ticks that the service keeps.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func encodeEntity(partition, row string, p storage.Props) ([]byte, error) {
	m := make(map[string]any, 2+2*len(p))
	m["PartitionKey"], m["RowKey"] = partition, row
	for name, v := range p {
		switch v := v.(type) {
		case string, bool:
			m[name] = v
		case int64:
			m[name], m[name+typeSuffix] = strconv.FormatInt(v, 10), "Edm.Int64"
		case float64:
			m[name], m[name+typeSuffix] = v, "Edm.Double"
		case []byte:
			m[name], m[name+typeSuffix] = base64.StdEncoding.EncodeToString(v), "Edm.Binary"
		case time.Time:
			m[name], m[name+typeSuffix] = v.UTC().Format(timeLayout), "Edm.DateTime"
		default:
			return nil, fmt.Errorf("property %s has type %T", name, v)
		}
	}
	return json.Marshal(m)
}

func decodeEntity(body []byte) (storage.Entity, error) {
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		return storage.Entity{}, err
	}
	e := storage.Entity{Props: make(storage.Props, len(m))}
	for name, v := range m {
		switch name {
		case "PartitionKey":
			e.Partition, _ = v.(string)
			continue
		case "RowKey":
			e.Row, _ = v.(string)
			continue
		case "odata.etag":
			e.ETag, _ = v.(string)
			continue
		case "Timestamp":
			continue
		}
		if strings.HasPrefix(name, "odata.") || strings.HasSuffix(name, typeSuffix) || v == nil {
			continue
		}
		edm, _ := m[name+typeSuffix].(string)
		value, err := decodeValue(edm, v)
		if err != nil {
			return storage.Entity{}, fmt.Errorf("property %s: %w", name, err)
		}
		e.Props[name] = value
	}
	return e, nil
}

func decodeValue(edm string, v any) (any, error) {
	s, isText := v.(string)
	if !isText {
		return v, nil // a Boolean or a Double
	}
	switch edm {
	case "Edm.Int64":
		return strconv.ParseInt(s, 10, 64)
	case "Edm.Double":
		return strconv.ParseFloat(s, 64)
	case "Edm.Binary":
		return base64.StdEncoding.DecodeString(s)
	case "Edm.DateTime":
		t, err := time.Parse(time.RFC3339Nano, s)
		return t.UTC(), err
	}
	return s, nil
}

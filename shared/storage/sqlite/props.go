package sqlite

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/portico-ml/portico/shared/storage"
)

// Properties are stored as a JSON object of strings, each value behind the
// letter of its type, so that a row can be read with any SQLite tool.
//
//	{"at":"t:2026-11-23T08:00:00.000001Z","rows":"i:12","state":"s:Running"}
//
// Types are s string, i int64, f float64, b bool, x []byte and t time.

const timeLayout = "2006-01-02T15:04:05.000000Z"

func encodeProps(p storage.Props) (string, error) {
	text := make(map[string]string, len(p))
	for name, v := range p {
		switch v := v.(type) {
		case string:
			text[name] = "s:" + v
		case int64:
			text[name] = "i:" + strconv.FormatInt(v, 10)
		case float64:
			text[name] = "f:" + strconv.FormatFloat(v, 'g', -1, 64)
		case bool:
			text[name] = "b:" + strconv.FormatBool(v)
		case []byte:
			text[name] = "x:" + base64.StdEncoding.EncodeToString(v)
		case time.Time:
			text[name] = "t:" + v.UTC().Format(timeLayout)
		default:
			return "", fmt.Errorf("property %s has type %T", name, v)
		}
	}
	b, err := json.Marshal(text)
	return string(b), err
}

func decodeProps(b []byte) (storage.Props, error) {
	var text map[string]string
	if err := json.Unmarshal(b, &text); err != nil {
		return nil, err
	}
	p := make(storage.Props, len(text))
	for name, s := range text {
		v, err := decodeProp(s)
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", name, err)
		}
		p[name] = v
	}
	return p, nil
}

func decodeProp(s string) (any, error) {
	if len(s) < 2 || s[1] != ':' {
		return nil, fmt.Errorf("no type")
	}
	switch v := s[2:]; s[0] {
	case 's':
		return v, nil
	case 'i':
		return strconv.ParseInt(v, 10, 64)
	case 'f':
		return strconv.ParseFloat(v, 64)
	case 'b':
		return strconv.ParseBool(v)
	case 'x':
		return base64.StdEncoding.DecodeString(v)
	case 't':
		return time.Parse(timeLayout, v)
	default:
		return nil, fmt.Errorf("unknown type %q", s[0])
	}
}

package table

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

type source struct{ *table }

type pager = runtime.Pager[aztables.ListEntitiesResponse]

func (s *source) list(top int32) *pager {
	o := &aztables.ListEntitiesOptions{Format: to.Ptr(aztables.MetadataFormatMinimal)}
	if top > 0 {
		o.Top = &top
	}
	return s.client.NewListEntitiesPager(o)
}

// Open looks at ScanRows entities, or at all where that is 0, for the names
// and types of properties.
func (s *source) Open(ctx context.Context) (*connect.Records, error) {
	cols := &connect.Columns{}
	for _, key := range []string{"PartitionKey", "RowKey"} {
		if _, err := cols.See(key, connect.TextShape); err != nil {
			return nil, err
		}
	}
	seen, top := 0, int32(0)
	if s.ScanRows > 0 {
		top = int32(min(s.ScanRows, 1000)) // the most of one answer
	}
	var e entity
scan:
	for p := s.list(top); p.More(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, s.fail(ctx, "look at its entities", err)
		}
		for _, body := range page.Entities {
			if err := e.read(body); err != nil {
				return nil, err
			}
			for _, p := range e.properties {
				if _, err := cols.See(p.name, p.shape); err != nil {
					return nil, err
				}
			}
			if seen++; seen == s.ScanRows {
				break scan
			}
		}
	}
	l, err := frame.NewLayout(cols.Schema())
	if err != nil {
		return nil, fault.Module(17, "%v", err)
	}
	r := &reader{source: s, cols: cols, into: l.New(1000), pager: s.list(0), set: make([]int, len(l.Schema))}
	return &connect.Records{Schema: l.Schema, Next: r.next}, nil
}

// reader reads the entities by the schema that was found.
type reader struct {
	*source
	cols  *connect.Columns
	into  *frame.Frame
	pager *pager
	set   []int // the row of the last cell, by column
	row   int
	e     entity
}

func (r *reader) next(ctx context.Context) (*frame.Frame, error) {
	r.into.Reset()
	for r.into.Rows() == 0 {
		if !r.pager.More() {
			return nil, io.EOF
		}
		page, err := r.pager.NextPage(ctx)
		if err != nil {
			return nil, r.fail(ctx, "read its entities", err)
		}
		for _, body := range page.Entities {
			if err := r.entity(body); err != nil {
				return nil, err
			}
		}
	}
	return r.into, nil
}

func (r *reader) entity(body []byte) error {
	if err := r.e.read(body); err != nil {
		return err
	}
	r.row++
	for _, p := range r.e.properties {
		i := r.cols.Find(p.name)
		if i < 0 || r.set[i] == r.row || p.shape == 0 {
			continue // a property that was not seen first is no column
		}
		c := r.into.Cols[i]
		if c.Field.Type == frame.String {
			c.AppendString([]byte(p.text))
		} else if err := c.AppendText([]byte(p.text)); err != nil && c.Field.Type == frame.Double && p.shape == connect.DoubleShape {
			return fault.Module(33, "entity %d: property %q is infinite, which no cell can be", r.row, p.name).At(p.name)
		} else if err != nil {
			return fault.Module(18, "entity %d: property %q is of another type than in the entities that were looked at for types: look at more", r.row, p.name).At("ScanRows")
		}
		r.set[i] = r.row
	}
	for i, c := range r.into.Cols {
		if r.set[i] != r.row {
			c.AppendNull()
		}
	}
	return nil
}

// entity is one entity taken apart.
type entity struct {
	properties []property
	types      map[string]string
}

type property struct {
	name  string
	shape connect.Shape
	text  string
}

func (e *entity) read(body []byte) error {
	bad := func() error { return fault.Module(49, "an entity is not the JSON of one") }
	e.properties = e.properties[:0]
	if e.types == nil {
		e.types = make(map[string]string)
	}
	clear(e.types)
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad()
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return bad()
		}
		name, _ := t.(string)
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return bad()
		}
		p := property{name: name, text: string(raw)}
		switch raw[0] {
		case 'n':
		case 't', 'f':
			p.shape = connect.BoolShape
		case '"':
			p.shape = connect.TextShape
			if json.Unmarshal(raw, &p.text) != nil {
				return bad()
			}
		case '{', '[':
			return bad()
		default:
			p.shape = connect.Number(p.text)
		}
		if of, ok := strings.CutSuffix(name, "@odata.type"); ok {
			e.types[of] = p.text
		} else if !hidden(name) {
			e.properties = append(e.properties, p)
		}
	}
	for i := range e.properties {
		p := &e.properties[i]
		if p.shape == 0 {
			continue
		}
		switch e.types[p.name] {
		case "Edm.Int64":
			p.shape = connect.LongShape
		case "Edm.Double":
			p.shape = connect.DoubleShape
		case "Edm.DateTime":
			p.shape = connect.TimeShape
		case "":
			if p.name == "Timestamp" {
				p.shape = connect.TimeShape
			}
		}
	}
	return nil
}

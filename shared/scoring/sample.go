package scoring

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// A recorded call, in the table form of RRS with details. Cells are text, null
// where missing; members are in one order, so that equal calls are equal
// bytes.
type sampleRequest struct {
	Inputs     map[string]sampleTable `json:"Inputs"`
	Parameters map[string]string      `json:"GlobalParameters"`
}

type sampleTable struct {
	ColumnNames []string    `json:"ColumnNames"`
	ColumnTypes []string    `json:"ColumnTypes,omitempty"`
	Values      [][]*string `json:"Values"`
}

type sampleAnswer struct {
	Results map[string]sampleOutput `json:"Results"`
}

type sampleOutput struct {
	Type  string      `json:"type"` // table
	Value sampleTable `json:"value"`
}

// Request writes a call of the deployment with the first rows of tables, one
// per input, as manifests record it.
func (d *Deployment) Request(tables []*frame.Frame, rows int, given map[string]string) (json.RawMessage, error) {
	req := sampleRequest{Inputs: make(map[string]sampleTable), Parameters: given}
	if given == nil {
		req.Parameters = map[string]string{}
	}
	for i, f := range tables {
		l := d.inputs[i]
		t := sampleTable{ColumnNames: l.Schema.Names(), Values: make([][]*string, min(rows, f.Rows()))}
		cols := make([]*frame.Column, len(l.Schema))
		for c := range l.Schema {
			if cols[c] = f.Col(l.Schema[c].Name); cols[c] == nil {
				return nil, fault.New(fault.Internal, "", "the sample table lacks column %q of input %q", l.Schema[c].Name, d.Manifest.Inputs[i].Name)
			}
		}
		for r := range t.Values {
			t.Values[r] = cells(cols, r)
		}
		req.Inputs[d.Manifest.Inputs[i].Name] = t
	}
	return marshal(req)
}

// Answer scores a recorded call and returns its answer's text.
func (d *Deployment) Answer(ctx context.Context, request json.RawMessage) (json.RawMessage, error) {
	var req sampleRequest
	if err := json.Unmarshal(request, &req); err != nil {
		return nil, fault.New(fault.Package, "FormatError", "the recorded call cannot be read").Because(err)
	}
	s := d.Session()
	if err := s.SetParameters(req.Parameters); err != nil {
		return nil, err
	}
	for i, p := range d.Manifest.Inputs {
		if err := fill(s.Inputs[i], req.Inputs[p.Name]); err != nil {
			return nil, err
		}
	}
	out, err := s.Score(ctx)
	if err != nil {
		return nil, err
	}
	answer := sampleAnswer{Results: make(map[string]sampleOutput)}
	for k, f := range out {
		t := sampleTable{Values: make([][]*string, f.Rows())}
		for i := range d.Manifest.Outputs[k].Schema {
			field := &d.Manifest.Outputs[k].Schema[i]
			t.ColumnNames = append(t.ColumnNames, field.Name)
			t.ColumnTypes = append(t.ColumnTypes, field.Type.String())
		}
		for r := range t.Values {
			t.Values[r] = cells(f.Cols, r)
		}
		answer.Results[d.Manifest.Outputs[k].Name] = sampleOutput{"table", t}
	}
	b, err := marshal(answer)
	s.Release()
	return b, err
}

// Doctor scores the recorded calls again. An answer that is not the recorded
// text is an error naming the sample: this program would answer otherwise than
// the one that published.
func (d *Deployment) Doctor(ctx context.Context) error {
	for i, sample := range d.Manifest.Samples {
		got, err := d.Answer(ctx, sample.Request)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "score a recorded call again")
		}
		if !bytes.Equal(got, sample.Answer) {
			return fault.New(fault.Internal, "", "sample %d of deployment %s gives another answer than when it was published", i+1, d.Digest)
		}
	}
	return nil
}

// fill appends the rows of a recorded table to f.
func fill(f *frame.Frame, t sampleTable) error {
	for r, row := range t.Values {
		if len(row) != len(t.ColumnNames) || len(row) != len(f.Cols) {
			return fault.New(fault.Package, "FormatError", "the recorded call has %d cells in row %d for %d columns", len(row), r+1, len(f.Cols))
		}
		for i, name := range t.ColumnNames {
			c := f.Col(name)
			switch {
			case c == nil:
				return fault.New(fault.Package, "FormatError", "the recorded call has a column %q, the input has not", name)
			case row[i] == nil:
				c.AppendNull()
			default:
				if err := c.AppendText([]byte(*row[i])); err != nil {
					return fault.New(fault.Package, "FormatError", "the recorded call: %v", err)
				}
			}
		}
	}
	return nil
}

func cells(cols []*frame.Column, row int) []*string {
	out := make([]*string, len(cols))
	for i, c := range cols {
		if !c.IsNull(row) {
			text := string(c.Print(nil, row))
			out[i] = &text
		}
	}
	return out
}

func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "encode a recorded call")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

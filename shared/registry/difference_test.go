package registry

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

func TestCompare(t *testing.T) {
	def := func(s string) *string { return &s }
	base := func() *service.Manifest {
		return &service.Manifest{
			Inputs: []service.Port{{Name: "input1", Schema: frame.Schema{
				{Name: "age", Type: frame.Int32}, {Name: "state", Type: frame.String, Levels: []string{"NY", "TX"}}, {Name: "note", Type: frame.String, Optional: true, Nullable: true},
			}}},
			Outputs: []service.Port{{Name: "output1", Schema: frame.Schema{{Name: "Scored Labels", Type: frame.String}, {Name: "Scored Probabilities", Type: frame.Double}}}},
			Parameters: []service.Parameter{
				{Name: "rate", Type: service.ParamDouble, Default: def("0.17")},
				{Name: "secret", Type: service.ParamSecret},
				{Name: "mode", Type: service.ParamEnum, Default: def("fast"), Options: []string{"fast", "exact"}},
			},
		}
	}
	for _, tt := range []struct {
		name   string
		change func(m *service.Manifest)
		want   Verdict
		text   string // of the first change
	}{
		{"nothing", func(m *service.Manifest) {}, Same, ""},
		{"column removed", func(m *service.Manifest) { m.Inputs[0].Schema = m.Inputs[0].Schema[1:] }, Breaking, "input1.age: column removed"},
		{"required column", func(m *service.Manifest) {
			m.Inputs[0].Schema = append(m.Inputs[0].Schema, frame.Field{Name: "x"})
		}, Breaking, "input1.x: required column added"},
		{"optional column", func(m *service.Manifest) {
			m.Inputs[0].Schema = append(m.Inputs[0].Schema, frame.Field{Name: "x", Optional: true})
		}, Compatible, ""},
		{"columns in another order", func(m *service.Manifest) {
			s := m.Inputs[0].Schema
			s[0], s[1] = s[1], s[0]
		}, Same, ""},
		{"wider type", func(m *service.Manifest) { m.Inputs[0].Schema[0].Type = frame.Double }, Compatible, ""},
		{"narrower type", func(m *service.Manifest) { m.Inputs[0].Schema[2].Type = frame.Int32 }, Breaking, "input1.note: type Int32, was String"},
		{"required now", func(m *service.Manifest) { m.Inputs[0].Schema[2].Optional = false }, Breaking, "input1.note: required now"},
		{"no missing cells", func(m *service.Manifest) { m.Inputs[0].Schema[2].Nullable = false }, Breaking, "input1.note: missing cells are refused now"},
		{"new level", func(m *service.Manifest) { m.Inputs[0].Schema[1].Levels = []string{"NY", "TX", "CA"} }, Compatible, ""},
		{"level gone", func(m *service.Manifest) { m.Inputs[0].Schema[1].Levels = []string{"NY"} }, Breaking, `input1.state: 1 level gone: "TX"`},
		{"input removed", func(m *service.Manifest) { m.Inputs = nil }, Breaking, "input1: input removed"},
		{"input added", func(m *service.Manifest) { m.Inputs = append(m.Inputs, service.Port{Name: "input2"}) }, Breaking, "input2: input added"},
		{"output removed", func(m *service.Manifest) { m.Outputs = nil }, Breaking, "output1: output removed"},
		{"output added", func(m *service.Manifest) { m.Outputs = append(m.Outputs, service.Port{Name: "output2"}) }, Compatible, ""},
		{"output of another kind", func(m *service.Manifest) { m.Outputs[0].Kind = service.TrainedModel }, Breaking, "output1: a TrainedModel, was a Dataset"},
		{"score column removed", func(m *service.Manifest) { m.Outputs[0].Schema = m.Outputs[0].Schema[:1] }, Breaking, "output1.Scored Probabilities: column removed"},
		{"score column at the end", func(m *service.Manifest) {
			m.Outputs[0].Schema = append(m.Outputs[0].Schema, frame.Field{Name: "x"})
		}, Compatible, ""},
		{"score column in front", func(m *service.Manifest) {
			m.Outputs[0].Schema = append(frame.Schema{{Name: "x"}}, m.Outputs[0].Schema...)
		}, Breaking, "output1: the columns stand in another order"},
		{"parameter removed", func(m *service.Manifest) { m.Parameters = m.Parameters[1:] }, Breaking, "parameter rate: removed"},
		{"parameter required now", func(m *service.Manifest) { m.Parameters[0].Default = nil }, Breaking, "parameter rate: required now"},
		{"parameter optional now", func(m *service.Manifest) { m.Parameters[1].Default = def("") }, Compatible, ""},
		{"other default", func(m *service.Manifest) { m.Parameters[0].Default = def("0.2") }, Compatible, ""},
		{"option gone", func(m *service.Manifest) { m.Parameters[2].Options = []string{"fast"} }, Breaking, `parameter mode: 1 option gone: "exact"`},
		{"required parameter", func(m *service.Manifest) {
			m.Parameters = append(m.Parameters, service.Parameter{Name: "p", Type: service.ParamInt})
		}, Breaking, "parameter p: required parameter added"},
		{"batch only", func(m *service.Manifest) { m.BatchOnly = true }, Breaking, "service: answers batch jobs only"},
		{"whole", func(m *service.Manifest) { m.Whole = true }, Compatible, ""},
	} {
		now := base()
		tt.change(now)
		d := compare(base(), now)
		if d.Verdict != tt.want {
			t.Errorf("%s: %s, want %s: %+v", tt.name, d.Verdict, tt.want, d.Changes)
		}
		if !strings.HasPrefix(d.String(), tt.text) {
			t.Errorf("%s: %q, want %q", tt.name, d.String(), tt.text)
		}
		if (d.Verdict == Same) != (len(d.Changes) == 0) {
			t.Errorf("%s: verdict %s with changes %v", tt.name, d.Verdict, d.Changes)
		}
	}
}

// A promotion of ten thousand changes still has its row.
func TestPromotionFits(t *testing.T) {
	p := &Promotion{Number: 1, Difference: Difference{Verdict: Breaking}}
	for i := range 10_000 {
		p.Difference.add(fmt.Sprintf("input1.column%d", i), i%2 == 0, "column removed")
	}
	props, err := p.props()
	if err != nil {
		t.Fatal(err)
	}
	b := props.Bytes("json")
	if len(b) > storage.MaxPropertyBlob {
		t.Fatalf("%d bytes", len(b))
	}
	var back Promotion
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if n := len(back.Difference.Changes) + back.Difference.More; n != 10_000 || back.Difference.Verdict != Breaking {
		t.Fatalf("%d changes accounted for", n)
	}
}

package score_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/importer"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/score"
)

const churn = "../../../infra/samples/churn/"

// bind binds Score Model to the sample's model and the customers of its check.
func bind(t *testing.T, change string, given map[string]string) (*module.Bound, *frame.Frame, error) {
	t.Helper()
	file, err := os.ReadFile(churn + "churn_native.json")
	if err != nil {
		t.Fatal(err)
	}
	binding, err := os.ReadFile(churn + "churn_native.binding.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := importer.Import(importer.Request{File: file, Binding: []byte(strings.Replace(string(binding), "{", "{"+change, 1))})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(churn + "churn_native.expected.csv")
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(r.Model.Requires())
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read(rows, l)
	if err != nil {
		t.Fatal(err)
	}
	mod := score.ScoreModel()
	params, problems := mod.Spec.Resolve(given)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b, err := mod.Bind(&module.Binding{Params: params, Inputs: []module.Input{{Artifact: r.Artifact, Connected: true}, {Schema: f.Schema(), Connected: true}}})
	return b, f.Slice(0, 70), err
}

// apply scores f.
func apply(t *testing.T, b *module.Bound, f *frame.Frame) *frame.Frame {
	t.Helper()
	out := &frame.Frame{Cols: make([]*frame.Column, len(b.Outputs[0]))}
	if err := b.Op.NewState().Apply([]*frame.Frame{nil, f}, []*frame.Frame{out}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAppendContributions(t *testing.T) {
	plain, f, err := bind(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	with, _, err := bind(t, "", map[string]string{"Append contributions": "true"})
	if err != nil {
		t.Fatal(err)
	}
	before, after := plain.Outputs[0].Names(), with.Outputs[0].Names()
	if slices.ContainsFunc(before, func(n string) bool { return strings.HasPrefix(n, "Contribution") }) {
		t.Errorf("contributions are there by default: %q", before)
	}
	if len(after) != len(before)+len(f.Cols)+1 || !slices.Equal(after[:len(before)], before) || after[len(after)-1] != "Contribution base" {
		t.Errorf("%q with contributions, %q without", after, before)
	}
	if len(with.From[0]) != len(after) || with.From[0][len(after)-1] != module.Computed {
		t.Errorf("sources %v", with.From)
	}
	out := apply(t, with, f)
	for r := range f.Rows() {
		sum := 0.0
		for _, c := range out.Cols[len(before):] {
			sum += c.Floats[r]
		}
		if p := out.Cols[len(before)-1].Floats[r]; math.Abs(p-1/(1+math.Exp(-sum))) > 1e-6 {
			t.Fatalf("row %d: contributions add up to %v, its probability is %v", r+1, sum, p)
		}
	}
	alone, _, err := bind(t, "", map[string]string{"Append contributions": "true", "Append score columns to output": "false"})
	if err != nil {
		t.Fatal(err)
	}
	if got := apply(t, alone, f); len(got.Cols) != len(after)-len(f.Cols) {
		t.Errorf("%d columns without the input's", len(got.Cols))
	}
}

func TestContributionsThatAreNot(t *testing.T) {
	_, _, err := bind(t, `"contributions": false, `, map[string]string{"Append contributions": "true"})
	if e := fault.Of(err); err == nil || !strings.Contains(e.Msg, "imported without them") {
		t.Errorf("%v", err)
	}
}

package score_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/initialize"
	"github.com/portico-ml/portico/shared/module/score"
	"github.com/portico-ml/portico/shared/module/train"
	"github.com/portico-ml/portico/shared/service"
)

// labels are columns that suit each kind of model.
var labels = map[model.Kind]string{
	model.TwoClass: "leaves", model.Multiclass: "plan", model.Regression: "bill", model.Distribution: "bill", model.Quantiles: "bill",
}

// customers have numbers, texts, missing cells, a text that few have, and a
// label for every kind of model.
func customers(t *testing.T, n int) *frame.Frame {
	t.Helper()
	var b strings.Builder
	b.WriteString("id,region,minutes,calls,night,leaves,plan,bill\n")
	for i := range n {
		minutes, region := fmt.Sprint(float64(i*37%100)/2), []string{"north", "south", "east"}[i%3]
		if i%17 == 5 {
			minutes = ""
		}
		if i%41 == 7 {
			region = "north-east"
		}
		leaves := "no"
		if i*37%100 > 60 || i%13 == 0 {
			leaves = "yes"
		}
		fmt.Fprintf(&b, "C%d,%s,%s,%d,%v,%s,%s,%d\n", i, region, minutes, i*7%11, i%2 == 0, leaves, []string{"day", "night", "both"}[i*37%100/34], i*37%100/10+i%3)
	}
	schema, err := frame.Inference{}.Infer([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	schema[0].Role = frame.ID
	l, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(b.String()), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func without(f *frame.Frame, names ...string) *frame.Frame {
	g := &frame.Frame{}
	for _, c := range f.Cols {
		if !slices.Contains(names, c.Field.Name) {
			g.Cols = append(g.Cols, c)
		}
	}
	return g
}

func execute(t *testing.T, p *module.Palette, name string, params map[string]string, inputs ...module.Value) ([]module.Value, error) {
	t.Helper()
	m := p.Lookup(name)
	if m == nil {
		t.Fatalf("no module %q", name)
	}
	v, problems := m.Resolve(params)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m.Execute(t.Context(), &module.Call{Params: v, Inputs: inputs, Palette: p, Log: func(string, ...any) {}})
}

// quick are parameters that make learners train in a moment.
var quick = map[string]string{"Number of learning iterations": "20", "Number of trees constructed": "10", "Number of hidden nodes": "8"}

// TestEveryLearner trains every learner there is, and scores by Score Model:
// all rows together, one by one, and in batches of several sizes out of one
// session give the same text, and the label is marked for the evaluation.
func TestEveryLearner(t *testing.T) {
	p := module.NewPalette(slices.Concat(initialize.Modules(), score.Modules(), train.Modules())...)
	all := customers(t, 150)
	base, err := execute(t, p, "Two-Class Logistic Regression", nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[model.Kind]bool)
	for m := range p.All() {
		if m.Learner == nil {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			params := make(map[string]string)
			for name, v := range quick {
				if m.Param(name) != nil {
					params[name] = v
				}
			}
			var inputs []module.Value
			if len(m.Inputs) > 0 {
				inputs = base
			}
			untrained, err := execute(t, p, m.Name, params, inputs...)
			if err != nil {
				t.Fatal(err)
			}
			u, err := p.OpenUntrained(untrained[0].Artifact)
			if err != nil {
				t.Fatal(err)
			}
			l, err := u.Learner()
			if err != nil {
				t.Fatal(err)
			}
			seen[l.Kind()] = true
			label := labels[l.Kind()]
			data := without(all, slices.DeleteFunc([]string{"leaves", "plan", "bill"}, func(n string) bool { return n == label })...)
			trainer, given := "Train Model", map[string]string{"Label column": label}
			switch l.Kind() {
			case model.Clustering:
				trainer, given = "Train Clustering Model", nil
			case model.Anomaly:
				trainer, given = "Train Anomaly Detection Model", nil
			}
			out, err := execute(t, p, trainer, given, untrained[0], module.Table(data))
			if err != nil {
				t.Fatal(err)
			}
			checkScores(t, out[0].Artifact, data, label)
		})
	}
	if !seen[model.TwoClass] || !seen[model.Multiclass] || !seen[model.Regression] {
		t.Errorf("kinds %v are trained", seen)
	}
}

func checkScores(t *testing.T, artifact []byte, data *frame.Frame, label string) {
	t.Helper()
	mod := score.ScoreModel()
	params, _ := mod.Resolve(nil)
	bound, err := mod.Bind(&module.Binding{Params: params, Inputs: []module.Input{{Artifact: artifact, Connected: true}, {Schema: data.Schema(), Connected: true}}})
	if err != nil {
		t.Fatal(err)
	}
	whole := apply(t, bound, data)
	if err := whole.Check(); err != nil {
		t.Fatal(err)
	}
	want := string(frame.AppendCSVRows(nil, whole, 0, whole.Rows(), ','))
	state := bound.Op.NewState()
	for _, size := range []int{1, 7, 63, 64, 65, data.Rows(), 2} {
		var got []byte
		for lo := 0; lo < data.Rows(); lo += size {
			out := &frame.Frame{Cols: make([]*frame.Column, len(bound.Outputs[0]))}
			if err := state.Apply([]*frame.Frame{nil, data.Slice(lo, min(lo+size, data.Rows()))}, []*frame.Frame{out}); err != nil {
				t.Fatal(err)
			}
			got = frame.AppendCSVRows(got, out, 0, out.Rows(), ',')
		}
		if string(got) != want {
			t.Fatalf("in batches of %d rows the scores differ", size)
		}
	}
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	table, err := m.ScoreTable(data)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range table {
		for r := range c.Len() {
			if got, want := string(c.Print(nil, r)), string(whole.Cols[len(data.Cols)+i].Print(nil, r)); got != want {
				t.Fatalf("row %d of %q scores %q as a table, %q as a module", r, c.Field.Name, got, want)
			}
		}
	}
	for _, f := range bound.Outputs[0] {
		if (f.Role == frame.Label) != (f.Name == label) {
			t.Errorf("column %q has role %q", f.Name, f.Role)
		}
	}
	if m.Kind() == model.Anomaly {
		return // what is odd is not known
	}
	r, err := evaluate.Of(whole)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != m.Kind() || r.Rows == 0 || len(r.Metrics) == 0 {
		t.Errorf("a %s model is evaluated as %+v", m.Kind(), r)
	}
	if s, err := model.Summarize(artifact); err != nil || s.Kind != m.Kind() || s.FeatureCount != len(m.Header().Features) {
		t.Errorf("its summary is %+v, %v", s, err)
	}
}

// TestAssign: a model that is no clustering assigns nothing.
func TestAssign(t *testing.T) {
	p := module.NewPalette(slices.Concat(initialize.Modules(), score.Modules(), train.Modules())...)
	data := without(customers(t, 40), "plan", "bill")
	untrained, err := execute(t, p, "Two-Class Logistic Regression", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := execute(t, p, "Train Model", map[string]string{"Label column": "leaves"}, untrained[0], module.Table(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = execute(t, p, "Assign Data to Clusters", nil, out[0], module.Table(data)); err == nil || !strings.Contains(err.Error(), "Error 0013") {
		t.Errorf("%v", err)
	}
	broken := module.Value{Kind: service.TrainedModel, Artifact: []byte("ilearner")}
	if _, err = execute(t, p, "Score Model", nil, broken, module.Table(data)); err == nil || !strings.Contains(err.Error(), "Error 0082") {
		t.Errorf("%v", err)
	}
}

// TestLabelIsTheModels: another label of the table gives way.
func TestLabelIsTheModels(t *testing.T) {
	p := module.NewPalette(slices.Concat(initialize.Modules(), score.Modules(), train.Modules())...)
	data := without(customers(t, 40), "bill")
	untrained, err := execute(t, p, "Two-Class Logistic Regression", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := execute(t, p, "Train Model", map[string]string{"Label column": "leaves"}, untrained[0], module.Table(without(data, "plan")))
	if err != nil {
		t.Fatal(err)
	}
	f := *data.Col("plan").Field
	f.Role = frame.Label
	for i, c := range data.Cols {
		if c.Field.Name == "plan" {
			data.Cols[i] = c.WithField(&f)
		}
	}
	scored, err := execute(t, p, "Score Model", nil, out[0], module.Table(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := scored[0].Frame.Col("plan").Field.Role; got != frame.Feature {
		t.Errorf("plan has role %q", got)
	}
	if got := scored[0].Frame.Col("leaves").Field.Role; got != frame.Label {
		t.Errorf("leaves has role %q", got)
	}
	if got := data.Col("plan").Field.Role; got != frame.Label {
		t.Errorf("the input's plan has role %q now", got)
	}
}

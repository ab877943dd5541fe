package runs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/runs"
)

// judged is an experiment that trains, tunes, scores and evaluates.
const judged = `{"nodes":{
 "d":{"assetId":"d"},
 "u":{"module":"Two-Class Logistic Regression","parameters":{"L2 regularization weight":"0.5"}},
 "range":{"module":"Two-Class Logistic Regression","parameters":{"Create trainer mode":"Parameter Range","L2 regularization weight":"0.1;10"}},
 "train":{"module":"Train Model","parameters":{"Label column":"leaves"}},
 "tune":{"module":"Tune Model Hyperparameters","parameters":{"Label column":"leaves","Specify parameter sweeping mode":"Entire grid"}},
 "score":{"module":"Score Model"},
 "evaluate":{"module":"Evaluate Model"}},
"edges":[{"sourceNodeId":"d","targetNodeId":"train","targetPortId":"Dataset"},{"sourceNodeId":"u","targetNodeId":"train","targetPortId":"Untrained model"},
 {"sourceNodeId":"d","targetNodeId":"tune","targetPortId":"Training dataset"},{"sourceNodeId":"range","targetNodeId":"tune","targetPortId":"Untrained model"},
 {"sourceNodeId":"train","targetNodeId":"score","targetPortId":"Trained model"},{"sourceNodeId":"d","targetNodeId":"score","targetPortId":"Dataset"},
 {"sourceNodeId":"score","targetNodeId":"evaluate","targetPortId":"Scored dataset"}],
"assets":{"d":{"type":"Resource","kind":"Dataset","name":"callers","version":"latest"}}}`

// callers leave the sooner the more they call, but for some.
func callers() []byte {
	var b strings.Builder
	b.WriteString("plan,calls,leaves\n")
	for i := range 60 {
		leaves := "no"
		if i%10 > 5 && i%7 != 0 || i%13 == 0 {
			leaves = "yes"
		}
		calls := fmt.Sprint(i % 10)
		if i == 3 {
			calls = ""
		}
		fmt.Fprintf(&b, "%s,%s,%s\n", []string{"day", "night", "both"}[i%3], calls, leaves)
	}
	return []byte(b.String())
}

func TestPreviewOfEveryKind(t *testing.T) {
	b := newBench(t)
	b.dataset("callers", callers())
	id := b.experiment("judged", []byte(judged))
	for _, again := range []bool{false, true} { // the second run takes all from the cache
		run := b.run(id)
		finished(t, run)
		if n := node(t, run, "evaluate"); n.Cached != again {
			t.Fatalf("cached %v, want %v", n.Cached, again)
		}
		see := func(node, port string, look runs.Look) *runs.Preview {
			t.Helper()
			p, err := b.runs.Preview(t.Context(), b.ws, run.ID, node, port, look)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		table := see("d", "", runs.Look{Rows: 2, Statistics: true})
		if len(table.Values) != 2 || len(table.Statistics) != 3 {
			t.Fatalf("%d rows and %d statistics", len(table.Values), len(table.Statistics))
		}
		if s := table.Statistics[1]; s.Name != "calls" || s.Missing != 1 || s.Unique != 10 || s.Min != "0" || s.Max != "9" || len(s.Bins) != 10 || s.Mean == nil {
			t.Errorf("statistics of calls %+v", s)
		}
		if s := table.Statistics[0]; len(s.Levels) != 3 || s.Levels[0].Count != 20 {
			t.Errorf("statistics of plan %+v", s)
		}
		if p := see("d", "", runs.Look{Rows: 1}); p.Statistics != nil {
			t.Error("statistics that nobody asked for")
		}

		if p := see("u", "", runs.Look{}); !strings.Contains(string(p.View), `"L2 regularization weight":"0.5"`) {
			t.Errorf("the untrained model shows %s", p.View)
		}
		p := see("train", "", runs.Look{})
		if m := p.Model; m == nil || m.Kind != model.TwoClass || m.Label.Positive != "yes" || m.FeatureCount != 4 || len(m.Features[0].Weights) != 1 || m.Features[0].Column != "plan" {
			t.Errorf("the trained model shows %+v", p.Model)
		}
		if !strings.Contains(string(p.View), `"training":{"rows":59,"leftOut":1,"ignored":[]}`) {
			t.Errorf("the trained model's training shows %s", p.View)
		}
		p = see("tune", "Trained best model", runs.Look{})
		if !strings.Contains(string(p.View), `"metric":"Accuracy"`) || !strings.Contains(string(p.View), `"name":"L2 regularization weight"`) || p.Model == nil {
			t.Errorf("the tuned model shows %s", p.View)
		}

		p = see("evaluate", "", runs.Look{Rows: 5})
		var view struct{ Evaluation []evaluate.Result }
		if err := json.Unmarshal(p.View, &view); err != nil || len(view.Evaluation) != 1 {
			t.Fatalf("the evaluation shows %s: %v", p.View, err)
		}
		e := view.Evaluation[0]
		if e.Kind != model.TwoClass || e.Label != "leaves" || e.Rows != 59 || e.Skipped != 1 || e.TwoClass.Positive != "yes" || len(e.TwoClass.Curve.Threshold) < 10 || len(e.TwoClass.Bins) != 10 {
			t.Errorf("the evaluation is %+v", e)
		}
		if got := *p.Values[0][4]; p.Columns[4].Name != evaluate.AUC || got == "" || p.Rows != 1 {
			t.Errorf("the metrics are %v", p.Values)
		}
	}
}

// TestPreviewIsBounded: a wide table shows fewer rows, and describes fewer
// columns than it has.
func TestPreviewIsBounded(t *testing.T) {
	b := newBench(t)
	const columns = 1100
	wide := strings.Repeat("1,", columns-1) + "1\n"
	var names []string
	for i := range columns {
		names = append(names, fmt.Sprint("c", i))
	}
	b.dataset("numbers", []byte(strings.Join(names, ",")+"\n"+strings.Repeat(wide, 300)))
	run := b.run(b.experiment("wide", []byte(`{"nodes":{"d":{"assetId":"d"}},"edges":[],"assets":{"d":{"type":"Resource","kind":"Dataset","name":"numbers"}}}`)))
	finished(t, run)
	p, err := b.runs.Preview(t.Context(), b.ws, run.ID, "d", "", runs.Look{Rows: 1000, Statistics: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Values) != 200_000/columns || p.Rows != 300 {
		t.Errorf("%d of %d rows are shown", len(p.Values), p.Rows)
	}
	if len(p.Columns) != columns || len(p.Values[0]) != columns || len(p.Statistics) != 1000 || p.Statistics[999].Name != "c999" || p.Statistics[999].Count != 300 {
		t.Errorf("of %d columns %d are shown, %d described", len(p.Columns), len(p.Values[0]), len(p.Statistics))
	}
}

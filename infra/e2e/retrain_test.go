package e2e

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// TestRetrainingData gives a service that trains the customers of the sample,
// and tables that nothing can be learned from: a job on each of those fails and
// says by which module error.
func TestRetrainingData(t *testing.T) {
	s := newSite(t)
	x := s.experiment("training", `{
 "nodes": {
  "data": {"assetId": "d"},
  "learner": {"module": "Two-Class Boosted Decision Tree", "parameters": {"Number of trees constructed": 5}},
  "train": {"module": "Train Model", "parameters": {"Label column": "churn"}},
  "input": {"inputId": "input1"}, "output": {"outputId": "output1"}
 },
 "edges": [
  {"sourceNodeId": "learner", "targetNodeId": "train", "targetPortId": "Untrained model"},
  {"sourceNodeId": "data", "targetNodeId": "train", "targetPortId": "Dataset"},
  {"sourceNodeId": "input", "targetNodeId": "train", "targetPortId": "Dataset"},
  {"sourceNodeId": "train", "targetNodeId": "output"}
 ],
 "assets": {"d": {"type": "Resource", "kind": "Dataset", "name": "customers_train"}}
}`)
	s.run(x)
	s.endpoints["training"] = map[string]endpoint{"default": s.publish(x, "training").endpoints["staging"]}

	all, err := csv.NewReader(bytes.NewReader(sampleFile(t, "customers_train.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	label := slices.Index(all[0], "churn")
	changed := func(change func(r int, row []string) []string) [][]string {
		out := [][]string{all[0]}
		for r, row := range all[1:] {
			if row = change(r, slices.Clone(row)); row != nil {
				out = append(out, row)
			}
		}
		return out
	}
	unlabelled := make([][]string, len(all))
	for r, row := range all {
		unlabelled[r] = slices.Delete(slices.Clone(row), label, label+1)
	}
	for _, c := range []struct {
		name  string
		table [][]string
		says  []string
	}{
		{"all", all, nil},
		{"without the label", unlabelled, []string{"Error 0058", `"churn"`}},
		{"with one class", changed(func(_ int, row []string) []string {
			row[label] = "no"
			return row
		}), []string{"Error 0134", `"churn"`, `"no"`}},
		{"with three labelled rows", changed(func(r int, row []string) []string {
			if r%1200 != 0 {
				row[label] = ""
			}
			return row
		}), []string{"Error 0134", `"churn"`, "3 labelled rows", "at least 4"}},
		{"without rows", all[:1], []string{"Error 0134", `"churn"`, "0 labelled rows"}},
	} {
		var b strings.Builder
		if err := csv.NewWriter(&b).WriteAll(c.table); err != nil {
			t.Fatal(err)
		}
		st := s.job("training", `{"Input":`+encode(s.upload("training.csv", b.String()))+`}`)
		switch {
		case c.says == nil:
			if model := s.result(st); !strings.HasPrefix(model, "ilearner") {
				t.Errorf("%s: the job gives %.40q", c.name, model)
			}
		case st.StatusCode != "Failed":
			t.Errorf("%s: the job is %s", c.name, st.StatusCode)
		default:
			for _, text := range c.says {
				if !strings.Contains(deref(st.Details), text) {
					t.Errorf("%s: the job says %q, want %s in it", c.name, deref(st.Details), text)
				}
			}
		}
	}
}

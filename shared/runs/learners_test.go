package runs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/scoring"
)

// TestLearners takes every learner of the palette through the whole way, with
// its defaults: train, score, convert, run, publish. What the service answers is
// what the training run's Score Model said, to the letter, in batches of one,
// of seven and of all rows.
func TestLearners(t *testing.T) {
	b := newBench(t)
	customers := read(t, filepath.Join(samples, "customers_train.csv"))
	b.dataset("customers", customers[:bytes.LastIndexByte(customers[:150_000], '\n')+1])
	b.dataset("penguins", read(t, filepath.Join(samples, "../kinds/penguins.csv")))
	b.dataset("houses", read(t, filepath.Join(samples, "../kinds/sacramento.csv")))
	for m := range b.runs.Palette().All() {
		if m.Learner == nil {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			b := &bench{t: t, store: b.store, catalog: b.catalog, runs: b.runs, ws: b.ws}
			b.wholeWay(m)
		})
	}
}

// suits names the data that suits a kind of learner: dataset and label.
func suits(k model.Kind) (dataset, label string) {
	switch k {
	case model.TwoClass:
		return "customers", "churn"
	case model.Multiclass, model.Clustering, model.Anomaly:
		return "penguins", "species"
	}
	return "houses", "price"
}

func (b *bench) wholeWay(m *module.Module) {
	t := b.t
	t.Helper()
	kind := b.kindOf(m)
	dataset, label := suits(kind)
	x := b.experiment(m.Name, trainOn(m, kind, dataset, label))
	trained := b.finished(x)
	_, predictive := b.convert(x, runs.Predictive)
	b.finished(predictive)
	d := b.deployable(predictive)
	dep := b.load(d)

	want, err := b.runs.Preview(t.Context(), b.ws, trained.ID, "score", "", runs.Look{Rows: 1000})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := b.catalog.Table(t.Context(), b.ws, dataset, 0)
	if err != nil {
		t.Fatal(err)
	}
	from := rows.Rows() - want.Rows // the split keeps the order
	rows = rows.Slice(from, from+len(want.Values))
	for _, size := range []int{1, 7, rows.Rows()} {
		got := b.answers(dep, rows, size)
		for r, row := range want.Values {
			for c, f := range want.Columns {
				if f.Role != frame.Score {
					continue
				}
				if text, said := got[r][f.Name], cellText(row[c]); text != said {
					t.Fatalf("batches of %d: row %d, %s: the service says %s, the training run %s", size, r, f.Name, text, said)
				}
			}
		}
	}
}

// answers scores rows in batches of size and returns the score columns' texts.
func (b *bench) answers(dep *scoring.Deployment, rows *frame.Frame, size int) []map[string]string {
	b.t.Helper()
	var out []map[string]string
	for lo := 0; lo < rows.Rows(); lo += size {
		hi := min(lo+size, rows.Rows())
		s := dep.Session()
		for i, f := range dep.Input(0).Schema {
			s.Inputs[0].Cols[i].AppendRange(rows.Col(f.Name), lo, hi)
		}
		tables, err := s.Score(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		for r := range hi - lo {
			row := make(map[string]string)
			for _, c := range tables[0].Cols {
				if row[c.Field.Name] = string(c.Print(nil, r)); c.IsNull(r) {
					row[c.Field.Name] = "missing"
				}
			}
			out = append(out, row)
		}
		s.Release()
	}
	return out
}

func cellText(cell *string) string {
	if cell == nil {
		return "missing"
	}
	return *cell
}

// kindOf is the kind of a module's learner with its defaults.
func (b *bench) kindOf(m *module.Module) model.Kind {
	b.t.Helper()
	var base learn.Learner
	if len(m.Inputs) > 0 {
		inner := b.runs.Palette().Lookup("Two-Class Logistic Regression")
		v, _ := inner.Resolve(nil)
		base, _ = inner.Learner(v, nil)
	}
	v, problems := m.Resolve(nil)
	if len(problems) > 0 {
		b.t.Fatal(problems)
	}
	l, err := m.Learner(v, base)
	if err != nil {
		b.t.Fatal(err)
	}
	return l.Kind()
}

// trainOn is an experiment that trains m on three quarters of a dataset.
func trainOn(m *module.Module, kind model.Kind, dataset, label string) []byte {
	trainer, params := "Train Model", map[string]any{"Label column": label}
	switch kind {
	case model.Clustering:
		trainer, params = "Train Clustering Model", map[string]any{}
	case model.Anomaly:
		trainer, params = "Train Anomaly Detection Model", map[string]any{}
	}
	type object = map[string]any
	nodes := object{
		"d":       object{"assetId": "d"},
		"split":   object{"module": "Split Data", "parameters": object{"Fraction of rows in the first output dataset": 0.75, "Randomized split": false}},
		"learner": object{"module": m.Name},
		"train":   object{"module": trainer, "parameters": params},
		"score":   object{"module": "Score Model"},
	}
	edges := []object{
		{"sourceNodeId": "d", "targetNodeId": "split"},
		{"sourceNodeId": "learner", "targetNodeId": "train", "targetPortId": m.Outputs[0].ID},
		{"sourceNodeId": "split", "sourcePortId": "Results dataset1", "targetNodeId": "train", "targetPortId": "Dataset"},
		{"sourceNodeId": "train", "sourcePortId": "Trained model", "targetNodeId": "score", "targetPortId": "Trained model"},
		{"sourceNodeId": "split", "sourcePortId": "Results dataset2", "targetNodeId": "score", "targetPortId": "Dataset"},
	}
	if len(m.Inputs) > 0 {
		nodes["inner"] = object{"module": "Two-Class Logistic Regression"}
		edges = append(edges, object{"sourceNodeId": "inner", "targetNodeId": "learner"})
	}
	doc, err := json.Marshal(object{"nodes": nodes, "edges": edges, "assets": object{"d": object{"type": "Resource", "kind": "Dataset", "name": dataset}}})
	if err != nil {
		panic(fmt.Sprint(err)) // plain maps always encode
	}
	return doc
}

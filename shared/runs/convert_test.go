package runs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// training is the experiment of an ordinary data scientist: clean, split,
// train, score, evaluate.
const training = `{"nodes":{
 "d":{"assetId":"d"},
 "clean":{"module":"Clean Missing Data","parameters":{"Cleaning mode":"Replace with mode","Columns to be cleaned":"All"}},
 "scaled":{"module":"Normalize Data","parameters":{"Columns to transform":"total_day_minutes"}},
 "split":{"module":"Split Data","parameters":{"Fraction of rows in the first output dataset":0.75,"Random seed":7}},
 "learner":{"module":"LEARNER","parameters":{}},
 "train":{"module":"Train Model","parameters":{"Label column":"churn"}},
 "score":{"module":"Score Model"},
 "evaluate":{"module":"Evaluate Model"}},
"edges":[
 {"sourceNodeId":"d","targetNodeId":"clean"},
 {"sourceNodeId":"clean","sourcePortId":"Cleaned dataset","targetNodeId":"scaled"},
 {"sourceNodeId":"scaled","sourcePortId":"Transformed dataset","targetNodeId":"split"},
 {"sourceNodeId":"learner","targetNodeId":"train","targetPortId":"Untrained model"},
 {"sourceNodeId":"split","sourcePortId":"Results dataset1","targetNodeId":"train","targetPortId":"Dataset"},
 {"sourceNodeId":"train","targetNodeId":"score","targetPortId":"Trained model"},
 {"sourceNodeId":"split","sourcePortId":"Results dataset2","targetNodeId":"score","targetPortId":"Dataset"},
 {"sourceNodeId":"score","targetNodeId":"evaluate","targetPortId":"Scored dataset"}],
"assets":{"d":{"type":"Resource","kind":"Dataset","name":"customers"}}}`

func trainingOf(learner string) []byte {
	return []byte(strings.Replace(training, "LEARNER", learner, 1))
}

// customers is a bench with the churn data, and an experiment that trains.
func customers(t testing.TB, learner string) (*bench, string) {
	t.Helper()
	b := newBench(t)
	b.dataset("customers", read(t, filepath.Join(samples, "customers_train.csv")))
	return b, b.experiment("Churn", trainingOf(learner))
}

// finished runs an experiment that must finish.
func (b *bench) finished(id string) *runs.Run {
	b.t.Helper()
	run := b.run(id)
	if run.State != runs.Finished {
		b.t.Fatalf("the run is %s: %+v", run.State, run.Error)
	}
	return run
}

func (b *bench) convert(id string, to runs.Kind) (*runs.Converted, string) {
	b.t.Helper()
	made, err := b.runs.Convert(b.t.Context(), b.ws, id, runs.Conversion{To: to}, ada)
	if err != nil {
		b.t.Fatal(err)
	}
	return made, b.experiment("Churn ["+string(to)+"]", made.Doc)
}

func TestPredictive(t *testing.T) {
	b, id := customers(t, "Two-Class Logistic Regression")
	trained := b.finished(id)
	made, predictive := b.convert(id, runs.Predictive)
	if len(made.Saved) != 3 {
		t.Fatalf("saved: %+v\nnotes: %q", made.Saved, made.Notes)
	}
	doc, err := graph.Parse(made.Doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"split", "train", "learner", "evaluate"} {
		if doc.Nodes[gone] != nil {
			t.Errorf("node %q is still there", gone)
		}
	}
	b.finished(predictive)
	d := b.deployable(predictive)
	in := d.Parsed.Inputs[0].Schema
	label := in[in.Index("churn")]
	if !label.Optional || label.Role != frame.Label {
		t.Errorf("the label is asked for: %+v", label)
	}
	if out := d.Parsed.Outputs[0].Schema; out.Index("churn") >= 0 || out.Index("Scored Probabilities") < 0 {
		t.Errorf("answers have columns %q", out.Names())
	}
	// The service scores as the training run did.
	scored, err := b.runs.Preview(t.Context(), b.ws, trained.ID, "score", "", runs.Look{Rows: 1000})
	if err != nil {
		t.Fatal(err)
	}
	dep := b.load(d)
	session := dep.Session()
	if session.Inputs[0], err = (frame.CSV{}).Read(read(t, filepath.Join(samples, "customers_train.csv")), dep.Input(0)); err != nil {
		t.Fatal(err)
	}
	answers, err := session.Score(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]string)
	for r := range answers[0].Rows() {
		of[string(answers[0].Col("customer_id").Print(nil, r))] = string(answers[0].Col("Scored Probabilities").Print(nil, r))
	}
	id0, p := scored.Columns.Index("customer_id"), scored.Columns.Index("Scored Probabilities")
	for _, row := range scored.Values {
		if got := of[*row[id0]]; got != *row[p] {
			t.Fatalf("customer %s: the service answers %s, the training run said %s", *row[id0], got, *row[p])
		}
	}
	// Converting again saves over: new versions, the same names.
	again, _ := b.convert(id, runs.Predictive)
	for i, v := range again.Saved {
		if v.Name != made.Saved[i].Name || v.Digest != made.Saved[i].Digest {
			t.Errorf("saved again: %+v, first %+v", v, made.Saved[i])
		}
	}
}

func TestRetraining(t *testing.T) {
	b, id := customers(t, "Two-Class Logistic Regression")
	trained := b.finished(id)
	_, retraining := b.convert(id, runs.Retraining)
	b.finished(retraining)
	d := b.deployable(retraining)
	if !d.Parsed.BatchOnly || !d.Parsed.Whole || len(d.Parsed.Outputs) != 2 || d.Parsed.Outputs[0].Kind != service.TrainedModel {
		t.Fatalf("the manifest: %+v", d.Parsed)
	}
	dep := b.load(d)
	s := dep.Session()
	rows, err := frame.CSV{}.Read(read(t, filepath.Join(samples, "customers_train.csv")), dep.Input(0))
	if err != nil {
		t.Fatal(err)
	}
	s.Inputs[0] = rows
	out, err := s.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	model := node(t, trained, "train").Results[0]
	if got := digestOf(out[0]); got != model.Digest {
		t.Errorf("the same rows gave another model: %s, the run %s", got, model.Digest)
	}
	if out[1].Frame == nil || out[1].Frame.Rows() == 0 {
		t.Errorf("the evaluation: %+v", out[1])
	}
	if _, err := b.runs.Convert(t.Context(), b.ws, retraining, runs.Conversion{To: runs.Retraining}, ada); err == nil {
		t.Error("a retraining experiment was converted again")
	}
}

// A training that is stopped at every checkpoint gives the same model.
func TestCheckpoints(t *testing.T) {
	for _, learner := range []string{"Two-Class Logistic Regression", "Two-Class Boosted Decision Tree", "Two-Class Decision Forest"} {
		b, id := customers(t, learner)
		want := node(t, b.finished(id), "train").Results[0].Digest
		b, id = customers(t, learner)
		b.runs = b.newRuns(runs.Limits{Slice: time.Nanosecond, Save: time.Nanosecond})
		run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
		if err != nil {
			t.Fatal(err)
		}
		messages := 0
		for m := b.next(); m != nil; m = b.next() {
			messages++
			if err := b.runs.Execute(t.Context(), *m); err != nil {
				t.Fatal(err)
			}
		}
		run = b.get(run.ID)
		if run.State != runs.Finished {
			t.Fatalf("%s: the run is %s: %+v", learner, run.State, run.Error)
		}
		if got := node(t, run, "train").Results[0].Digest; got != want {
			t.Errorf("%s: %d messages gave another model", learner, messages)
		}
		t.Logf("%s: %d messages", learner, messages)
	}
}

func TestSave(t *testing.T) {
	b, id := customers(t, "Two-Class Logistic Regression")
	run := b.finished(id)
	v, err := b.runs.Save(t.Context(), b.ws, run.ID, "train", "", "churn model", ada)
	if err != nil || v.Number != 1 || v.Kind != service.TrainedModel {
		t.Fatalf("%+v %v", v, err)
	}
	record, err := b.catalog.Artifact(t.Context(), b.ws, v.Record)
	if err != nil {
		t.Fatal(err)
	}
	var p runs.Provenance
	if err := json.Unmarshal(record, &p); err != nil || p.Run != run.ID || p.Node != "train" || p.Module != "Train Model" || p.Assets["d"].Name != "customers" {
		t.Errorf("provenance %s: %v", record, err)
	}
	for _, bad := range [][2]string{{"split", ""}, {"none", ""}, {"train", "Dataset"}, {"clean", "Cleaned dataset"}} {
		if _, err := b.runs.Save(t.Context(), b.ws, run.ID, bad[0], bad[1], "x", ada); err == nil {
			t.Errorf("saved %q at %q", bad[0], bad[1])
		}
	}
}

func digestOf(v module.Value) string {
	if bytes.HasPrefix(v.Artifact, []byte("ilearner")) {
		return artifact.Digest(v.Artifact)
	}
	return ""
}

// Whoever follows a run sees how far a training is before it has ended.
func TestProgress(t *testing.T) {
	f := faultyStore(t)
	b := benchOn(t, f.Store)
	b.dataset("customers", read(t, filepath.Join(samples, "customers_train.csv")))
	b.runs = b.newRuns(runs.Limits{Beat: time.Millisecond})
	run, err := b.runs.Start(t.Context(), b.ws, b.experiment("Churn", trainingOf("Two-Class Boosted Decision Tree")), "ada")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	f.Watch(func(ctx context.Context, c faulty.Call) func() {
		return func() {
			if !c.Write || c.Port != "Tables" {
				return
			}
			now, err := b.runs.Get(ctx, b.ws, run.ID)
			if err != nil {
				return // the last sign of life may come behind the end
			}
			mu.Lock()
			defer mu.Unlock()
			for _, n := range now.Nodes {
				if n.ID == "train" && n.State == runs.Running && len(n.Log) > 0 {
					seen = n.Log
				}
			}
		}
	})
	if err := b.runs.Execute(t.Context(), *b.next()); err != nil {
		t.Fatal(err)
	}
	f.Watch(nil)
	if !slices.ContainsFunc(seen, func(line string) bool { return strings.HasSuffix(line, " of 100 trees") }) {
		t.Errorf("the log while it trained: %q", seen)
	}
	if log := node(t, b.get(run.ID), "train").Log; log[len(log)-1] != "100 of 100 trees" {
		t.Errorf("the log at the end: %q", log)
	}
}

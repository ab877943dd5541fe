// Package learntest holds learners to what every learner must do: Run is the
// suite that each learner's own tests call, and the rest are its parts, for
// tests of one learner.
package learntest

import (
	"context"
	"math"
	"os"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
)

// Must returns a learner whose options are known to be possible.
func Must[L learn.Learner](l L, err error) L {
	if err != nil {
		panic(err)
	}
	return l
}

// Table reads CSV as a new dataset would be; a column called weight has that
// role.
func Table(t testing.TB, csv string) *frame.Frame {
	t.Helper()
	schema, err := frame.Inference{}.Infer([]byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	for i := range schema {
		schema[i].Nullable = true
		if schema[i].Name == "weight" {
			schema[i].Role = frame.Weight
		}
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(csv), layout)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// File reads a CSV file likewise.
func File(t testing.TB, path string) *frame.Frame {
	t.Helper()
	csv, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Table(t, string(csv))
}

// Train trains on a table, to the trained model's artifact.
func Train(t testing.TB, l learn.Learner, f *frame.Frame, label string) []byte {
	t.Helper()
	artifact, err := train(t.Context(), l, f, label, learn.NewSession())
	if err != nil {
		t.Fatal(err)
	}
	return artifact
}

func train(ctx context.Context, l learn.Learner, f *frame.Frame, label string, s *learn.Session) ([]byte, error) {
	d, b, err := learn.Prepare(l, learn.Request{Frame: f, Label: label})
	if err != nil {
		return nil, err
	}
	trained, err := l.Train(ctx, d, s)
	if err != nil {
		return nil, err
	}
	return b.Encode(trained)
}

// Fails trains on a table and returns the error that must come of it.
func Fails(t testing.TB, l learn.Learner, f *frame.Frame, label string) error {
	t.Helper()
	_, err := train(t.Context(), l, f, label, learn.NewSession())
	if err == nil {
		t.Fatal("the training succeeds")
	}
	return err
}

// Score scores a table by an artifact and returns the score columns.
func Score(t testing.TB, artifact []byte, f *frame.Frame) *frame.Frame {
	t.Helper()
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Bind(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	layout, err := frame.NewLayout(m.Fields())
	if err != nil {
		t.Fatal(err)
	}
	out := layout.New(f.Rows())
	if err := s.Score(s.NewState(), f, out.Cols); err != nil {
		t.Fatal(err)
	}
	return out
}

// Numbers returns a score column as numbers, NaN where a row has no score.
func Numbers(t testing.TB, scored *frame.Frame, name string) []float64 {
	t.Helper()
	c := scored.Col(name)
	if c == nil {
		t.Fatalf("no score column %q", name)
	}
	out := make([]float64, c.Len())
	for r := range out {
		if out[r] = math.NaN(); !c.IsNull(r) {
			out[r] = c.Float(r)
		}
	}
	return out
}

// AUC is the area under the ROC curve of scores for the rows whose label is
// the positive class.
func AUC(scores []float64, positive []bool) float64 {
	order := sortedBy(scores)
	ranks, n := 0.0, 0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		for _, r := range order[i:j] {
			if positive[r] {
				ranks += float64(i+j+1) / 2 // the mean of ranks i+1 to j
				n++
			}
		}
		i = j
	}
	m := len(order) - n
	return (ranks - float64(n)*float64(n+1)/2) / (float64(n) * float64(m))
}

package pcaanomaly_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/pcaanomaly"
	"github.com/portico-ml/portico/shared/model"
)

func learner(t testing.TB, edit func(*pcaanomaly.Options)) learn.Learner {
	t.Helper()
	o := pcaanomaly.Defaults
	edit(&o)
	l, err := pcaanomaly.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	for _, center := range []bool{false, true} {
		t.Run(fmt.Sprint(center), func(t *testing.T) {
			learntest.Suite{
				Learner: learner(t, func(o *pcaanomaly.Options) { o.Center = center }),
				Strict:  learner(t, func(o *pcaanomaly.Options) { o.Center, o.UnknownLevels = center, false }),
				Weights: 1e-9,
			}.Run(t)
		})
	}
}

// table reads a table of features alone.
func table(t *testing.T, name string) *frame.Frame {
	f := learntest.File(t, "../testdata/linear/"+name+".csv")
	f.Cols = f.Cols[:len(f.Cols)-1]
	return f
}

func TestGolden(t *testing.T) {
	var goldens []struct {
		Table                    string
		Components, Oversampling int
		Center                   bool
		Scores                   []float64
	}
	b, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &goldens); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		t.Run(fmt.Sprint(g.Table, g.Components, g.Oversampling, g.Center), func(t *testing.T) {
			f := table(t, g.Table)
			l := learner(t, func(o *pcaanomaly.Options) {
				o.Components, o.Oversampling, o.Center = g.Components, g.Oversampling, g.Center
			})
			scored := learntest.Score(t, learntest.Train(t, l, f, ""), f)
			for r, got := range learntest.Numbers(t, scored, model.ScoredProbabilities) {
				if math.Abs(got-g.Scores[r]) > 1e-8 {
					t.Fatalf("row %d: %v, numpy says %v", r, got, g.Scores[r])
				}
			}
		})
	}
}

// TestFindsOutliers is rows near a plane, and of new rows some off it.
func TestFindsOutliers(t *testing.T) {
	rows := func(outliers float64) *frame.Frame {
		var b strings.Builder
		b.WriteString("a,b,c,d\n")
		for i := range 200 {
			u, v := 3+math.Sin(float64(i)), 3+math.Cos(1.7*float64(i))
			off := 0.01 * math.Sin(5.3*float64(i))
			if i%50 == 7 {
				off += outliers
			}
			fmt.Fprintf(&b, "%v,%v,%v,%v\n", u+v+off, u-v, 2*u-off, v+off)
		}
		return learntest.Table(t, b.String())
	}
	artifact := learntest.Train(t, learner(t, func(*pcaanomaly.Options) {}), rows(0), "")
	scored := learntest.Score(t, artifact, rows(12))
	for r, odd := range learntest.Numbers(t, scored, model.ScoredLabels) {
		if (odd == 1) != (r%50 == 7) {
			t.Errorf("row %d has label %v, score %v", r, odd, scored.Col(model.ScoredProbabilities).Float(r))
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*pcaanomaly.Options){
		"components":   func(o *pcaanomaly.Options) { o.Components = 0 },
		"oversampling": func(o *pcaanomaly.Options) { o.Oversampling = -1 },
	} {
		o := pcaanomaly.Defaults
		edit(&o)
		if _, err := pcaanomaly.New(o); err == nil || !strings.Contains(err.Error(), "Error 0008") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package kmeans_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/kmeans"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/centroids"
)

var names = map[kmeans.Initialization]string{
	kmeans.PlusPlus: "K-Means++", kmeans.PlusPlusFast: "K-Means++ Fast", kmeans.FirstN: "First N",
	kmeans.Random: "Random", kmeans.Evenly: "Evenly", kmeans.ByLabel: "Use label column",
}

func learner(t testing.TB, edit func(*kmeans.Options)) learn.Learner {
	t.Helper()
	o := kmeans.Defaults
	if edit != nil {
		edit(&o)
	}
	l, err := kmeans.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	for initialization, name := range names {
		if initialization == kmeans.ByLabel {
			continue // the suite's tables have no label
		}
		for metric := range centroids.Cosine + 1 {
			t.Run(fmt.Sprint(name, metric), func(t *testing.T) {
				edit := func(o *kmeans.Options) {
					o.Centers, o.Initialization, o.Metric, o.Starts = 3, initialization, metric, 2
					o.Normalize = initialization == kmeans.PlusPlus
				}
				weights := 0.0
				if initialization == kmeans.FirstN || initialization == kmeans.Evenly {
					weights = 1e-9 // nothing is drawn
				}
				learntest.Suite{
					Learner: learner(t, edit), Strict: learner(t, func(o *kmeans.Options) { edit(o); o.UnknownLevels = false }),
					Steps: 2, Weights: weights,
				}.Run(t)
			})
		}
	}
}

// blobs is a table of four groups of rows far from each other, with a label of
// the group, and the rows' groups.
func blobs(rows int) (csv string, groups []int) {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("a,b,group\n")
	for range rows {
		g := rng.IntN(4)
		groups = append(groups, g)
		fmt.Fprintf(&b, "%.4f,%.4f,g%d\n", float64(20*(g%2))+rng.NormFloat64(), float64(20*(g/2))+rng.NormFloat64(), g)
	}
	return b.String(), groups
}

// labelled reads a table whose column group is the label.
func labelled(t *testing.T, csv string) *frame.Frame {
	t.Helper()
	f := learntest.Table(t, csv)
	f.Col("group").Field.Role = frame.Label
	return f
}

// TestFindsGroups is every initialization on groups that are plain to see.
func TestFindsGroups(t *testing.T) {
	csv, groups := blobs(400)
	f := labelled(t, csv)
	for initialization, name := range names {
		t.Run(name, func(t *testing.T) {
			l := learner(t, func(o *kmeans.Options) { o.Centers, o.Initialization, o.Starts = 4, initialization, 5 })
			drawn := initialization != kmeans.Evenly && initialization != kmeans.FirstN // the others start the same way each time
			scored := learntest.Score(t, learntest.Train(t, l, f, ""), f)
			assigned := learntest.Numbers(t, scored, model.Assignments)
			of := map[float64]int{}
			for r, c := range assigned {
				g, seen := of[c]
				if !seen {
					of[c] = groups[r]
				} else if g != groups[r] && drawn {
					t.Fatalf("row %d of group %d is in the cluster of group %d", r, groups[r], g)
				}
				for k := range 4 {
					own, other := scored.Col(model.ClusterDistance(int(c))).Float(r), scored.Col(model.ClusterDistance(k)).Float(r)
					if other < own {
						t.Fatalf("row %d is in cluster %v at %v, cluster %d is at %v", r, c, own, k, other)
					}
				}
			}
			if len(of) != 4 {
				t.Errorf("%d clusters have rows", len(of))
			}
		})
	}
}

// TestLabelOrder is first centers by label: cluster k is the k-th label.
func TestLabelOrder(t *testing.T) {
	csv, groups := blobs(400)
	f := labelled(t, csv)
	l := learner(t, func(o *kmeans.Options) { o.Centers, o.Initialization = 4, kmeans.ByLabel })
	for r, c := range learntest.Numbers(t, learntest.Score(t, learntest.Train(t, l, f, ""), f), model.Assignments) {
		if int(c) != groups[r] {
			t.Fatalf("row %d of group %d is in cluster %v", r, groups[r], c)
		}
	}
}

// TestLabelModes is a table that features split one way, and labels another:
// labels that are features win where they are not ignored.
func TestLabelModes(t *testing.T) {
	var b strings.Builder
	b.WriteString("a,b,group\n")
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range 200 {
		side, label := i%2, i/2%2
		text := "gu"[label : label+1]
		if i%10 == 9 {
			text = "" // missing
		}
		fmt.Fprintf(&b, "%.4f,%.4f,%s\n", 0.9*float64(side)+0.1*rng.Float64(), 0.3*float64(label)+0.1*rng.Float64(), text)
	}
	f := labelled(t, b.String())
	separated := map[kmeans.Labels]float64{}
	for mode := kmeans.Ignore; mode <= kmeans.Overwrite; mode++ {
		l := learner(t, func(o *kmeans.Options) { o.Labels, o.Starts = mode, 10 })
		scored := learntest.Score(t, learntest.Train(t, l, f, ""), f)
		same := 0.0
		for r, c := range learntest.Numbers(t, scored, model.Assignments) {
			if int(c) == r/2%2 {
				same++
			}
		}
		separated[mode] = max(same, 200-same) / 200 // clusters have no order
	}
	t.Log(separated)
	if separated[kmeans.Ignore] > 0.8 || separated[kmeans.Fill] < 0.95 {
		t.Errorf("the clusters agree with the labels by %v: labels that are features do not matter", separated)
	}
	b.Reset()
	b.WriteString("a,b,group\n")
	for range 200 {
		fmt.Fprintf(&b, "%.4f,%.4f,%c\n", 3*rng.Float64(), 3*rng.Float64(), "guw"[rng.IntN(3)])
	}
	f = labelled(t, b.String())
	var artifacts [][]byte
	for mode := kmeans.Ignore; mode <= kmeans.Overwrite; mode++ {
		artifacts = append(artifacts, learntest.Train(t, learner(t, func(o *kmeans.Options) { o.Labels, o.Centers, o.Seed = mode, 3, 4 }), f, ""))
	}
	if bytes.Equal(artifacts[0], artifacts[1]) || bytes.Equal(artifacts[1], artifacts[2]) || bytes.Equal(artifacts[0], artifacts[2]) {
		t.Error("two of the modes give the same clusters")
	}
	m, err := model.Open(artifacts[1])
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(m.Requires(), func(f frame.Field) bool { return f.Name == "group" }) {
		t.Error("the model reads the label")
	}
}

// TestResumesLabels stops a training with labels at every checkpoint.
func TestResumesLabels(t *testing.T) {
	csv, _ := blobs(300)
	f := labelled(t, csv)
	l := learner(t, func(o *kmeans.Options) { o.Labels, o.Centers, o.Starts = kmeans.Overwrite, 6, 3 })
	whole := learntest.Train(t, l, f, "")
	d, b, err := learn.Prepare(l, learn.Request{Frame: f})
	if err != nil {
		t.Fatal(err)
	}
	s := learn.NewSession()
	stop := errors.New("time is up")
	s.Checkpoint = func(state func() ([]byte, error)) error {
		saved, err := state()
		if err != nil {
			return err
		}
		s.Saved = saved
		return stop
	}
	for steps := 0; ; steps++ {
		trained, err := l.Train(t.Context(), d, s)
		if err != nil {
			continue
		}
		if steps < 3 {
			t.Errorf("%d checkpoints", steps)
		}
		artifact, err := b.Encode(trained)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(artifact, whole) {
			t.Error("another model than without stops")
		}
		return
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*kmeans.Options){
		"centers": func(o *kmeans.Options) { o.Centers = 0 }, "iterations": func(o *kmeans.Options) { o.Iterations = 0 },
		"starts": func(o *kmeans.Options) { o.Starts = 0 }, "metric": func(o *kmeans.Options) { o.Metric = 7 },
		"initialization": func(o *kmeans.Options) { o.Initialization = 9 }, "labels": func(o *kmeans.Options) { o.Labels = 9 },
	} {
		o := kmeans.Defaults
		edit(&o)
		if _, err := kmeans.New(o); err == nil || !strings.Contains(err.Error(), "Error 0008") {
			t.Errorf("%s: %v", name, err)
		}
	}
	few := learntest.Table(t, "a,b\n1,2\n")
	if err := learntest.Fails(t, learner(t, nil), few, ""); !strings.Contains(err.Error(), "Error 0021") {
		t.Error(err)
	}
	by := learner(t, func(o *kmeans.Options) { o.Initialization = kmeans.ByLabel })
	if err := learntest.Fails(t, by, learntest.Table(t, "a,b\n1,2\n3,4\n5,7\n"), ""); !strings.Contains(err.Error(), "Error 0058") {
		t.Error(err)
	}
}

// TestEqualRows has fewer different rows than centers.
func TestEqualRows(t *testing.T) {
	f := learntest.Table(t, "a,b\n1,2\n1,2\n1,2\n3,4\n3,4\n0,0\n")
	for initialization := kmeans.PlusPlus; initialization < kmeans.ByLabel; initialization++ {
		for metric := range centroids.Cosine + 1 {
			l := learner(t, func(o *kmeans.Options) { o.Centers, o.Initialization, o.Metric = 5, initialization, metric })
			scored := learntest.Score(t, learntest.Train(t, l, f, ""), f)
			for r, c := range learntest.Numbers(t, scored, model.Assignments) {
				if d := scored.Col(model.ClusterDistance(int(c))).Float(r); metric == centroids.Euclidean && initialization == kmeans.PlusPlus && d != 0 || math.IsNaN(d) {
					t.Errorf("%s: row %d is %v from its center", names[initialization], r, d)
				}
			}
		}
	}
}

// TestGolden compares centers with those of scikit-learn from the same first
// rows, and by the cosine metric with numpy's.
func TestGolden(t *testing.T) {
	f := learntest.File(t, "testdata/wine.csv")
	var goldens []struct {
		Metric    string
		Centers   int
		Normalize bool
		Assigned  []float64
		Distances [][]float64
	}
	b, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &goldens); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		t.Run(fmt.Sprint(g.Metric, g.Centers, g.Normalize), func(t *testing.T) {
			l := learner(t, func(o *kmeans.Options) {
				o.Initialization, o.Centers, o.Iterations, o.Normalize = kmeans.FirstN, g.Centers, 300, g.Normalize
				if g.Metric == "cosine" {
					o.Metric = centroids.Cosine
				}
			})
			scored := learntest.Score(t, learntest.Train(t, l, f, ""), f)
			if got := learntest.Numbers(t, scored, model.Assignments); !slices.Equal(got, g.Assigned) {
				t.Errorf("assignments %v, want %v", got, g.Assigned)
			}
			for k := range g.Centers {
				for r, got := range learntest.Numbers(t, scored, model.ClusterDistance(k)) {
					if want := g.Distances[r][k]; math.Abs(got-want) > 1e-9*max(1, want) {
						t.Fatalf("row %d is %v from center %d, want %v", r, got, k, want)
					}
				}
			}
		})
	}
}

package learntest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
)

// Suite is a learner under test, for labels of its kind: two classes, three
// classes, or counts. Learners of clusters and anomalies get none; what they
// find, their own tests must say.
type Suite struct {
	Learner learn.Learner
	// Strict is the same learner without UnknownLevels.
	Strict learn.Learner
	// Steps is the fewest checkpoints of a training; 0 where it makes none.
	Steps int
	// Weights is how near the scores of a row of weight 2 must be to those of
	// the row twice; 0 where the learner only heeds weights.
	Weights float64
	// Error is the most mean squared error of the answers for numbers, or the
	// most share of wrong labels, on a table that is easy to learn.
	Error float64
}

// Run runs the suite.
func (s Suite) Run(t *testing.T) {
	t.Run("learns", s.learns)
	t.Run("same bits", s.sameBits)
	t.Run("resumes", s.resumes)
	t.Run("cancelled", s.cancelled)
	t.Run("weights", s.weights)
	t.Run("missing", s.missing)
	t.Run("unknown level", s.unknown)
	t.Run("contributions", s.contributions)
	t.Run("odd tables", s.odd)
}

func sortedBy(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case v[a] < v[b]:
			return -1
		case v[a] > v[b]:
			return 1
		}
		return 0
	})
	return order
}

// labelled reports whether the learner predicts a label.
func (s Suite) labelled() bool {
	return s.Learner.Kind() != model.Clustering && s.Learner.Kind() != model.Anomaly
}

// target is the label column, "" of learners without.
func (s Suite) target() string {
	if s.labelled() {
		return "y"
	}
	return ""
}

// table reads CSV, without the label for learners that predict none.
func (s Suite) table(t *testing.T, csv string) *frame.Frame {
	t.Helper()
	f := Table(t, csv)
	if !s.labelled() {
		f.Cols = slices.DeleteFunc(f.Cols, func(c *frame.Column) bool { return c.Field.Name == "y" })
	}
	return f
}

// toy makes a table of rows with numbers x and z, category c and label y, the
// cells of a row given the random numbers' generator. The label depends on x
// and c.
func (s Suite) toy(rows int, seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	b.WriteString("x,z,c,y\n")
	for range rows {
		x, z, c := 4*rng.Float64()-2, rng.NormFloat64(), rng.IntN(3)
		fmt.Fprintf(&b, "%.6g,%.6g,%c,%s\n", x, 100*z, 'p'+rune(c), s.label(x+float64(c)-1, rng))
	}
	return b.String()
}

// label of a row whose signal is v, from -3 to 3.
func (s Suite) label(v float64, rng *rand.Rand) string {
	switch s.Learner.Kind() {
	case model.TwoClass:
		if v > 0.2*rng.NormFloat64() {
			return "yes"
		}
		return "no"
	case model.Multiclass:
		switch v += 0.2 * rng.NormFloat64(); {
		case v < -1:
			return "a-low"
		case v < 1:
			return "b-mid"
		}
		return "c-high"
	}
	return fmt.Sprint(math.Round(math.Exp(1 + v/2 + 0.1*rng.NormFloat64())))
}

// learns is a table that is easy to learn.
func (s Suite) learns(t *testing.T) {
	f, test := s.table(t, s.toy(600, 1)), s.table(t, s.toy(300, 2))
	artifact := Train(t, s.Learner, f, s.target())
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	if h := m.Header(); h.Learner != s.Learner.Name() || h.Kind != s.Learner.Kind() {
		t.Errorf("the model says learner %q, kind %q", h.Learner, h.Kind)
	}
	if !s.labelled() {
		return
	}
	scored := Score(t, artifact, test)
	wrong, y := 0.0, test.Col("y")
	for r := range test.Rows() {
		switch s.Learner.Kind() {
		case model.TwoClass, model.Multiclass:
			if c := scored.Col(model.ScoredLabels); string(c.Print(nil, r)) != string(y.Print(nil, r)) {
				wrong++
			}
		default:
			e := scored.Cols[0].Float(r) - y.Float(r)
			wrong += e * e
		}
	}
	if wrong /= float64(test.Rows()); !(wrong <= s.Error) {
		t.Errorf("an error of %v, want at most %v", wrong, s.Error)
	}
	if s.Learner.Kind() == model.Multiclass {
		for r := range test.Rows() {
			sum := 0.0
			for _, c := range scored.Cols[:3] {
				if p := c.Float(r); p < 0 || p > 1 {
					t.Fatalf("row %d has a probability of %v", r, p)
				}
				sum += c.Float(r)
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Fatalf("the probabilities of row %d add up to %v", r, sum)
			}
		}
	}
}

// sameBits is the same model for any number of workers.
func (s Suite) sameBits(t *testing.T) {
	f := s.table(t, s.toy(3000, 3))
	var first []byte
	for _, workers := range []int{1, 2, 7, 1} {
		session := learn.NewSession()
		session.Workers = workers
		artifact, err := train(t.Context(), s.Learner, f, s.target(), session)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = artifact
		}
		if !bytes.Equal(first, artifact) {
			t.Fatalf("%d workers give another model than one", workers)
		}
	}
}

// resumes stops at every checkpoint.
func (s Suite) resumes(t *testing.T) {
	f := s.table(t, s.toy(700, 4))
	whole := Train(t, s.Learner, f, s.target())
	stop := errors.New("time is up")
	steps, saved := 0, []byte(nil)
	for {
		session := learn.NewSession()
		session.Saved = saved
		session.Checkpoint = func(state func() ([]byte, error)) error {
			next, err := state()
			if err != nil {
				return err
			}
			if next == nil {
				t.Fatal("a checkpoint saves nothing")
			}
			saved = bytes.Clone(next)
			return stop
		}
		artifact, err := train(t.Context(), s.Learner, f, s.target(), session)
		if err == nil {
			if !bytes.Equal(artifact, whole) {
				t.Errorf("after %d stops another model than without", steps)
			}
			break
		}
		if !errors.Is(err, stop) {
			t.Fatalf("after %d stops: %v", steps, err)
		}
		if steps++; steps > 10_000 {
			t.Fatal("the training does not end")
		}
	}
	if steps < s.Steps {
		t.Errorf("%d checkpoints, want at least %d", steps, s.Steps)
	}
}

func (s Suite) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := train(ctx, s.Learner, s.table(t, s.toy(3000, 5)), s.target(), learn.NewSession()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled it gives %v", err)
	}
}

// weights are rows of weight 2, twice, and of weight 0.
func (s Suite) weights(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	lines := strings.Split(strings.TrimSpace(s.toy(400, 6)), "\n")
	var weighted, twice strings.Builder
	weighted.WriteString("weight," + lines[0] + "\n")
	twice.WriteString(lines[0] + "\n")
	for _, l := range lines[1:] {
		n := rng.IntN(3)
		fmt.Fprintf(&weighted, "%d,%s\n", n, l)
		twice.WriteString(strings.Repeat(l+"\n", n))
	}
	test := s.table(t, s.toy(100, 7))
	a := Score(t, Train(t, s.Learner, s.table(t, weighted.String()), s.target()), test)
	b := Score(t, Train(t, s.Learner, s.table(t, twice.String()), s.target()), test)
	c := Score(t, Train(t, s.Learner, s.table(t, strings.Join(lines, "\n")+"\n"), s.target()), test)
	heeded := false
	for i, col := range a.Cols {
		if col.Field.Name == model.ScoredLabels && s.Learner.Kind().Classes() > 0 {
			continue
		}
		for r := range test.Rows() {
			got, want := col.Float(r), b.Cols[i].Float(r)
			if s.Weights > 0 && !(math.Abs(got-want) <= s.Weights*max(1, math.Abs(want))) {
				t.Fatalf("row %d has %s %v, %v where rows are there as often as they weigh", r, col.Field.Name, got, want)
			}
			heeded = heeded || got != c.Cols[i].Float(r)
		}
	}
	if !heeded {
		t.Error("the weights do not matter")
	}
}

// missing are cells without a value in training and scoring: no failure, no
// answer that is no number, and none at all from learners that need all cells.
func (s Suite) missing(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	lines := strings.Split(strings.TrimSpace(s.toy(400, 8)), "\n")
	for i, l := range lines[1:] {
		cells := strings.Split(l, ",")
		if k := rng.IntN(12); k < 4 {
			cells[k] = ""
		}
		lines[i+1] = strings.Join(cells, ",")
	}
	f := s.table(t, strings.Join(lines, "\n")+"\n")
	scored := Score(t, Train(t, s.Learner, f, s.target()), f)
	for r := range f.Rows() {
		hole := f.Cols[0].IsNull(r) || f.Cols[1].IsNull(r) || f.Cols[2].IsNull(r)
		for _, c := range scored.Cols {
			switch {
			case s.Learner.Form().Complete && hole:
				if !c.IsNull(r) {
					t.Fatalf("row %d misses a cell and has a score", r)
				}
			case c.IsNull(r):
				t.Fatalf("row %d has no score", r)
			case c.Field.Type == frame.Double && math.IsNaN(c.Float(r)):
				t.Fatalf("row %d has the score NaN", r)
			}
		}
	}
}

// unknown is a level that training did not see.
func (s Suite) unknown(t *testing.T) {
	f, test := s.table(t, s.toy(300, 9)), s.table(t, "x,z,c\n0.5,1,q\n0.5,1,never\n")
	scored := Score(t, Train(t, s.Learner, f, s.target()), test)
	for _, c := range scored.Cols {
		if c.IsNull(1) {
			t.Errorf("a row with an unknown level has no %s", c.Field.Name)
		}
	}
	scored = Score(t, Train(t, s.Strict, f, s.target()), test)
	for _, c := range scored.Cols {
		if c.IsNull(0) || c.IsNull(1) != s.Strict.Form().Complete {
			t.Errorf("where unknown levels are not allowed, rows of a known and an unknown one have %s missing: %v, %v", c.Field.Name, c.IsNull(0), c.IsNull(1))
		}
	}
}

// odd are tables at the edges: every score must be a number.
func (s Suite) odd(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 10))
	cell := map[string]func(i int, x float64) string{
		"one feature":   func(_ int, x float64) string { return fmt.Sprint(x) },
		"constant":      func(_ int, x float64) string { return fmt.Sprint(x) + ",5" },
		"equal columns": func(_ int, x float64) string { return strings.Repeat(","+fmt.Sprint(x), 3)[1:] },
		"huge":          func(_ int, x float64) string { return fmt.Sprint(x*1e300) + "," + fmt.Sprint(rng.NormFloat64()) },
		"tiny":          func(_ int, x float64) string { return fmt.Sprint(x*1e-300) + "," + fmt.Sprint(rng.NormFloat64()) },
		"huge and tiny": func(_ int, x float64) string { return fmt.Sprint(x*1e200) + "," + fmt.Sprint(x*1e-200) },
		"far from zero": func(_ int, x float64) string { return fmt.Sprint(1e9 + x) },
		"an outlier": func(i int, x float64) string {
			if i == 17 {
				return "1e12"
			}
			return fmt.Sprint(x)
		},
		"a level for each row": func(i int, x float64) string { return fmt.Sprintf("%v,l%d", x, i) },
	}
	for name, cells := range cell {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			columns := strings.Count(cells(0, 1), ",") + 1
			for i := range columns {
				fmt.Fprintf(&b, "f%d,", i)
			}
			b.WriteString("y\n")
			for i := range 60 {
				x := 4*rng.Float64() - 2
				fmt.Fprintf(&b, "%s,%s\n", cells(i, x), s.label(x*1.4, rng))
			}
			f := s.table(t, b.String())
			scored := Score(t, Train(t, s.Learner, f, s.target()), f)
			for _, c := range scored.Cols {
				for r := range f.Rows() {
					if c.IsNull(r) || c.Field.Type == frame.Double && (math.IsNaN(c.Float(r)) || math.IsInf(c.Float(r), 0)) {
						t.Fatalf("row %d has %s %q", r, c.Field.Name, c.Print(nil, r))
					}
				}
			}
		})
	}
}

package learn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// spoon is a learner that is never fed.
type spoon struct {
	kind model.Kind
	form Form
}

func (s spoon) Name() string     { return "Spoon" }
func (s spoon) Kind() model.Kind { return s.kind }
func (s spoon) Form() Form       { return s.form }
func (s spoon) Train(context.Context, *Data, *Session) (*Trained, error) {
	return nil, errors.New("a spoon does not learn")
}

func table(t *testing.T, csv string, change func(frame.Schema)) *frame.Frame {
	t.Helper()
	s, err := frame.Inference{}.Infer([]byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	l, err := frame.NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(csv), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const animals = `name,legs,colour,weight,pet
Rex,4,brown,1,yes
Tweety,2,yellow,2,yes
Nemo,,orange,1,no
Kaa,0,,0,no
Bagheera,4,black,1,
Baloo,4,brown,1,no
Duffy,2,black,1,no
Mickey,2,black,1,yes
Flat,2,white,0,no
`

func roles(s frame.Schema) {
	s[s.Index("name")].Role = frame.ID
	s[s.Index("weight")].Role = frame.Weight
}

func TestPrepare(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name     string
		kind     model.Kind
		form     Form
		x        [][]float64
		levels   []int
		label    []float64
		weight   []float64
		features []string
		kept     []int
	}{
		{
			name: "codes keep missing cells", kind: model.TwoClass, form: Form{Codes: true},
			x: [][]float64{{4, 2, nan, 4, 2, 2}, {1, 3, 2, 1, 0, 0}}, levels: []int{0, 4},
			label: []float64{1, 1, 0, 0, 0, 1}, weight: []float64{1, 2, 1, 1, 1, 1}, features: []string{"legs", "colour"}, kept: []int{0, 1, 2, 5, 6, 7},
		},
		{
			name: "a code for what is unknown", kind: model.TwoClass, form: Form{Codes: true, UnknownLevels: true},
			x: [][]float64{{4, 2, nan, 4, 2, 2}, {1, 3, 2, 1, 0, 0}}, levels: []int{0, 5},
			label: []float64{1, 1, 0, 0, 0, 1}, weight: []float64{1, 2, 1, 1, 1, 1}, features: []string{"legs", "colour"}, kept: []int{0, 1, 2, 5, 6, 7},
		},
		{
			name: "complete rows as indicators", kind: model.TwoClass, form: Form{Complete: true},
			x: [][]float64{{4, 2, 4, 2, 2}, {0, 0, 0, 1, 1}, {1, 0, 1, 0, 0}, {0, 1, 0, 0, 0}}, levels: []int{0, 0, 0, 0},
			label: []float64{1, 1, 0, 0, 1}, weight: []float64{1, 2, 1, 1, 1}, features: []string{"legs", "colour-black", "colour-brown", "colour-yellow"}, kept: []int{0, 1, 5, 6, 7},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, b, err := Prepare(spoon{tt.kind, tt.form}, Request{Frame: table(t, animals, roles), Label: "pet"})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range b.Features() {
				names = append(names, f.Name)
			}
			same := cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })
			for what, diff := range map[string]string{
				"features": cmp.Diff(tt.features, names), "x": cmp.Diff(tt.x, d.X, same), "levels": cmp.Diff(tt.levels, d.Levels),
				"label": cmp.Diff(tt.label, d.Label), "weight": cmp.Diff(tt.weight, d.Weight), "kept": cmp.Diff(tt.kept, b.Kept),
			} {
				if diff != "" {
					t.Errorf("%s:\n%s", what, diff)
				}
			}
			if l := b.Label(); l.Positive != "yes" || l.Classes[1] != "yes" || d.Classes != 2 {
				t.Errorf("label %+v", l)
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, csv, label string
		kind             model.Kind
		number           int
		says             string
	}{
		{"no label column", animals, "Pet", model.TwoClass, 58, `no label column "Pet"`},
		{"one class", "a,y\n1,x\n2,x\n3,x\n4,x\n5,x\n6,\n", "y", model.TwoClass, 134, `one value only, "x"`},
		{"three classes", "a,y\n1,x\n2,y\n3,z\n4,z\n5,z\n", "y", model.TwoClass, 17, "has 3 values"},
		{"no labelled row", "a,y\n1,\n2,\n", "y", model.TwoClass, 134, "no row can be learned from"},
		{"text to predict as a number", "a,y\n1,x\n2,y\n", "y", model.Regression, 17, "predicts a number"},
		{"three labelled rows", "a,y\n1,x\n2,y\n3,x\n4,\n", "y", model.TwoClass, 134, "3 rows with a label"},
		{"nothing to learn from", "y\n1\n2\n3\n4\n5\n", "y", model.Regression, 20, "no column to learn from"},
		{"no rows", "a,y\n", "y", model.TwoClass, 134, "no row"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := table(t, tt.csv, nil)
			_, _, err := Prepare(spoon{tt.kind, Form{Complete: true}}, Request{Frame: f, Label: tt.label})
			if !fault.HasCode(err, fault.ModuleCode(tt.number)) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("err = %v, want error %04d that says %q", err, tt.number, tt.says)
			}
		})
	}
	negative := table(t, "a,w,y\n1,1,2\n2,-1,3\n", func(s frame.Schema) { s[1].Role = frame.Weight })
	if _, _, err := Prepare(spoon{kind: model.Regression}, Request{Frame: negative, Label: "y"}); !fault.HasCode(err, "Error0018") {
		t.Errorf("a negative weight: %v", err)
	}
}

// A column with another value in every row says nothing about new rows.
func TestPrepareIdentifiers(t *testing.T) {
	var csv strings.Builder
	csv.WriteString("key,a,y\n")
	for i := range 60 {
		fmt.Fprintf(&csv, "k%d,%d,%d\n", i, i%7, i%2)
	}
	_, b, err := Prepare(spoon{model.TwoClass, Form{}}, Request{Frame: table(t, csv.String(), nil), Label: "y"})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Features()) != 1 || len(b.Ignored) != 1 || b.Ignored[0].Column != "key" {
		t.Errorf("features %+v, ignored %+v", b.Features(), b.Ignored)
	}
}

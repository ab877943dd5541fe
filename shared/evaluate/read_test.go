package evaluate

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// read makes a table of CSV; roles are by column.
func read(t testing.TB, csv string, roles map[string]frame.Role) *frame.Frame {
	t.Helper()
	schema, err := frame.Inference{}.Infer([]byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	for i := range schema {
		schema[i].Role = roles[schema[i].Name]
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(csv), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var labelY = map[string]frame.Role{"y": frame.Label}

func TestPositiveIsWhatTheModelSays(t *testing.T) {
	for name, c := range map[string]struct{ csv, positive, negative string }{
		"said at 0.5 and above": {"y,Scored Labels,Scored Probabilities\nb,a,0.9\na,b,0.2\n", "a", "b"},
		"said below only":       {"y,Scored Labels,Scored Probabilities\nb,b,0.1\na,b,0.2\n", "a", "b"},
		"one word only":         {"y,Scored Labels,Scored Probabilities\nno,no,0.1\nno,no,0.2\n", "", "no"},
		"other words":           {"y,Scored Labels,Scored Probabilities\nbad,0,0.1\ngood,1,0.8\n", "good", "bad"},
		"no labels scored":      {"y,Scored Probabilities\nyes,0.1\nno,0.8\n", "yes", "no"},
		"true":                  {"y,Scored Probabilities\nFalse,0.1\nTrue,0.8\n", "True", "False"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Of(read(t, c.csv, labelY))
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != model.TwoClass || r.TwoClass.Positive != c.positive || r.TwoClass.Negative != c.negative {
				t.Errorf("positive %q, negative %q", r.TwoClass.Positive, r.TwoClass.Negative)
			}
		})
	}
}

// TestClassTheModelDoesNotKnow: rows of such a class are wrong, and as certain
// an error as there is.
func TestClassTheModelDoesNotKnow(t *testing.T) {
	r, err := Of(read(t, `y,"Scored Probabilities for Class ""a""","Scored Probabilities for Class ""b""",Scored Labels
a,0.75,0.25,a
b,0.25,0.75,b
c,0.5,0.5,a
`, labelY))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Metrics.Get(Accuracy), 2.0/3; !near(got, want) {
		t.Errorf("accuracy %v", got)
	}
	if got, want := r.Metrics.Get(AverageLogLoss), (-2*math.Log(0.75)-math.Log(0x1p-52))/3; !near(got, want) {
		t.Errorf("log loss %v, want %v", got, want)
	}
	if len(r.Multiclass.Classes) != 3 || r.Multiclass.Classes[2].Class != "c" || r.Multiclass.Confusion[2][0] != 1 {
		t.Errorf("%+v", r.Multiclass)
	}
}

func TestManyClasses(t *testing.T) {
	var b strings.Builder
	b.WriteString("y,Scored Labels\n")
	for i := range MaxConfusion + 20 {
		fmt.Fprintf(&b, "c%d,c%d\n", i, i/2*2)
	}
	r, err := Of(read(t, b.String(), labelY))
	if err != nil {
		t.Fatal(err)
	}
	if r.Multiclass.Confusion != nil || len(r.Multiclass.Classes) != MaxConfusion+20 || r.Metrics.Get(Accuracy) != 0.5 {
		t.Errorf("accuracy %v, %d classes", r.Metrics.Get(Accuracy), len(r.Multiclass.Classes))
	}
	if r.Skipped != 0 || r.Rows != MaxConfusion+20 {
		t.Errorf("%d rows, %d skipped", r.Rows, r.Skipped)
	}
}

func TestClassOutsideTheLabels(t *testing.T) {
	// Every prediction is of a class that is no label of the table, and has no
	// column of probabilities.
	r, err := Of(read(t, "y,Scored Labels\na,x\nb,b\nc,x\n", labelY))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Metrics.Get(Accuracy); !near(got, 1.0/3) {
		t.Errorf("accuracy %v", got)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		csv    string
		roles  map[string]frame.Role
		number int
	}{
		"text as weight":             {"y,w,Scored Labels,Scored Probabilities\n1,x,1,0.5\n0,y,0,0.1\n", map[string]frame.Role{"y": frame.Label, "w": frame.Weight}, 18},
		"no weight above 0":          {"y,w,Scored Labels,Scored Probabilities\n1,0,1,0.5\n0,-1,0,0.1\n", map[string]frame.Role{"y": frame.Label, "w": frame.Weight}, 134},
		"clusters without distances": {"y,Assignments\n1,0\n", nil, 25},
		"a cluster that is not":      {"Assignments,DistancesToClusterCenter no.0\n1,0.5\n", nil, 25},
		"nothing assigned":           {"x,Assignments,DistancesToClusterCenter no.0\n1,0,\n2,,0.5\n", nil, 21},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Of(read(t, c.csv, c.roles))
			if !fault.HasCode(err, fault.ModuleCode(c.number)) {
				t.Errorf("%v, want number %d", err, c.number)
			}
		})
	}
}

// TestOrderOfKeys holds the sort by bytes to the order of numbers.
func TestOrderOfKeys(t *testing.T) {
	falls := []float64{math.Inf(1), math.MaxFloat64, 2, 1, 0.5, 0x1p-1074, 0, -0x1p-1074, -0.5, -2, math.Inf(-1)}
	for i, p := range falls {
		if i > 0 && falling(p) <= falling(falls[i-1]) {
			t.Errorf("%v does not come after %v", p, falls[i-1])
		}
		if got := (ranked{key: falling(p)}).p(); got != p {
			t.Errorf("%v comes back as %v", p, got)
		}
	}
	if falling(math.Copysign(0, -1)) != falling(0) {
		t.Error("there are two zeros")
	}
}

// TestResultIsBounded: the document of many rows is small.
func TestResultIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("y,Scored Labels,Scored Probabilities\n")
	for i := range 20_000 {
		p := float64(i*7919%20_000) / 20_000
		y, said := 0, 0
		if float64(i%97)/97 < p {
			y = 1
		}
		if p >= 0.5 {
			said = 1
		}
		fmt.Fprintf(&b, "%d,%d,%v\n", y, said, p)
	}
	r, err := Of(read(t, b.String(), labelY))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.TwoClass.Curve.Threshold) > MaxCurve || len(r.TwoClass.Curve.Threshold) < MaxCurve/2 || len(body) > 64<<10 {
		t.Errorf("%d points, %d bytes", len(r.TwoClass.Curve.Threshold), len(body))
	}
}

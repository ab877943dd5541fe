package train_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// rows of two features and a label of two classes.
func labelled(t *testing.T, n int) *frame.Frame {
	t.Helper()
	var b strings.Builder
	b.WriteString("x,z,y\n")
	for i := range n {
		y := "no"
		if (i*7)%10 > 4 != (i%11 == 0) {
			y = "yes"
		}
		fmt.Fprintf(&b, "%d,%v,%s\n", (i*7)%10, float64(i*i%13)/4, y)
	}
	schema, err := frame.Inference{}.Infer([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(b.String()), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// job is a module with its inputs.
type job struct {
	t      *testing.T
	p      *module.Palette
	m      *module.Module
	params module.Values
	inputs []module.Value
}

func newJob(t *testing.T, name string, params map[string]string, learner string, learnerParams map[string]string, tables ...*frame.Frame) *job {
	t.Helper()
	j := &job{t: t, p: palette()}
	resolve := func(name string, given map[string]string) (*module.Module, module.Values) {
		m := j.p.Lookup(name)
		if m == nil {
			t.Fatalf("no module %q", name)
		}
		v, problems := m.Resolve(given)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return m, v
	}
	l, v := resolve(learner, learnerParams)
	untrained, err := l.Execute(t.Context(), &module.Call{Params: v, Palette: j.p, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	j.m, j.params = resolve(name, params)
	j.inputs = make([]module.Value, len(j.m.Inputs))
	j.inputs[0] = untrained[0]
	for i, f := range tables {
		j.inputs[i+1] = module.Table(f)
	}
	return j
}

var errStop = errors.New("the message's time is over")

// run executes the job. It stops at checkpoint number stop, counted from 1, and
// returns what was saved there; 0 never stops.
func (j *job) run(saved []byte, stop int) (out []module.Value, state []byte, checkpoints int) {
	j.t.Helper()
	call := &module.Call{Params: j.params, Inputs: j.inputs, Palette: j.p, Log: func(string, ...any) {}, Saved: saved}
	call.Checkpoint = func(save func() ([]byte, error)) error {
		if checkpoints++; checkpoints != stop {
			return nil
		}
		var err error
		if state, err = save(); err != nil {
			j.t.Fatal(err)
		}
		return errStop
	}
	out, err := j.m.Execute(j.t.Context(), call)
	if err != nil && !errors.Is(err, errStop) {
		j.t.Fatal(err)
	}
	if state == nil && err != nil {
		j.t.Fatal("stopped without a state")
	}
	return out, state, checkpoints
}

func encode(out []module.Value) []byte {
	var b bytes.Buffer
	for _, v := range out {
		if v.Frame != nil {
			b.Write(frame.Encode(v.Frame))
		}
		b.Write(v.Artifact)
		b.Write(v.View)
	}
	return b.Bytes()
}

// TestGoOn stops at every checkpoint and goes on from there: the results are
// those of a run that was never stopped, bit by bit, and nothing is done twice.
func TestGoOn(t *testing.T) {
	table := labelled(t, 40)
	grid := map[string]string{"Create trainer mode": "Parameter Range", "L2 regularization weight": "0.1;1;10", "L1 regularization weight": "0;0.5"}
	for name, j := range map[string]*job{
		"train": newJob(t, "Train Model", map[string]string{"Label column": "y"}, "Two-Class Logistic Regression", nil, table),
		"cross-validate": newJob(t, "Cross-Validate Model", map[string]string{"Label column": "y"},
			"Two-Class Logistic Regression", nil, table),
		"tune": newJob(t, "Tune Model Hyperparameters", map[string]string{"Label column": "y", "Specify parameter sweeping mode": "Random grid"},
			"Two-Class Logistic Regression", grid, table),
		"sweep": newJob(t, "Sweep Clustering", map[string]string{"Specify parameter sweeping mode": "Entire grid"},
			"K-Means Clustering", map[string]string{"Create trainer mode": "Parameter Range", "Number of Centroids": "2;3;4"}, table),
	} {
		t.Run(name, func(t *testing.T) {
			j.t = t
			whole, _, all := j.run(nil, 0)
			want := encode(whole)
			if all < 3 {
				t.Fatalf("%d checkpoints", all)
			}
			for stop := 1; stop <= all; stop += 1 + all/40 {
				_, saved, _ := j.run(nil, stop)
				out, _, rest := j.run(saved, 0)
				if !bytes.Equal(encode(out), want) {
					t.Fatalf("stopped at checkpoint %d of %d it gives another result", stop, all)
				}
				if rest > all-stop+1 {
					t.Errorf("stopped at checkpoint %d of %d, %d were left", stop, all, rest)
				}
			}
			// Stopped again and again, it ends all the same.
			var saved []byte
			for turn := 0; ; turn++ {
				out, state, _ := j.run(saved, 2)
				if state == nil {
					if !bytes.Equal(encode(out), want) {
						t.Fatal("stopped again and again it gives another result")
					}
					break
				}
				if saved = state; turn > all {
					t.Fatal("it does not get on")
				}
			}
		})
	}
}

func TestDamagedState(t *testing.T) {
	j := newJob(t, "Cross-Validate Model", map[string]string{"Label column": "y"}, "Two-Class Logistic Regression", nil, labelled(t, 20))
	call := &module.Call{Params: j.params, Inputs: j.inputs, Palette: j.p, Log: t.Logf, Saved: []byte("{")}
	if _, err := j.m.Execute(t.Context(), call); err == nil || !strings.Contains(err.Error(), "Error 1000") {
		t.Errorf("%v", err)
	}
}

package runs_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/scoring"
)

// churnBench has the churn sample's dataset, model and experiment.
func churnBench(t testing.TB, kind string) (*bench, string) {
	b := newBench(t)
	b.dataset("customers_train", read(t, samples+"/customers_train.csv"))
	b.churnModel(kind)
	return b, b.experiment("churn", read(t, samples+"/churn.json"))
}

func TestChurnDeployment(t *testing.T) {
	b, id := churnBench(t, "native")
	finished(t, b.run(id))
	d := b.deployable(id)
	in, out := d.Parsed.Inputs[0].Schema, d.Parsed.Outputs[0].Schema
	if len(in) != 21 {
		t.Fatalf("the input has %d columns: %v", len(in), in.Names())
	}
	for _, f := range in {
		optional := f.Name == "customer_id" || f.Name == "churn"
		if f.Optional != optional || !f.Nullable {
			t.Errorf("column %s: optional %v, nullable %v", f.Name, f.Optional, f.Nullable)
		}
	}
	if f := in[in.Index("customer_id")]; f.Role != frame.ID {
		t.Errorf("customer_id has role %q", f.Role)
	}
	if f := in[in.Index("state")]; len(f.Levels) != 51 {
		t.Errorf("state has %d levels", len(f.Levels))
	}
	if out.Index("churn") >= 0 || out.Index("customer_id") != 0 || !slices.Equal(out.Names()[20:], []string{"Scored Labels", "Scored Probabilities"}) {
		t.Errorf("the output has %v", out.Names())
	}
	if len(d.Models) != 1 || d.Models[0].Name != "churn model" || d.Models[0].Version != 1 || !d.Models[0].Verified || d.Models[0].Newer != 0 {
		t.Errorf("models %+v", d.Models)
	}
	if a := d.Parsed.Assets; len(a) != 1 || a[0].Resource != "churn model [trained model]" {
		t.Errorf("assets %+v", a)
	}
	contains(t, d.Warnings, "the label churn is accepted but not needed")
	if again := b.deployable(id); !bytes.Equal(again.Manifest, d.Manifest) {
		t.Error("publishing the same run again gives another manifest")
	}
	dep := b.load(d)
	if err := dep.Doctor(t.Context()); err != nil {
		t.Error(err)
	}

	b.churnModel("onehot")
	d = b.deployable(id)
	if d.Models[0].Newer != 2 {
		t.Errorf("a newer model version is not told: %+v", d.Models)
	}
	contains(t, d.Warnings, `version 2 exists`)
}

// rows reads a CSV by the first input's layout, the columns it has not as
// missing.
func rows(t testing.TB, d *scoring.Deployment, csv []byte) *frame.Frame {
	t.Helper()
	f, err := frame.CSV{}.Read(csv, d.Input(0))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// score scores rows lo to hi of f in one call and returns a line of text per
// row, which is all that a client sees.
func score(t testing.TB, s *scoring.Session, f *frame.Frame, lo, hi int) []string {
	t.Helper()
	s.Reset()
	for i, c := range s.Inputs[0].Cols {
		c.AppendRange(f.Cols[i], lo, hi)
	}
	out, err := s.Score(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, out[0].Rows())
	for r := range lines {
		lines[r] = string(frame.AppendCSVRows(nil, out[0], r, r+1, ','))
	}
	return lines
}

// TestSameTextWhateverTheBatch sends every row alone, all together, and as
// parts of batches of several sizes.
func TestSameTextWhateverTheBatch(t *testing.T) {
	for _, kind := range []string{"native", "onehot"} {
		t.Run(kind, func(t *testing.T) {
			b, id := churnBench(t, kind)
			finished(t, b.run(id))
			d := b.load(b.deployable(id))
			f := rows(t, d, read(t, samples+"/customers_train.csv"))
			may := rows(t, d, read(t, samples+"/customers_may.csv"))
			for i, c := range f.Cols {
				c.AppendRange(may.Cols[i], 0, may.Rows())
			}
			if f.Rows() != 5000 {
				t.Fatalf("%d rows", f.Rows())
			}
			s := d.Session()
			want := score(t, s, f, 0, f.Rows())
			states := make(map[string]bool)
			for r := range f.Rows() {
				states[string(f.Col("state").Text(r))] = true
				if got := score(t, s, f, r, r+1); got[0] != want[r] {
					t.Fatalf("row %d alone gives\n%s among 5,000\n%s", r+1, got[0], want[r])
				}
			}
			if len(states) != 51 {
				t.Errorf("%d states", len(states))
			}
			for _, size := range []int{2, 63, 64, 65, 1023, 1024, 1025, 2500} {
				for lo := 0; lo < f.Rows(); lo += size {
					hi := min(lo+size, f.Rows())
					if got := score(t, s, f, lo, hi); !slices.Equal(got, want[lo:hi]) {
						t.Fatalf("rows %d to %d in batches of %d differ from 5,000 together", lo+1, hi, size)
					}
				}
			}
			s.Release()
		})
	}
}

func TestChurnScores(t *testing.T) {
	for _, kind := range []string{"native", "onehot"} {
		t.Run(kind, func(t *testing.T) {
			b, id := churnBench(t, kind)
			finished(t, b.run(id))
			d := b.load(b.deployable(id))
			check := read(t, samples+"/churn_"+kind+".expected.csv")
			f := rows(t, d, check)
			in := frame.Schema{{Name: "Scored Probabilities", Type: frame.Double}}
			layout, err := frame.NewLayout(in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := frame.CSV{}.Read(check, layout)
			if err != nil {
				t.Fatal(err)
			}
			s := d.Session()
			for i, c := range s.Inputs[0].Cols {
				c.AppendRange(f.Cols[i], 0, f.Rows())
			}
			out, err := s.Score(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p := out[0].Col("Scored Probabilities")
			for r := range f.Rows() {
				if y := want.Cols[0].Floats[r]; math.Abs(p.Floats[r]-y) > 1e-6*math.Max(1, math.Abs(y)) {
					t.Fatalf("row %d: %v, XGBoost gave %v", r+1, p.Floats[r], y)
				}
			}
			if s.Counts.Rows != 5500 || s.Counts.Missing == 0 || s.Counts.UnknownLevels != 0 {
				t.Errorf("counts %+v", s.Counts)
			}
		})
	}
}

// TestTariff runs the data-only service over all customers: with the usual
// rates the charges are the recorded ones, with others they are others.
func TestTariff(t *testing.T) {
	b := newBench(t)
	b.dataset("customers_train", read(t, samples+"/customers_train.csv"))
	id := b.experiment("tariff", read(t, samples+"/tariff.json"))
	finished(t, b.run(id))
	made := b.deployable(id)
	if got := made.Parsed.Inputs[0].Schema.Names(); !slices.Equal(got, []string{"customer_id", "total_day_minutes", "total_eve_minutes", "total_night_minutes", "total_intl_minutes"}) {
		t.Errorf("input %v", got)
	}
	var names []string
	for _, p := range made.Parsed.Parameters {
		names = append(names, fmt.Sprintf("%s=%s", p.Name, *p.Default))
	}
	if !slices.Equal(names, []string{"day rate=0.17", "evening rate=0.085", "night rate=0.045", "international rate=0.27"}) {
		t.Errorf("parameters %v", names)
	}
	d := b.load(made)
	s := d.Session()
	for _, file := range []string{"customers_train", "customers_may"} {
		csv := read(t, samples+"/"+file+".csv")
		f := rows(t, d, csv)
		layout, err := frame.NewLayout(frame.Schema{
			{Name: "total_day_charge", Type: frame.Double},
			{Name: "total_eve_charge", Type: frame.Double},
			{Name: "total_night_charge", Type: frame.Double},
			{Name: "total_intl_charge", Type: frame.Double},
		})
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := frame.CSV{}.Read(csv, layout)
		if err != nil {
			t.Fatal(err)
		}
		charges := tariff(t, s, f, nil)
		for i := range recorded.Cols {
			for r := range f.Rows() {
				// Charges are recorded to the cent: half of one is the most that
				// rounding takes away; the rest is what decimals lose as floats.
				if got, want := charges.Cols[i+1].Floats[r], recorded.Cols[i].Floats[r]; math.Abs(got-want) > 0.005+1e-9 {
					t.Fatalf("%s row %d: %s is %v, recorded %v", file, r+1, charges.Cols[i+1].Field.Name, got, want)
				}
			}
		}
		day := charges.Cols[1].Floats[0]
		twice := tariff(t, s, f, map[string]string{"day rate": "0.34"})
		if got := twice.Cols[1].Floats[0]; math.Abs(got-2*day) > 1e-9 {
			t.Errorf("at twice the rate the charge is %v, not twice %v", got, day)
		}
		if err := s.SetParameters(nil); err != nil {
			t.Fatal(err)
		}
	}
	for given, code := range map[[2]string]string{
		{"day rate", "cheap"}: "UserParameterInvalid",
		{"Day rate", "0.17"}:  "UnexpectedParameter",
		{"day rate", "1e999"}: "UserParameterInvalid",
	} {
		err := s.SetParameters(map[string]string{given[0]: given[1]})
		refused(t, err, fault.BadArgument, code)
	}
}

func tariff(t testing.TB, s *scoring.Session, f *frame.Frame, given map[string]string) *frame.Frame {
	t.Helper()
	s.Reset()
	if err := s.SetParameters(given); err != nil {
		t.Fatal(err)
	}
	for i, c := range s.Inputs[0].Cols {
		c.AppendRange(f.Cols[i], 0, f.Rows())
	}
	out, err := s.Score(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Slice(0, out[0].Rows())
}

// TestUnknownState sends a state that the model has never seen: it is echoed,
// scored as missing, and counted.
func TestUnknownState(t *testing.T) {
	b, id := churnBench(t, "native")
	finished(t, b.run(id))
	d := b.load(b.deployable(id))
	csv := read(t, samples+"/customers_may.csv")
	f := rows(t, d, bytes.Replace(csv, []byte("C03334,HI,"), []byte("C03334,ZZ,"), 1))
	empty := rows(t, d, bytes.Replace(csv, []byte("C03334,HI,"), []byte("C03334,,"), 1))
	s := d.Session()
	got := score(t, s, f, 0, 1)[0]
	if s.Counts.UnknownLevels != 1 || s.Counts.Missing != 0 {
		t.Errorf("counts %+v", s.Counts)
	}
	want := score(t, s, empty, 0, 1)[0]
	if s.Counts.UnknownLevels != 0 || s.Counts.Missing != 1 {
		t.Errorf("counts %+v", s.Counts)
	}
	if want = string(bytes.Replace([]byte(want), []byte("C03334,,"), []byte("C03334,ZZ,"), 1)); got != want {
		t.Errorf("ZZ gives\n%s\nmissing gives\n%s", got, want)
	}
}

func TestScoringAllocatesNothingPerRow(t *testing.T) {
	b, id := churnBench(t, "native")
	may := read(t, samples+"/customers_may.csv")
	b.dataset("numbers", []byte("a,b\n1,x\n,y\n3,z\n"))
	for name, c := range map[string]struct {
		id  string
		csv []byte
	}{
		"churn":  {id, may},
		"tariff": {b.experiment("tariff", read(t, samples+"/tariff.json")), may},
		"small":  {b.experiment("small", []byte(small)), append([]byte("a,b\n"), bytes.Repeat([]byte("1,x\n,y\n"), 1000)...)},
	} {
		finished(t, b.run(c.id))
		d := b.load(b.deployable(c.id))
		f := rows(t, d, c.csv)
		for _, n := range []int{1, 1000, 1600} {
			t.Run(name+strconv.Itoa(n), func(t *testing.T) {
				s := d.Session() // kept: pools forget at random under the race detector
				call := func() {
					s.Reset()
					for i, c := range s.Inputs[0].Cols {
						c.AppendRange(f.Cols[i], 0, n)
					}
					if _, err := s.Score(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for range 3 {
					call()
				}
				if got := testing.AllocsPerRun(20, call); got > 0 {
					t.Errorf("%v allocations in a call of %d rows", got, n)
				}
			})
		}
	}
}

// TestSessionsSideBySide scores in many goroutines with many parameters: each
// gets its own answer.
func TestSessionsSideBySide(t *testing.T) {
	b := newBench(t)
	b.dataset("customers_train", read(t, samples+"/customers_train.csv"))
	id := b.experiment("tariff", read(t, samples+"/tariff.json"))
	finished(t, b.run(id))
	d := b.load(b.deployable(id))
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for k := range 60 { // more than the plans kept, so that they come and go
				rate := float64(g*60+k) / 64
				s := d.Session()
				if err := s.SetParameters(map[string]string{"day rate": strconv.FormatFloat(rate, 'g', -1, 64)}); err != nil {
					t.Error(err)
					return
				}
				for i, c := range s.Inputs[0].Cols {
					if i == 0 {
						c.AppendNull()
					} else {
						c.AppendFloat(100)
					}
				}
				out, err := s.Score(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if got := out[0].Cols[1].Floats[0]; math.Abs(got-100*rate) > 1e-4 {
					t.Errorf("100 minutes at %v cost %v", rate, got)
				}
				s.Release()
			}
		})
	}
	all.Wait()
}

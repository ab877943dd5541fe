package model

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model/linear"
)

// ranks is a model of thresholds: a linear one of a feature and of theirs.
func ranks(t testing.TB, thresholds int, numbered bool, coefficients ...float64) Several {
	t.Helper()
	body, err := (&linear.Weights{Features: len(coefficients), Outputs: 1, Base: []float64{0}, Coefficients: coefficients}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	part := Part{Engine: EngineLinear, Body: body, Transform: Transform{Name: Sigmoid}}
	return Several{Combination: Ranks, Parts: []Part{part}, Thresholds: thresholds, Numbered: numbered}
}

// partOf is a linear two-class model of one feature.
func partOf(t testing.TB, transform string, base float64, coefficients ...float64) Part {
	t.Helper()
	w := linear.Weights{Features: 1, Outputs: len(coefficients), Base: make([]float64, len(coefficients)), Coefficients: coefficients}
	w.Base[0] = base
	body, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return Part{Engine: EngineLinear, Body: body, Transform: Transform{Name: transform}}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestSeveral(t *testing.T) {
	three := []Part{partOf(t, Sigmoid, 0, 1), partOf(t, Sigmoid, -1, 2), partOf(t, Softmax, 0, 1, -1)}
	nothing := partOf(t, Step, -1e9, 1)
	for _, c := range []struct {
		name string
		s    Several
		x    float64
		want []float64
	}{
		{"shares", Several{Combination: Shares, Parts: three}, 0.5, []float64{sigmoid(0.5), 0.5, sigmoid(-1)}},
		{"no class has a chance", Several{Combination: Shares, Parts: []Part{nothing, nothing, nothing, nothing}}, 1, []float64{1, 1, 1, 1}},
		{"steps", Several{Combination: Steps, Parts: []Part{partOf(t, Sigmoid, 2, 1), partOf(t, Sigmoid, 0, 1)}}, 1, []float64{1 - sigmoid(3), sigmoid(3) - sigmoid(1), sigmoid(1)}},
		{"a step up", Several{Combination: Steps, Parts: []Part{partOf(t, Sigmoid, 0, 1), partOf(t, Sigmoid, 2, 1)}}, 1, []float64{1 - sigmoid(1), 0, sigmoid(1)}},
		{"ranks", ranks(t, 2, false, 1, 2, -1), 1, []float64{1 - sigmoid(3), sigmoid(3) - sigmoid(0), sigmoid(0)}},
		{"ranks that cross", ranks(t, 2, false, 1, -1, 2), 1, []float64{1 - sigmoid(3), sigmoid(3) - sigmoid(0), sigmoid(0)}},
		{"numbered ranks", ranks(t, 3, true, 1, -0.5), 1, []float64{1 - sigmoid(1), sigmoid(1) - sigmoid(0.5), sigmoid(0.5) - sigmoid(0), sigmoid(0)}},
	} {
		b, err := c.s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if version := b[0]; (version == 2) != (c.s.Combination == Ranks) {
			t.Errorf("%s: format version %d", c.name, version)
		}
		e, err := openEngine(EngineSeveral, b)
		if err != nil {
			t.Fatal(err)
		}
		if e.Features() != 1 || e.Outputs() != len(c.want) {
			t.Fatalf("%s: %d features, %d outputs", c.name, e.Features(), e.Outputs())
		}
		total := 0.0
		for _, v := range c.want {
			total += v
		}
		const rows = 5
		p, x, out := e.predictor(rows), make([]float64, rows), make([]float64, rows*len(c.want))
		for r := range x {
			x[r] = float64(r) - 2
		}
		x[3], x[4] = c.x, math.NaN()
		if err := p.Predict(x, nil, rows, out); err != nil {
			t.Fatal(err)
		}
		for k, want := range c.want {
			if got := out[3*len(c.want)+k]; math.Abs(got-want/total) > 1e-15 {
				t.Errorf("%s: class %d has %v, want %v", c.name, k, got, want/total)
			}
		}
		alone := make([]float64, len(c.want))
		if err := p.Predict([]float64{c.x}, nil, 1, alone); err != nil || !slices.Equal(alone, out[3*len(c.want):][:len(c.want)]) {
			t.Errorf("%s: alone %v, together %v: %v", c.name, alone, out[3*len(c.want):][:len(c.want)], err)
		}
		if c.name != "no class has a chance" && !unanswered(out[4*len(c.want):]) {
			t.Errorf("%s: a row without its cell has %v", c.name, out[4*len(c.want):])
		}
		if n := testing.AllocsPerRun(10, func() { _ = p.Predict(x, nil, rows, out) }); n != 0 {
			t.Errorf("%s: it allocates %v times", c.name, n)
		}
	}
}

// TestSeveralContributions holds contributions to the sums of the two-class
// models: of their class 1, and with what thresholds do in the base.
func TestSeveralContributions(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Several
		want [][2]float64 // of x = 3: the feature and the base
	}{
		{"shares", Several{Combination: Shares, Parts: []Part{partOf(t, Sigmoid, -1, 2), partOf(t, Softmax, 5, 1, -1)}}, [][2]float64{{6, -1}, {-3, 0}}},
		{"steps", Several{Combination: Steps, Parts: []Part{partOf(t, Sigmoid, 2, 1), partOf(t, Sigmoid, 0, 1)}}, [][2]float64{{3, 2}, {3, 0}}},
		{"ranks", ranks(t, 2, false, 1, 2, -1), [][2]float64{{3, 2}, {3, -1}}},
		{"numbered ranks", ranks(t, 3, true, 1, -0.5), [][2]float64{{3, 0}, {3, -0.5}, {3, -1}}},
	} {
		b, err := c.s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		e, err := openExplainer(EngineSeveral, b)
		if err != nil {
			t.Fatal(err)
		}
		if e.Outputs() != len(c.want) || e.Size() <= 0 {
			t.Fatalf("%s: %d outputs, %d bytes", c.name, e.Outputs(), e.Size())
		}
		x, out := []float64{0, 3}, make([]float64, 2*2*len(c.want))
		split := e.contributor(2)
		if n := testing.AllocsPerRun(10, func() { split.Contributions(x, 2, out) }); n != 0 {
			t.Errorf("%s: it allocates %v times", c.name, n)
		}
		for k, want := range c.want {
			if got := [2]float64(out[2*len(c.want)+2*k:][:2]); got != want {
				t.Errorf("%s, output %d: %v, want %v", c.name, k, got, want)
			}
		}
	}
}

func TestSeveralRefusals(t *testing.T) {
	good := partOf(t, Sigmoid, 0, 1)
	two := linear.Weights{Features: 2, Outputs: 1, Base: []float64{0}, Coefficients: []float64{1, 2}}
	wide, err := two.Encode()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := (&Several{Combination: Shares, Parts: []Part{good, good}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Several{
		"1 parts":                       {Combination: Shares, Parts: []Part{good}},
		"0 parts":                       {Combination: Steps, Parts: nil},
		"several models of several":     {Combination: Shares, Parts: []Part{good, {EngineSeveral, inner, Transform{Name: Sigmoid}}}},
		`no engine "none"`:              {Combination: Shares, Parts: []Part{good, {"none", nil, Transform{Name: Sigmoid}}}},
		`transform "sigmoid" for 2`:     {Combination: Shares, Parts: []Part{good, partOf(t, Sigmoid, 0, 1, 2)}},
		`transform "identity" for 2`:    {Combination: Shares, Parts: []Part{good, partOf(t, Identity, 0, 1, 2)}},
		`transform "none"`:              {Combination: Shares, Parts: []Part{good, partOf(t, "none", 0, 1)}},
		"has 3 outputs":                 {Combination: Shares, Parts: []Part{good, partOf(t, Softmax, 0, 1, 2, 3)}},
		"models of 1 and of 2 features": {Combination: Shares, Parts: []Part{good, {EngineLinear, wide, Transform{Name: Sigmoid}}}},
		"combination 2, 2 parts":        {Combination: Ranks, Parts: []Part{good, good}, Thresholds: 1},
		"0 thresholds":                  {Combination: Ranks, Parts: []Part{good}},
		"of which a threshold is 1":     ranks(t, 1, true, 1),
		"of which a threshold is 3":     ranks(t, 3, false, 1, 2),
		"scale NaN":                     {Combination: Shares, Parts: []Part{good, {EngineLinear, good.Body, Transform{Name: Sigmoid, Scale: math.NaN()}}}},
	} {
		if _, err := s.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	three := ranks(t, 2, false, 1, 2, -1)
	ranked, err := three.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, whole := range [][]byte{inner, ranked} {
		for n := range whole {
			if _, err := openSeveral(whole[:n]); !fault.Is(err, fault.Package) {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
		if _, err := openSeveral(append(bytes.Clone(whole), 0)); err == nil {
			t.Error("a byte too many is taken")
		}
	}
}

func FuzzSeveral(f *testing.F) {
	for _, c := range []Combination{Shares, Steps} {
		b, err := (&Several{Combination: c, Parts: []Part{partOf(f, Sigmoid, 0, 1), partOf(f, Softmax, 1, 1, 2)}}).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(binary.LittleEndian.AppendUint32(b[:8:8], 1<<31))
	}
	for _, numbered := range []bool{false, true} {
		s := ranks(f, 2, numbered, 1, 2, -1)
		b, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := openSeveral(b)
		if err != nil {
			if !fault.Is(err, fault.Package) {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		x, text := make([]float64, s.Features()), make([]string, s.Features())
		_ = s.predictor(1).Predict(x, text, 1, make([]float64, s.Outputs()))
		e, err := openSeveralExplainer(b)
		if err != nil {
			if !fault.Is(err, fault.BadUserArgument) {
				t.Fatalf("%v is not why it has no contributions", err)
			}
			return
		}
		e.contributor(1).Contributions(x, 1, make([]float64, e.Outputs()*(len(x)+1)))
	})
}

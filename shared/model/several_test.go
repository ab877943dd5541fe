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
		{"shares", Several{Shares, three}, 0.5, []float64{sigmoid(0.5), 0.5, sigmoid(-1)}},
		{"no class has a chance", Several{Shares, []Part{nothing, nothing, nothing, nothing}}, 1, []float64{1, 1, 1, 1}},
		{"steps", Several{Steps, []Part{partOf(t, Sigmoid, 2, 1), partOf(t, Sigmoid, 0, 1)}}, 1, []float64{1 - sigmoid(3), sigmoid(3) - sigmoid(1), sigmoid(1)}},
		{"a step up", Several{Steps, []Part{partOf(t, Sigmoid, 0, 1), partOf(t, Sigmoid, 2, 1)}}, 1, []float64{1 - sigmoid(1), 0, sigmoid(1)}},
	} {
		b, err := c.s.Encode()
		if err != nil {
			t.Fatal(err)
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

func TestSeveralRefusals(t *testing.T) {
	good := partOf(t, Sigmoid, 0, 1)
	two := linear.Weights{Features: 2, Outputs: 1, Base: []float64{0}, Coefficients: []float64{1, 2}}
	wide, err := two.Encode()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := (&Several{Shares, []Part{good, good}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Several{
		"1 parts":                       {Shares, []Part{good}},
		"0 parts":                       {Steps, nil},
		"several models of several":     {Shares, []Part{good, {EngineSeveral, inner, Transform{Name: Sigmoid}}}},
		`no engine "none"`:              {Shares, []Part{good, {"none", nil, Transform{Name: Sigmoid}}}},
		`transform "sigmoid" for 2`:     {Shares, []Part{good, partOf(t, Sigmoid, 0, 1, 2)}},
		`transform "identity" for 2`:    {Shares, []Part{good, partOf(t, Identity, 0, 1, 2)}},
		`transform "none"`:              {Shares, []Part{good, partOf(t, "none", 0, 1)}},
		"has 3 outputs":                 {Shares, []Part{good, partOf(t, Softmax, 0, 1, 2, 3)}},
		"models of 1 and of 2 features": {Shares, []Part{good, {EngineLinear, wide, Transform{Name: Sigmoid}}}},
		"scale NaN":                     {Shares, []Part{good, {EngineLinear, good.Body, Transform{Name: Sigmoid, Scale: math.NaN()}}}},
	} {
		if _, err := s.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for n := range inner {
		if _, err := openSeveral(inner[:n]); !fault.Is(err, fault.Package) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if _, err := openSeveral(append(bytes.Clone(inner), 0)); err == nil {
		t.Error("a byte too many is taken")
	}
}

func FuzzSeveral(f *testing.F) {
	for _, c := range []Combination{Shares, Steps} {
		b, err := (&Several{c, []Part{partOf(f, Sigmoid, 0, 1), partOf(f, Softmax, 1, 1, 2)}}).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(binary.LittleEndian.AppendUint32(b[:8:8], 1<<31))
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
	})
}

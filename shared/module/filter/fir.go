package filter

import (
	"math"

	"github.com/portico-ml/portico/shared/module"
)

// What a filter lets pass.
const (
	lowPass  = "LowPass"
	highPass = "HighPass"
	bandPass = "BandPass"
	bandStop = "BandStop"
)

// bandParams are the parameters of FIR and IIR filters that say what passes.
func bandParams() []module.Param {
	frequency := &module.Range{Min: 1e-6, Max: 1 - 1e-6}
	return []module.Param{
		{
			Name: "Filter type", Type: module.Enumerated, Default: lowPass, Options: []string{lowPass, highPass, bandPass, bandStop},
			Doc: "What passes: frequencies below the low cutoff, above the high cutoff, between the two, or all but those between.",
		},
		{
			Name: "Low cutoff", Type: module.Float, Default: "0.3", Range: frequency, When: &module.When{Param: "Filter type", Is: []string{lowPass, bandPass, bandStop}},
			Doc: "The lower boundary, as a part of the highest frequency that the rows can show (one wave in two rows).",
		},
		{
			Name: "High cutoff", Type: module.Float, Default: "0.7", Range: frequency, When: &module.When{Param: "Filter type", Is: []string{highPass, bandPass, bandStop}},
			Doc: "The upper boundary, in the same unit.",
		},
	}
}

// bands returns the intervals of frequency that pass.
func bands(p module.Values) ([][2]float64, error) {
	lo, hi := p.Float("Low cutoff"), p.Float("High cutoff")
	kind := p.Text("Filter type")
	if (kind == bandPass || kind == bandStop) && lo >= hi {
		return nil, module.Errorf(8, "the low cutoff %v is not below the high cutoff %v", lo, hi)
	}
	switch kind {
	case lowPass:
		return [][2]float64{{0, lo}}, nil
	case highPass:
		return [][2]float64{{hi, 1}}, nil
	case bandPass:
		return [][2]float64{{lo, hi}}, nil
	}
	return [][2]float64{{0, lo}, {hi, 1}}, nil
}

// windows are generalized cosine windows by their coefficients; the triangular
// one is not, and has none.
var windows = []struct {
	name    string
	cosines []float64
}{
	{"None", []float64{1}},
	{"Triangular", nil},
	{"Hann", []float64{0.5, 0.5}},
	{"Hamming", []float64{0.54, 0.46}},
	{"Blackman", []float64{0.42, 0.5, 0.08}},
	{"BlackmanHarris", []float64{0.35875, 0.48829, 0.14128, 0.01168}},
	{"Nuttall", []float64{0.3635819, 0.4891775, 0.1365995, 0.0106411}},
	{"FlatTop", []float64{0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368}},
}

// FIRFilter makes a filter of finite impulse response by the window method.
func FIRFilter() *module.Module {
	win := module.Param{Name: "Window", Type: module.Enumerated, Default: "Hamming", Doc: "The window that the ideal response is cut out with."}
	for _, w := range windows {
		win.Options = append(win.Options, w.name)
	}
	params := append([]module.Param{
		{Name: "Order", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 10_000}, Doc: "The number of earlier rows that count. An odd order is raised by one where the highest frequency must pass: such a filter cannot have it."},
		win,
	}, bandParams()...)
	params = append(params, module.Param{Name: "Scale", Type: module.Boolean, Default: "true", Doc: "Scale the coefficients so that the middle of the first band that passes keeps its height."})
	return maker("FIR Filter", "Makes a filter of finite impulse response: each row becomes a weighted sum of it and the rows before, designed by the window method.", params, designFIR)
}

func designFIR(p module.Values) (*filter, error) {
	pass, err := bands(p)
	if err != nil {
		return nil, err
	}
	taps := int(p.Int("Order")) + 1
	if pass[len(pass)-1][1] == 1 && taps%2 == 0 {
		taps++
	}
	middle := float64(taps-1) / 2
	h := make([]float64, taps)
	for i := range h {
		m := float64(i) - middle
		for _, b := range pass {
			h[i] += float64(b[1]*sinc(b[1]*m)) - float64(b[0]*sinc(b[0]*m))
		}
	}
	for _, w := range windows {
		if w.name == p.Text("Window") {
			for i := range h {
				h[i] *= windowAt(w.cosines, i, taps)
			}
		}
	}
	if p.Bool("Scale") {
		at := (pass[0][0] + pass[0][1]) / 2
		if pass[0][0] == 0 {
			at = 0
		} else if pass[0][1] == 1 {
			at = 1
		}
		sum := 0.0
		for i := range h {
			sum += float64(h[i] * math.Cos(math.Pi*(float64(i)-middle)*at))
		}
		for i := range h {
			h[i] /= sum
		}
	}
	return &filter{Linear: &linear{Forward: h}}, nil
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// windowAt is the symmetric window of n points at i.
func windowAt(cosines []float64, i, n int) float64 {
	if cosines == nil {
		k := float64(min(i, n-1-i) + 1)
		if n%2 == 0 {
			return (2*k - 1) / float64(n)
		}
		return 2 * k / float64(n+1)
	}
	sum, sign := 0.0, 1.0
	for k, a := range cosines {
		sum += float64(sign * a * math.Cos(2*math.Pi*float64(k*i)/float64(n-1)))
		sign = -sign
	}
	return sum
}

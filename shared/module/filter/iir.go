package filter

import (
	"math"
	"math/cmplx"
	"slices"

	"github.com/portico-ml/portico/shared/module"
)

// Kinds of IIR filters.
const (
	butterworth = "Butterworth"
	chebyshev1  = "ChebyshevTypeI"
	chebyshev2  = "ChebyshevTypeII"
)

// IIRFilter makes a filter of infinite impulse response from an analog one.
func IIRFilter() *module.Module {
	params := append([]module.Param{
		{Name: "Order", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 24}, Doc: "The order of the filter; twice that for a band."},
		{
			Name: "Filter kind", Type: module.Enumerated, Default: butterworth, Options: []string{butterworth, chebyshev1, chebyshev2},
			Doc: "Butterworth is flat; Chebyshev's filters are steeper, with ripples where frequencies pass (I) or where they are stopped (II).",
		},
	}, bandParams()...)
	params = append(params, module.Param{
		Name: "Ripple", Type: module.Float, Default: "0.5", Range: &module.Range{Min: 1e-3, Max: 300}, When: &module.When{Param: "Filter kind", Is: []string{chebyshev1, chebyshev2}},
		Doc: "In decibels: how much passing frequencies may be damped (I), or how much stopped ones must be (II).",
	})
	return maker("IIR Filter", "Makes a filter of infinite impulse response: each row becomes a weighted sum of it, the rows before and their results. It is designed as an analog filter and carried over by the bilinear transform, as second-order sections.", params, designIIR)
}

// zpk is a filter by its zeros, poles and gain.
type zpk struct {
	z, p []complex128
	k    float64
}

// degree is how many more poles than zeros there are.
func (f *zpk) degree() int { return len(f.p) - len(f.z) }

func designIIR(p module.Values) (*filter, error) {
	if _, err := bands(p); err != nil {
		return nil, err
	}
	f := prototype(p.Text("Filter kind"), int(p.Int("Order")), p.Float("Ripple"))
	// The bilinear transform bends the frequencies; these are bent back.
	warp := func(w float64) float64 { return 4 * math.Tan(math.Pi*w/2) }
	lo, hi := warp(p.Float("Low cutoff")), warp(p.Float("High cutoff"))
	switch p.Text("Filter type") {
	case lowPass:
		f.lowPass(lo)
	case highPass:
		f.highPass(hi)
	case bandPass:
		f.bandPass(math.Sqrt(lo*hi), hi-lo)
	default:
		f.bandStop(math.Sqrt(lo*hi), hi-lo)
	}
	f.bilinear()
	return &filter{Sections: f.sections()}, nil
}

// prototype is the analog low-pass filter with cutoff 1.
func prototype(kind string, n int, ripple float64) *zpk {
	f := &zpk{k: 1}
	eps := math.Sqrt(math.Pow(10, ripple/10) - 1)
	mu := math.Asinh(1/eps) / float64(n)
	if kind == chebyshev2 {
		mu = math.Asinh(eps) / float64(n)
	}
	for m := 1 - n; m < n; m += 2 {
		theta := math.Pi * float64(m) / float64(2*n)
		circle := -cmplx.Exp(complex(0, theta))
		switch kind {
		case butterworth:
			f.p = append(f.p, circle)
		case chebyshev1:
			f.p = append(f.p, -cmplx.Sinh(complex(mu, theta)))
		default:
			f.p = append(f.p, 1/complex(math.Sinh(mu)*real(circle), math.Cosh(mu)*imag(circle)))
			if m != 0 {
				f.z = append(f.z, complex(0, 1/math.Sin(theta)))
			}
		}
	}
	if kind != butterworth {
		f.k = real(negated(f.p) / negated(f.z))
	}
	if kind == chebyshev1 && n%2 == 0 {
		f.k /= math.Sqrt(1 + eps*eps)
	}
	return f
}

// negated is ∏ −r.
func negated(roots []complex128) complex128 {
	product := complex(1, 0)
	for _, r := range roots {
		product *= -r
	}
	return product
}

func each(roots []complex128, f func(complex128) complex128) {
	for i := range roots {
		roots[i] = f(roots[i])
	}
}

func (f *zpk) lowPass(w float64) {
	f.k *= math.Pow(w, float64(f.degree()))
	scale := func(r complex128) complex128 { return r * complex(w, 0) }
	each(f.z, scale)
	each(f.p, scale)
}

func (f *zpk) highPass(w float64) {
	f.k *= real(negated(f.z) / negated(f.p))
	degree := f.degree()
	invert := func(r complex128) complex128 { return complex(w, 0) / r }
	each(f.z, invert)
	each(f.p, invert)
	f.z = append(f.z, make([]complex128, degree)...)
}

// split moves every root to two around the centre w.
func split(roots []complex128, w float64) []complex128 {
	out := make([]complex128, 0, 2*len(roots))
	for _, r := range roots {
		d := cmplx.Sqrt(r*r - complex(w*w, 0))
		out = append(out, r+d, r-d)
	}
	return out
}

func (f *zpk) bandPass(w, width float64) {
	degree := f.degree()
	f.k *= math.Pow(width, float64(degree))
	half := func(r complex128) complex128 { return r * complex(width/2, 0) }
	each(f.z, half)
	each(f.p, half)
	f.z, f.p = append(split(f.z, w), make([]complex128, degree)...), split(f.p, w)
}

func (f *zpk) bandStop(w, width float64) {
	degree := f.degree()
	f.k *= real(negated(f.z) / negated(f.p))
	half := func(r complex128) complex128 { return complex(width/2, 0) / r }
	each(f.z, half)
	each(f.p, half)
	f.z, f.p = split(f.z, w), split(f.p, w)
	for range degree {
		f.z = append(f.z, complex(0, w), complex(0, -w))
	}
}

// bilinear makes the analog filter a digital one.
func (f *zpk) bilinear() {
	degree := f.degree()
	num, den := complex(1, 0), complex(1, 0)
	for _, z := range f.z {
		num *= 4 - z
	}
	for _, p := range f.p {
		den *= 4 - p
	}
	f.k *= real(num / den)
	move := func(r complex128) complex128 { return (4 + r) / (4 - r) }
	each(f.z, move)
	each(f.p, move)
	for range degree {
		f.z = append(f.z, -1)
	}
}

// sections multiplies roots out two by two; the gain is in the first section.
func (f *zpk) sections() [][5]float64 {
	num, den := quadratics(f.z), quadratics(f.p)
	out := make([][5]float64, len(den))
	for i := range den {
		out[i] = [5]float64{1, num[i][0], num[i][1], den[i][0], den[i][1]}
	}
	for k := range 3 {
		out[0][k] *= f.k
	}
	return out
}

// quadratics returns factors 1 + c₀x + c₁x² with all the roots: complex ones
// with their conjugates, real ones the smallest with the largest. Roots nearest
// to the unit circle come last, where they do least harm to the precision.
func quadratics(roots []complex128) [][2]float64 {
	const tiny = 1e-10
	var reals []float64
	var out [][2]float64
	var upper []complex128
	for _, r := range roots {
		switch {
		case math.Abs(imag(r)) <= tiny*cmplx.Abs(r):
			reals = append(reals, real(r))
		case imag(r) > 0:
			upper = append(upper, r)
		}
	}
	slices.SortFunc(upper, func(a, b complex128) int {
		switch d := cmplx.Abs(a) - cmplx.Abs(b); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	slices.Sort(reals)
	if len(reals)%2 == 1 {
		mid := len(reals) / 2
		out = append(out, [2]float64{-reals[mid], 0})
		reals = slices.Delete(reals, mid, mid+1)
	}
	for i, n := 0, len(reals); i < n/2; i++ {
		a, b := reals[i], reals[n-1-i]
		out = append(out, [2]float64{-a - b, a * b})
	}
	for _, r := range upper {
		out = append(out, [2]float64{-2 * real(r), real(r)*real(r) + imag(r)*imag(r)})
	}
	return out
}

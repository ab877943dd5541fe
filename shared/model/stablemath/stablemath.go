// Package stablemath has the transcendental functions that decide a score.
//
// The standard library's Exp and Log have assembly that chooses by CPU (with
// FMA or without, and differently per architecture), so the last bit of a
// score could depend on the machine. These are the portable algorithms with
// every product that feeds a sum rounded explicitly, so that no compiler fuses
// them: one argument has one result everywhere. Errors are below 1 ulp, but
// where a function says otherwise.
package stablemath

import "math"

// The algorithms and constants of Exp and Log are those of FreeBSD's
// /usr/src/lib/msun/src/e_exp.c and e_log.c, by way of Go's math package, and
// came with this notice.
//
// ====================================================
// Copyright (C) 1993, 2004 by Sun Microsystems, Inc. All rights reserved.
//
// Permission to use, copy, modify, and distribute this
// software is freely granted, provided that this notice
// is preserved.
// ====================================================

const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
	log2e = 1.44269504088896338700e+00
)

// Exp returns e**x: +Inf on overflow, 0 on underflow, NaN of NaN.
func Exp(x float64) float64 {
	const (
		overflow  = 7.09782712893383973096e+02
		underflow = -7.45133219101941108420e+02
		nearZero  = 1.0 / (1 << 28)

		p1 = 1.66666666666666657415e-01
		p2 = -2.77777777770155933842e-03
		p3 = 6.61375632143793436117e-05
		p4 = -1.65339022054652515390e-06
		p5 = 4.13813679705723846039e-08
	)
	switch {
	case x != x:
		return x
	case x > overflow:
		return math.Inf(1)
	case x < underflow:
		return 0
	case -nearZero < x && x < nearZero:
		return 1 + x
	}
	// x = k ln2 + hi - lo, |hi - lo| <= ln2/2.
	k := int(float64(log2e*x) + math.Copysign(0.5, x))
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	poly := p1 + float64(t*(p2+float64(t*(p3+float64(t*(p4+float64(t*p5)))))))
	c := r - float64(t*poly)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	if -1021 < k && k < 1023 {
		return y * math.Float64frombits(uint64(k+1023)<<52) // exact, and faster than Ldexp
	}
	return math.Ldexp(y, k)
}

// Log returns the natural logarithm of x: -Inf of 0, NaN of a negative x.
func Log(x float64) float64 {
	const (
		l1 = 6.666666666666735130e-01
		l2 = 3.999999999940941908e-01
		l3 = 2.857142874366239149e-01
		l4 = 2.222219843214978396e-01
		l5 = 1.818357216161805012e-01
		l6 = 1.531383769920937332e-01
		l7 = 1.479819860511658591e-01
	)
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	// x = f1 * 2**ki, sqrt(2)/2 <= f1 < sqrt(2).
	f1, ki := math.Frexp(x)
	if f1 < math.Sqrt2/2 {
		f1 *= 2
		ki--
	}
	f := f1 - 1
	k := float64(ki)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * (l1 + float64(s4*(l3+float64(s4*(l5+float64(s4*l7)))))))
	t2 := float64(s4 * (l2 + float64(s4*(l4+float64(s4*l6)))))
	half := float64(0.5 * f * f)
	return float64(k*ln2Hi) - ((half - (float64(s*(half+(t1+t2))) + float64(k*ln2Lo))) - f)
}

// Tanh returns the hyperbolic tangent of x.
func Tanh(x float64) float64 {
	a := math.Abs(x)
	switch {
	case x != x || x == 0:
		return x
	case a > 22: // 1 - tanh is below half an ulp of 1
		return math.Copysign(1, x)
	case a >= 0.625:
		return math.Copysign(1-2/(Exp(2*a)+1), x)
	}
	// Cephes' rational approximation (S. L. Moshier), as in Go's math package.
	s := float64(x * x)
	p := float64((float64((float64(-9.64399179425052238628e-1*s)-9.92877231001918586564e1)*s) - 1.61468768441708447952e3) * s)
	q := float64((float64((s+1.12811678491632931402e2)*s)+2.23548839060100448583e3)*s) + 4.84406305325125486048e3
	return x + float64(x*p)/q
}

// Sigmoid returns 1/(1+e**-x).
func Sigmoid(x float64) float64 { return 1 / (1 + Exp(-x)) }

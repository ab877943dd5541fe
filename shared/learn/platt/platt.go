// Package platt makes probabilities of the scores of two-class models.
//
// It is Platt's sigmoid (1999), 1/(1+e**(a·s+b)), fitted by the method of Lin,
// Lin and Weng (2007, "A note on Platt's probabilistic outputs for support
// vector machines"): Newton's with backtracking, towards targets a little
// short of 0 and 1.
package platt

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Fit returns slope and offset such that 1/(1+e**-(slope·s+offset)) is the
// probability of label 1 at score s. The weights are nil where all are 1.
func Fit(scores, label, weight []float64) (slope, offset float64) {
	p := problem{label: label, weight: weight, s: make([]float64, len(scores))}
	// Scores of any size look alike to the search.
	mean, deviation := p.moments(scores)
	for i, v := range scores {
		p.s[i] = (v - mean) / deviation
	}
	a, b := p.newton()
	return a / deviation, b - a*mean/deviation
}

type problem struct {
	label, weight []float64
	s             []float64 // standardised
	high, low     float64   // the targets of labels 1 and 0
}

func (p *problem) weightOf(i int) float64 {
	if p.weight == nil {
		return 1
	}
	return p.weight[i]
}

// moments returns mean and deviation of the scores, the latter 1 where they are
// all alike.
func (p *problem) moments(scores []float64) (mean, deviation float64) {
	total, sum := 0.0, 0.0
	for i, v := range scores {
		total += p.weightOf(i)
		sum += float64(p.weightOf(i) * v)
	}
	mean = sum / total
	square := 0.0
	for i, v := range scores {
		square += float64(p.weightOf(i) * float64((v-mean)*(v-mean)))
	}
	if deviation = math.Sqrt(square / total); !(deviation > 0) {
		deviation = 1
	}
	return mean, deviation
}

const (
	maxIterations = 100
	minStep       = 1e-10
	ridge         = 1e-12 // keeps the Hessian regular
)

// newton minimises the cross entropy of sigmoid(a·s+b) and the targets.
func (p *problem) newton() (a, b float64) {
	var positive, negative float64
	for i, y := range p.label {
		if y > 0 {
			positive += p.weightOf(i)
		} else {
			negative += p.weightOf(i)
		}
	}
	p.high, p.low = (positive+1)/(positive+2), 1/(negative+2)
	b = stablemath.Log((positive + 1) / (negative + 1))
	value := p.value(a, b)
	for range maxIterations {
		var ga, gb, haa, hab, hbb float64
		for i, s := range p.s {
			w, q := p.weightOf(i), stablemath.Sigmoid(float64(a*s)+b)
			d := w * (q - p.target(i))
			h := w * q * (1 - q)
			ga += float64(d * s)
			gb += d
			haa += float64(h * float64(s*s))
			hab += float64(h * s)
			hbb += h
		}
		haa, hbb = haa+ridge, hbb+ridge
		if math.Abs(ga) < 1e-9*(positive+negative) && math.Abs(gb) < 1e-9*(positive+negative) {
			break
		}
		det := float64(haa*hbb) - float64(hab*hab)
		da, db := -(float64(hbb*ga)-float64(hab*gb))/det, -(float64(haa*gb)-float64(hab*ga))/det
		slope := float64(ga*da) + float64(gb*db)
		step := 1.0
		for ; step >= minStep; step /= 2 {
			if v := p.value(a+step*da, b+step*db); v < value+1e-4*step*slope {
				a, b, value = a+step*da, b+step*db, v
				break
			}
		}
		if step < minStep {
			break // as near as numbers come
		}
	}
	return a, b
}

func (p *problem) target(i int) float64 {
	if p.label[i] > 0 {
		return p.high
	}
	return p.low
}

// value is the cross entropy at a and b.
func (p *problem) value(a, b float64) float64 {
	sum := 0.0
	for i, s := range p.s {
		v := float64(a*s) + b
		// log(1+e**v) - target·v, without overflow
		loss := stablemath.Log(1+stablemath.Exp(-math.Abs(v))) + max(v, 0) - float64(p.target(i)*v)
		sum += float64(p.weightOf(i) * loss)
	}
	return sum
}

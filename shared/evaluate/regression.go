package evaluate

import (
	"math"
	"slices"
	"strconv"
)

// ErrorDetail is the distribution of the errors, score minus label.
type ErrorDetail struct {
	Min  Number `json:"min"`
	Max  Number `json:"max"`
	Mean Number `json:"mean"`
	// Absolute errors: bin k counts the rows from Edges[k] to Edges[k+1].
	Edges  []float64 `json:"edges"`
	Counts []float64 `json:"counts"`
}

// errorBins is the number of bins of the histogram of errors.
const errorBins = 10

// Regression measures scored values against labels y, with weights w or nil.
// deviation, where the model scored a distribution, is the standard deviation
// of each value; one of 0 counts as the smallest that is not.
func Regression(y, scored, deviation, w []float64) (Metrics, *ErrorDetail) {
	total, mean := 0.0, 0.0
	for i, v := range y {
		weight := weightOf(w, i)
		total += weight
		mean += (v - mean) * (weight / total)
	}
	var absolute, squared, unequal, spreadAbsolute, spreadSquared float64
	for i, v := range y {
		weight, e := weightOf(w, i), scored[i]-v
		absolute += weight * math.Abs(e)
		squared += weight * e * e
		if e != 0 {
			unequal += weight
		}
		spreadAbsolute += weight * math.Abs(v-mean)
		spreadSquared += weight * (v - mean) * (v - mean)
	}
	var m Metrics
	if deviation != nil {
		m.add(NegativeLogLikelihood, likelihood(y, scored, deviation, w))
	}
	m.add(MeanAbsoluteError, absolute/total)
	m.add(RootMeanSquaredError, math.Sqrt(squared/total))
	m.add(RelativeAbsoluteError, absolute/spreadAbsolute)
	m.add(RelativeSquaredError, squared/spreadSquared)
	m.add(MeanZeroOneError, unequal/total)
	m.add(CoefficientOfDetermination, 1-squared/spreadSquared)
	return finite(m), errorsOf(y, scored, w)
}

// finite makes what is not defined, such as an error relative to labels that
// are all the same, NaN.
func finite(m Metrics) Metrics {
	for i := range m {
		if math.IsInf(float64(m[i].Value), 0) {
			m[i].Value = Number(math.NaN())
		}
	}
	return m
}

// likelihood is NegativeLogLikelihood.
func likelihood(y, mean, deviation, w []float64) float64 {
	smallest := math.Inf(1)
	for _, d := range deviation {
		if d > 0 {
			smallest = min(smallest, d)
		}
	}
	sum := 0.0
	for i, v := range y {
		d := max(deviation[i], smallest)
		z := (v - mean[i]) / d
		sum += weightOf(w, i) * (z*z/2 + math.Log(d) + math.Log(2*math.Pi)/2)
	}
	return sum
}

func errorsOf(y, scored, w []float64) *ErrorDetail {
	d := &ErrorDetail{Edges: make([]float64, errorBins+1), Counts: make([]float64, errorBins)}
	low, high, widest, mean, total := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0.0
	for i, v := range y {
		e, weight := scored[i]-v, weightOf(w, i)
		low, high, widest = min(low, e), max(high, e), max(widest, math.Abs(e))
		total += weight
		mean += (e - mean) * (weight / total)
	}
	d.Min, d.Max, d.Mean = Number(low), Number(high), Number(mean)
	for k := range d.Edges {
		d.Edges[k] = widest * float64(k) / errorBins
	}
	for i, v := range y {
		k := 0
		if widest > 0 {
			k = min(int(math.Abs(scored[i]-v)/widest*errorBins), errorBins-1)
		}
		d.Counts[k] += weightOf(w, i)
	}
	return d
}

// QuantileLoss names the metric of quantile q.
func QuantileLoss(q float64) string {
	return "Quantile Loss " + strconv.FormatFloat(q, 'g', -1, 64)
}

// Quantiles measures scored[k][row], the quantiles q[k] of the label, by their
// pinball loss: q times the error where the label is above the score, 1-q times
// it where it is below.
func Quantiles(q []float64, y []float64, scored [][]float64, w []float64) Metrics {
	losses := make([]float64, len(q))
	for k, level := range q {
		sum, total := 0.0, 0.0
		for i, v := range y {
			weight, e := weightOf(w, i), v-scored[k][i]
			total += weight
			sum += weight * max(level*e, (level-1)*e)
		}
		losses[k] = sum / total
	}
	mean := 0.0
	for _, l := range losses {
		mean += l / float64(len(losses))
	}
	m := Metrics{{AverageQuantileLoss, Number(mean)}}
	for k, level := range q {
		m.add(QuantileLoss(level), losses[k])
	}
	return m
}

// Cluster measures one cluster of a clustering, or all together.
type Cluster struct {
	Description string  `json:"description"`
	ToCenter    Number  `json:"averageDistanceToClusterCenter"`
	ToOther     Number  `json:"averageDistanceToOtherCenter"` // the mean over the other centers
	Points      float64 `json:"numberOfPoints"`
	Maximal     Number  `json:"maximalDistanceToClusterCenter"`
}

// Clustering measures the assignment of rows to clusters by the distances
// [cluster][row] to their centers. The first line is of all rows together.
func Clustering(assigned []int32, distances [][]float64) []Cluster {
	k := len(distances)
	own, other, most, points := make([]float64, k+1), make([]float64, k+1), make([]float64, k+1), make([]float64, k+1)
	for i, c := range assigned {
		d, rest := distances[c][i], 0.0
		for o := range distances {
			if o != int(c) {
				rest += distances[o][i]
			}
		}
		rest /= float64(k - 1) // NaN of a single cluster, which has no other
		for _, line := range []int{0, int(c) + 1} {
			own[line], other[line], most[line] = own[line]+d, other[line]+rest, max(most[line], d)
			points[line]++
		}
	}
	out := make([]Cluster, k+1)
	for line := range out {
		out[line] = Cluster{
			Description: "Combined Evaluation", Points: points[line], Maximal: Number(math.NaN()),
			ToCenter: Number(own[line] / points[line]), ToOther: Number(other[line] / points[line]),
		}
		if line > 0 {
			out[line].Description = "Evaluation For Cluster No." + strconv.Itoa(line-1)
		}
		if points[line] > 0 {
			out[line].Maximal = Number(most[line])
		}
	}
	return slices.Clip(out)
}

// Package evaluate measures how good a model's scores are: the Studio's
// metrics, and the document that its Evaluate Model shows: confusion matrix,
// ROC, precision and recall, lift, errors.
//
// Of reads a scored table: the label is the column whose role it is to be one,
// the scores are found by the Studio's column names, a column whose role is to
// be a weight counts its row that many times. Rows that miss the label, a score
// or a positive weight are left out. Everything is computed exactly, over all
// rows, in a fixed order; what is shown of curves is bounded.
//
// The measures of one kind of model are functions of plain vectors: TwoClass,
// Multiclass, Regression, Quantiles, Clustering.
package evaluate

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model"
)

// The names of the metrics.
const (
	Accuracy       = "Accuracy"
	Precision      = "Precision"
	Recall         = "Recall"
	FScore         = "F-Score"
	AUC            = "AUC"
	AverageLogLoss = "Average Log Loss"
	// TrainingLogLoss is the part of the log loss of guessing by the classes'
	// frequencies that the model takes away, in percent.
	TrainingLogLoss = "Training Log Loss"

	OverallAccuracy = "Overall accuracy"
	AverageAccuracy = "Average accuracy"
	MicroPrecision  = "Micro-averaged precision"
	MacroPrecision  = "Macro-averaged precision"
	MicroRecall     = "Micro-averaged recall"
	MacroRecall     = "Macro-averaged recall"

	// NegativeLogLikelihood is of the labels under the normal distributions
	// scored, summed over the rows.
	NegativeLogLikelihood = "Negative Log Likelihood"
	MeanAbsoluteError     = "Mean Absolute Error"
	RootMeanSquaredError  = "Root Mean Squared Error"
	RelativeAbsoluteError = "Relative Absolute Error"
	RelativeSquaredError  = "Relative Squared Error"
	// MeanZeroOneError is the part of the rows whose score is not the label.
	MeanZeroOneError           = "Mean Zero One Error"
	CoefficientOfDetermination = "Coefficient of Determination"

	AverageQuantileLoss = "Average Quantile Loss"

	DistanceToCenter      = "Average Distance to Cluster Center"
	DistanceToOtherCenter = "Average Distance to Other Center"
	NumberOfPoints        = "Number of Points"
	MaximalDistance       = "Maximal Distance To Cluster Center"
)

// Number is a float64 that is null in JSON where it is not finite.
type Number float64

// MarshalJSON writes the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON wrote: null is NaN.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Metric is one figure; NaN where it is not defined for the rows at hand.
type Metric struct {
	Name  string `json:"name"`
	Value Number `json:"value"`
}

// Metrics are figures in the order in which they are shown.
type Metrics []Metric

// Get returns the value of a metric, NaN where it is not there.
func (m Metrics) Get(name string) float64 {
	if i := slices.IndexFunc(m, func(x Metric) bool { return x.Name == name }); i >= 0 {
		return float64(m[i].Value)
	}
	return math.NaN()
}

func (m *Metrics) add(name string, value float64) { *m = append(*m, Metric{name, Number(value)}) }

// Better reports whether a is a better value of a metric than b. A value that
// is NaN is worse than any other.
func Better(metric string, a, b float64) bool {
	switch {
	case math.IsNaN(a):
		return false
	case math.IsNaN(b):
		return true
	}
	switch metric {
	case Accuracy, Precision, Recall, FScore, AUC, TrainingLogLoss, CoefficientOfDetermination:
		return a > b
	}
	return a < b
}

// Result is the evaluation of one scored table: the document that is shown.
// Of the parts below Metrics one is there, by Kind.
type Result struct {
	Kind    model.Kind `json:"kind"`
	Label   string     `json:"label,omitempty"` // the column
	Rows    int        `json:"rows"`            // evaluated
	Skipped int        `json:"skipped"`         // rows without label, score or weight
	Metrics Metrics    `json:"metrics"`

	TwoClass   *TwoClassDetail   `json:"twoClass,omitempty"`
	Multiclass *MulticlassDetail `json:"multiclass,omitempty"`
	Errors     *ErrorDetail      `json:"errors,omitempty"` // of models of numbers
	Clusters   []Cluster         `json:"clusters,omitempty"`
}

// ratio is a/b, 0 where b is 0.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// weightOf is the weight of row i; w is nil where all are 1.
func weightOf(w []float64, i int) float64 {
	if w == nil {
		return 1
	}
	return w[i]
}

// clip keeps a probability from 0 and 1 by the distance of 1 to the next
// float64, as scikit-learn does: one certain error costs about 36, not infinity.
func clip(p float64) float64 {
	const eps = 0x1p-52
	return min(max(p, eps), 1-eps)
}

func nlog(p float64) float64 { return -math.Log(clip(p)) }

// entropy is the log loss of guessing by frequencies.
func entropy(counts []float64) float64 {
	total, h := 0.0, 0.0
	for _, c := range counts {
		total += c
	}
	for _, c := range counts {
		if c > 0 {
			h -= c / total * math.Log(c/total)
		}
	}
	return h
}

// reduction is TrainingLogLoss.
func reduction(loss float64, counts []float64) float64 {
	prior := entropy(counts)
	if prior == 0 {
		return math.NaN()
	}
	return 100 * (prior - loss) / prior
}

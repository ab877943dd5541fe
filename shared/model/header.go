package model

import (
	"slices"

	"github.com/portico-ml/portico/shared/frame"
)

// Kind is what a model's answer is.
type Kind string

const (
	TwoClass   Kind = "two-class"
	Multiclass Kind = "multiclass"
	Regression Kind = "regression"
	// Distribution answers a mean and a standard deviation.
	Distribution Kind = "distribution"
	// Quantiles answers a value for each of the header's quantiles.
	Quantiles Kind = "quantiles"
	// Clustering answers the nearest cluster, from the distances to all.
	Clustering Kind = "clustering"
	// Anomaly answers how odd a row is, from 0 to 1.
	Anomaly Kind = "anomaly"
)

// Classes returns how many classes the label of such a model has: 0 none, 2
// exactly, 3 two or more.
func (k Kind) Classes() int {
	switch k {
	case TwoClass:
		return 2
	case Multiclass:
		return 3
	}
	return 0
}

// UnknownPolicy is what a level outside a model's levels becomes.
type UnknownPolicy string

const (
	// UnknownMissing scores it as missing, or as the trainer's unknown level
	// where the feature names one, and counts it.
	UnknownMissing UnknownPolicy = "missing"
	// UnknownError refuses the row, naming column and value.
	UnknownError UnknownPolicy = "error"
)

// Encoding is how a column's cells become a feature's numbers.
type Encoding string

const (
	// Number takes the cell's own value; a Boolean is 1 or 0.
	Number Encoding = "number"
	// Codes takes the position of the cell's level in Levels.
	Codes Encoding = "codes"
	// Indicator is 1 where the cell is Level, else 0.
	Indicator Encoding = "indicator"
	// Map takes the number in Values beside the cell's level in Levels.
	Map Encoding = "map"
	// Text passes the text itself, to engines that read text.
	Text Encoding = "text"
)

// Header is the part of a trained model that is not its engine's: what it
// reads, what it answers. It is JSON at the front of the artifact, and it
// decides scores: no provenance, metric or time belongs in it.
type Header struct {
	Engine    string    `json:"engine"`
	Learner   string    `json:"learner"`
	Kind      Kind      `json:"kind"`
	Transform Transform `json:"transform"`
	// Features are the model's features in the engine's order.
	Features []Feature `json:"features"`
	Label    *Label    `json:"label,omitempty"`
	// UnknownLevel is empty for UnknownMissing.
	UnknownLevel UnknownPolicy `json:"unknownLevel,omitempty"`
	// Quantiles, of a model of that kind, are between 0 and 1 in rising order.
	Quantiles []float64 `json:"quantiles,omitempty"`
	// CompleteRows says that a row with a missing feature gets no score.
	CompleteRows bool `json:"completeRows,omitempty"`

	outputs int // of the engine, where the number of score columns depends on it
}

// Feature binds one feature of the model to a column of the request.
type Feature struct {
	Name     string     `json:"feature"`
	Column   string     `json:"column"`
	Type     frame.Type `json:"type"`
	Encoding Encoding   `json:"encoding"`
	// Levels are the column's levels in order, for codes and map; for
	// indicator they may list levels that have no feature of their own. The
	// features of one column share one list: the first that is given.
	Levels []string  `json:"levels,omitempty"`
	Level  string    `json:"level,omitempty"`  // of indicator
	Values []float64 `json:"values,omitempty"` // of map
	// Missing is the number a missing cell stands for. Without it a missing
	// cell is missing to the model (0 in an indicator).
	Missing *float64 `json:"missing,omitempty"`
	// Unknown is the number of the trainer's unknown level, for codes, map and
	// indicator. Without it an unknown level is a missing cell.
	Unknown *float64 `json:"unknown,omitempty"`
}

// Label describes what a model predicts. Regression models may have a column
// only; classifiers have classes.
type Label struct {
	Column string     `json:"column,omitempty"`
	Type   frame.Type `json:"type"`
	// Classes are in the model's order: class k of the engine is Classes[k],
	// in the label column's own spelling.
	Classes []string `json:"classes,omitempty"`
	// Positive is the class whose probability a two-class model answers.
	Positive string `json:"positive,omitempty"`
}

// PositiveByRule is the Studio's choice of the positive class: the class that
// says true or 1, else the second in sort order.
func PositiveByRule(classes []string) string {
	for _, c := range classes {
		if c == "1" || c == "true" || c == "True" || c == "TRUE" {
			return c
		}
	}
	if len(classes) < 2 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(classes))
	return sorted[1]
}

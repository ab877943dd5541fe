package model

import (
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/trees"
)

// Summary is what there is to see of a model.
type Summary struct {
	Learner   string    `json:"learner"`
	Kind      Kind      `json:"kind"`
	Engine    string    `json:"engine"`
	Label     *Label    `json:"label,omitempty"`
	Quantiles []float64 `json:"quantiles,omitempty"`
	// CompleteRows says that rows with a missing feature get no score.
	CompleteRows bool             `json:"completeRows,omitempty"`
	Bytes        int              `json:"bytes"`
	FeatureCount int              `json:"featureCount"`
	Features     []FeatureSummary `json:"features"` // the first MaxSummary
}

// FeatureSummary is what there is to see of a feature.
type FeatureSummary struct {
	Name     string   `json:"feature"`
	Column   string   `json:"column"`
	Type     string   `json:"type"`
	Encoding Encoding `json:"encoding"`
	Levels   int      `json:"levels,omitempty"` // their number
	// Weights of a linear model, one for each of its sums.
	Weights []float64 `json:"weights,omitempty"`
	// Splits is how many nodes of a model of trees test the feature.
	Splits *int `json:"splits,omitempty"`
}

// MaxSummary bounds the features of a summary.
const MaxSummary = 1000

// Summarize says what there is to see of a model's scoring part.
func Summarize(scoring []byte) (*Summary, error) {
	h, body, err := parse(scoring)
	if err != nil {
		return nil, err
	}
	s := &Summary{
		Learner: h.Learner, Kind: h.Kind, Engine: h.Engine, Label: h.Label, Quantiles: h.Quantiles, CompleteRows: h.CompleteRows,
		Bytes: len(scoring), FeatureCount: len(h.Features), Features: []FeatureSummary{},
	}
	for _, f := range h.Features[:min(len(h.Features), MaxSummary)] {
		s.Features = append(s.Features, FeatureSummary{Name: f.Name, Column: f.Column, Type: f.Type.String(), Encoding: f.Encoding, Levels: len(f.Levels)})
	}
	switch h.Engine {
	case EngineLinear:
		m, err := linear.Open(body)
		if err != nil || m.Features() != len(h.Features) {
			return nil, broken("its weights are not those of its features")
		}
		for i := range s.Features {
			for k := range m.Outputs() {
				s.Features[i].Weights = append(s.Features[i].Weights, m.Coefficient(k, i))
			}
		}
	case EngineTrees:
		counts, err := trees.Splits(body)
		if err != nil || len(counts) != len(h.Features) {
			return nil, broken("its trees are not of its features")
		}
		for i := range s.Features {
			s.Features[i].Splits = &counts[i]
		}
	}
	return s, nil
}

package platt

import (
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
)

// Trained returns the two-class model of linear scores, weights·z + base over
// the scaled features z, with the sigmoid that fits them to the labels that
// they were learned from. The sigmoid's slope is folded into the weights.
func Trained(d *learn.Data, m *scaled.Matrix, weights []float64, base float64) (*learn.Trained, error) {
	scores := make([]float64, d.Rows)
	for i := range scores {
		scores[i] = base
	}
	m.Dot(0, weights, scores)
	slope, offset := Fit(scores, d.Label, d.Weight)
	w := make([]float64, len(weights))
	for f, v := range weights {
		w[f] = v * slope
	}
	body, err := m.Fold(w, []float64{base*slope + offset}).Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: model.Sigmoid}}, nil
}

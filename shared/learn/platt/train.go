package platt

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/online"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
)

const (
	// Folds is how many parts the rows are cut into: what scores the rows of
	// one has learned from the others.
	Folds = 5
	// FewRows of a class are too few to learn from some and hold others out.
	FewRows = 10
)

// Linear is linear scores, Weights·z + Base of the scaled features z.
type Linear struct {
	Weights []float64
	Base    float64
}

// Learn learns linear scores from some of the rows.
type Learn func(ctx context.Context, s *learn.Session, rows []int) (Linear, error)

// Train returns the two-class model of the linear scores that by makes of
// all rows of d, whose scaled features m has, and x row by row. Its sigmoid is fitted to scores
// of rows that were not learned from: by is called for the rows outside each
// fold before it is for all. Where a class has fewer than FewRows rows of any
// weight, the sigmoid is fitted to the rows that were learned from. Where
// scores of rows held out fall with the probability, they say nothing: the
// probability is the same for every row.
//
// The seed draws the folds, of as many rows of a class each. What a checkpoint
// saves is the scores that are learned, and the state of by.
func Train(ctx context.Context, d *learn.Data, m *scaled.Matrix, x []float64, s *learn.Session, seed uint64, by Learn) (*learn.Trained, error) {
	fold := folds(d, seed)
	p, err := restore(s.Saved, m.Features)
	if err != nil {
		return nil, err
	}
	rounds := 1
	if fold != nil {
		rounds += Folds
	}
	for len(p.done) < rounds {
		rows := make([]int, 0, d.Rows)
		for r := range d.Rows {
			if held := len(p.done) < rounds-1 && fold[r] == len(p.done); !held {
				rows = append(rows, r)
			}
		}
		l, err := by(ctx, s.Inner(p.next, p.save), rows)
		if err != nil {
			return nil, err
		}
		p.done, p.next = append(p.done, l), nil
	}
	last := p.done[rounds-1]
	scores := make([]float64, d.Rows)
	for r := range scores {
		l := last
		if fold != nil && fold[r] < Folds {
			l = p.done[fold[r]]
		}
		scores[r] = online.Dot(l.Weights, x[r*m.Features:][:m.Features]) + l.Base
	}
	slope, offset := Fit(scores, d.Label, d.Weight)
	if slope < 0 {
		s.Log("the scores of rows that were not learned from do not rise with the label: every row gets the same probability")
		slope, offset = Fit(make([]float64, d.Rows), d.Label, d.Weight)
	}
	w := make([]float64, len(last.Weights))
	for f, v := range last.Weights {
		w[f] = v * slope
	}
	body, err := m.Fold(w, []float64{last.Base*slope + offset}).Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: model.Sigmoid}}, nil
}

// folds returns the fold of each row, Folds for rows of no weight, or nil where
// a class has few rows.
func folds(d *learn.Data, seed uint64) []int {
	var classes [2][]int
	fold := make([]int, d.Rows)
	for r, y := range d.Label {
		if fold[r] = Folds; d.WeightOf(r) > 0 {
			classes[int(y)] = append(classes[int(y)], r)
		}
	}
	rng := rand.New(rand.NewPCG(seed, math.MaxUint64)) // passes draw by their number
	for _, rows := range classes {
		if len(rows) < FewRows {
			return nil
		}
		for i, at := range rng.Perm(len(rows)) {
			fold[rows[at]] = i % Folds
		}
	}
	return fold
}

// progress is the scores that are learned, and the state of the next ones'.
type progress struct {
	done []Linear
	next []byte
}

// save writes the number of scores, weights and base of each, and the state
// that learning saved, little-endian.
func (p *progress) save(next []byte) ([]byte, error) {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(p.done)))
	for _, l := range p.done {
		for _, v := range append(l.Weights[:len(l.Weights):len(l.Weights)], l.Base) {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return append(b, next...), nil
}

func restore(b []byte, features int) (*progress, error) {
	p := &progress{}
	if b == nil {
		return p, nil
	}
	size := 8 * (features + 1)
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(min(Folds, (len(b)-4)/size)) {
		return nil, errors.New("the saved state is not of this training")
	}
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	for range n {
		v := make([]float64, features+1)
		for i := range v {
			v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
		p.done, b = append(p.done, Linear{v[:features], v[features]}), b[size:]
	}
	p.next = b
	return p, nil
}

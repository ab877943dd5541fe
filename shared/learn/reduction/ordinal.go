package reduction

import (
	"context"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
)

// maxCells bounds the memory of the extended rows: 1 GiB.
const maxCells = 1 << 27

// ordinal trains one two-class model of the extended rows.
func (l *Learner) ordinal(ctx context.Context, d *learn.Data, s *learn.Session) (*model.Several, error) {
	m := model.Several{Combination: model.Ranks, Thresholds: d.Classes - 1, Numbered: l.Form().Codes}
	if cells := float64(d.Rows) * float64(m.Thresholds) * float64(len(d.X)+m.Extra()); cells > maxCells {
		return nil, learn.Errorf(138, "%d rows are learned from once for each of %d classes but the last, %.0f cells of at most %d: sample the rows, or put classes together", d.Rows, d.Classes, cells, maxCells)
	}
	part, err := l.part(ctx, extended(d, &m), s)
	if err != nil {
		return nil, err
	}
	m.Parts = []model.Part{part}
	return &m, nil
}

// extended returns every row of d once for each threshold, one after the other:
// its features, the threshold as m has it, and as its label whether the row's
// class is above it.
func extended(d *learn.Data, m *model.Several) *learn.Data {
	times := m.Thresholds
	features := len(d.X) + m.Extra()
	e := &learn.Data{Rows: d.Rows * times, X: make([][]float64, features), Levels: make([]int, features), Classes: 2}
	copy(e.Levels, d.Levels)
	for f := range e.X {
		e.X[f] = make([]float64, e.Rows)
		if f < len(d.X) {
			for i := range e.X[f] {
				e.X[f][i] = d.X[f][i/times]
			}
			continue
		}
		for i := range e.X[f] {
			e.X[f][i] = m.Threshold(i%times, f-len(d.X))
		}
	}
	e.Label = make([]float64, e.Rows)
	for i := range e.Label {
		if d.Label[i/times] > float64(i%times) {
			e.Label[i] = 1
		}
	}
	if d.Weight != nil {
		e.Weight = make([]float64, e.Rows)
		for i := range e.Weight {
			e.Weight[i] = d.Weight[i/times]
		}
	}
	return e
}

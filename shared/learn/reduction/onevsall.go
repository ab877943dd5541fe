package reduction

import (
	"context"
	"encoding/json"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
)

// progress is what a checkpoint saves: the models that are trained, and the
// state of the next one's training, if it began.
type progress struct {
	Parts []model.Part
	Next  []byte
}

func (p progress) encode() ([]byte, error) { return json.Marshal(p) }

// oneVsAll trains one two-class model after the other.
func (l *Learner) oneVsAll(ctx context.Context, d *learn.Data, s *learn.Session) (*model.Several, error) {
	var p progress
	if s.Saved != nil {
		if err := json.Unmarshal(s.Saved, &p); err != nil {
			return nil, err
		}
	}
	for len(p.Parts) < d.Classes {
		two := *d
		two.Classes, two.Label = 2, make([]float64, d.Rows)
		for r, y := range d.Label {
			if int(y) == len(p.Parts) {
				two.Label[r] = 1
			}
		}
		inner := s.Inner(p.Next, func(next []byte) ([]byte, error) { return progress{p.Parts, next}.encode() })
		part, err := l.part(ctx, &two, inner)
		if err != nil {
			return nil, err
		}
		p.Parts, p.Next = append(p.Parts, part), nil
		s.Log("%d of %d two-class models are trained", len(p.Parts), d.Classes)
		if err := s.Checkpoint(p.encode); err != nil {
			return nil, err
		}
	}
	return &model.Several{Combination: model.Shares, Parts: p.Parts}, nil
}

package evaluate

import (
	"slices"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// Scored returns a table with the scores of m behind its columns, as Of reads
// it: column label is its only label, "" for none, and the scores its only
// scores. Module error 0028 where the table has a column of a score's name.
func Scored(m *model.Model, table *frame.Frame, label string) (*frame.Frame, error) {
	scores, err := m.ScoreTable(table)
	if err != nil {
		return nil, err
	}
	for _, c := range scores {
		if table.Col(c.Field.Name) != nil {
			return nil, fault.Module(28, "the table has a column %q already, which the model adds: rename it or drop it", c.Field.Name).At(c.Field.Name)
		}
	}
	out := &frame.Frame{Cols: slices.Concat(table.Cols, scores)}
	for i, c := range table.Cols {
		role := c.Field.Role
		switch {
		case c.Field.Name == label:
			role = frame.Label
		case role == frame.Label || role == frame.Score:
			role = frame.Feature
		}
		if role != c.Field.Role {
			f := *c.Field
			f.Role = role
			out.Cols[i] = c.WithField(&f)
		}
	}
	return out, nil
}

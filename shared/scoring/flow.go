package scoring

import (
	"slices"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Column is a column of an input of a deployment: the positions of both. The
// zero of "none" is NoColumn.
type Column struct{ Input, Col int }

// NoColumn is where a computed column comes from.
var NoColumn = Column{-1, -1}

// Flow says what a deployment does with the columns of its inputs.
type Flow struct {
	// Reads says, by input and column, whether any node reads its cells: such a
	// column is required. What is not read is passed through or dropped.
	Reads [][]bool
	// From says, by output and column, which input column it is, unchanged.
	From [][]Column
}

// Flow follows the columns through the plan for the parameters given.
func (d *Deployment) Flow(given map[string]string) (*Flow, error) {
	p, err := d.plan(given)
	if err != nil {
		return nil, err
	}
	f := &Flow{}
	origin := make([][]Column, len(p.slots))
	for i, s := range p.slots {
		origin[i] = slices.Repeat([]Column{NoColumn}, len(s.schema))
		if i < len(d.inputs) {
			f.Reads = append(f.Reads, make([]bool, len(s.schema)))
			for c := range origin[i] {
				origin[i][c] = Column{i, c}
			}
		}
	}
	for _, s := range p.steps {
		for port, cols := range s.bound.Reads {
			for _, c := range cols {
				if from := origin[s.in[port]][c]; from != NoColumn {
					f.Reads[from.Input][from.Col] = true
				}
			}
		}
		for port, cols := range s.bound.From {
			for c, src := range cols {
				if src != module.Computed {
					origin[s.out[port]][c] = origin[s.in[src.Port]][src.Col]
				}
			}
		}
	}
	for _, o := range p.outputs {
		from := make([]Column, len(o.cols))
		for i, c := range o.cols {
			from[i] = origin[o.slot][c]
		}
		f.From = append(f.From, from)
	}
	return f, nil
}

// Secret reports whether the deployment has a parameter that must not be
// written down.
func (d *Deployment) Secret() bool {
	return slices.ContainsFunc(d.Manifest.Parameters, func(p service.Parameter) bool { return p.Type == service.ParamSecret })
}

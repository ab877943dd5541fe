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
	// From says, by output and column, which input column it is, unchanged.
	From [][]Column

	plan *plan
}

// Flow follows the columns through the plan for the parameters given.
func (d *Deployment) Flow(given map[string]string) (*Flow, error) {
	p, err := d.plan(given)
	if err != nil {
		return nil, err
	}
	f := &Flow{plan: p}
	origin := make([][]Column, len(p.slots))
	for i, s := range p.slots {
		origin[i] = slices.Repeat([]Column{NoColumn}, len(s.schema))
		if i < len(d.inputs) {
			for c := range origin[i] {
				origin[i][c] = Column{i, c}
			}
		}
	}
	for _, s := range p.steps {
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

// Reads says, by input and column, whether its cells decide a column of an
// output that keep keeps, or which rows there are: such a column is required.
// What is only passed through is not among them.
func (f *Flow) Reads(keep func(output, col int) bool) [][]bool {
	p := f.plan
	// wanted columns of each table; read marks those whose cells are read.
	wanted, read := make([][]bool, len(p.slots)), make([][]bool, len(p.slots))
	for i, s := range p.slots {
		wanted[i], read[i] = make([]bool, len(s.schema)), make([]bool, len(s.schema))
	}
	for k, o := range p.outputs {
		for i, c := range o.cols {
			if keep(k, i) {
				wanted[o.slot][c] = true
			}
		}
	}
	want := func(slot, col int) { wanted[slot][col], read[slot][col] = true, true }
	for _, s := range slices.Backward(p.steps) {
		used := len(s.out) == 0 // a sink
		for port, cols := range s.bound.From {
			for c, src := range cols {
				at := s.out[port]
				if !wanted[at][c] {
					continue
				}
				used = true
				switch {
				case src != module.Computed:
					in := s.in[src.Port]
					wanted[in][src.Col] = true
					read[in][src.Col] = read[in][src.Col] || read[at][c]
				case s.bound.Needs != nil:
					for _, col := range s.bound.Needs[c] {
						want(s.in[table(s.bound)], col)
					}
				}
			}
		}
		if !used {
			continue
		}
		for port, cols := range s.bound.Reads {
			if s.bound.Needs != nil {
				cols = nil
				if port == table(s.bound) {
					cols = s.bound.Rows
				}
			}
			for _, c := range cols {
				want(s.in[port], c)
			}
		}
	}
	return read[:len(p.d.inputs)]
}

// table is the port of an op's only table.
func table(b *module.Bound) int {
	return max(0, slices.IndexFunc(b.Reads, func(cols []int) bool { return cols != nil }))
}

// Secret reports whether the deployment has a parameter that must not be
// written down.
func (d *Deployment) Secret() bool {
	return slices.ContainsFunc(d.Manifest.Parameters, func(p service.Parameter) bool { return p.Type == service.ParamSecret })
}

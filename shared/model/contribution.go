package model

import (
	"errors"
	"fmt"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/trees"
)

// explainer splits an engine's raw sums into contributions of its features.
type explainer interface {
	Size() int64
	// contributor makes the working memory for blocks of up to rows rows.
	contributor(rows int) contributor
}

// contributor computes contributions. Feature f of row r is x[f*n+r], NaN
// where missing; out has, for each row and output, one of each feature and the
// base behind them. It does not allocate.
type contributor interface {
	Contributions(x []float64, n int, out []float64)
}

type treeExplainer struct{ *trees.Explainer }

func (e treeExplainer) contributor(rows int) contributor { return e.NewSession(rows) }

type linearExplainer struct{ *linear.Model }

func (e linearExplainer) contributor(int) contributor { return e.Model }

func openExplainer(name string, body []byte) (explainer, error) {
	switch name {
	case EngineTrees:
		e, err := trees.OpenExplainer(body)
		switch {
		case errors.Is(err, trees.ErrNoCovers):
			return nil, fault.New(fault.BadUserArgument, "", "the model has no contributions: its file says no covers of its trees, or it was imported without them")
		case err != nil:
			return nil, broken("%v", err)
		}
		return treeExplainer{e}, nil
	case EngineLinear:
		e, err := linear.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return linearExplainer{e}, nil
	}
	return nil, fault.New(fault.BadUserArgument, "", "models of engine %q have no contributions", name)
}

// ContributionName names the column of what a feature contributed to the raw
// score; of no feature in particular, of the base. The class is empty but for
// models that have a raw score for each.
func ContributionName(feature, class string) string {
	name := "Contribution base"
	if feature != "" {
		name = "Contribution of " + feature
	}
	if class != "" {
		name += ` for Class "` + class + `"`
	}
	return name
}

// Explainer appends the contributions of a bound model's features to its raw
// score: the margin of a tree ensemble, before any link. What they add up to
// with the base is that raw score; for a two-class model of one output it is of
// the second class. Immutable, for any number of ExplainStates.
type Explainer struct {
	s      *Scorer
	engine explainer
	fields []frame.Field
}

// Explainer opens the artifact that s's model was opened from for
// contributions. It holds memory of its own. A model that has none is a
// fault.BadUserArgument.
func (s *Scorer) Explainer(scoring []byte) (*Explainer, error) {
	h, body, err := parse(scoring)
	if err != nil {
		return nil, err
	}
	if h.Engine != s.m.header.Engine || len(h.Features) != len(s.m.header.Features) {
		return nil, broken("it is not the model that was bound")
	}
	e, err := openExplainer(h.Engine, body)
	if err != nil {
		return nil, err
	}
	x := &Explainer{s: s, engine: e}
	for k := range s.m.engine.Outputs() {
		class := ""
		if s.m.engine.Outputs() > 1 && h.Label != nil {
			class = h.Label.Classes[k]
		}
		for i := range h.Features {
			x.add(ContributionName(h.Features[i].Name, class))
		}
		x.add(ContributionName("", class))
	}
	return x, nil
}

func (x *Explainer) add(name string) {
	x.fields = append(x.fields, frame.Field{Name: name, Type: frame.Double, Role: frame.Score, Nullable: true})
}

// Fields returns the columns, in order: for each output those of the features
// in the model's order, then the base.
func (x *Explainer) Fields() []frame.Field { return x.fields }

// Size is the memory that x holds, in bytes.
func (x *Explainer) Size() int64 { return x.engine.Size() }

// explainRows is how many rows are explained together.
const explainRows = 8

// ExplainState is the working memory of one goroutine's explaining.
type ExplainState struct {
	st          State
	contributor contributor
	out         []float64
}

// NewState makes working memory.
func (x *Explainer) NewState() *ExplainState {
	e := x.s.m.engine
	return &ExplainState{
		st:          State{x: make([]float64, explainRows*e.Features())},
		contributor: x.engine.contributor(explainRows),
		out:         make([]float64, explainRows*len(x.fields)),
	}
}

// Explain appends the contributions of all rows of in, a frame of the schema
// that the Scorer is bound to, to dst: columns of Fields, in order. A row that
// gets no score gets no contributions; one that the model refuses is a
// *RowError. It allocates nothing in the steady state.
func (x *Explainer) Explain(st *ExplainState, in *frame.Frame, dst []*frame.Column) error {
	if len(dst) != len(x.fields) {
		return fmt.Errorf("%d columns for %d contributions", len(dst), len(x.fields))
	}
	s, rows := x.s, in.Rows()
	width := len(x.fields)
	for lo := 0; lo < rows; lo += explainRows {
		n := min(explainRows, rows-lo)
		st.st.holes = 0
		features := st.st.x[:n*s.m.engine.Features()]
		if err := s.encode(&st.st, in, lo, n, features); err != nil {
			return err
		}
		st.contributor.Contributions(features, n, st.out)
		for r := range n {
			none := s.m.header.CompleteRows && st.st.holes>>r&1 != 0
			for k, c := range dst {
				if none {
					c.AppendNull()
				} else {
					c.AppendFloat(st.out[r*width+k])
				}
			}
		}
	}
	return nil
}

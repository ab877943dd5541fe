package model

import (
	"fmt"
	"strconv"

	"github.com/portico-ml/portico/shared/frame"
)

// ContributionName names the column of what a feature contributed to the raw
// score; of no feature in particular, of the base. Of is what the raw score is
// of, where a model has several: "", OfClass, AboveClass or OfCluster.
func ContributionName(feature, of string) string {
	if feature == "" {
		return "Contribution base" + of
	}
	return "Contribution of " + feature + of
}

// OfClass is the raw score of one class.
func OfClass(class string) string { return ` for Class "` + class + `"` }

// AboveClass is the raw score of being above a class, of classes in an order.
func AboveClass(class string) string { return ` above Class "` + class + `"` }

// OfCluster is the raw score of cluster k, from 0.
func OfCluster(k int) string { return " for Cluster " + strconv.Itoa(k) }

// Explainer appends the contributions of a bound model's features to its raw
// scores, which are what the answers are made of before any link:
//
//   - of a two-class model that of the positive class, or those of both classes
//     where its engine has one for each;
//   - of a multiclass model those of the classes; where it is made of two-class
//     models, theirs;
//   - of a distribution the mean;
//   - of a clustering the squared distances, or the distances by the angle;
//   - of an anomaly detection by a subspace the square of the score.
//
// What the contributions add up to with the base is the raw score. Immutable, for
// any number of ExplainStates.
type Explainer struct {
	s      *Scorer
	engine explainer
	width  int // numbers of a row that the engine's contributor gives
	fields []frame.Field
	// What the engine splits becomes the raw score: sign times it, and more.
	sign, more float64
}

// maxContributions bounds the columns of contributions.
const maxContributions = 1 << 16

// Explainer opens the artifact that s's model was opened from for
// contributions. It holds memory of its own. A model that has none is a
// fault.BadUserArgument that says why.
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
	x := &Explainer{s: s, engine: e, width: e.Outputs() * (len(h.Features) + 1), sign: 1}
	split := x.split()
	if n := len(split) * (len(h.Features) + 1); n > maxContributions {
		return nil, without(fmt.Sprintf("they would be %d columns, at most %d are possible", n, maxContributions))
	}
	for _, of := range split {
		for i := range h.Features {
			x.add(ContributionName(h.Features[i].Name, of))
		}
		x.add(ContributionName("", of))
	}
	return x, nil
}

// split returns what the raw scores are of, and sets how they are made of what
// the engine splits.
func (x *Explainer) split() []string {
	h, n := &x.s.m.header, x.engine.Outputs()
	switch h.Kind {
	case TwoClass:
		if n == 2 {
			return each(h.Label.Classes, OfClass)
		}
		x.positive()
	case Multiclass:
		if n < len(h.Label.Classes) {
			return each(h.Label.Classes[:n], AboveClass)
		}
		return each(h.Label.Classes, OfClass)
	case Distribution: // the mean comes first
		if h.Transform.Name == Moments {
			x.more = h.Transform.Center
		}
	case Clustering:
		of := make([]string, n)
		for k := range of {
			of[k] = OfCluster(k)
		}
		return of
	}
	return []string{""}
}

// positive makes the raw score of the second class that of the first where that
// is the positive one.
func (x *Explainer) positive() {
	if x.s.answer.positive == 1 {
		return
	}
	x.sign = -1
	if n := x.s.m.header.Transform.Name; n == Identity || n == Probabilities {
		x.more = 1
	}
}

func each(classes []string, of func(string) string) []string {
	out := make([]string, len(classes))
	for i, c := range classes {
		out[i] = of(c)
	}
	return out
}

func (x *Explainer) add(name string) {
	x.fields = append(x.fields, frame.Field{Name: name, Type: frame.Double, Role: frame.Score, Nullable: true})
}

// Fields returns the columns, in order: for each raw score those of the features
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
		out:         make([]float64, explainRows*x.width),
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
	block := s.m.engine.Features() + 1 // of a raw score
	for lo := 0; lo < rows; lo += explainRows {
		n := min(explainRows, rows-lo)
		st.st.holes = 0
		features := st.st.x[:n*s.m.engine.Features()]
		if err := s.encode(&st.st, in, lo, n, features); err != nil {
			return err
		}
		st.contributor.Contributions(features, n, st.out)
		for r := range n {
			row := st.out[r*x.width:][:len(dst)]
			if s.m.header.CompleteRows && st.st.holes>>r&1 != 0 || unanswered(row) {
				for _, c := range dst {
					c.AppendNull()
				}
				continue
			}
			for k, c := range dst {
				v := x.sign * row[k]
				if (k+1)%block == 0 {
					v += x.more
				}
				c.AppendFloat(v + 0) // -0 is 0
			}
		}
	}
	return nil
}

// Package jungle trains decision jungles: ensembles of decision graphs whose
// levels are no wider than a bound, because branches that have come to hold
// alike classes are merged (Shotton, Sharp, Kohli, Nowozin, Winn and Criminisi,
// Decision Jungles: Compact and Rich Models for Classification, NIPS 2013).
//
// A graph grows level by level. While the next level has room for two children
// of every node, nodes are split as a tree's are; then the children of the
// next level are shared, and the tests of the nodes and the ways to the
// children are improved together, one step at a time, towards the least total
// entropy of the children (the paper's LSearch).
package jungle

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/dag"
	"github.com/portico-ml/portico/shared/model/trees"
)

// Options of decision jungles. The zero value of a number is the Studio's
// default.
type Options struct {
	Graphs int // number of graphs, 8 by default
	Depth  int // the most tests on a way through a graph, 32 by default
	Width  int // the most nodes of a level, 2 or more, 128 by default
	// Steps is how many times a level is improved whose children are shared,
	// 2,048 by default.
	Steps int
	// Replicate grows every graph on all rows; otherwise each is grown on as
	// many rows as there are, drawn with replacement.
	Replicate bool
	// UnknownLevels scores levels that training did not see like those of the
	// larger side of each split; otherwise they are missing.
	UnknownLevels bool
	Seed          uint64
}

func (o Options) check() (Options, error) {
	for _, n := range []struct {
		name                   string
		value                  *int
		otherwise, least, most int
	}{
		{"graphs", &o.Graphs, 8, 1, dag.MaxGraphs},
		{"levels", &o.Depth, 32, 1, 1 << 20},
		{"nodes in a level", &o.Width, 128, 2, 1 << 20},
		{"steps per level", &o.Steps, 2048, 1, 1 << 30},
	} {
		if *n.value == 0 {
			*n.value = n.otherwise
		}
		if *n.value < n.least || *n.value > n.most {
			return o, learn.Errorf(8, "%d %s: %d to %d are possible", *n.value, n.name, n.least, n.most)
		}
	}
	return o, nil
}

// Jungle is a learner of decision jungles.
type Jungle struct {
	name string
	kind model.Kind
	o    Options
}

// TwoClass returns the learner of jungles for two classes.
func TwoClass(o Options) (*Jungle, error) {
	return newJungle("Two-Class Decision Jungle", model.TwoClass, o)
}

// Multiclass returns the learner of jungles for several classes.
func Multiclass(o Options) (*Jungle, error) {
	return newJungle("Multiclass Decision Jungle", model.Multiclass, o)
}

func newJungle(name string, kind model.Kind, o Options) (*Jungle, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	return &Jungle{name, kind, o}, nil
}

// Name returns the learner's name.
func (j *Jungle) Name() string { return j.name }

// Kind returns what the trained model answers.
func (j *Jungle) Kind() model.Kind { return j.kind }

// Form returns how the learner wants columns.
func (j *Jungle) Form() learn.Form {
	return learn.Form{Codes: true, UnknownLevels: j.o.UnknownLevels}
}

// Train grows a jungle.
func (j *Jungle) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	m := binned.New(d, binned.Options{Seed: j.o.Seed}, s)
	draws := grow.Rows(d)
	logs := grow.NewLogs(d.Rows)
	grown, err := grow.Ensemble(ctx, s, j.o.Graphs, j.o.Seed, func() func(*rand.Rand) *dag.Graph {
		g := newGrower(ctx, m, d.Classes, j.o, logs)
		return func(random *rand.Rand) *dag.Graph {
			if j.o.Replicate {
				return g.grow(slices.Clone(draws), random)
			}
			return g.grow(grow.Bootstrap(draws, len(draws), random), random)
		}
	})
	if err != nil {
		return nil, err
	}
	shares := grow.NewShares(d.Classes, draws)
	e := dag.Jungle{Features: len(m.Features), Outputs: d.Classes, Single: m.Input == trees.Float32, Shares: true}
	t := &learn.Trained{Engine: model.EngineDAG, Transform: model.Transform{Name: model.Probabilities}}
	if j.kind == model.TwoClass { // one output: the probability of class 1
		e.Outputs, t.Transform.Name = 1, model.Identity
	}
	for _, g := range grown {
		for i := range g.Nodes {
			if n := &g.Nodes[i]; n.Test == dag.Leaf {
				shares.Of(n.Value, n.Value)
				n.Value = n.Value[d.Classes-e.Outputs:]
			}
		}
		e.Graphs = append(e.Graphs, *g)
	}
	t.Body, err = e.Encode()
	return t, err
}

// Package boost learns gradient boosted decision trees, for two classes, many
// classes and numbers.
//
// Each round fits a tree to the gradients of the loss, one for each class of
// many, by Newton's step (Friedman, "Greedy function approximation", 2001;
// Chen and Guestrin, "XGBoost", 2016). A tree grows leaf by leaf, the one that
// gains most first, from histograms of binned features (Ke et al., "LightGBM",
// 2017). A split sends missing values to the side where they gain more; that
// of a category sends a set of its levels right, and all others, the rare and
// the unknown among them, left. Gradients are added up as integers (Shi et
// al., "Quantized training of gradient boosting decision trees", 2022, with 19
// bits or more): their sums are exact in any order, so that the number of
// workers cannot change a tree.
package boost

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/trees"
)

// Options are the parameters of the algorithm.
type Options struct {
	// Leaves is the most leaves of a tree, at least 2.
	Leaves int
	// MinLeaf is the fewest training rows of a leaf, at least 1. Rows count as
	// one each, whatever their weight.
	MinLeaf int
	// Rate is what a tree's values are multiplied by, above 0 and at most 1.
	Rate float64
	// Rounds is the number of trees, or of trees for each class of many.
	Rounds int
	// Seed decides between splits that gain the same, and draws the rows that
	// bins are made from where there are many.
	Seed uint64
	// UnknownLevels gives values of a category that training did not see a
	// level of their own, which goes left at every split of the category. They
	// are missing otherwise.
	UnknownLevels bool
}

// Learner learns boosted trees.
type Learner struct {
	name string
	kind model.Kind
	o    Options
}

// TwoClass returns the learner for labels of two classes: logistic loss.
func TwoClass(o Options) (*Learner, error) {
	return newLearner("Two-Class Boosted Decision Tree", model.TwoClass, o)
}

// Multiclass returns the learner for labels of two classes or more: softmax
// cross entropy, a tree for each class and round.
func Multiclass(o Options) (*Learner, error) {
	return newLearner("Multiclass Boosted Decision Tree", model.Multiclass, o)
}

// Regression returns the learner for numbers: squared error.
func Regression(o Options) (*Learner, error) {
	return newLearner("Boosted Decision Tree Regression", model.Regression, o)
}

func newLearner(name string, kind model.Kind, o Options) (*Learner, error) {
	switch {
	case o.Leaves < 2:
		return nil, learn.Errorf(8, "%s: %d leaves per tree: there must be at least 2", name, o.Leaves)
	case o.MinLeaf < 1:
		return nil, learn.Errorf(8, "%s: at least %d rows in a leaf: it must be 1 or more", name, o.MinLeaf)
	case !(o.Rate > 0 && o.Rate <= 1):
		return nil, learn.Errorf(8, "%s: the learning rate %v must be above 0 and at most 1", name, o.Rate)
	case o.Rounds < 1:
		return nil, learn.Errorf(8, "%s: %d trees: there must be at least 1", name, o.Rounds)
	}
	return &Learner{name, kind, o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return l.name }

// Kind is what the model will answer.
func (l *Learner) Kind() model.Kind { return l.kind }

// Form asks for categories as codes.
func (l *Learner) Form() learn.Form {
	return learn.Form{Codes: true, UnknownLevels: l.o.UnknownLevels}
}

// training is one execution of a learner.
type training struct {
	o    Options
	s    *learn.Session
	m    *binned.Matrix
	loss loss
	// sum is the precision in which scoring forms sums, and training too.
	sum    trees.Precision
	base   []float64   // where each output's sum begins
	sums   [][]float64 // by output: each row's sum of the base and the trees so far
	grower *grower
	trees  []tree // round by round, the outputs' of one round in order
}

// Train makes a model of the data, with a checkpoint after each round.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	t, transform := l.begin(d, s)
	if err := t.resume(); err != nil {
		return nil, err
	}
	for all := l.o.Rounds * len(t.base); len(t.trees) < all; {
		before := len(t.trees)
		if err := t.round(ctx); err != nil {
			return nil, err
		}
		s.Progress(before, len(t.trees), all, "trees")
		if err := s.Checkpoint(t.state); err != nil {
			return nil, err
		}
	}
	body, err := t.forest().Encode()
	if err != nil {
		return nil, err
	}
	return &learn.Trained{Engine: model.EngineTrees, Body: body, Transform: model.Transform{Name: transform}}, nil
}

// perBin keeps cuts of numbers from going between each two rows of a small
// table, where they fit noise.
const perBin = 3

// begin makes a training whose sums are the base, and names the transform that
// makes answers of sums.
func (l *Learner) begin(d *learn.Data, s *learn.Session) (t *training, transform string) {
	t = &training{o: l.o, s: s, m: binned.New(d, binned.Options{PerBin: perBin, Seed: l.o.Seed}, s)}
	w := newWeights(d)
	switch l.kind {
	case model.TwoClass:
		t.loss, t.sum, transform = newLogistic(d, w), t.m.Input, model.Sigmoid
	case model.Multiclass:
		t.loss, t.sum, transform = newSoftmax(d, w), t.m.Input, model.Softmax
	default:
		// A sum of float32 would round away what a large mean leaves of a label.
		t.loss, t.sum, transform = newSquared(d, w), trees.Float64, model.Identity
	}
	t.grower = newGrower(t.m, s, l.o, w)
	t.base = t.loss.base()
	t.sums = make([][]float64, len(t.base))
	for k, b := range t.base {
		if t.sum == trees.Float32 {
			b = float64(float32(b))
			t.base[k] = b
		}
		t.sums[k] = slices.Repeat([]float64{b}, d.Rows)
	}
	return t, transform
}

// round adds a tree for each output.
func (t *training) round(ctx context.Context) error {
	t.loss.begin(t.s, t.sums)
	for k := range t.base {
		if err := ctx.Err(); err != nil {
			return err
		}
		grown := t.grower.grow(t.loss, k, t.sums[k])
		t.finish(grown, k)
		t.trees = append(t.trees, grown.tree)
	}
	return nil
}

// finish gives a tree's leaves their values and adds them to the rows' sums.
func (t *training) finish(g grown, k int) {
	sums := t.sums[k]
	t.s.Each(len(g.leaves), func(_, i int) {
		l := &g.leaves[i]
		rows := t.grower.rows[l.from:l.to]
		n := &g.tree[l.node]
		n.Value, n.Cover = t.grower.leaf(rows)
		n.Value *= t.o.Rate
		if t.sum == trees.Float32 {
			n.Value = float64(float32(n.Value))
		}
		t.add(sums, rows, n.Value)
	})
}

// add adds the value of a leaf to the sums of its rows, as scoring will.
func (t *training) add(sums []float64, rows []uint32, value float64) {
	if t.sum == trees.Float32 {
		for _, r := range rows {
			sums[r] = float64(float32(sums[r]) + float32(value))
		}
		return
	}
	for _, r := range rows {
		sums[r] += value
	}
}

// ranks is the order in which the seed prefers features.
func ranks(features int, seed uint64) []int {
	return rand.New(rand.NewPCG(seed, 0x626f6f7374)).Perm(features)
}

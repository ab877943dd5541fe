package forest

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/quantile"
)

// QuantileOptions are the options of quantile forests. The zero value of a
// number is the Studio's default.
type QuantileOptions struct {
	Trees    int // number of trees, 100 by default
	Leaves   int // the most leaves of a tree, 20 by default
	LeafRows int // the fewest samples in a leaf, 10 by default
	// Bagging is how many rows a tree is grown on, as a share of all; they are
	// drawn with replacement. 0.7 by default.
	Bagging float64
	// Features is the share of the features that a tree uses, and SplitFeatures
	// the share of those that a split chooses from; 0.7 by default.
	Features, SplitFeatures float64
	// Samples is the most labels that a leaf keeps, 100 by default.
	Samples int
	// Quantiles are those to estimate, between 0 and 1, in any order; the
	// quartiles by default.
	Quantiles     []float64
	UnknownLevels bool // as in Options
	Seed          uint64
}

func (o QuantileOptions) check() (QuantileOptions, error) {
	err := atLeastOne(
		number{"trees", &o.Trees, 100}, number{"leaves", &o.Leaves, 20}, number{"samples per leaf", &o.LeafRows, 10},
		number{"samples for the quantiles", &o.Samples, 100},
	)
	if err != nil {
		return o, err
	}
	if o.Trees > quantile.MaxTrees {
		return o, learn.Errorf(8, "%d trees: the most is %d", o.Trees, quantile.MaxTrees)
	}
	for _, share := range []*float64{&o.Bagging, &o.Features, &o.SplitFeatures} {
		if *share == 0 {
			*share = 0.7
		}
		if !(*share > 0 && *share <= 1) {
			return o, learn.Errorf(8, "the fraction %v is not above 0 and at most 1", *share)
		}
	}
	if o.Quantiles == nil {
		o.Quantiles = []float64{0.25, 0.5, 0.75}
	}
	o.Quantiles = slices.Clone(o.Quantiles)
	slices.Sort(o.Quantiles)
	o.Quantiles = slices.Compact(o.Quantiles)
	if n := len(o.Quantiles); n == 0 || n > quantile.MaxQuantiles {
		return o, learn.Errorf(8, "%d quantiles: 1 to %d are possible", n, quantile.MaxQuantiles)
	}
	for _, q := range o.Quantiles {
		if !(q >= 0 && q <= 1) {
			return o, learn.Errorf(8, "the quantile %v is not between 0 and 1", q)
		}
	}
	return o, nil
}

// Quantile is a learner of quantile regression forests (Meinshausen, Quantile
// Regression Forests, JMLR 7, 2006): trees for the mean, whose leaves keep the
// labels that came there.
type Quantile struct{ o QuantileOptions }

// NewQuantile returns the learner.
func NewQuantile(o QuantileOptions) (*Quantile, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	return &Quantile{o}, nil
}

// Name returns the learner's name.
func (q *Quantile) Name() string { return "Fast Forest Quantile Regression" }

// Kind returns what the trained model answers.
func (q *Quantile) Kind() model.Kind { return model.Quantiles }

// Form returns how the learner wants columns.
func (q *Quantile) Form() learn.Form {
	return learn.Form{Codes: true, UnknownLevels: q.o.UnknownLevels}
}

// Train grows a forest.
func (q *Quantile) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	draws := grow.Rows(d)
	if _, err := rescale(d, draws); err != nil {
		return nil, err
	}
	m := binned.New(d, binned.Options{Seed: q.o.Seed}, s)
	grown, err := grow.Ensemble(ctx, s, q.o.Trees, q.o.Seed, func() func(*rand.Rand) *tree {
		g := &grower{
			ctx: ctx, m: m, depth: math.MaxInt, search: grow.ByValue(m, q.o.LeafRows),
			pick: newRandomFeatures(len(m.Features), q.o.Features, q.o.SplitFeatures), leaf: sampleLeaf(d.Label, q.o.Samples),
		}
		return func(random *rand.Rand) *tree {
			return g.growLeaves(grow.Bootstrap(draws, portion(q.o.Bagging, len(draws)), random), q.o.Leaves, random)
		}
	})
	if err != nil {
		return nil, err
	}
	f := quantile.Forest{Features: len(m.Features), Input: m.Input, Quantiles: q.o.Quantiles}
	for _, t := range grown {
		f.Trees = append(f.Trees, quantile.Tree{Nodes: t.Nodes, Samples: t.samples()})
	}
	body, err := f.Encode()
	return &learn.Trained{
		Engine: model.EngineQuantile, Body: body, Transform: model.Transform{Name: model.Identity}, Quantiles: q.o.Quantiles,
	}, err
}

// sampleLeaf makes leaves of the labels of the rows, with their weights, or of
// as many samples as there may be: one from each of as many equal parts of the
// weight, in the order of labels.
func sampleLeaf(labels []float64, most int) func([]grow.Draw, *rand.Rand, []item) []item {
	var values, weights []float64
	return func(draws []grow.Draw, random *rand.Rand, to []item) []item {
		values, weights = values[:0], weights[:0]
		count := 0
		for _, d := range draws {
			count += int(d.Count)
			values, weights = append(values, labels[d.Row]), append(weights, d.Weight)
		}
		sample := quantile.Weigh(values, weights)
		if count > most {
			sample = thin(sample, most, random.Float64())
		}
		for _, w := range sample {
			to = append(to, item{int32(w.Weight), w.Label})
		}
		return to
	}
}

// thin is n labels of s, each as likely as it is heavy: those at (k+offset)/n
// of the weight, for k below n.
func thin(s quantile.Sample, n int, offset float64) quantile.Sample {
	var labels, weights []float64
	i, upTo := 0, uint64(s[0].Weight)
	for k := range n {
		at := uint64((float64(k) + offset) / float64(n) * quantile.Unit)
		for at >= upTo && i+1 < len(s) {
			i++
			upTo += uint64(s[i].Weight)
		}
		labels, weights = append(labels, s[i].Label), append(weights, 1)
	}
	return quantile.Weigh(labels, weights)
}

// samples are what the leaves hold, in the order of their numbers.
func (t *tree) samples() []quantile.Sample {
	out := make([]quantile.Sample, len(t.Ends))
	for i := range out {
		for _, it := range t.leaf(float64(i)) {
			out[i] = append(out[i], quantile.Weighted{Label: it.Value, Weight: uint32(it.Key)})
		}
	}
	return out
}

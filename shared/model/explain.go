package model

import (
	"errors"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model/bayes"
	"github.com/portico-ml/portico/shared/model/centroids"
	"github.com/portico-ml/portico/shared/model/dag"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/subspace"
	"github.com/portico-ml/portico/shared/model/trees"
)

// explainer splits sums of an engine, or what its sums are made of, into
// contributions of its features.
type explainer interface {
	// Outputs is how many are split.
	Outputs() int
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

type bayesExplainer struct{ *bayes.Model }

func (e bayesExplainer) Outputs() int                { return 1 } // the mean
func (e bayesExplainer) contributor(int) contributor { return e.Model }

type dagExplainer struct{ *dag.Explainer }

func (e dagExplainer) contributor(int) contributor { return e.NewSession() }

type centroidsExplainer struct{ *centroids.Model }

func (e centroidsExplainer) contributor(int) contributor { return e.NewSession() }

type subspaceExplainer struct{ *subspace.Model }

func (e subspaceExplainer) contributor(int) contributor { return e.NewSession() }

// unexplained says of an engine why its models have no contributions.
var unexplained = map[string]string{
	EngineNeural:   "what a neural network answers is no sum of what its features do",
	EngineKernel:   "the score is a sum over the vectors of what all features do together, not over features",
	EngineQuantile: "a quantile of the labels of many leaves is no sum of what the leaves say",
	EngineONNX:     "an ONNX graph may compute anything of its inputs, and keeps nothing of the training rows",
}

// without is the fault of a model that has no contributions.
func without(why string) error {
	return fault.New(fault.BadUserArgument, "", "the model has no contributions: %s", why)
}

func openExplainer(name string, body []byte) (explainer, error) {
	switch name {
	case EngineTrees:
		e, err := trees.OpenExplainer(body)
		switch {
		case errors.Is(err, trees.ErrNoCovers):
			return nil, without("its file says no covers of its trees, or it was imported without them")
		case errors.Is(err, trees.ErrTooDeep):
			return nil, without("its trees are too deep")
		}
		return opened(treeExplainer{e}, err)
	case EngineLinear:
		e, err := linear.Open(body)
		return opened(linearExplainer{e}, err)
	case EngineBayes:
		e, err := bayes.Open(body)
		return opened(bayesExplainer{e}, err)
	case EngineDAG:
		e, err := dag.OpenExplainer(body)
		switch {
		case errors.Is(err, dag.ErrNoShares):
			return nil, without("it was trained before models of this kind kept what they need; train it again")
		case errors.Is(err, dag.ErrTooLarge):
			return nil, without("its graphs are too large")
		}
		return opened(dagExplainer{e}, err)
	case EngineCentroids:
		e, err := centroids.Open(body)
		return opened(centroidsExplainer{e}, err)
	case EngineSubspace:
		e, err := subspace.Open(body)
		return opened(subspaceExplainer{e}, err)
	case EngineSeveral:
		return openSeveralExplainer(body)
	}
	why, known := unexplained[name]
	if !known {
		return nil, broken("this program has no engine %q", name)
	}
	return nil, without(why)
}

func opened(e explainer, err error) (explainer, error) {
	if err != nil {
		return nil, broken("%v", err)
	}
	return e, nil
}

// severalExplainer splits the raw scores of the two-class models of several:
// for each class, or for each but the last.
type severalExplainer struct {
	s     *several
	parts []explainer
}

func openSeveralExplainer(body []byte) (explainer, error) {
	s, err := readSeveral(body)
	if err != nil {
		return nil, err
	}
	e := &severalExplainer{s: s}
	for _, p := range s.Parts {
		x, err := openExplainer(p.Engine, p.Body)
		if err != nil {
			return nil, err
		}
		e.parts = append(e.parts, x)
	}
	s.Parts = nil
	return e, nil
}

func (e *severalExplainer) Outputs() int {
	if e.s.Combination == Ranks {
		return e.s.Thresholds
	}
	return len(e.parts)
}

func (e *severalExplainer) Size() int64 {
	size := int64(0)
	for _, p := range e.parts {
		size += p.Size()
	}
	return size
}

func (e *severalExplainer) contributor(rows int) contributor {
	c := &severalContributor{e: e}
	most := 0
	for _, p := range e.parts {
		c.parts = append(c.parts, p.contributor(rows))
		most = max(most, p.Outputs())
	}
	c.out = make([]float64, rows*most*(e.s.features+1))
	if e.s.Combination == Ranks {
		c.x = make([]float64, rows*e.s.features)
	}
	return c
}

type severalContributor struct {
	e     *severalExplainer
	parts []contributor
	out   []float64 // of one part
	x     []float64 // of Ranks: the rows with a threshold
}

func (c *severalContributor) Contributions(x []float64, n int, out []float64) {
	if s := c.e.s; s.Combination == Ranks {
		copy(c.x, x[:s.Features()*n])
		for k := range s.Thresholds {
			s.extend(c.x, k, n)
			c.part(0, c.x, k, n, out)
		}
		return
	}
	for i := range c.parts {
		c.part(i, x, i, n, out)
	}
}

// part writes those of part i as those of output k. What a threshold among the
// part's features contributes goes to the base: no row has another there.
func (c *severalContributor) part(i int, x []float64, k, n int, out []float64) {
	features, width := c.e.s.Features(), c.e.s.features+1
	outputs := c.e.parts[i].Outputs()
	c.parts[i].Contributions(x, n, c.out)
	for r := range n {
		from := c.out[((r+1)*outputs-1)*width:][:width] // of class 1, by one output or two
		to := out[(r*c.e.Outputs()+k)*(features+1):][:features+1]
		copy(to, from[:features])
		base := from[width-1]
		for _, v := range from[features : width-1] {
			base += v
		}
		to[features] = base
	}
}

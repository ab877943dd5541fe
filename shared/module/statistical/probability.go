package statistical

import (
	"fmt"
	"slices"

	"github.com/portico-ml/portico/shared/module"
)

// The parameters of distributions.
const (
	meanParam        = "Mean"
	deviationParam   = "Standard deviation"
	locationParam    = "Location"
	scaleParam       = "Scale"
	shapeParam       = "Shape"
	extremeParam     = "Extreme value shape"
	alphaParam       = "Alpha"
	betaParam        = "Beta"
	rateParam        = "Rate"
	freedomParam     = "Degrees of freedom"
	numeratorParam   = "Numerator degrees of freedom"
	denominatorParam = "Denominator degrees of freedom"
	successParam     = "Probability of success"
	trialsParam      = "Number of trials"
	successesParam   = "Number of successes"
	minimumParam     = "Minimum"
	maximumParam     = "Maximum"
	modeParam        = "Mode"
)

var distributionParams = []struct{ name, def, doc string }{
	{meanParam, "0", "The mean; of the logarithm for LogNormal."},
	{deviationParam, "1", "The standard deviation, above 0; of the logarithm for LogNormal."},
	{locationParam, "0", "Where the distribution lies."},
	{scaleParam, "1", "How wide it is, above 0; for Pareto the smallest value."},
	{shapeParam, "1", "The shape, above 0."},
	{extremeParam, "0", "The shape ξ: 0 for Gumbel's distribution, above 0 for Fréchet's, below 0 for Weibull's reversed."},
	{alphaParam, "1", "The first shape, above 0."},
	{betaParam, "1", "The second shape, above 0."},
	{rateParam, "1", "Events per unit, above 0."},
	{freedomParam, "1", "Degrees of freedom, above 0."},
	{numeratorParam, "1", "Degrees of freedom of the numerator, above 0."},
	{denominatorParam, "1", "Degrees of freedom of the denominator, above 0."},
	{successParam, "0.5", "The probability of success in one trial, above 0 and at most 1. Geometric counts trials up to the first success."},
	{trialsParam, "1", "The number of trials, whole and from 1."},
	{successesParam, "1", "The number of successes before which failures are counted, whole and from 1."},
	{minimumParam, "0", "The smallest value."},
	{maximumParam, "1", "The largest value."},
	{modeParam, "0.5", "The likeliest value."},
}

const (
	cdfMethod     = "Cdf"
	inverseMethod = "InverseCdf"
	pdfMethod     = "Pdf"
)

// EvaluateProbabilityFunction fits nothing: it computes a distribution's
// functions of cells.
func EvaluateProbabilityFunction() *module.Module {
	which := module.Param{Name: "Distribution", Type: module.Enumerated, Default: "Normal", Schema: true, Doc: "The distribution."}
	uses := map[string][]string{} // parameter -> distributions
	for _, d := range distributions {
		which.Options = append(which.Options, d.name)
		for _, p := range d.params {
			uses[p] = append(uses[p], d.name)
		}
	}
	params := []module.Param{which, {
		Name: "Method", Type: module.Enumerated, Default: cdfMethod, Options: []string{cdfMethod, inverseMethod, pdfMethod}, Schema: true,
		Doc: "The probability of at most this value (Cdf), the value of which a probability is that (InverseCdf), or the density (Pdf), which for whole numbers is the probability.",
	}}
	for _, p := range distributionParams {
		params = append(params, module.Param{Name: p.name, Type: module.Float, Default: p.def, When: &module.When{Param: "Distribution", Is: uses[p.name]}, Doc: p.doc})
	}
	params = append(params,
		module.Param{Name: "Column set", Type: module.ColumnPicker, Default: "NumericAll", Schema: true, Doc: "The columns to compute with: numbers or truth values."},
		module.Param{
			Name: "Result mode", Type: module.Enumerated, Default: appendMode, Options: []string{appendMode, inPlace, resultOnly}, Schema: true,
			Doc: "Append the results as new columns, put them in the place of the columns, or give the results only.",
		})
	return &module.Module{
		Spec: module.Spec{
			Name: "Evaluate Probability Function", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: params,
			Doc:    "Computes a probability function of cells. New columns are named like NormalCdf(age). A missing cell gives a missing result, and so does a probability outside 0 to 1 for InverseCdf; an infinite result is module error 0033.",
		},
		Bind: bindProbability,
	}
}

func bindProbability(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	picked, err := numeric(p, "Column set", in)
	if err != nil {
		return nil, err
	}
	d := distributions[slices.IndexFunc(distributions, func(d distribution) bool { return d.name == p.Text("Distribution") })]
	given := make([]float64, len(d.params))
	for i, name := range d.params {
		given[i] = p.Float(name)
	}
	if rule := d.valid(given); rule != "" {
		return nil, module.Errorf(8, "the %s distribution: %s, they are %v", d.name, rule, given)
	}
	method, eval := p.Text("Method"), d.cdf
	switch method {
	case inverseMethod:
		eval = d.inv
	case pdfMethod:
		eval = d.pdf
	}
	mode := p.Text("Result mode")
	var m module.RowMap
	taken := map[string]bool{}
	if mode != resultOnly {
		for i := range in {
			m.Outs = append(m.Outs, module.Pass(in, i))
			taken[in[i].Name] = true
		}
	}
	f := &function{name: d.name + method, f1: func(x float64) float64 { return eval(x, given) }}
	for _, i := range picked {
		name := in[i].Name
		if mode != inPlace {
			name = module.Unique(fmt.Sprintf("%s(%s)", f.name, name), func(name string) bool { return taken[name] })
			taken[name] = true
		}
		out := compute(f, pair{i, -1}, 0, name)
		if mode == inPlace {
			out.Field.Role = in[i].Role
			m.Outs[i] = out
		} else {
			m.Outs = append(m.Outs, out)
		}
	}
	return m.Bind(in, 0, 1)
}

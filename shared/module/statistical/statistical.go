// Package statistical holds the palette group Statistical Functions.
package statistical

import "github.com/portico-ml/portico/shared/module"

const group = "Statistical Functions"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{
		ApplyMathOperation(),
		ComputeElementaryStatistics(),
		ComputeLinearCorrelation(),
		EvaluateProbabilityFunction(),
		ReplaceDiscreteValues(),
		SummarizeData(),
		TestHypothesisUsingTTest(),
	}
}

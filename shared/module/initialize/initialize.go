// Package initialize holds the palette group Machine Learning / Initialize
// Model: modules that name a learner and its parameters. Their output is an
// untrained model, which Train Model and its kin train.
package initialize

import (
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// The palette groups.
const (
	group          = "Machine Learning / Initialize Model"
	classification = group + " / Classification"
	regression     = group + " / Regression"
	clustering     = group + " / Clustering"
	anomaly        = group + " / Anomaly Detection"
)

// Modules returns the group's modules, one family a line.
func Modules() []*module.Module {
	var all []*module.Module
	all = append(all, boosted()...)
	all = append(all, linear()...)
	all = append(all, forests()...)
	all = append(all, reductions()...)
	all = append(all, networks()...)
	all = append(all, clusterings()...)
	all = append(all, anomalies()...)
	return all
}

// untrainedOut is the one output of all modules here.
var untrainedOut = module.Port{ID: "Untrained model", Kind: service.UntrainedModel, Doc: "The learner with its parameters, not trained."}

// Names of parameters that several learners have.
const (
	randomSeed    = "Random number seed"
	unknownLevels = "Allow unknown categorical levels"
)

// seedParam is the seed; what says what is drawn by it.
func seedParam(what string) module.Param {
	return module.Param{
		Name: randomSeed, Type: module.Int, Default: "0", Range: &module.Range{Min: 0, Max: 1<<31 - 1},
		Doc: "Draws " + what + ". The same seed gives the same model.",
	}
}

// unknownLevelsParam is whether values of a category that training did not see
// are scored as a level of their own.
func unknownLevelsParam() module.Param {
	return module.Param{
		Name: unknownLevels, Type: module.Boolean, Default: "true",
		Doc: "Score values of a category that training did not see as a level of their own, the unknown level. Otherwise they are missing.",
	}
}

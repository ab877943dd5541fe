package initialize

import (
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/kmeans"
	"github.com/portico-ml/portico/shared/model/centroids"
	"github.com/portico-ml/portico/shared/module"
)

// clusterings returns the modules of learners that find clusters.
func clusterings() []*module.Module { return []*module.Module{kMeans()} }

// position is that of an option in the list of them.
func position(options []string, option string) int { return slices.Index(options, option) }

func kMeans() *module.Module {
	const (
		centers        = "Number of Centroids"
		initialization = "Initialization"
		starts         = "Number of seeds to sweep"
		metric         = "Metric"
		normalize      = "Normalize features"
		iterations     = "Iterations"
		labels         = "Assign Label Mode"
	)
	// In the order of kmeans.Initialization, centroids.Metric and kmeans.Labels.
	initializations := []string{"K-Means++", "K-Means++ Fast", "First N", "Random", "Evenly", "Use label column"}
	metrics := []string{"Euclidean", "Cosine"}
	modes := []string{"Ignore label column", "Fill missing values", "Overwrite from closest to center"}
	return &module.Module{
		Spec: module.Spec{
			Name: "K-Means Clustering", Group: clustering, CodeVersion: 1, Nature: module.WholeTable, Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(),
				{Name: centers, Type: module.Int, Default: "2", Range: &module.Range{Min: 2, Max: centroids.MaxCenters}, Sweep: true, Doc: "How many clusters to find."},
				{Name: initialization, Type: module.Enumerated, Default: initializations[0], Options: initializations, Doc: "How the first centers are chosen: rows drawn far from each other, exactly or by looking at a few rows only; the first rows that differ; the means of rows dealt at random; points at equal distances between the least and the greatest of all features; the means of the rows of the most frequent labels."},
				seedParam("the first centers"),
				{Name: starts, Type: module.Int, Default: "10", Range: &module.Range{Min: 1, Max: 10_000}, When: &module.When{Param: module.TrainerMode, Is: []string{module.ParameterRange}}, Doc: "How many times each clustering is done from other first centers; the best is kept."},
				{Name: metric, Type: module.Enumerated, Default: metrics[0], Options: metrics, Doc: "How far a row is from a center: by the Euclidean distance, or by 1 less the cosine of the angle between them."},
				{Name: normalize, Type: module.Boolean, Default: "false", Doc: "Bring each feature to the range from 0 to 1 first."},
				{Name: iterations, Type: module.Int, Default: "100", Range: count, Sweep: true, Doc: "The most rounds of moving the centers. Training ends before where none moves any more."},
				{Name: labels, Type: module.Enumerated, Default: modes[0], Options: modes, Doc: "What a label column, where there is one, is for: nothing; a feature of each label, a missing one that of the nearest labels; the same, and in each round the rows of a cluster get the label of the row nearest to its center. A model never reads labels."},
				unknownLevelsParam(),
			},
			Doc: "Names K-means clustering: centers, each the mean of the rows that are nearer to it than to the others. Rows with a missing feature are not learned from and are in no cluster.",
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			o := kmeans.Options{
				Centers: int(v.Int(centers)), Initialization: kmeans.Initialization(position(initializations, v.Text(initialization))),
				Metric: centroids.Metric(position(metrics, v.Text(metric))), Iterations: int(v.Int(iterations)),
				Labels: kmeans.Labels(position(modes, v.Text(labels))), Normalize: v.Bool(normalize), Starts: 1,
				Seed: uint64(v.Int(randomSeed)), UnknownLevels: v.Bool(unknownLevels),
			}
			if v.Text(module.TrainerMode) == module.ParameterRange {
				o.Starts = int(v.Int(starts))
			}
			return kmeans.New(o)
		},
	}
}

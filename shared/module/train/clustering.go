package train

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	columnSet    = "Column Set"
	appendResult = "Check for Append or Uncheck for Result Only"

	clusteringMetric = "Metric for measuring clustering result"
	silhouette       = "Simplified Silhouette"
	daviesBouldin    = "Davies-Bouldin"
	dunn             = "Dunn"
	averageDeviation = "Average Deviation"
)

func clusterParams() []module.Param {
	return []module.Param{
		{
			Name: columnSet, Type: module.ColumnPicker, Default: "AllFeatures",
			Doc: "The columns to find clusters by.",
		},
		{
			Name: appendResult, Type: module.Boolean, Default: "true", Schema: true,
			Doc: "Give the input's columns and the assignments; or the assignments only.",
		},
	}
}

var resultsOut = module.Port{ID: "Results dataset", Kind: service.Dataset, Doc: "The cluster of each row, and its distances to the centers."}

// TrainClusteringModel finds clusters.
func TrainClusteringModel() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Train Clustering Model", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs:  []module.Port{untrainedIn, datasetIn},
			Outputs: []module.Port{trainedOut, resultsOut},
			Params:  clusterParams(),
			Doc:     "Finds clusters of rows by the selected columns, and assigns every row to the one whose center is nearest. Labels, weights, scores, ids and dates are not learned from, even where they are selected.",
		},
		Run: func(ctx context.Context, c *module.Call) ([]module.Value, error) {
			l, err := learner(c, model.Clustering)
			if err != nil {
				return nil, err
			}
			request, err := clusterRequest(c)
			if err != nil {
				return nil, err
			}
			out, err := fit(ctx, c, l, request)
			if err != nil {
				return nil, err
			}
			results, err := assigned(out[0].Artifact, request.Frame, c.Params.Bool(appendResult))
			if err != nil {
				return nil, err
			}
			return append(out, module.Table(results)), nil
		},
	}
}

func clusterRequest(c *module.Call) (learn.Request, error) {
	table := c.Inputs[dataPort].Frame
	picked, err := c.Params.Columns(columnSet).Resolve(table.Schema())
	if err != nil {
		return learn.Request{}, err
	}
	if len(picked) == 0 {
		return learn.Request{}, module.Errorf(20, "no column is selected to find clusters by")
	}
	return learn.Request{Frame: table, Columns: picked}, nil
}

// assigned is what a clustering model says of a table.
func assigned(artifact []byte, table *frame.Frame, whole bool) (*frame.Frame, error) {
	f, err := scored(artifact, table, "")
	if err != nil {
		return nil, err
	}
	out := &frame.Frame{Cols: f.Cols[len(table.Cols):]}
	if whole {
		out.Cols = slices.Concat(table.Cols, out.Cols)
	}
	return out, nil
}

// SweepClustering finds the best of a clustering learner's ranges of
// parameters.
func SweepClustering() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Sweep Clustering", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{untrainedIn, datasetIn},
			Outputs: []module.Port{
				{ID: "Best Trained model", Kind: service.TrainedModel, Doc: "The best candidate."},
				resultsOut,
				{ID: "Sweep results", Kind: service.Dataset, Doc: "The metric and the parameters of every candidate, the best first."},
			},
			Params: slices.Concat([]module.Param{{
				Name: clusteringMetric, Type: module.Enumerated, Default: silhouette,
				Options: []string{silhouette, daviesBouldin, dunn, averageDeviation},
				Doc:     "By what candidates are ranked: how much nearer rows are to their own center than to the next; scatter within clusters over the distance between centers (less is better); the least distance between centers over the greatest to a row's own; the mean distance to the own center (less is better).",
			}}, sweepParams(entireGrid, randomSweep), []module.Param{{
				Name: randomSeed, Type: module.Int, Default: "0",
				When: &module.When{Param: sweepingMode, Is: []string{randomSweep}},
				Doc:  "Decides at random which combinations are drawn.",
			}}, clusterParams()),
			Doc: "Finds clusters for combinations of the learner's ranges of parameters, and gives the best clustering.",
		},
		Run: sweepClustering,
	}
}

// clusterRun is a candidate with what it gave.
type clusterRun struct {
	module.Candidate
	index    int
	artifact []byte
	metric   float64
	centers  int
}

func sweepClustering(ctx context.Context, c *module.Call) ([]module.Value, error) {
	tries, err := candidates(c, model.Clustering)
	if err != nil {
		return nil, err
	}
	request, err := clusterRequest(c)
	if err != nil {
		return nil, err
	}
	s, err := newSteps(c)
	if err != nil {
		return nil, err
	}
	metric := c.Params.Text(clusteringMetric)
	runs := make([]clusterRun, len(tries))
	for i, t := range tries {
		artifact, err := s.do(ctx, t.Learner, request, itself)
		if err != nil {
			return nil, in(err, "in run %d%s", i+1, describe(t.Swept, ", with "))
		}
		runs[i] = clusterRun{Candidate: t, index: i, artifact: artifact}
		if err := runs[i].measure(metric, request); err != nil {
			return nil, err
		}
		c.Log("run %d of %d: %s %v%s", i+1, len(tries), metric, runs[i].metric, describe(t.Swept, " with "))
	}
	slices.SortStableFunc(runs, func(a, b clusterRun) int {
		switch x, y := a.rank(metric), b.rank(metric); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	results, err := assigned(runs[0].artifact, request.Frame, c.Params.Bool(appendResult))
	if err != nil {
		return nil, err
	}
	best, err := trained(runs[0].artifact, view{Tuning: &tuning{
		Runs: len(runs), Metric: metric, Settings: settingsOf(runs[0].Swept), Metrics: evaluate.Metrics{{Name: metric, Value: evaluate.Number(runs[0].metric)}},
	}})
	return []module.Value{best, module.Table(results), module.Table(clusterResults(runs))}, err
}

// rank is the greater the better the run.
func (r *clusterRun) rank(metric string) float64 {
	switch {
	case math.IsNaN(r.metric):
		return math.Inf(-1)
	case metric == silhouette || metric == dunn:
		return r.metric
	}
	return -r.metric
}

func clusterResults(runs []clusterRun) *frame.Frame {
	metric := frame.NewColumn(frame.Field{Name: "Cluster metric", Type: frame.Double, Nullable: true}, len(runs))
	centers := frame.NewColumn(frame.Field{Name: "Number of centroids", Type: frame.Int32}, len(runs))
	index := frame.NewColumn(frame.Field{Name: "Index of run", Type: frame.Int32}, len(runs))
	for _, r := range runs {
		if math.IsInf(r.metric, 0) { // no row is off its center
			metric.AppendNull()
		} else {
			metric.AppendFloat(r.metric)
		}
		centers.AppendInt(int64(r.centers))
		index.AppendInt(int64(r.index))
	}
	out := &frame.Frame{Cols: []*frame.Column{metric, centers, index}}
	for _, c := range settings(len(runs), func(i int) []module.Setting { return runs[i].Swept }) {
		if !strings.EqualFold(c.Field.Name, centers.Field.Name) {
			out.Cols = append(out.Cols, c)
		}
	}
	return out
}

// measure computes the metric over the rows that were learned from.
func (r *clusterRun) measure(metric string, request learn.Request) error {
	m, err := model.Open(r.artifact)
	if err != nil {
		return err
	}
	scores, err := m.ScoreTable(request.Frame)
	if err != nil {
		return err
	}
	r.centers = len(scores) - 1
	var clusters []int32
	distances := make([][]float64, r.centers)
	d, b, err := learn.Prepare(r.Learner, request)
	if err != nil {
		return err
	}
	for at := range d.Rows {
		row := at
		if b.Kept != nil {
			row = b.Kept[at]
		}
		if scores[0].IsNull(row) {
			clusters = append(clusters, -1)
		} else {
			clusters = append(clusters, int32(scores[0].Ints[row]))
		}
		for k := range distances {
			distances[k] = append(distances[k], scores[k+1].Float(row))
		}
	}
	r.metric = quality(metric, clusters, distances, func() [][]float64 { return between(m, d, clusters, r.centers) })
	return nil
}

// between is the distances of the clusters' means to the centers, by the
// model's own measure: [cluster][center], NaN of clusters without a row.
func between(m *model.Model, d *learn.Data, clusters []int32, k int) [][]float64 {
	means, counts := make([][]float64, k), make([]float64, k)
	for c := range means {
		means[c] = make([]float64, len(d.X))
	}
	for f, x := range d.X {
		clear(counts)
		for r, c := range clusters {
			if v := x[r]; c >= 0 && !math.IsNaN(v) {
				counts[c]++
				means[c][f] += (v - means[c][f]) / counts[c]
			}
		}
	}
	clear(counts)
	for _, c := range clusters {
		if c >= 0 {
			counts[c]++
		}
	}
	sums := m.Answers(means)
	out := make([][]float64, k)
	for c := range out {
		if out[c] = sums[c*k:][:k]; counts[c] == 0 {
			for o := range out[c] {
				out[c][o] = math.NaN()
			}
		}
	}
	return out
}

// quality is a metric of a clustering, from the distances [cluster][row] of
// rows to centers and, for those that need them, of the clusters' means to
// centers. A row of cluster -1 has no score. NaN where the metric says nothing,
// as most do of a single cluster.
func quality(metric string, clusters []int32, distances [][]float64, between func() [][]float64) float64 {
	k := len(distances)
	own, points := make([]float64, k), make([]float64, k)
	sum, rows, widest := 0.0, 0.0, 0.0
	for r, c := range clusters {
		if c < 0 {
			continue
		}
		a := distances[c][r]
		own[c], points[c], rows, widest = own[c]+a, points[c]+1, rows+1, max(widest, a)
		if metric == averageDeviation {
			sum += a
			continue
		}
		next := math.Inf(1)
		for o := range k {
			if o != int(c) {
				next = min(next, distances[o][r])
			}
		}
		if most := max(a, next); most > 0 {
			sum += (next - a) / most
		}
	}
	switch {
	case rows == 0 || k < 2 && metric != averageDeviation:
		return math.NaN()
	case metric == silhouette || metric == averageDeviation:
		return sum / rows
	}
	apart := between()
	nearest, ratios, used := math.Inf(1), 0.0, 0.0
	for c := range k {
		if points[c] == 0 {
			continue
		}
		worst := 0.0
		for o := range k {
			if o == c || points[o] == 0 {
				continue
			}
			nearest = min(nearest, apart[c][o])
			worst = max(worst, (own[c]/points[c]+own[o]/points[o])/apart[c][o])
		}
		ratios, used = ratios+worst, used+1
	}
	switch {
	case used < 2:
		return math.NaN()
	case metric == daviesBouldin:
		return ratios / used
	case widest == 0:
		return math.Inf(1) // every row is its cluster's center
	}
	return nearest / widest
}

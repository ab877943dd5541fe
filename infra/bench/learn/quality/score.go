package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// score scores a table and measures the answers by what the label says. Rows
// without a score, of learners that need all cells, do not count.
func score(m *model.Model, f *frame.Frame, t table) (map[string]float64, error) {
	s, err := m.Bind(f.Schema())
	if err != nil {
		return nil, err
	}
	layout, err := frame.NewLayout(m.Fields())
	if err != nil {
		return nil, err
	}
	out := layout.New(f.Rows())
	if err := s.Score(s.NewState(), f, out.Cols); err != nil {
		return nil, err
	}
	y := f.Col(t.Label)
	var rows []int
	for r := range f.Rows() {
		if !out.Cols[0].IsNull(r) && !y.IsNull(r) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no row has a score")
	}
	n := float64(len(rows))
	said := func(r int) string { return string(y.Print(nil, r)) }
	switch m.Kind() {
	case model.TwoClass:
		p, positive := make([]float64, len(rows)), make([]bool, len(rows))
		loss, right := 0.0, 0.0
		for i, r := range rows {
			p[i] = out.Col(model.ScoredProbabilities).Float(r)
			positive[i] = said(r) == m.Header().Label.Positive
			if positive[i] {
				loss -= logOf(p[i])
			} else {
				loss -= logOf(1 - p[i])
			}
			if positive[i] == (p[i] >= 0.5) {
				right++
			}
		}
		return map[string]float64{"auc": auc(p, positive), "log loss": loss / n, "accuracy": right / n}, nil
	case model.Multiclass:
		loss, right := 0.0, 0.0
		for _, r := range rows {
			if c := out.Col(model.ScoredProbability(said(r))); c != nil {
				loss -= logOf(c.Float(r))
			} else {
				loss -= logOf(0)
			}
			if string(out.Col(model.ScoredLabels).Print(nil, r)) == said(r) {
				right++
			}
		}
		return map[string]float64{"accuracy": right / n, "log loss": loss / n}, nil
	case model.Regression, model.Distribution:
		sum := 0.0
		for _, r := range rows {
			e := out.Cols[0].Float(r) - y.Float(r)
			sum += e * e
		}
		return map[string]float64{"rmse": math.Sqrt(sum / n)}, nil
	case model.Quantiles:
		sum := 0.0
		for i, q := range m.Header().Quantiles {
			for _, r := range rows {
				e := y.Float(r) - out.Cols[i].Float(r)
				sum += max(q*e, (q-1)*e)
			}
		}
		return map[string]float64{"pinball": sum / n / float64(len(out.Cols))}, nil
	case model.Anomaly:
		p, unusual := make([]float64, len(rows)), make([]bool, len(rows))
		for i, r := range rows {
			p[i], unusual[i] = out.Col(model.ScoredProbabilities).Float(r), said(r) != t.Usual
		}
		return map[string]float64{"auc": auc(p, unusual)}, nil
	case model.Clustering:
		sum := 0.0
		for _, r := range rows {
			d := out.Col(model.ClusterDistance(int(out.Col(model.Assignments).Float(r)))).Float(r)
			sum += d * d
		}
		return map[string]float64{"inertia": sum / n}, nil
	}
	return nil, fmt.Errorf("models of kind %q have no metrics", m.Kind())
}

// logOf is ln p, bounded as the reference's is.
func logOf(p float64) float64 { return math.Log(max(1e-15, min(p, 1-1e-15))) }

// auc is the area under the ROC curve; ties count half.
func auc(p []float64, positive []bool) float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	ranks, n := 0.0, 0.0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && p[order[j]] == p[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			if positive[k] {
				ranks += float64(i+j+1) / 2
				n++
			}
		}
		i = j
	}
	return (ranks - n*(n+1)/2) / (n * (float64(len(p)) - n))
}

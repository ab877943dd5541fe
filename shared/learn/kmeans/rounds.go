package kmeans

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/centroids"
)

// run does all starts, and leaves the best centers in t.best.
func (t *training) run(ctx context.Context) error {
	if t.s.Saved != nil {
		if err := t.restore(t.s.Saved); err != nil {
			return err
		}
	}
	for ; t.begun < t.o.Starts; t.begun++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.centers == nil {
			t.fill()
			t.start()
			t.round = 0
		}
		for t.round < t.o.Iterations {
			if err := ctx.Err(); err != nil {
				return err
			}
			moved := t.move()
			t.round++
			if !moved {
				t.round = t.o.Iterations
			}
			if err := t.s.Checkpoint(t.save); err != nil {
				return err
			}
		}
		cost := t.assign()
		t.s.Log("start %d of %d: cost %v", t.begun+1, t.o.Starts, cost)
		if t.best == nil || cost < t.bestCost {
			t.best, t.bestCost = t.centers, cost
		}
		t.centers = nil
	}
	return nil
}

func (t *training) spans() int { return (t.d.Rows + learn.SpanRows - 1) / learn.SpanRows }

func total(sums []float64) float64 {
	sum := 0.0
	for _, v := range sums {
		sum += v
	}
	return sum
}

func add(to []float64, w float64, v []float64) {
	for f, x := range v {
		to[f] += float64(w * x)
	}
}

// settle makes a center of a sum of rows of that weight, in place. It reports
// whether there is one: the mean of directions may have none.
func (t *training) settle(sum []float64, weight float64) bool {
	if weight == 0 {
		return false
	}
	if t.o.Metric == centroids.Cosine {
		for f := t.features; f < t.width; f++ {
			sum[f] /= weight
		}
		return centroids.Normalize(sum[:t.features]) != 0
	}
	for f := range sum {
		sum[f] /= weight
	}
	return true
}

// least is the cost of the nearest center, and which it is.
func (t *training) least(row []float64) (cost float64, center int32) {
	cost = math.Inf(1)
	for k := range t.chosen() {
		if c := t.apart(row, t.center(k)); c < cost {
			cost, center = c, int32(k)
		}
	}
	return cost, center
}

// assign gives every row its nearest center, and returns what they cost.
func (t *training) assign() float64 {
	costs := make([]float64, t.spans())
	t.s.Spans(t.d.Rows, func(span, from, to int) {
		for r := from; r < to; r++ {
			t.cost[r], t.cluster[r] = t.least(t.row(r))
			costs[span] += float64(t.d.WeightOf(r) * t.cost[r])
		}
	})
	return total(costs)
}

// move does a round. It reports whether a center moved.
func (t *training) move() bool {
	k, n := t.o.Centers, t.width
	t.assign()
	sums, weights := make([]float64, t.spans()*k*n), make([]float64, t.spans()*k)
	t.s.Spans(t.d.Rows, func(span, from, to int) {
		for r := from; r < to; r++ {
			c, w := span*k+int(t.cluster[r]), t.d.WeightOf(r)
			weights[c] += w
			add(sums[c*n:][:n], w, t.row(r))
		}
	})
	for i := k; i < len(weights); i++ {
		weights[i%k] += weights[i]
		add(sums[i%k*n:][:n], 1, sums[i*n:][:n])
	}
	sums, weights = sums[:k*n], weights[:k]
	t.relocate(sums, weights)
	moved := false
	for c, w := range weights {
		next, now := sums[c*n:][:n], t.center(c)
		if !t.settle(next, w) {
			continue
		}
		for f, v := range next {
			if v != now[f] {
				now[f], moved = v, true
			}
		}
	}
	return t.overwrite() || moved
}

// relocate gives each center without rows the row that costs most, of those
// that are not alone.
func (t *training) relocate(sums, weights []float64) {
	var rows []int
	for c := range weights {
		if weights[c] > 0 {
			continue
		}
		if rows == nil {
			rows = make([]int, len(weights))
			for _, c := range t.cluster {
				rows[c]++
			}
		}
		far := -1
		for r, cost := range t.cost {
			if rows[t.cluster[r]] > 1 && cost > 0 && (far < 0 || cost > t.cost[far]) {
				far = r
			}
		}
		if far < 0 {
			return // every row is its center
		}
		from, w := int(t.cluster[far]), t.d.WeightOf(far)
		add(sums[from*t.width:][:t.width], -w, t.row(far))
		add(sums[c*t.width:][:t.width], w, t.row(far))
		weights[from] -= w
		weights[c] += w
		rows[from]--
		rows[c]++
		t.cluster[far], t.cost[far] = int32(c), 0
	}
}

// fill gives each row its label where labels are features, and one without
// that whose rows' mean is the nearest.
func (t *training) fill() {
	if t.width == t.features {
		return
	}
	if t.labels == nil {
		t.labels = make([]int32, t.d.Rows)
	}
	for r := range t.labels {
		t.label(r, -1) // the means are of features alone
	}
	means := t.means(t.d.Guide, t.d.Guides)
	present := make([]bool, t.d.Guides)
	for _, g := range t.d.Guide {
		if g >= 0 {
			present[g] = true
		}
	}
	t.s.Spans(t.d.Rows, func(_, from, to int) {
		for r := from; r < to; r++ {
			label, least := t.d.Guide[r], math.Inf(1)
			for g, is := range present {
				if !is || t.d.Guide[r] >= 0 {
					continue
				}
				if c := t.apart(t.row(r), means[g*t.width:][:t.width]); c < least {
					least, label = c, int32(g)
				}
			}
			t.label(r, label)
		}
	})
}

// label makes g the label of row r; -1 is none.
func (t *training) label(r int, g int32) {
	t.labels[r] = g
	features := t.row(r)[t.features:]
	clear(features)
	if g >= 0 {
		features[g] = t.unit
	}
}

// overwrite gives all rows of a cluster the label of the one nearest to its
// center, where that is asked for, and reports whether one changed.
func (t *training) overwrite() bool {
	if t.width == t.features || t.o.Labels != Overwrite {
		return false
	}
	near, least := make([]int, t.o.Centers), make([]float64, t.o.Centers)
	for c := range near {
		near[c], least[c] = -1, math.Inf(1)
	}
	for r, c := range t.cluster {
		if cost := t.apart(t.row(r), t.center(int(c))); cost < least[c] {
			near[c], least[c] = r, cost
		}
	}
	labels := make([]int32, t.o.Centers)
	for c, r := range near {
		if r >= 0 {
			labels[c] = t.labels[r]
		}
	}
	changed := false
	for r, c := range t.cluster {
		if t.labels[r] != labels[c] {
			t.label(r, labels[c])
			changed = true
		}
	}
	return changed
}

package kmeans

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// start chooses the first centers of the current start.
func (t *training) start() {
	t.centers = make([]float64, 0, t.o.Centers*t.width)
	rng := rand.New(rand.NewPCG(t.o.Seed, uint64(t.begun)))
	switch t.o.Initialization {
	case PlusPlus:
		t.plusPlus(rng)
	case PlusPlusFast:
		t.chains(rng)
	case FirstN:
		t.firstN()
	case Random:
		t.deal(rng)
	case Evenly:
		t.evenly()
	case ByLabel:
		t.byLabel()
		t.plusPlus(rng)
	}
}

func (t *training) chosen() int { return len(t.centers) / t.width }

func (t *training) center(k int) []float64 { return t.centers[k*t.width:][:t.width] }

// firstN takes the first rows that differ from those before. Where there are
// not enough, the rows repeat.
func (t *training) firstN() {
	for r := 0; r < t.d.Rows && t.chosen() < t.o.Centers; r++ {
		seen := false
		for k := range t.chosen() {
			seen = seen || slices.Equal(t.center(k), t.row(r))
		}
		if !seen {
			t.centers = append(t.centers, t.row(r)...)
		}
	}
	for r := 0; t.chosen() < t.o.Centers; r++ {
		t.centers = append(t.centers, t.row(r)...)
	}
}

// deal deals the rows to the clusters, and takes the means.
func (t *training) deal(rng *rand.Rand) {
	order := rng.Perm(t.d.Rows)
	groups := make([]int32, t.d.Rows)
	for i, r := range order {
		groups[r] = int32(i % t.o.Centers)
	}
	t.centers = t.means(groups, t.o.Centers)
}

// means returns the mean of each group's rows by weight; group -1 is none.
func (t *training) means(groups []int32, n int) []float64 {
	sums, weights := make([]float64, n*t.width), make([]float64, n)
	for r, g := range groups {
		if g < 0 {
			continue
		}
		w := t.d.WeightOf(r)
		weights[g] += w
		add(sums[int(g)*t.width:][:t.width], w, t.row(r))
	}
	for k, w := range weights {
		t.settle(sums[k*t.width:][:t.width], w)
	}
	return sums
}

// evenly takes the middles of equal parts of the way from the least of every
// feature to the greatest.
func (t *training) evenly() {
	lo, hi := slices.Clone(t.row(0)), slices.Clone(t.row(0))
	for r := 1; r < t.d.Rows; r++ {
		for f, v := range t.row(r) {
			lo[f], hi[f] = min(lo[f], v), max(hi[f], v)
		}
	}
	for k := range t.o.Centers {
		at := (float64(k) + 0.5) / float64(t.o.Centers)
		for f := range lo {
			t.centers = append(t.centers, lo[f]+float64(at*(hi[f]-lo[f])))
		}
		t.settle(t.center(k), 1)
	}
}

// byLabel takes the means of the rows of each label, of those with the most.
func (t *training) byLabel() {
	weights := make([]float64, t.d.Guides)
	for r, g := range t.d.Guide {
		if g >= 0 {
			weights[g] += t.d.WeightOf(r)
		}
	}
	order := make([]int, 0, len(weights))
	for g, w := range weights {
		if w > 0 {
			order = append(order, g)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return weights[order[i]] > weights[order[j]] })
	order = order[:min(len(order), t.o.Centers)]
	sort.Ints(order)
	means := t.means(t.d.Guide, t.d.Guides)
	for _, g := range order {
		t.centers = append(t.centers, means[g*t.width:][:t.width]...)
	}
}

// plusPlus draws the centers that are not chosen yet.
func (t *training) plusPlus(rng *rand.Rand) {
	n := t.d.Rows
	if t.chosen() == 0 {
		t.centers = append(t.centers, t.row(t.draw(rng, nil))...)
	}
	nearest := make([]float64, n)
	t.s.Spans(n, func(_, from, to int) {
		for r := from; r < to; r++ {
			nearest[r], _ = t.least(t.row(r))
		}
	})
	tries := 2 + int(math.Log(float64(t.o.Centers)))
	next, best := make([]float64, n), make([]float64, n)
	for t.chosen() < t.o.Centers {
		least, row := math.Inf(1), 0
		for range tries {
			r := t.draw(rng, nearest)
			sums := make([]float64, t.spans())
			t.s.Spans(n, func(span, from, to int) {
				for i := from; i < to; i++ {
					next[i] = min(nearest[i], t.apart(t.row(i), t.row(r)))
					sums[span] += float64(t.d.WeightOf(i) * next[i])
				}
			})
			if sum := total(sums); sum < least {
				least, row = sum, r
				next, best = best, next
			}
		}
		nearest, best = best, nearest
		t.centers = append(t.centers, t.row(row)...)
	}
}

// draw draws a row by its weight times its cost. Without costs, or where all are
// 0, it draws by weight.
func (t *training) draw(rng *rand.Rand, cost []float64) int {
	sum := 0.0
	for r, c := range cost {
		sum += float64(t.d.WeightOf(r) * c)
	}
	if sum == 0 {
		cost, sum = nil, t.d.TotalWeight()
	}
	left, last := rng.Float64()*sum, 0
	for r := range t.d.Rows {
		v := t.d.WeightOf(r)
		if cost != nil {
			v *= cost[r]
		}
		if v == 0 {
			continue
		}
		if last, left = r, left-v; left < 0 {
			break
		}
	}
	return last
}

// chainLength is how many rows one center of PlusPlusFast looks at; 200 is
// what its authors use.
const chainLength = 200

// chains draws the centers by Markov chains whose proposals mix the squared
// distance to the first center with all rows alike.
func (t *training) chains(rng *rand.Rand) {
	n := t.d.Rows
	first := t.draw(rng, nil)
	t.centers = append(t.centers, t.row(first)...)
	proposal, sum, weight := make([]float64, n), 0.0, t.d.TotalWeight()
	for r := range proposal {
		proposal[r] = t.d.WeightOf(r) * t.apart(t.row(r), t.row(first))
		sum += proposal[r]
	}
	upTo, whole := make([]float64, n), 0.0
	for r, v := range proposal {
		proposal[r] = t.d.WeightOf(r) / weight
		if sum > 0 {
			proposal[r] = proposal[r]/2 + v/sum/2
		}
		whole += proposal[r]
		upTo[r] = whole
	}
	propose := func() (row int, ratio float64) {
		row = min(sort.SearchFloat64s(upTo, rng.Float64()*whole), n-1)
		cost, _ := t.least(t.row(row))
		return row, t.d.WeightOf(row) * cost / proposal[row]
	}
	for t.chosen() < t.o.Centers {
		row, ratio := propose()
		for range chainLength {
			other, r := propose()
			if u := rng.Float64(); ratio == 0 || u*ratio < r {
				row, ratio = other, r
			}
		}
		t.centers = append(t.centers, t.row(row)...)
	}
}

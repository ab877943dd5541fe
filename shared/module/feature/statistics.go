package feature

import (
	"math"
	"slices"
)

// The statistics take two columns as vectors of one length without missing
// values. They are 0 where they say nothing: of fewer than two rows, or where a
// column has one value only.

// defined makes what is not a number 0.
func defined(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// pearson is the correlation coefficient.
func pearson(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var xx, yy, xy float64
	for i := range x {
		a, b := x[i]-mx, y[i]-my
		xx, yy, xy = xx+a*a, yy+b*b, xy+a*b
	}
	return defined(xy / math.Sqrt(xx) / math.Sqrt(yy))
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// ordered returns the positions of x in rising order of its values.
func ordered(x []float64) []int {
	at := make([]int, len(x))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return a - b
	})
	return at
}

// spearman is the correlation of ranks; ties have their mean rank.
func spearman(x, y []float64) float64 { return pearson(ranks(x), ranks(y)) }

func ranks(x []float64) []float64 {
	at := ordered(x)
	out := make([]float64, len(x))
	for lo := 0; lo < len(at); {
		hi := lo + 1
		for hi < len(at) && x[at[hi]] == x[at[lo]] {
			hi++
		}
		for _, i := range at[lo:hi] {
			out[i] = float64(lo+hi-1) / 2
		}
		lo = hi
	}
	return out
}

// kendall is tau-b: concordant less discordant pairs, corrected for ties. It
// counts the exchanges of a merge sort (Knight, A Computer Method for
// Calculating Kendall's Tau with Ungrouped Data, 1966).
func kendall(x, y []float64) float64 {
	n := len(x)
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int {
		for _, v := range [2][]float64{x, y} {
			switch {
			case v[a] < v[b]:
				return -1
			case v[a] > v[b]:
				return 1
			}
		}
		return a - b
	})
	pairs := func(k int) float64 { return float64(k) * float64(k-1) / 2 }
	tiedX, tiedBoth := 0.0, 0.0
	runX, runBoth := 1, 1
	sorted := make([]float64, n)
	for i, a := range at {
		sorted[i] = y[a]
		if i == 0 {
			continue
		}
		b := at[i-1]
		if x[a] != x[b] {
			tiedX, runX = tiedX+pairs(runX), 0
		}
		if x[a] != x[b] || y[a] != y[b] {
			tiedBoth, runBoth = tiedBoth+pairs(runBoth), 0
		}
		runX, runBoth = runX+1, runBoth+1
	}
	tiedX, tiedBoth = tiedX+pairs(runX), tiedBoth+pairs(runBoth)
	exchanges := mergeSort(sorted, make([]float64, n))
	tiedY, runY := 0.0, 1
	for i := 1; i < n; i++ {
		if sorted[i] != sorted[i-1] {
			tiedY, runY = tiedY+pairs(runY), 0
		}
		runY++
	}
	tiedY += pairs(runY)
	all := pairs(n)
	return defined((all - tiedX - tiedY + tiedBoth - 2*exchanges) / math.Sqrt(all-tiedX) / math.Sqrt(all-tiedY))
}

// mergeSort sorts x and returns how many pairs stood in falling order.
func mergeSort(x, spare []float64) float64 {
	if len(x) < 2 {
		return 0
	}
	half := len(x) / 2
	count := mergeSort(x[:half], spare[:half]) + mergeSort(x[half:], spare[half:])
	a, b, out := x[:half], x[half:], spare[:0]
	for len(a) > 0 && len(b) > 0 {
		if b[0] < a[0] {
			count += float64(len(a))
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	out = append(append(out, a...), b...)
	copy(x, out)
	return count
}

// conditional replaces each value by the mean over its class.
func conditional(x []float64, class []int32) []float64 {
	sums, counts := perClass(x, class)
	out := make([]float64, len(x))
	for i, c := range class {
		out[i] = sums[c] / counts[c]
	}
	return out
}

func perClass(x []float64, class []int32) (sums, counts []float64) {
	k := 0
	for _, c := range class {
		k = max(k, int(c)+1)
	}
	sums, counts = make([]float64, k), make([]float64, k)
	for i, c := range class {
		sums[c] += x[i]
		counts[c]++
	}
	return sums, counts
}

// fisher is the Fisher score: the scatter of the classes' means over the
// scatter within classes.
func fisher(x []float64, class []int32) float64 {
	sums, counts := perClass(x, class)
	all := mean(x)
	between, within := 0.0, 0.0
	for c := range sums {
		if counts[c] > 0 {
			d := sums[c]/counts[c] - all
			between += counts[c] * d * d
		}
	}
	for i, c := range class {
		d := x[i] - sums[c]/counts[c]
		within += d * d
	}
	return defined(between / within)
}

// table counts pairs of classes: cells that are not empty, and both margins.
type table struct {
	cells []cell
	x, y  []float64
	total float64
}

type cell struct {
	x, y  int32
	count float64
}

func contingency(x, y []int32) *table {
	keys := make([]uint64, len(x))
	for i := range x {
		keys[i] = uint64(x[i])<<32 | uint64(y[i])
	}
	slices.Sort(keys)
	t := &table{total: float64(len(x))}
	for i, k := range keys {
		if i == 0 || k != keys[i-1] {
			t.cells = append(t.cells, cell{x: int32(k >> 32), y: int32(k)})
		}
		t.cells[len(t.cells)-1].count++
	}
	ones := make([]float64, len(x))
	_, t.x = perClass(ones, x)
	_, t.y = perClass(ones, y)
	return t
}

// chiSquared is Pearson's statistic of independence.
func chiSquared(x, y []int32) float64 {
	t := contingency(x, y)
	sum := 0.0
	for _, c := range t.cells {
		sum += c.count / t.x[c.x] * (c.count / t.y[c.y])
	}
	return max(0, defined(t.total*(sum-1)))
}

// mutualInformation is what two columns tell of each other, over the mean of
// what each tells by itself: 1 of a column and itself, 0 where they are
// independent.
func mutualInformation(x, y []int32) float64 {
	t := contingency(x, y)
	info := 0.0
	for _, c := range t.cells {
		info += c.count / t.total * math.Log(c.count*t.total/t.x[c.x]/t.y[c.y])
	}
	return max(0, defined(info/((t.entropy(t.x)+t.entropy(t.y))/2)))
}

func (t *table) entropy(margin []float64) float64 {
	h := 0.0
	for _, n := range margin {
		if n > 0 {
			h -= n / t.total * math.Log(n/t.total)
		}
	}
	return h
}

// binCount is how many bins numbers are put in where classes are needed.
const binCount = 10

// bins puts numbers into classes: of their own where they are few, else of
// equal size between quantiles, the upper bound included.
func bins(x []float64) []int32 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	var edges []float64
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			if edges = append(edges, v); len(edges) > binCount {
				break
			}
		}
	}
	if len(edges) > binCount {
		edges = edges[:0]
		for k := 1; k <= binCount; k++ {
			at := float64(k) / binCount * float64(len(sorted)-1)
			lo := int(at)
			v := sorted[lo]
			if lo+1 < len(sorted) {
				v += (sorted[lo+1] - v) * (at - float64(lo))
			}
			if len(edges) == 0 || v > edges[len(edges)-1] {
				edges = append(edges, v)
			}
		}
	}
	out := make([]int32, len(x))
	for i, v := range x {
		k, _ := slices.BinarySearch(edges, v)
		out[i] = int32(min(k, len(edges)-1))
	}
	return out
}

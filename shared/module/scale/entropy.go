package scale

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// maxClasses is the number of label values above which binning by entropy is
// refused: the label is a measure, not a class.
const maxClasses = 1000

// interval is a run of sorted values that may be cut in two.
type interval struct {
	lo, hi int
	cut    int     // first value of the second part; 0 where no cut pays
	gain   float64 // in bits, over all values of the interval
}

// entropyEdges returns at most bins-1 edges between values of col where they
// tell the label best, by Fayyad and Irani, "Multi-interval discretization of
// continuous-valued attributes for classification learning" (1993): a cut must
// pay for its own description. Of several, the one that gains most comes first.
func entropyEdges(col, label *frame.Column, bins int) ([]float64, error) {
	d, err := newDiscretizer(col, label)
	if err != nil {
		return nil, err
	}
	edges := []float64{}
	open := []interval{d.best(0, len(d.values))}
	for len(edges) < bins-1 {
		at := -1
		for i, v := range open {
			if v.cut > 0 && (at < 0 || v.gain > open[at].gain) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		v := open[at]
		edges = append(edges, middle(d.values[v.cut-1], d.values[v.cut]))
		open = slices.Replace(open, at, at+1, d.best(v.lo, v.cut), d.best(v.cut, v.hi))
	}
	slices.Sort(edges)
	return edges, nil
}

func middle(a, b float64) float64 { return a/2 + b/2 }

// discretizer holds the values of a column in order, with the classes of their
// rows.
type discretizer struct {
	values  []float64
	classes []int
	count   int // of classes
}

func newDiscretizer(col, label *frame.Column) (*discretizer, error) {
	var d discretizer
	index := make(map[string]int)
	var rows, class []int
	var buf []byte
	for r := range col.Len() {
		if col.IsNull(r) || label.IsNull(r) {
			continue
		}
		buf = label.Print(buf[:0], r)
		k, ok := index[string(buf)]
		if !ok {
			k = len(index)
			index[string(buf)] = k
		}
		rows, class = append(rows, r), append(class, k)
	}
	if d.count = len(index); d.count > maxClasses {
		return nil, module.Errorf(14, "label column %q has %d distinct values: at most %d are allowed", label.Field.Name, d.count, maxClasses).At(label.Field.Name)
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := col.Float(rows[a]), col.Float(rows[b])
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	for _, i := range order {
		d.values, d.classes = append(d.values, col.Float(rows[i])), append(d.classes, class[i])
	}
	return &d, nil
}

// best finds the cut of the values from lo to hi that gains most, if it pays.
func (d *discretizer) best(lo, hi int) interval {
	v := interval{lo: lo, hi: hi}
	n := float64(hi - lo)
	left, right := make([]int, d.count), make([]int, d.count)
	for _, k := range d.classes[lo:hi] {
		right[k]++
	}
	whole, kinds := entropy(right, hi-lo)
	var e1, e2 float64
	var k1, k2 int
	for i := lo + 1; i < hi; i++ {
		left[d.classes[i-1]]++
		right[d.classes[i-1]]--
		if d.values[i] == d.values[i-1] {
			continue
		}
		a, ka := entropy(left, i-lo)
		b, kb := entropy(right, hi-i)
		gain := n*whole - float64(i-lo)*a - float64(hi-i)*b
		if v.cut == 0 || gain > v.gain {
			v.cut, v.gain, e1, k1, e2, k2 = i, gain, a, ka, b, kb
		}
	}
	delta := math.Log2(math.Pow(3, float64(kinds))-2) - (float64(kinds)*whole - float64(k1)*e1 - float64(k2)*e2)
	if kinds > 600 { // 3^k is beyond float64: the 2 does not matter
		delta = float64(kinds)*math.Log2(3) - (float64(kinds)*whole - float64(k1)*e1 - float64(k2)*e2)
	}
	if v.cut > 0 && v.gain <= math.Log2(n-1)+delta {
		v.cut = 0
	}
	return v
}

// entropy returns the entropy of n rows' classes in bits, and how many classes
// there are.
func entropy(counts []int, n int) (bits float64, kinds int) {
	for _, c := range counts {
		if c > 0 {
			kinds++
			p := float64(c) / float64(n)
			bits -= float64(p * math.Log2(p))
		}
	}
	return bits, kinds
}

package binned

import (
	"cmp"
	"slices"
)

// categories bins a column of codes below levels: each level that some row has
// in its own bin, in the order of levels; where they are more than bins, the
// rarest together in the last.
func categories(x []float64, levels, bins int) (Feature, []uint8) {
	f := Feature{Levels: levels}
	counts := make([]int32, levels)
	for _, v := range x {
		if v == v {
			counts[int(v)]++
		} else {
			f.Missing = true
		}
	}
	for code, n := range counts {
		if n > 0 {
			f.Codes = append(f.Codes, int32(code))
		}
	}
	if f.Rest = len(f.Codes) > bins; f.Rest {
		slices.SortStableFunc(f.Codes, func(a, b int32) int { return cmp.Compare(counts[b], counts[a]) })
		f.Codes = slices.Clone(f.Codes[:bins-1])
		slices.Sort(f.Codes)
	}
	f.Bins = len(f.Codes)
	binOf := make([]uint8, levels)
	if f.Rest {
		for i := range binOf {
			binOf[i] = uint8(f.Bins)
		}
		f.Bins++
	}
	for bin, code := range f.Codes {
		binOf[code] = uint8(bin)
	}
	out := make([]uint8, len(x))
	for r, v := range x {
		if out[r] = Missing; v == v {
			out[r] = binOf[int(v)]
		}
	}
	return f, out
}

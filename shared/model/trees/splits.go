package trees

// Splits counts, for the canonical bytes of a forest, how many of its nodes test
// each feature.
func Splits(b []byte) ([]int, error) {
	f, err := parse(b)
	if err != nil {
		return nil, err
	}
	counts := make([]int, f.Features)
	for _, n := range f.nodes {
		counts[packed(n).feature()]++
	}
	return counts, nil
}

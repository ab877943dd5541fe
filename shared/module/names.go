package module

import "fmt"

// Unique returns name, or name with the Studio's suffix " (2)", " (3)", …
// where taken has it already.
func Unique(name string, taken func(string) bool) string {
	out := name
	for k := 2; taken(out); k++ {
		out = fmt.Sprintf("%s (%d)", name, k)
	}
	return out
}

// FoldColumn is the column, an integer id, in which Partition and Sample keeps
// the fold of each row, from 1; cross-validation takes its folds from there.
const FoldColumn = "Fold Assignments"

package cli

import (
	"cmp"
	"maps"
	"slices"
)

// commands are all there are, in the order of the overview.
func commands() []command {
	return slices.Concat(jobCommands(), scoreCommands(), runCommands(), releaseCommands(), modelCommands(), doctorCommands())
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

//go:build race

package moduletest

// allocFactor is how much more may be allocated: under the race detector
// sync.Pool, which regular expressions use, forgets on purpose.
const allocFactor = 6

//go:build race

package modeltest

// poolFactor is how much more may be allocated: under the race detector
// sync.Pool forgets on purpose.
const poolFactor = 2

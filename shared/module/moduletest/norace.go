//go:build !race

package moduletest

const allocFactor = 1

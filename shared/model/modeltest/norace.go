//go:build !race

package modeltest

const poolFactor = 1

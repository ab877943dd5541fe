// Package archtest holds the rules of the source tree as tests: which package
// may import which, who may read the environment, dial, or import testing.
// Each rule carries the reason for which it exists; there is no other code
// here.
package archtest

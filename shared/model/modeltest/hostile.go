package modeltest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model/trees"
)

// Replacement damages a text model: every From becomes To.
type Replacement struct{ From, To string }

// Hostile loads damaged forms of a model: cut short, with bytes changed, and
// with the replacements made. Each must be refused as fault.Package or give a
// body that opens and scores; none may take more memory than sixteen times its
// size and what a model of almost no bytes takes.
func Hostile(t *testing.T, file []byte, load func([]byte) (body []byte, err error), replacements ...Replacement) {
	t.Helper()
	refused, loaded := 0, 0
	try := func(what string, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		body, err := load(b)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > poolFactor*(16*uint64(len(b))+64<<10) {
			t.Errorf("%s: %d bytes took %d", what, len(b), took)
		}
		if RefusedOrScores(t, what, body, err) {
			loaded++
		} else {
			refused++
		}
	}
	for _, n := range []int{0, 1, 2, 10, len(file) / 3, len(file) / 2, len(file) - 1} {
		try(fmt.Sprintf("cut at %d", n), file[:n])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := bytes.Clone(file)
		for range 1 + rng.IntN(4) {
			at := rng.IntN(len(b))
			if i%2 == 0 && b[at] >= '0' && b[at] <= '9' {
				b[at] = '0' + byte(rng.IntN(10)) // another number
			} else {
				b[at] = byte(rng.Uint32())
			}
		}
		try(fmt.Sprintf("noise %d", i), b)
	}
	for _, r := range replacements {
		b := bytes.ReplaceAll(file, []byte(r.From), []byte(r.To))
		if bytes.Equal(b, file) {
			t.Fatalf("%q does not occur", r.From)
		}
		try(r.From+" made "+r.To[:min(40, len(r.To))], b)
	}
	t.Logf("%d refused, %d loaded", refused, loaded)
	if refused < 50 || loaded < 20 {
		t.Errorf("%d refused, %d loaded: the damage is not of both kinds", refused, loaded)
	}
}

// RefusedOrScores checks what a loader made of a file: a refusal of kind
// fault.Package, or a body that opens and gives a row numbers. It reports which.
func RefusedOrScores(t *testing.T, what string, body []byte, err error) (scores bool) {
	t.Helper()
	if err != nil {
		if !fault.Is(err, fault.Package) {
			t.Errorf("%s: not a refusal: %v", what, err)
		}
		return false
	}
	e, err := trees.Open(body)
	if err != nil {
		t.Fatalf("%s: loads, but does not open: %v", what, err)
	}
	out := make([]float64, e.Outputs())
	e.NewSession(1).Predict(make([]float64, e.Features()), 1, out)
	for _, v := range out {
		if v != v {
			t.Errorf("%s: scores NaN", what)
		}
	}
	return true
}

// Deep is n opening brackets.
func Deep(n int) string { return strings.Repeat("[", n) }

package modeltest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// Encoder is what an engine encodes: its weights.
type Encoder interface{ Encode() ([]byte, error) }

// Encode encodes w.
func Encode(t testing.TB, w Encoder) []byte {
	t.Helper()
	b, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Reopen encodes w and opens it.
func Reopen[M any](t testing.TB, w Encoder, open func([]byte) (M, error)) M {
	t.Helper()
	m, err := open(Encode(t, w))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Predictor is a session of an engine: feature f of row r is x[f*n+r], output k
// of row r is out[r*outputs+k].
type Predictor interface {
	Predict(x []float64, n int, out []float64)
}

// Rows scores the rows of x, column by column, together and each alone. It
// fails where the two differ in a bit or the first allocates, and calls check
// for each row and what it scores.
func Rows(t *testing.T, s Predictor, x []float64, features, outputs int, check func(r int, row, got []float64)) {
	t.Helper()
	n := len(x) / features
	out, alone, row := make([]float64, n*outputs), make([]float64, outputs), make([]float64, features)
	s.Predict(x, n, out)
	if allocs := testing.AllocsPerRun(10, func() { s.Predict(x, n, out) }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
	for r := range n {
		for f := range row {
			row[f] = x[f*n+r]
		}
		s.Predict(row, 1, alone)
		got := out[r*outputs:][:outputs]
		for k, v := range got {
			if math.Float64bits(v) != math.Float64bits(alone[k]) && v == v {
				t.Fatalf("row %d, output %d: %v together, %v alone", r, k, v, alone[k])
			}
		}
		check(r, row, got)
	}
}

// Damage is the ways to damage an engine's bytes that its test knows of:
// another number at an offset.
type Damage map[string]struct {
	At int
	To uint32
}

// Damaged opens b with each damage done, cut, longer and empty: the error must
// be damaged.
func Damaged[M any](t *testing.T, b []byte, open func([]byte) (M, error), damaged error, damage Damage) {
	t.Helper()
	files := map[string][]byte{"empty": nil, "cut": b[:len(b)-1], "longer": append(bytes.Clone(b), 0)}
	for name, d := range damage {
		c := bytes.Clone(b)
		if d.At < 0 {
			d.At += len(c)
		}
		binary.LittleEndian.PutUint32(c[d.At:], d.To)
		files[name] = c
	}
	for name, b := range files {
		if _, err := open(b); !errors.Is(err, damaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOpen opens anything, beginning with what the seeds encode: it is damaged,
// or opens and passes use.
func FuzzOpen[M any](f *testing.F, open func([]byte) (M, error), damaged error, use func(*testing.T, M), seeds ...Encoder) {
	f.Helper()
	for _, w := range seeds {
		f.Add(Encode(f, w))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := open(b)
		if err != nil {
			if !errors.Is(err, damaged) {
				t.Fatalf("error %v is not %v", err, damaged)
			}
			return
		}
		use(t, m)
	})
}

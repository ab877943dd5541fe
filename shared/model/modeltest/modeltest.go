// Package modeltest compares loaded models with the golden files that the
// models' own libraries made. A testdata folder of a loader holds rows.csv,
// the rows every case scores; {case}.{ext}, the models; {case}.csv, raw scores
// (columns raw0…) and predictions (out0…) of all rows; and make.py, which made
// them.
package modeltest

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/model/trees"
)

// Cases lists the golden models in testdata: files ending in ext that have
// golden scores. Fewer than atLeast fails the test.
func Cases(t *testing.T, ext string, atLeast int) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*" + ext)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ext)
		if _, err := os.Stat("testdata/" + name + ".csv"); err == nil {
			names = append(names, name)
		}
	}
	if len(names) < atLeast {
		t.Fatalf("%d golden models, not %d: %v", len(names), atLeast, names)
	}
	return names
}

// ReadCSV reads a golden table.
func ReadCSV(t *testing.T, path string) (head []string, rows [][]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1:]
}

// Raw returns the golden raw scores of a case, row by row.
func Raw(t *testing.T, name string) [][]float64 {
	t.Helper()
	head, rows := ReadCSV(t, "testdata/"+name+".csv")
	n := 0
	for n < len(head) && strings.HasPrefix(head[n], "raw") {
		n++
	}
	raw := make([][]float64, len(rows))
	for i, row := range rows {
		for _, cell := range row[:n] {
			raw[i] = append(raw[i], number(t, cell))
		}
	}
	return raw
}

// Contributions compares contributions with those of {case}.contributions.csv,
// for the rows it has: those of each output's features, and its base.
func Contributions(t *testing.T, x *trees.Explainer, path string, features [][]float64, scale float64) {
	t.Helper()
	_, rows := ReadCSV(t, path)
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", path)
	}
	s := x.NewSession(1)
	got := make([]float64, x.Outputs()*(x.Features()+1))
	bad := 0
	for r, row := range rows {
		if len(row) != len(got) {
			t.Fatalf("%d contributions, the library has %d", len(got), len(row))
		}
		s.Contributions(features[r], 1, got)
		for i, v := range got {
			want := number(t, row[i]) * scale
			if off := math.Abs(v-want) / max(1, math.Abs(want)); !(off <= 1e-5) {
				if bad++; bad < 4 {
					t.Errorf("row %d, contribution %d: %v, the library says %v", r, i, v, want)
				}
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d contributions differ", bad, len(rows)*len(got))
	}
}

// Features encodes testdata/rows.csv for a model of these features: a number
// as it is, a level as its code. The result is row by row.
func Features(t *testing.T, names []string, levels [][]string) [][]float64 {
	t.Helper()
	head, rows := ReadCSV(t, "testdata/rows.csv")
	x := make([][]float64, len(rows))
	for r, row := range rows {
		x[r] = make([]float64, len(names))
		for i, name := range names {
			cell := row[slices.Index(head, name)]
			switch {
			case cell == "":
				x[r][i] = math.NaN()
			case levels[i] == nil:
				x[r][i] = number(t, cell)
			default:
				x[r][i] = float64(slices.Index(levels[i], cell))
			}
		}
	}
	return x
}

func number(t *testing.T, cell string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Open encodes f and opens it, as import and load do.
func Open(t *testing.T, f *trees.Forest) *trees.Ensemble {
	t.Helper()
	encoded, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := trees.Open(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// OpenExplainer encodes f with its covers and opens it for contributions.
func OpenExplainer(t *testing.T, f *trees.Forest) *trees.Explainer {
	t.Helper()
	if !f.KeepCovers() {
		t.Fatal("the model has no usable covers")
	}
	encoded, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	x, err := trees.OpenExplainer(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Check scores rows x by themselves and compares with want. tolerance is
// relative to max(1,|want|); 0 asks for the same bits.
func Check(t *testing.T, e *trees.Ensemble, x, want [][]float64, tolerance float64) {
	t.Helper()
	s := e.NewSession(1)
	got := make([]float64, e.Outputs())
	bad, worst := 0, 0.0
	for r, row := range x {
		s.Predict(row, 1, got)
		for k, v := range got {
			off := math.Abs(v-want[r][k]) / max(1, math.Abs(want[r][k]))
			worst = max(worst, off)
			if v == want[r][k] || off <= tolerance {
				continue
			}
			if bad++; bad < 4 {
				t.Errorf("row %d, output %d: %v, the library says %v (features %v)", r, k, v, want[r][k], row)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d raw scores differ, by up to %v", bad, len(x)*len(got), worst)
	}
}

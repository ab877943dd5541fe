package onnx

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
)

// TestConformance runs ONNX's own node tests. A case is covered where the
// executor has all its operators; every covered case must pass. Each is run on every data set it comes with.
func TestConformance(t *testing.T) {
	files := unpack(t, "testdata/conformance.tar.gz")
	all := strings.Count(string(files["cases.txt"]), "\n")
	passed, covered := 0, 0
	var missing []string
	for _, name := range cases(files) {
		g, err := parse(files[name+"/model.onnx"])
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		if op := unknownOperator(g); op != "" {
			missing = append(missing, name+": "+op)
			continue
		}
		if why, ok := refused[name]; ok {
			if err := runCase(files, name, g, 1e-3); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: got %v, want a refusal with %q", name, err, why)
			}
			missing = append(missing, name+": "+why)
			continue
		}
		covered++
		t.Run(name, func(t *testing.T) {
			if err := runCase(files, name, g, 1e-3); err != nil {
				t.Fatal(err)
			}
			passed++
		})
	}
	t.Logf("%d passed / %d covered / %d all", passed, covered, all)
	if testing.Verbose() {
		for _, m := range missing {
			t.Log("not covered: ", m)
		}
	}
	if covered < 390 {
		t.Errorf("%d cases are covered, want 390 at least", covered)
	}
}

// refused are cases that are not as ONNX says, and what is said instead.
var refused = map[string]string{
	"test_einsum_batch_diagonal":             `"...ii ->...i" is not supported`,
	"test_gathernd_example_int32_batch_dim1": "batch_dims is not supported",
	// ONNX Runtime prints eight digits, and its answers are what counts.
	"test_cast_FLOAT_to_STRING":              `element 1 is "0.60484552", want "0.6048455"`,
	"test_castlike_FLOAT_to_STRING":          `element 1 is "0.60484552", want "0.6048455"`,
	"test_castlike_FLOAT_to_STRING_expanded": `element 1 is "0.60484552", want "0.6048455"`,
}

func unknownOperator(g *graph) string {
	for _, n := range g.nodes {
		table := map[string]map[string]operator{"": core, "ai.onnx.ml": ml, "com.microsoft": microsoft}[n.domain]
		if _, ok := table[n.op]; !ok {
			return n.op
		}
	}
	return ""
}

func runCase(files map[string][]byte, name string, g *graph, tolerance float64) error {
	var outputs []string
	for _, o := range g.outputs {
		outputs = append(outputs, o.name)
	}
	p, err := compile(g, outputs, 1<<24)
	if err != nil {
		return err
	}
	sets := 0
	for ; files[fmt.Sprintf("%s/test_data_set_%d/output_0.pb", name, sets)] != nil; sets++ {
		r := p.runner()
		for i := range p.inputs {
			x, _, err := parseTensor(files[fmt.Sprintf("%s/test_data_set_%d/input_%d.pb", name, sets, i)])
			if err != nil {
				return fmt.Errorf("input %d: %w", i, err)
			}
			*r.input(i) = *x
		}
		for range 2 { // the second run reuses the first one's memory
			if err := r.run(1); err != nil {
				return err
			}
			for i := range outputs {
				want, _, err := parseTensor(files[fmt.Sprintf("%s/test_data_set_%d/output_%d.pb", name, sets, i)])
				if err != nil {
					return fmt.Errorf("output %d: %w", i, err)
				}
				if err := sameTensor(r.output(i), want, tolerance); err != nil {
					return fmt.Errorf("output %d: %w", i, err)
				}
			}
		}
	}
	if sets == 0 {
		return errors.New("no data")
	}
	return nil
}

// sameTensor compares; tolerance is relative to max(1,|want|).
func sameTensor(got, want *tensor, tolerance float64) error {
	if got.typ != want.typ || !slices.Equal(got.shape, want.shape) {
		return fmt.Errorf("%s of shape %v, want %s of shape %v", got.typ, got.shape, want.typ, want.shape)
	}
	for i := range want.len() {
		if want.typ == String {
			if got.s[i] != want.s[i] {
				return fmt.Errorf("element %d is %q, want %q", i, got.s[i], want.s[i])
			}
			continue
		}
		a, b := got.at(i), want.at(i)
		if a == b || a != a && b != b {
			continue
		}
		if d := math.Abs(a - b); !(d <= tolerance*max(1, math.Abs(b))) || want.typ != Float && want.typ != Double {
			return fmt.Errorf("element %d is %v, want %v", i, a, b)
		}
	}
	return nil
}

// TestAgainstRuntime runs every operator of ai.onnx.ml, in the forms that its
// attributes give it, against what ONNX Runtime answered.
func TestAgainstRuntime(t *testing.T) {
	files := unpack(t, "testdata/ml.tar.gz")
	names := cases(files)
	if len(names) < 190 {
		t.Errorf("%d cases", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			g, err := parse(files[name+"/model.onnx"])
			if err != nil {
				t.Fatal(err)
			}
			if err := runCase(files, name, g, 1e-6); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// unpack reads a .tar.gz.
func unpack(t testing.TB, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func cases(files map[string][]byte) []string {
	var names []string
	for f := range files {
		if n, ok := strings.CutSuffix(f, "/model.onnx"); ok {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}

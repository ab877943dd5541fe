package onnx

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const shapesFolder = "testdata/shapes/"

// ensembleStats is what the trees of a graph are.
type ensembleStats struct {
	trees, targets    int
	deepest, mostCuts int
	leaves            int // trees of one
	equalities, sets  int
	tracks            [2]int // tests whose NaN goes with what is false, and with what is true
	vectors           int    // leaves with weights of several targets
}

// statsOf looks into the tree ensembles of a file.
func statsOf(t *testing.T, file []byte) ensembleStats {
	t.Helper()
	f, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	var s ensembleStats
	for i := range f.g.nodes {
		n := &f.g.nodes[i]
		d := &decl{node: n, opset: f.g.opsets[n.domain], read: make([]bool, len(n.attrs))}
		var e *ensemble
		switch n.op {
		case "TreeEnsembleRegressor":
			e, err = d.classic("target", int(d.int("n_targets", 1)))
		case "TreeEnsembleClassifier":
			e, err = d.classic("class", len(classLabels(n)))
		default:
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		s.targets = max(s.targets, e.targets)
		s.trees += len(e.trees)
		cuts := map[int32]map[float64]bool{}
		for _, tree := range e.trees {
			if len(tree) == 1 {
				s.leaves++
			}
			s.deepest = max(s.deepest, s.look(tree, 0, 0, cuts))
		}
		for _, c := range cuts {
			s.mostCuts = max(s.mostCuts, len(c))
		}
	}
	return s
}

// look counts what is below node i and returns how deep that goes.
func (s *ensembleStats) look(tree []treeNode, i int32, depth int, cuts map[int32]map[float64]bool) int {
	n := &tree[i]
	switch n.mode {
	case leaf:
		if len(n.weights) > 1 {
			s.vectors++
		}
		return depth
	case member:
		s.sets++
	case eq:
		s.equalities++
	default:
		if cuts[n.feature] == nil {
			cuts[n.feature] = map[float64]bool{}
		}
		cuts[n.feature][n.value] = true
	}
	s.tracks[b2f[int32](n.tracks)]++
	return max(s.look(tree, n.yes, depth+1, cuts), s.look(tree, n.no, depth+1, cuts))
}

// shapes are what the rows of the grid say of a case's trees.
var shapes = map[string]func(s ensembleStats) bool{
	"default directions":            func(s ensembleStats) bool { return s.tracks[0]+s.tracks[1] > 0 },
	"one-hot category split":        func(s ensembleStats) bool { return s.equalities > 0 && s.sets == 0 },
	"partition category split":      func(s ensembleStats) bool { return s.sets > 0 },
	"dart":                          func(s ensembleStats) bool { return s.trees > 1 },
	"random forest":                 func(s ensembleStats) bool { return s.trees > 4 },
	"multi-class":                   func(s ensembleStats) bool { return s.targets > 2 },
	"num_parallel_tree":             func(s ensembleStats) bool { return s.trees >= 12 },
	"unknown level":                 func(s ensembleStats) bool { return s.equalities+s.sets > 0 },
	"more than 254 cuts":            func(s ensembleStats) bool { return s.mostCuts > 254 },
	"depth over 12":                 func(s ensembleStats) bool { return s.deepest > 12 },
	"one leaf":                      func(s ensembleStats) bool { return s.trees > 0 && s.leaves == s.trees },
	"grown by leaves, lop-sided":    func(s ensembleStats) bool { return s.deepest > 4 },
	"depth by depth, not symmetric": func(s ensembleStats) bool { return s.deepest == 6 },
	"vector leaves":                 func(s ensembleStats) bool { return s.vectors > 0 },
	"NaN in every feature":          func(s ensembleStats) bool { return s.tracks[0]+s.tracks[1] > 0 },
	"zero-as-missing":               func(s ensembleStats) bool { return s.trees > 0 },
	"missing values off":            func(s ensembleStats) bool { return s.trees > 0 },
	"base_score scalar":             func(s ensembleStats) bool { return s.trees > 0 },
	"base_score list":               func(s ensembleStats) bool { return s.trees > 0 },
	"linear models":                 func(s ensembleStats) bool { return s.trees == 0 },
}

var (
	quotedCase = regexp.MustCompile("`([^`]+)`")
	refusedBy  = regexp.MustCompile("^the converter refuses `([^`]+)`: (.+)$")
)

// TestShapes holds the table of ../testdata/models/README.md whose columns are
// converters to what is in testdata/shapes: a case is there, is that
// converter's and is of its row, or the converter was seen to refuse it.
func TestShapes(t *testing.T) {
	text, err := os.ReadFile("../testdata/models/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var refused map[string]string
	if b, err := os.ReadFile(shapesFolder + "refused.json"); err != nil || json.Unmarshal(b, &refused) != nil {
		t.Fatalf("refused.json: %v", err)
	}
	rows := string(readShape(t, "rows.csv"))
	if !strings.Contains(rows, "\n,,,,,,,\n") || strings.Count(rows, "\n") != 1001 {
		t.Error("rows.csv has no row of missing cells, or not 1,000 rows")
	}
	named, converters, seen := map[string]bool{}, []string(nil), 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "trees in ONNX":
			converters = cells[1:]
			continue
		case !strings.HasPrefix(line, "|"):
			converters = nil
		}
		if converters == nil || strings.HasPrefix(cells[0], "--") {
			continue
		}
		seen++
		if len(cells) != len(converters)+1 {
			t.Errorf("row %q has %d cells for %d converters", cells[0], len(cells)-1, len(converters))
			continue
		}
		for i, cell := range cells[1:] {
			t.Run(cells[0]+"/"+converters[i], func(t *testing.T) { shapeCell(t, cells[0], converters[i], cell, refused, named) })
		}
	}
	if seen < len(shapes) {
		t.Errorf("the table has %d rows", seen)
	}
	bindings, err := filepath.Glob(shapesFolder + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bindings {
		if name := strings.TrimSuffix(filepath.Base(b), ".json"); name != "refused" && !named[name] {
			t.Errorf("no cell names case %s", name)
		}
	}
	for name := range refused {
		if !named[name] {
			t.Errorf("no cell names %s, which its converter refuses", name)
		}
	}
}

func shapeCell(t *testing.T, row, converter, cell string, refused map[string]string, named map[string]bool) {
	if reason, ok := strings.CutPrefix(cell, "n/a: "); ok && reason != "" {
		return
	}
	if m := refusedBy.FindStringSubmatch(cell); m != nil {
		named[m[1]] = true
		if refused[m[1]] != m[2] {
			t.Errorf("%s: the converter said %q", m[1], refused[m[1]])
		}
		return
	}
	names := quotedCase.FindAllStringSubmatch(cell, -1)
	if len(names) == 0 || strings.TrimSpace(quotedCase.ReplaceAllString(cell, "")) != "" {
		t.Fatalf("the cell is %q: want cases, a refusal or a reason", cell)
	}
	is := shapes[row]
	if is == nil {
		t.Fatalf("nothing is known of such a row")
	}
	for _, m := range names {
		name := m[1]
		named[name] = true
		library, _, _ := strings.Cut(name, "_")
		if !strings.HasPrefix(strings.ToLower(strings.ReplaceAll(converter, "scikit-learn", "sklearn")), library) {
			t.Errorf("%s is no model of %s", name, converter)
		}
		if n := bytes.Count(readShape(t, name+".csv"), []byte("\n")) - 1; n < 1000 {
			t.Errorf("%s: %d golden rows", name, n)
		}
		if s := statsOf(t, readShape(t, name+".onnx")); !is(s) {
			t.Errorf("%s is no such model: %+v", name, s)
		}
	}
}

// readShape reads a file of the folder, a model compressed or not.
func readShape(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(shapesFolder + name)
	if err == nil {
		return b
	}
	if b, err = os.ReadFile(shapesFolder + name + ".gz"); err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJoinSets makes one test of a chain of equalities, and leaves alone what
// is none.
func TestJoinSets(t *testing.T) {
	is := func(feature int32, value float64, yes, no int32) treeNode {
		return treeNode{mode: eq, feature: feature, value: value, yes: yes, no: no}
	}
	end := treeNode{}
	for _, c := range []struct {
		name    string
		tree    []treeNode
		members []float64 // of the root
		no      int32
	}{
		{"chain", []treeNode{is(0, 5, 1, 2), end, is(0, 3, 1, 3), is(0, 8, 1, 4), end}, []float64{5, 3, 8}, 4},
		{"one test", []treeNode{is(0, 5, 1, 2), end, end}, nil, 2},
		{"another feature", []treeNode{is(0, 5, 1, 2), end, is(1, 3, 1, 3), end}, nil, 2},
		{"another place", []treeNode{is(0, 5, 1, 2), end, is(0, 3, 3, 4), end, end}, nil, 2},
		{"a circle", []treeNode{is(0, 5, 1, 2), end, is(0, 3, 1, 0)}, nil, 2}, // which the tree engine refuses
	} {
		joinSets(c.tree)
		if root := c.tree[0]; !slices.Equal(root.members, c.members) || root.no != c.no || (root.mode == member) != (c.members != nil) {
			t.Errorf("%s: %+v", c.name, root)
		}
	}
}

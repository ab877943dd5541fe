package model_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/catboost"
	"github.com/portico-ml/portico/shared/model/lightgbm"
	"github.com/portico-ml/portico/shared/model/trees"
	"github.com/portico-ml/portico/shared/model/xgboost"
)

// goldens is where the golden files of a column of the grid lie.
type goldens struct {
	column  string
	folder  string
	refused string // where the refused files lie, if elsewhere
	forms   []string
	load    func([]byte) (*model.Foreign, error)
	inputs  func(name string) string
}

var columns = []goldens{
	ofXGBoost("1.7.6"), ofXGBoost("2.1.4"), ofXGBoost("3.2.0"),
	{"LightGBM 4.6.0", "lightgbm/testdata/", "lightgbm/testdata/", []string{".txt"}, lightgbm.Load, func(string) string { return "lightgbm/testdata/rows.csv" }},
	{"CatBoost 1.2.10", "catboost/testdata/", "catboost/testdata/", []string{".json"}, catboost.Load, func(string) string { return "catboost/testdata/rows.csv" }},
}

// ofONNX are the models of the third table; each is imported and scored in
// ../importer, and here only has to be there.
var ofONNX = goldens{
	"ONNX", "onnx/testdata/golden/", "",
	[]string{".onnx"},
	func(file []byte) (*model.Foreign, error) { return &model.Foreign{Engine: model.EngineONNX}, nil },
	func(string) string { return "onnx/testdata/golden/rows.csv" },
}

func ofXGBoost(version string) goldens {
	const folder = "testdata/xgboost/"
	return goldens{
		"XGBoost " + version, folder + version + "/", folder + "refused/",
		[]string{".json", ".ubj"},
		xgboost.Load,
		func(name string) string {
			if own := folder + "inputs/" + name + ".csv"; exists(own) {
				return own
			}
			return folder + "inputs/objectives.csv"
		},
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// shapes are what the rows of the grid's second table say of a case's model.
var shapes = map[string]func(s trees.Stats) bool{
	"multi-class":              func(s trees.Stats) bool { return s.Outputs > 2 },
	"more than 254 cuts":       func(s trees.Stats) bool { return s.MostCuts > 254 },
	"depth over 12":            func(s trees.Stats) bool { return s.Deepest > 12 },
	"one leaf":                 func(s trees.Stats) bool { return s.Nodes == 0 && s.Trees > 0 },
	"num_parallel_tree":        func(s trees.Stats) bool { return s.Trees > 12 },
	"partition category split": func(s trees.Stats) bool { return s.LargestSet > 1 },
	"one-hot category split":   func(s trees.Stats) bool { return s.LargestSet == 1 },
}

var (
	quoted  = regexp.MustCompile("`([^`]+)`")
	refusal = regexp.MustCompile("^refused ((?:`[^`]+` ?)+): (.+)$")
)

// TestGrid holds testdata/models/README.md to the golden files and the loaders:
// every cell is a case that is there, a refusal that is given, or a reason.
func TestGrid(t *testing.T) {
	text, err := os.ReadFile("testdata/models/README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := make([]map[string]bool, len(columns))
	for i := range named {
		named[i] = map[string]bool{}
	}
	rows, objectives, onnx := 0, false, false
	namedONNX := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "trees in ONNX" {
			break // the last table is read by TestShapes in ./onnx
		}
		if cells[0] == "what" {
			onnx = true
			continue
		}
		if onnx {
			if len(cells) != 2 {
				t.Errorf("row %q has %d cells", cells[0], len(cells))
				continue
			}
			t.Run("ONNX/"+cells[0], func(t *testing.T) { ofONNX.cell(t, cells[0], cells[1], false, namedONNX) })
			continue
		}
		if cells[0] == "objective" || cells[0] == "trees" {
			objectives = cells[0] == "objective"
			for i, c := range columns {
				if i+1 >= len(cells) || cells[i+1] != c.column {
					t.Fatalf("column %d of the table is not %s: %q", i+1, c.column, cells)
				}
			}
			continue
		}
		rows++
		if len(cells) != len(columns)+1 {
			t.Errorf("row %q has %d cells for %d columns", cells[0], len(cells)-1, len(columns))
			continue
		}
		for i, c := range columns {
			t.Run(cells[0]+"/"+c.column, func(t *testing.T) { c.cell(t, cells[0], cells[i+1], objectives, named[i]) })
		}
	}
	if rows < 50 {
		t.Errorf("the grid has %d rows", rows)
	}
	for i, c := range append(columns, ofONNX) {
		files, err := filepath.Glob(c.folder + "*" + c.forms[len(c.forms)-1])
		if err != nil || len(files) < 30 {
			t.Errorf("%s: %d golden models, %v", c.column, len(files), err)
		}
		for _, f := range files {
			if name := strings.TrimSuffix(filepath.Base(f), filepath.Ext(f)); !append(named, namedONNX)[i][name] && name != "versions" {
				t.Errorf("no cell names case %s of %s", name, c.column)
			}
		}
	}
}

// cell checks one cell of the grid.
func (c *goldens) cell(t *testing.T, row, cell string, objective bool, named map[string]bool) {
	if m := refusal.FindStringSubmatch(cell); m != nil {
		for _, name := range quoted.FindAllStringSubmatch(m[1], -1) {
			named[name[1]] = true
			folder := c.refused
			if exists(c.folder + name[1] + c.forms[0]) {
				folder = c.folder
			}
			for _, form := range c.forms {
				if _, err := c.load(readFile(t, folder+name[1]+form)); !fault.Is(err, fault.Package) || !strings.Contains(err.Error(), m[2]) {
					t.Errorf("%s%s: got %v, want a refusal with %q", name[1], form, err, m[2])
				}
			}
		}
		return
	}
	if reason, ok := strings.CutPrefix(cell, "n/a: "); ok && reason != "" {
		return
	}
	names := quoted.FindAllStringSubmatch(cell, -1)
	if len(names) == 0 || strings.Trim(quoted.ReplaceAllString(cell, ""), " ") != "" {
		t.Fatalf("the cell is %q: want cases, a refusal or a reason", cell)
	}
	for _, m := range names {
		name := m[1]
		named[name] = true
		if n := bytes.Count(readFile(t, c.folder+name+".csv"), []byte("\n")) - 1; n < 1000 {
			t.Errorf("%s: %d golden rows", name, n)
		}
		if row == "NaN in every feature" && !blankRow(readFile(t, c.inputs(name))) {
			t.Errorf("%s has no row without any value", name)
		}
		for _, form := range c.forms {
			file := readFile(t, c.folder+name+form)
			f, err := c.load(file)
			if err != nil {
				t.Errorf("%s%s: %v", name, form, err)
				continue
			}
			if objective && !slices.ContainsFunc(quoted.FindAllStringSubmatch(row, -1), func(o []string) bool {
				return slices.Contains(strings.Fields(strings.ReplaceAll(f.Learner, ",", "")), o[1])
			}) {
				t.Errorf("%s%s is a model of %s", name, form, f.Learner)
			}
			if f.Engine != model.EngineTrees {
				if shapes[row] != nil {
					t.Errorf("%s%s is no tree ensemble", name, form)
				}
				continue
			}
			e, err := trees.Open(f.Body)
			if err != nil {
				t.Fatal(err)
			}
			if is := shapes[row]; is != nil && !is(e.Stats()) {
				t.Errorf("%s%s is no such model: %+v", name, form, e.Stats())
			}
			if row == "base_score list" && c.forms[0] == ".json" && strings.HasPrefix(c.column, "XGBoost") && form == ".json" && !bytes.Contains(file, []byte(`"base_score":"[`)) {
				t.Errorf("%s%s has no list of base scores", name, form)
			}
		}
	}
}

// blankRow reports a row of nothing but commas, a category's cell excepted.
func blankRow(table []byte) bool {
	for line := range bytes.Lines(table) {
		cells := bytes.Split(bytes.TrimSpace(line), []byte(","))
		if !slices.ContainsFunc(cells, func(c []byte) bool { return len(c) > 0 && (c[0] < 'a' || c[0] > 'z') }) {
			return true
		}
	}
	return false
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

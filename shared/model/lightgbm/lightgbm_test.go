package lightgbm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model/modeltest"
)

// TestRawScores compares raw scores, bit for bit, with what LightGBM gave.
func TestRawScores(t *testing.T) {
	for _, name := range modeltest.Cases(t, ".txt", 30) {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			f, err := parse(text)
			if err != nil {
				t.Fatal(err)
			}
			want := modeltest.Raw(t, name)
			if f.forest.Average { // LightGBM's raw_score is the sum; its prediction averages
				for _, row := range want {
					for k := range row {
						row[k] /= float64(len(f.forest.Trees) / f.forest.Outputs)
					}
				}
			}
			modeltest.Check(t, modeltest.Open(t, f.forest), modeltest.Features(t, f.names, f.levels), want, 0)
		})
	}
}

// TestContributions compares contributions with LightGBM's pred_contrib, which
// for a random forest are of the sum, as ours are of the average.
func TestContributions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.contributions.csv")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".contributions.csv")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			f, err := parse(text)
			if err != nil {
				t.Fatal(err)
			}
			scale := 1.0
			if f.forest.Average {
				scale = 1 / float64(len(f.forest.Trees)/f.forest.Outputs)
			}
			modeltest.Contributions(t, modeltest.OpenExplainer(t, f.forest), path, modeltest.Features(t, f.names, f.levels), scale)
		})
	}
}

func TestRefusals(t *testing.T) {
	text, err := os.ReadFile("testdata/binary.txt")
	if err != nil {
		t.Fatal(err)
	}
	linear, err := os.ReadFile("testdata/linear_tree.txt")
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) []byte {
		if !strings.Contains(string(text), old) {
			t.Fatalf("the golden model has no %q", old)
		}
		return []byte(strings.Replace(string(text), old, new, 1))
	}
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"linear tree", linear, "linear tree"},
		{"not a model", []byte("hello"), "first line"},
		{"unknown objective", change("objective=binary", "objective=magic"), `objective "magic"`},
		{"too many features", change("max_feature_idx=7", "max_feature_idx=99999999999"), "max_feature_idx"},
		{"names", change("max_feature_idx=7", "max_feature_idx=6"), "8 feature_names"},
		{"leaves", change("num_leaves=15", "num_leaves=1000000000"), "num_leaves"},
		{"fewer leaves", change("num_leaves=15", "num_leaves=14"), "leaf_value has 15 values, not 14"},
		{"child", change("left_child=1", "left_child=99"), "child 99"},
		{"word", change("threshold=", "threshold=x"), "threshold: value 0"},
		{"sets", change("num_cat=", "num_cat=7"), "num_cat"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(tt.file)
			if !fault.Is(err, fault.Package) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal with %q", err, tt.want)
			}
		})
	}
}

// load returns the engine's bytes of a model.
func load(file []byte) ([]byte, error) {
	m, err := Load(file)
	if err != nil {
		return nil, err
	}
	return m.Body, nil
}

func TestHostileFiles(t *testing.T) {
	for _, name := range []string{"binary", "multiclass", "binary_partition_category"} {
		text, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		modeltest.Hostile(t, text, load,
			modeltest.Replacement{From: "num_leaves=", To: "num_leaves=99999999999"},
			modeltest.Replacement{From: "max_feature_idx=", To: "max_feature_idx=9"},
			modeltest.Replacement{From: "num_tree_per_iteration=", To: "num_tree_per_iteration=40"},
			modeltest.Replacement{From: "leaf_value=", To: "leaf_value=nan "},
			modeltest.Replacement{From: "threshold=", To: "threshold=NaN "},
			modeltest.Replacement{From: "left_child=", To: "left_child=0 "},
			modeltest.Replacement{From: "\n", To: "\n\n"},
			modeltest.Replacement{From: "Tree=", To: strings.Repeat("Tree=0\n\n", 2000) + "Tree="},
			modeltest.Replacement{From: "pandas_categorical:", To: "pandas_categorical:" + modeltest.Deep(1_000_000)},
			modeltest.Replacement{From: "pandas_categorical:", To: "pandas_categorical:[" + strings.Repeat("[],", 100_000) + "[]]\n"},
		)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"binary_one_leaf", "linear_tree"} {
		text, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=regression\nfeature_names=a\n\n" +
		"Tree=0\nnum_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold=0\ndecision_type=1\nleft_child=-1\nright_child=-2\nleaf_value=1 2\ncat_boundaries=0 1\ncat_threshold=5\n\nend of trees\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		body, err := load(file)
		modeltest.RefusedOrScores(t, "file", body, err)
	})
}

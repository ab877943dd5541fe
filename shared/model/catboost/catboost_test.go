package catboost

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model/modeltest"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRawScores compares raw scores with what CatBoost gave. CatBoost adds the
// bias last, we begin with it, so the last bits may differ.
func TestRawScores(t *testing.T) {
	for _, name := range modeltest.Cases(t, ".json", 31) {
		t.Run(name, func(t *testing.T) {
			f, err := parse(read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			modeltest.Check(t, modeltest.Open(t, f.forest), modeltest.Features(t, f.names, f.levels), modeltest.Raw(t, name), 1e-12)
		})
	}
}

// TestContributions compares contributions with CatBoost's ShapValues.
func TestContributions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.contributions.csv")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".contributions.csv")
		t.Run(name, func(t *testing.T) {
			f, err := parse(read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			modeltest.Contributions(t, modeltest.OpenExplainer(t, f.forest), path, modeltest.Features(t, f.names, f.levels), 1)
		})
	}
}

func TestClasses(t *testing.T) {
	for name, want := range map[string]string{"logloss": "no yes", "multiclass": "hi lo mid", "rmse": ""} {
		f, err := parse(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(f.classes, " "); got != want {
			t.Errorf("%s: classes %q, want %q", name, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, read(t, "logloss_onehot")); err != nil {
		t.Fatal(err)
	}
	onehot := compact.String()
	change := func(old, new string) []byte {
		if !strings.Contains(onehot, old) {
			t.Fatalf("the golden model has no %q", old)
		}
		return []byte(strings.ReplaceAll(onehot, old, new))
	}
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"target statistics", read(t, "ctr"), "one_hot_max_size"},
		{"truncated", []byte(onehot[:len(onehot)/2]), "not valid JSON"},
		{"no texts", change(`"cat_features_hash"`, `"x"`), "pool="},
		{"loss", change(`"Logloss"`, `"Magic"`), `"Magic"`},
		{"feature", change(`"float_feature_index":2`, `"float_feature_index":77`), "no float feature"},
		{"leaves", change(`"leaf_values":[`, `"leaf_values":[1,`), "leaf values"},
		{"flat index", change(`"flat_feature_index":6`, `"flat_feature_index":5`), "flat_feature_index"},
		{"text features", change(`"float_features"`, `"text_features":[{}],"float_features"`), "text features"},
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
	for name, trees := range map[string]string{"logloss_onehot": "oblivious_trees", "logloss_lossguide": "trees", "multiclass": "oblivious_trees"} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, read(t, name)); err != nil {
			t.Fatal(err)
		}
		at := `"` + trees + `":[`
		modeltest.Hostile(t, compact.Bytes(), load,
			modeltest.Replacement{From: at, To: at + modeltest.Deep(1_000_000)},
			modeltest.Replacement{From: at, To: at + strings.Repeat("{},", 100_000)},
			modeltest.Replacement{From: at, To: at + strings.Repeat("0,", 100_000)},
			modeltest.Replacement{From: at, To: at + strings.Repeat(`{"leaf_values":[0],"splits":[]},`, 10_000)},
			modeltest.Replacement{From: at, To: at + strings.Repeat(`{"value":0},`, 10_000)},
			modeltest.Replacement{From: at, To: at + strings.Repeat(`{"left":`, 5000)},
			modeltest.Replacement{From: `"borders":[`, To: `"borders":[` + strings.Repeat("0,", 100_000)},
			modeltest.Replacement{From: `"float_features":[`, To: `"float_features":[` + strings.Repeat("{},", 100_000)},
			modeltest.Replacement{From: `"flat_feature_index":`, To: `"flat_feature_index":9999999`},
			modeltest.Replacement{From: `"border":`, To: `"border":1e999`},
		)
	}
}

func FuzzParse(f *testing.F) {
	const head = `{"features_info":{"float_features":[{"feature_index":0,"flat_feature_index":0,"nan_value_treatment":"AsIs"}],` +
		`"categorical_features":[{"feature_index":0,"flat_feature_index":1}],"cat_features_hash":[{"hash":7,"value":"a"}]},` +
		`"model_info":{"params":{"loss_function":{"type":"RMSE"}}},"scale_and_bias":[1,[0.5]],`
	f.Add([]byte(head + `"oblivious_trees":[{"leaf_values":[1,2,3,4],"splits":[{"split_type":"FloatFeature","float_feature_index":0,"border":0.5},` +
		`{"split_type":"OneHotFeature","cat_feature_index":0,"value":7}]}]}`))
	f.Add([]byte(head + `"trees":[{"left":{"value":1},"right":{"value":[2]},"split":{"split_type":"FloatFeature","float_feature_index":0,"border":0.5}}]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		body, err := load(file)
		modeltest.RefusedOrScores(t, "file", body, err)
	})
}

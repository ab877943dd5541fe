package xgboost

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// TestBestIteration warns where early stopping chose fewer rounds than score.
func TestBestIteration(t *testing.T) {
	for _, c := range []struct{ attributes, want string }{
		{`{}`, ""},
		{`{"best_iteration":"0"}`, ""},
		{`{"best_iteration":"1"}`, ""},
	} {
		text := strings.Replace(document, `"attributes":{}`, `"attributes":`+c.attributes, 1)
		m, err := Load([]byte(text))
		if err != nil || strings.Join(m.Warnings, "") != c.want {
			t.Errorf("%s: %v, %q", c.attributes, err, m.Warnings)
		}
	}
	two := strings.Replace(document, `"attributes":{}`, `"attributes":{"best_iteration":"0"}`, 1)
	at := strings.Index(two, `{"categories"`)
	tree := two[at : strings.Index(two, `"tree_param"`)+len(`"tree_param":{"size_leaf_vector":"1"}}`)]
	two = strings.Replace(strings.Replace(two, tree, tree+","+tree, 1), `"tree_info":[0]`, `"tree_info":[0,0]`, 1)
	m, err := Load([]byte(two))
	if err != nil || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "chose round 1 of 2") || !strings.Contains(m.Warnings[0], "booster[:1]") {
		t.Fatalf("%v, %+v", err, m)
	}
}

// TestFeatures reads what files say of their features.
func TestFeatures(t *testing.T) {
	m, err := Load([]byte(strings.Replace(document, `["float","c"]`, `["int","i"]`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.ForeignFeature{{Name: "a", Type: frame.Int64}, {Name: "b", Type: frame.Boolean}}
	if d := cmp.Diff(want, m.Features); d != "" {
		t.Error(d)
	}
	if m, err = Load([]byte(seeds[2])); err != nil { // categories of 3.1: text and numbers
		t.Fatal(err)
	}
	want = []model.ForeignFeature{
		{Type: frame.String, Categorical: true, Levels: []string{"a", "é"}},
		{Type: frame.Int64, Categorical: true, Levels: []string{"3", "5"}},
	}
	if d := cmp.Diff(want, m.Features); d != "" {
		t.Error(d)
	}
	if m, err = Load([]byte(seeds[1])); err != nil { // no names, no types
		t.Fatal(err)
	}
	if d := cmp.Diff([]model.ForeignFeature{{Type: frame.Double}}, m.Features); d != "" {
		t.Error(d)
	}
}

package main

import (
	"slices"
	"testing"
)

// TestTable holds every row to what the rig needs to run it.
func TestTable(t *testing.T) {
	r, err := open(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range r.rows {
		x := &r.rows[i]
		if slices.Contains(names, x.Name) {
			t.Errorf("%s is there twice", x.Name)
		}
		names = append(names, x.Name)
		if _, err := r.learner(&x.untrained); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
		if len(x.Tables) == 0 || (x.Against == "") != (x.Reference != nil) {
			t.Errorf("%s needs tables, and either a reference or another row", x.Name)
		}
		for _, table := range x.Tables {
			for _, metric := range r.metrics(x, table) {
				if x.Against == "" && len(r.reference[x.Name][table][metric]) != folds {
					t.Errorf("%s on %s: reference.json has %d folds of %s", x.Name, table, len(r.reference[x.Name][table][metric]), metric)
				}
			}
		}
		if x.Against != "" {
			if _, err := r.row(x.Against); err != nil {
				t.Errorf("%s: %v", x.Name, err)
			}
		}
	}
}

// TestBoostedTrees holds boosted trees to the bars on the smaller tables.
func TestBoostedTrees(t *testing.T) {
	r, err := open(".")
	if err != nil {
		t.Fatal(err)
	}
	for table, module := range map[string]string{
		"penguins":      "Multiclass Boosted Decision Tree",
		"breast_cancer": "Two-Class Boosted Decision Tree",
		"sacramento":    "Boosted Decision Tree Regression",
		"diabetes":      "Boosted Decision Tree Regression",
	} {
		for _, library := range []string{"LightGBM", "XGBoost"} {
			x, err := r.row(module + " / " + library)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := r.compare(t.Context(), x, table)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range lines {
				if !l.pass() {
					t.Errorf("%s on %s: %s is %v, the reference's %v", x.Name, table, l.metric, mean(l.ours), mean(l.theirs))
				}
			}
		}
	}
}

// TestKinds holds a learner of each kind of answer to the bars, on small tables.
func TestKinds(t *testing.T) {
	r, err := open(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ row, table, metric string }{
		{"Two-Class Bayes Point Machine / scikit-learn's logistic regression", "breast_cancer", "auc"},
		{"Ordinal Regression / cumulative logistic", "diabetes_grade", "log loss"},
		{"Bayesian Linear Regression / scikit-learn's ridge", "diabetes", "rmse"},
		{"Fast Forest Quantile Regression / scikit-learn", "diabetes", "pinball"},
		{"One-Class Support Vector Machine / scikit-learn", "penguins", "auc"},
		{"K-Means Clustering of 3 / scikit-learn", "penguins", "inertia"},
	} {
		x, err := r.row(c.row)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := r.compare(t.Context(), x, c.table)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, l := range lines {
			found = found || l.metric == c.metric
			if !l.pass() {
				t.Errorf("%s on %s: %s is %v, the reference's %v", x.Name, c.table, l.metric, mean(l.ours), mean(l.theirs))
			}
		}
		if !found {
			t.Errorf("%s on %s has no line of %s", x.Name, c.table, c.metric)
		}
	}
}

// TestBars has each way to pass and to fail.
func TestBars(t *testing.T) {
	level := func(v float64) []float64 { return slices.Repeat([]float64{v}, folds) }
	spread := func(v, by float64) []float64 {
		out := level(v)
		for i := range out {
			out[i] += by * float64(i%2*2-1)
		}
		return out
	}
	for _, c := range []struct {
		name string
		line line
		pass bool
	}{
		{"better auc", line{"auc", level(0.9), level(0.8), 0.005}, true},
		{"auc a little lower", line{"auc", level(0.7960), level(0.8), 0.005}, true},
		{"auc lower", line{"auc", level(0.7940), level(0.8), 0.005}, false},
		{"auc lower by less than chance", line{"auc", spread(0.79, 0.05), level(0.8), 0.005}, true},
		{"auc within another bar", line{"auc", level(0.785), level(0.8), 0.02}, true},
		{"log loss a little higher", line{"log loss", level(0.504), level(0.5), 0.005}, true},
		{"log loss higher", line{"log loss", level(0.51), level(0.5), 0.005}, false},
		{"rmse higher by less than chance", line{"rmse", spread(103, 15), level(100), 0.005}, true},
		{"rmse lower", line{"rmse", level(50), level(100), 0.005}, true},
	} {
		if got := c.line.pass(); got != c.pass {
			t.Errorf("%s: pass is %v", c.name, got)
		}
	}
}

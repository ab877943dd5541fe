// Package lightgbm reads the model text that LightGBM 2 to 4 write.
//
// The text is lines of key=value: a header, one section for each tree, and a
// tail with the training parameters and pandas' category levels. Lengths come
// from the file and are checked against each other before anything is indexed.
package lightgbm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/trees"
)

// file is a parsed model.
type file struct {
	version   string // of the text form: v2 to v4
	objective string // as written, its options included: "binary sigmoid:1"
	forest    *trees.Forest
	kind      model.Kind
	transform model.Transform
	names     []string // of the features, in the model's order
	// levels holds, for each feature that was a pandas category, its levels in
	// code order; nil for the others.
	levels [][]string
	// categorical marks the features that some tree tests by category.
	categorical []bool
}

// Is reports whether text looks like a LightGBM model.
func Is(text []byte) bool {
	return bytes.HasPrefix(text, []byte("tree\n")) || bytes.HasPrefix(text, []byte("tree\r\n"))
}

// Load reads a model text. A refusal is fault.Package and names the line,
// tree or node.
func Load(text []byte) (*model.Foreign, error) {
	f, err := parse(text)
	if err != nil {
		return nil, err
	}
	f.forest.KeepCovers()
	body, err := f.forest.Encode()
	if err != nil {
		return nil, refuse("%v", err)
	}
	m := &model.Foreign{
		Format: "LightGBM text", Library: "LightGBM, text form " + f.version,
		Learner: "LightGBM " + f.objective,
		Kind:    f.kind, Transform: f.transform,
		Engine: model.EngineTrees, Body: body,
	}
	switch f.kind {
	case model.TwoClass:
		m.NumClasses = 2
	case model.Multiclass:
		m.NumClasses = f.forest.Outputs
	}
	for i, name := range f.names {
		m.Features = append(m.Features, model.ForeignFeature{
			Name: name, Categorical: f.categorical[i] || f.levels[i] != nil, Levels: f.levels[i], Type: frame.Double,
		})
	}
	return m, nil
}

func parse(text []byte) (*file, error) {
	if !Is(text) {
		return nil, refuse("not a LightGBM model text: the first line is not \"tree\"")
	}
	p := &parser{rest: text}
	head, err := p.section()
	if err != nil {
		return nil, err
	}
	f := &file{version: head["version"], objective: head["objective"]}
	features, err := head.count("max_feature_idx", trees.MaxFeatures-1)
	if err != nil {
		return nil, err
	}
	perIteration, err := head.count("num_tree_per_iteration", trees.MaxOutputs)
	if err != nil {
		return nil, err
	}
	_, average := head["average_output"]
	f.forest = &trees.Forest{
		Features: features + 1, Outputs: perIteration,
		Input: trees.Float64, Sum: trees.Float64,
		Base: make([]float64, perIteration), Average: average,
	}
	if perIteration < 1 {
		return nil, refuse("num_tree_per_iteration is %d", perIteration)
	}
	f.names = strings.Fields(head["feature_names"])
	if len(f.names) != features+1 {
		return nil, refuse("%d feature_names for max_feature_idx %d", len(f.names), features)
	}
	f.categorical = make([]bool, len(f.names))
	if err := f.readObjective(); err != nil {
		return nil, err
	}
	for p.hasTree() {
		s, err := p.section()
		if err != nil {
			return nil, err
		}
		n := len(f.forest.Trees)
		t, err := s.tree()
		if err != nil {
			return nil, refuse("tree %d (line %d): %v", n, p.start, err)
		}
		t.Output = n % perIteration
		for i := range t.Nodes {
			if x := &t.Nodes[i]; x.Test == trees.In && int(x.Feature) < len(f.categorical) {
				f.categorical[x.Feature] = true
			}
		}
		f.forest.Trees = append(f.forest.Trees, t)
	}
	if n := len(f.forest.Trees); n%perIteration != 0 {
		return nil, refuse("%d trees are not a whole number of iterations of %d", n, perIteration)
	}
	if err := f.readTail(p.rest, head["feature_infos"]); err != nil {
		return nil, err
	}
	return f, nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Package, "FormatError", "LightGBM model: "+format, args...)
}

// readObjective sets Kind and Transform, as LightGBM's ConvertOutput does.
func (f *file) readObjective() error {
	words := strings.Fields(f.objective)
	if len(words) == 0 {
		f.kind, f.transform.Name = model.Regression, model.Identity // a custom objective: raw scores
		return nil
	}
	scale := 1.0
	sqrt := false
	for _, w := range words[1:] {
		if v, ok := strings.CutPrefix(w, "sigmoid:"); ok {
			var err error
			if scale, err = strconv.ParseFloat(v, 64); err != nil || !(scale > 0) || math.IsInf(scale, 0) {
				return refuse("objective option %q is not a positive number", w)
			}
		}
		sqrt = sqrt || w == "sqrt"
	}
	single := true
	switch words[0] {
	case "binary":
		f.kind, f.transform = model.TwoClass, model.Transform{Name: model.Sigmoid, Scale: scale}
	case "cross_entropy", "xentropy":
		f.kind, f.transform.Name = model.Regression, model.Sigmoid
	case "cross_entropy_lambda", "xentlambda":
		f.kind, f.transform.Name = model.Regression, model.Log1pExp
	case "multiclass", "softmax":
		f.kind, f.transform.Name, single = model.Multiclass, model.Softmax, false
	case "multiclassova", "multiclass_ova", "ova", "ovr":
		// LightGBM does not make the one-vs-all probabilities sum to one.
		f.kind, f.transform, single = model.Multiclass, model.Transform{Name: model.Sigmoids, Scale: scale}, false
	case "poisson", "gamma", "tweedie":
		f.kind, f.transform.Name = model.Regression, model.Exp
	case "regression", "regression_l2", "mean_squared_error", "mse", "l2", "regression_l1", "mean_absolute_error", "mae", "l1",
		"huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg":
		f.kind, f.transform.Name = model.Regression, model.Identity
		if sqrt {
			f.transform.Name = model.Square
		}
	case "custom", "none":
		f.kind, f.transform.Name = model.Regression, model.Identity
	default:
		return refuse("objective %q is not supported", words[0])
	}
	if single && f.forest.Outputs != 1 {
		return refuse("objective %q has %d trees in an iteration, not 1", words[0], f.forest.Outputs)
	}
	if !single && f.forest.Outputs < 2 {
		return refuse("objective %q has %d classes", words[0], f.forest.Outputs)
	}
	return nil
}

// readTail reads pandas_categorical: one list of levels for each categorical
// column, in column order. Which columns those are stands in the parameters,
// or shows in feature_infos, where a numeric feature has a range.
func (f *file) readTail(tail []byte, infos string) error {
	f.levels = make([][]string, len(f.names))
	const key = "pandas_categorical:"
	at := bytes.LastIndex(tail, []byte(key))
	if at < 0 {
		return nil
	}
	line, _, _ := bytes.Cut(tail[at+len(key):], []byte("\n"))
	line = bytes.TrimSpace(line)
	if bytes.Equal(line, []byte("null")) {
		return nil
	}
	lists, err := levelLists(line, len(f.names))
	if err != nil || len(lists) == 0 {
		return err
	}
	columns := categoricalParameter(tail)
	if len(columns) != len(lists) {
		columns = columns[:0]
		for i, info := range strings.Fields(infos) {
			if info != "none" && !strings.HasPrefix(info, "[") {
				columns = append(columns, i)
			}
		}
	}
	if len(columns) != len(lists) {
		return nil // a categorical column was never used: which is not said. The binding has to
	}
	for i, c := range columns {
		if c < 0 || c >= len(f.names) {
			return refuse("categorical_feature %d of %d features", c, len(f.names))
		}
		f.levels[c] = lists[i]
	}
	return nil
}

// levelLists reads at most limit lists of levels, one by one: what is wrong
// costs no more than its bytes.
func levelLists(line []byte, limit int) ([][]string, error) {
	bad := func(err error) error { return refuse("pandas_categorical is not a list of lists: %v", err) }
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, bad(err)
	}
	var lists [][]string
	for d.More() {
		if len(lists) == limit {
			return nil, refuse("pandas_categorical has more lists than there are features (%d)", limit)
		}
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return nil, bad(err)
		}
		levels := []string{}
		for d.More() {
			v, err := d.Token()
			if _, nested := v.(json.Delim); nested || err != nil {
				return nil, bad(err)
			}
			levels = append(levels, levelText(v))
		}
		if _, err := d.Token(); err != nil {
			return nil, bad(err)
		}
		lists = append(lists, levels)
	}
	return lists, nil
}

// levelText spells a level as a cell of its column would be.
func levelText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return fmt.Sprint(v) // json.Number: its own digits
}

// categoricalParameter reads the line [categorical_feature: 0,3] of the
// parameters; nil where there is none.
func categoricalParameter(tail []byte) []int {
	_, rest, ok := bytes.Cut(tail, []byte("[categorical_feature: "))
	if !ok {
		return nil
	}
	list, _, _ := bytes.Cut(rest, []byte("]"))
	var columns []int
	for w := range strings.SplitSeq(string(list), ",") {
		i, err := strconv.Atoi(strings.TrimSpace(w))
		if err != nil {
			return nil // names, not numbers
		}
		columns = append(columns, i)
	}
	return columns
}

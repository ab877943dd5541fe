// Package catboost reads models that CatBoost saved as JSON: trees over
// numbers and one-hot categories. Models with target statistics of categories
// (CTR splits), text or embedding features are refused.
package catboost

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/trees"
)

// file is a parsed model.
type file struct {
	loss      string // CatBoost's loss function
	forest    *trees.Forest
	kind      model.Kind
	transform model.Transform
	names     []string // of the features, in the training table's order
	// levels holds, for each categorical feature, the levels the file knows,
	// in the order of the codes its tests use; nil for numeric features.
	levels [][]string
	// classes are the label's values in the model's order; nil for regression.
	classes []string
}

// document is the part of the file that decides scores.
type document struct {
	Features struct {
		Floats json.RawMessage `json:"float_features"`
		Cats   json.RawMessage `json:"categorical_features"`
		Hashes json.RawMessage `json:"cat_features_hash"`
		Text   json.RawMessage `json:"text_features"`
		Embed  json.RawMessage `json:"embedding_features"`
	} `json:"features_info"`
	Info struct {
		Classes struct {
			Names []json.RawMessage `json:"class_names"`
		} `json:"class_params"`
		Params struct {
			Loss struct {
				Type string `json:"type"`
			} `json:"loss_function"`
		} `json:"params"`
	} `json:"model_info"`
	Oblivious json.RawMessage `json:"oblivious_trees"`
	Trees     json.RawMessage `json:"trees"`
	Scale     json.RawMessage `json:"scale_and_bias"`
}

// each decodes the elements of a list one by one and hands them to use, which
// must not keep them. The first that is wrong ends it: a list of a million
// empty things costs no more than its bytes.
func each[T any](what string, list json.RawMessage, use func(i int, v *T) error) error {
	if len(list) == 0 || bytes.Equal(list, []byte("null")) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(list))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return refuse("%s is not a list", what)
	}
	var v, zero T
	for i := 0; d.More(); i++ {
		v = zero
		if err := d.Decode(&v); err != nil {
			return refuse("%s, element %d: %v", what, i, err)
		}
		if err := use(i, &v); err != nil {
			return err
		}
	}
	return nil
}

// featureName is what both kinds of features have.
type featureName struct {
	Name string `json:"feature_name"`
	ID   string `json:"feature_id"`
	Flat int    `json:"flat_feature_index"`
}

type floatFeature struct {
	featureName
	Index int    `json:"feature_index"`
	NaN   string `json:"nan_value_treatment"`
}

type catFeature struct {
	featureName
	Index int `json:"feature_index"`
}

type hashedText struct {
	Hash  uint32 `json:"hash"`
	Value string `json:"value"`
}

type obliviousTree struct {
	Leaves []float64 `json:"leaf_values"`
	Covers []float64 `json:"leaf_weights"`
	Splits []split   `json:"splits"`
}

type split struct {
	Type   string  `json:"split_type"`
	Border float64 `json:"border"`
	Float  *int    `json:"float_feature_index"`
	Cat    *int    `json:"cat_feature_index"`
	Value  int64   `json:"value"`
}

// maxLevels bounds the text of all features' levels, in bytes: the file lists the
// categories once, a model has them for each feature.
const maxLevels = 32 << 20

// maxDepth bounds a tree: CatBoost's own limit is 16.
const maxDepth = 16

// Is reports whether text looks like a CatBoost model in JSON.
func Is(text []byte) bool {
	head := bytes.TrimLeft(text, " \t\r\n")
	return len(head) > 0 && head[0] == '{' && bytes.Contains(text, []byte(`"scale_and_bias"`)) && bytes.Contains(text, []byte(`"features_info"`))
}

// Load reads a model. A refusal is fault.Package and names the tree or
// feature.
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
		Format: "CatBoost JSON", Library: "CatBoost", Learner: "CatBoost " + f.loss,
		Kind: f.kind, Transform: f.transform,
		Engine: model.EngineTrees, Body: body, Classes: f.classes,
	}
	switch f.kind {
	case model.TwoClass:
		m.NumClasses = 2
	case model.Multiclass:
		m.NumClasses = f.forest.Outputs
	}
	for i, name := range f.names {
		m.Features = append(m.Features, model.ForeignFeature{
			Name: name, Categorical: f.levels[i] != nil, Levels: f.levels[i], Type: frame.Double,
		})
	}
	return m, nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Package, "FormatError", "CatBoost model: "+format, args...)
}

func parse(text []byte) (*file, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, refuse("not valid JSON: %v", err)
	}
	for _, left := range []struct {
		what string
		has  json.RawMessage
	}{{"text", d.Features.Text}, {"embedding", d.Features.Embed}} {
		if len(left.has) > 0 && !bytes.Equal(left.has, []byte("null")) && !bytes.Equal(left.has, []byte("[]")) {
			return nil, refuse("it reads %s features, which are not supported", left.what)
		}
	}
	f := &file{loss: d.Info.Params.Loss.Type}
	r := &reader{d: &d, hashes: map[uint32]int32{}}
	if err := r.readFeatures(f); err != nil {
		return nil, err
	}
	scale, bias, err := d.scaleAndBias()
	if err != nil {
		return nil, err
	}
	r.scale, r.outputs = scale, len(bias)
	f.forest = &trees.Forest{
		Features: len(f.names), Outputs: len(bias), Base: bias,
		Input: trees.Float32, Sum: trees.Float64,
	}
	err = each("oblivious_trees", d.Oblivious, func(i int, t *obliviousTree) error {
		if err := r.oblivious(f.forest, t); err != nil {
			return refuse("tree %d: %v", i, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each("trees", d.Trees, func(i int, root *node) error {
		if err := r.nested(f.forest, root); err != nil {
			return refuse("tree %d: %v", i, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, c := range d.Info.Classes.Names {
		f.classes = append(f.classes, literal(c))
	}
	return f, f.readLoss()
}

// literal spells a JSON string, number or truth value as a cell would be.
func literal(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	switch string(raw) {
	case "true":
		return "True"
	case "false":
		return "False"
	}
	return string(raw)
}

// readLoss sets Kind and Transform: what predict answers by default.
func (f *file) readLoss() error {
	one := true
	switch f.loss {
	case "Logloss", "CrossEntropy":
		f.kind, f.transform.Name = model.TwoClass, model.Sigmoid
	case "MultiClass":
		f.kind, f.transform.Name, one = model.Multiclass, model.Softmax, false
	case "MultiClassOneVsAll":
		f.kind, f.transform.Name, one = model.Multiclass, model.Sigmoids, false
	case "Poisson", "Tweedie":
		f.kind, f.transform.Name = model.Regression, model.Exp
	case "RMSE", "MAE", "Quantile", "LogLinQuantile", "MAPE", "Lq", "Huber", "Expectile", "YetiRank", "YetiRankPairwise",
		"PairLogit", "PairLogitPairwise", "QueryRMSE", "QuerySoftMax", "StochasticRank", "LambdaMart", "LogCosh", "Cox":
		f.kind, f.transform.Name = model.Regression, model.Identity
		if f.loss == "LogLinQuantile" {
			f.transform.Name = model.Exp
		}
	default:
		return refuse("loss function %q is not supported", f.loss)
	}
	n := f.forest.Outputs
	switch {
	case one && n != 1:
		return refuse("loss function %q has %d outputs, not 1", f.loss, n)
	case !one && n < 2:
		return refuse("loss function %q has %d classes", f.loss, n)
	case !one && len(f.classes) != 0 && len(f.classes) != n:
		return refuse("%d class names for %d classes", len(f.classes), n)
	}
	return nil
}

func (d *document) scaleAndBias() (scale float64, bias []float64, err error) {
	parts := 0
	err = each("scale_and_bias", d.Scale, func(i int, v *json.RawMessage) error {
		parts++
		var one float64
		switch {
		case i == 0 && json.Unmarshal(*v, &scale) == nil:
		case i == 1 && json.Unmarshal(*v, &one) == nil:
			bias = []float64{one}
		case i == 1 && len(*v) < 32*trees.MaxOutputs && json.Unmarshal(*v, &bias) == nil && len(bias) > 0 && len(bias) <= trees.MaxOutputs:
		default:
			return refuse("scale_and_bias is not [scale, bias]")
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	if parts != 2 {
		return 0, nil, refuse("scale_and_bias is not [scale, bias]")
	}
	if math.IsNaN(scale) || math.IsInf(scale, 0) {
		return 0, nil, refuse("scale is %v", scale)
	}
	return scale, bias, nil
}

// readFeatures places the features at their flat indexes, which must be
// 0 to n-1 in some order.
func (r *reader) readFeatures(f *file) error {
	d := &r.d.Features
	var names []featureName
	err := each("float_features", d.Floats, func(i int, x *floatFeature) error {
		if x.Index != i {
			return refuse("float feature %d has feature_index %d", i, x.Index)
		}
		r.floats = append(r.floats, float{int32(x.Flat), x.NaN == "AsTrue"})
		names = append(names, x.featureName)
		return nil
	})
	if err != nil {
		return err
	}
	var texts []string
	err = each("cat_features_hash", d.Hashes, func(_ int, h *hashedText) error {
		if _, twice := r.hashes[h.Hash]; twice {
			return refuse("cat_features_hash lists %d twice", h.Hash)
		}
		r.hashes[h.Hash] = int32(len(texts))
		texts = append(texts, h.Value)
		return nil
	})
	if err != nil {
		return err
	}
	err = each("categorical_features", d.Cats, func(i int, x *catFeature) error {
		if x.Index != i {
			return refuse("categorical feature %d has feature_index %d", i, x.Index)
		}
		if len(texts) == 0 {
			return refuse("it has categorical features but not their texts: save it with save_model(format=\"json\", pool=…)")
		}
		r.cats = append(r.cats, int32(x.Flat))
		names = append(names, x.featureName)
		return nil
	})
	if err != nil {
		return err
	}
	size := 0
	for _, t := range texts {
		size += len(t) + 3
	}
	if size*len(r.cats) > maxLevels {
		return refuse("each of its %d categorical features has the %d categories of all: %d MiB, at most %d are possible; train with fewer", len(r.cats), len(texts), size*len(r.cats)>>20, maxLevels>>20)
	}
	n := len(names)
	f.names, f.levels = make([]string, n), make([][]string, n)
	taken := make([]bool, n)
	for i, x := range names {
		if x.Flat < 0 || x.Flat >= n || taken[x.Flat] {
			return refuse("flat_feature_index %d of %d features", x.Flat, n)
		}
		taken[x.Flat] = true
		if f.names[x.Flat] = cmp.Or(x.Name, x.ID); f.names[x.Flat] == "" {
			f.names[x.Flat] = strconv.Itoa(x.Flat)
		}
		if i >= len(r.floats) {
			f.levels[x.Flat] = texts
		}
	}
	return nil
}

// String names the split in errors.
func (s *split) String() string { return fmt.Sprintf("split of type %q", s.Type) }

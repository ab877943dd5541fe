// Package catboost reads models that CatBoost saved as JSON: trees over
// numbers and one-hot categories. Models with target statistics of categories
// (CTR splits), text or embedding features are refused.
package catboost

import (
	"bytes"
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
		Floats []floatFeature  `json:"float_features"`
		Cats   []catFeature    `json:"categorical_features"`
		Hashes []hashedText    `json:"cat_features_hash"`
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
	Oblivious []obliviousTree   `json:"oblivious_trees"`
	Trees     []json.RawMessage `json:"trees"`
	Scale     []json.RawMessage `json:"scale_and_bias"`
}

type floatFeature struct {
	Name  string `json:"feature_name"`
	ID    string `json:"feature_id"`
	Index int    `json:"feature_index"`
	Flat  int    `json:"flat_feature_index"`
	NaN   string `json:"nan_value_treatment"`
}

type catFeature struct {
	Name  string `json:"feature_name"`
	ID    string `json:"feature_id"`
	Index int    `json:"feature_index"`
	Flat  int    `json:"flat_feature_index"`
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
	for i := range d.Oblivious {
		if err := r.oblivious(f.forest, &d.Oblivious[i]); err != nil {
			return nil, refuse("tree %d: %v", i, err)
		}
	}
	for i, t := range d.Trees {
		if err := r.nested(f.forest, t); err != nil {
			return nil, refuse("tree %d: %v", i, err)
		}
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
	if len(d.Scale) != 2 || json.Unmarshal(d.Scale[0], &scale) != nil {
		return 0, nil, refuse("scale_and_bias is not [scale, bias]")
	}
	var one float64
	if json.Unmarshal(d.Scale[1], &one) == nil {
		bias = []float64{one}
	} else if json.Unmarshal(d.Scale[1], &bias) != nil || len(bias) == 0 || len(bias) > trees.MaxOutputs {
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
	n := len(r.d.Features.Floats) + len(r.d.Features.Cats)
	f.names, f.levels = make([]string, n), make([][]string, n)
	taken := make([]bool, n)
	place := func(flat int, name, id string) error {
		if flat < 0 || flat >= n || taken[flat] {
			return refuse("flat_feature_index %d of %d features", flat, n)
		}
		taken[flat] = true
		if name == "" {
			name = id
		}
		if name == "" {
			name = strconv.Itoa(flat)
		}
		f.names[flat] = name
		return nil
	}
	for i, x := range r.d.Features.Floats {
		if x.Index != i {
			return refuse("float feature %d has feature_index %d", i, x.Index)
		}
		if err := place(x.Flat, x.Name, x.ID); err != nil {
			return err
		}
	}
	texts := make([]string, 0, len(r.d.Features.Hashes))
	for _, h := range r.d.Features.Hashes {
		if _, twice := r.hashes[h.Hash]; twice {
			return refuse("cat_features_hash lists %d twice", h.Hash)
		}
		r.hashes[h.Hash] = int32(len(texts))
		texts = append(texts, h.Value)
	}
	for i, x := range r.d.Features.Cats {
		if x.Index != i {
			return refuse("categorical feature %d has feature_index %d", i, x.Index)
		}
		if err := place(x.Flat, x.Name, x.ID); err != nil {
			return err
		}
		if len(texts) == 0 {
			return refuse("it has categorical features but not their texts: save it with save_model(format=\"json\", pool=…)")
		}
		f.levels[x.Flat] = texts
	}
	return nil
}

// String names the split in errors.
func (s *split) String() string { return fmt.Sprintf("split of type %q", s.Type) }

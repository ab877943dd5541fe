// Package xgboost reads the model files that XGBoost writes: JSON and UBJSON,
// of versions 1.0 to 3.x.
//
// A file is somebody else's: every length is bounded by its size, nesting is
// bounded, and what it says is checked before it is believed. The margins of a
// gbtree model are XGBoost's own to the bit: features and leaves are float32,
// tests are x < threshold, and a row's sum begins at the base score and adds
// the trees in order. Those of gblinear are summed as XGBoost sums them too.
package xgboost

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/trees"
)

// Is reports whether file looks like a model that XGBoost wrote, in a form that
// Load reads or refuses by name.
func Is(file []byte) bool { return detect(file) != unknownForm }

type form int

const (
	unknownForm form = iota
	jsonForm
	ubjForm
	binaryForm // the format that XGBoost 3.1 dropped
	dumpForm   // dump_model's JSON
)

func detect(file []byte) form {
	head := bytes.TrimLeft(file[:min(len(file), 512)], " \t\r\n")
	switch {
	case bytes.HasPrefix(file, []byte("binf")):
		return binaryForm
	case bytes.HasPrefix(head, []byte("[")) && bytes.Contains(head, []byte(`"nodeid"`)):
		return dumpForm
	case !bytes.HasPrefix(head, []byte("{")):
		return unknownForm
	case bytes.HasPrefix(file, []byte("{L\x00\x00\x00\x00")) || bytes.HasPrefix(file, []byte("{i")) || bytes.HasPrefix(file, []byte("{U")) || bytes.HasPrefix(file, []byte("{#")):
		return ubjForm
	case bytes.Contains(head, []byte(`"learner"`)) || bytes.Contains(head, []byte(`"version"`)) && bytes.Contains(file, []byte(`"gradient_booster"`)):
		return jsonForm
	}
	return unknownForm
}

// Load reads a model file. Errors are of kind fault.Package and say what in
// the file is wrong or cannot be scored, and what to do about it.
func Load(b []byte) (*model.Foreign, error) {
	m, err := parse(b)
	if err != nil {
		return nil, err
	}
	return m.foreign()
}

// file is a model file, read.
type file struct {
	format    string // "XGBoost JSON" or "XGBoost UBJ"
	release   [3]int // of XGBoost; zeros where the file has none
	objective string
	booster   string // gbtree, dart or gblinear
	names     []string
	types     []string   // float, int, i, q, c; nil where the file has none
	levels    [][]string // of categorical features; nil where the file has none
	base      []float64  // base scores as the file has them, on the scale of predictions
	forest    trees.Forest
	// weights are gblinear's: for each feature one for each output, then their
	// biases.
	weights []float32
	// bestIteration is the round that early stopping chose, -1 where the file
	// has none; rounds is how many there are.
	bestIteration, rounds int

	classes, targets int
	wholeLevels      []bool // parallel to levels: they are whole numbers, not text
}

// parse reads a model file as far as it is the file's own business; foreign
// says what it means.
func parse(b []byte) (*file, error) {
	m := &file{bestIteration: -1}
	var r reader
	switch detect(b) {
	case jsonForm:
		m.format, r = "XGBoost JSON", &jsonReader{b: b}
	case ubjForm:
		m.format, r = "XGBoost UBJ", &ubjReader{b: b}
	case binaryForm:
		return nil, refuse("it is in the old binary format: load it in XGBoost 3.0 or older and save it with save_model(\"model.ubj\")")
	case dumpForm:
		return nil, refuse("it is the output of dump_model, which is for reading: save the model with save_model(\"model.json\")")
	default:
		return nil, refuse("it is neither JSON nor UBJSON of XGBoost")
	}
	d := decoder{reader: r, m: m}
	err := d.document()
	if err == nil {
		err = r.end()
	}
	if err == nil {
		err = d.finish()
	}
	if err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, refuse("%v", err)
	}
	return m, nil
}

func refuse(text string, args ...any) error {
	return fault.New(fault.Package, "", "the XGBoost model cannot be used: "+text, args...)
}

// foreign says what the model answers and compiles its trees.
func (m *file) foreign() (*model.Foreign, error) {
	o, ok := objectives[m.objective]
	if !ok {
		return nil, refuse("objective %q is not one this program scores", m.objective)
	}
	f := &model.Foreign{
		Format: m.format, Library: "XGBoost " + m.version(),
		Learner: "XGBoost " + m.booster + ", " + m.objective,
		Kind:    o.kind, Transform: model.Transform{Name: o.transform}, Engine: model.EngineTrees,
	}
	outputs := m.forest.Outputs
	switch o.kind {
	case model.TwoClass:
		if f.NumClasses = 2; outputs != 1 {
			return nil, refuse("%s with %d targets: only one target can be scored", m.objective, outputs)
		}
	case model.Multiclass:
		if f.NumClasses = outputs; outputs < 2 {
			return nil, refuse("%s with %d classes", m.objective, outputs)
		}
	case model.Regression:
		if outputs != 1 {
			return nil, refuse("%s with %d outputs: only one can be scored; train a model for each", m.objective, outputs)
		}
	}
	for k, b := range m.base {
		margin, ok := o.margin(b)
		if !ok {
			return nil, refuse("base_score %v does not fit objective %s", b, m.objective)
		}
		m.forest.Base[k] = margin
	}
	body, err := m.encode()
	if err != nil {
		return nil, refuse("%v", err)
	}
	if f.Body = body; m.booster == "gblinear" {
		f.Engine = model.EngineLinear
	}
	f.Features = make([]model.ForeignFeature, m.forest.Features)
	for i := range f.Features {
		f.Features[i] = m.feature(i)
	}
	if o.note != "" {
		f.Warnings = append(f.Warnings, o.note)
	}
	if m.bestIteration >= 0 && m.bestIteration+1 < m.rounds {
		f.Warnings = append(f.Warnings, fmt.Sprintf("early stopping chose round %d of %d, and all %d score, as Booster.predict does; for the scores of XGBClassifier or XGBRegressor save booster[:%d] instead",
			m.bestIteration+1, m.rounds, m.rounds, m.bestIteration+1))
	}
	return f, nil
}

// encode returns the engine's bytes.
func (m *file) encode() ([]byte, error) {
	if m.booster != "gblinear" {
		m.forest.KeepCovers()
		return m.forest.Encode()
	}
	n, outputs := m.forest.Features, m.forest.Outputs
	w := linear.Weights{
		Features: n, Outputs: outputs, Single: true, SkipMissing: true,
		Base: make([]float64, outputs), Coefficients: make([]float64, n*outputs),
	}
	for k := range outputs {
		// XGBoost's gblinear takes the first base score for every output.
		w.Base[k] = float64(m.weights[n*outputs+k] + float32(m.forest.Base[0]))
		for i := range n {
			w.Coefficients[k*n+i] = float64(m.weights[i*outputs+k])
		}
	}
	return w.Encode()
}

func (m *file) version() string {
	return fmt.Sprintf("%d.%d.%d", m.release[0], m.release[1], m.release[2])
}

func (m *file) feature(i int) model.ForeignFeature {
	f := model.ForeignFeature{Type: frame.Double}
	if m.names != nil {
		f.Name = m.names[i]
	}
	if m.types != nil {
		switch m.types[i] {
		case "int":
			f.Type = frame.Int64
		case "i":
			f.Type = frame.Boolean
		case "c":
			f.Categorical = true
		}
	}
	if m.levels != nil && m.levels[i] != nil {
		f.Categorical, f.Levels = true, m.levels[i]
	}
	if f.Categorical {
		f.Type = frame.String
		if m.levels != nil && m.wholeLevels[i] {
			f.Type = frame.Int64
		}
	}
	return f
}

// finish checks what the parts of the file say of each other.
func (d *decoder) finish() error {
	m := d.m
	switch {
	case !d.seen.learner:
		return refuse("it has no learner")
	case m.objective == "":
		return refuse("it names no objective")
	case m.booster != "gbtree" && m.booster != "dart" && m.booster != "gblinear":
		return refuse("booster %q is not one this program scores", m.booster)
	case !d.seen.trees && m.booster != "gblinear":
		return refuse("it has no trees")
	case d.numFeature < 0 || d.numFeature > trees.MaxFeatures:
		return refuse("it says %d features: the limit is %d", d.numFeature, trees.MaxFeatures)
	}
	f := &m.forest
	f.Features = int(d.numFeature)
	if f.Outputs = max(m.classes, m.targets, 1); f.Outputs > trees.MaxOutputs {
		return refuse("it says %d outputs: the limit is %d", f.Outputs, trees.MaxOutputs)
	}
	if err := d.nameFeatures(); err != nil {
		return err
	}
	if m.booster == "gblinear" {
		if want := (f.Features + 1) * f.Outputs; len(m.weights) != want {
			return refuse("%d weights for %d features and %d outputs, not %d", len(m.weights), f.Features, f.Outputs, want)
		}
		d.treeInfo, f.Trees = nil, nil
	}
	if len(d.treeInfo) != len(f.Trees) {
		return refuse("tree_info has %d entries for %d trees", len(d.treeInfo), len(f.Trees))
	}
	for i, output := range d.treeInfo {
		f.Trees[i].Output = int(output)
	}
	if m.booster == "dart" {
		if err := d.weigh(); err != nil {
			return err
		}
	}
	switch len(m.base) {
	case f.Outputs:
	case 1: // one for all outputs
		for len(m.base) < f.Outputs {
			m.base = append(m.base, m.base[0])
		}
	default:
		return refuse("%d base scores for %d outputs", len(m.base), f.Outputs)
	}
	f.Base = make([]float64, f.Outputs)
	if perRound := f.Outputs * max(1, d.parallel); len(f.Trees)%perRound == 0 {
		m.rounds = len(f.Trees) / perRound
	}
	return nil
}

func (d *decoder) nameFeatures() error {
	m, n := d.m, d.m.forest.Features
	if len(m.names) == 0 {
		m.names = nil
	} else if len(m.names) != n {
		return refuse("%d feature names for %d features", len(m.names), n)
	}
	if len(m.types) == 0 {
		m.types = nil
	} else if len(m.types) != n {
		return refuse("%d feature types for %d features", len(m.types), n)
	}
	if len(m.levels) == 0 {
		m.levels = nil
	} else if len(m.levels) != n {
		return refuse("categories of %d features, of %d", len(m.levels), n)
	}
	return nil
}

// weigh multiplies dart's weights into the leaves, as float32.
func (d *decoder) weigh() error {
	f := &d.m.forest
	if len(d.weightDrop) != len(f.Trees) {
		return refuse("weight_drop has %d entries for %d trees", len(d.weightDrop), len(f.Trees))
	}
	for t := range f.Trees {
		w := d.weightDrop[t]
		for i := range f.Trees[t].Nodes {
			if n := &f.Trees[t].Nodes[i]; n.Test == trees.Leaf {
				n.Value = float64(float32(n.Value) * w)
			}
		}
	}
	return nil
}

// parseBase reads base_score: "5E-1", or since 3.1 "[5E-1,2E-1]".
func parseBase(text string) ([]float64, error) {
	list := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "["), "]")
	var base []float64
	for s := range strings.SplitSeq(list, ",") {
		v, ok := parseFloat(strings.TrimSpace(s), 32)
		if !ok || v != v {
			return nil, refuse("base_score is %s", strconv.Quote(text))
		}
		if base = append(base, v); len(base) > trees.MaxOutputs {
			return nil, refuse("base_score has more than %d entries", trees.MaxOutputs)
		}
	}
	return base, nil
}

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
func Load(file []byte) (*model.Foreign, error) {
	m, err := Parse(file)
	if err != nil {
		return nil, err
	}
	return m.Foreign()
}

// Model is a model file, read.
type Model struct {
	Format    string // "XGBoost JSON" or "XGBoost UBJ"
	Version   [3]int
	Objective string
	Booster   string // gbtree, dart or gblinear
	Names     []string
	Types     []string   // float, int, i, q, c; nil where the file has none
	Levels    [][]string // of categorical features; nil where the file has none
	Base      []float64  // base scores as the file has them, on the scale of predictions
	Forest    trees.Forest
	// Weights are gblinear's: for each feature one for each output, then their
	// biases.
	Weights []float32
	// BestIteration is the round that early stopping chose, -1 where the file
	// has none; Rounds is how many there are.
	BestIteration, Rounds int

	classes, targets int
	wholeLevels      []bool // parallel to Levels: they are whole numbers, not text
}

// Parse reads a model file as far as it is the file's own business; Foreign
// says what it means.
func Parse(file []byte) (*Model, error) {
	m := &Model{BestIteration: -1}
	var r reader
	switch detect(file) {
	case jsonForm:
		m.Format, r = "XGBoost JSON", &jsonReader{b: file}
	case ubjForm:
		m.Format, r = "XGBoost UBJ", &ubjReader{b: file}
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

// Foreign says what the model answers and compiles its trees.
func (m *Model) Foreign() (*model.Foreign, error) {
	o, ok := objectives[m.Objective]
	if !ok {
		return nil, refuse("objective %q is not one this program scores", m.Objective)
	}
	f := &model.Foreign{
		Format: m.Format, Library: "XGBoost " + m.version(),
		Learner: "XGBoost " + m.Booster + ", " + m.Objective,
		Kind:    o.kind, Transform: model.Transform{Name: o.transform}, Engine: model.EngineTrees,
	}
	outputs := m.Forest.Outputs
	switch o.kind {
	case model.TwoClass:
		if f.NumClasses = 2; outputs != 1 {
			return nil, refuse("%s with %d targets: only one target can be scored", m.Objective, outputs)
		}
	case model.Multiclass:
		if f.NumClasses = outputs; outputs < 2 {
			return nil, refuse("%s with %d classes", m.Objective, outputs)
		}
	case model.Regression:
		if outputs != 1 {
			return nil, refuse("%s with %d outputs: only one can be scored; train a model for each", m.Objective, outputs)
		}
	}
	for k, b := range m.Base {
		margin, ok := o.margin(b)
		if !ok {
			return nil, refuse("base_score %v does not fit objective %s", b, m.Objective)
		}
		m.Forest.Base[k] = margin
	}
	body, err := m.encode()
	if err != nil {
		return nil, refuse("%v", err)
	}
	if f.Body = body; m.Booster == "gblinear" {
		f.Engine = model.EngineLinear
	}
	f.Features = make([]model.ForeignFeature, m.Forest.Features)
	for i := range f.Features {
		f.Features[i] = m.feature(i)
	}
	if o.note != "" {
		f.Warnings = append(f.Warnings, o.note)
	}
	if m.BestIteration >= 0 && m.BestIteration+1 < m.Rounds {
		f.Warnings = append(f.Warnings, fmt.Sprintf("early stopping chose round %d of %d, and all %d score, as Booster.predict does; for the scores of XGBClassifier or XGBRegressor save booster[:%d] instead",
			m.BestIteration+1, m.Rounds, m.Rounds, m.BestIteration+1))
	}
	return f, nil
}

// encode returns the engine's bytes.
func (m *Model) encode() ([]byte, error) {
	if m.Booster != "gblinear" {
		m.Forest.KeepCovers()
		return m.Forest.Encode()
	}
	n, outputs := m.Forest.Features, m.Forest.Outputs
	w := linear.Weights{
		Features: n, Outputs: outputs, Single: true, SkipMissing: true,
		Base: make([]float64, outputs), Coefficients: make([]float64, n*outputs),
	}
	for k := range outputs {
		// XGBoost's gblinear takes the first base score for every output.
		w.Base[k] = float64(m.Weights[n*outputs+k] + float32(m.Forest.Base[0]))
		for i := range n {
			w.Coefficients[k*n+i] = float64(m.Weights[i*outputs+k])
		}
	}
	return w.Encode()
}

func (m *Model) version() string {
	return fmt.Sprintf("%d.%d.%d", m.Version[0], m.Version[1], m.Version[2])
}

func (m *Model) feature(i int) model.ForeignFeature {
	f := model.ForeignFeature{Type: frame.Double}
	if m.Names != nil {
		f.Name = m.Names[i]
	}
	if m.Types != nil {
		switch m.Types[i] {
		case "int":
			f.Type = frame.Int64
		case "i":
			f.Type = frame.Boolean
		case "c":
			f.Categorical = true
		}
	}
	if m.Levels != nil && m.Levels[i] != nil {
		f.Categorical, f.Levels = true, m.Levels[i]
	}
	if f.Categorical {
		f.Type = frame.String
		if m.Levels != nil && m.wholeLevels[i] {
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
	case m.Objective == "":
		return refuse("it names no objective")
	case m.Booster != "gbtree" && m.Booster != "dart" && m.Booster != "gblinear":
		return refuse("booster %q is not one this program scores", m.Booster)
	case !d.seen.trees && m.Booster != "gblinear":
		return refuse("it has no trees")
	case d.numFeature < 0 || d.numFeature > trees.MaxFeatures:
		return refuse("it says %d features: the limit is %d", d.numFeature, trees.MaxFeatures)
	}
	f := &m.Forest
	f.Features = int(d.numFeature)
	if f.Outputs = max(m.classes, m.targets, 1); f.Outputs > trees.MaxOutputs {
		return refuse("it says %d outputs: the limit is %d", f.Outputs, trees.MaxOutputs)
	}
	if err := d.nameFeatures(); err != nil {
		return err
	}
	if m.Booster == "gblinear" {
		if want := (f.Features + 1) * f.Outputs; len(m.Weights) != want {
			return refuse("%d weights for %d features and %d outputs, not %d", len(m.Weights), f.Features, f.Outputs, want)
		}
		d.treeInfo, f.Trees = nil, nil
	}
	if len(d.treeInfo) != len(f.Trees) {
		return refuse("tree_info has %d entries for %d trees", len(d.treeInfo), len(f.Trees))
	}
	for i, output := range d.treeInfo {
		f.Trees[i].Output = int(output)
	}
	if m.Booster == "dart" {
		if err := d.weigh(); err != nil {
			return err
		}
	}
	switch len(m.Base) {
	case f.Outputs:
	case 1: // one for all outputs
		for len(m.Base) < f.Outputs {
			m.Base = append(m.Base, m.Base[0])
		}
	default:
		return refuse("%d base scores for %d outputs", len(m.Base), f.Outputs)
	}
	f.Base = make([]float64, f.Outputs)
	if perRound := f.Outputs * max(1, d.parallel); len(f.Trees)%perRound == 0 {
		m.Rounds = len(f.Trees) / perRound
	}
	return nil
}

func (d *decoder) nameFeatures() error {
	m, n := d.m, d.m.Forest.Features
	if len(m.Names) == 0 {
		m.Names = nil
	} else if len(m.Names) != n {
		return refuse("%d feature names for %d features", len(m.Names), n)
	}
	if len(m.Types) == 0 {
		m.Types = nil
	} else if len(m.Types) != n {
		return refuse("%d feature types for %d features", len(m.Types), n)
	}
	if len(m.Levels) == 0 {
		m.Levels = nil
	} else if len(m.Levels) != n {
		return refuse("categories of %d features, of %d", len(m.Levels), n)
	}
	return nil
}

// weigh multiplies dart's weights into the leaves, as float32.
func (d *decoder) weigh() error {
	f := &d.m.Forest
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

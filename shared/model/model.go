// Package model is trained models: the .ilearner artifact, how request columns
// become features, and how an engine's sums become the Studio's score columns.
//
// Open reads an artifact, Bind fits it to the schema of the frames to come,
// and a Scorer scores them: by Score with a State per goroutine, allocating
// nothing in the steady state, a row's answer the same to the bit whatever
// rows come with it. The arithmetic itself is the engines', in sub-packages;
// loaders for other libraries' files and the importer that makes artifacts of
// them are sub-packages too.
package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/bayes"
	"github.com/portico-ml/portico/shared/model/centroids"
	"github.com/portico-ml/portico/shared/model/dag"
	"github.com/portico-ml/portico/shared/model/kernel"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/neural"
	"github.com/portico-ml/portico/shared/model/onnx"
	"github.com/portico-ml/portico/shared/model/quantile"
	"github.com/portico-ml/portico/shared/model/subspace"
	"github.com/portico-ml/portico/shared/model/trees"
)

// engine is a loaded engine: immutable, shared by its predictors.
type engine interface {
	Features() int
	Outputs() int
	// Textual reports whether feature f is text.
	Textual(f int) bool
	// predictor makes the working memory for blocks of up to rows rows.
	predictor(rows int) predictor
}

// predictor computes raw sums. Feature f of row r is x[f*n+r], NaN where
// missing, or text[f*n+r], "" where missing; sum k of row r goes to
// out[r*Outputs+k], NaN where the row has no answer. An error refuses some row.
// It does not allocate.
type predictor interface {
	Predict(x []float64, text []string, n int, out []float64) error
}

// The engines by name, as headers have it.
const (
	EngineTrees  = "trees"
	EngineLinear = "linear"
	EngineONNX   = "onnx"
	// EngineDAG is decision graphs; EngineQuantile trees with samples of labels.
	EngineDAG      = "dag"
	EngineQuantile = "quantile"
	EngineBayes    = "bayes"
	// EngineSeveral is two-class models that answer for many classes together.
	EngineSeveral = "several"
	// EngineCentroids is the centers of clusters.
	EngineCentroids = "centroids"
	EngineNeural    = "neural"
	EngineKernel    = "kernel"
	// EngineSubspace is the distance to a plane through the rows.
	EngineSubspace = "subspace"
)

// numeric is an engine of numbers alone that answers every row.
type numeric interface {
	Predict(x []float64, n int, out []float64)
}

// numbers makes a predictor of one.
type numbers struct{ numeric }

func (p numbers) Predict(x []float64, _ []string, n int, out []float64) error {
	p.numeric.Predict(x, n, out)
	return nil
}

type treeEngine struct{ *trees.Ensemble }

func (e treeEngine) Textual(int) bool             { return false }
func (e treeEngine) predictor(rows int) predictor { return numbers{e.NewSession(rows)} }

type linearEngine struct{ *linear.Model }

func (e linearEngine) Textual(int) bool        { return false }
func (e linearEngine) predictor(int) predictor { return numbers{e.Model} }

type onnxEngine struct{ *onnx.Model }

func (e onnxEngine) predictor(int) predictor { return e.NewSession() }

type bayesEngine struct{ *bayes.Model }

func (e bayesEngine) Textual(int) bool        { return false }
func (e bayesEngine) predictor(int) predictor { return numbers{e.NewSession()} }

type dagEngine struct{ *dag.Model }

func (e dagEngine) Textual(int) bool        { return false }
func (e dagEngine) predictor(int) predictor { return numbers{e.Model} }

type centroidsEngine struct{ *centroids.Model }

func (e centroidsEngine) Textual(int) bool        { return false }
func (e centroidsEngine) predictor(int) predictor { return numbers{e.NewSession()} }

type neuralEngine struct{ *neural.Model }

func (e neuralEngine) Textual(int) bool        { return false }
func (e neuralEngine) predictor(int) predictor { return numbers{e.NewSession()} }

type kernelEngine struct{ *kernel.Model }

func (e kernelEngine) Textual(int) bool        { return false }
func (e kernelEngine) predictor(int) predictor { return numbers{e.NewSession()} }

type subspaceEngine struct{ *subspace.Model }

func (e subspaceEngine) Textual(int) bool        { return false }
func (e subspaceEngine) predictor(int) predictor { return numbers{e.NewSession()} }

type quantileEngine struct{ *quantile.Model }

func (e quantileEngine) Textual(int) bool             { return false }
func (e quantileEngine) predictor(rows int) predictor { return numbers{e.NewSession(rows)} }

func openEngine(name string, body []byte) (engine, error) {
	switch name {
	case EngineTrees:
		e, err := trees.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return treeEngine{e}, nil
	case EngineLinear:
		e, err := linear.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return linearEngine{e}, nil
	case EngineONNX:
		e, err := onnx.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return onnxEngine{e}, nil
	case EngineBayes:
		e, err := bayes.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return bayesEngine{e}, nil
	case EngineSeveral:
		return openSeveral(body)
	case EngineDAG:
		e, err := dag.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return dagEngine{e}, nil
	case EngineCentroids:
		e, err := centroids.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return centroidsEngine{e}, nil
	case EngineNeural:
		e, err := neural.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return neuralEngine{e}, nil
	case EngineKernel:
		e, err := kernel.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return kernelEngine{e}, nil
	case EngineSubspace:
		e, err := subspace.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return subspaceEngine{e}, nil
	case EngineQuantile:
		e, err := quantile.Open(body)
		if err != nil {
			return nil, broken("%v", err)
		}
		return quantileEngine{e}, nil
	}
	return nil, broken("this program has no engine %q", name)
}

// Model is an opened artifact, immutable.
type Model struct {
	header  Header
	engine  engine
	columns []column
	fields  []frame.Field
	text    bool // some feature is text
	size    int64
}

// Open reads the scoring part of an artifact. The model keeps parts of it: do
// not change it. Every length is bounded by len(scoring); errors are of kind
// fault.Package.
func Open(scoring []byte) (*Model, error) {
	h, body, err := parse(scoring)
	if err != nil {
		return nil, err
	}
	e, err := openEngine(h.Engine, body)
	if err != nil {
		return nil, err
	}
	m := &Model{header: *h, engine: e, size: 2 * int64(len(scoring))}
	if m.columns, err = groupColumns(h.Features); err != nil {
		return nil, err
	}
	if n := e.Features(); n != len(h.Features) {
		return nil, broken("its engine has %d features, its binding %d", n, len(h.Features))
	}
	for i := range h.Features {
		f := &h.Features[i]
		switch textual := e.Textual(i); {
		case f.Encoding == Text && !textual:
			return nil, broken("feature %q is bound as text: the model's engine does not read text there", f.Name)
		case f.Encoding != Text && textual:
			return nil, broken("feature %q is bound by encoding %q: the model's engine reads text there", f.Name, f.Encoding)
		}
		m.text = m.text || f.Encoding == Text
	}
	if err := h.checkAnswer(e.Outputs()); err != nil {
		return nil, err
	}
	if q, ok := e.(quantileEngine); ok && !slices.Equal(q.Quantiles(), h.Quantiles) {
		return nil, broken("its engine answers the quantiles %v, its header names %v", q.Quantiles(), h.Quantiles)
	}
	m.fields = h.scoreFields()
	return m, nil
}

// Header returns what the model is. Its slices are the model's own: read only.
func (m *Model) Header() *Header { return &m.header }

// Kind returns what the model's answer is.
func (m *Model) Kind() Kind { return m.header.Kind }

// Size is the approximate memory that the model holds, in bytes.
func (m *Model) Size() int64 { return m.size }

// Requires returns the columns that the model reads, in the order of its
// features: nullable, and with levels where it pins them.
func (m *Model) Requires() []frame.Field {
	fields := make([]frame.Field, len(m.columns))
	for i := range m.columns {
		c := &m.columns[i]
		fields[i] = frame.Field{Name: c.name, Type: c.typ, Nullable: true}
		if c.typ == frame.String {
			fields[i].Levels = c.levels
		}
	}
	return fields
}

// Fields returns the score columns, in order.
func (m *Model) Fields() []frame.Field { return m.fields }

// checkSpelling reports a level that is no cell of a column of type t.
func checkSpelling(t frame.Type, text string) error {
	var err error
	switch {
	case text == "":
		return fmt.Errorf("an empty text is a missing cell")
	case t.Integer():
		_, err = strconv.ParseInt(text, 10, 64)
	case t == frame.Double:
		_, err = strconv.ParseFloat(text, 64)
	case t == frame.Boolean:
		_, err = parseBool(text)
	case t == frame.DateTime:
		err = fmt.Errorf("a DateTime has no levels")
	}
	if err != nil {
		return fmt.Errorf("not a %s", t)
	}
	return nil
}

func parseBool(s string) (bool, error) {
	switch {
	case strings.EqualFold(s, "true") || s == "1":
		return true, nil
	case strings.EqualFold(s, "false") || s == "0":
		return false, nil
	}
	return false, strconv.ErrSyntax
}

// missingColumn is the fault of a schema without a column that the model reads.
func missingColumn(s frame.Schema, name string) error {
	hint := ""
	if near := s.Nearest(name); near != "" {
		hint = fmt.Sprintf("; the nearest there is %q", near)
	}
	return fault.New(fault.BadUserArgument, "", "column %q is missing: the model reads it%s", name, hint).At(name)
}

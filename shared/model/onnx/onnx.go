// Package onnx scores ONNX models of tables: what sklearn-onnx, onnxmltools
// and the like write of pipelines, linear models, trees and small networks.
//
// Read takes a file apart, so that an importer can see its inputs, outputs and
// classes; Canonical writes the part of it that makes one answer, with inputs
// of fixed width; Open makes a Model of canonical bytes, and a Session of it
// scores rows. Everything that could be refused is refused by Read, Canonical
// and Open, by the operator's name: operators, attributes, types, shapes, and
// graphs whose rows are not independent. What is left to scoring are data that
// a graph has no answer for, such as a category that it was told to refuse.
//
// Arithmetic does not depend on the rows that are scored together: sums have
// one order, products that feed them are exact or rounded, and exp, log and
// tanh come from stablemath. Where ONNX leaves an answer open, it is ONNX
// Runtime's.
package onnx

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// BlockRows is the most rows that one Predict takes.
const BlockRows = 64

// Model is a graph ready to score, immutable, for any number of sessions.
type Model struct {
	p        *program
	inputs   []input
	features int
	outputs  int
}

// input is a tensor and the features that fill its columns.
type input struct {
	typ   Type
	first int // feature
	width int
	rank  int
}

// Open reads canonical bytes and runs the graph on sample rows. The model
// keeps parts of b: do not change it. Errors are *Refusal.
func Open(b []byte) (*Model, error) {
	g, err := parse(b)
	if err != nil {
		return nil, err
	}
	if len(g.outputs) != 1 {
		return nil, refuse("a canonical graph has one output, this one %d", len(g.outputs))
	}
	m, err := newModel(g, len(b))
	if err != nil {
		return nil, err
	}
	return m, m.try()
}

// newModel compiles a canonical graph of size bytes.
func newModel(g *graph, size int) (*Model, error) {
	var outputs []string
	for _, o := range g.outputs {
		outputs = append(outputs, o.name)
	}
	m := new(Model)
	var err error
	if m.p, err = compile(g, outputs, allowance(size)); err != nil {
		return nil, err
	}
	for i := range g.inputs {
		p := &g.inputs[i]
		in := input{typ: p.typ, first: m.features, width: 1, rank: len(p.dims)}
		if !p.typ.known() {
			return nil, refuse("input %q: type %s is not supported", p.name, p.typ)
		}
		if in.rank == 2 && p.dims[1] > 0 {
			in.width = int(min(p.dims[1], math.MaxInt32))
		} else if in.rank != 1 {
			return nil, refuse("input %q is no column and no table of fixed width", p.name)
		}
		if m.features += in.width; m.features > MaxFeatures {
			return nil, refuse("it reads %d features: the limit is %d", m.features, MaxFeatures)
		}
		m.inputs = append(m.inputs, in)
	}
	if len(m.inputs) != len(m.p.inputs) {
		return nil, refuse("a canonical graph lists no initializer as an input")
	}
	return m, nil
}

// MaxFeatures is the most numbers and texts that a graph may read of a row.
const MaxFeatures = 1 << 20

// allowance is how many elements the run of one row may fill.
func allowance(size int) int { return 1<<16 + 2*size }

// Features returns the number of features of a row.
func (m *Model) Features() int { return m.features }

// Outputs returns the number of answers per row.
func (m *Model) Outputs() int { return m.outputs }

// Textual reports whether feature f is text.
func (m *Model) Textual(f int) bool {
	for _, in := range m.inputs {
		if f >= in.first && f < in.first+in.width {
			return in.typ == String
		}
	}
	return false
}

// try runs the graph on rows alone and together: it settles how many answers
// a row has, and finds a graph whose rows are not independent.
func (m *Model) try() error {
	const rows = 3
	x, text := m.sample(rows, 1)
	s := m.session()
	s.lenient()
	alone := make([][]float64, rows)
	for r := range rows {
		if err := s.fill(x, text, rows, r, 1); err != nil {
			return err
		}
		out, err := s.answers(1)
		if err != nil {
			return err
		}
		alone[r] = out
	}
	if err := s.fill(x, text, rows, 0, rows); err != nil {
		return err
	}
	together, err := s.answers(rows)
	if err != nil {
		return err
	}
	m.outputs = len(alone[0])
	if m.outputs < 1 || m.outputs > 1<<12 || len(together) != rows*m.outputs {
		return refuse("its answer has %d numbers for one row and %d for %d: one row for each is needed", m.outputs, len(together), rows)
	}
	for i, v := range together {
		if w := alone[i/m.outputs]; len(w) != m.outputs || math.Float64bits(v) != math.Float64bits(w[i%m.outputs]) && (v == v || w[i%m.outputs] == w[i%m.outputs]) {
			return refuse("the answer for a row depends on the rows that come with it")
		}
	}
	return nil
}

// sample makes rows of plausible cells, the same ones every time.
func (m *Model) sample(rows int, scale float64) (x []float64, text []string) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, text = make([]float64, rows*m.features), make([]string, rows*m.features)
	for i := range x {
		x[i] = math.Round(64*scale*rng.NormFloat64()) / 64
		text[i] = strconv.Itoa(rng.IntN(100))
	}
	return x, text
}

// Probabilities reports whether the answers of sample rows are probabilities:
// within 0 and 1, and adding up to 1 where there are several.
func (m *Model) Probabilities() bool {
	for _, scale := range []float64{1, 100} {
		x, text := m.sample(BlockRows, scale)
		s := m.session()
		s.lenient()
		if s.fill(x, text, BlockRows, 0, BlockRows) != nil {
			return false
		}
		out, err := s.answers(BlockRows)
		if err != nil {
			return false
		}
		for ; len(out) > 0; out = out[m.outputs:] {
			sum := 0.0
			for _, v := range out[:m.outputs] {
				if v < 0 || v > 1 {
					return false
				}
				sum += v
			}
			if m.outputs > 1 && math.Abs(sum-1) > 1e-3 {
				return false
			}
		}
	}
	return true
}

// Session is the working memory of one caller. Not for concurrent use.
type Session struct {
	m *Model
	r *runner
	// holes marks rows with a missing cell in an integer or Boolean tensor,
	// which has no way to say so: they have no answer.
	holes uint64
}

// NewSession makes a session; its memory grows with the first rows.
func (m *Model) NewSession() *Session { return m.session() }

func (m *Model) session() *Session { return &Session{m: m, r: m.p.runner()} }

// lenient makes kernels take unknown categories for known ones.
func (s *Session) lenient() { s.r.scratch.sample = true }

// Predict writes the answers of n rows to out, Outputs per row. Feature f of
// row r is x[f*n+r], NaN where missing, or text[f*n+r], "" where missing. An
// error is a *Refusal of some row. It does not allocate in the steady state.
func (s *Session) Predict(x []float64, text []string, n int, out []float64) error {
	if err := s.fill(x, text, n, 0, n); err != nil {
		return err
	}
	if err := s.r.run(n); err != nil {
		return err
	}
	t := s.r.output(0)
	if t.len() != len(out) || t.typ == String {
		return refuse("its answer is %d numbers for %d rows", t.len(), n)
	}
	for i := range out {
		out[i] = t.at(i)
	}
	for holes, r := s.holes, 0; holes != 0; holes, r = holes>>1, r+1 {
		if holes&1 != 0 {
			for k := range s.m.outputs {
				out[r*s.m.outputs+k] = math.NaN()
			}
		}
	}
	return nil
}

// answers runs the graph on the filled rows.
func (s *Session) answers(n int) ([]float64, error) {
	if err := s.r.run(n); err != nil {
		return nil, err
	}
	t := s.r.output(0)
	if t.typ == String || t.typ == Bool {
		return nil, refuse("its answer is %s, not a number", t.typ)
	}
	if t.rank() > 0 && t.shape[0] != n || t.rank() == 0 && n != 1 {
		return nil, refuse("its answer has shape %v for %d rows", t.shape, n)
	}
	out := make([]float64, t.len())
	for i := range out {
		out[i] = t.at(i)
	}
	return out, nil
}

// fill sets the input tensors to rows lo to lo+n of x and text, which have
// rows rows.
func (s *Session) fill(x []float64, text []string, rows, lo, n int) error {
	s.holes = 0
	for i, in := range s.m.inputs {
		t := s.r.input(i)
		t.typ = in.typ
		t.shape = append(t.shape[:0], n)
		if in.rank == 2 {
			t.shape = append(t.shape, in.width)
		}
		size := n * in.width
		switch in.typ {
		case Float:
			t.f32 = room(t.f32, size)
		case Double:
			t.f64 = room(t.f64, size)
		case Int32:
			t.i32 = room(t.i32, size)
		case Int64:
			t.i64 = room(t.i64, size)
		case Bool:
			t.b = room(t.b, size)
		case String:
			t.s = room(t.s, size)
		}
		for k := range in.width {
			at := (in.first+k)*rows + lo
			if in.typ == String {
				for r, v := range text[at : at+n] {
					t.s[r*in.width+k] = v
				}
				continue
			}
			column := x[at : at+n]
			if in.typ == Float {
				for r, v := range column {
					t.f32[r*in.width+k] = float32(v)
				}
				continue
			}
			for r, v := range column {
				if v != v && in.typ != Double {
					s.holes |= 1 << r
				}
				t.set(r*in.width+k, v)
			}
		}
	}
	return nil
}

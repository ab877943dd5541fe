// Package module is what an experiment's nodes are made of: the specification
// of a module, and the shape of its code.
//
// A Spec is the single source for validation, the API, the editor's forms and
// the module's documentation. The code comes in one of five shapes, of which
// those that score end in the same Op, so that a run and a published service
// compute with the same instructions:
//
//	Bind         row-wise and whole-table: schemas in, op and schemas out
//	Pin + Bind   the output schema needs a look at the data first (levels);
//	             what Pin found is pinned when the experiment is published
//	Make + Bind  the same where nothing less than the output tells its schema
//	Fit + Apply  fitted: Fit learns a state from the data, Apply binds it; the
//	             state is the module's Transformation artifact
//	Learner      names a learner: its output is an untrained model
//	Run          sources, trainers, evaluators: only in a run
//
// Modules themselves live in one sub-package per palette group; package
// palette names them all.
package module

import (
	"context"
	"fmt"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/service"
)

// Module is a specification with its code.
type Module struct {
	Spec

	// Bind compiles the module for given schemas and parameters. It reads no
	// data: nothing is inferred at scoring time.
	Bind func(*Binding) (*Bound, error)
	// Pin gives the output schemas, by port, that Bind alone cannot know,
	// from the data of a run.
	Pin func(*Call) ([]frame.Schema, error)
	// Make gives the output tables of a run, by port, in the place of Pin: their
	// schemas are pinned, and for these Bind makes the same tables.
	Make func(context.Context, *Call) ([]*frame.Frame, error)
	// Fit learns a state from the data of a run.
	Fit func(context.Context, *Call) (state []byte, err error)
	// Apply binds a learned state to a schema; its op maps one table to one.
	Apply func(state []byte, in frame.Schema) (*Bound, error)
	// ApplyNew is Apply for rows that the state was not learned from, whose
	// labels may not be known; nil where that makes no difference.
	ApplyNew func(state []byte, in frame.Schema) (*Bound, error)
	// Learned makes, for a fitted module with a second port for a table, the
	// table that says what was learned.
	Learned func(state []byte) (*frame.Frame, error)
	// Learner makes the learner that the parameters describe; base is the one
	// that it wraps, where the module has an input for one.
	Learner func(v Values, base learn.Learner) (learn.Learner, error)
	// Run gives the outputs, by port, of a module that has no op.
	Run func(context.Context, *Call) ([]Value, error)
}

// HasCode reports whether the module does something; the ports of a web
// service do not.
func (m *Module) HasCode() bool {
	return m.Bind != nil || m.Fit != nil || m.Learner != nil || m.Run != nil
}

// Value is what flows along an edge of a run. The zero Value is nothing: an
// optional port that is not connected.
type Value struct {
	Kind  service.PortKind
	Frame *frame.Frame // Dataset
	// Artifact is the encoded form of what is not a Dataset.
	Artifact []byte
	// View is a JSON document for people to look at beside the value, such as
	// the curves of an evaluation; nil where there is none. No module reads it.
	View []byte
}

// Table returns a Dataset value.
func Table(f *frame.Frame) Value { return Value{Kind: service.Dataset, Frame: f} }

// Call is one execution of a module in a run.
type Call struct {
	Params  Values
	Inputs  []Value // by port
	Palette *Palette
	// Pinned are output schemas, by port, that take the place of what Pin
	// would find.
	Pinned []frame.Schema
	// Log adds a line to the node's log; never nil.
	Log func(format string, args ...any)
	// Node is the id of the node in its graph, and Outside what a module that
	// is Outside reaches the world by.
	Node    string
	Outside Outside
	// Saved and Checkpoint let a long training go on in another message of the
	// run, as learn.Session says. Checkpoint is nil outside runs.
	Saved      []byte
	Checkpoint func(state func() ([]byte, error)) error
}

// Input is one input port at binding time: a pinned schema where a table will
// flow, or the artifact itself where a model or transformation does.
type Input struct {
	Schema   frame.Schema
	Artifact []byte
	// Const is set where the table is the same in every call: a dataset that
	// is an asset of the deployment.
	Const *frame.Frame
	// Connected is false for an optional port without an edge.
	Connected bool
}

// Binding is what Bind compiles from.
type Binding struct {
	Params  Values
	Inputs  []Input // by port
	Palette *Palette
	// Pinned are the output schemas of the run being published, by port; nil
	// where Bind alone decides them.
	Pinned []frame.Schema
}

// Source says which input column an output column passes through unchanged:
// its port and column. A computed column has Port -1.
type Source struct{ Port, Col int }

// Computed is the Source of a column that an op makes.
var Computed = Source{-1, -1}

// Bound is a module compiled for given schemas: an immutable op, and what
// publishing must know of it.
type Bound struct {
	Op Op
	// Outputs are the schemas of the output tables, by port.
	Outputs []frame.Schema
	// Reads are the input columns, by port, whose cells the op reads. What it
	// only passes through is not among them.
	Reads [][]int
	// Needs narrows Reads for an op of one table, where that is known: by
	// output column the input columns that decide it, and in Rows those that
	// decide which rows there are. A column that decides nothing anybody wants
	// may be left out of a call.
	Needs [][]int
	Rows  []int
	// From says, by port and column, where each output column comes from.
	From [][]Source
}

// Op is a bound module, immutable and shared by all sessions.
type Op interface {
	// NewState makes the working memory of one session.
	NewState() State
}

// State is an op at work in one session; not for concurrent use.
type State interface {
	// Apply computes the output tables, by port, from the input tables, by
	// port (nil where no table flows). It sets the Cols of each out[i], whose
	// slices have the length of the output schema, to input columns or to
	// columns of its own, valid until the next Apply. It does not allocate per
	// row in the steady state.
	Apply(in, out []*frame.Frame) error
}

// Counter is a State that counts what it meets, since the last Reset.
type Counter interface {
	Counts() (missing, unknownLevels int)
	ResetCounts()
}

// Sizer is an Op that holds memory worth counting, in bytes.
type Sizer interface{ Size() int64 }

// Execute runs the module in a run and returns its outputs by port.
func (m *Module) Execute(ctx context.Context, c *Call) ([]Value, error) {
	c.Params = c.Params.of(&m.Spec)
	if m.Run != nil {
		return m.Run(ctx, c)
	}
	if m.Learner != nil {
		return m.initialize(c)
	}
	if m.Fit != nil {
		return m.fitAndApply(ctx, c)
	}
	if m.Make != nil && c.Pinned == nil {
		frames, err := m.Make(ctx, c)
		return tableValues(frames), err
	}
	b := &Binding{Params: c.Params, Palette: c.Palette, Inputs: make([]Input, len(m.Inputs))}
	tables := make([]*frame.Frame, len(m.Inputs))
	for i, v := range c.Inputs {
		b.Inputs[i] = Input{Artifact: v.Artifact, Connected: v.Kind != ""}
		if v.Frame != nil {
			b.Inputs[i].Schema, tables[i] = v.Frame.Schema(), v.Frame
		}
	}
	if b.Pinned = c.Pinned; m.Pin != nil && b.Pinned == nil {
		var err error
		if b.Pinned, err = m.Pin(c); err != nil {
			return nil, err
		}
	}
	bound, err := m.Bind(b)
	if err != nil {
		return nil, err
	}
	frames, err := bound.apply(tables)
	return tableValues(frames), err
}

func tableValues(frames []*frame.Frame) []Value {
	out := make([]Value, len(frames))
	for i, f := range frames {
		out[i] = Table(f)
	}
	return out
}

// Learns reports whether an output of a fitted module is what it learned, the
// same whatever is transformed: the transformation, or a table behind the first.
func (m *Module) Learns(port int) bool {
	if m.Nature != Fitted {
		return false
	}
	first := slices.IndexFunc(m.Outputs, func(p Port) bool { return p.Kind == service.Dataset })
	return port != first
}

// fitAndApply gives the transformation that the module learns, and the input
// transformed and what was learned where the module has ports for them.
func (m *Module) fitAndApply(ctx context.Context, c *Call) ([]Value, error) {
	state, err := m.Fit(ctx, c)
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(m.Outputs))
	for i, port := range m.Outputs {
		switch {
		case port.Kind == service.Transformation:
			artifact, err := EncodeTransformation(&m.Spec, state)
			if err != nil {
				return nil, err
			}
			out[i] = Value{Kind: service.Transformation, Artifact: artifact}
			continue
		case m.Learns(i):
			f, err := m.Learned(state)
			if err != nil {
				return nil, err
			}
			out[i] = Table(f)
			continue
		}
		bound, err := m.Apply(state, c.Inputs[0].Frame.Schema())
		if err != nil {
			return nil, err
		}
		frames, err := bound.apply([]*frame.Frame{c.Inputs[0].Frame})
		if err != nil {
			return nil, err
		}
		out[i] = Table(frames[0])
	}
	return out, nil
}

// apply runs the op once, in a state of its own.
func (b *Bound) apply(in []*frame.Frame) ([]*frame.Frame, error) {
	out := make([]*frame.Frame, len(b.Outputs))
	for i, s := range b.Outputs {
		out[i] = &frame.Frame{Cols: make([]*frame.Column, len(s))}
	}
	if err := b.Op.NewState().Apply(in, out); err != nil {
		return nil, err
	}
	for i, f := range out {
		if err := f.Check(); err != nil {
			return nil, fmt.Errorf("output %d: %w", i, err)
		}
	}
	return out, nil
}

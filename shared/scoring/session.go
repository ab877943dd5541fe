package scoring

import (
	"context"
	"errors"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
)

// BlockRows is how many rows are scored between two looks at the deadline.
const BlockRows = 1024

// maxPooledRows bounds the rows whose memory a released session keeps.
const maxPooledRows = 16 * BlockRows

// RowError is a row that a module refuses: its number in the session's only
// input, from 0. Errors of Score are of this type where one row is at fault.
type RowError = model.RowError

// Session is one call's frames. Not for concurrent use.
type Session struct {
	// Inputs are empty frames in the layouts of the deployment's inputs, for
	// the caller to fill.
	Inputs []*frame.Frame
	// Counts are what the last Score met.
	Counts Counts
	// Outside is what modules that read or write outside reach the world by;
	// for the caller to set, and gone with Release.
	Outside module.Outside

	d      *Deployment
	values map[string]string // parameters, where the deployment is interpreted
	work   *work
	block  []*frame.Frame // of the input, where a call has more than one block
}

// Session takes a pooled session: the working memory of one call, with the
// default parameters. Release it from the goroutine that scored; drop it (do
// not release) after a panic or a deadline.
func (d *Deployment) Session() *Session {
	s, ok := d.sessions.Get().(*Session)
	if !ok {
		s = &Session{d: d, Inputs: make([]*frame.Frame, len(d.inputs))}
		for i, l := range d.inputs {
			s.Inputs[i] = l.New(1)
		}
	}
	if s.work == nil && d.base != nil {
		s.work = d.base.work()
	}
	return s
}

// SetParameters fixes the call's global parameters, as text; a parameter left
// out takes its default. Errors: UnexpectedParameter, UserParameterInvalid,
// MissingRequiredGlobalParameters.
func (s *Session) SetParameters(given map[string]string) error {
	if s.d.interpreted {
		values, _, _, err := s.d.resolve(given)
		s.values = values
		return err
	}
	p, err := s.d.plan(given)
	if err != nil {
		return err
	}
	if s.work == nil || s.work.plan != p {
		s.work.release()
		s.work = p.work()
	}
	return nil
}

// Score runs the plan over Inputs. The frames returned are in the order of the
// manifest's outputs and valid until Reset or Release. ctx's deadline is
// checked per block of rows.
func (s *Session) Score(ctx context.Context) ([]*frame.Frame, error) {
	if s.d.interpreted {
		values, err := s.Execute(ctx)
		out := make([]*frame.Frame, len(values))
		for i, v := range values {
			if out[i] = v.Frame; out[i] == nil {
				return nil, fault.New(fault.Unsupported, "", "output %q is a %s, not a table", s.d.Manifest.Outputs[i].Name, v.Kind)
			}
		}
		return out, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	s.work.resetCounts()
	out, err := s.score(ctx)
	s.Counts.Missing, s.Counts.UnknownLevels = s.work.counts()
	return out, err
}

// begin checks that a call can be made, and counts its rows.
func (s *Session) begin() error {
	if s.work == nil && s.values == nil {
		values, missing := s.d.defaults()
		if len(missing) > 0 {
			return missingParameters(missing)
		}
		s.values = values
	}
	for i, f := range s.Inputs {
		if err := f.Check(); err != nil {
			return fault.New(fault.Internal, "", "input %q: %v", s.d.Manifest.Inputs[i].Name, err)
		}
	}
	s.Counts = Counts{}
	for _, f := range s.Inputs {
		s.Counts.Rows += f.Rows()
	}
	return nil
}

func (s *Session) score(ctx context.Context) ([]*frame.Frame, error) {
	if len(s.Inputs) != 1 || s.d.Manifest.Whole || s.Inputs[0].Rows() <= BlockRows {
		if err := ctx.Err(); err != nil {
			return nil, deadline(err)
		}
		return s.work.run(ctx, s.Inputs)
	}
	return s.inBlocks(ctx)
}

// inBlocks scores a large input block by block, so that a block's tables stay
// in the processor's cache.
func (s *Session) inBlocks(ctx context.Context) ([]*frame.Frame, error) {
	in := s.Inputs[0]
	if s.block == nil {
		s.block = []*frame.Frame{s.d.inputs[0].New(BlockRows)}
	}
	whole := s.work.gather(in.Rows())
	for lo := 0; lo < in.Rows(); lo += BlockRows {
		if err := ctx.Err(); err != nil {
			return nil, deadline(err)
		}
		hi := min(lo+BlockRows, in.Rows())
		s.block[0].Reset()
		for i, c := range s.block[0].Cols {
			c.AppendRange(in.Cols[i], lo, hi)
		}
		out, err := s.work.run(ctx, s.block)
		if err != nil {
			if row, ok := errors.AsType[*RowError](err); ok {
				return nil, &RowError{Row: lo + row.Row, Fault: row.Fault}
			}
			return nil, err
		}
		for k, f := range out {
			for i, c := range f.Cols {
				whole[k].Cols[i].AppendRange(c, 0, c.Len())
			}
		}
	}
	return whole, nil
}

func deadline(err error) error {
	e := fault.Of(err)
	if e.Kind == fault.Timeout {
		return fault.New(fault.Timeout, "ScoreRequestTimeout", "scoring did not end before the call's deadline").Because(err)
	}
	return e
}

// Reset empties the inputs for another Score with the same parameters.
func (s *Session) Reset() {
	for _, f := range s.Inputs {
		f.Reset()
	}
}

// Release gives the session's memory back.
func (s *Session) Release() {
	s.values, s.Outside = nil, nil
	if s.work != nil && s.work.plan != s.d.base {
		s.work.release()
		s.work = nil
	}
	for _, f := range s.Inputs {
		if f.Rows() > maxPooledRows {
			return // a rare, large call: its memory goes back to the heap
		}
	}
	s.Reset()
	s.d.sessions.Put(s)
}

// work is a plan at work: the states of its ops and the tables between them.
type work struct {
	plan     *plan
	frames   []*frame.Frame // by slot
	states   []module.State
	counters []module.Counter
	in, out  [][]*frame.Frame // by step, by port
	outputs  []*frame.Frame
	whole    []*frame.Frame // the outputs of all blocks of a call
}

func (p *plan) work() *work {
	if w, ok := p.works.Get().(*work); ok {
		return w
	}
	w := &work{plan: p, frames: make([]*frame.Frame, len(p.slots))}
	for i, s := range p.slots {
		if w.frames[i] = s.constant; s.constant == nil {
			w.frames[i] = &frame.Frame{Cols: make([]*frame.Column, len(s.schema))}
		}
	}
	tables := func(slots []int) []*frame.Frame {
		fs := make([]*frame.Frame, len(slots))
		for i, at := range slots {
			if at >= 0 {
				fs[i] = w.frames[at]
			}
		}
		return fs
	}
	for _, s := range p.steps {
		st := s.bound.Op.NewState()
		w.states = append(w.states, st)
		if c, ok := st.(module.Counter); ok {
			w.counters = append(w.counters, c)
		}
		w.in = append(w.in, tables(s.in))
		w.out = append(w.out, tables(s.out))
	}
	for _, o := range p.outputs {
		w.outputs = append(w.outputs, &frame.Frame{Cols: make([]*frame.Column, len(o.cols))})
	}
	return w
}

func (w *work) release() {
	if w != nil {
		w.plan.works.Put(w)
	}
}

// run scores one block.
func (w *work) run(ctx context.Context, inputs []*frame.Frame) ([]*frame.Frame, error) {
	for i, f := range inputs {
		copy(w.frames[i].Cols, f.Cols)
	}
	for i, st := range w.states {
		if err := st.Apply(w.in[i], w.out[i]); err != nil {
			return nil, w.placed(err, w.in[i], inputs)
		}
		if i+1 < len(w.states) && ctx.Err() != nil {
			return nil, deadline(ctx.Err())
		}
	}
	for k, o := range w.plan.outputs {
		for i, c := range o.cols {
			w.outputs[k].Cols[i] = w.frames[o.slot].Cols[c]
		}
	}
	return w.outputs, nil
}

// placed keeps the row of an error only where the tables that a step reads have
// the rows of the call: a step before it may have dropped some, and then the
// number is not the caller's.
func (w *work) placed(err error, in, inputs []*frame.Frame) error {
	row, ok := errors.AsType[*RowError](err)
	if !ok || len(inputs) != 1 {
		return err
	}
	for _, f := range in {
		if f != nil && f.Rows() != inputs[0].Rows() {
			return row.Fault
		}
	}
	return err
}

// gather returns empty frames for the outputs of a call of several blocks.
func (w *work) gather(rows int) []*frame.Frame {
	if w.whole == nil {
		for _, o := range w.plan.outputs {
			w.whole = append(w.whole, o.layout.New(rows))
		}
	}
	for _, f := range w.whole {
		f.Reset()
	}
	return w.whole
}

func (w *work) resetCounts() {
	for _, c := range w.counters {
		c.ResetCounts()
	}
}

func (w *work) counts() (missing, unknownLevels int) {
	for _, c := range w.counters {
		m, u := c.Counts()
		missing, unknownLevels = missing+m, unknownLevels+u
	}
	return missing, unknownLevels
}

package module

import (
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
)

// RowMap describes, column by column, a row-wise map from one table to one
// table; Bind makes its op. Most row-wise and fitted modules are one.
type RowMap struct {
	// Keep, where set, says which rows stay; it reads the columns KeepReads.
	Keep      func(in *frame.Frame, row int) bool
	KeepReads []int
	Outs      []Out
}

// Out is one output column: an input column passed through, or computed.
type Out struct {
	Field frame.Field
	// From is the input column that is passed through under Field, whose type
	// and levels are the same; -1 for a computed column.
	From int
	// Fill appends one cell per row of in to dst, an empty column of Field. It
	// keeps no state and is safe for concurrent use.
	Fill func(dst *frame.Column, in *frame.Frame) error
	// Reads are the input columns Fill reads.
	Reads []int
}

// Pass returns an Out that passes column i of in through.
func Pass(in frame.Schema, i int) Out { return Out{Field: in[i], From: i} }

// Bind compiles the map for tables of schema in, which flow through input port
// port of ports.
func (t RowMap) Bind(in frame.Schema, port, ports int) (*Bound, error) {
	op := &rowMap{keep: t.Keep, outs: t.Outs, port: port}
	reads := make([]bool, len(in))
	for _, c := range t.KeepReads {
		reads[c] = true
	}
	schema, from := make(frame.Schema, len(t.Outs)), make([]Source, len(t.Outs))
	for i, o := range t.Outs {
		schema[i], from[i] = o.Field, Computed
		if o.From >= 0 {
			from[i] = Source{port, o.From}
		}
		for _, c := range o.Reads {
			reads[c] = true
		}
	}
	var err error
	if op.in, err = frame.NewLayout(in); err != nil {
		return nil, Errorf(17, "%v", err)
	}
	if op.out, err = frame.NewLayout(schema); err != nil {
		return nil, Errorf(17, "the output would have an invalid schema: %v", err)
	}
	b := &Bound{Op: op, Outputs: []frame.Schema{schema}, From: [][]Source{from}, Reads: make([][]int, ports), Rows: t.KeepReads}
	for _, o := range t.Outs {
		b.Needs = append(b.Needs, o.Reads)
	}
	for c, r := range reads {
		if r {
			b.Reads[port] = append(b.Reads[port], c)
		}
	}
	return b, nil
}

type rowMap struct {
	keep    func(in *frame.Frame, row int) bool
	outs    []Out
	port    int
	in, out *frame.Layout
}

func (op *rowMap) NewState() State {
	st := &rowMapState{op: op, own: make([]*frame.Column, len(op.outs)), views: make([]frame.Column, len(op.outs))}
	for i, o := range op.outs {
		if o.From < 0 {
			st.own[i] = op.out.Column(i, 0)
		}
	}
	if op.keep != nil {
		st.kept = op.in.New(0)
	}
	return st
}

type rowMapState struct {
	op    *rowMap
	own   []*frame.Column // computed columns
	views []frame.Column  // passed columns under another field
	kept  *frame.Frame    // the rows that stay, where some go
}

func (st *rowMapState) Apply(in, out []*frame.Frame) error {
	op, src, dst := st.op, in[st.op.port], out[0]
	if op.keep != nil {
		src = st.filter(src)
	}
	if src.Rows() >= parallelRows {
		return st.fillAll(src, dst)
	}
	for i := range op.outs {
		if err := st.fill(i, src, dst); err != nil {
			return err
		}
	}
	return nil
}

// parallelRows is the size of a table whose columns are worth goroutines.
const parallelRows = 1 << 16

// fillAll fills the columns of a large table side by side. Of several errors it
// returns the first column's, as one after the other would.
func (st *rowMapState) fillAll(src, dst *frame.Frame) error {
	errs := make([]error, len(st.op.outs))
	new(learn.Session).Each(len(errs), func(_, i int) {
		if c := st.own[i]; c != nil {
			c.Reset()
			c.Grow(src.Rows())
		}
		errs[i] = st.fill(i, src, dst)
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// fill sets output column i.
func (st *rowMapState) fill(i int, src, dst *frame.Frame) error {
	o := &st.op.outs[i]
	if o.From >= 0 {
		c := src.Cols[o.From]
		if f := &st.op.out.Schema[i]; c.Field.Name != f.Name || c.Field.Role != f.Role {
			st.views[i] = *c // shares the cells, which nobody changes
			st.views[i].Field = f
			c = &st.views[i]
		}
		dst.Cols[i] = c
		return nil
	}
	c := st.own[i]
	c.Reset()
	dst.Cols[i] = c
	return o.Fill(c, src)
}

// filter returns the rows that stay: f itself where all do.
func (st *rowMapState) filter(f *frame.Frame) *frame.Frame {
	row, n := 0, f.Rows()
	for row < n && st.op.keep(f, row) {
		row++
	}
	if row == n {
		return f
	}
	st.kept.Reset()
	for r := range n {
		if r < row || r > row && st.op.keep(f, r) {
			for i, c := range st.kept.Cols {
				c.AppendFrom(f.Cols[i], r)
			}
		}
	}
	return st.kept
}

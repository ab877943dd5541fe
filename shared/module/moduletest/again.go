package moduletest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// again binds a module as a deployment would, to the schemas of its run, and
// checks that it gives the run's result, whatever the batch where it works row
// by row. Modules that have no op are not concerned.
func again(c *call, ran []module.Value) error {
	bound, err := bind(c, ran)
	if bound == nil || err != nil {
		return err
	}
	if c.mod.Nature == module.WholeTable {
		return whole(bound, c.inputs, ran)
	}
	port, tables := -1, make([]*frame.Frame, len(c.inputs))
	for i, v := range c.inputs {
		if v.Kind != service.Dataset {
			continue
		}
		if port >= 0 {
			return nil // two tables: there is no telling which rows belong together
		}
		port, tables[i] = i, v.Frame
	}
	if port < 0 {
		return nil
	}
	if c.mod.Fit != nil {
		tables = tables[:1]
	}
	out := slices.IndexFunc(c.mod.Outputs, func(p module.Port) bool { return p.Kind == service.Dataset })
	if out < 0 {
		return nil
	}
	want := ran[out].Frame
	if got := bound.Outputs[0]; !slices.Equal(got.Names(), want.Schema().Names()) || !slices.Equal(describe(got), describe(want.Schema())) {
		return fmt.Errorf("bound to the run's schema it gives %q %q, in the run %q %q", got.Names(), describe(got), want.Schema().Names(), describe(want.Schema()))
	}
	if err := batches(bound, tables, port, want); err != nil {
		return err
	}
	if err := sources(bound, tables); err != nil {
		return err
	}
	if err := thrifty(bound, tables, port); err != nil {
		return err
	}
	return unread(bound, tables, port, want)
}

// whole applies the op to the tables of the run.
func whole(b *module.Bound, inputs, ran []module.Value) error {
	tables := make([]*frame.Frame, len(inputs))
	for i, v := range inputs {
		tables[i] = v.Frame
	}
	out := newOutputs(b)
	if err := b.Op.NewState().Apply(tables, out); err != nil {
		return fmt.Errorf("bound to the run's schemas: %w", err)
	}
	for i, v := range ran {
		if v.Frame == nil {
			continue
		}
		got, want := frame.AppendCSV(nil, out[i], ','), frame.AppendCSV(nil, v.Frame, ',')
		if string(got) != string(want) || !slices.Equal(describe(b.Outputs[i]), describe(v.Frame.Schema())) {
			return fmt.Errorf("bound to the run's schemas it gives %q\n%s\nin the run %q\n%s", describe(b.Outputs[i]), first(got), describe(v.Frame.Schema()), first(want))
		}
	}
	return nil
}

// bind returns nil for a module that has no op.
func bind(c *call, ran []module.Value) (*module.Bound, error) {
	if c.mod.Fit != nil {
		i := slices.IndexFunc(ran, func(v module.Value) bool { return v.Kind == service.Transformation })
		if i < 0 {
			return nil, fmt.Errorf("fitted module %q gives no transformation", c.mod.Name)
		}
		tr, err := c.palette.OpenTransformation(ran[i].Artifact)
		if err != nil {
			return nil, err
		}
		return tr.Bind(c.inputs[0].Frame.Schema())
	}
	if c.mod.Bind == nil {
		return nil, nil
	}
	b := &module.Binding{Params: c.params, Palette: c.palette}
	for _, v := range c.inputs {
		in := module.Input{Artifact: v.Artifact, Connected: v.Kind != ""}
		if v.Frame != nil {
			in.Schema = v.Frame.Schema()
		}
		b.Inputs = append(b.Inputs, in)
	}
	for _, v := range ran {
		var s frame.Schema
		if v.Frame != nil {
			s = v.Frame.Schema()
		}
		b.Pinned = append(b.Pinned, s)
	}
	return c.mod.Bind(b)
}

// batches applies the op to batches of several sizes out of one state.
func batches(b *module.Bound, tables []*frame.Frame, port int, want *frame.Frame) error {
	state, table := b.Op.NewState(), tables[port]
	together := frame.AppendCSVRows(nil, want, 0, want.Rows(), ',')
	for _, size := range []int{1, 7, max(1, table.Rows()), 1} {
		var cells []byte
		for lo := 0; ; lo += size {
			hi := min(lo+size, table.Rows()) // the last batch has no row
			in := slices.Clone(tables)
			in[port] = table.Slice(lo, hi)
			out := newOutputs(b)
			if err := state.Apply(in, out); err != nil {
				return fmt.Errorf("rows %d to %d alone: %w", lo, hi, err)
			}
			if err := out[0].Check(); err != nil {
				return fmt.Errorf("rows %d to %d alone: %w", lo, hi, err)
			}
			cells = frame.AppendCSVRows(cells, out[0], 0, out[0].Rows(), ',')
			if lo >= table.Rows() {
				break
			}
		}
		if string(cells) != string(together) {
			return fmt.Errorf("in batches of %d rows it gives\n%s\ntogether\n%s", size, first(cells), first(together))
		}
	}
	return nil
}

// thriftyRows is the size of the batch in which allocations are counted.
const thriftyRows = 64

// thrifty applies the op to a batch that it has had before, in which it must
// not allocate for each row.
func thrifty(b *module.Bound, tables []*frame.Frame, port int) error {
	n := tables[port].Rows()
	if n == 0 {
		return nil
	}
	rows := make([]int, thriftyRows)
	for i := range rows {
		rows[i] = i % n
	}
	in := slices.Clone(tables)
	in[port] = tables[port].Take(rows)
	state, out := b.Op.NewState(), newOutputs(b)
	var failed error
	allocs := testing.AllocsPerRun(4, func() {
		if err := state.Apply(in, out); err != nil {
			failed = err
		}
	})
	if failed == nil && allocs > allocFactor*thriftyRows/2 {
		return fmt.Errorf("it allocates %v times for a batch of %d rows that it has had before", allocs, thriftyRows)
	}
	return failed
}

func newOutputs(b *module.Bound) []*frame.Frame {
	out := make([]*frame.Frame, len(b.Outputs))
	for i, s := range b.Outputs {
		out[i] = &frame.Frame{Cols: make([]*frame.Column, len(s))}
	}
	return out
}

// first returns the first lines of a text.
func first(text []byte) string {
	lines := strings.SplitAfterN(string(text), "\n", maxShown+1)
	return strings.Join(lines[:min(len(lines), maxShown)], "")
}

func apply(b *module.Bound, tables []*frame.Frame) (*frame.Frame, error) {
	out := newOutputs(b)
	if err := b.Op.NewState().Apply(tables, out); err != nil {
		return nil, err
	}
	return out[0], out[0].Check()
}

// sources checks what the op says of the columns that it passes through.
func sources(b *module.Bound, tables []*frame.Frame) error {
	if len(b.From) != len(b.Outputs) || len(b.From[0]) != len(b.Outputs[0]) {
		return fmt.Errorf("it gives the sources of %d ports, has %d", len(b.From), len(b.Outputs))
	}
	out, err := apply(b, tables)
	if err != nil {
		return err
	}
	for i, from := range b.From[0] {
		if from == module.Computed {
			continue
		}
		src := tables[from.Port].Cols[from.Col]
		if f := &b.Outputs[0][i]; f.Type != src.Field.Type || !slices.Equal(f.Levels, src.Field.Levels) {
			return fmt.Errorf("column %q is said to be input column %q, whose type differs", f.Name, src.Field.Name)
		}
		for r := range min(out.Rows(), 1<<10) {
			if out.Rows() == src.Len() && string(out.Cols[i].Print(nil, r)) != string(src.Print(nil, r)) {
				return fmt.Errorf("column %q is said to be input column %q, whose row %d differs", b.Outputs[0][i].Name, src.Field.Name, r)
			}
		}
	}
	return nil
}

// unread empties the columns that the op does not say to read: what it computes
// must not change.
func unread(b *module.Bound, tables []*frame.Frame, port int, want *frame.Frame) error {
	if port >= len(b.Reads) {
		return fmt.Errorf("it says what it reads of %d ports, want port %d too", len(b.Reads), port)
	}
	blank := &frame.Frame{Cols: slices.Clone(tables[port].Cols)}
	for i, c := range blank.Cols {
		if slices.Contains(b.Reads[port], i) {
			continue
		}
		empty := c.Empty(c.Len())
		for range c.Len() {
			empty.AppendNull()
		}
		blank.Cols[i] = empty
	}
	in := slices.Clone(tables)
	in[port] = blank
	got, err := apply(b, in)
	if err != nil {
		return fmt.Errorf("with the columns empty that it does not say to read: %w", err)
	}
	for i, from := range b.From[0] {
		if from != module.Computed {
			continue
		}
		name := want.Cols[i].Field.Name
		if got.Rows() != want.Rows() {
			return fmt.Errorf("the number of rows depends on columns that it does not say to read")
		}
		for r := range want.Rows() {
			if string(got.Cols[i].Print(nil, r)) != string(want.Cols[i].Print(nil, r)) {
				return fmt.Errorf("row %d of column %q depends on columns that it does not say to read", r, name)
			}
		}
	}
	return nil
}

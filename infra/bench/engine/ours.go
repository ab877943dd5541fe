//go:build unix

package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/importer"
)

// ours scores rows as a deployment does.
type ours struct {
	scorer *model.Scorer
	rows   []float64 // row by row, categories as codes
	width  int
	one    *frame.Frame // a row, filled anew for each call as RRS does
	all    *frame.Frame
	states map[int]*model.State
	out    *frame.Frame
	text   []byte
	at     int
}

func newOurs(folder string, m *modelInfo) (*ours, error) {
	file, err := os.ReadFile(filepath.Join(folder, m.File))
	if err != nil {
		return nil, err
	}
	binding, err := os.ReadFile(filepath.Join(folder, m.Name+".binding.json"))
	if err != nil {
		return nil, err
	}
	r, err := importer.Import(importer.Request{Name: m.File, File: file, Binding: binding})
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(folder, m.Name+".rows"))
	if err != nil {
		return nil, err
	}
	o := &ours{width: m.Columns, states: map[int]*model.State{}}
	for len(raw) >= 8 {
		o.rows = append(o.rows, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		raw = raw[8:]
	}
	in, err := frame.NewLayout(r.Model.Requires())
	if err != nil {
		return nil, err
	}
	if o.scorer, err = r.Model.Bind(in.Schema); err != nil {
		return nil, err
	}
	out, err := frame.NewLayout(o.scorer.Fields())
	if err != nil {
		return nil, err
	}
	o.one, o.all, o.out = in.New(1), in.New(m.Rows), out.New(m.Rows)
	for i := range m.Rows {
		o.fill(o.all, i)
	}
	return o, nil
}

// fill appends row i to f.
func (o *ours) fill(f *frame.Frame, i int) {
	for k, v := range o.rows[i*o.width:][:o.width] {
		switch c := f.Cols[k]; {
		case v != v:
			c.AppendNull()
		case c.Field.Type == frame.String:
			c.AppendCode(int32(v))
		default:
			c.AppendFloat(v)
		}
	}
}

// score scores f and prints every score.
func (o *ours) score(st *model.State, f *frame.Frame) error {
	o.out.Reset()
	if err := o.scorer.Score(st, f, o.out.Cols); err != nil {
		return err
	}
	o.text = o.text[:0]
	for r := range f.Rows() {
		for _, c := range o.out.Cols {
			o.text = append(c.Print(o.text, r), ',')
		}
	}
	return nil
}

// time returns the nanoseconds of a row in calls of n, and the allocations.
func (o *ours) time(n int) (ns, allocs float64, err error) {
	st := o.states[n]
	if st == nil {
		st = o.scorer.NewState()
		o.states[n] = st
	}
	var parts []*frame.Frame
	for lo := 0; n > 1 && lo+n <= o.all.Rows(); lo += n {
		parts = append(parts, o.all.Slice(lo, lo+n))
	}
	next := func() { // writes another row's cells into the frame
		o.one.Reset()
		o.fill(o.one, o.at)
		o.at = (o.at + 1) % o.all.Rows()
	}
	call := func() error {
		if n == 1 {
			next()
			return o.score(st, o.one)
		}
		o.at = (o.at + 1) % len(parts)
		return o.score(st, parts[o.at])
	}
	o.at = 0
	for range 3 {
		if err := call(); err != nil {
			return 0, 0, err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows, start := 0, processorTime()
	for processorTime()-start < 200*time.Millisecond {
		for range max(1, 500/n) {
			if err := call(); err != nil {
				return 0, 0, err
			}
			rows += n
		}
	}
	spent := processorTime() - start
	runtime.ReadMemStats(&after)
	if n == 1 { // a parsed row is where a call begins: what writing it took is taken off
		start = processorTime()
		for range rows {
			next()
		}
		spent -= processorTime() - start
	}
	return float64(spent) / float64(rows), math.Floor(float64(after.Mallocs-before.Mallocs)/float64(rows)*100) / 100, nil
}

// processorTime is what this process has used, which other processes on a busy
// machine disturb less than the time on the wall.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it takes no argument that could be wrong
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// agrees compares the answers to the first rows with another library's: its
// probabilities of the second class or of all, or its values.
func (o *ours) agrees(theirs []float64) error {
	if err := o.score(o.scorer.NewState(), o.all.Slice(0, 3)); err != nil {
		return err
	}
	var scores []*frame.Column
	for _, c := range o.out.Cols {
		if c.Field.Name != model.ScoredLabels || len(o.out.Cols) == 1 {
			scores = append(scores, c)
		}
	}
	each := len(theirs) / 3
	for r := range 3 {
		for k, c := range scores {
			want := theirs[r*each+k]
			if len(scores) == 1 {
				want = theirs[r*each+each-1]
			}
			if got := c.Floats[r]; !(math.Abs(got-want) <= 1e-5*max(1, math.Abs(want))) {
				return fmt.Errorf("row %d: %s is %v, ours %v", r+1, c.Field.Name, want, got)
			}
		}
	}
	return nil
}

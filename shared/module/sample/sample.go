// Package sample holds the palette group Data Transformation / Sample and
// Split: modules that take some of a table's rows.
//
// What is drawn depends on the seed and on the number of rows, and for a
// stratified draw on the strata column; rows keep the table's order.
package sample

import (
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
)

const group = "Data Transformation / Sample and Split"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{PartitionAndSample(), SplitData()}
}

// draw returns the places 0 to n-1 in random order.
func draw(rng *rand.Rand, n int) []int { return rng.Perm(n) }

func newRand(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 0)) }

// strata returns the rows of each distinct cell of a column, in the order in
// which the cells first come; missing is one of them. Without a column, all
// rows are one stratum.
func strata(f *frame.Frame, column int) [][]int {
	if column < 0 {
		rows := make([]int, f.Rows())
		for r := range rows {
			rows[r] = r
		}
		return [][]int{rows}
	}
	c := f.Cols[column]
	place := make(map[string]int)
	missing := -1
	var out [][]int
	var buf []byte
	for r := range c.Len() {
		at, ok := missing, missing >= 0
		if !c.IsNull(r) {
			buf = c.Print(buf[:0], r)
			at, ok = place[string(buf)]
		}
		if !ok {
			at = len(out)
			out = append(out, nil)
			if c.IsNull(r) {
				missing = at
			} else {
				place[string(buf)] = at
			}
		}
		out[at] = append(out[at], r)
	}
	return out
}

// strataColumn resolves a strata column; -1 where the draw is not stratified.
func strataColumn(p module.Values, switched, column string, in frame.Schema) (int, error) {
	if !p.Bool(switched) {
		return -1, nil
	}
	picked, err := p.Columns(column).Resolve(in)
	if err != nil {
		return 0, err
	}
	if len(picked) != 1 {
		return 0, module.Errorf(22, "parameter %q selects %d columns: one is needed", column, len(picked))
	}
	if f := in[picked[0]]; f.Type == frame.Double {
		return 0, module.Errorf(17, "column %q is %s: strata need a column of categories, texts, truth values or whole numbers", f.Name, f.Type).At(f.Name)
	}
	return picked[0], nil
}

// take returns the given rows of a table, in its order.
func take(f *frame.Frame, rows []int) []*frame.Column {
	if !slices.IsSorted(rows) {
		slices.Sort(rows)
	}
	if len(rows) == f.Rows() {
		return f.Cols
	}
	if n := len(rows); n > 0 && rows[n-1]-rows[0] == n-1 {
		return f.Slice(rows[0], rows[n-1]+1).Cols
	}
	cols := make([]*frame.Column, len(f.Cols))
	new(learn.Session).Each(len(cols), func(_, i int) { cols[i] = f.Cols[i].Take(rows) })
	return cols
}

// passAll are the sources of the n columns of the one input.
func passAll(n int) []module.Source {
	out := make([]module.Source, n)
	for i := range out {
		out[i] = module.Source{Col: i}
	}
	return out
}

// reads is what a draw over a strata column reads.
func reads(column int) [][]int {
	if column < 0 {
		return [][]int{nil}
	}
	return [][]int{{column}}
}

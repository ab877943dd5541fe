package train

import (
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
)

// folding is the parts of a table for cross-validation.
type folding struct {
	of    []int // the fold of each row, from 0
	count int
	names []int64 // what the folds are called
	given bool    // they are a column of the table
}

// foldsOf returns the folds that Partition and Sample has assigned to the rows
// of a table; or divides it into count folds at random.
func foldsOf(table *frame.Frame, label string, kind model.Kind, count int, seed int64) (*folding, error) {
	c := table.Col(module.FoldColumn)
	if c == nil || !c.Field.Type.Integer() || c.Field.Role != frame.ID {
		return deal(table, label, kind, count, seed)
	}
	if c.Nulls() > 0 {
		return nil, module.Errorf(18, "%d rows are in no fold: column %q is missing there", c.Nulls(), module.FoldColumn).At(module.FoldColumn)
	}
	names := slices.Clone(c.Ints)
	slices.Sort(names)
	f := &folding{of: make([]int, table.Rows()), names: slices.Compact(names), given: true}
	if f.count = len(f.names); f.count < 2 {
		return nil, module.Errorf(18, "the rows are in %d folds: cross-validation needs at least 2", f.count).At(module.FoldColumn)
	}
	for r, name := range c.Ints {
		f.of[r], _ = slices.BinarySearch(f.names, name)
	}
	return f, nil
}

// deal divides a table into up to count folds of even size at random. For
// classifiers every fold gets its share of each class.
func deal(table *frame.Frame, label string, kind model.Kind, count int, seed int64) (*folding, error) {
	rows := table.Rows()
	if rows < 2 {
		return nil, module.Errorf(21, "the table has %d rows: cross-validation needs at least 2", rows)
	}
	order := make([]int, rows)
	for r := range order {
		order[r] = r
	}
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	random.Shuffle(rows, func(i, j int) { order[i], order[j] = order[j], order[i] })
	if kind.Classes() > 0 {
		c := table.Col(label)
		class := make([]int, rows)
		seen := make(map[string]int)
		var word []byte
		for r := range rows {
			if word = append(word[:0], 0); !c.IsNull(r) {
				word = c.Print(append(word[:0], 1), r)
			}
			k, ok := seen[string(word)]
			if !ok {
				k = len(seen)
				seen[string(word)] = k
			}
			class[r] = k
		}
		slices.SortStableFunc(order, func(a, b int) int { return class[a] - class[b] })
	}
	f := &folding{of: make([]int, rows), count: min(count, rows)}
	for i, r := range order {
		f.of[r] = i % f.count
	}
	for k := range f.count {
		f.names = append(f.names, int64(k))
	}
	return f, nil
}

// split returns the rows outside a fold, to train on, and those in it.
func (f *folding) split(fold int) (train, test []int) {
	for r, k := range f.of {
		if k == fold {
			test = append(test, r)
		} else {
			train = append(train, r)
		}
	}
	return train, test
}

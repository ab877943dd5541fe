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
	of    []int // the fold of each row
	count int
}

// foldsOf returns the folds that a table is divided into, or divides it.
func foldsOf(table *frame.Frame, label string, kind model.Kind, count int, seed int64) (*folding, error) {
	return deal(table, label, kind, count, seed)
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

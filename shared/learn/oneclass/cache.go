package oneclass

import "github.com/portico-ml/portico/shared/model/kernel"

// cacheCells bounds the memory of the kernel's columns, in numbers.
const cacheCells = 1 << 25

// cache keeps the columns of the kernel that were used last.
type cache struct {
	columns map[int]*column
	most    int
	clock   int
}

type column struct {
	k    []float64
	used int
}

// column returns the kernel of row r with every row.
func (t *search) column(r int) []float64 {
	c := &t.cache
	c.clock++
	if have := c.columns[r]; have != nil {
		have.used = c.clock
		return have.k
	}
	fresh := &column{used: c.clock}
	if len(c.columns) >= c.most {
		oldest := -1
		for i, have := range c.columns {
			if oldest < 0 || have.used < c.columns[oldest].used {
				oldest = i
			}
		}
		fresh.k = c.columns[oldest].k
		delete(c.columns, oldest)
	} else {
		fresh.k = make([]float64, t.d.Rows)
	}
	row := t.row(r)
	t.s.Spans(t.d.Rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			fresh.k[i] = kernel.Gaussian(t.gamma, row, t.row(i))
		}
	})
	c.columns[r] = fresh
	return fresh.k
}

package manipulation

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// SMOTE adds rows of the minority class between neighbouring ones.
func SMOTE() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "SMOTE", Group: group, CodeVersion: 1, Nature: module.WholeTable, PicksRows: true,
			Inputs:  []module.Port{{ID: "Samples", Kind: service.Dataset, Doc: "A table with one column marked as label."}},
			Outputs: []module.Port{{ID: "Table", Kind: service.Dataset, Doc: "The rows, and behind them the new ones."}},
			Params: []module.Param{
				{
					Name: "SMOTE percentage", Type: module.Int, Default: "100", Range: &module.Range{Min: 0, Max: 100_000},
					Doc: "How many rows to add, in percent of the rows of the minority class.",
				},
				{
					Name: "Number of nearest neighbors", Type: module.Int, Default: "1", Range: &module.Range{Min: 1, Max: 1000},
					Doc: "Among how many nearest rows of the class the other end of a new row is drawn.",
				},
				{
					Name: "Random seed", Type: module.Int, Default: "0",
					Doc: "Another seed draws other neighbours and places; the same gives the same rows.",
				},
			},
			Doc: "Adds rows of the rarest label between rows of it and their neighbours (Chawla et al. 2002; SMOTE-NC for categories, texts and truth values, which take what most neighbours have). Ids of new rows are missing. Meant for training: take it out before publishing.",
		},
		Bind: bindSMOTE,
	}
}

// smote is the module bound to a schema.
type smote struct {
	label            int
	numeric, nominal []int // features
	blank            []int // ids
	out              frame.Schema
	percent, k       int
	seed             uint64
}

func bindSMOTE(b *module.Binding) (*module.Bound, error) {
	in := b.Inputs[0].Schema
	s := &smote{
		label: -1, out: slices.Clone(in),
		percent: int(b.Params.Int("SMOTE percentage")), k: int(b.Params.Int("Number of nearest neighbors")), seed: uint64(b.Params.Int("Random seed")),
	}
	for i := range in {
		f := &s.out[i]
		f.Optional = false
		switch {
		case f.Role == frame.Label && s.label >= 0:
			return nil, module.Errorf(37, "columns %q and %q are both labels: one is allowed", in[s.label].Name, f.Name).At(f.Name)
		case f.Role == frame.Label:
			s.label = i
		case f.Role == frame.ID:
			s.blank = append(s.blank, i)
			f.Nullable = true
		case f.Role != frame.Feature: // weights and scores are those of the row a new one starts from
		case f.Type == frame.String || f.Type == frame.Boolean:
			s.nominal = append(s.nominal, i)
		default:
			s.numeric = append(s.numeric, i)
		}
	}
	if s.label < 0 {
		return nil, module.Errorf(24, "no column is marked as label: mark it with Edit Metadata")
	}
	return &module.Bound{
		Op: module.OpFunc(s.apply), Outputs: []frame.Schema{s.out},
		From:  [][]module.Source{slices.Repeat([]module.Source{module.Computed}, len(in))},
		Reads: [][]int{allOf(len(in))},
	}, nil
}

func (s *smote) apply(in, out []*frame.Frame) error {
	f := in[0]
	rows, err := s.minority(f)
	if err != nil {
		return err
	}
	bases := s.bases(len(rows))
	if len(bases) > 0 && len(rows) < 2 {
		return module.Errorf(21, "the rarest label has %d row: a new row lies between two", len(rows))
	}
	k := min(s.k, len(rows)-1)
	rng := rand.New(rand.NewPCG(s.seed, 1))
	near := s.neighbours(f, rows, bases, k)
	columns := make([]*frame.Column, len(f.Cols))
	for i, c := range f.Cols {
		columns[i] = frame.NewColumn(s.out[i], f.Rows()+len(bases))
		columns[i].AppendRange(c, 0, c.Len())
	}
	for _, b := range bases {
		other := near[b][rng.IntN(k)]
		s.add(f, columns, rows[b], other, near[b], rng.Float64())
	}
	out[0].Cols = columns
	return nil
}

// minority returns the rows of the label that the fewest rows have; of several
// the first in order.
func (s *smote) minority(f *frame.Frame) ([]int, error) {
	c := f.Cols[s.label]
	if c.Len() == 0 {
		return nil, nil
	}
	byText := make(map[string][]int)
	var buf []byte
	for r := range c.Len() {
		if !c.IsNull(r) {
			buf = c.Print(buf[:0], r)
			byText[string(buf)] = append(byText[string(buf)], r)
		}
	}
	if len(byText) < 2 {
		return nil, module.Errorf(54, "label column %q has %d distinct values: two are needed", c.Field.Name, len(byText)).At(c.Field.Name)
	}
	var rows []int
	for _, text := range levels(c) {
		if r := byText[text]; rows == nil || len(r) < len(rows) {
			rows = r
		}
	}
	return rows, nil
}

// bases are the rows that new ones start from, by their place in the class:
// each as often as whole hundreds say, and a random part of them once more.
func (s *smote) bases(n int) []int {
	extra := make([]bool, n)
	perm := rand.New(rand.NewPCG(s.seed, 0)).Perm(n)
	for _, b := range perm[:s.percent%100*n/100] {
		extra[b] = true
	}
	var bases []int
	for b := range n {
		times := s.percent / 100
		if extra[b] {
			times++
		}
		for range times {
			bases = append(bases, b)
		}
	}
	return bases
}

// neighbours returns the k rows nearest to each base, by its place in the class.
func (s *smote) neighbours(f *frame.Frame, rows, bases []int, k int) [][]int {
	near := make([][]int, len(rows))
	c := s.points(f, rows)
	each := slices.Compact(slices.Clone(bases)) // equal ones follow each other
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(each)) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(each)); i = next.Add(1) - 1 {
				near[each[i]] = c.nearest(rows, each[i], k)
			}
		})
	}
	all.Wait()
	return near
}

// points are the rows of a class as distances see them.
type points struct {
	numbers [][]float64 // by place in the class; NaN where missing
	levels  [][]int     // of categories: equal where the cells are
	differ  float64     // what a category that differs adds to a distance
}

// points prepares squared distances: Euclidean over numbers, and for each
// category that differs, and each number that only one of two rows has, the
// square of the median of the numbers' standard deviations.
func (s *smote) points(f *frame.Frame, rows []int) *points {
	p := &points{numbers: make([][]float64, len(rows)), levels: make([][]int, len(rows)), differ: 1}
	var deviations []float64
	for _, i := range s.numeric {
		var values []float64
		for place, r := range rows {
			v := math.NaN()
			if !f.Cols[i].IsNull(r) {
				v = f.Cols[i].Float(r)
				values = append(values, v)
			}
			p.numbers[place] = append(p.numbers[place], v)
		}
		if len(values) == 0 {
			continue
		}
		m, sum := mean(values), 0.0
		for _, v := range values {
			sum += float64((v - m) * (v - m))
		}
		deviations = append(deviations, math.Sqrt(sum/float64(len(values))))
	}
	if len(deviations) > 0 {
		p.differ = median(deviations)
	}
	p.differ *= p.differ
	for _, i := range s.nominal {
		seen := make(map[string]int)
		var cell []byte
		for place, r := range rows {
			level := -1
			if !f.Cols[i].IsNull(r) {
				cell = f.Cols[i].Print(cell[:0], r)
				var ok bool
				if level, ok = seen[string(cell)]; !ok {
					level = len(seen)
					seen[string(cell)] = level
				}
			}
			p.levels[place] = append(p.levels[place], level)
		}
	}
	return p
}

// distance is the squared distance of two rows, or one that is at least limit
// where that one is.
func (p *points) distance(a, b int, limit float64) float64 {
	sum := 0.0
	other := p.numbers[b]
	for i, x := range p.numbers[a] {
		switch y := other[i]; {
		case !math.IsNaN(x) && !math.IsNaN(y):
			d := x - y
			sum += float64(d * d)
		case !math.IsNaN(x) || !math.IsNaN(y):
			sum += p.differ
		}
		if sum >= limit {
			return sum
		}
	}
	for i, x := range p.levels[a] {
		if x != p.levels[b][i] {
			sum += p.differ
		}
	}
	return sum
}

func sameCell(c *frame.Column, a, b int) bool {
	switch {
	case c.IsNull(a) || c.IsNull(b):
		return c.IsNull(a) && c.IsNull(b)
	case c.Field.Type == frame.Boolean:
		return c.Bools[a] == c.Bools[b]
	case c.Field.Levels != nil:
		return c.Codes[a] == c.Codes[b]
	}
	return string(c.Text(a)) == string(c.Text(b))
}

// nearest returns the k rows nearest to rows[b], the nearest first; of equally
// near ones the first in the table.
func (p *points) nearest(rows []int, b, k int) []int {
	type neighbour struct {
		row int
		d   float64
	}
	var best []neighbour
	limit := math.Inf(1)
	for i, r := range rows {
		if i == b {
			continue
		}
		n := neighbour{r, p.distance(b, i, limit)}
		at := len(best)
		for at > 0 && best[at-1].d > n.d {
			at--
		}
		if at < k {
			best = slices.Insert(best, at, n)
			if len(best) >= k {
				best = best[:k]
				limit = best[k-1].d
			}
		}
	}
	out := make([]int, len(best))
	for i, n := range best {
		out[i] = n.row
	}
	return out
}

// add appends a row between base and other, at part of the way.
func (s *smote) add(f *frame.Frame, columns []*frame.Column, base, other int, near []int, part float64) {
	for i, dst := range columns {
		c := f.Cols[i]
		switch {
		case slices.Contains(s.blank, i):
			dst.AppendNull()
		case slices.Contains(s.nominal, i):
			dst.AppendFrom(c, usual(c, near))
		case !slices.Contains(s.numeric, i) || c.IsNull(base) || c.IsNull(other):
			dst.AppendFrom(c, base)
		case c.Field.Type == frame.Double:
			a, b := c.Floats[base], c.Floats[other]
			dst.AppendFloat(a + float64(part*(b-a)))
		default:
			a, b := c.Ints[base], c.Ints[other]
			dst.AppendInt(a + int64(math.RoundToEven(part*float64(b-a))))
		}
	}
}

// usual returns a row with the cell that most of the rows have; of several the
// nearest. A missing cell counts only where all are.
func usual(c *frame.Column, near []int) int {
	best, most := near[0], 0
	for _, r := range near {
		if c.IsNull(r) {
			continue
		}
		n := 0
		for _, q := range near {
			if sameCell(c, r, q) {
				n++
			}
		}
		if n > most {
			best, most = r, n
		}
	}
	return best
}

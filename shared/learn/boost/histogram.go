package boost

import (
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
)

// histogram is the sums of gradients of a leaf's rows, by bin and feature. The
// sums of few rows are packed like the rows' own; those of more than a span
// are wide.
type histogram struct {
	packed []binned.Sums // by octet
	wide   []wideSums    // by octet; nil where packed
}

// wideSums are sums of g and h.
type wideSums [8][256]struct{ g, h int64 }

// add adds packed sums.
func (w *wideSums) add(s *binned.Sums, p *packing) {
	shift, mask := p.shift, p.mask()
	for k := range s {
		from, to := &s[k], &w[k]
		for b, v := range from {
			to[b].g += int64(v) >> shift
			to[b].h += int64(v & mask)
		}
	}
}

// plus adds other sums.
func (w *wideSums) plus(o *wideSums) {
	for k := range o {
		from, to := &o[k], &w[k]
		for b := range from {
			to[b].g += from[b].g
			to[b].h += from[b].h
		}
	}
}

// minus takes other sums away.
func (w *wideSums) minus(o *wideSums) {
	for k := range o {
		from, to := &o[k], &w[k]
		for b := range from {
			to[b].g -= from[b].g
			to[b].h -= from[b].h
		}
	}
}

// pack writes the sums, of at most a span of rows, to dst.
func (w *wideSums) pack(dst *binned.Sums, p *packing) {
	for k := range w {
		from, to := &w[k], &dst[k]
		for b := range from {
			to[b] = uint64(from[b].g<<p.shift + from[b].h)
		}
	}
}

// minus takes the sums b from a.
func minus(a, b *binned.Sums) {
	for k := range a {
		to, from := &a[k], &b[k]
		for i := range to {
			to[i] -= from[i]
		}
	}
}

// pool keeps histograms for the next leaves.
type pool struct {
	octets       int
	limit        int          // of out
	packed, wide []*histogram // free
	out          int          // bytes in use
}

// poolBytes is the memory that histograms of leaves may hold. Beyond, a leaf's
// is made again when it is split.
const poolBytes = 512 << 20

func (p *pool) full() bool { return p.out > p.limit }

// get returns a histogram for that many rows; what is in it is left over.
func (p *pool) get(rows int) *histogram {
	if rows <= learn.SpanRows {
		p.out += p.octets * 8 * 256 * 8
		if n := len(p.packed); n > 0 {
			h := p.packed[n-1]
			p.packed = p.packed[:n-1]
			return h
		}
		return &histogram{packed: make([]binned.Sums, p.octets)}
	}
	p.out += p.octets * 8 * 256 * 16
	if n := len(p.wide); n > 0 {
		h := p.wide[n-1]
		p.wide = p.wide[:n-1]
		return h
	}
	return &histogram{wide: make([]wideSums, p.octets)}
}

// put takes a histogram back, where there is one.
func (p *pool) put(h *histogram) {
	switch {
	case h == nil:
	case h.wide != nil:
		p.out -= p.octets * 8 * 256 * 16
		p.wide = append(p.wide, h)
	default:
		p.out -= p.octets * 8 * 256 * 8
		p.packed = append(p.packed, h)
	}
}

// evaluate makes the histograms of one leaf, or of the two parts of a leaf from
// the parent's, which becomes the large part's, and finds their best splits.
func (g *grower) evaluate(parent *histogram, small, large *leaf) {
	octets := g.m.Octets()
	small.hist = g.pool.get(small.size())
	var rest *histogram // of the large part
	if large != nil {
		rest = parent
		if parent.wide != nil && large.size() <= learn.SpanRows {
			rest = g.pool.get(large.size())
		}
		large.hist = rest
	}
	sides := g.sumParts(small)
	tasks := min(octets, 2*g.s.Width())
	splits := make([][2]split, octets)
	g.s.Each(tasks, func(worker, task int) {
		s := &g.scratch[worker]
		from, to := task*octets/tasks, (task+1)*octets/tasks
		if sides == nil {
			g.fill(s, small.hist, small.from, small.to, from, to)
		}
		for octet := from; octet < to; octet++ {
			for _, side := range sides {
				small.hist.wide[octet].plus(&side.wide[octet])
			}
			if g.splittable(small) {
				splits[octet][0] = g.best(s, small, octet)
			}
			if large != nil {
				g.subtract(s, parent, small.hist, rest, octet)
				splits[octet][1] = g.best(s, large, octet)
			}
		}
	})
	for _, side := range sides {
		g.pool.put(side)
	}
	if parent != rest {
		g.pool.put(parent)
	}
	small.split = g.first(splits, 0)
	if large != nil {
		large.split = g.first(splits, 1)
	}
}

// sumParts sums a leaf part by part where it has many rows and too few octets
// to keep the workers busy: the first part into the leaf's histogram, the
// others into those that it returns. Otherwise it does nothing.
func (g *grower) sumParts(l *leaf) []*histogram {
	octets, spans, width := g.m.Octets(), l.size()/learn.SpanRows, g.s.Width()
	if width == 1 || spans < 2 || octets >= 4*width {
		return nil
	}
	parts := []*histogram{l.hist}
	for range min(spans, 2*width) - 1 {
		parts = append(parts, g.pool.get(l.size()))
	}
	g.s.Each(len(parts), func(worker, i int) {
		from, to := i*l.size()/len(parts), (i+1)*l.size()/len(parts)
		g.fill(&g.scratch[worker], parts[i], l.from+from, l.from+to, 0, octets)
	})
	return parts[1:]
}

// fill sums rows[from:to] for some octets.
func (g *grower) fill(s *scratch, h *histogram, from, to, first, last int) {
	if h.wide == nil {
		sums := h.packed[first:last]
		clear(sums)
		g.m.Add(sums, first, g.rows[from:to], g.values[from:to])
		return
	}
	clear(h.wide[first:last])
	s.sums = slices.Grow(s.sums[:0], last-first)[:last-first]
	for ; from < to; from += learn.SpanRows {
		end := min(to, from+learn.SpanRows)
		clear(s.sums)
		g.m.Add(s.sums, first, g.rows[from:end], g.values[from:end])
		for i := range s.sums {
			h.wide[first+i].add(&s.sums[i], &g.packing)
		}
	}
}

// subtract leaves parent without small in rest, for one octet. Rest is parent
// itself, or packed where parent is wide.
func (g *grower) subtract(s *scratch, parent, small, rest *histogram, octet int) {
	if parent.wide == nil {
		minus(&parent.packed[octet], &small.packed[octet])
		return
	}
	w := &parent.wide[octet]
	if small.wide != nil {
		w.minus(&small.wide[octet])
	} else {
		s.wide = wideSums{}
		s.wide.add(&small.packed[octet], &g.packing)
		w.minus(&s.wide)
	}
	if rest.wide == nil {
		w.pack(&rest.packed[octet], &g.packing)
	}
}

// best finds the best split of a leaf among the features of an octet.
func (g *grower) best(s *scratch, l *leaf, octet int) split {
	var best split
	for f := 8 * octet; f < min(8*octet+8, len(g.m.Features)); f++ {
		feature := &g.m.Features[f]
		if l.hist.wide != nil {
			s.decodeWide(&l.hist.wide[octet][f%8], feature.Bins)
		} else {
			s.decode(&l.hist.packed[octet][f%8], feature.Bins, &g.packing)
		}
		if next := g.search(s, l, f, best.gain); g.before(&next, &best) {
			best = next
		}
	}
	return best
}

// before reports whether a is to be preferred to b: it gains more, or the same
// and the seed prefers its feature.
func (g *grower) before(a, b *split) bool {
	if a.gain != b.gain {
		return a.gain > b.gain
	}
	return a.gain > 0 && g.rank[a.feature] < g.rank[b.feature]
}

// first returns the best of all octets' splits.
func (g *grower) first(splits [][2]split, part int) split {
	best := splits[0][part]
	for i := range splits {
		if g.before(&splits[i][part], &best) {
			best = splits[i][part]
		}
	}
	return best
}

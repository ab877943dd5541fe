package quantile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/portico-ml/portico/shared/model/trees"
)

// ErrDamaged is the cause of every error of Open.
var ErrDamaged = errors.New("damaged quantile forest")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Model is a forest laid out for scoring, immutable.
type Model struct {
	finder    *trees.Ensemble
	quantiles []float64
	labels    []float64
	first     []uint32 // of each tree and one more: its first sample
	ends      []uint32
	items     []item
}

type item struct{ label, weight uint32 }

// Open reads canonical bytes. It bounds every count by the length of b and
// checks every index. Errors wrap ErrDamaged.
func Open(b []byte) (*Model, error) {
	var h header
	if len(b) < headerSize {
		return nil, damaged("%d bytes are too few for a header", len(b))
	}
	if _, err := binary.Decode(b[:headerSize], binary.LittleEndian, &h); err != nil {
		return nil, damaged("header: %v", err)
	}
	switch {
	case h.Version != version:
		return nil, damaged("layout version %d, want %d", h.Version, version)
	case h.Trees < 1 || h.Trees > MaxTrees:
		return nil, damaged("%d trees", h.Trees)
	case h.Quantiles < 1 || h.Quantiles > MaxQuantiles:
		return nil, damaged("%d quantiles", h.Quantiles)
	}
	body := aligned(uint64(h.Bytes))
	size := headerSize + body + 8*(uint64(h.Quantiles)+uint64(h.Labels)+uint64(h.Items)) + aligned(4*uint64(h.Trees)) + aligned(4*uint64(h.Leaves))
	if size != uint64(len(b)) {
		return nil, damaged("its counts do not fit its %d bytes", len(b))
	}
	b = b[headerSize:]
	m := new(Model)
	var err error
	if m.finder, err = trees.Open(b[:h.Bytes]); err != nil {
		return nil, damaged("its trees: %v", err)
	}
	if m.finder.Outputs() != int(h.Trees) {
		return nil, damaged("%d trees for samples of %d", m.finder.Outputs(), h.Trees)
	}
	r := reader{b[body:]}
	m.quantiles, m.labels = r.floats(h.Quantiles), r.floats(h.Labels)
	m.first = append(make([]uint32, 1, h.Trees+1), r.words(h.Trees)...)
	m.ends = r.words(h.Leaves)
	m.items = make([]item, h.Items)
	for i := range m.items {
		m.items[i] = item{binary.LittleEndian.Uint32(r.b[8*i:]), binary.LittleEndian.Uint32(r.b[8*i+4:])}
	}
	return m, m.check()
}

func aligned(n uint64) uint64 { return (n + 7) &^ 7 }

// reader cuts arrays off the front of bytes whose length was checked.
type reader struct{ b []byte }

func (r *reader) floats(n uint32) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.b[8*i:]))
	}
	r.b = r.b[8*len(out):]
	return out
}

func (r *reader) words(n uint32) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(r.b[4*i:])
	}
	r.b = r.b[aligned(4*uint64(n)):]
	return out
}

// check verifies what scoring relies on, the numbers of samples in the trees'
// leaves excepted, which Predict checks, and makes m.first of the counts in it.
func (m *Model) check() error {
	for i, q := range m.quantiles {
		if !(q >= 0 && q <= 1) || i > 0 && q <= m.quantiles[i-1] {
			return damaged("quantiles %v", m.quantiles)
		}
	}
	for i, v := range m.labels {
		if math.IsNaN(v) || math.IsInf(v, 0) || i > 0 && v <= m.labels[i-1] {
			return damaged("labels are not in order")
		}
	}
	total := uint64(0)
	for t, n := range m.first[1:] {
		if total += uint64(n); total > uint64(len(m.ends)) {
			return damaged("tree %d has %d leaves", t, n)
		}
		m.first[t+1] = uint32(total)
	}
	if total != uint64(len(m.ends)) {
		return damaged("%d leaves, the header says %d", total, len(m.ends))
	}
	start := uint32(0)
	for i, end := range m.ends {
		if end < start || end > uint32(len(m.items)) {
			return damaged("sample %d overlaps another", i)
		}
		if err := m.checkSample(m.items[start:end]); err != nil {
			return damaged("sample %d: %v", i, err)
		}
		start = end
	}
	if start != uint32(len(m.items)) {
		return damaged("%d labels in samples, the header says %d", start, len(m.items))
	}
	return nil
}

func (m *Model) checkSample(s []item) error {
	total := uint64(0)
	for i, v := range s {
		if v.label >= uint32(len(m.labels)) || i > 0 && v.label <= s[i-1].label || v.weight == 0 {
			return fmt.Errorf("label %d of %d, weight %d", v.label, len(m.labels), v.weight)
		}
		total += uint64(v.weight)
	}
	if total != Unit {
		return fmt.Errorf("its weights come to %d", total)
	}
	return nil
}

// Features returns the number of features of a row.
func (m *Model) Features() int { return m.finder.Features() }

// Outputs returns the number of quantiles.
func (m *Model) Outputs() int { return len(m.quantiles) }

// Quantiles are those that the model answers. Read only.
func (m *Model) Quantiles() []float64 { return m.quantiles }

// blockLabels is how many neighbouring labels have a weight together at first.
const blockLabels = 64

// Session is the working memory of one caller. Not for concurrent use.
type Session struct {
	m      *Model
	finder *trees.Session
	leaves []float64
	blocks []uint64            // weight of each blockLabels labels in the pool
	within [blockLabels]uint64 // weights of the labels of one block
}

// NewSession makes a session. It allocates all that Predict will need for
// blocks of up to rows rows.
func (m *Model) NewSession(rows int) *Session {
	return &Session{
		m: m, finder: m.finder.NewSession(rows), leaves: make([]float64, rows*m.finder.Outputs()),
		blocks: make([]uint64, (len(m.labels)+blockLabels-1)/blockLabels),
	}
}

// Predict writes the quantiles of n rows to out, Outputs per row. Feature f of
// row r is x[f*n+r]; NaN is missing. It does not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	trees, k := s.m.finder.Outputs(), len(s.m.quantiles)
	s.finder.Predict(x, n, s.leaves)
	for r := range n {
		s.quantiles(s.leaves[r*trees:][:trees], out[r*k:][:k])
	}
}

// quantiles writes the quantiles of the labels in leaves: of quantile q the
// least label up to which there is a share of q of the weight.
func (s *Session) quantiles(leaves []float64, out []float64) {
	m := s.m
	for t, v := range leaves {
		if !(v >= 0 && v < float64(m.first[t+1]-m.first[t])) { // no file of Encode's has such a leaf
			for i := range out {
				out[i] = math.NaN()
			}
			return
		}
	}
	clear(s.blocks)
	for t, v := range leaves {
		for _, i := range m.sample(t, v) {
			s.blocks[i.label/blockLabels] += uint64(i.weight)
		}
	}
	total := uint64(len(leaves)) * Unit
	block, opened, below := 0, -1, uint64(0) // below: the weight of all blocks before
	for i, q := range m.quantiles {
		// A leaf's running weights are rounded, each by less than a unit: a
		// share that lacks no more than that is q.
		need := uint64(max(math.Ceil(q*float64(total))-float64(len(leaves)), 1))
		for below+s.blocks[block] < need {
			below += s.blocks[block]
			block++
		}
		if block != opened {
			s.open(block, leaves)
			opened = block
		}
		at, sum := 0, below+s.within[0]
		for sum < need {
			at++
			sum += s.within[at]
		}
		out[i] = m.labels[block*blockLabels+at]
	}
}

// open adds up the weights of the labels of one block in leaves.
func (s *Session) open(block int, leaves []float64) {
	clear(s.within[:])
	first := uint32(block * blockLabels)
	for t, v := range leaves {
		sample := s.m.sample(t, v)
		lo, n := 0, len(sample) // the first label that is not below the block
		for n > 0 {
			half := n / 2
			if sample[lo+half].label < first {
				lo += half + 1
				n -= half + 1
			} else {
				n = half
			}
		}
		for _, i := range sample[lo:] {
			if i.label >= first+blockLabels {
				break
			}
			s.within[i.label-first] += uint64(i.weight)
		}
	}
}

// sample is what the leaf of tree t whose value is v keeps.
func (m *Model) sample(t int, v float64) []item {
	at := m.first[t] + uint32(v)
	start := uint32(0)
	if at > 0 {
		start = m.ends[at-1]
	}
	return m.items[start:m.ends[at]]
}

package trees

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// ErrDamaged is the cause of every error of Open.
var ErrDamaged = errors.New("damaged tree ensemble")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// file is the canonical bytes, taken apart. Its slices may alias them.
type file struct {
	header
	input, sum          Precision
	base                []float64
	outputOf, nodesOf   []uint32
	cutEnds             []uint32
	setEnds, setFeature []uint32
	setItems            []uint32
	nodes               []uint64
	cuts32, leaves32    []float32
	cuts64, leaves64    []float64
	covers              []float32
}

// Open reads canonical bytes. It bounds every count by the length of b and
// checks every index, so that the walk need not. The Ensemble keeps parts of b:
// do not change it. Errors wrap ErrDamaged.
func Open(b []byte) (*Ensemble, error) {
	f, err := parse(b)
	if err != nil {
		return nil, err
	}
	return compile(f, hasWide)
}

func parse(b []byte) (*file, error) {
	f := new(file)
	if len(b) < headerSize {
		return nil, damaged("%d bytes are too few for a header", len(b))
	}
	if _, err := binary.Decode(b[:headerSize], binary.LittleEndian, &f.header); err != nil {
		return nil, damaged("header: %v", err)
	}
	switch {
	case f.Version != version:
		return nil, damaged("layout version %d, want %d", f.Version, version)
	case f.Flags&^(flagInput64|flagSum64|flagAverage|flagCovers) != 0:
		return nil, damaged("unknown flags %#x", f.Flags)
	case f.Features > MaxFeatures:
		return nil, damaged("%d features", f.Features)
	case f.Outputs < 1 || f.Outputs > MaxOutputs:
		return nil, damaged("%d outputs", f.Outputs)
	}
	if f.Flags&flagInput64 != 0 {
		f.input = Float64
	}
	if f.Flags&flagSum64 != 0 {
		f.sum = Float64
	}
	r := reader{b: b[headerSize:]}
	leaves := uint64(f.Nodes) + uint64(f.Trees)
	f.base = take[float64](&r, uint64(f.Outputs))
	f.outputOf = take[uint32](&r, uint64(f.Trees))
	f.nodesOf = take[uint32](&r, uint64(f.Trees))
	f.cutEnds = take[uint32](&r, uint64(f.Features))
	f.setEnds = take[uint32](&r, uint64(f.Sets))
	f.setFeature = take[uint32](&r, uint64(f.Sets))
	f.setItems = take[uint32](&r, uint64(f.SetItems))
	f.nodes = take[uint64](&r, uint64(f.Nodes))
	if f.input == Float32 {
		f.cuts32 = take[float32](&r, uint64(f.Cuts))
	} else {
		f.cuts64 = take[float64](&r, uint64(f.Cuts))
	}
	if f.sum == Float32 {
		f.leaves32 = take[float32](&r, leaves)
	} else {
		f.leaves64 = take[float64](&r, leaves)
	}
	if f.Flags&flagCovers != 0 {
		f.covers = take[float32](&r, leaves)
	}
	if r.short || len(r.b) != 0 {
		return nil, damaged("its counts do not fit its %d bytes", len(b))
	}
	return f, f.check()
}

// reader cuts arrays off the front of b.
type reader struct {
	b     []byte
	short bool
}

// take returns the next n values, a view of the file where the machine's byte
// order and the alignment allow, else a copy.
func take[T uint32 | uint64 | float32 | float64](r *reader, n uint64) []T {
	size := uint64(unsafe.Sizeof(*new(T)))
	if r.short || n > uint64(len(r.b))/size {
		r.short = true
		return nil
	}
	whole := (n*size + 7) &^ 7
	if whole > uint64(len(r.b)) {
		r.short = true
		return nil
	}
	part := r.b[:n*size]
	r.b = r.b[whole:]
	if n == 0 {
		return nil
	}
	p := unsafe.Pointer(&part[0])
	if littleEndian && uintptr(p)%uintptr(size) == 0 {
		return unsafe.Slice((*T)(p), n)
	}
	s := make([]T, n)
	if _, err := binary.Decode(part, binary.LittleEndian, s); err != nil {
		panic("trees: " + err.Error()) // lengths agree by construction
	}
	return s
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// check verifies everything that compile and the walk rely on, shapes of trees
// excepted, which compile checks as it lays them out.
func (f *file) check() error {
	for _, v := range f.base {
		if !finite(v) {
			return damaged("base score %v", v)
		}
	}
	inner := uint64(0)
	for t := range f.outputOf {
		if f.outputOf[t] >= f.Outputs {
			return damaged("tree %d adds to output %d of %d", t, f.outputOf[t], f.Outputs)
		}
		inner += uint64(f.nodesOf[t])
	}
	if inner != uint64(f.Nodes) {
		return damaged("trees have %d nodes together, the header says %d", inner, f.Nodes)
	}
	if err := ends(f.cutEnds, f.Cuts, "thresholds"); err != nil {
		return err
	}
	if err := ends(f.setEnds, f.SetItems, "category sets"); err != nil {
		return err
	}
	if err := f.checkCuts(); err != nil {
		return err
	}
	for s, feature := range f.setFeature {
		if feature >= f.Features || s > 0 && feature < f.setFeature[s-1] {
			return damaged("category set %d is of feature %d", s, feature)
		}
		items := f.set(uint32(s))
		for i, c := range items {
			if c > MaxCategory || i > 0 && c <= items[i-1] {
				return damaged("category set %d is not in order", s)
			}
		}
	}
	for i, n := range f.nodes {
		if err := f.checkNode(packed(n)); err != nil {
			return damaged("node %d: %v", i, err)
		}
	}
	for _, v := range f.leaves32 {
		if !finite(float64(v)) {
			return damaged("leaf value %v", v)
		}
	}
	for _, v := range f.leaves64 {
		if !finite(v) {
			return damaged("leaf value %v", v)
		}
	}
	for _, v := range f.covers {
		if !usableCover(float64(v)) {
			return damaged("cover %v", v)
		}
	}
	return nil
}

func (f *file) checkNode(n packed) error {
	switch {
	case !n.wellFormed():
		return errors.New("unknown flags")
	case n.feature() >= f.Features:
		return fmt.Errorf("tests feature %d of %d", n.feature(), f.Features)
	case n.in() && (n.test() >= f.Sets || f.setFeature[n.test()] != n.feature() || n.missing() > Left):
		return fmt.Errorf("its category set %d is not one of feature %d", n.test(), n.feature())
	case !n.in() && uint64(n.test()) > uint64(f.cutCount(n.feature())): // equal: never true
		return fmt.Errorf("tests threshold %d of %d", n.test(), f.cutCount(n.feature()))
	}
	return nil
}

func (f *file) checkCuts() error {
	start := uint32(0)
	for i, end := range f.cutEnds {
		for k := start; k < end; k++ {
			var v, before float64
			if f.input == Float32 {
				v, before = float64(f.cuts32[k]), float64(f.cuts32[max(k, 1)-1])
			} else {
				v, before = f.cuts64[k], f.cuts64[max(k, 1)-1]
			}
			if v != v || k > start && !(before < v) {
				return damaged("thresholds of feature %d are not in order", i)
			}
		}
		start = end
	}
	return nil
}

func ends(e []uint32, total uint32, what string) error {
	last := uint32(0)
	for _, v := range e {
		if v < last {
			return damaged("%s overlap", what)
		}
		last = v
	}
	if last != total {
		return damaged("%d %s, the header says %d", last, what, total)
	}
	return nil
}

func (f *file) cutStart(feature uint32) uint32 {
	if feature == 0 {
		return 0
	}
	return f.cutEnds[feature-1]
}

func (f *file) cutCount(feature uint32) uint32 { return f.cutEnds[feature] - f.cutStart(feature) }

func (f *file) set(s uint32) []uint32 {
	if s == 0 {
		return f.setItems[:f.setEnds[0]]
	}
	return f.setItems[f.setEnds[s-1]:f.setEnds[s]]
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

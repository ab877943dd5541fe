package kmeans

import (
	"encoding/binary"
	"errors"
	"math"
)

// state is what a training has between rounds.
type state struct {
	begun    int       // starts done
	round    int       // rounds done of this start
	centers  []float64 // of this start, nil before it
	labels   []int32   // of each row, nil where labels are no features
	best     []float64 // nil before the first start ends
	bestCost float64
}

// save writes the state, little-endian: starts, rounds, cost and the lists,
// each behind its length.
func (s *state) save() ([]byte, error) {
	b := make([]byte, 0, 48+8*(len(s.centers)+len(s.best))+4*len(s.labels))
	for _, v := range []uint64{uint64(s.begun), uint64(s.round), math.Float64bits(s.bestCost)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, list := range [][]float64{s.centers, s.best} {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(list)))
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	for _, v := range s.labels {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b, nil
}

var errState = errors.New("the saved state is not of this training")

// restore reads a state.
func (t *training) restore(b []byte) error {
	if len(b) < 24 {
		return errState
	}
	begun, round := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if begun > uint64(t.o.Starts) || round > uint64(t.o.Iterations) {
		return errState
	}
	t.begun, t.round = int(begun), int(round)
	t.bestCost = math.Float64frombits(binary.LittleEndian.Uint64(b[16:]))
	b = b[24:]
	size := t.o.Centers * t.width
	for _, list := range []*[]float64{&t.centers, &t.best} {
		if len(b) < 8 {
			return errState
		}
		n := binary.LittleEndian.Uint64(b)
		b = b[8:]
		if n == 0 {
			continue
		}
		if n != uint64(size) || uint64(len(b)) < 8*n {
			return errState
		}
		*list = make([]float64, n)
		for k := range *list {
			(*list)[k] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*k:]))
		}
		b = b[8*n:]
	}
	if t.width == t.features && len(b) == 0 {
		return nil
	}
	if len(b) != 4*t.d.Rows || t.width == t.features {
		return errState
	}
	t.labels = make([]int32, t.d.Rows)
	for r := range t.labels {
		g := int32(binary.LittleEndian.Uint32(b[4*r:]))
		if g < -1 || int(g) >= t.d.Guides {
			return errState
		}
		t.label(r, g)
	}
	return nil
}

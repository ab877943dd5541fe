package trees

import (
	"encoding/binary"
	"math"
)

func usableCover(v float64) bool { return v >= 0 && v <= math.MaxFloat32 }

// KeepCovers sets f.Covers where the nodes' covers can be used: every leaf has
// one, and those of a node's children add up to its own. It reports whether
// they can.
func (f *Forest) KeepCovers() bool {
	f.Covers = true
	for t := range f.Trees {
		nodes := f.Trees[t].Nodes
		known := false
		for i := range nodes {
			n := &nodes[i]
			known = known || n.Cover > 0
			if !usableCover(n.Cover) {
				f.Covers = false
				return false
			}
			if n.Test == Leaf || n.Cover == 0 || n.Left < 0 || n.Right < 0 || int(max(n.Left, n.Right)) >= len(nodes) {
				continue
			}
			// Libraries sum covers in float32, each in an order of its own.
			if sum := nodes[n.Left].Cover + nodes[n.Right].Cover; math.Abs(sum-n.Cover) > 1e-3*n.Cover {
				f.Covers = false
				return false
			}
		}
		f.Covers = f.Covers && known
	}
	return f.Covers
}

// WithoutCovers returns canonical bytes without their covers: what decides
// scores, and nothing else.
func WithoutCovers(b []byte) ([]byte, error) {
	f, err := parse(b)
	if err != nil || f.covers == nil {
		return b, err
	}
	section := (4*len(f.covers) + 7) &^ 7
	short := append([]byte(nil), b[:len(b)-section]...)
	binary.LittleEndian.PutUint32(short[4:], f.Flags&^flagCovers)
	return short, nil
}

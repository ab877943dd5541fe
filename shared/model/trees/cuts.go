package trees

import (
	"math"
	"math/bits"
)

// cutTable is a feature's thresholds for rankColumn: every sixteenth, then all
// of them in sixteenths, padded with +Inf. Its layout is the kernel's.
type cutTable struct {
	pivots [16]float32
	cuts   [17 * 16]float32 // one sixteenth more than there are pivots
	count  int
}

// tabulate makes the tables of the features that have at most 254 cuts, which
// is one slot a view; nil for the others.
func (e *Ensemble) tabulate() {
	e.tables = make([]*cutTable, len(e.numeric))
	for i := range e.numeric {
		f := &e.numeric[i]
		cuts := e.cuts32[f.start:f.end]
		if len(cuts) > chunk {
			continue
		}
		t := &cutTable{count: len(cuts)}
		for j := range t.cuts {
			t.cuts[j] = float32(math.Inf(1))
		}
		copy(t.cuts[:], cuts)
		for j := range t.pivots {
			t.pivots[j] = t.cuts[16*j+15]
		}
		e.tables[i] = t
	}
}

// fillRow writes a value's rank into the slots of a row.
func (f *numericFeature) fillRow(t *cutTable, v *float64, row []byte) {
	var q byte
	missing := rankColumn(t, v, 1, &q)
	for _, w := range f.views {
		b := q
		switch {
		case missing == 0:
			if w.mode >= ZeroRight && math.Abs(*v) <= zeroBound {
				b = w.mode.absent()
			}
		case w.mode == AsZero:
			zero := 0.0
			rankColumn(t, &zero, 1, &b)
		default:
			b = w.mode.absent()
		}
		row[w.base] = b
	}
}

// fillBlockTable is fillBlock by the kernel.
func (f *numericFeature) fillBlockTable(t *cutTable, values []float64, block []byte) {
	first := (*[BlockRows]byte)(block[f.views[0].base*BlockRows:])
	missing := rankColumn(t, &values[0], len(values), &first[0])
	for _, w := range f.views[1:] {
		*(*[BlockRows]byte)(block[w.base*BlockRows:]) = *first
	}
	for _, w := range f.views {
		dst := (*[BlockRows]byte)(block[w.base*BlockRows:])
		b := w.mode.absent()
		if w.mode == AsZero && missing != 0 {
			zero := 0.0
			rankColumn(t, &zero, 1, &b)
		}
		for m := missing; m != 0; m &= m - 1 {
			dst[bits.TrailingZeros64(m)] = b
		}
		if w.mode >= ZeroRight {
			for r, v := range values {
				if math.Abs(v) <= zeroBound {
					dst[r] = b
				}
			}
		}
	}
}

// absent is the byte of a missing value: below every rank, or above.
func (m Missing) absent() byte {
	if m == Left || m == ZeroLeft {
		return 0
	}
	return 255
}

package trees

import (
	"math"
	"math/bits"
	"unsafe"
)

// cutTable is a feature's thresholds for rankColumn32 or rankColumn64: every
// sixteenth, then all of them in sixteenths and one sixteenth more, padded with +Inf.
// Its layout is the kernels'.
type cutTable struct {
	pivots unsafe.Pointer // 16, and the cuts behind them; nil where there are too many
	count  uintptr
	spare  uintptr // bytes of the cuts before the spare sixteenth
}

// rowTable is a plainFeature for rankRow32 or rankRow64. Its layout is the kernels'.
type rowTable struct {
	cutTable
	feature     uintptr
	left, right uint32
}

// tabulate makes the tables of the features that have one slot a view.
func (e *Ensemble) tabulate() {
	if e.input == Float32 {
		tabulate(e, e.cuts32)
	} else {
		tabulate(e, e.cuts64)
	}
}

func tabulate[T number](e *Ensemble, all []T) {
	e.tables = make([]cutTable, len(e.numeric))
	places := 0
	sixteenths := func(f *numericFeature) int { return (int(f.end-f.start) + 15) / 16 }
	for i := range e.numeric {
		if f := &e.numeric[i]; f.end-f.start < chunk {
			places += 16 * (1 + sixteenths(f) + 1)
		}
	}
	width := int(unsafe.Sizeof(*new(T)))
	var arena []T
	if places > 0 {
		arena = unsafe.Slice((*T)(unsafe.Pointer(&aligned(places * width)[0])), places)
	}
	fill(arena, T(math.Inf(1)))
	for i := range e.numeric {
		f := &e.numeric[i]
		if f.end-f.start >= chunk {
			continue
		}
		k := sixteenths(f)
		pivots, cuts := arena[:16], arena[16:]
		copy(cuts, all[f.start:f.end])
		for j := range k {
			pivots[j] = cuts[16*j+15]
		}
		e.tables[i] = cutTable{unsafe.Pointer(&pivots[0]), uintptr(f.end - f.start), uintptr(16 * width * k)}
		arena = arena[16*(k+2):]
	}
	e.ranked = make([]rowTable, 0, len(e.plain))
	for i, k := 0, 0; k < len(e.plain); i++ {
		if p := &e.plain[k]; e.numeric[i].feature == int(p.feature) {
			e.ranked = append(e.ranked, rowTable{e.tables[i], uintptr(p.feature), p.left, p.right})
			k++
		}
	}
	e.stats.Bytes += places*width + len(e.tables)*int(unsafe.Sizeof(cutTable{})) + len(e.ranked)*int(unsafe.Sizeof(rowTable{}))
}

// fillBlockTable is fillBlock by the kernel, for a feature of one slot a view.
func (f *numericFeature) fillBlockTable(t *cutTable, input Precision, values []float64, block []byte) {
	first := (*[BlockRows]byte)(block[f.views[0].base*BlockRows:])
	missing := t.rank(input, values, first)
	for _, w := range f.views[1:] {
		*(*[BlockRows]byte)(block[w.base*BlockRows:]) = *first
	}
	for _, w := range f.views {
		dst := (*[BlockRows]byte)(block[w.base*BlockRows:])
		b := w.mode.absent()
		if w.mode == AsZero && missing != 0 {
			var zero [BlockRows]byte
			t.rank(input, []float64{0}, &zero)
			b = zero[0]
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

// rank writes the ranks of at most 64 values and returns which are missing.
func (t *cutTable) rank(input Precision, values []float64, dst *[BlockRows]byte) (missing uint64) {
	if input == Float32 {
		return rankColumn32(t, &values[0], len(values), &dst[0])
	}
	return rankColumn64(t, &values[0], len(values), &dst[0])
}

// absent is the byte of a missing value: below every rank, or above.
func (m Missing) absent() byte {
	if m == Left || m == ZeroLeft {
		return 0
	}
	return 255
}

package boost

import (
	"bytes"
	"encoding/binary"

	"github.com/portico-ml/portico/shared/fault"
)

// saved is the head of a saved state; the trees follow, each the number of its
// nodes and they themselves. Sums are not saved: they follow from the trees.
type saved struct {
	Format, Rows, Features, Outputs, Trees uint32
}

const stateFormat = 1

// state is what resume goes on from.
func (t *training) state() ([]byte, error) {
	var b []byte
	head := t.head()
	head.Trees = uint32(len(t.trees))
	b, err := binary.Append(b, binary.LittleEndian, head)
	for i := 0; err == nil && i < len(t.trees); i++ {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.trees[i])))
		b, err = binary.Append(b, binary.LittleEndian, t.trees[i])
	}
	return b, err
}

func (t *training) head() saved {
	return saved{Format: stateFormat, Rows: uint32(t.m.Rows), Features: uint32(len(t.m.Features)), Outputs: uint32(len(t.base))}
}

// resume reads the trees of a saved state and adds them to the sums, in their
// order.
func (t *training) resume() error {
	if t.s.Saved == nil {
		return nil
	}
	r := bytes.NewReader(t.s.Saved)
	var head saved
	err := binary.Read(r, binary.LittleEndian, &head)
	want := t.head()
	want.Trees = head.Trees
	if err != nil || head != want {
		return fault.New(fault.LibraryExecution, "", "the saved state is not of this training").Because(err)
	}
	for range head.Trees {
		var n uint32
		if err = binary.Read(r, binary.LittleEndian, &n); err != nil || int64(n)*int64(binary.Size(node{})) > int64(r.Len()) {
			return fault.New(fault.LibraryExecution, "", "the saved state is cut short").Because(err)
		}
		one := make(tree, n)
		if err = binary.Read(r, binary.LittleEndian, one); err == nil {
			err = one.check(len(t.m.Features))
		}
		if err != nil {
			return fault.New(fault.LibraryExecution, "", "the saved state is damaged").Because(err)
		}
		t.trees = append(t.trees, one)
	}
	t.s.Spans(t.m.Rows, func(_, from, to int) {
		for i, one := range t.trees {
			sums := t.sums[i%len(t.base)]
			for row := from; row < to; row++ {
				t.add(sums, []uint32{uint32(row)}, one.value(t.m, row))
			}
		}
	})
	return nil
}

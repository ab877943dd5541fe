package frame

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// every makes a frame of a column of each kind.
func every(rows int) *Frame {
	r := rand.New(rand.NewPCG(15, 16))
	f := &Frame{}
	for i, k := range kinds {
		c := NewColumn(k.f, rows)
		for range rows {
			if n := r.IntN(4); n < 3 {
				c.AppendText([]byte(k.cells[n]))
			} else if i%2 == 0 { // every other column has no missing cell
				c.AppendNull()
			} else {
				c.AppendText([]byte(k.cells[0]))
			}
		}
		f.Cols = append(f.Cols, c)
	}
	return f
}

func TestBinaryRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		f := every(n)
		g, err := Decode(Encode(f))
		if err != nil {
			t.Fatalf("%d rows: %v", n, err)
		}
		if d := cmp.Diff(f.Schema(), g.Schema()); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(rows(f), rows(g)); d != "" {
			t.Error(d)
		}
		for i := range g.Cols { // a decoded column is like any other
			g.Cols[i].AppendNull()
			g.Cols[i].AppendText([]byte(kinds[i].cells[2]))
			want := append(texts(f.Cols[i]), "-", kinds[i].cells[2])
			same(t, g.Cols[i], want...)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Encode(every(70))
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x40
		if _, err := Decode(bad); err == nil {
			t.Fatalf("a flipped bit in byte %d went unnoticed", i)
		}
		if _, err := Decode(good[:i]); err == nil {
			t.Fatalf("the first %d bytes passed for the whole", i)
		}
	}
	if _, err := Decode([]byte("PFRM\x02 and more")); err == nil || !strings.Contains(err.Error(), "not a frame of version 1") {
		t.Error(err)
	}
}

// sign gives data a right checksum.
func sign(data []byte) []byte {
	return binary.LittleEndian.AppendUint32(append([]byte(nil), data...), crc32.Checksum(data, castagnoli))
}

// FuzzDecode decodes anything that carries a right checksum: it must not
// panic, and what it takes must be whole.
func FuzzDecode(f *testing.F) {
	good := Encode(every(3))
	f.Add(good[:len(good)-4])
	f.Add([]byte(binaryMagic + "\x02\x00\x00\x00[]\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte(binaryMagic + "\x15\x00\x00\x00[{\"name\":\"a\",\"type\":\"Double\"}]\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fr, err := Decode(sign(data))
		if err != nil {
			return
		}
		if err := fr.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(Encode(fr))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rows(fr), rows(again)); d != "" {
			t.Fatal(d)
		}
	})
}

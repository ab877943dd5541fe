package batch

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// However many ranges are read at once they come in order, all and once; one
// that cannot be read ends it.
func TestPieces(t *testing.T) {
	r := newRig(t)
	text := "id,minutes,calls\n" + strings.Repeat("C00001,12.5,3\n", (5*ScanBytes+12_345)/14)
	r.put("in.csv", text)
	in := blob.Own(r.caller.Blobs, "in.csv")
	info, err := in.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j := &job{Inputs: []source{{Name: "input1", Format: "csv"}}}
	p := pin{info.ETag, info.Size}
	read := func(off int64) (string, error) {
		var got strings.Builder
		for piece, err := range r.b.pieces(t.Context(), j, in, p, off) {
			if err != nil {
				return "", err
			}
			got.Write(piece)
		}
		return got.String(), nil
	}
	for _, off := range []int64{0, 1, ScanBytes, int64(len(text)) - 1, int64(len(text))} {
		for _, busy := range []int64{0, readers} { // by others, who read ahead
			if !r.b.scans.TryAcquire(busy) {
				t.Fatal("a reader before has not left")
			}
			got, err := read(off)
			if err != nil || got != text[off:] {
				t.Errorf("from %d: %d bytes of %d, %v", off, len(got), len(text[off:]), err)
			}
			r.b.scans.Release(busy)
		}
	}
	// Held up, the first range comes first all the same.
	gate := faulty.NewGate(func(c faulty.Call) bool { return c.Method == "Get" })
	others := make(chan struct{}, ScanReads)
	r.caller.Plan(gate.Rule, func(context.Context, faulty.Call) faulty.Effect {
		select {
		case others <- struct{}{}:
		default:
		}
		return faulty.Pass
	})
	go func() {
		<-gate.Reached
		for range ScanReads - 1 {
			<-others
		}
		gate.Open()
	}()
	if got, err := read(0); err != nil || got != text {
		t.Errorf("with one range held up: %d bytes, %v", len(got), err)
	}
	r.caller.Revive()
	for n := range 6 {
		r.caller.Plan(faulty.NthOf("Blobs.Get", n+1, faulty.FailBefore))
		if _, err := read(0); !fault.Is(err, fault.Unavailable) {
			t.Errorf("range %d cannot be read: %v", n+1, err)
		}
	}
	// Who stops early leaves nothing behind that reads.
	r.caller.Revive()
	for range r.b.pieces(t.Context(), j, in, p, 0) {
		break
	}
	if got := len(r.caller.Calls()); got != ScanReads || !r.b.scans.TryAcquire(readers) {
		t.Errorf("%d ranges were read", got)
	}
}

// A plan is the same whether its input was read ahead or not.
func TestPlan_ahead(t *testing.T) {
	var plans [][]chunk
	for _, busy := range []int64{0, readers} {
		r := newRig(t)
		r.limits = Limits{ChunkBytes: 1 << 20}
		r.restart()
		r.put("in.csv", rows(600_000))
		if !r.b.scans.TryAcquire(busy) {
			t.Fatal("it is new")
		}
		id := r.submit(body(""))
		for r.deliver(JobQueue) {
		}
		j, err := r.b.load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		seg, err := r.b.segment(t.Context(), j, 0)
		if err != nil {
			t.Fatal(err)
		}
		if j.Bytes < 2*ScanBytes || len(seg.Chunks) < 8 {
			t.Fatalf("%d bytes in %d chunks: too little to say anything", j.Bytes, len(seg.Chunks))
		}
		plans = append(plans, seg.Chunks)
	}
	if !slices.Equal(plans[0], plans[1]) {
		t.Errorf("plans differ: %v and %v", plans[0], plans[1])
	}
}

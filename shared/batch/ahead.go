package batch

import (
	"context"
	"iter"
	"runtime"

	"github.com/portico-ml/portico/shared/connect/blob"
)

// A job begins when its input is cut, and one process cuts it. To find where
// records end costs a fortieth of what it costs to score them, but one request
// of a cloud's storage gives its bytes much slower than that: so the planner
// reads the input by several requests.
const (
	ScanReads = 4       // ranges of an input that a planner reads at once
	ScanBytes = 4 << 20 // of each
	// readers is how many planners of a process read so; what others of them
	// have in memory is one range.
	readers = 2
)

// ChunkPlaces is how many chunks a process of so many cores works on at once:
// one reads or writes while others use the processor. Each takes some 40 MB.
func ChunkPlaces(cores int) int { return cores + 1 }

func chunkPlaces() int { return ChunkPlaces(runtime.GOMAXPROCS(0)) }

// pieces reads a pinned input from off to its end, in order. A piece is good
// until the next one.
func (b *Batch) pieces(ctx context.Context, j *job, in *blob.Blob, p pin, off int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		at := 1
		if b.scans.TryAcquire(1) {
			defer b.scans.Release(1)
			at = ScanReads
		}
		ctx, cancel := context.WithCancel(ctx)
		type piece struct {
			body []byte
			err  error
		}
		var coming []chan piece
		defer func() {
			cancel()
			for _, c := range coming {
				<-c
			}
		}()
		ask := func(buf []byte) {
			n := min(ScanBytes, p.Size-off)
			if n <= 0 {
				return
			}
			c, from := make(chan piece, 1), off
			go func() {
				body, err := b.readRange(ctx, j, 0, in, p.ETag, from, n, buf)
				c <- piece{body, err}
			}()
			coming, off = append(coming, c), off+n
		}
		for range at {
			ask(nil)
		}
		for len(coming) > 0 {
			got := <-coming[0]
			coming = coming[1:]
			if !yield(got.body, got.err) || got.err != nil {
				return
			}
			ask(got.body)
		}
	}
}

package batch

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/storage"
)

// segmentChunks is the most chunks of one segment.
const segmentChunks = 1000

// segment is one blob of a plan.
type segment struct {
	Format int `json:"format"`
	First  int `json:"first"` // number of its first chunk
	// Segment 0 fixes what was found at the start.
	Pins        []pin  `json:"pins,omitempty"`   // of the inputs, in order
	Header      string `json:"header,omitempty"` // what comes before the records of a text, as it is
	ChunkBytes  int64  `json:"chunkBytes,omitempty"`
	RecordBytes int    `json:"recordBytes,omitempty"`
	Whole       bool   `json:"whole,omitempty"`
	Ignored     int    `json:"ignored,omitempty"` // columns that the service does not know

	Chunks []chunk `json:"chunks,omitempty"`
	// End is the scanner's state behind the last chunk.
	End  frame.ScanState `json:"end"`
	Last bool            `json:"last,omitempty"`
}

// pin is the version of an input that the job reads.
type pin struct {
	ETag string `json:"etag"`
	Size int64  `json:"size"`
}

// chunk is a range of an input and the records in it, numbered from 1 behind
// the header. As JSON it is an array, for there may be 45,000.
type chunk struct {
	Offset, Length int64
	// First is the number of its first record, Records how many it has, and
	// Line the line of the file it begins on.
	First, Records, Line int64
	// Long says that it is one record above the size limit: a bad row, which
	// nobody reads into memory.
	Long bool
	// Open says of such a record that it ends with the file, inside of quotes.
	Open bool
}

// MarshalJSON writes [offset,length,first,records,line], and for a long record
// a sixth number: 1, or 2 of one that is open.
func (c chunk) MarshalJSON() ([]byte, error) {
	a := []int64{c.Offset, c.Length, c.First, c.Records, c.Line}
	switch {
	case c.Open:
		a = append(a, 2)
	case c.Long:
		a = append(a, 1)
	}
	return json.Marshal(a)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *chunk) UnmarshalJSON(b []byte) error {
	var a []int64
	if err := json.Unmarshal(b, &a); err != nil {
		return err
	}
	if len(a) != 5 && len(a) != 6 {
		return fmt.Errorf("a chunk of %d numbers", len(a))
	}
	*c = chunk{a[0], a[1], a[2], a[3], a[4], len(a) == 6, len(a) == 6 && a[5] == 2}
	return nil
}

// hasher is the digest of a plan under construction.
type hasher interface {
	io.Writer
	Sum(b []byte) []byte
}

// readPlan reads the segments there are.
func (b *Batch) readPlan(ctx context.Context, j *job) (segs []*segment, sum hasher, err error) {
	sum = sha256.New()
	for {
		body, err := b.readBlob(ctx, segmentKey(j.Workspace, j.ID, len(segs)))
		gone, err := absent(err)
		if gone || err != nil {
			return segs, sum, err
		}
		seg, err := decodeSegment(body, sum)
		if err != nil {
			return nil, nil, err
		}
		segs = append(segs, seg)
	}
}

func decodeSegment(body []byte, sum hasher) (*segment, error) {
	seg := &segment{}
	if err := json.Unmarshal(body, seg); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if seg.Format != 1 {
		return nil, fault.New(fault.Internal, "", "plan of format %d: this program reads 1", seg.Format)
	}
	if sum != nil {
		sum.Write(body)
	}
	return seg, nil
}

// writeSegment writes segment n, or returns the one another planner wrote.
func (b *Batch) writeSegment(ctx context.Context, j *job, n int, seg *segment, sum hasher) (*segment, error) {
	body, err := json.Marshal(seg)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	key := segmentKey(j.Workspace, j.ID, n)
	_, err = b.store.Blobs.Put(ctx, key, body, nil, storage.Condition{IfAbsent: true})
	if fault.HasCode(err, storage.CodeExists) {
		body, err = b.readBlob(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	return decodeSegment(body, sum)
}

func (b *Batch) readBlob(ctx context.Context, key string) ([]byte, error) {
	info, r, err := b.store.Blobs.Get(ctx, key, storage.ReadOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	body := make([]byte, info.Size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "read "+key)
	}
	return body, nil
}

// segmentCache keeps the segments that this process worked on last. A segment
// never changes.
type segmentCache struct {
	mu   sync.Mutex
	segs map[string]*cachedSegment
}

type cachedSegment struct {
	*segment
	used time.Time
}

const cachedSegments = 32

func (b *Batch) segment(ctx context.Context, j *job, n int) (*segment, error) {
	key := segmentKey(j.Workspace, j.ID, n)
	c := &b.segments
	c.mu.Lock()
	if s := c.segs[key]; s != nil {
		s.used = time.Now()
		c.mu.Unlock()
		return s.segment, nil
	}
	c.mu.Unlock()
	body, err := b.readBlob(ctx, key)
	if err != nil {
		return nil, err
	}
	seg, err := decodeSegment(body, nil)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.segs == nil {
		c.segs = make(map[string]*cachedSegment)
	}
	for len(c.segs) >= cachedSegments {
		oldest := ""
		for k, s := range c.segs {
			if oldest == "" || s.used.Before(c.segs[oldest].used) {
				oldest = k
			}
		}
		delete(c.segs, oldest)
	}
	c.segs[key] = &cachedSegment{seg, time.Now()}
	return seg, nil
}

// chunkAt returns what segment 0 says of the job, and its n-th chunk.
func (b *Batch) chunkAt(ctx context.Context, j *job, n int) (*segment, chunk, error) {
	first, err := b.segment(ctx, j, 0)
	if err != nil {
		return nil, chunk{}, err
	}
	i := len(j.Segments) - 1
	for i > 0 && j.Segments[i] > n {
		i--
	}
	seg := first
	if i > 0 {
		if seg, err = b.segment(ctx, j, i); err != nil {
			return nil, chunk{}, err
		}
	}
	if k := n - seg.First; k >= 0 && k < len(seg.Chunks) {
		return first, seg.Chunks[k], nil
	}
	return nil, chunk{}, fault.New(fault.Internal, "", "job %s has no chunk %d", j.ID, n)
}

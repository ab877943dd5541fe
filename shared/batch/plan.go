package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// A plan is written once, in segments, each only where none is yet: a planner
// that is repeated goes on behind the last segment, and of two at once the
// slower reads what the faster wrote. So every worker, whenever it runs, sees
// the same chunks.

// segmentChunks is the most chunks of one segment.
const segmentChunks = 1000

// segment is one blob of a plan.
type segment struct {
	Format int `json:"format"`
	First  int `json:"first"` // number of its first chunk
	// Segment 0 fixes what was found at the start.
	Pins        []pin  `json:"pins,omitempty"`   // of the inputs, in order
	Header      string `json:"header,omitempty"` // the header row of the input, as it is
	ChunkBytes  int64  `json:"chunkBytes,omitempty"`
	RecordBytes int    `json:"recordBytes,omitempty"`
	Whole       bool   `json:"whole,omitempty"`
	Ignored     int    `json:"ignored,omitempty"` // columns that the service does not know

	Chunks []chunk `json:"chunks,omitempty"`
	// End is the scanner's state behind the last chunk.
	End  frame.CSVState `json:"end"`
	Last bool           `json:"last,omitempty"`
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
}

// MarshalJSON writes [offset,length,first,records,line], and a sixth number
// for a long record.
func (c chunk) MarshalJSON() ([]byte, error) {
	a := []int64{c.Offset, c.Length, c.First, c.Records, c.Line}
	if c.Long {
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
	*c = chunk{a[0], a[1], a[2], a[3], a[4], len(a) == 6}
	return nil
}

// plan splits a job and starts it.
func (b *Batch) plan(ctx context.Context, id string) error {
	j, err := b.load(ctx, id)
	if err != nil {
		return err
	}
	switch j.State {
	case Planning:
	case Running:
		return b.launch(ctx, j)
	default:
		return b.tidy(ctx, j)
	}
	var sec secrets
	if err := b.unseal(j, &sec); err != nil {
		return err
	}
	in, err := b.sources(ctx, j, &sec)
	if err != nil {
		return err
	}
	segs, sum, err := b.readPlan(ctx, j)
	if err != nil {
		return err
	}
	slice, cancel := context.WithTimeout(ctx, b.lim.PlanSlice)
	defer cancel()
	for len(segs) == 0 || !segs[len(segs)-1].Last {
		if len(segs) > 0 && slice.Err() != nil {
			return b.send(ctx, step{Step: stepPlan, Job: id})
		}
		seg, err := b.nextSegment(ctx, slice, j, in, segs)
		if err != nil {
			return err
		}
		if seg, err = b.writeSegment(ctx, j, len(segs), seg, sum); err != nil {
			return err
		}
		segs = append(segs, seg)
	}
	if err := b.mark(ctx, j, true); err != nil {
		return err
	}
	window, err := b.window(ctx, j.Workspace)
	if err != nil {
		return err
	}
	last := segs[len(segs)-1]
	j, _, err = b.change(ctx, id, func(j *job) bool {
		if j.State != Planning {
			return false
		}
		j.State = Running
		j.Plan = hex.EncodeToString(sum.Sum(nil))[:16]
		j.Whole, j.Ignored = segs[0].Whole, segs[0].Ignored
		j.Chunks = last.First + len(last.Chunks)
		j.Window = window
		j.Segments = nil
		for _, s := range segs {
			j.Segments = append(j.Segments, s.First)
		}
		return true
	})
	if err != nil {
		return err
	}
	if j.State != Running {
		return b.tidy(ctx, j)
	}
	return b.launch(ctx, j)
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

// nextSegment scans on from the last segment. slice is the time it has: it
// gives what it has found by then.
func (b *Batch) nextSegment(ctx, slice context.Context, j *job, in []*blob.Blob, segs []*segment) (*segment, error) {
	if len(segs) == 0 {
		seg, err := b.firstSegment(ctx, j, in)
		if err != nil || seg.Last {
			return seg, err
		}
		return seg, b.scan(ctx, slice, j, in[0], seg, seg)
	}
	prev := segs[len(segs)-1]
	seg := &segment{Format: 1, First: prev.First + len(prev.Chunks), End: prev.End}
	return seg, b.scan(ctx, slice, j, in[0], segs[0], seg)
}

// firstSegment pins the inputs and decides how the job is split.
func (b *Batch) firstSegment(ctx context.Context, j *job, in []*blob.Blob) (*segment, error) {
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return nil, err
	}
	defer release()
	seg := &segment{Format: 1, RecordBytes: b.lim.RecordBytes}
	var all int64
	for i, s := range j.Inputs {
		info, err := in[i].Head(ctx)
		if err == nil && s.ETag != "" && info.ETag != s.ETag {
			err = fault.New(fault.Conflict, storage.CodeCondition, "changed")
		}
		if err != nil {
			return nil, b.unreadable(j, i, err)
		}
		seg.Pins = append(seg.Pins, pin{info.ETag, info.Size})
		all += info.Size
	}
	if d.Manifest().Whole || len(in) != 1 {
		if all > b.lim.WholeBytes {
			return nil, fault.New(fault.TooLarge, "OutOfMemoryLimit", "the inputs have %d bytes; a job that has to see all its rows at once takes at most %d", all, b.lim.WholeBytes)
		}
		seg.Whole, seg.Last = true, true
		return seg, nil
	}
	size := seg.Pins[0].Size
	seg.ChunkBytes = max(b.lim.ChunkBytes, (size+int64(b.lim.MaxChunks)-1)/int64(b.lim.MaxChunks))
	if seg.ChunkBytes > b.lim.MaxChunkBytes {
		return nil, fault.New(fault.TooLarge, "OutOfMemoryLimit", "%s has %d bytes; a job takes at most %d", j.Inputs[0].Name, size, b.lim.MaxChunkBytes*int64(b.lim.MaxChunks)).At(j.Inputs[0].Name)
	}
	head, err := b.readRange(ctx, j, 0, in[0], seg.Pins[0].ETag, 0, min(size, headerMax), nil)
	if err != nil {
		return nil, err
	}
	h, err := b.csv(j, 0, nil).Header(head, d.Input(0))
	if err != nil {
		return nil, at(err, j.Inputs[0].Name)
	}
	if int64(h.Size) == headerMax && size > headerMax {
		return nil, fault.New(fault.BadUserArgument, "InputParseError", "the header row is longer than %d bytes", headerMax).At(j.Inputs[0].Name)
	}
	seg.Header, seg.Ignored = string(head[:h.Size]), len(h.Extra)
	seg.End = frame.CSVState{Offset: int64(h.Size), Start: int64(h.Size), Lines: int64(strings.Count(seg.Header, "\n"))}
	seg.Last = seg.End.Offset >= size
	return seg, nil
}

// headerMax bounds a header row.
const headerMax = 1 << 20

// csv is how input i of a job is read.
func (b *Batch) csv(j *job, i int, bad func(frame.BadRecord) error) frame.CSV {
	return frame.CSV{
		Comma: comma(j.Inputs[i].Format), RefuseExtra: j.Options.ExtraColumns == extrasError,
		MaxRecord: b.lim.RecordBytes, Workers: 1, OnBad: bad,
	}
}

// unreadable is the end of a job whose input cannot be read as it was when the
// job began.
func (b *Batch) unreadable(j *job, i int, err error) error {
	name := j.Inputs[i].Name
	switch {
	case fault.HasCode(err, storage.CodeCondition):
		return fault.New(fault.BadArgument, "InvalidBlob", "%s changed while the job was reading it", name).At(name)
	case fault.Is(err, fault.NotFound):
		return fault.New(fault.BadArgument, "BlobNotFound", "%s: %s", name, fault.Of(err).Msg).At(name)
	case fault.Is(err, fault.Forbidden):
		return fault.New(fault.BadArgument, "BlobNotFound", "%s cannot be read: %s", name, fault.Of(err).Msg).At(name)
	}
	return at(err, name)
}

// readRange reads n bytes of an input from off, of the pinned version, into
// buf where that is large enough.
func (b *Batch) readRange(ctx context.Context, j *job, i int, in *blob.Blob, etag string, off, n int64, buf []byte) ([]byte, error) {
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if n == 0 {
		return buf, nil
	}
	r, err := in.Read(ctx, etag, off, n)
	if err != nil {
		return nil, b.unreadable(j, i, err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, b.unreadable(j, i, fault.Wrap(err, fault.Unavailable, "read "+j.Inputs[i].Name))
	}
	return buf, nil
}

// scan appends chunks to seg until it is full, the time is up or the input
// ends.
func (b *Batch) scan(ctx, slice context.Context, j *job, in *blob.Blob, first, seg *segment) error {
	pin := first.Pins[0]
	r, err := in.Read(ctx, pin.ETag, seg.End.Offset, pin.Size-seg.End.Offset)
	if err != nil {
		return b.unreadable(j, 0, err)
	}
	defer r.Close()
	c := cutter{seg: seg, scan: frame.NewCSVScanner(comma(j.Inputs[0].Format), seg.End), size: first.ChunkBytes, limit: int64(first.RecordBytes)}
	c.begin()
	buf := make([]byte, scanPiece)
	for at := seg.End.Offset; at < pin.Size; {
		piece := buf[:min(int64(len(buf)), pin.Size-at)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return b.unreadable(j, 0, fault.Wrap(err, fault.Unavailable, "read "+j.Inputs[0].Name))
		}
		at += int64(len(piece))
		if c.take(piece) || slice.Err() != nil && len(seg.Chunks) > 0 {
			return nil // what is behind the last chunk is scanned again
		}
	}
	c.finish()
	seg.Last = true
	return nil
}

// scanPiece is how much of an input the planner has in memory.
const scanPiece = 1 << 20

// cutter cuts an input, which comes piece by piece, into the chunks of a
// segment. A record above the limit is a chunk of its own.
type cutter struct {
	seg         *segment
	scan        *frame.CSVScanner
	size, limit int64

	cur chunk // the one being measured
}

func (c *cutter) begin() {
	st := c.scan.State
	c.cur = chunk{Offset: st.Offset, First: st.Records + 1, Line: st.Lines + 1}
}

// take takes the next piece, and reports whether the segment is full.
func (c *cutter) take(piece []byte) (full bool) {
	for len(piece) > 0 {
		n, cut := c.scan.Advance(piece, c.target())
		piece = piece[n:]
		switch {
		case cut:
			if full = c.end(c.scan.State.Offset); full {
				return true
			}
		case !c.cur.Long && c.scan.State.Offset-c.scan.State.Start > c.limit:
			if full = c.endBefore(); full {
				return true
			}
			c.cur.Long = true
		}
	}
	return false
}

// target is where the chunk may end: a long record is one by itself.
func (c *cutter) target() int64 {
	if c.cur.Long {
		return 0
	}
	return c.cur.Offset + c.size
}

// end ends the chunk at offset, where a record ends, and begins the next.
func (c *cutter) end(offset int64) (full bool) {
	c.cur.Length = offset - c.cur.Offset
	c.cur.Records = c.scan.State.Records - c.cur.First + 1
	c.seg.Chunks = append(c.seg.Chunks, c.cur)
	c.seg.End = c.scan.State
	c.begin()
	return len(c.seg.Chunks) >= segmentChunks
}

// endBefore ends the chunk where the unfinished record begins.
func (c *cutter) endBefore() (full bool) {
	st := c.scan.State
	if st.Start == c.cur.Offset {
		return false
	}
	c.cur.Length = st.Start - c.cur.Offset
	c.cur.Records = st.Records - c.cur.First + 1
	c.seg.Chunks = append(c.seg.Chunks, c.cur)
	// The line of the long record is known only if it has no line ends yet;
	// it is good enough for a message.
	c.seg.End = frame.CSVState{Offset: st.Start, Start: st.Start, Records: st.Records, Lines: st.Lines}
	c.cur = chunk{Offset: st.Start, First: st.Records + 1, Line: st.Lines + 1}
	return len(c.seg.Chunks) >= segmentChunks
}

// finish ends the last chunk where the input ends, with or without a line end.
func (c *cutter) finish() {
	c.scan.End()
	st := &c.scan.State
	if st.Offset > c.cur.Offset && (c.cur.Long || st.Records >= c.cur.First) {
		c.end(st.Offset)
	}
	c.seg.End = *st
}

// window is how many messages a job of this workspace may have out: its share
// of what all running jobs of the workspace may.
func (b *Batch) window(ctx context.Context, ws string) (int, error) {
	jobs := 0
	for n := range indexes {
		for e, err := range b.store.Tables.Query(ctx, table, activeIndex(n), storage.Range{}) {
			if err != nil {
				return 0, err
			}
			if e.Props.Str("ws") == ws && e.Props.Bool("running") {
				jobs++
			}
		}
	}
	return min(b.lim.Window, max(8, b.lim.WorkspaceWindow/max(jobs, 1))), nil
}

// work is a message of queue beschunk.
type work struct {
	Job     string `json:"job"`
	Chunk   int    `json:"chunk"`
	Whole   bool   `json:"whole,omitempty"`
	Ignored int    `json:"ignored,omitempty"` // columns that the service does not know
}

func (b *Batch) sendWork(ctx context.Context, w work) error {
	return event.Send(ctx, b.store.Queues, ChunkQueue, w, 0)
}

// launch sends the first window of a running job: what of it is not done, for
// it may be called again.
func (b *Batch) launch(ctx context.Context, j *job) error {
	if j.Whole {
		return b.sendWork(ctx, work{Job: j.ID, Whole: true})
	}
	for first := 0; first < min(j.Window, j.Chunks); first += fanout {
		rows, err := b.group(ctx, j.ID, 0, first/fanout)
		if err != nil {
			return err
		}
		for n := first; n < min(first+fanout, j.Window, j.Chunks); n++ {
			if _, ok := rows[n]; ok {
				continue
			}
			if err := b.sendWork(ctx, work{Job: j.ID, Chunk: n}); err != nil {
				return err
			}
		}
	}
	// With no chunk left to do nobody else would: an input without records,
	// or a planner that died right after a fast job.
	if _, full, err := b.total(ctx, j); err != nil || !full {
		return err
	}
	return b.send(ctx, step{Step: stepCommit, Job: j.ID})
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

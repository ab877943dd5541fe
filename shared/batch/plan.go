package batch

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"strings"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// A plan is written once, in segments, each only where none is yet: a planner
// that is repeated goes on behind the last segment, and of two at once the
// slower reads what the faster wrote. So every worker, whenever it runs, sees
// the same chunks.

// plan splits a job and starts it.
func (b *Batch) plan(ctx context.Context, id string) error {
	j, err := b.load(ctx, id)
	if err != nil {
		return err
	}
	if j.State == Waiting { // what admitted it has not come to say so
		if j, err = b.planning(ctx, id); err != nil {
			return err
		}
	}
	switch j.State {
	case Planning:
	case Running:
		return b.launch(ctx, j)
	default:
		return b.tidy(ctx, j)
	}
	if missing, err := b.toCopy(ctx, j); err != nil || len(missing) > 0 {
		if err != nil {
			return err
		}
		return b.send(ctx, step{Step: stepCopy, Job: id})
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
	window, err := b.window(ctx, j)
	if err != nil {
		return err
	}
	if window == 0 { // the workspace has as many messages out as it may
		return b.waitForShare(ctx, j)
	}
	last := segs[len(segs)-1]
	chunks := last.First + len(last.Chunks)
	if err := b.mark(ctx, j, min(window, max(chunks, 1))); err != nil {
		return err
	}
	j, _, err = b.change(ctx, id, func(j *job) bool {
		if j.State != Planning {
			return false
		}
		j.State = Running
		j.Plan = hex.EncodeToString(sum.Sum(nil))[:16]
		j.Whole, j.Ignored = segs[0].Whole, segs[0].Ignored
		j.Chunks = chunks
		j.Window = window
		j.Ran, j.Rows, j.Bytes = now(), last.End.Records, planned(segs)
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

// planned is how many bytes the chunks of a plan have, without what comes before
// the first record; of a whole job, those of its inputs.
func planned(segs []*segment) (n int64) {
	if segs[0].Whole {
		for _, p := range segs[0].Pins {
			n += p.Size
		}
	}
	for _, s := range segs {
		for _, c := range s.Chunks {
			n += c.Length
		}
	}
	return n
}

// nextSegment scans on from the last segment. slice is the time it has: it
// gives what it has found by then.
func (b *Batch) nextSegment(ctx, slice context.Context, j *job, in []*blob.Blob, segs []*segment) (*segment, error) {
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return nil, err
	}
	defer release()
	if len(segs) == 0 {
		seg, err := b.firstSegment(ctx, j, in, d)
		if err != nil || seg.Last {
			return seg, err
		}
		return seg, b.cut(ctx, slice, j, in[0], d, seg, seg)
	}
	prev := segs[len(segs)-1]
	seg := &segment{Format: 1, First: prev.First + len(prev.Chunks), End: prev.End}
	return seg, b.cut(ctx, slice, j, in[0], d, segs[0], seg)
}

// cut appends chunks to seg, a segment of the plan of which first is the first.
func (b *Batch) cut(ctx, slice context.Context, j *job, in *blob.Blob, d Deployment, first, seg *segment) error {
	f, _ := fileKind(j.Inputs[0].Format)
	if f.Name != format.Parquet {
		return b.scan(ctx, slice, j, in, f, first, seg)
	}
	file, err := b.openGroups(ctx, j, 0, in, first.Pins[0])
	if err != nil {
		return err
	}
	return b.cutGroups(j, file, d.Input(0), first, seg)
}

// firstSegment pins the inputs and decides how the job is split.
func (b *Batch) firstSegment(ctx context.Context, j *job, in []*blob.Blob, d Deployment) (*segment, error) {
	seg := &segment{Format: 1, RecordBytes: b.lim.RecordBytes}
	var all int64
	for i, s := range j.Inputs {
		info, err := in[i].Head(ctx)
		if err == nil && s.ETag != "" && s.Key == "" && info.ETag != s.ETag {
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
	f, _ := fileKind(j.Inputs[0].Format)
	if f.Name == format.Parquet {
		file, err := b.openGroups(ctx, j, 0, in[0], seg.Pins[0])
		if err != nil {
			return nil, err
		}
		seg.Ignored, err = b.groupColumns(j, 0, file, d.Input(0))
		return seg, err
	}
	return seg, b.readHead(ctx, j, in[0], f, d.Input(0), seg)
}

// headerMax bounds what comes before the first record.
const headerMax = 1 << 20

// readHead notes in segment 0 how a text begins.
func (b *Batch) readHead(ctx context.Context, j *job, in *blob.Blob, f *format.Format, l *frame.Layout, seg *segment) error {
	name, size := j.Inputs[0].Name, seg.Pins[0].Size
	head, err := b.readRange(ctx, j, 0, in, seg.Pins[0].ETag, 0, min(size, headerMax), nil)
	if err != nil {
		return err
	}
	h, err := f.Begin(head, l, b.reading(j, 0, nil))
	if size > headerMax && (err != nil || h.Size == headerMax) {
		// What is wrong may be that the header is cut off, or come before that.
		_, ended := f.Scanner(frame.ScanState{}).Advance(head, 0)
		if err == nil || !ended || f.Name == format.ARFF && !bytes.Contains(bytes.ToLower(head), []byte("@data")) {
			err = fault.New(fault.BadUserArgument, "InputParseError", "the header is longer than %d bytes", headerMax)
		}
	}
	if err != nil {
		return at(err, name)
	}
	seg.Header, seg.Ignored = string(head[:h.Size]), h.Extra
	seg.End = frame.ScanState{Offset: int64(h.Size), Start: int64(h.Size), Lines: int64(strings.Count(seg.Header, "\n"))}
	seg.Last = seg.End.Offset >= size
	return nil
}

// reading is how input i of a job is read.
func (b *Batch) reading(j *job, i int, bad func(frame.BadRecord) error) format.Reading {
	return format.Reading{
		NoHeader: j.Inputs[i].NoHeader, RefuseExtra: j.Options.ExtraColumns == extrasError,
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
	if fault.HasCode(err, storage.CodeCondition) { // it may also be gone
		if _, gone := in.Head(ctx); fault.Is(gone, fault.NotFound) {
			err = gone
		}
	}
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
func (b *Batch) scan(ctx, slice context.Context, j *job, in *blob.Blob, f *format.Format, first, seg *segment) error {
	c := cutter{seg: seg, scan: f.Scanner(seg.End), size: first.ChunkBytes, limit: int64(first.RecordBytes)}
	c.begin()
	for piece, err := range b.pieces(ctx, j, in, first.Pins[0], seg.End.Offset) {
		if err != nil {
			return err
		}
		if c.take(piece) || slice.Err() != nil && len(seg.Chunks) > 0 {
			return nil // what is behind the last chunk is scanned again
		}
	}
	c.finish()
	seg.Last = true
	return nil
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

package batch

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// A job that has to see all its rows at once (a join, a sort, several inputs)
// is run by one worker, which holds the job's lease. A lease can be lost
// without its holder knowing: so each holder has an epoch of its own, stages
// under it, and ends the job only while the job's row still names it. A late
// holder writes garbage nobody commits.
// wholePart is the size of the parts a whole job stages.
const wholePart = 8 << 20

var errHeld = fault.New(fault.Throttled, "", "the job is held by another worker")

// runWhole runs a whole job, one at a time per process.
func (b *Batch) runWhole(ctx context.Context, id string) error {
	if !b.whole.TryAcquire(1) {
		// A message about a job that has ended must not wait for another's turn:
		// the host may deliver one twice, and each copy would be sent again.
		j, err := b.load(ctx, id)
		if gone, err := absent(err); gone || err != nil {
			return err
		}
		if j.State != Running && j.State != Committing {
			return nil
		}
		return fault.New(fault.Throttled, "", "another whole job is running in this process")
	}
	defer b.whole.Release(1)
	l := &lease{b: b, job: id, owner: service.NewID()}
	j, err := l.take(ctx)
	if gone, err := absent(err); gone || err != nil {
		return err
	}
	switch {
	case j.State == Committing:
		return b.send(ctx, step{Step: stepCommit, Job: id})
	case j.State != Running:
		return nil
	}
	var out exports
	t, err := b.holdWhole(ctx, l, j, &out)
	if errors.Is(err, errEnded) { // cancelled
		return nil
	}
	if err != nil {
		l.release(ctx) // the next try need not wait for it to lapse
		return err
	}
	epoch, ignored := j.Epoch, j.Ignored
	var sealed error
	if j, _, err = b.change(ctx, id, func(j *job) bool {
		if j.State != Running || j.Epoch != epoch {
			return false
		}
		j.State, j.Totals, j.Ignored, j.Exports = Committing, &t, ignored, out.nodes
		if len(out.nodes) > 0 {
			sealed = b.reseal(j, out.places)
		}
		return sealed == nil
	}); err != nil {
		return err
	}
	if sealed != nil {
		return sealed
	}
	if j.State != Committing {
		return nil // another holder ends it
	}
	return b.send(ctx, step{Step: stepCommit, Job: id})
}

// holdWhole does the work of a whole job while its lease is renewed.
func (b *Batch) holdWhole(ctx context.Context, l *lease, j *job, out *exports) (totals, error) {
	work, lost := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { l.renew(work, lost, j.Epoch) })
	t, err := b.scoreWhole(work, j, out)
	if cause := context.Cause(work); err != nil && ctx.Err() == nil && cause != nil {
		err = cause // the lease went, and with it the work
	}
	lost(nil)
	renewing.Wait()
	if err == nil {
		err = j.Options.judge(t, "")
	}
	t.First = nil // as in enterCommit
	return t, err
}

// lease is the row of a whole job's holder.
type lease struct {
	b     *Batch
	job   string
	owner string
	etag  string
}

func (l *lease) props(until time.Time) storage.Props {
	return storage.Props{"owner": l.owner, "until": until}
}

// take makes l the holder of a running whole job: the lease and the epoch in
// the job's row change in one write.
func (l *lease) take(ctx context.Context) (*job, error) {
	b := l.b
	op := storage.Op{Kind: storage.Insert, Row: leaseRow, Props: l.props(now().Add(b.lim.Lease))}
	e, err := b.store.Tables.Get(ctx, table, l.job, leaseRow)
	switch {
	case err == nil && e.Props.Time("until").After(now()):
		if j, err := b.load(ctx, l.job); err != nil || j.State != Running {
			return j, err
		}
		return nil, errHeld
	case err == nil:
		op.Kind, op.IfMatch = storage.Replace, e.ETag
	case !fault.Is(err, fault.NotFound):
		return nil, err
	}
	j, _, err := b.change(ctx, l.job, func(j *job) bool {
		if j.State != Running {
			return false
		}
		j.Epoch++
		return true
	}, op)
	if fault.Is(err, fault.Conflict) {
		return nil, errHeld
	}
	return j, err
}

// find reads the row and notes its version; false where it is another's.
func (l *lease) find(ctx context.Context) (bool, error) {
	e, err := l.b.store.Tables.Get(ctx, table, l.job, leaseRow)
	l.etag = e.ETag
	return err == nil && e.Props.Str("owner") == l.owner, err
}

// extend renews the lease once; false where it is lost.
func (l *lease) extend(ctx context.Context, until time.Time) (bool, error) {
	if ours, err := l.find(ctx); err != nil || !ours {
		return !fault.Is(err, fault.NotFound) && ours, err
	}
	_, err := l.b.store.Tables.Apply(ctx, table, l.job, storage.Op{Kind: storage.Replace, Row: leaseRow, IfMatch: l.etag, Props: l.props(until)})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// renew extends the lease until the work ends, and ends the work where the
// lease is lost, or may be: where storage has not answered for its time.
func (l *lease) renew(ctx context.Context, lost context.CancelCauseFunc, epoch int64) {
	held := now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(l.b.lim.Lease / 6):
		}
		begun := now()
		ours, err := l.extend(ctx, begun.Add(l.b.lim.Lease))
		switch {
		case err == nil && ours:
			held = begun
		case err == nil || now().Sub(held) > l.b.lim.Lease:
			l.b.log.WarnContext(ctx, "lease lost", "job", l.job, "epoch", epoch)
			lost(errLeaseLost)
			return
		}
		if j, err := l.b.load(ctx, l.job); err == nil && j.State.Ended() {
			lost(errEnded)
			return
		}
	}
}

// release gives the lease back, if it can.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := l.extend(ctx, now()); err != nil {
		l.b.log.WarnContext(ctx, "lease not released", "job", l.job, "error", err)
	}
}

var errLeaseLost = fault.New(fault.Throttled, "", "the lease of the job was lost")

// scoreWhole reads all inputs, scores them together and stages the outputs.
func (b *Batch) scoreWhole(ctx context.Context, j *job, apart *exports) (t totals, err error) {
	first, err := b.segment(ctx, j, 0)
	if err != nil {
		return t, err
	}
	var sec secrets
	if err := b.unseal(j, &sec); err != nil {
		return t, err
	}
	in, err := b.sources(ctx, j, &sec)
	if err != nil {
		return t, err
	}
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return t, err
	}
	defer release()
	sess := d.Session()
	if err := sess.SetParameters(sec.Parameters); err != nil {
		return t, err
	}
	if b.Outside != nil {
		apart.Outside = b.Outside.For(j.Workspace, "")
		sess.SetOutside(apart)
	}
	var errs []byte
	ignored := 0
	for i := range j.Inputs {
		body, err := b.readRange(ctx, j, i, in[i], first.Pins[i].ETag, 0, first.Pins[i].Size, nil)
		if err != nil {
			return t, err
		}
		s := &sheet{j: j, input: i, buf: &buffer{out: [][]byte{errs}}, chunks: 1}
		if err := b.readWhole(s, d, sess.Inputs()[i], body); err != nil {
			return t, err
		}
		errs = s.buf.out[0]
		t.add(s.totals)
		ignored += s.ignored
		t.BytesIn += int64(len(body))
	}
	out, err := sess.Execute(ctx)
	if err != nil {
		return t, err
	}
	c := sess.Counts()
	t.Missing, t.Unknown, t.Chunks = int64(c.Missing), int64(c.UnknownLevels), 1
	j.Exports = apart.nodes
	t.Parts = make([][]int64, len(j.Outputs)+1+len(j.Exports))
	for i, f := range b.files(j) {
		w := &partWriter{b: b, j: j, f: f}
		switch {
		case i > len(out):
			err = w.write(ctx, frame.Encode(apart.tables[i-len(out)-1]))
		case i == len(out):
			err = w.write(ctx, errs)
		case out[i].Frame == nil:
			err = w.write(ctx, out[i].Artifact)
		default:
			p, schema := newPrinter(f.Format), d.Manifest().Outputs[i].Schema
			if d.Manifest().BatchOnly { // its columns are the job's own
				schema = out[i].Frame.Schema()
				if err = holds(f.Format, schema); err == nil {
					w.buf, err = p.head(schema, j.Outputs[i].NoHeader)
				}
			}
			if err == nil {
				err = w.frame(ctx, p, out[i].Frame, schema)
			}
		}
		if err == nil {
			err = w.flush(ctx)
		}
		if err != nil {
			return t, err
		}
		t.Parts[i] = w.sizes
	}
	if i := slices.IndexFunc(out, func(v module.Value) bool { return v.Frame != nil }); i >= 0 {
		t.RowsOut = int64(out[i].Frame.Rows())
	}
	j.Ignored = ignored
	sess.Release()
	return t, nil
}

// readWhole reads all records of an input into f.
func (b *Batch) readWhole(s *sheet, d Deployment, f *frame.Frame, body []byte) error {
	l := d.Input(s.input)
	kind, _ := fileKind(s.j.Inputs[s.input].Format)
	if kind.Name == format.Parquet {
		return b.readGroups(s, l, f, body)
	}
	o := b.reading(s.j, s.input, s.bad)
	o.Workers = 0
	h, err := kind.Begin(body, l, o)
	if err != nil {
		return at(err, s.name())
	}
	s.ignored = h.Extra
	counts, err := h.Append(f, body[h.Size:], frame.Start{Record: 1, Line: int64(1 + bytes.Count(body[:h.Size], []byte{'\n'}))})
	if err != nil {
		return at(err, s.name())
	}
	s.RowsIn += counts.Records
	return nil
}

// partWriter stages a file in parts.
type partWriter struct {
	b     *Batch
	j     *job
	f     file
	buf   []byte
	sizes []int64
}

const printRows = 4096

// frame writes a table but for its head.
func (w *partWriter) frame(ctx context.Context, p *printer, f *frame.Frame, schema frame.Schema) (err error) {
	var text, said []byte
	end := func() error { // what is printed becomes a part of its own
		body, tail, err := p.part(text)
		if err != nil {
			return err
		}
		text, said = text[:0], append(said, tail...)
		return w.write(ctx, body)
	}
	for lo := 0; lo < f.Rows(); lo += printRows {
		if text, err = p.append(text, f, lo, min(lo+printRows, f.Rows())); err != nil {
			return err
		}
		if len(text) >= wholePart {
			if err := end(); err != nil {
				return err
			}
		}
	}
	if err := end(); err != nil {
		return err
	}
	tail, err := p.tail(schema, said)
	if err != nil {
		return err
	}
	return w.write(ctx, tail)
}

func (w *partWriter) write(ctx context.Context, body []byte) error {
	w.buf = append(w.buf, body...)
	return w.spill(ctx)
}

func (w *partWriter) spill(ctx context.Context) error {
	for len(w.buf) >= wholePart {
		if err := w.part(ctx, w.buf[:wholePart]); err != nil {
			return err
		}
		w.buf = append(w.buf[:0], w.buf[wholePart:]...)
	}
	return nil
}

func (w *partWriter) flush(ctx context.Context) error {
	if len(w.buf) == 0 {
		return nil
	}
	return w.part(ctx, w.buf)
}

func (w *partWriter) part(ctx context.Context, body []byte) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	w.sizes = append(w.sizes, int64(len(body)))
	return w.b.store.Blobs.PutPart(ctx, w.f.Key, partID(w.j.ID, w.j.staging(), w.f.Name, len(w.sizes)), body)
}

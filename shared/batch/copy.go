package batch

import (
	"context"
	"errors"
	"io"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// toCopy returns the inputs whose snapshot is not there yet.
func (b *Batch) toCopy(ctx context.Context, j *job) ([]int, error) {
	var missing []int
	for i, s := range j.Inputs {
		if s.Outside == "" && s.Packed == format.None {
			continue
		}
		_, err := b.store.Blobs.Head(ctx, s.Key)
		gone, err := absent(err)
		if err != nil {
			return nil, err
		}
		if gone {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// copyIn makes the snapshots of a job that is being planned. A copy that dies
// begins again; of two at once the first to end counts.
func (b *Batch) copyIn(ctx context.Context, id string) error {
	j, err := b.load(ctx, id)
	if err != nil {
		return err
	}
	if j.State != Planning {
		return b.tidy(ctx, j)
	}
	missing, err := b.toCopy(ctx, j)
	if err != nil {
		return err
	}
	var sec secrets
	if err := b.unseal(j, &sec); err != nil {
		return err
	}
	err = b.copying.do(j.Workspace, func() error {
		return b.whileIn(ctx, id, Planning, func(ctx context.Context) error { return b.copyAll(ctx, j, missing, &sec) })
	})
	if errors.Is(err, errEnded) { // cancelled
		if j, err = b.load(ctx, id); err == nil {
			err = b.tidy(ctx, j)
		}
		return err
	}
	if err != nil {
		return err
	}
	return b.send(ctx, step{Step: stepPlan, Job: id})
}

// copyAll makes the snapshots of some inputs of a job.
func (b *Batch) copyAll(ctx context.Context, j *job, inputs []int, sec *secrets) error {
	for _, i := range inputs {
		from, name := b.copyInput, j.Inputs[i].Name
		if j.Inputs[i].Packed != format.None {
			from = b.unpackInput
		}
		if err := from(ctx, j, i, sec); err != nil {
			return at(err, name)
		}
	}
	return nil
}

// copyInput copies an input that is no blob.
func (b *Batch) copyInput(ctx context.Context, j *job, i int, sec *secrets) error {
	s := &j.Inputs[i]
	p := sec.Sources[s.Name]
	out, err := b.outside(p.Source)
	if err != nil {
		return err
	}
	from, err := out.Source(j.Workspace, p)
	if err != nil {
		return err
	}
	r, err := from.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	w := &snapshotWriter{b: b, key: s.Key, try: service.NewID()}
	switch {
	case r.Text == nil && len(r.Schema) == 0: // a feed without a record has no columns either
		err = b.emptyTable(ctx, w, j, i)
	case r.Text == nil:
		err = w.table(ctx, r)
	case r.Format.Name != s.Format: // of a release that made csv of all
		err = fault.New(fault.BadArgument, "InvalidBlob", "the source is %s and was taken for %s: submit the job again", r.Format.Name, s.Format)
	default:
		err = w.text(ctx, r.Text)
	}
	if err != nil {
		return err
	}
	return w.commit(ctx, j.meta())
}

// emptyTable writes the columns that the service has, and no row.
func (b *Batch) emptyTable(ctx context.Context, w *snapshotWriter, j *job, i int) error {
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return err
	}
	defer release()
	return w.write(ctx, frame.AppendCSVHeader(nil, d.Input(i).Schema.Names(), ','))
}

// unpack has a job read a copy of what s names, where that is compressed. kind
// is its format.
func (s *source) unpack(j *job, kind string) {
	f, packed := fileKind(kind)
	s.Format, s.Packed = f.Name, packed
	if packed != format.None {
		s.Key = inputKey(j.Workspace, j.ID, s.Name, j.ID, s.Format)
	}
}

// unpackInput copies an input that is compressed.
func (b *Batch) unpackInput(ctx context.Context, j *job, i int, sec *secrets) error {
	s := &j.Inputs[i]
	in, err := b.origin(ctx, s, sec)
	if err != nil {
		return err
	}
	info, err := in.Head(ctx)
	if err == nil && s.ETag != "" && info.ETag != s.ETag {
		err = fault.New(fault.Conflict, storage.CodeCondition, "changed")
	}
	var r io.ReadCloser
	if err == nil {
		r, err = in.Read(ctx, info.ETag, 0, info.Size)
	}
	if err != nil {
		return b.unreadable(j, i, err)
	}
	if r, err = connect.Decompress(r, s.Packed); err != nil {
		return err
	}
	defer r.Close()
	w := &snapshotWriter{b: b, key: s.Key, try: service.NewID()}
	if err := w.text(ctx, r); err != nil {
		return err
	}
	return w.commit(ctx, j.meta())
}

// snapshotWriter stages a snapshot in parts of its own.
type snapshotWriter struct {
	b   *Batch
	key string
	try string // no two copies stage under the same ids
	buf []byte
	ids []storage.PartID
}

// copyBytes is how much of a file is in memory while it is copied, besides a
// part of the copy.
const copyBytes = 256 << 10

// text copies a file as it is.
func (w *snapshotWriter) text(ctx context.Context, r io.Reader) error {
	buf := make([]byte, copyBytes)
	for left := w.b.lim.UnpackedBytes; ; {
		n, err := r.Read(buf)
		if left -= int64(n); left < 0 {
			return fault.New(fault.TooLarge, "OutOfMemoryLimit", "the file has more than %d bytes when it is decompressed: that is the most that is copied before a job", w.b.lim.UnpackedBytes)
		}
		if werr := w.write(ctx, buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *snapshotWriter) write(ctx context.Context, p []byte) error {
	for w.buf = append(w.buf, p...); len(w.buf) >= wholePart; {
		if err := w.part(ctx, w.buf[:wholePart]); err != nil {
			return err
		}
		w.buf = append(w.buf[:0], w.buf[wholePart:]...)
	}
	return nil
}

func (w *snapshotWriter) part(ctx context.Context, body []byte) error {
	id := partID(w.key, w.try, "", len(w.ids))
	w.ids = append(w.ids, id)
	return w.b.store.Blobs.PutPart(ctx, w.key, id, body)
}

// table prints typed rows.
func (w *snapshotWriter) table(ctx context.Context, r *connect.Records) error {
	text := frame.AppendCSVHeader(nil, r.Schema.Names(), ',')
	for {
		if err := w.write(ctx, text); err != nil {
			return err
		}
		f, err := r.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		text = frame.AppendCSVRows(text[:0], f, 0, f.Rows(), ',')
	}
}

func (w *snapshotWriter) commit(ctx context.Context, meta map[string]string) error {
	if len(w.buf) > 0 || len(w.ids) == 0 {
		if len(w.buf) == 0 { // an empty file, which reading refuses
			_, err := w.b.store.Blobs.Put(ctx, w.key, nil, meta, storage.Condition{IfAbsent: true})
			return made(err)
		}
		if err := w.part(ctx, w.buf); err != nil {
			return err
		}
	}
	_, err := w.b.store.Blobs.Commit(ctx, w.key, w.ids, meta, storage.Condition{IfAbsent: true})
	return made(err)
}

// made takes it for done that another copy was faster.
func made(err error) error {
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

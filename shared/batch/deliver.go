package batch

import (
	"context"
	"io"
	"time"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// deliver copies the committed outputs to where the caller wants them, and
// returns the references to show for them. Each target is written by one
// request or one block list: whole or not at all.
func (b *Batch) deliver(ctx context.Context, j *job, m *service.Manifest, sec *secrets) (links, error) {
	files := b.files(j)
	if j.Drop != "" {
		return nil, b.deliverDrop(ctx, j, files)
	}
	shown := links{}
	for i, o := range j.Outputs {
		if o.Place == nil {
			continue
		}
		if o.Outside != "" {
			err := b.delivering.do(j.Workspace, func() error {
				return at(b.deliverTable(ctx, j, files[i], m.Outputs[i].Schema, sec.Sinks[o.Name]), o.Name)
			})
			if err != nil {
				return nil, err
			}
			shown[o.Name] = blob.Reference{BaseLocation: o.Place.Base, RelativeLocation: o.Place.Path}
			continue
		}
		target, err := b.Blobs.Open(ctx, sec.Outputs[o.Name], true)
		if err != nil {
			return nil, at(err, o.Name)
		}
		if err := b.deliverTo(ctx, j, files[i], target, o.Keep); err != nil {
			return nil, at(err, o.Name)
		}
		ref, err := target.SignRead(ctx, now().Add(time.Duration(b.lim.ResultDays)*24*time.Hour))
		if err != nil {
			return nil, err
		}
		shown[o.Name] = ref
	}
	for n, node := range j.Exports {
		err := b.delivering.do(j.Workspace, func() error { return at(b.deliverExport(ctx, j, n, sec.Exports[node]), node) })
		if err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// content is a committed file as something to copy.
func (b *Batch) content(ctx context.Context, j *job, f file) (blob.Content, error) {
	info, err := b.store.Blobs.Head(ctx, f.Key)
	if err != nil {
		return blob.Content{}, err
	}
	return blob.Content{
		Size: info.Size,
		Open: func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			_, r, err := b.store.Blobs.Get(ctx, f.Key, storage.ReadOptions{Offset: off, Length: n, IfMatch: info.ETag})
			return r, err
		},
		Block: func(n int) storage.PartID { return partID(j.ID, j.staging(), f.Name, n) },
	}, nil
}

// deliverTo writes a file to a caller's blob. Before each try it looks whether
// the job is still its own to deliver: a worker that was held up must not
// overwrite what came later, which the condition on the write sees to. keep
// says that nothing at all is to be overwritten.
func (b *Batch) deliverTo(ctx context.Context, j *job, f file, target *blob.Blob, keep bool) error {
	content, err := b.content(ctx, j, f)
	if err != nil {
		return err
	}
	const tries = 3
	for range tries {
		cond := storage.Condition{IfAbsent: keep}
		if target.Readable() {
			info, err := target.Head(ctx)
			switch {
			case err == nil && j.ours(info.Meta):
				return nil
			case err == nil && keep:
				return fault.New(fault.BadArgument, "InvalidBlob", "%s is there already, and is not to be written over", f.Name)
			case err == nil:
				cond.IfMatch = info.ETag
			case fault.Is(err, fault.NotFound):
				cond.IfAbsent = true
			case fault.Is(err, fault.Forbidden):
			default:
				return err
			}
		}
		now, err := b.load(ctx, j.ID)
		if err != nil {
			return err
		}
		if now.State != Committing {
			return nil // another worker has finished
		}
		err = target.Write(ctx, content, j.meta(), cond)
		if err == nil {
			return nil
		}
		switch {
		case fault.Is(err, fault.Conflict):
		case fault.Is(err, fault.NotFound):
			return fault.New(fault.BadArgument, "InvalidBlob", "%s cannot be written: %s", f.Name, fault.Of(err).Msg)
		case fault.Is(err, fault.Forbidden):
			return fault.New(fault.BadArgument, "InvalidBlob", "%s cannot be written: %s", f.Name, fault.Of(err).Msg)
		default:
			return err
		}
	}
	return fault.New(fault.BadArgument, "InvalidBlob", "%s is being written by someone else", f.Name)
}

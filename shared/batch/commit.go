package batch

import (
	"context"
	"fmt"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Metadata by which a blob is recognised as this job's own.
const (
	metaJob  = "portico_job"
	metaPlan = "portico_plan"
)

func (j *job) meta() map[string]string {
	return map[string]string{metaJob: j.ID, metaPlan: j.staging()}
}

func (j *job) ours(meta map[string]string) bool {
	return meta[metaJob] == j.ID && meta[metaPlan] == j.staging()
}

// staging is the folder of the job's staged files.
func (j *job) staging() string {
	if j.Whole {
		return fmt.Sprintf("%s-%d", j.Plan, j.Epoch)
	}
	return j.Plan
}

// file is one of the files a job writes: its outputs in order, the error file,
// then what its modules export.
type file struct {
	Name   string // of the output; errorFile
	Format string
	Key    string
}

func (b *Batch) files(j *job) []file {
	fs := make([]file, 0, len(j.Outputs)+1)
	for _, o := range j.Outputs {
		fs = append(fs, file{o.Name, o.Format, stagingKey(j.Workspace, j.ID, j.staging(), o.Name, o.Format)})
	}
	fs = append(fs, file{errorFile, "csv", stagingKey(j.Workspace, j.ID, j.staging(), errorFile, "csv")})
	for n := range j.Exports {
		fs = append(fs, exportFile(j, n))
	}
	return fs
}

// stagingKeys are the keys under which the job may have staged.
func (b *Batch) stagingKeys(j *job) []string {
	if j.Plan == "" {
		return nil
	}
	var keys []string
	for _, f := range b.files(j) {
		keys = append(keys, f.Key)
	}
	return keys
}

// commit ends a job whose chunks are all done. Entering Committing is the
// point of no return; from there each file is made by one conditional write,
// and each output the caller placed is copied by another.
func (b *Batch) commit(ctx context.Context, id string) error {
	j, err := b.load(ctx, id)
	if err != nil {
		return err
	}
	if j.State == Running && !j.Whole {
		if j, err = b.enterCommit(ctx, j); err != nil {
			return err
		}
	}
	if j.State == Committing {
		if err := b.finish(ctx, j); err != nil {
			return err
		}
		if j, err = b.load(ctx, id); err != nil {
			return err
		}
	}
	return b.tidy(ctx, j)
}

// enterCommit judges the totals and moves a running job on.
func (b *Batch) enterCommit(ctx context.Context, j *job) (*job, error) {
	t, full, err := b.total(ctx, j)
	if err != nil || !full {
		return j, err
	}
	if err := j.Options.judge(t, ""); err != nil {
		return nil, err
	}
	t.First = nil // it has told what it is for, and has a cell in it
	j, _, err = b.change(ctx, j.ID, func(j *job) bool {
		if j.State != Running {
			return false
		}
		j.State, j.Totals = Committing, &t
		return true
	})
	return j, err
}

// finish commits and delivers, and moves the job to Finished.
func (b *Batch) finish(ctx context.Context, j *job) error {
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return err
	}
	defer release()
	parts, said, err := b.parts(ctx, j)
	if err != nil {
		return err
	}
	for i, f := range b.files(j) {
		var head, tail []byte
		var err error
		switch {
		case i < len(j.Outputs) && d.Manifest().BatchOnly: // staged as it is to be
		case i < len(j.Outputs):
			p, schema := newPrinter(f.Format), d.Manifest().Outputs[i].Schema
			if head, err = p.head(schema, j.Outputs[i].NoHeader); err == nil && !j.Whole { // which stages its end
				tail, err = p.tail(schema, said[i])
			}
		case i > len(j.Outputs):
			head = []byte(exportHead)
		case j.Totals.Bad == 0:
			continue
		default:
			head = []byte(errorHeader)
		}
		if err == nil {
			err = b.commitFile(ctx, j, f, head, parts[i], tail)
		}
		if err != nil {
			return err
		}
	}
	var sec secrets
	if err := b.unseal(j, &sec); err != nil {
		return err
	}
	delivered, err := b.deliver(ctx, j, d.Manifest(), &sec)
	if err != nil {
		return err
	}
	if b.Scored != nil {
		b.Scored(ctx, j.summary())
	}
	done, moved, err := b.change(ctx, j.ID, func(j *job) bool {
		if j.State != Committing {
			return false
		}
		j.end(Finished, nil)
		return len(delivered) == 0 || b.seal(j, delivered) == nil
	})
	if err != nil {
		return err
	}
	if moved {
		b.count(done)
	}
	return nil
}

// part is a staged part that must be there.
type part struct {
	n    int // 0 is the header, behind that of the last chunk what ends the file
	size int64
}

// parts lists, per file, the parts that were staged, and what the end of the
// file has to say of them.
func (b *Batch) parts(ctx context.Context, j *job) (parts [][]part, said [][]byte, err error) {
	parts = make([][]part, len(j.Outputs)+1+len(j.Exports))
	said = make([][]byte, len(j.Outputs))
	if j.Whole {
		for i, sizes := range j.Totals.Parts {
			for n, size := range sizes {
				parts[i] = append(parts[i], part{n + 1, size})
			}
		}
		return parts, said, nil
	}
	rows, err := b.chunksDone(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	for n, d := range rows {
		for i, size := range d.Bytes {
			if size > 0 {
				parts[i] = append(parts[i], part{n + 1, size})
			}
		}
		for i, tail := range d.Tails {
			said[i] = append(said[i], tail...)
		}
	}
	return parts, said, nil
}

// commitFile makes one file of its header, its staged parts and its end.
func (b *Batch) commitFile(ctx context.Context, j *job, f file, head []byte, parts []part, tail []byte) error {
	committed := func() (bool, error) {
		info, err := b.store.Blobs.Head(ctx, f.Key)
		gone, err := absent(err)
		return !gone && err == nil && j.ours(info.Meta), err
	}
	if ok, err := committed(); ok || err != nil {
		return err
	}
	var ids []storage.PartID
	if len(head) > 0 { // a file without one begins with what was staged
		ids = append(ids, partID(j.ID, j.staging(), f.Name, 0))
		if err := b.store.Blobs.PutPart(ctx, f.Key, ids[0], head); err != nil {
			return err
		}
	}
	end := partID(j.ID, j.staging(), f.Name, j.Chunks+1)
	if len(tail) > 0 {
		if err := b.store.Blobs.PutPart(ctx, f.Key, end, tail); err != nil {
			return err
		}
	}
	staged, err := b.store.Blobs.Parts(ctx, f.Key)
	if err != nil {
		return err
	}
	sizes := make(map[storage.PartID]int64, len(staged))
	for _, s := range staged {
		sizes[s.ID] = s.Size
	}
	var lost error
	for _, p := range parts {
		id := partID(j.ID, j.staging(), f.Name, p.n)
		if size, ok := sizes[id]; !ok || size != p.size {
			lost = fault.New(fault.Package, "StagingLost", "part %d of %s should have %d bytes and has %d: the storage lost it, or the service was changed while the job ran",
				p.n, f.Name, p.size, size)
			break
		}
		ids = append(ids, id)
	}
	if len(tail) > 0 {
		ids = append(ids, end)
	}
	if lost == nil {
		_, err = b.store.Blobs.Commit(ctx, f.Key, ids, j.meta(), storage.Condition{IfAbsent: true})
	}
	if lost != nil || fault.Is(err, fault.Conflict) {
		// Where another commit was faster it took the parts away, too.
		ok, herr := committed()
		if ok || herr != nil {
			return herr
		}
		if lost != nil {
			return lost
		}
		return fault.Wrap(err, fault.Unavailable, "commit "+f.Name)
	}
	return err
}

// refuse ends a job from Committing on: only a delivery refused for good, or
// lost staging, may.
func (b *Batch) refuse(ctx context.Context, id string, cause error) error {
	return b.endBadly(ctx, id, cause, func(s State) bool { return !s.Ended() })
}

// count tells of a job's end.
func (b *Batch) count(j *job) {
	if b.Ended != nil {
		b.Ended(j.summary())
	}
}

func (j *job) summary() Summary {
	s := Summary{Workspace: j.Workspace, Service: j.Service, Endpoint: j.Endpoint, Digest: j.Digest, Failed: j.State == Failed}
	if t := j.Totals; t != nil {
		s.Rows, s.Bad, s.MissingCells, s.UnknownLevels = t.RowsIn, t.Bad, t.Missing, t.Unknown
	}
	return s
}

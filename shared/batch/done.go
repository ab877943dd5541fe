package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// done is a row of completion: of one chunk, or of a full group of such rows.
type done struct {
	totals
	// Tails are what the end of each output's file has to say of the chunk's
	// part, of an output whose format has such.
	Tails [][]byte  `json:"tails,omitempty"`
	At    time.Time `json:"at"`
	// From, of a group, is when the first of its chunks was done.
	From time.Time `json:"from,omitzero"`
}

// begun is when the first chunk of a row was done.
func (d *done) begun() time.Time {
	if d.From.IsZero() {
		return d.At
	}
	return d.From
}

func (d *done) props() (storage.Props, error) {
	doc, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode done row: %w", err)
	}
	p := storage.Props{}
	for i := 0; len(doc) > 0; i++ {
		n := min(len(doc), storage.MaxPropertyBlob)
		p[doneProp(i)], doc = doc[:n], doc[n:]
	}
	return p, nil
}

// doneProp is the name of the i-th property that holds a row's document: what
// the end of a file says of a thousand columns is more than one takes.
func doneProp(i int) string {
	if i == 0 {
		return "done"
	}
	return fmt.Sprintf("done%d", i)
}

func decodeDone(e storage.Entity) (d done, err error) {
	var doc []byte
	for i := range len(e.Props) {
		doc = append(doc, e.Props.Bytes(doneProp(i))...)
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return d, fmt.Errorf("decode done row %s/%s: %w", e.Partition, e.Row, err)
	}
	return d, nil
}

// isDone reads the row of one chunk.
func (b *Batch) isDone(ctx context.Context, id string, chunk int) (bool, error) {
	_, err := b.store.Tables.Get(ctx, table, donePartition(id, 0, chunk), doneRow(0, chunk))
	gone, err := absent(err)
	return !gone && err == nil, err
}

// record inserts the row of a chunk; there may be one already, of the same
// bytes.
func (b *Batch) record(ctx context.Context, id string, chunk int, d done) error {
	return b.insertDone(ctx, id, 0, chunk, d)
}

func (b *Batch) insertDone(ctx context.Context, id string, level, n int, d done) error {
	p, err := d.props()
	if err != nil {
		return err
	}
	_, err = b.store.Tables.Apply(ctx, table, donePartition(id, level, n), storage.Op{Kind: storage.Insert, Row: doneRow(level, n), Props: p})
	if fault.HasCode(err, storage.CodeExists) {
		return nil
	}
	return err
}

// group reads the rows of one group: those of level numbered
// [g*fanout, (g+1)*fanout).
func (b *Batch) group(ctx context.Context, id string, level, g int) (map[int]done, error) {
	rows := make(map[int]done, fanout)
	for e, err := range b.store.Tables.Query(ctx, table, donePartition(id, level, g*fanout), storage.Prefix(levels[level].row)) {
		if err != nil {
			return nil, err
		}
		var n int
		if _, err := fmt.Sscanf(e.Row[1:], "%d", &n); err != nil {
			return nil, fmt.Errorf("done row %s/%s: %w", e.Partition, e.Row, err)
		}
		if rows[n], err = decodeDone(e); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// sum adds up the rows of a group of size size; full reports whether all are
// there.
func sum(rows map[int]done, size int) (d done, full bool) {
	for _, r := range rows {
		d.add(r.totals)
		if r.At.After(d.At) {
			d.At = r.At
		}
		if from := r.begun(); d.From.IsZero() || from.Before(d.From) {
			d.From = from
		}
	}
	return d, len(rows) == size
}

// close closes the groups that chunk has filled, from its own upwards. root
// reports that it filled the last one. Whoever inserts a group's last row
// sees it full, because reads of a partition see every write before them; so
// no counter is needed. Several may see it: all that follows is repeatable.
func (b *Batch) close(ctx context.Context, j *job, chunk int) (d done, root bool, err error) {
	n, count := chunk, j.Chunks
	for level := range levels {
		g := n / fanout
		rows, err := b.group(ctx, j.ID, level, g)
		if err != nil {
			return d, false, err
		}
		d, full := sum(rows, min(fanout, count-g*fanout))
		if !full {
			return d, false, nil
		}
		if count <= fanout {
			return d, true, nil
		}
		if level+1 == len(levels) {
			break
		}
		n, count = g, (count+fanout-1)/fanout
		if err := b.insertDone(ctx, j.ID, level+1, n, d); err != nil {
			return d, false, err
		}
	}
	return d, false, fault.New(fault.Internal, "", "job %s has more chunks than completion has levels for: %d", j.ID, j.Chunks)
}

// total returns the sums of all chunks; full says that all are done.
func (b *Batch) total(ctx context.Context, j *job) (t totals, full bool, err error) {
	if j.Chunks == 0 {
		return t, true, nil
	}
	level, count := 0, j.Chunks
	for count > fanout {
		level, count = level+1, (count+fanout-1)/fanout
	}
	rows, err := b.group(ctx, j.ID, level, 0)
	if err != nil {
		return t, false, err
	}
	d, full := sum(rows, count)
	return d.totals, full, nil
}

// chunksDone returns the row of every chunk, for the commit.
func (b *Batch) chunksDone(ctx context.Context, j *job) ([]done, error) {
	all := make([]done, j.Chunks)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := 0; i < j.Chunks; i += fanout {
		g.Go(func() error {
			rows, err := b.group(ctx, j.ID, 0, i/fanout)
			if err != nil {
				return err
			}
			if want := min(fanout, j.Chunks-i); len(rows) != want {
				return fault.New(fault.Internal, "", "job %s: %d of %d chunks from %d are done", j.ID, len(rows), want, i)
			}
			for n, d := range rows {
				all[n] = d
			}
			return nil
		})
	}
	return all, g.Wait()
}

// walk visits the open groups of a running job in order, with their rows, and
// gives the rows of the closed ones. It stops behind the last chunk that can
// have been sent.
func (b *Batch) walk(ctx context.Context, j *job, visit func(first, size int, rows map[int]done) error) (closed []done, err error) {
	groups := (j.Chunks + fanout - 1) / fanout
	full := make(map[int]bool)
	if j.Chunks > fanout {
		for first := 0; first < groups; first += fanout {
			rows, err := b.group(ctx, j.ID, 1, first/fanout)
			if err != nil {
				return closed, err
			}
			for g, d := range rows {
				full[g] = true
				closed = append(closed, d)
			}
			if len(rows) == 0 && first > 0 {
				break // nothing is done so far ahead
			}
		}
	}
	last := j.Window - 1 // the last chunk that is surely sent
	for g := range full {
		last = max(last, (g+1)*fanout-1+j.Window)
	}
	for g := 0; g < groups && g*fanout <= last; g++ {
		if full[g] {
			continue
		}
		rows, err := b.group(ctx, j.ID, 0, g)
		if err != nil {
			return closed, err
		}
		for n := range rows {
			last = max(last, n+j.Window)
		}
		if err := visit(g*fanout, min(fanout, j.Chunks-g*fanout), rows); err != nil {
			return closed, err
		}
	}
	return closed, nil
}

package batch

import (
	"context"
	"slices"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/parquet"
)

// A Parquet input is split at its row groups, of which its end says where they
// lie. That is not believed: what a row group may have of rows, bytes and text
// is bounded before and while it is read.

// The bounds on the rows of a row group that a job reads. Its bytes have a
// limit of their own.
const (
	maxGroupRows  = 1 << 21
	maxGroupCells = 1 << 26
)

// chunkRows is the most rows of a chunk that is more than one row group.
const chunkRows = 1 << 20

// endRead is how much of a file's end is read at first: most ends are shorter.
const endRead = 64 << 10

// openGroups reads the end of an input.
func (b *Batch) openGroups(ctx context.Context, j *job, i int, in *blob.Blob, p pin) (*parquet.File, error) {
	n := min(p.Size, endRead)
	for {
		end, err := b.readRange(ctx, j, i, in, p.ETag, p.Size-n, n, nil)
		if err != nil {
			return nil, err
		}
		need, err := parquet.EndSize(end, p.Size)
		if err != nil {
			return nil, at(err, j.Inputs[i].Name)
		}
		if need > n {
			n = need
			continue
		}
		f, err := parquet.OpenEnd(end, p.Size)
		if err != nil {
			return nil, at(err, j.Inputs[i].Name)
		}
		return f, nil
	}
}

// groupColumns counts the columns of a file that the service does not know.
func (b *Batch) groupColumns(j *job, i int, f *parquet.File, l *frame.Layout) (ignored int, err error) {
	extra, err := f.Match(l)
	if err == nil && len(extra) > 0 && j.Options.ExtraColumns == extrasError {
		err = fault.New(fault.BadUserArgument, "InputMismatchError", "column %q of the file is not one of the service", extra[0])
	}
	if err != nil {
		return 0, at(err, j.Inputs[i].Name)
	}
	return len(extra), nil
}

// groupSpans returns where a row group lies, as far as it is read, and refuses
// one that is too large.
func (b *Batch) groupSpans(j *job, f *parquet.File, g int, l *frame.Layout) ([]parquet.Span, error) {
	name := j.Inputs[0].Name
	spans, err := f.Spans(g, l)
	if err != nil {
		return nil, at(err, name)
	}
	size := int64(0)
	for _, s := range spans {
		size += s.Size
	}
	rows, most := f.Rows(g), int64(maxGroupRows)
	if len(l.Schema) > 0 {
		most = min(most, int64(maxGroupCells/len(l.Schema)))
	}
	if rows > most || size > b.lim.GroupBytes {
		return nil, fault.New(fault.TooLarge, "OutOfMemoryLimit", "%s, row group %d of %d has %d rows and, in the columns that are read, %d bytes; a row group may have %d rows and %d bytes: write the file with smaller row groups",
			name, g+1, f.Groups(), rows, size, most, b.lim.GroupBytes).At(name)
	}
	return spans, nil
}

// cutGroups appends chunks to seg until it is full or the file ends: row
// groups that together have about the bytes of a chunk.
func (b *Batch) cutGroups(j *job, f *parquet.File, l *frame.Layout, first, seg *segment) error {
	st, row := &seg.End, int64(0)
	st.Start = st.Offset
	cur := chunk{First: st.Records + 1}
	end := func() {
		if cur.Records == 0 {
			return
		}
		seg.Chunks = append(seg.Chunks, cur)
		st.Records += cur.Records
		st.Offset = cur.Offset + cur.Length
		st.Start = st.Offset
		cur = chunk{First: st.Records + 1}
	}
	for g := range f.Groups() {
		rows := f.Rows(g)
		if row += rows; row <= st.Records || rows == 0 {
			continue // in the plan already
		}
		if _, err := b.groupSpans(j, f, g, l); err != nil {
			return err
		}
		at := f.Bytes(g)
		if cur.Length+at.Size > first.ChunkBytes || cur.Records+rows > chunkRows {
			if end(); len(seg.Chunks) >= segmentChunks {
				return nil
			}
		}
		if cur.Records == 0 {
			cur.Offset = at.Offset
		}
		cur.Length += at.Size
		cur.Records += rows
	}
	end()
	seg.Last = true
	if n := seg.First + len(seg.Chunks); n > b.lim.MaxChunks {
		return fault.New(fault.TooLarge, "OutOfMemoryLimit", "%s has row groups for %d chunks; a job has at most %d", j.Inputs[0].Name, n, b.lim.MaxChunks).At(j.Inputs[0].Name)
	}
	return nil
}

// groupBlocks reads the row groups of a chunk. What all chunks of a process
// hold of them is bounded: the others wait.
func (b *Batch) groupBlocks(ctx context.Context, s *sheet, d Deployment, in *blob.Blob, first *segment, c chunk) (blocks, func(), error) {
	l := d.Input(0)
	f, err := b.openGroups(ctx, s.j, 0, in, first.Pins[0])
	if err != nil {
		return nil, nil, err
	}
	// What is made of the bytes takes more than they do.
	weight := min(4*c.Length, b.lim.GroupBytes)
	if err := b.groups.Acquire(ctx, weight); err != nil {
		return nil, nil, fault.Wrap(err, fault.Unavailable, "wait for memory")
	}
	return func(yield func(block, error) bool) {
		row := int64(0)
		for g := range f.Groups() {
			at := row + 1
			if row += f.Rows(g); at < c.First || f.Rows(g) == 0 {
				continue
			}
			if at >= c.First+c.Records {
				return
			}
			spans, err := b.groupSpans(s.j, f, g, l)
			var pages [][]byte
			if err == nil {
				pages, err = b.readSpans(ctx, s.j, in, first.Pins[0], spans)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !b.rowBlocks(s, f, g, l, pages, at, parquet.NewBudget(b.lim.GroupBytes), first.RecordBytes)(yield) {
				return
			}
		}
	}, func() { b.groups.Release(weight) }, nil
}

// rowBlocks gives the rows of a row group, the first of which is record first.
// It reports false where it was told to stop, or there was an error.
func (b *Batch) rowBlocks(s *sheet, f *parquet.File, g int, l *frame.Layout, pages [][]byte, first int64, budget *parquet.Budget, record int) func(yield func(block, error) bool) bool {
	return func(yield func(block, error) bool) bool {
		r, err := f.Reader(g, l, pages, budget)
		rows, o := l.New(0), &parquet.Tolerance{MaxRecord: record}
		for err == nil {
			rows.Reset()
			var n int
			if n, err = r.Append(rows, o); err != nil || n == 0 {
				break
			}
			if !yield(&rowBlock{rows: rows, hi: n, bad: o.Bad, first: first, tell: s.bad}, nil) {
				return false
			}
			first += int64(n)
		}
		if err != nil {
			yield(nil, at(err, s.name()))
		}
		return err == nil
	}
}

// spanGap is how far apart two columns may lie and be read by one request.
const spanGap = 64 << 10

// readSpans reads parts of an input, those that lie together by one request.
func (b *Batch) readSpans(ctx context.Context, j *job, in *blob.Blob, p pin, spans []parquet.Span) ([][]byte, error) {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(min(max(spans[a].Offset-spans[b].Offset, -1), 1)) })
	pages := make([][]byte, len(spans))
	for len(order) > 0 {
		from := spans[order[0]].Offset
		to, n := from, 0
		for _, i := range order {
			if spans[i].Offset > to+spanGap {
				break
			}
			to = max(to, spans[i].Offset+spans[i].Size)
			n++
		}
		body, err := b.readRange(ctx, j, 0, in, p.ETag, from, to-from, nil)
		if err != nil {
			return nil, err
		}
		for _, i := range order[:n] {
			at := spans[i].Offset - from
			pages[i] = body[at : at+spans[i].Size]
		}
		order = order[n:]
	}
	return pages, nil
}

// readGroups reads all rows of an input that is there as a whole into f.
func (b *Batch) readGroups(s *sheet, l *frame.Layout, f *frame.Frame, body []byte) error {
	file, err := parquet.Open(body)
	if err != nil {
		return at(err, s.name())
	}
	if s.ignored, err = b.groupColumns(s.j, s.input, file, l); err != nil {
		return err
	}
	budget := file.Budget()
	for g := range file.Groups() {
		var err error
		b.rowBlocks(s, file, g, l, nil, s.RowsIn+1, budget, b.lim.RecordBytes)(func(rows block, failed error) bool {
			if err = failed; err != nil {
				return false
			}
			var n frame.Counts
			n, err = rows.fill(f)
			s.RowsIn += n.Records
			return err == nil
		})
		if err != nil {
			return at(err, s.name())
		}
	}
	return nil
}

package batch

import (
	"context"
	"fmt"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

// runChunk scores one chunk. It may run twice at once and long after the job
// has ended: what it stages is the same bytes under the same id, and its row
// is inserted once.
func (b *Batch) runChunk(ctx context.Context, id string, n int) error {
	j, err := b.load(ctx, id)
	if gone, err := absent(err); gone || err != nil {
		return err
	}
	if j.State != Running {
		return nil
	}
	isDone, err := b.isDone(ctx, id, n)
	if err != nil {
		return err
	}
	if !isDone {
		d, err := b.scoreChunk(ctx, j, n)
		if err != nil {
			return err
		}
		if err := b.record(ctx, id, n, d); err != nil {
			return err
		}
	}
	if next := n + j.Window; next < j.Chunks {
		if err := b.sendWork(ctx, work{Job: id, Chunk: next}); err != nil {
			return err
		}
	}
	sums, root, err := b.close(ctx, j, n)
	switch {
	case err != nil:
		return err
	case root:
		return b.send(ctx, step{Step: stepCommit, Job: id})
	case j.Options.hopeless(sums.totals):
		return j.Options.judge(sums.totals, " so far")
	}
	return nil
}

// buffer is the memory of one chunk at work.
type buffer struct {
	in  []byte
	out [][]byte // per file, the error file last
	// printers make outputs of what is in out.
	printers []*printer
	marks    []int // scratch of print
}

func (b *Batch) buffer(j *job) *buffer {
	buf, ok := b.buffers.Get().(*buffer)
	if !ok {
		buf = &buffer{}
	}
	for len(buf.out) < len(j.Outputs)+1 {
		buf.out = append(buf.out, nil)
	}
	buf.out = buf.out[:len(j.Outputs)+1]
	for i := range buf.out {
		buf.out[i] = buf.out[i][:0]
	}
	buf.printers = buf.printers[:0]
	for _, o := range j.Outputs {
		buf.printers = append(buf.printers, newPrinter(o.Format))
	}
	return buf
}

// part returns what is staged of file i, and what the end of the file has to
// say of it.
func (buf *buffer) part(i int) (body, tail []byte, err error) {
	if i < len(buf.printers) {
		return buf.printers[i].part(buf.out[i])
	}
	return buf.out[i], nil, nil
}

// scoreChunk reads, scores and stages one chunk.
func (b *Batch) scoreChunk(ctx context.Context, j *job, n int) (done, error) {
	first, c, err := b.chunkAt(ctx, j, n)
	if err != nil {
		return done{}, err
	}
	var sec secrets
	if err := b.unseal(j, &sec); err != nil {
		return done{}, err
	}
	in, err := b.sources(ctx, j, &sec)
	if err != nil {
		return done{}, err
	}
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return done{}, err
	}
	defer release()

	buf := b.buffer(j)
	s := &sheet{j: j, buf: buf, chunks: j.Chunks}
	rows, release, err := b.chunkBlocks(ctx, s, d, in[0], first, c)
	if err != nil {
		return done{}, err
	}
	defer release()
	if c.Long {
		err = s.long(c, first.RecordBytes)
	} else {
		err = b.score(ctx, s, d, rows, sec.Parameters)
	}
	if err != nil {
		return done{}, err
	}
	res := done{totals: s.totals, At: now()}
	res.Chunks, res.BytesIn = 1, c.Length
	for i, f := range b.files(j) {
		body, tail, err := buf.part(i)
		if err != nil {
			return done{}, err
		}
		if len(tail) > 0 {
			res.Tails = append(res.Tails, make([][]byte, i-len(res.Tails))...)
			res.Tails = append(res.Tails, tail)
		}
		res.Bytes = append(res.Bytes, int64(len(body)))
		if len(body) == 0 {
			continue // an empty part is refused
		}
		if err := b.store.Blobs.PutPart(ctx, f.Key, partID(j.ID, j.staging(), f.Name, n+1), body); err != nil {
			return done{}, err
		}
	}
	// Not after a panic or an error: somebody may still hold the bytes.
	b.buffers.Put(buf)
	return res, nil
}

// chunkBlocks reads a chunk. What it holds is given back by release.
func (b *Batch) chunkBlocks(ctx context.Context, s *sheet, d Deployment, in *blob.Blob, first *segment, c chunk) (rows blocks, release func(), err error) {
	f, _ := fileKind(s.j.Inputs[0].Format)
	if f.Name == format.Parquet {
		return b.groupBlocks(ctx, s, d, in, first, c)
	}
	length := c.Length
	if c.Long {
		length = min(length, rawMax)
	}
	if s.buf.in, err = b.readRange(ctx, s.j, 0, in, first.Pins[0].ETag, c.Offset, length, s.buf.in); err != nil {
		return nil, nil, err
	}
	o := b.reading(s.j, 0, s.bad)
	o.MaxRecord = first.RecordBytes
	h, err := f.Begin([]byte(first.Header), d.Input(0), o)
	if err != nil {
		return nil, nil, at(err, s.name())
	}
	return textBlocks(f, h, s.buf.in, frame.Start{Record: c.First, Line: c.Line}), func() {}, nil
}

// score scores a chunk as soon as a processor is free for it. Chunks that shared
// the processors would be done all at once, and leave them idle while all are
// stored.
func (b *Batch) score(ctx context.Context, s *sheet, d Deployment, rows blocks, parameters map[string]string) error {
	if err := b.scorers.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.scorers.Release(1)
	return s.score(ctx, d, rows, parameters)
}

// score scores all blocks of a chunk.
func (s *sheet) score(ctx context.Context, d Deployment, rows blocks, parameters map[string]string) error {
	s.sess = d.Session()
	if err := s.sess.SetParameters(parameters); err != nil {
		return err
	}
	for b, err := range rows {
		if err == nil {
			err = s.block(ctx, b)
		}
		if err != nil {
			return err
		}
	}
	s.sess.Release()
	return nil
}

// sheet turns rows of one input into outputs.
type sheet struct {
	j      *job
	input  int // which one
	buf    *buffer
	chunks int // of the job
	// ignored counts columns that the service does not know.
	ignored int
	sess    Session
	totals
}

// block scores some records and appends what they give. Where scoring refuses
// them, or an output cannot hold what they give, the block is halved, down to
// the row that is at fault.
func (s *sheet) block(ctx context.Context, b block) error {
	s.sess.Reset()
	before, errs := s.totals, &s.buf.out[len(s.buf.out)-1]
	mark := len(*errs)
	counts, err := b.fill(s.sess.Inputs()[0])
	if err != nil {
		return s.place(err)
	}
	s.RowsIn += counts.Records
	if counts.Records == counts.Bad {
		return nil
	}
	out, err := s.sess.Score(ctx)
	if err == nil {
		err = s.print(out)
	}
	switch {
	case err == nil:
	case !rowFault(err):
		return err
	case counts.Records == 1:
		r := b.only()
		r.Code, r.Column, r.Reason = fault.Of(err).Details()[0].Code, fault.Of(err).Target, fault.Of(err).Msg
		return s.bad(r)
	default:
		// Forget what this block has counted, its bad rows too, and take its
		// halves.
		s.totals = before
		*errs = (*errs)[:mark]
		first, second := b.halves()
		if err := s.block(ctx, first); err != nil {
			return err
		}
		return s.block(ctx, second)
	}
	c := s.sess.Counts()
	s.Missing += int64(c.Missing)
	s.Unknown += int64(c.UnknownLevels)
	s.RowsOut += int64(out[0].Rows())
	return nil
}

// print appends the rows to the outputs: to all of them, or to none. Row groups,
// which take every row, come last.
func (s *sheet) print(out []*frame.Frame) error {
	buf := s.buf
	buf.marks = buf.marks[:0]
	for i, f := range out {
		buf.marks = append(buf.marks, len(buf.out[i]))
		if buf.printers[i].groups != nil {
			continue
		}
		body, err := buf.printers[i].append(buf.out[i], f, 0, f.Rows())
		if err != nil {
			for k, mark := range buf.marks {
				buf.out[k] = buf.out[k][:mark]
			}
			return err
		}
		buf.out[i] = body
	}
	for i, f := range out {
		if p := buf.printers[i]; p.groups != nil {
			buf.out[i] = p.gather(buf.out[i], f, 0, f.Rows())
		}
	}
	return nil
}

// rowFault reports that the error comes from the rows: a row alone may do.
func rowFault(err error) bool {
	k := fault.KindOf(err)
	return k == fault.BadUserArgument || k == fault.LibraryExecution
}

// bad takes a bad row: it ends the job or goes to the error file.
func (s *sheet) bad(r frame.BadRecord) error {
	if s.j.Options.RowErrors == rowsFail {
		return s.refusal(r)
	}
	s.Bad++
	if s.First == nil {
		s.First = &firstBad{r.Record, fmt.Sprintf("%s, row %d%s: %s", s.name(), r.Record, onLine(r), r.Reason)}
	}
	errs := &s.buf.out[len(s.buf.out)-1]
	*errs = appendError(*errs, s.name(), r)
	return nil
}

// refusal is the end of a job under the policy fail. Of many chunks another
// may have met an earlier row.
func (s *sheet) refusal(r frame.BadRecord) error {
	where := "row"
	if s.chunks > 1 {
		where = "at least row"
	}
	return fault.New(fault.BadUserArgument, r.Code, "%s, %s %d%s: %s", s.name(), where, r.Record, onLine(r), r.Reason).At(s.name())
}

// onLine says where in a text a record begins.
func onLine(r frame.BadRecord) string {
	if r.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", r.Line)
}

// long is a chunk that is one line above the limit: a record, or a comment.
func (s *sheet) long(c chunk, limit int) error {
	if c.Records == 0 {
		return nil
	}
	s.RowsIn++
	why := fmt.Sprintf("the record is longer than the limit of %d bytes: it has %d", limit, c.Length)
	if c.Open {
		why = fmt.Sprintf("a quoted field is not closed: the record goes on to the end of the file, for %d bytes", c.Length)
	}
	return s.bad(frame.BadRecord{Record: c.First, Line: c.Line, Code: "InputParseError", Reason: why, Raw: s.buf.in})
}

// place names the input in an error of reading, and lets the job's own
// refusals through.
func (s *sheet) place(err error) error {
	return at(err, s.name())
}

func (s *sheet) name() string { return s.j.Inputs[s.input].Name }

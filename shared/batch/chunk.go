package batch

import (
	"context"
	"fmt"
	"hash/crc64"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
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
		return j.Options.judge(sums.totals)
	}
	return nil
}

// buffer is the memory of one chunk at work.
type buffer struct {
	in  []byte
	out [][]byte // per file, the error file last
}

func (b *Batch) buffer(files int) *buffer {
	buf, ok := b.buffers.Get().(*buffer)
	if !ok {
		buf = &buffer{}
	}
	for len(buf.out) < files {
		buf.out = append(buf.out, nil)
	}
	buf.out = buf.out[:files]
	for i := range buf.out {
		buf.out[i] = buf.out[i][:0]
	}
	return buf
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

	files := b.files(j)
	buf := b.buffer(len(files))
	length := c.Length
	if c.Long {
		length = min(length, rawMax)
	}
	if buf.in, err = b.readRange(ctx, j, 0, in[0], first.Pins[0].ETag, c.Offset, length, buf.in); err != nil {
		return done{}, err
	}
	s := &sheet{j: j, buf: buf, chunks: j.Chunks}
	if c.Long {
		err = s.long(c)
	} else {
		err = b.scoreRows(ctx, s, d, first, c, sec.Parameters)
	}
	if err != nil {
		return done{}, err
	}
	res := done{totals: s.totals, At: now()}
	res.Chunks, res.BytesIn = 1, c.Length
	for i, f := range files {
		body := buf.out[i]
		res.Bytes = append(res.Bytes, int64(len(body)))
		res.CRC = append(res.CRC, crc64.Checksum(body, ecma))
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

var ecma = crc64.MakeTable(crc64.ECMA)

// blockBytes is how much input is parsed, scored and printed at a time: what
// it makes stays in the processor's caches.
const blockBytes = 256 << 10

func (b *Batch) scoreRows(ctx context.Context, s *sheet, d Deployment, first *segment, c chunk, parameters map[string]string) error {
	opt := b.csv(s.j, 0, s.bad)
	opt.MaxRecord = first.RecordBytes
	h, err := opt.Header([]byte(first.Header), d.Input(0))
	if err != nil {
		return at(err, s.name())
	}
	sess := d.Session()
	if err := sess.SetParameters(parameters); err != nil {
		return err
	}
	s.header, s.sess = h, sess
	scan := frame.NewCSVScanner(opt.Comma, frame.ScanState{Records: c.First - 1, Lines: c.Line - 1})
	for rest := s.buf.in; len(rest) > 0; {
		at := scan.State
		n, _ := scan.Advance(rest, at.Offset+blockBytes)
		if err := s.block(ctx, rest[:n], frame.Start{Record: at.Records + 1, Line: at.Lines + 1}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	sess.Release()
	return nil
}

// sheet turns rows of one input into output text.
type sheet struct {
	j      *job
	input  int // which one
	buf    *buffer
	chunks int // of the job
	// ignored counts columns that the service does not know.
	ignored int
	header  *frame.CSVHeader
	sess    Session
	totals
}

// block scores some records and appends what they give. Where scoring refuses
// them the block is halved, down to the row that is at fault.
func (s *sheet) block(ctx context.Context, data []byte, at frame.Start) error {
	s.sess.Reset()
	before, marks := s.totals, len(s.buf.out[len(s.buf.out)-1])
	counts, err := s.header.Append(s.sess.Inputs()[0], data, at)
	if err != nil {
		return s.place(err)
	}
	rows := counts.Records - counts.Bad
	s.RowsIn += counts.Records
	if rows == 0 {
		return nil
	}
	out, err := s.sess.Score(ctx)
	if err != nil {
		if !rowFault(err) {
			return err
		}
		if counts.Records == 1 {
			return s.bad(frame.BadRecord{
				Record: at.Record, Line: at.Line, Code: fault.Of(err).Details()[0].Code,
				Column: fault.Of(err).Target, Reason: fault.Of(err).Msg, Raw: trimEnd(data),
			})
		}
		// Forget what this block has counted, its bad rows too, and take its
		// halves.
		s.totals = before
		errs := &s.buf.out[len(s.buf.out)-1]
		*errs = (*errs)[:marks]
		scan := frame.NewCSVScanner(comma(s.j.Inputs[s.input].Format), frame.ScanState{Records: at.Record - 1, Lines: at.Line - 1})
		n, _ := scan.Advance(data, int64(len(data)/2))
		if n == len(data) { // the first half takes all: cut after one record
			scan = frame.NewCSVScanner(comma(s.j.Inputs[s.input].Format), frame.ScanState{Records: at.Record - 1, Lines: at.Line - 1})
			for n = 0; scan.State.Records < at.Record; {
				k, _ := scan.Advance(data[n:], 0)
				n += k
			}
		}
		if err := s.block(ctx, data[:n], at); err != nil {
			return err
		}
		return s.block(ctx, data[n:], frame.Start{Record: scan.State.Records + 1, Line: scan.State.Lines + 1})
	}
	c := s.sess.Counts()
	s.Missing += int64(c.Missing)
	s.Unknown += int64(c.UnknownLevels)
	for i, f := range out {
		s.buf.out[i] = frame.AppendCSVRows(s.buf.out[i], f, 0, f.Rows(), comma(s.j.Outputs[i].Format))
	}
	s.RowsOut += int64(out[0].Rows())
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
	line := ""
	if r.Line > 0 {
		line = fmt.Sprintf(" (line %d)", r.Line)
	}
	return fault.New(fault.BadUserArgument, r.Code, "%s, %s %d%s: %s", s.name(), where, r.Record, line, r.Reason).At(s.name())
}

// long is a chunk that is one record above the limit.
func (s *sheet) long(c chunk) error {
	s.RowsIn++
	return s.bad(frame.BadRecord{
		Record: c.First, Line: c.Line, Code: "InputParseError",
		Reason: fmt.Sprintf("the record has %d bytes, more than the limit of a record", c.Length), Raw: s.buf.in,
	})
}

// place names the input in an error of reading, and lets the job's own
// refusals through.
func (s *sheet) place(err error) error {
	return at(err, s.name())
}

func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

func (s *sheet) name() string { return s.j.Inputs[s.input].Name }

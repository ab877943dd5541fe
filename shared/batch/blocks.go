package batch

import (
	"bytes"
	"iter"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/frame/parquet"
	"github.com/portico-ml/portico/shared/scoring"
)

// block is some records of an input, parsed, scored and printed together. A
// text has them as bytes, a Parquet file as columns.
type block interface {
	// fill appends the rows of the records to f; a bad one adds none and is
	// told to the sheet.
	fill(f *frame.Frame) (frame.Counts, error)
	// halves cuts a block of several records in two.
	halves() (block, block)
	// only describes the record of a block that has one.
	only() frame.BadRecord
}

// blocks are the records of a chunk, or of a whole input, in order.
type blocks = iter.Seq2[block, error]

// Text is parsed, scored and printed some rows at a time, so that what it makes
// stays in the processor's caches: as much as holds blockRows of the length of
// those before, which is a little less than what a session scores without a copy,
// and at most blockBytes.
const (
	blockRows  = scoring.BlockRows - scoring.BlockRows/16
	blockBytes = 256 << 10
)

// textBlock is a block of records of a text format.
type textBlock struct {
	format *format.Format
	head   *format.Head
	data   []byte
	at     frame.Start
}

// textBlocks cuts data, which begin at a record, into blocks.
func textBlocks(f *format.Format, h *format.Head, data []byte, at frame.Start) blocks {
	return func(yield func(block, error) bool) {
		scan := f.Scanner(frame.ScanState{Records: at.Record - 1, Lines: at.Line - 1})
		size := int64(blockBytes / 4)
		for rest := data; len(rest) > 0; {
			from := scan.State
			n, _ := scan.Advance(rest, from.Offset+size)
			if records := scan.State.Records - from.Records; records > 0 {
				size = min(int64(n)*blockRows/records+1, blockBytes)
			}
			if !yield(&textBlock{f, h, rest[:n], frame.Start{Record: from.Records + 1, Line: from.Lines + 1}}, nil) {
				return
			}
			rest = rest[n:]
		}
	}
}

func (t *textBlock) fill(f *frame.Frame) (frame.Counts, error) { return t.head.Append(f, t.data, t.at) }

func (t *textBlock) scanner() *frame.Scanner {
	return t.format.Scanner(frame.ScanState{Records: t.at.Record - 1, Lines: t.at.Line - 1})
}

func (t *textBlock) halves() (block, block) {
	scan := t.scanner()
	n, _ := scan.Advance(t.data, int64(len(t.data)/2))
	if scan.State.Records < t.at.Record || n == len(t.data) { // one half has all: cut after one record
		scan, n = t.scanner(), 0
		for scan.State.Records < t.at.Record {
			k, _ := scan.Advance(t.data[n:], 0)
			n += k
		}
	}
	a, b := *t, *t
	a.data, b.data = t.data[:n], t.data[n:]
	b.at = frame.Start{Record: scan.State.Records + 1, Line: scan.State.Lines + 1}
	return &a, &b
}

func (t *textBlock) only() frame.BadRecord {
	raw, line := t.data, t.at.Line
	scan := t.scanner()
	for rest := t.data; len(rest) > 0; { // blank lines and comments are beside it
		from := scan.State
		n, _ := scan.Advance(rest, 0)
		if scan.State.Records > from.Records || n == len(rest) {
			raw, line = rest[:n], from.Lines+1
			break
		}
		rest = rest[n:]
	}
	return frame.BadRecord{Record: t.at.Record, Line: line, Raw: bytes.TrimRight(raw, "\r\n")}
}

// rowBlock is a block of records that came as columns.
type rowBlock struct {
	rows   *frame.Frame // a row for every record, with missing cells where it is bad
	lo, hi int          // those of this block
	bad    []parquet.BadRow
	first  int64 // number of the record that rows begin with
	tell   func(frame.BadRecord) error
}

func (t *rowBlock) fill(f *frame.Frame) (frame.Counts, error) {
	n := frame.Counts{Records: int64(t.hi - t.lo)}
	at := t.lo
	take := func(to int) {
		if to > at {
			for i, c := range f.Cols {
				c.AppendRange(t.rows.Cols[i], at, to)
			}
		}
		at = to + 1
	}
	for _, b := range t.bad {
		if b.Row < t.lo || b.Row >= t.hi {
			continue
		}
		take(b.Row)
		n.Bad++
		if err := t.tell(frame.BadRecord{Record: t.first + int64(b.Row), Column: b.Column, Code: b.Code, Reason: b.Reason}); err != nil {
			return n, err
		}
	}
	take(t.hi)
	return n, nil
}

func (t *rowBlock) halves() (block, block) {
	a, b := *t, *t
	a.hi = (t.lo + t.hi) / 2
	b.lo = a.hi
	return &a, &b
}

func (t *rowBlock) only() frame.BadRecord { return frame.BadRecord{Record: t.first + int64(t.lo)} }

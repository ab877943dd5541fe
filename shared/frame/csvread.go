package frame

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
)

// Start is where a piece of a file begins.
type Start struct {
	Record int64 // number of its first record, header excluded; 0 = 1
	Line   int64 // number of its first line; 0 = not known, and not told
}

// Counts are the records of a piece of a file.
type Counts struct {
	Records int64 // all of them
	Bad     int64 // those that added no row
}

// Read reads a whole file: header and records.
func (o CSV) Read(data []byte, l *Layout) (*Frame, error) {
	h, err := o.Header(data, l)
	if err != nil {
		return nil, err
	}
	f := l.New(0)
	line := int64(1 + bytes.Count(data[:h.Size], []byte{'\n'}))
	if _, err := h.Append(f, data[h.Size:], Start{Record: 1, Line: line}); err != nil {
		return nil, err
	}
	return f, nil
}

// blockSize is the size of what one goroutine parses at a time.
const blockSize = 1 << 20

// Append appends the records of data to f, a frame of the header's layout. The
// data must begin at a record and end after one. The rows and the bad records
// do not depend on the number of workers. After an error f holds some of the
// rows.
func (h *CSVHeader) Append(f *Frame, data []byte, at Start) (Counts, error) {
	workers := h.opt.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return h.append(f, data, at, workers, blockSize)
}

func (h *CSVHeader) append(f *Frame, data []byte, at Start, workers, size int) (Counts, error) {
	m := &merger{h: h, f: f, at: at}
	m.at.Record = max(1, at.Record)
	var err error
	if workers = min(workers, len(data)/size); workers < 2 {
		err = m.alone(data)
	} else {
		err = m.together(data, workers, size)
	}
	return m.counts, err
}

// block is a piece of the data that one goroutine parses. It is right only if
// its data begin at a record, which is known once the block before is parsed.
type block struct {
	data  []byte
	frame *Frame
	bad   []badRecord
	rows  int64 // records, bad ones included
	open  bool  // ended inside a quoted field
	// broken says that the data are not UTF-8; the records before are parsed.
	broken bool
	crash  any // a panic, carried to the caller's goroutine
	done   chan struct{}
}

type badRecord struct {
	index  int64 // among the records of its block
	lo, hi int   // its bytes in the block
	column string
	code   string
	reason string
}

// merger brings blocks together in order.
type merger struct {
	h      *CSVHeader
	f      *Frame
	at     Start // of the next block
	counts Counts
}

// alone parses data into the frame itself.
func (m *merger) alone(data []byte) error {
	b := &block{data: data, frame: m.f}
	m.h.parse(b)
	return m.settle(b)
}

// together parses data in blocks. Where a block begins is a guess: after the
// first line end past an even number of quotes. It is wrong only in files with
// quotes inside unquoted fields, and then the block before ends inside a
// quoted field; from there the rest is parsed alone.
func (m *merger) together(data []byte, workers, size int) error {
	jobs := make(chan *block, 2*workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for b := range jobs {
				m.h.parse(b)
				b.done <- struct{}{}
			}
		})
	}
	var queue []*block
	defer func() { // on every way out no goroutine is left with the data
		close(jobs)
		running.Wait()
		for _, b := range queue {
			m.h.release(b)
		}
	}()
	cut := splitter{data: data, size: size}
	for pos := 0; ; {
		for len(queue) < cap(jobs) {
			piece := cut.next()
			if piece == nil {
				break
			}
			b := m.h.block()
			b.data = piece
			queue = append(queue, b)
			jobs <- b
		}
		if len(queue) == 0 {
			return nil
		}
		b := queue[0]
		<-b.done
		if b.crash != nil {
			panic(b.crash)
		}
		if b.open && pos+len(b.data) < len(data) {
			return m.alone(data[pos:])
		}
		if err := m.settle(b); err != nil {
			return err
		}
		for i, c := range m.f.Cols {
			if pos == 0 { // the others will be like the first
				c.growLike(b.frame.Cols[i], 1.02*float64(len(data))/float64(len(b.data)))
			}
			c.AppendRange(b.frame.Cols[i], 0, b.frame.Cols[i].Len())
		}
		pos += len(b.data)
		queue = queue[1:]
		m.h.release(b)
	}
}

// settle reports the bad records of a block and moves past it.
func (m *merger) settle(b *block) error {
	lines, seen := int64(0), 0
	for _, r := range b.bad {
		lines += int64(bytes.Count(b.data[seen:r.lo], []byte{'\n'}))
		seen = r.lo
		bad := BadRecord{Record: m.at.Record + r.index, Column: r.column, Code: r.code, Reason: r.reason, Raw: rawRecord(b.data[r.lo:r.hi])}
		if m.at.Line > 0 {
			bad.Line = m.at.Line + lines
		}
		m.counts.Bad++
		if m.h.opt.OnBad == nil {
			return bad.Fault()
		}
		if err := m.h.opt.OnBad(bad); err != nil {
			return err
		}
	}
	if b.broken {
		return checkUTF8(b.data, m.at.Line)
	}
	m.counts.Records += b.rows
	m.at.Record += b.rows
	if m.at.Line > 0 {
		m.at.Line += int64(bytes.Count(b.data, []byte{'\n'}))
	}
	return nil
}

func (h *CSVHeader) block() *block {
	if b, ok := h.blocks.Get().(*block); ok {
		return b
	}
	return &block{frame: h.layout.New(0), done: make(chan struct{}, 1)}
}

// release gives back the memory of a block that no goroutine works on.
func (h *CSVHeader) release(b *block) {
	frame, done := b.frame, b.done
	select {
	case <-done:
	default:
	}
	frame.Reset()
	*b = block{frame: frame, done: done, bad: b.bad[:0]}
	h.blocks.Put(b)
}

// parse appends the records of b.data to b.frame.
func (h *CSVHeader) parse(b *block) {
	defer func() {
		if b.done != nil { // else in the caller's goroutine
			b.crash = recover()
		}
	}()
	limit := h.opt.MaxRecord
	if limit <= 0 {
		limit = defaultMaxRecord
	}
	cols := make([]*Column, len(h.cols))
	for i, k := range h.cols {
		if k >= 0 {
			cols[i] = b.frame.Cols[k]
		}
	}
	rows := b.frame.Rows()
	p := fields{data: b.data[:validUTF8(b.data)], comma: h.opt.comma()}
	b.broken = len(p.data) < len(b.data)
	for p.record() {
		start, n, wrong := p.pos, 0, (*CellError)(nil)
		for more := true; more; n++ {
			var cell []byte
			cell, more = p.next()
			if n < len(cols) && cols[n] != nil && wrong == nil {
				if err := cols[n].AppendText(cell); err != nil {
					wrong = err.(*CellError)
				}
			}
		}
		if b.broken && p.pos == len(p.data) && (p.open || p.data[p.pos-1] != '\n') { // cut off
			truncate(cols, rows)
			break
		}
		bad := badRecord{index: b.rows, lo: start, hi: p.pos, code: CodeCell}
		switch {
		case p.pos-start > limit:
			bad.reason = fmt.Sprintf("the record is longer than the limit of %d bytes", limit)
		case p.bad != "":
			bad.reason = p.bad
		case n != len(cols):
			bad.reason = fmt.Sprintf("the record has %s, the header %d", plural(n, "field"), len(cols))
		case wrong != nil:
			bad.column, bad.code, bad.reason = wrong.Column, wrong.Code, wrong.Error()
		}
		b.rows++
		if bad.reason == "" {
			rows++
			continue
		}
		truncate(cols, rows)
		b.bad = append(b.bad, bad)
		if h.opt.OnBad == nil {
			break
		}
	}
	b.open = p.open
	for _, k := range h.absent {
		c := b.frame.Cols[k]
		for c.Len() < rows {
			c.AppendNull()
		}
	}
}

func truncate(cols []*Column, rows int) {
	for _, c := range cols {
		if c != nil {
			c.truncate(rows)
		}
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// splitter cuts data into pieces of about size bytes that begin, as far as
// the parity of quotes can tell, at a record.
type splitter struct {
	data []byte
	size int
	pos  int
}

func (s *splitter) next() []byte {
	rest := s.data[s.pos:]
	if len(rest) == 0 {
		return nil
	}
	if len(rest) > s.size {
		end := s.size
		inside := bytes.Count(rest[:end], []byte{'"'})%2 == 1
		for ; end < len(rest); end++ {
			if c := rest[end]; c == '"' {
				inside = !inside
			} else if c == '\n' && !inside {
				end++
				break
			}
		}
		rest = rest[:end]
	}
	s.pos += len(rest)
	return rest
}

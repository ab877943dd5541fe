package batch

import (
	"bytes"

	"github.com/portico-ml/portico/shared/frame"
)

// cutter cuts an input, which comes piece by piece, into the chunks of a
// segment. A record above the limit is a chunk of its own.
type cutter struct {
	seg         *segment
	scan        *frame.Scanner
	size, limit int64

	cur  chunk // the one being measured
	line int64 // line ends before the unfinished record
}

func (c *cutter) begin() {
	st := c.scan.State
	c.cur = chunk{Offset: st.Offset, First: st.Records + 1, Line: st.Lines + 1}
}

// take takes the next piece, and reports whether the segment is full.
func (c *cutter) take(piece []byte) (full bool) {
	for len(piece) > 0 {
		before := c.scan.State
		n, cut := c.scan.Advance(piece, c.target())
		if st := c.scan.State; st.Start >= before.Offset { // it begins in this piece
			c.line = st.Lines - int64(bytes.Count(piece[st.Start-before.Offset:n], []byte{'\n'}))
		}
		piece = piece[n:]
		switch {
		case cut:
			if full = c.end(c.scan.State.Offset); full {
				return true
			}
		case !c.cur.Long && c.scan.State.Offset-c.scan.State.Start > c.limit:
			if full = c.endBefore(); full {
				return true
			}
			c.cur.Long = true
		}
	}
	return false
}

// target is where the chunk may end: a long record is one by itself.
func (c *cutter) target() int64 {
	if c.cur.Long {
		return 0
	}
	return c.cur.Offset + c.size
}

// end ends the chunk at offset, where a record ends, and begins the next.
func (c *cutter) end(offset int64) (full bool) {
	c.cur.Length = offset - c.cur.Offset
	c.cur.Records = c.scan.State.Records - c.cur.First + 1
	c.seg.Chunks = append(c.seg.Chunks, c.cur)
	c.seg.End = c.scan.State
	c.begin()
	return len(c.seg.Chunks) >= segmentChunks
}

// endBefore ends the chunk where the unfinished record begins.
func (c *cutter) endBefore() (full bool) {
	st := c.scan.State
	if st.Start == c.cur.Offset {
		return false
	}
	c.cur.Length = st.Start - c.cur.Offset
	c.cur.Records = st.Records - c.cur.First + 1
	c.seg.Chunks = append(c.seg.Chunks, c.cur)
	c.seg.End = frame.ScanState{Offset: st.Start, Start: st.Start, Records: st.Records, Lines: c.line}
	c.cur = chunk{Offset: st.Start, First: st.Records + 1, Line: c.line + 1}
	return len(c.seg.Chunks) >= segmentChunks
}

// finish ends the last chunk where the input ends, with or without a line end.
func (c *cutter) finish() {
	c.cur.Open = c.cur.Long && c.scan.State.Field == frame.Quoted
	c.scan.End()
	st := &c.scan.State
	if st.Offset > c.cur.Offset && (c.cur.Long || st.Records >= c.cur.First) {
		c.end(st.Offset)
	}
	c.seg.End = *st
}

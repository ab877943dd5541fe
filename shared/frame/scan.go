package frame

import "bytes"

// Scanner finds the ends of records in a file that is read piece by piece.
// Its state says all it knows: a scanner made from a stored one goes on where
// the other stopped. It counts records as those who read them do.
type Scanner struct {
	State ScanState

	comma   byte // of separated values
	lines   bool // every record is a line
	comment byte // a line that begins with it is none; 0 = there are no comments
}

// ScanState is a position in a file. The zero value is the start; after a
// header it is ScanState{Offset: header.Size}.
type ScanState struct {
	Offset  int64 `json:"offset"`  // bytes read
	Start   int64 `json:"start"`   // where the unfinished record begins; Offset where there is none
	Records int64 `json:"records"` // records ended
	Lines   int64 `json:"lines"`   // line ends read
	Field   Where `json:"field"`   // where in a record Offset is
}

// Where is a place in a record. The numbers are stored.
type Where uint8

const (
	BetweenRecords Where = iota // before the first byte of a record
	ReturnSeen                  // after a CR there: a blank line, if LF follows
	FieldStart                  // before the first byte of a further field
	Unquoted                    // in a field that is not quoted
	Quoted                      // in a quoted field
	QuoteSeen                   // after a quote in a quoted field: its end, or a doubled quote

	// Of a file of lines, which knows BetweenRecords besides.
	LineBlank   // after blanks: a blank line, if nothing else follows
	LineComment // in a comment
	LineRecord  // in a record
)

// NewCSVScanner makes a scanner of separated values that goes on from a state;
// a comma of 0 is ','.
func NewCSVScanner(comma byte, from ScanState) *Scanner {
	return newScanner(Scanner{State: from, comma: CSV{Comma: comma}.comma()})
}

// NewLineScanner makes a scanner of a file in which every record is a line, as
// Lines says, that goes on from a state. A comment of 0 is none.
func NewLineScanner(comment byte, from ScanState) *Scanner {
	return newScanner(Scanner{State: from, lines: true, comment: comment})
}

func newScanner(s Scanner) *Scanner {
	if s.State.Field == BetweenRecords {
		s.State.Start = s.State.Offset
	}
	return &s
}

// Advance reads p, the bytes at State.Offset, up to the first record end at
// or past the offset atLeast, and returns the number of bytes read and whether
// it stopped at such an end. It then may be called with the rest.
func (s *Scanner) Advance(p []byte, atLeast int64) (n int, cut bool) {
	if s.lines {
		return s.advanceLines(p, atLeast)
	}
	st := &s.State
	base := st.Offset
	where := st.Field
	i := 0
	for i < len(p) && !cut {
		if where == BetweenRecords {
			// A line without quotes is a record, if it is not blank.
			if j := bytes.IndexByte(p[i:], '\n'); j >= 0 && bytes.IndexByte(p[i:i+j], '"') < 0 {
				i += j + 1
				st.Lines++
				if j > 1 || j == 1 && p[i-2] != '\r' {
					st.Records++
				}
				cut = base+int64(i) >= atLeast
				continue
			}
			st.Start = base + int64(i)
		}
		c := p[i]
		i++
		switch where {
		case Quoted:
			if c == '\n' {
				st.Lines++
			} else if c == '"' {
				where = QuoteSeen
			}
			continue
		case QuoteSeen:
			if c == '"' {
				where = Quoted
				continue
			}
		case BetweenRecords:
			if c == '\r' {
				where = ReturnSeen
				continue
			}
			if c == '"' {
				where = Quoted
				continue
			}
		case FieldStart:
			if c == '"' {
				where = Quoted
				continue
			}
		}
		switch c {
		case s.comma:
			where = FieldStart
		case '\n':
			st.Lines++
			if where != ReturnSeen {
				st.Records++
			}
			where = BetweenRecords
			cut = base+int64(i) >= atLeast
		default:
			where = Unquoted
		}
	}
	st.Offset, st.Field = base+int64(i), where
	if where == BetweenRecords {
		st.Start = st.Offset
	}
	return i, cut
}

// advanceLines is Advance in a file of lines. A line that is no record, however
// long, counts as unfinished until it ends.
func (s *Scanner) advanceLines(p []byte, atLeast int64) (n int, cut bool) {
	st := &s.State
	base := st.Offset
	for n < len(p) && !cut {
		if st.Field == BetweenRecords {
			st.Start = base + int64(n)
		}
		end, ended := bytes.IndexByte(p[n:], '\n'), true
		if end < 0 {
			end, ended = len(p)-n, false
		}
		line := p[n : n+end]
		n += end
		if st.Field == BetweenRecords || st.Field == LineBlank {
			for len(line) > 0 && blank(line[0]) {
				line = line[1:]
			}
			switch {
			case len(line) == 0:
				st.Field = LineBlank
			case line[0] == s.comment && s.comment != 0:
				st.Field = LineComment
			default:
				st.Field = LineRecord
			}
		}
		if !ended {
			break
		}
		n++
		st.Lines++
		if st.Field == LineRecord {
			st.Records++
		}
		st.Field = BetweenRecords
		cut = base+int64(n) >= atLeast
	}
	st.Offset = base + int64(n)
	if st.Field == BetweenRecords {
		st.Start = st.Offset
	}
	return n, cut
}

// End says that State.Offset is the end of the file: a record without a line
// end is one, too.
func (s *Scanner) End() {
	st := &s.State
	switch st.Field {
	case BetweenRecords, ReturnSeen, LineBlank, LineComment:
	default:
		st.Records++
	}
	st.Start, st.Field = st.Offset, BetweenRecords
}

package frame

import "bytes"

// CSVScanner finds the ends of records in a file that is read piece by piece.
// Its state says all it knows: a scanner made from a stored one goes on where
// the other stopped. It counts records as CSVHeader.Append does.
type CSVScanner struct {
	State CSVState
	comma byte
}

// CSVState is a position in a file. The zero value is the start; after a
// header it is CSVState{Offset: header.Size}.
type CSVState struct {
	Offset  int64 `json:"offset"`  // bytes read
	Start   int64 `json:"start"`   // where the unfinished record begins; Offset where there is none
	Records int64 `json:"records"` // records ended
	Lines   int64 `json:"lines"`   // line ends read
	Field   Where `json:"field"`   // where in a record Offset is
}

// Where is a place in a record.
type Where uint8

const (
	BetweenRecords Where = iota // before the first byte of a record
	ReturnSeen                  // after a CR there: a blank line, if LF follows
	FieldStart                  // before the first byte of a further field
	Unquoted                    // in a field that is not quoted
	Quoted                      // in a quoted field
	QuoteSeen                   // after a quote in a quoted field: its end, or a doubled quote
)

// NewCSVScanner makes a scanner that goes on from a state; a comma of 0 is ','.
func NewCSVScanner(comma byte, from CSVState) *CSVScanner {
	if from.Field == BetweenRecords {
		from.Start = from.Offset
	}
	return &CSVScanner{State: from, comma: CSV{Comma: comma}.comma()}
}

// Advance reads p, the bytes at State.Offset, up to the first record end at
// or past the offset atLeast, and returns the number of bytes read and whether
// it stopped at such an end. It then may be called with the rest.
func (s *CSVScanner) Advance(p []byte, atLeast int64) (n int, cut bool) {
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

// End says that State.Offset is the end of the file: a record without a line
// end is one, too.
func (s *CSVScanner) End() {
	if st := &s.State; st.Field != BetweenRecords {
		if st.Field != ReturnSeen {
			st.Records++
		}
		st.Start, st.Field = st.Offset, BetweenRecords
	}
}

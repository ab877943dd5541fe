package frame

import (
	"fmt"
	"strings"
	"testing"
)

// However a file of lines is cut, its pieces lie one behind the other, and
// reading them gives what reading it in one go gives: rows, bad records with
// their numbers and lines, counts.
func FuzzLineScanner(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"a\":\"x\"}\r\n"), 3, 2)
	f.Add([]byte("\n \r\n\t\n{\"a\":\"\\n\"}\n\n{\"a\":2}"), 1, 1)
	f.Add([]byte("# a comment\n  # and another\n1 1:2\n#"), 4, 3)
	f.Add([]byte("1 1:2 # behind\n\v\f\n1 1:x\n  "), 2, 20)
	f.Add([]byte("\r"), 1, 1)
	l := mustLayout(Schema{{Name: "a", Type: Double}, {Name: "b", Type: Double, Optional: true}})
	read := func(data []byte, comment byte, into *Frame, at Start, told *strings.Builder) (Counts, error) {
		lines := Lines{MaxRecord: 40, OnBad: func(r BadRecord) error {
			fmt.Fprintf(told, "%d %d %q %s\n", r.Record, r.Line, r.Raw, r.Reason)
			return nil
		}}
		if comment != 0 {
			return SVMLight{lines}.Append(into, l, data, at)
		}
		return JSONL{lines}.Append(into, l, data, at)
	}
	f.Fuzz(func(t *testing.T, data []byte, size, piece int) {
		if size < 1 || size > 1<<20 || piece < 1 || piece > 1<<20 || len(data) > 1<<16 {
			t.Skip()
		}
		for _, comment := range []byte{0, '#'} {
			var want, got strings.Builder
			whole, parts := l.New(0), l.New(0)
			n, err := read(data, comment, whole, Start{Record: 1, Line: 1}, &want)
			if err != nil {
				t.Skip("not UTF-8")
			}
			s := NewLineScanner(comment, ScanState{})
			var total Counts
			take := func(from ScanState) {
				n, err := read(data[from.Offset:s.State.Offset], comment, parts, Start{Record: from.Records + 1, Line: from.Lines + 1}, &got)
				if err != nil {
					t.Fatal(err)
				}
				if n.Records != s.State.Records-from.Records {
					t.Fatalf("%q: %d records, the scanner says %d", data[from.Offset:s.State.Offset], n.Records, s.State.Records-from.Records)
				}
				total.Records, total.Bad = total.Records+n.Records, total.Bad+n.Bad
			}
			from := s.State
			for rest := data; len(rest) > 0; {
				n, cut := s.Advance(rest[:min(piece, len(rest))], from.Offset+int64(size))
				rest = rest[n:]
				if cut {
					if s.State.Field != BetweenRecords || s.State.Start != s.State.Offset {
						t.Fatalf("cut at %+v", s.State)
					}
					take(from)
					from = s.State
				}
				s = NewLineScanner(comment, s.State) // as a planner that died and was started again
			}
			s.End()
			take(from)
			if total != n || got.String() != want.String() || string(AppendCSV(nil, parts, 0)) != string(AppendCSV(nil, whole, 0)) {
				t.Fatalf("in pieces:\n%s\n%+v\nwhole:\n%s\n%+v", got.String(), total, want.String(), n)
			}
		}
	})
}

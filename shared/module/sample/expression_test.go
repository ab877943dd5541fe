package sample

import (
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

var fuzzed = frame.Schema{{Name: "n", Type: frame.Int64}, {Name: "x", Type: frame.Double}, {Name: "d", Type: frame.DateTime}, {Name: "größe, s", Type: frame.String}}

// FuzzExpression: an expression is refused with a module error, or splits every
// row to one side.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		`\"n" > 3`, `(\1)<=30 & !=20`, `\"d" > 10-08-2015 | == 2024-01-01T00:00:00`, `\"größe, s" ^a.*b$`, `(\3) [`, `(\n) 9`, `\"n"`, `\"n" >`, `(\-1) x`, `\"x" < 1e999`, `\"x" != NaN`,
	} {
		f.Add(text)
	}
	l, err := frame.NewLayout(fuzzed)
	if err != nil {
		f.Fatal(err)
	}
	table, err := frame.CSV{}.Read([]byte("n,x,d,\"größe, s\"\n9,,2015-10-09T00:00:00,ab\n20,2.5,,\n,-1,2024-01-01T00:00:00,b\n"), l)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string, frame.Schema) (splitter, []int, error){regularSplit, relativeSplit} {
			split, reads, err := parse(text, fuzzed)
			if err != nil {
				if !fault.Is(err, fault.LibraryExecution) {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			first, second, err := split(table)
			if err != nil || len(first)+len(second) != table.Rows() || len(reads) != 1 {
				t.Fatalf("%q splits into %v and %v, reads %v, %v", text, first, second, reads, err)
			}
		}
	})
}

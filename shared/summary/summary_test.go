package summary_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/summary"
)

// golden is what testdata/make.py wrote.
type golden struct {
	CSV     string
	Columns map[string]struct {
		Count, Missing, Unique int
		Min, Max               any // numbers, or text
		Mean, Std              *float64
		Quartiles              []any
		Bins                   []int
		Levels                 [][2]any
		Other                  int
	}
}

func read(t testing.TB, csv string) *frame.Frame {
	t.Helper()
	schema, err := frame.Inference{}.Infer([]byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	if i := schema.Index("dates"); i >= 0 {
		schema[i].Type = frame.DateTime
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(csv), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func same(got string, want any) bool {
	switch w := want.(type) {
	case float64:
		x, err := strconv.ParseFloat(got, 64)
		return err == nil && math.Abs(x-w) <= 1e-9*max(1, math.Abs(w))
	case string:
		return got == w
	}
	return false
}

// of describes all columns of a table.
func of(f *frame.Frame) (out []summary.Column) {
	for _, c := range f.Cols {
		out = append(out, summary.Describe(c))
	}
	return out
}

func TestAgainstPandas(t *testing.T) {
	body, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(body, &g); err != nil {
		t.Fatal(err)
	}
	columns := of(read(t, g.CSV))
	if len(columns) != len(g.Columns) {
		t.Fatalf("%d columns", len(columns))
	}
	for _, c := range columns {
		t.Run(c.Name, func(t *testing.T) {
			w := g.Columns[c.Name]
			if c.Count != w.Count || c.Missing != w.Missing || c.Unique != w.Unique {
				t.Errorf("%d cells, %d missing, %d different; want %d, %d, %d", c.Count, c.Missing, c.Unique, w.Count, w.Missing, w.Unique)
			}
			if w.Min != nil && (!same(c.Min, w.Min) || !same(c.Max, w.Max)) {
				t.Errorf("from %s to %s, want %s to %s", c.Min, c.Max, w.Min, w.Max)
			}
			if w.Mean != nil && (math.Abs(*c.Mean-*w.Mean) > 1e-9*math.Abs(*w.Mean) || math.Abs(*c.Deviation-*w.Std) > 1e-9**w.Std) {
				t.Errorf("mean %v, deviation %v, want %v, %v", *c.Mean, *c.Deviation, *w.Mean, *w.Std)
			}
			for i, q := range w.Quartiles {
				if got := []string{c.Quartile1, c.Median, c.Quartile3}[i]; !same(got, q) {
					t.Errorf("quartile %d is %s, want %v", i+1, got, q)
				}
			}
			for i, n := range w.Bins {
				if c.Bins[i].Count != n {
					t.Errorf("bin %d has %d, want %d", i, c.Bins[i].Count, n)
				}
			}
			total := 0
			for i, b := range c.Bins {
				if total += b.Count; i > 0 && b.From != c.Bins[i-1].To {
					t.Errorf("bin %d begins at %s, the one before ends at %s", i, b.From, c.Bins[i-1].To)
				}
			}
			if len(c.Bins) > 0 && (total != c.Count || c.Bins[0].From != c.Min || c.Bins[len(c.Bins)-1].To != c.Max) {
				t.Errorf("the bins hold %d of %d: %v", total, c.Count, c.Bins)
			}
			if len(c.Levels) != len(w.Levels) || c.OtherLevels != w.Other {
				t.Fatalf("levels %v and %d others, want %v and %d", c.Levels, c.OtherLevels, w.Levels, w.Other)
			}
			for i, l := range w.Levels {
				if c.Levels[i].Value != l[0] || float64(c.Levels[i].Count) != l[1] {
					t.Errorf("level %d is %v, want %v", i, c.Levels[i], l)
				}
			}
		})
	}
}

func TestOddTables(t *testing.T) {
	c := of(read(t, "a,b\n,\n,\n"))
	if c[0].Count != 0 || c[0].Missing != 2 || c[0].Unique != 0 || c[0].Bins != nil || c[0].Levels != nil {
		t.Errorf("an empty column is %+v", c[0])
	}
	c = of(read(t, "a,b,c\n5,x,2.5\n"))
	if c[0].Mean == nil || *c[0].Mean != 5 || c[0].Deviation != nil || c[0].Median != "5" || len(c[0].Bins) != 1 || c[0].Bins[0].Count != 1 {
		t.Errorf("of one row: %+v", c[0])
	}
	if c[1].Levels[0] != (summary.Level{Value: "x", Count: 1}) || c[2].Quartile3 != "2.5" {
		t.Errorf("of one row: %+v %+v", c[1], c[2])
	}
	f := read(t, "a\n1\n")
	f.Cols[0] = frame.NewColumn(frame.Field{Name: "a", Type: frame.Int64}, 2)
	f.Cols[0].AppendInt(math.MinInt64)
	f.Cols[0].AppendInt(math.MaxInt64)
	if c = of(f); c[0].Min != "-9223372036854775808" || c[0].Unique != 2 || c[0].Bins[0].Count != 1 || c[0].Bins[9].Count != 1 {
		t.Errorf("of the widest integers: %+v", c[0])
	}
	f.Cols[0] = frame.NewColumn(frame.Field{Name: "a", Type: frame.Double}, 2)
	f.Cols[0].AppendFloat(-math.MaxFloat64)
	f.Cols[0].AppendFloat(math.MaxFloat64)
	if _, err := json.Marshal(of(f)); err != nil {
		t.Errorf("of the widest numbers: %v", err)
	}
}

func TestBounds(t *testing.T) {
	var many strings.Builder
	many.WriteString("a\n")
	for i := range summary.MaxUnique + 5 {
		fmt.Fprintf(&many, "word%d\n", i)
	}
	c := of(read(t, many.String()))
	if c[0].Unique != summary.MaxUnique || !c[0].MoreUnique || c[0].Levels != nil {
		t.Errorf("of many texts: %d %v %v", c[0].Unique, c[0].MoreUnique, c[0].Levels)
	}
	c = of(read(t, "a\n"+strings.Repeat("x", 5000)+"\n"))
	if n := len(c[0].Levels[0].Value); n > 120 {
		t.Errorf("a level of %d bytes is shown", n)
	}
}

func BenchmarkDescribe(b *testing.B) {
	const n = 1_000_000
	f := &frame.Frame{}
	for k := range 4 {
		c := frame.NewColumn(frame.Field{Name: strconv.Itoa(k), Type: frame.Double}, n)
		for i := range n {
			c.AppendFloat(math.Mod(float64(i)*0.61803398875*float64(k+1), 1))
		}
		f.Cols = append(f.Cols, c)
	}
	for b.Loop() {
		for _, c := range f.Cols {
			summary.Describe(c)
		}
	}
}

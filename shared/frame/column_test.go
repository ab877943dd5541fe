package frame

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// texts prints a column; "-" is a missing cell.
func texts(c *Column) []string {
	out := make([]string, c.Len())
	for i := range out {
		out[i] = string(c.Print(nil, i))
		if c.IsNull(i) {
			out[i] = "-"
		}
	}
	return out
}

func column(t *testing.T, f Field, cells ...string) *Column {
	t.Helper()
	c := NewColumn(f, 0)
	for _, s := range cells {
		if err := c.AppendText([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func same(t *testing.T, c *Column, want ...string) {
	t.Helper()
	if got := texts(c); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("column %s = %q, want %q", c.Field.Name, got, want)
	}
	nulls := 0
	for i := range c.Len() {
		if c.IsNull(i) {
			nulls++
		}
	}
	if c.Nulls() != nulls {
		t.Errorf("column %s counts %d missing cells, has %d", c.Field.Name, c.Nulls(), nulls)
	}
}

var kinds = []struct {
	f     Field
	cells []string // three different ones
}{
	{Field{Name: "d", Type: Double}, []string{"1.5", "-2", "1E+20"}},
	{Field{Name: "i", Type: Int32}, []string{"1", "-2", "3"}},
	{Field{Name: "l", Type: Int64}, []string{"9007199254740993", "-2", "3"}},
	{Field{Name: "b", Type: Boolean}, []string{"True", "False", "True"}},
	{Field{Name: "t", Type: DateTime}, []string{"2015-10-09T00:00:00", "2015-10-09T00:00:01", "1900-01-01T00:00:00"}},
	{Field{Name: "s", Type: String}, []string{"a", "bcd", "é"}},
	{Field{Name: "c", Type: String, Levels: []string{"a", "b"}}, []string{"a", "b", "outside"}},
}

// TestColumnAgainstModel drives columns of every type through random appends,
// resets, truncations and range copies beside a plain slice of texts.
func TestColumnAgainstModel(t *testing.T) {
	for _, k := range kinds {
		r := rand.New(rand.NewPCG(7, 8))
		c := NewColumn(k.f, 0)
		var model []string
		for range 3000 {
			switch op := r.IntN(100); {
			case op < 60:
				n := r.IntN(4)
				s := "-"
				if n < 3 {
					s = k.cells[n]
					c.AppendText([]byte(s))
				} else {
					c.AppendNull()
				}
				model = append(model, s)
			case op < 80: // present cells only, so that the bitmap comes and goes
				s := k.cells[r.IntN(3)]
				c.AppendText([]byte(s))
				model = append(model, s)
			case op < 84:
				n := r.IntN(len(model) + 1)
				c.truncate(n)
				model = model[:n]
			case op < 92 && len(model) < 500:
				lo := r.IntN(len(model) + 1)
				hi := lo + r.IntN(len(model)-lo+1)
				d := NewColumn(k.f, 0)
				d.AppendRange(c, lo, hi)
				c.AppendRange(d, 0, d.Len())
				model = append(model, model[lo:hi]...)
			case op < 93:
				c.Reset()
				model = model[:0]
			default:
				if len(model) > 0 {
					i := r.IntN(len(model))
					c.AppendFrom(c, i)
					model = append(model, model[i])
				}
			}
			if c.Len() != len(model) {
				t.Fatalf("column %s has %d cells, want %d", k.f.Name, c.Len(), len(model))
			}
		}
		same(t, c, model...)
	}
}

func TestUnknownLevels(t *testing.T) {
	f := Field{Name: "state", Type: String, Levels: []string{"KS", "OH"}}
	c := column(t, f, "OH", "ZZ", "", "KS", "ZZ", "AA")
	same(t, c, "OH", "ZZ", "-", "KS", "ZZ", "AA")
	for i, want := range []bool{false, true, false, false, true, true} {
		if c.Unknown(i) != want {
			t.Errorf("Unknown(%d) = %v", i, !want)
		}
	}
	if c.Codes[1] != c.Codes[4] || c.Codes[1] != 2 || c.Codes[5] != 3 {
		t.Errorf("codes %v: an unknown text must keep one code, from the number of levels on", c.Codes)
	}
	c.Reset()
	for i := range 100 { // past the point where texts outside are indexed
		c.AppendString(fmt.Appendf(nil, "x%d", i%20))
	}
	for i := range 100 {
		if want := fmt.Sprintf("x%d", i%20); c.Level(i) != want || c.Codes[i] != int32(2+i%20) {
			t.Fatalf("cell %d: %q, code %d, want %q", i, c.Level(i), c.Codes[i], want)
		}
	}
	c.Reset()
	if c.AppendString([]byte("x7")); c.Codes[0] != 2 {
		t.Errorf("after Reset code %d, want 2: texts outside the levels are forgotten", c.Codes[0])
	}
	none := column(t, Field{Name: "n", Type: String, Levels: []string{}}, "", "a")
	if none.Unknown(0) || !none.Unknown(1) {
		t.Error("a column of no levels: a missing cell is not unknown, every other is")
	}
}

func TestAppendBetweenLevels(t *testing.T) {
	src := column(t, Field{Name: "c", Type: String, Levels: []string{"a", "b", "c"}}, "c", "a", "", "zz", "b")
	for _, levels := range [][]string{{"b", "a"}, {"a", "b", "c"}, nil} {
		dst := NewColumn(Field{Name: "c", Type: String, Levels: levels}, 0)
		for i := range src.Len() {
			dst.AppendFrom(src, i)
		}
		same(t, dst, "c", "a", "-", "zz", "b")
		dst.Reset()
		dst.AppendRange(src, 1, 5)
		same(t, dst, "a", "-", "zz", "b")
		if levels != nil && dst.Codes[3] != dst.levels["b"] {
			t.Errorf("levels %v: code of b is %d", levels, dst.Codes[3])
		}
		back := src.Empty(0)
		back.AppendRange(dst, 0, dst.Len())
		same(t, back, "a", "-", "zz", "b")
	}
}

// A column with no levels at all is categorical, one without levels is not.
func TestAppendRange_noLevels(t *testing.T) {
	plain, none := Field{Name: "s", Type: String}, Field{Name: "s", Type: String, Levels: []string{}}
	for _, fields := range [][2]Field{{plain, none}, {none, plain}} {
		src := column(t, fields[0], "", "x", "")
		if fields[0].Levels != nil {
			src = column(t, fields[0], "", "") // not a text outside the levels, which goes by its spelling
		}
		dst := column(t, fields[1], "a")
		dst.AppendRange(src, 0, src.Len())
		dst.AppendString([]byte("b"))
		want := []string{"a", "-", "x", "-", "b"}
		if fields[0].Levels != nil {
			want = []string{"a", "-", "-", "b"}
		}
		same(t, dst, want...)
	}
}

func TestFrameSlice(t *testing.T) {
	f := &Frame{}
	for _, k := range kinds {
		f.Cols = append(f.Cols, column(t, k.f, k.cells[0], "", k.cells[1], k.cells[2]))
	}
	g := f.Slice(1, 4)
	if g.Rows() != 3 || g.Check() != nil {
		t.Fatalf("%d rows, %v", g.Rows(), g.Check())
	}
	for i, k := range kinds {
		same(t, g.Cols[i], "-", k.cells[1], k.cells[2])
	}
	if f.Slice(2, 2).Rows() != 0 {
		t.Error("an empty slice has rows")
	}
}

func TestFloat(t *testing.T) {
	for _, tt := range []struct {
		f    Field
		cell string
		want float64
	}{
		{Field{Type: Double}, "1.5", 1.5},
		{Field{Type: Int64}, "7", 7},
		{Field{Type: Boolean}, "true", 1},
		{Field{Type: Boolean}, "false", 0},
	} {
		c := column(t, tt.f, tt.cell, "")
		if c.Float(0) != tt.want || c.Float(1) == c.Float(1) {
			t.Errorf("%s: %v, %v", tt.f.Type, c.Float(0), c.Float(1))
		}
	}
}

// TestMissing compares blocks of every place and length with the cells.
func TestMissing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	c, full := NewColumn(Field{Name: "a", Type: Double, Nullable: true}, 0), NewColumn(Field{Name: "b", Type: Double}, 0)
	for range 200 {
		full.AppendFloat(1)
		if rng.IntN(3) == 0 {
			c.AppendNull()
		} else {
			c.AppendFloat(1)
		}
	}
	for lo := range c.Len() {
		for n := range min(64, c.Len()-lo) + 1 {
			var want uint64
			for k := range n {
				if c.IsNull(lo + k) {
					want |= 1 << k
				}
			}
			if got := c.Missing(lo, n); got != want {
				t.Fatalf("cells %d to %d: %b, want %b", lo, lo+n, got, want)
			}
			if got := full.Missing(lo, n); got != 0 {
				t.Fatalf("cells %d to %d of none missing: %b", lo, lo+n, got)
			}
		}
	}
}

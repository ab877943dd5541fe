package frame

import (
	"errors"
	"strings"
	"testing"
)

func TestAppendText(t *testing.T) {
	const missing = "\x00missing"
	tests := []struct {
		typ  Type
		in   string
		want string // printed; missing; or "!" and a part of the error
	}{
		{Double, "", missing},
		{Double, "NaN", missing},
		{Double, " NaN ", missing},
		{Double, "  ", missing},
		{Double, "NA", `!column "x" (Double): value "NA" is not a number`},
		{Double, "?", "!is not a number"},
		{Double, "265.1", "265.1"},
		{Double, " 265.1\t", "265.1"},
		{Double, "+.5", "0.5"},
		{Double, "5.", "5"},
		{Double, "-0", "0"},
		{Double, "-0.0e-5", "0"},
		{Double, "1e-400", "0"},
		{Double, "1e999", `!Error 0033: column "x" (Double): value "1e999" is infinite or too large for the column`},
		{Double, "-Infinity", "!Error 0033"},
		{Double, "inf", "!Error 0033"},
		{Double, "∞", "!Error 0033"},
		{Double, "0x1p4", "!is not a number"},
		{Double, "1_000", "!is not a number"},
		{Double, "1,5", "!is not a number"},
		{Double, "12O", "!is not a number"},
		{Double, "1e", "!is not a number"},
		{Double, "1e5.5", "!is not a number"},
		{Double, ".", "!is not a number"},
		{Double, "-", "!is not a number"},
		{Double, "--1", "!is not a number"},
		{Double, "true", "!is not a number"},
		{Double, "9007199254740993", "9.007199254740992E+15"},
		{Double, "0.1000000000000000055511151231257827021181583404541015625", "0.1"},

		{Int32, "", missing},
		{Int32, "NaN", missing},
		{Int32, "25", "25"},
		{Int32, "25.0", "25"},
		{Int32, "25.", "25"},
		{Int32, "2.5E1", "25"},
		{Int32, "250e-1", "25"},
		{Int32, "+25", "25"},
		{Int32, " 25 ", "25"},
		{Int32, "-0", "0"},
		{Int32, "0e99999999999999999999", "0"},
		{Int32, "00000000000000000000000000025", "25"},
		{Int32, "0.000000000000000000000025e24", "25"},
		{Int32, "25.5", `!column "x" (Int32): value "25.5" is not a whole number`},
		{Int32, "1e-1", "!is not a whole number"},
		{Int32, "2147483647", "2147483647"},
		{Int32, "-2147483648", "-2147483648"},
		{Int32, "2147483648", `!Error 0033: column "x" (Int32)`},
		{Int32, "-2147483649", "!Error 0033"},
		{Int32, " 2147483648", "!Error 0033"},
		{Int32, "1e10", "!Error 0033"},
		{Int32, "1e999999999999999999999", "!Error 0033"},
		{Int32, "Infinity", "!Error 0033"},
		{Int32, "12O", "!is not a number"},
		{Int32, "1e", "!is not a number"},
		{Int32, "e1", "!is not a number"},
		{Int32, "", missing},

		{Int64, "9007199254740993", "9007199254740993"}, // 2^53+1
		{Int64, "9007199254740993.000", "9007199254740993"},
		{Int64, "9.007199254740993e15", "9007199254740993"},
		{Int64, "9223372036854775807", "9223372036854775807"},
		{Int64, "-9223372036854775808", "-9223372036854775808"},
		{Int64, "-9223372036854775808.0", "-9223372036854775808"},
		{Int64, "9223372036854775808", "!Error 0033"},
		{Int64, "-9223372036854775809", "!Error 0033"},
		{Int64, "18446744073709551617", "!Error 0033"},
		{Int64, "99999999999999999999", "!Error 0033"},
		{Int64, "100000000000000000000e-2", "1000000000000000000"},
		{Int64, "12345678901234567890123.5", "!is not a whole number"},

		{Boolean, "", missing},
		{Boolean, "true", "True"},
		{Boolean, "True", "True"},
		{Boolean, "TRUE", "True"},
		{Boolean, "false", "False"},
		{Boolean, " False", "False"},
		{Boolean, "1", "True"},
		{Boolean, "0", "False"},
		{Boolean, "1.0", "True"},
		{Boolean, "2", "!is not true or false"},
		{Boolean, "yes", "!is not true or false"},
		{Boolean, "NaN", "!is not true or false"},

		{String, "", missing},
		{String, "NaN", "NaN"},
		{String, "NA", "NA"},
		{String, " ", " "},
		{String, " a ", " a "},
		{String, "None", missing}, // a missing token of the test's schema

		{DateTime, "", missing},
		{DateTime, "2015-10-09", "2015-10-09T00:00:00"},
		{DateTime, "2015-10-09T08:30", "2015-10-09T08:30:00"},
		{DateTime, "2015-10-09T08:30:15", "2015-10-09T08:30:15"},
		{DateTime, "2015-10-09 08:30:15", "2015-10-09T08:30:15"},
		{DateTime, "2015-10-09T08:30:15.25", "2015-10-09T08:30:15.25"},
		{DateTime, "2015-10-09T08:30:15.1234567", "2015-10-09T08:30:15.123456"},
		{DateTime, "2015-10-09T08:30:15Z", "2015-10-09T08:30:15"},
		{DateTime, "2015-10-09T08:30:15+02:00", "2015-10-09T06:30:15"},
		{DateTime, "2015-10-09T23:30:15-0130", "2015-10-10T01:00:15"},
		{DateTime, "2015-10-09T08:30:15+02", "2015-10-09T06:30:15"},
		{DateTime, "1969-12-31T23:59:59.5", "1969-12-31T23:59:59.5"},
		{DateTime, "0001-01-01T00:00:00", "0001-01-01T00:00:00"},
		{DateTime, "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"},
		{DateTime, "2016-02-29", "2016-02-29T00:00:00"},
		{DateTime, "2015-02-29", "!is not an ISO 8601 date"},
		{DateTime, "1900-02-29", "!is not an ISO 8601 date"},
		{DateTime, "2015-13-01", "!is not an ISO 8601 date"},
		{DateTime, "2015-00-01", "!is not an ISO 8601 date"},
		{DateTime, "0000-01-01", "!is not an ISO 8601 date"},
		{DateTime, "2015-10-09T24:00:00", "!is not an ISO 8601 date"},
		{DateTime, "2015-10-09T08:30:60", "!is not an ISO 8601 date"},
		{DateTime, "2015-10-09T08:30:15.", "!is not an ISO 8601 date"},
		{DateTime, "2015-10-09T08:30:15x", "!is not an ISO 8601 date"},
		{DateTime, "2015-10-09T08:30:15+2:00", "!is not an ISO 8601 date"},
		{DateTime, "2015-10-09T", "!is not an ISO 8601 date"},
		{DateTime, "2015/10/09", "!is not an ISO 8601 date"},
		{DateTime, "10/9/2015", "!is not an ISO 8601 date"},
		{DateTime, "1e5", "!is not an ISO 8601 date"},
	}
	for _, tt := range tests {
		c := NewColumn(Field{Name: "x", Type: tt.typ, Missing: []string{"None"}}, 1)
		err := c.AppendText([]byte(tt.in))
		if part, refused := strings.CutPrefix(tt.want, "!"); refused {
			if ce := (*CellError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), part) || ce.Code != CodeCell {
				t.Errorf("%s %q: error %v, want one with %q", tt.typ, tt.in, err, part)
			}
			if c.Len() != 0 {
				t.Errorf("%s %q: refused, yet the column has %d cells", tt.typ, tt.in, c.Len())
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %q: %v", tt.typ, tt.in, err)
			continue
		}
		got := string(c.Print(nil, 0))
		if c.IsNull(0) {
			got = missing
		}
		if got != tt.want || c.Len() != 1 {
			t.Errorf("%s %q = %q, want %q", tt.typ, tt.in, got, tt.want)
		}
	}
}

func TestMissingTokensOnlyFromSchema(t *testing.T) {
	plain := NewColumn(Field{Name: "x", Type: Double}, 1)
	if err := plain.AppendText([]byte("?")); err == nil {
		t.Error("? read as a number without a missing token")
	}
	listed := NewColumn(Field{Name: "x", Type: Double, Missing: []string{"NA", "?"}}, 1)
	if err := listed.AppendText([]byte("?")); err != nil || !listed.IsNull(0) {
		t.Errorf("? with a missing token: %v, missing %v", err, listed.IsNull(0))
	}
}

func TestCellErrorValue(t *testing.T) {
	c := NewColumn(Field{Name: "x", Type: Double}, 0)
	err := c.AppendText([]byte(strings.Repeat("é", 1000)))
	if len(err.Error()) > 300 || strings.Contains(err.Error(), `\x`) {
		t.Errorf("long value: %v", err)
	}
	err = c.AppendText([]byte("a\xff\"\n"))
	if want := `column "x" (Double): value "a` + "\uFFFD" + `\"\n" is not a number`; err.Error() != want {
		t.Errorf("odd value: %s, want %s", err, want)
	}
}

func TestAppendTextDoesNotAllocate(t *testing.T) {
	cells := map[Type][]string{
		Double:   {"265.1", "0.70929419994354201", "1e300", "", "NaN", "-17"},
		Int32:    {"25", "25.0", "2.5E1", ""},
		Int64:    {"9007199254740993"},
		Boolean:  {"true", "0"},
		DateTime: {"2015-10-09T08:30:15.25Z"},
		String:   {"OH", "KS", "new"},
	}
	for typ, texts := range cells {
		for _, levels := range [][]string{nil, {"KS", "OH"}} {
			if levels != nil && typ != String {
				continue
			}
			c := NewColumn(Field{Name: "x", Type: typ, Levels: levels}, 0)
			var dst []byte
			run := func() {
				c.Reset()
				for _, s := range texts {
					if err := c.AppendText([]byte(s)); err != nil {
						t.Fatal(err)
					}
				}
				dst = dst[:0]
				for i := range c.Len() {
					dst = c.Print(dst, i)
				}
			}
			run()
			if n := testing.AllocsPerRun(20, run); n > 0 && levels == nil || n > 1 {
				// A text outside the levels is kept, and so may allocate.
				t.Errorf("%s, levels %v: %v allocations", typ, levels, n)
			}
		}
	}
}

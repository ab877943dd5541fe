package frame

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestAppendDouble(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		want string
	}{
		{0, "0"},
		{math.Copysign(0, -1), "0"},
		{1, "1"},
		{-1, "-1"},
		{0.5, "0.5"},
		{265.1, "265.1"},
		{-265.1001, "-265.1001"},
		{0.0001, "0.0001"},
		{0.00009999999999999999, "9.999999999999999E-05"},
		{0.000015, "1.5E-05"},
		{-0.000015, "-1.5E-05"},
		{1e-300, "1E-300"},
		{5e-324, "5E-324"},
		{999999999999999, "999999999999999"},
		{999999999999999.9, "999999999999999.9"},
		{1e15, "1E+15"},
		{1234567890123456, "1.234567890123456E+15"},
		{math.MaxFloat64, "1.7976931348623157E+308"},
		{0.30000000000000004, "0.30000000000000004"},
		{1.0 / 3, "0.3333333333333333"},
		{99999999999.9999, "99999999999.9999"},
		{0.7092941999435420, "0.709294199943542"},
		{math.NaN(), ""},
	} {
		if got := string(AppendDouble(nil, tt.v)); got != tt.want {
			t.Errorf("AppendDouble(%v) = %q, want %q", tt.v, got, tt.want)
		}
	}
}

// TestAppendDoubleShortest holds the fast path to strconv's shortest digits.
func TestAppendDoubleShortest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(v float64) {
		t.Helper()
		want := strconv.FormatFloat(v, 'f', -1, 64)
		if a := math.Abs(v); a < 1e-4 || a >= 1e15 {
			want = strconv.FormatFloat(v, 'E', -1, 64)
		}
		if v == 0 {
			want = "0"
		}
		if got := string(AppendDouble(nil, v)); got != want {
			t.Errorf("AppendDouble(%b) = %q, want %q", v, got, want)
		}
	}
	for range 200_000 {
		check(float64(r.Int64N(1e12)) / math.Pow10(r.IntN(9)))
		check(-math.Nextafter(float64(r.Int64N(1e12))/math.Pow10(r.IntN(9)), float64(r.IntN(2))))
		check(r.NormFloat64())
		if v := math.Float64frombits(r.Uint64()); v == v && !math.IsInf(v, 0) {
			check(v)
		}
	}
}

// TestFewDigits prints all numbers of four digits before and behind the point.
func TestFewDigits(t *testing.T) {
	dst := []byte("x")
	check := func(got []byte, want string) {
		t.Helper()
		if string(got) != "x"+want {
			t.Fatalf("printed %q, want %q", got[1:], want)
		}
	}
	for n := range int64(20_000) {
		check(appendInt(dst, n), strconv.FormatInt(n, 10))
		check(appendInt(dst, -n), strconv.FormatInt(-n, 10))
		for _, v := range []float64{float64(n), float64(n) / 1e4, -float64(n+1) / 1e4, 31 + float64(n)/1e2} {
			want := strconv.FormatFloat(v, 'f', -1, 64)
			if a := math.Abs(v); a > 0 && a < 1e-4 {
				continue
			}
			check(AppendDouble(dst, v), want)
		}
	}
	for _, n := range []int64{math.MinInt64, math.MaxInt64} {
		check(appendInt(dst, n), strconv.FormatInt(n, 10))
	}
}

func TestPow10Table(t *testing.T) {
	for e := minPow10; e <= maxPow10; e++ {
		p := pow10[e-minPow10]
		got := new(big.Int).SetUint64(p[0])
		got.Lsh(got, 64).Or(got, new(big.Int).SetUint64(p[1]))
		if got.BitLen() != 128 {
			t.Errorf("1e%d is not normalized", e)
		}
		// got·2^(log2-127) ≤ 10^e < (got+1)·2^(log2-127)
		log2 := e * 217706 >> 16
		scale := func(m *big.Int) *big.Rat {
			r := new(big.Rat).SetInt(m)
			s := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(max(log2-127, 127-log2))))
			if log2 < 127 {
				return r.Quo(r, s)
			}
			return r.Mul(r, s)
		}
		want, _ := new(big.Rat).SetString("1e" + strconv.Itoa(e))
		if scale(got).Cmp(want) > 0 || scale(new(big.Int).Add(got, big.NewInt(1))).Cmp(want) <= 0 {
			t.Errorf("1e%d is wrong", e)
		}
	}
}

// agree reports where parseDouble and strconv differ on s.
func agree(t *testing.T, s string) {
	t.Helper()
	got, bad := parseDouble([]byte(s))
	want, err := strconv.ParseFloat(s, 64)
	low := strings.ToLower(s)
	if err == nil && (strings.ContainsAny(low, "x_n") || math.IsInf(want, 0)) {
		err = strconv.ErrSyntax // what strconv takes and a cell does not
	}
	if (err == nil) != (bad == okCell) || err == nil && math.Float64bits(got) != math.Float64bits(want) {
		t.Errorf("parseDouble(%q) = %b, %d; strconv: %b, %v", s, got, bad, want, err)
	}
}

func TestParseDoubleAgreesWithStrconv(t *testing.T) {
	for _, s := range []string{
		"9007199254740993", "9007199254740992.5", "9007199254740993e0", "9007199254740991", "18014398509481985", "18014398509481987",
		"1e22", "1e23", "1e-22", "1e-23", "1e64", "1e65", "1e-64", "1e-65", "9999999999999999999e64", "9999999999999999999e-64",
		"1.7976931348623157e308", "1.7976931348623159e308", "2.2250738585072011e-308", "4.9e-324", "2e-324", "0e9999", "0.0000000000000000000000000001",
		"123456789012345678901234567890", "0.3", "8.5", "4503599627370496.5", "4503599627370497.5", "6.02214076e23", "-1.6021766e-19",
	} {
		agree(t, s)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 300_000 {
		v := math.Float64frombits(r.Uint64())
		if v != v {
			continue
		}
		agree(t, strconv.FormatFloat(v, 'g', -1, 64))
		agree(t, strconv.FormatFloat(r.NormFloat64()*1e3, 'g', 15+r.IntN(5), 64))
		agree(t, strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)+"e"+strconv.Itoa(r.IntN(160)-80))
		// Halfway between two neighbours, and a hair to either side.
		h := (r.Uint64()>>11|1<<52)*2 + 1
		agree(t, strconv.FormatUint(h, 10))
		agree(t, strconv.FormatUint(h, 10)+".0000001")
		agree(t, strconv.FormatUint(h-1, 10)+".9999999")
	}
}

func FuzzParseDouble(f *testing.F) {
	for _, s := range []string{"1.5", "-0", "1e23", "9007199254740993", ".5e-7", "0x1p3", "1_0", "inf", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { agree(t, s) })
}

func FuzzParseInt(f *testing.F) {
	for _, s := range []string{"25", "25.0", "2.5E1", "25.5", "9223372036854775807", "-9223372036854775808.00", "1e19", "0e5", "1e-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, bad := parseInt([]byte(s))
		if _, isNumber := parseDouble([]byte(s)); (isNumber == notNumber) != (bad == notNumber) {
			t.Fatalf("parseInt(%q): %d, parseDouble: %d", s, bad, isNumber)
		}
		if _, e, ok := strings.Cut(strings.ToLower(s), "e"); bad == notNumber || len(s) > 400 || ok && len(e) > 4 {
			return // not a number, or too long for math/big
		}
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			if bad != tooLarge {
				t.Fatalf("parseInt(%q) = %d, %d: math/big refuses it", s, got, bad)
			}
			return
		}
		want := okCell
		switch {
		case !r.IsInt():
			want = notWhole
		case !r.Num().IsInt64():
			want = tooLarge
		}
		if bad != want || bad == okCell && got != r.Num().Int64() {
			t.Fatalf("parseInt(%q) = %d, verdict %d; want %v, verdict %d", s, got, bad, r, want)
		}
	})
}

func BenchmarkParseDouble(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	for name, text := range map[string]func() string{
		"2decimals": func() string { return strconv.FormatFloat(r.Float64()*1000, 'f', 2, 64) },
		"17digits":  func() string { return strconv.FormatFloat(r.Float64(), 'g', 17, 64) },
		"integers":  func() string { return strconv.Itoa(r.IntN(100000)) },
	} {
		cells := make([][]byte, 1024)
		for i := range cells {
			cells[i] = []byte(text())
		}
		b.Run(name+"/own", func(b *testing.B) {
			i := 0
			for b.Loop() {
				parseDouble(cells[i&1023])
				i++
			}
		})
		b.Run(name+"/strconv", func(b *testing.B) {
			i := 0
			for b.Loop() {
				strconv.ParseFloat(string(cells[i&1023]), 64)
				i++
			}
		})
	}
}

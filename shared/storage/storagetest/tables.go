package storagetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

func testTables(t *testing.T, s storage.Store) {
	tab := unique() // exists for nobody yet
	insert := func(row string, p storage.Props) storage.Op {
		return storage.Op{Kind: storage.Insert, Row: row, Props: p}
	}
	value := func(v int64) storage.Props { return storage.Props{"V": v} }
	apply := func(t *testing.T, part string, ops ...storage.Op) []string {
		t.Helper()
		etags, err := s.Tables.Apply(t.Context(), tab, part, ops...)
		ok(t, err)
		if len(etags) != len(ops) {
			t.Fatalf("%d ETags for %d operations", len(etags), len(ops))
		}
		return etags
	}
	row := func(t *testing.T, part, row string) storage.Entity {
		t.Helper()
		e, err := s.Tables.Get(t.Context(), tab, part, row)
		ok(t, err)
		return e
	}

	t.Run("a table nobody wrote to is empty", func(t *testing.T) {
		_, err := s.Tables.Get(t.Context(), unique(), "p", "r")
		notFound(t, err)
		if got := all(t, s.Tables.Query(t.Context(), unique(), "p", storage.Range{})); len(got) != 0 {
			t.Errorf("query: %v", got)
		}
		_, err = s.Tables.Apply(t.Context(), unique(), "p", storage.Op{Kind: storage.Delete, Row: "r", IfMatch: storage.AnyETag})
		notFound(t, err)
	})
	t.Run("properties come back as they went", func(t *testing.T) {
		p := unique()
		want := storage.Props{
			"Str": "text", "Empty": "", "Quotes": `it's "so" \ & <b>`, "Unicode": "Zürich 日本 🙂 \u2028 \u00a0", "Control": "a\tb\nc\x01\x7f",
			"Int": int64(42), "Max": int64(math.MaxInt64), "Min": int64(math.MinInt64), "Zero": int64(0),
			"Float": 0.1, "Whole": 5.0, "Huge": 1.7976931348623157e308, "Tiny": 5e-324, "Neg": -2.5, "Big": 1e20, "FZero": 0.0,
			"True": true, "False": false,
			"Bytes": []byte{0, 1, 0xff, '"'}, "NoBytes": []byte{},
			"At":    time.Date(2026, 11, 23, 8, 9, 10, 123456000, time.UTC),
			"Micro": time.Date(2026, 11, 23, 8, 9, 10, 1000, time.UTC),
			"Sharp": time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
			"Old":   time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), "Far": time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
			"X9_": "a name may hold digits and underscores", "Digits": "00123", "LooksLikeTime": "2026-11-23T08:09:10Z",
		}
		apply(t, p, insert("r", want))
		got := row(t, p, "r")
		if got.Partition != p || got.Row != "r" || got.ETag == "" {
			t.Errorf("entity %q %q %q", got.Partition, got.Row, got.ETag)
		}
		if diff := cmp.Diff(want, got.Props); diff != "" {
			t.Errorf("get (-want +got): %s", diff)
		}
		queried := all(t, s.Tables.Query(t.Context(), tab, p, storage.Range{}))
		if diff := cmp.Diff([]storage.Entity{got}, queried); diff != "" {
			t.Errorf("query and get differ: %s", diff)
		}
	})
	t.Run("times are kept in UTC to the microsecond", func(t *testing.T) {
		p := unique()
		at := time.Date(2026, 11, 23, 10, 9, 8, 123456789, time.FixedZone("", 2*3600))
		apply(t, p, insert("r", storage.Props{"At": at}))
		if got, want := row(t, p, "r").Props.Time("At"), time.Date(2026, 11, 23, 8, 9, 8, 123456000, time.UTC); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("an entity may have no properties", func(t *testing.T) {
		p := unique()
		apply(t, p, insert("r", nil))
		if got := row(t, p, "r"); len(got.Props) != 0 {
			t.Errorf("properties %v", got.Props)
		}
	})
	t.Run("insert", func(t *testing.T) {
		p := unique()
		etag := apply(t, p, insert("r", value(1)))[0]
		if got := row(t, p, "r"); got.ETag != etag {
			t.Errorf("ETag %q, the insert gave %q", got.ETag, etag)
		}
		_, err := s.Tables.Apply(t.Context(), tab, p, insert("r", value(2)))
		exists(t, err)
		target(t, err, "r")
		if got := row(t, p, "r").Props.Int("V"); got != 1 {
			t.Errorf("V = %d", got)
		}
	})
	t.Run("replace", func(t *testing.T) {
		p := unique()
		replace := func(etag string, props storage.Props) (string, error) {
			etags, err := s.Tables.Apply(t.Context(), tab, p, storage.Op{Kind: storage.Replace, Row: "r", IfMatch: etag, Props: props})
			if err != nil {
				return "", err
			}
			return etags[0], nil
		}
		_, err := replace(storage.AnyETag, value(1))
		notFound(t, err)
		target(t, err, "r")
		one := apply(t, p, insert("r", storage.Props{"V": int64(1), "Gone": "x"}))[0]
		two, err := replace(one, value(2))
		ok(t, err)
		if two == one {
			t.Error("same ETag")
		}
		_, err = replace(one, value(3))
		condition(t, err)
		target(t, err, "r")
		if diff := cmp.Diff(value(2), row(t, p, "r").Props); diff != "" {
			t.Errorf("all properties are replaced: %s", diff)
		}
		_, err = replace(storage.AnyETag, value(4))
		ok(t, err)
		if got := row(t, p, "r").Props.Int("V"); got != 4 {
			t.Errorf("V = %d", got)
		}
	})
	t.Run("upsert", func(t *testing.T) {
		p := unique()
		up := func(p storage.Props) storage.Op { return storage.Op{Kind: storage.Upsert, Row: "r", Props: p} }
		one := apply(t, p, up(storage.Props{"V": int64(1), "Gone": "x"}))[0]
		two := apply(t, p, up(value(2)))[0]
		if one == two {
			t.Error("same ETag")
		}
		if diff := cmp.Diff(value(2), row(t, p, "r").Props); diff != "" {
			t.Errorf("all properties are replaced: %s", diff)
		}
	})
	t.Run("delete", func(t *testing.T) {
		p := unique()
		del := func(etag string) storage.Op { return storage.Op{Kind: storage.Delete, Row: "r", IfMatch: etag} }
		_, err := s.Tables.Apply(t.Context(), tab, p, del(storage.AnyETag))
		notFound(t, err)
		one := apply(t, p, insert("r", value(1)))[0]
		two := apply(t, p, storage.Op{Kind: storage.Replace, Row: "r", IfMatch: one, Props: value(2)})[0]
		_, err = s.Tables.Apply(t.Context(), tab, p, del(one))
		condition(t, err)
		target(t, err, "r")
		if etags := apply(t, p, del(two)); etags[0] != "" {
			t.Errorf("the ETag of a delete is %q", etags[0])
		}
		_, err = s.Tables.Get(t.Context(), tab, p, "r")
		notFound(t, err)
		if again := apply(t, p, insert("r", value(1)))[0]; again == one || again == two {
			t.Error("an ETag was used again")
		}
	})
	t.Run("apply does all or nothing", func(t *testing.T) {
		p := unique()
		etags := apply(t, p, insert("a", value(1)), insert("b", value(1)), insert("c", value(1)))
		for name, tt := range map[string]struct {
			ops    []storage.Op
			kind   fault.Kind
			code   string
			target string
		}{
			"last insert exists":  {[]storage.Op{insert("n", value(1)), {Kind: storage.Replace, Row: "a", IfMatch: etags[0], Props: value(9)}, insert("c", value(9))}, fault.Conflict, storage.CodeExists, "c"},
			"first insert exists": {[]storage.Op{insert("a", value(9)), insert("n", value(9))}, fault.Conflict, storage.CodeExists, "a"},
			"replace changed":     {[]storage.Op{insert("n", value(1)), {Kind: storage.Delete, Row: "b", IfMatch: etags[1]}, {Kind: storage.Replace, Row: "a", IfMatch: etags[2], Props: value(9)}, {Kind: storage.Upsert, Row: "c", Props: value(9)}}, fault.Conflict, storage.CodeCondition, "a"},
			"replace absent":      {[]storage.Op{{Kind: storage.Upsert, Row: "a", Props: value(9)}, {Kind: storage.Replace, Row: "n", IfMatch: storage.AnyETag, Props: value(9)}}, fault.NotFound, "", "n"},
			"delete absent":       {[]storage.Op{insert("m", value(9)), {Kind: storage.Delete, Row: "n", IfMatch: storage.AnyETag}}, fault.NotFound, "", "n"},
			"delete changed":      {[]storage.Op{insert("m", value(9)), {Kind: storage.Delete, Row: "a", IfMatch: etags[1]}}, fault.Conflict, storage.CodeCondition, "a"},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := s.Tables.Apply(t.Context(), tab, p, tt.ops...)
				refused(t, err, tt.kind, tt.code)
				target(t, err, tt.target)
				got := all(t, s.Tables.Query(t.Context(), tab, p, storage.Range{}))
				if len(got) != 3 {
					t.Fatalf("%d rows after a failed Apply", len(got))
				}
				for i, e := range got {
					if e.ETag != etags[i] || e.Props.Int("V") != 1 {
						t.Errorf("row %s was changed by a failed Apply", e.Row)
					}
				}
			})
		}
		fresh := apply(t, p,
			storage.Op{Kind: storage.Replace, Row: "a", IfMatch: etags[0], Props: value(2)},
			storage.Op{Kind: storage.Delete, Row: "b", IfMatch: etags[1]},
			storage.Op{Kind: storage.Upsert, Row: "c", Props: value(3)},
			insert("d", value(4)))
		if fresh[1] != "" {
			t.Errorf("the ETag of the delete is %q", fresh[1])
		}
		var rows []string
		for _, e := range all(t, s.Tables.Query(t.Context(), tab, p, storage.Range{})) {
			rows = append(rows, fmt.Sprint(e.Row, e.Props.Int("V")))
			if i := strings.Index("abcd", e.Row); fresh[i] != e.ETag {
				t.Errorf("row %s has ETag %q, Apply gave %q", e.Row, e.ETag, fresh[i])
			}
		}
		if diff := cmp.Diff([]string{"a2", "c3", "d4"}, rows); diff != "" {
			t.Errorf("rows: %s", diff)
		}
	})
	t.Run("apply of nothing", func(t *testing.T) { apply(t, unique()) })
	t.Run("apply takes a hundred operations", func(t *testing.T) {
		p := unique()
		ops := make([]storage.Op, storage.MaxApplyOps)
		for i := range ops {
			ops[i] = insert(fmt.Sprintf("%03d", i), value(int64(i)))
		}
		apply(t, p, ops...)
		if got := all(t, s.Tables.Query(t.Context(), tab, p, storage.Range{})); len(got) != len(ops) {
			t.Errorf("%d rows", len(got))
		}
	})
	t.Run("one of many inserts wins", func(t *testing.T) {
		p := unique()
		apply(t, p, insert("other", nil))
		won := race(t, func(i int) error {
			_, err := s.Tables.Apply(t.Context(), tab, p, insert("r", value(int64(i))))
			return err
		})
		if len(won) != 1 {
			t.Fatalf("%d winners", len(won))
		}
		if got := row(t, p, "r").Props.Int("V"); got != int64(won[0]) {
			t.Errorf("the row is of %d, the winner is %d", got, won[0])
		}
	})
	t.Run("one of many applies wins", func(t *testing.T) {
		p := unique()
		etag := apply(t, p, insert("pointer", value(-1)))[0]
		won := race(t, func(i int) error {
			_, err := s.Tables.Apply(t.Context(), tab, p,
				insert(fmt.Sprintf("history.%02d", i), value(int64(i))),
				storage.Op{Kind: storage.Replace, Row: "pointer", IfMatch: etag, Props: value(int64(i))})
			return err
		})
		if len(won) != 1 {
			t.Fatalf("%d winners", len(won))
		}
		rows := all(t, s.Tables.Query(t.Context(), tab, p, storage.Range{}))
		if len(rows) != 2 || rows[0].Props.Int("V") != int64(won[0]) || rows[1].Props.Int("V") != int64(won[0]) {
			t.Errorf("winner %d, rows %v", won[0], rows)
		}
	})
	t.Run("query ranges", func(t *testing.T) {
		p := unique()
		names := []string{"-", ".", "0", "10", "9", "A", "B", "Z", "_", "a", "a.1", "a.10", "a.2", "a_", "aa", "b", "z"}
		var ops []storage.Op
		for _, n := range names {
			ops = append(ops, insert(n, nil))
		}
		apply(t, p, ops...)
		apply(t, p+"x", insert("a", nil)) // a neighbour
		slices.Sort(names)
		for _, r := range []storage.Range{
			{},
			{From: "a"},
			{To: "a"},
			{From: "a", To: "b"},
			{From: "a.1", To: "a.2"},
			{From: "b", To: "a"},
			{From: "zz"},
			storage.Prefix("a."), storage.Prefix("a"), storage.Prefix(""), storage.Prefix("z"),
			{From: "a'b", To: "z~"},
		} {
			var want, got []string
			for _, n := range names {
				if n >= r.From && (r.To == "" || n < r.To) {
					want = append(want, n)
				}
			}
			for _, e := range all(t, s.Tables.Query(t.Context(), tab, p, r)) {
				got = append(got, e.Row)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("range %+v: %s", r, diff)
			}
		}
		for range s.Tables.Query(t.Context(), tab, p, storage.Range{}) {
			break // a consumer may stop early
		}
	})
	t.Run("query pages", func(t *testing.T) {
		p := unique()
		const n = 1_103
		for i := 0; i < n; i += 100 {
			var ops []storage.Op
			for j := i; j < min(i+100, n); j++ {
				ops = append(ops, insert(numbered(j), value(int64(j))))
			}
			apply(t, p, ops...)
		}
		i := int64(0)
		for e, err := range s.Tables.Query(t.Context(), tab, p, storage.Range{}) {
			ok(t, err)
			if e.Props.Int("V") != i {
				t.Fatalf("row %d is %s", i, e.Row)
			}
			i++
		}
		if i != n {
			t.Errorf("%d rows, want %d", i, n)
		}
	})
	t.Run("reads see the last write", func(t *testing.T) {
		p := unique()
		etag := apply(t, p, insert("r", value(0)))[0]
		for i := int64(1); i <= 20; i++ {
			etag = apply(t, p, storage.Op{Kind: storage.Replace, Row: "r", IfMatch: etag, Props: value(i)})[0]
			if got := row(t, p, "r"); got.Props.Int("V") != i || got.ETag != etag {
				t.Fatalf("write %d: read %d", i, got.Props.Int("V"))
			}
		}
	})
	t.Run("tables and partitions are apart", func(t *testing.T) {
		p := unique()
		other := unique()
		apply(t, p, insert("r", value(1)))
		_, err := s.Tables.Get(t.Context(), tab, p+"x", "r")
		notFound(t, err)
		_, err = s.Tables.Apply(t.Context(), other, p, insert("r", value(2)))
		ok(t, err)
		if got := row(t, p, "r").Props.Int("V"); got != 1 {
			t.Errorf("V = %d", got)
		}
	})
	t.Run("keys", func(t *testing.T) {
		for _, k := range []string{"-", ".", "..", "A.b_c-9", strings.Repeat("k", 256), "0"} {
			apply(t, k+unique()[:min(4, 256-min(256, len(k)))], insert(k, value(7)))
		}
		p := strings.Repeat("p", 240) + unique()[:16]
		apply(t, p, insert(strings.Repeat("r", 256), value(7)))
		if got := row(t, p, strings.Repeat("r", 256)).Props.Int("V"); got != 7 {
			t.Errorf("V = %d", got)
		}
	})
	t.Run("entities as large as they may be", func(t *testing.T) {
		p := unique()
		props := storage.Props{}
		for i := range 15 {
			props[fmt.Sprintf("Blob%02d", i)] = []byte(strings.Repeat("\xff", storage.MaxPropertyBlob))
		}
		props["Text"] = strings.Repeat("ü", storage.MaxPropertyText/2)
		apply(t, p, insert("r", props), insert("s", props))
		if diff := cmp.Diff(props, row(t, p, "s").Props); diff != "" {
			t.Error("a large entity did not come back as it went")
		}
	})
}

// target checks which row an error names.
func target(t *testing.T, err error, want string) {
	t.Helper()
	if err != nil && fault.Of(err).Target != want {
		t.Errorf("the error names row %q, want %q: %v", fault.Of(err).Target, want, err)
	}
}

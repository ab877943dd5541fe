package storagetest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// testLimits holds that every limit is refused, and that nothing comes of what
// is refused.
func testLimits(t *testing.T, s storage.Store) {
	ctx := t.Context()
	b, q := s.Blobs, s.Queues
	key := unique() + "/blob"
	limit := func(t *testing.T, err error) {
		t.Helper()
		refused(t, err, fault.BadArgument, storage.CodeLimit)
	}

	t.Run("blob keys", func(t *testing.T) {
		long := strings.Repeat(strings.Repeat("n", 204)+"/", 5)
		for _, k := range []string{
			"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a.", "a./b", "a b", "ü", "a\\b", "a%2fb", "a?b", "a\x00b", "a:b", "a+b",
			strings.Repeat("s", 257), long,
		} {
			_, _, err := b.Get(ctx, k, storage.ReadOptions{})
			limit(t, err)
			_, err = b.Head(ctx, k)
			limit(t, err)
			_, err = b.Put(ctx, k, nil, nil, storage.Condition{})
			limit(t, err)
			_, err = b.SetMeta(ctx, k, nil, storage.Condition{})
			limit(t, err)
			limit(t, b.PutPart(ctx, k, partID(1), []byte("x")))
			_, err = b.Parts(ctx, k)
			limit(t, err)
			_, err = b.Commit(ctx, k, nil, nil, storage.Condition{})
			limit(t, err)
			limit(t, b.Delete(ctx, k, storage.Condition{}))
			_, err = b.SignRead(ctx, k, time.Now().Add(time.Hour))
			limit(t, err)
			_, err = b.SignWrite(ctx, k, time.Now().Add(time.Hour))
			limit(t, err)
			if t.Failed() {
				t.Fatalf("key %q", k)
			}
		}
		for _, err := range b.List(ctx, "a b") {
			limit(t, err)
		}
	})
	t.Run("blob sizes", func(t *testing.T) {
		_, err := b.Put(ctx, key, make([]byte, storage.MaxPutBytes+1), nil, storage.Condition{})
		limit(t, err)
		limit(t, b.PutPart(ctx, key, partID(1), nil))
		limit(t, b.PutPart(ctx, key, partID(1), []byte{}))
		limit(t, b.PutPart(ctx, key, partID(1), make([]byte, storage.MaxPartBytes+1)))
		_, err = b.Commit(ctx, key, make([]storage.PartID, storage.MaxParts+1), nil, storage.Condition{})
		limit(t, err)
		_, err = b.Commit(ctx, key, []storage.PartID{partID(1), partID(2), partID(1)}, nil, storage.Condition{})
		limit(t, err)
		_, _, err = b.Get(ctx, key, storage.ReadOptions{Offset: -1})
		limit(t, err)
		_, _, err = b.Get(ctx, key, storage.ReadOptions{Length: -1})
		limit(t, err)
	})
	t.Run("blob conditions", func(t *testing.T) {
		for _, c := range []storage.Condition{{IfMatch: `"0x1"`, IfAbsent: true}, {IfMatch: storage.AnyETag, IfAbsent: true}} {
			_, err := b.Put(ctx, key, nil, nil, c)
			limit(t, err)
			_, err = b.Commit(ctx, key, nil, nil, c)
			limit(t, err)
			_, err = b.SetMeta(ctx, key, nil, c)
			limit(t, err)
			limit(t, b.Delete(ctx, key, c))
		}
		_, err := b.SetMeta(ctx, key, nil, storage.Condition{IfAbsent: true})
		limit(t, err)
		limit(t, b.Delete(ctx, key, storage.Condition{IfAbsent: true}))
	})
	t.Run("signed URLs", func(t *testing.T) {
		for _, left := range []time.Duration{-time.Minute, 0, storage.MaxSigned + 2*time.Minute} {
			_, err := b.SignRead(ctx, key, time.Now().Add(left))
			limit(t, err)
			_, err = b.SignWrite(ctx, key, time.Now().Add(left))
			limit(t, err)
		}
	})
	t.Run("metadata", func(t *testing.T) {
		for _, meta := range []map[string]string{
			{"": "v"},
			{"Upper": "v"},
			{"a-b": "v"},
			{"1a": "v"},
			{"ü": "v"},
			{"a b": "v"},
			{"k": "ü"},
			{"k": "a\nb"},
			{"k": " v"},
			{"k": "v "},
			{"k": "\x7f"},
			{"k": strings.Repeat("v", storage.MaxMetaBytes)},
		} {
			_, err := b.Put(ctx, key, nil, meta, storage.Condition{})
			limit(t, err)
			_, err = b.Commit(ctx, key, nil, meta, storage.Condition{})
			limit(t, err)
			_, err = b.SetMeta(ctx, key, meta, storage.Condition{})
			limit(t, err)
			if t.Failed() {
				t.Fatalf("metadata %q", meta)
			}
		}
	})
	t.Run("what was refused left nothing", func(t *testing.T) {
		_, err := b.Head(ctx, key)
		notFound(t, err)
		parts, err := b.Parts(ctx, key)
		ok(t, err)
		if len(parts) != 0 {
			t.Errorf("parts %v", parts)
		}
	})

	tab := unique()
	apply := func(table, part string, ops ...storage.Op) error {
		_, err := s.Tables.Apply(ctx, table, part, ops...)
		return err
	}
	props := func(p storage.Props) storage.Op { return storage.Op{Row: "r", Props: p} }
	t.Run("table names and keys", func(t *testing.T) {
		for _, name := range []string{"", "ab", "1abc", "a-bc", "a_bc", strings.Repeat("t", 64), "übc"} {
			limit(t, apply(name, "p", storage.Op{Row: "r"}))
			_, err := s.Tables.Get(ctx, name, "p", "r")
			limit(t, err)
			for _, err := range s.Tables.Query(ctx, name, "p", storage.Range{}) {
				limit(t, err)
			}
		}
		for _, k := range []string{"", "a/b", "a b", "a#b", "a?b", "a'b", "ü", strings.Repeat("k", 257)} {
			limit(t, apply(tab, k, storage.Op{Row: "r"}))
			limit(t, apply(tab, "p", storage.Op{Row: k}))
			_, err := s.Tables.Get(ctx, tab, k, "r")
			limit(t, err)
			_, err = s.Tables.Get(ctx, tab, "p", k)
			limit(t, err)
			for _, err := range s.Tables.Query(ctx, tab, k, storage.Range{}) {
				limit(t, err)
			}
		}
		for _, err := range s.Tables.Query(ctx, tab, "p", storage.Range{From: "a\x00"}) {
			limit(t, err)
		}
	})
	t.Run("operations", func(t *testing.T) {
		many := make([]storage.Op, storage.MaxApplyOps+1)
		for i := range many {
			many[i] = storage.Op{Row: fmt.Sprint("r", i)}
		}
		limit(t, apply(tab, "p", many...))
		limit(t, apply(tab, "p", storage.Op{Row: "r"}, storage.Op{Row: "s"}, storage.Op{Row: "r"}))
		limit(t, apply(tab, "p", storage.Op{Kind: storage.Replace, Row: "r"}))
		limit(t, apply(tab, "p", storage.Op{Kind: storage.Delete, Row: "r"}))
		limit(t, apply(tab, "p", storage.Op{Kind: storage.Delete, Row: "r", IfMatch: "*", Props: storage.Props{"A": true}}))
		limit(t, apply(tab, "p", storage.Op{Kind: storage.Insert, Row: "r", IfMatch: "*"}))
		limit(t, apply(tab, "p", storage.Op{Kind: storage.Upsert, Row: "r", IfMatch: "*"}))
		limit(t, apply(tab, "p", storage.Op{Kind: 77, Row: "r"}))
	})
	t.Run("properties", func(t *testing.T) {
		for _, name := range []string{"", "1a", "_a", "a-b", "a b", "ü", "PartitionKey", "RowKey", "Timestamp", "ETag", strings.Repeat("n", 256)} {
			limit(t, apply(tab, "p", props(storage.Props{name: true})))
		}
		for _, v := range []any{
			nil, 1, int32(1), uint64(1), float32(1), 'x',
			[]string{"a"},
			struct{}{},
			time.Second,
			math.NaN(), math.Inf(1), math.Inf(-1), "\xff", "a\xc3",
			time.Time{},
			time.Date(1600, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
			strings.Repeat("x", storage.MaxPropertyText+1), strings.Repeat("🙂", storage.MaxPropertyText/2+1), make([]byte, storage.MaxPropertyBlob+1),
		} {
			if err := apply(tab, "p", props(storage.Props{"A": v})); err == nil {
				t.Errorf("a property of type %T was taken", v)
			} else {
				limit(t, err)
			}
		}
		wide := storage.Props{}
		for i := range storage.MaxProperties + 1 {
			wide[fmt.Sprint("P", i)] = true
		}
		limit(t, apply(tab, "p", props(wide)))
	})
	t.Run("sizes", func(t *testing.T) {
		large := func(n int) storage.Props {
			p := storage.Props{}
			for i := range n {
				p[fmt.Sprint("B", i)] = make([]byte, storage.MaxPropertyBlob)
			}
			return p
		}
		limit(t, apply(tab, "p", props(large(16))))
		limit(t, apply(tab, "p",
			storage.Op{Row: "a", Props: large(15)}, storage.Op{Row: "b", Props: large(15)}, storage.Op{Row: "c", Props: large(15)}, storage.Op{Row: "d", Props: large(15)}))
		_, err := s.Tables.Get(ctx, tab, "p", "r")
		notFound(t, err)
	})
	t.Run("queues", func(t *testing.T) {
		for _, name := range []string{"", "ab", "Abc", "a_b", "-ab", "ab-", "a--b", "a.b", strings.Repeat("q", 64)} {
			limit(t, q.Send(ctx, name, []byte("m"), 0))
			_, err := q.Receive(ctx, name, 1, time.Second)
			limit(t, err)
			_, err = q.Extend(ctx, name, storage.Message{}, time.Second)
			limit(t, err)
			limit(t, q.Delete(ctx, name, storage.Message{}))
			_, err = q.Depth(ctx, name)
			limit(t, err)
		}
		name := unique()
		limit(t, q.Send(ctx, name, nil, 0))
		limit(t, q.Send(ctx, name, make([]byte, storage.MaxMessageBytes+1), 0))
		limit(t, q.Send(ctx, name, []byte("m"), -time.Second))
		limit(t, q.Send(ctx, name, []byte("m"), storage.MaxDelay+time.Second))
		for _, n := range []int{-1, 0, 33} {
			_, err := q.Receive(ctx, name, n, time.Second)
			limit(t, err)
		}
		for _, d := range []time.Duration{-time.Second, 0, storage.MaxDelay + time.Second} {
			_, err := q.Receive(ctx, name, 1, d)
			limit(t, err)
		}
		_, err := q.Extend(ctx, name, storage.Message{}, -time.Second)
		limit(t, err)
		_, err = q.Extend(ctx, name, storage.Message{}, storage.MaxDelay+time.Second)
		limit(t, err)
	})
}

// testContext holds that a call whose context has ended does nothing and says
// so.
func testContext(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key, tab, queue := unique()+"/k", unique(), unique()
	gone := func(err error) { t.Helper(); refused(t, err, fault.Canceled, "") }
	_, err := s.Blobs.Put(ctx, key, []byte("x"), nil, storage.Condition{})
	gone(err)
	_, err = s.Blobs.Head(ctx, key)
	gone(err)
	_, _, err = s.Blobs.Get(ctx, key, storage.ReadOptions{})
	gone(err)
	gone(s.Blobs.PutPart(ctx, key, partID(1), []byte("x")))
	_, err = s.Tables.Apply(ctx, tab, "p", storage.Op{Row: "r"})
	gone(err)
	_, err = s.Tables.Get(ctx, tab, "p", "r")
	gone(err)
	for _, err := range s.Tables.Query(ctx, tab, "p", storage.Range{}) {
		gone(err)
	}
	gone(s.Queues.Send(ctx, queue, []byte("m"), 0))
	_, err = s.Queues.Receive(ctx, queue, 1, time.Second)
	gone(err)
	_, err = s.Blobs.Head(t.Context(), key)
	notFound(t, err)
	_, err = s.Tables.Get(t.Context(), tab, "p", "r")
	notFound(t, err)
}

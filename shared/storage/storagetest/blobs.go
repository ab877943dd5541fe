package storagetest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/storage"
)

func testBlobs(t *testing.T, s storage.Store) {
	b := s.Blobs
	ws := unique()
	key := func() string { return ws + "/" + unique() }

	t.Run("put, get and head agree", func(t *testing.T) {
		k := key()
		before := time.Now().Add(-2 * time.Second)
		meta := map[string]string{"portico_job": "j1", "x": "a value, with = and ;"}
		info, err := b.Put(t.Context(), k, []byte("hello"), meta, storage.Condition{})
		ok(t, err)
		if info.Key != k || info.Size != 5 || info.ETag == "" {
			t.Errorf("put: %+v", info)
		}
		head, err := b.Head(t.Context(), k)
		ok(t, err)
		got, r, err := b.Get(t.Context(), k, storage.ReadOptions{})
		ok(t, err)
		body, err := io.ReadAll(r)
		ok(t, err)
		ok(t, r.Close())
		if string(body) != "hello" {
			t.Errorf("body %q", body)
		}
		if diff := cmp.Diff(head, got); diff != "" {
			t.Errorf("head and get differ: %s", diff)
		}
		if head.ETag != info.ETag || head.Size != 5 || head.Key != k {
			t.Errorf("head %+v, put %+v", head, info)
		}
		if diff := cmp.Diff(meta, head.Meta); diff != "" {
			t.Errorf("metadata: %s", diff)
		}
		if head.Modified.Before(before) || head.Modified.After(time.Now().Add(2*time.Second)) {
			t.Errorf("modified %v, now %v", head.Modified, time.Now())
		}
	})
	t.Run("an empty blob is a blob", func(t *testing.T) {
		k := key()
		put(t, b, k, "")
		head, err := b.Head(t.Context(), k)
		ok(t, err)
		if head.Size != 0 {
			t.Errorf("size %d", head.Size)
		}
		if got := get(t, b, k, storage.ReadOptions{}); got != "" {
			t.Errorf("body %q", got)
		}
		if got := get(t, b, k, storage.ReadOptions{Offset: 3, Length: 2}); got != "" {
			t.Errorf("range of it %q", got)
		}
	})
	t.Run("absence", func(t *testing.T) {
		k := key()
		_, _, err := b.Get(t.Context(), k, storage.ReadOptions{})
		notFound(t, err)
		_, err = b.Head(t.Context(), k)
		notFound(t, err)
		_, err = b.SetMeta(t.Context(), k, nil, storage.Condition{})
		notFound(t, err)
		ok(t, b.Delete(t.Context(), k, storage.Condition{}))
		for _, etag := range []string{storage.AnyETag, `"0x8D0000000000000"`} {
			_, _, err = b.Get(t.Context(), k, storage.ReadOptions{IfMatch: etag})
			condition(t, err)
			_, _, err = b.Get(t.Context(), k, storage.ReadOptions{IfMatch: etag, Offset: 1, Length: 1})
			condition(t, err)
			c := storage.Condition{IfMatch: etag}
			_, err = b.Put(t.Context(), k, nil, nil, c)
			condition(t, err)
			_, err = b.Commit(t.Context(), k, nil, nil, c)
			condition(t, err)
			_, err = b.SetMeta(t.Context(), k, nil, c)
			condition(t, err)
			condition(t, b.Delete(t.Context(), k, c))
		}
		parts, err := b.Parts(t.Context(), k)
		ok(t, err)
		if len(parts) != 0 {
			t.Errorf("parts of nothing: %v", parts)
		}
		if got := all(t, b.List(t.Context(), k)); len(got) != 0 {
			t.Errorf("list of nothing: %v", got)
		}
	})
	t.Run("a put overwrites and changes the ETag", func(t *testing.T) {
		k := key()
		first := put(t, b, k, "first")
		second := put(t, b, k, "second one")
		if first.ETag == second.ETag {
			t.Error("same ETag")
		}
		if got := get(t, b, k, storage.ReadOptions{}); got != "second one" {
			t.Errorf("body %q", got)
		}
		again := put(t, b, k, "second one")
		if again.ETag == second.ETag {
			t.Error("same ETag after the same bytes were put again")
		}
	})
	t.Run("an ETag is not used again after a delete", func(t *testing.T) {
		k := key()
		first := put(t, b, k, "x")
		ok(t, b.Delete(t.Context(), k, storage.Condition{}))
		if second := put(t, b, k, "x"); first.ETag == second.ETag {
			t.Error("same ETag")
		}
	})
	t.Run("conditions of put", func(t *testing.T) {
		k := key()
		try := func(c storage.Condition) (storage.BlobInfo, error) {
			return b.Put(t.Context(), k, []byte("x"), nil, c)
		}
		_, err := try(storage.Condition{IfMatch: storage.AnyETag})
		condition(t, err)
		_, err = try(storage.Condition{IfMatch: `"0x8D0000000000000"`})
		condition(t, err)
		one, err := try(storage.Condition{IfAbsent: true})
		ok(t, err)
		_, err = try(storage.Condition{IfAbsent: true})
		exists(t, err)
		two, err := try(storage.Condition{IfMatch: one.ETag})
		ok(t, err)
		_, err = try(storage.Condition{IfMatch: one.ETag})
		condition(t, err)
		_, err = try(storage.Condition{IfMatch: storage.AnyETag})
		ok(t, err)
		_, err = try(storage.Condition{IfMatch: two.ETag})
		condition(t, err)
	})
	t.Run("conditions of set metadata", func(t *testing.T) {
		k := key()
		one := put(t, b, k, "bytes stay")
		two, err := b.SetMeta(t.Context(), k, map[string]string{"a": "1"}, storage.Condition{IfMatch: one.ETag})
		ok(t, err)
		if two.ETag == one.ETag || two.Size != 0 {
			t.Errorf("info %+v after %+v", two, one)
		}
		_, err = b.SetMeta(t.Context(), k, map[string]string{"a": "2"}, storage.Condition{IfMatch: one.ETag})
		condition(t, err)
		_, err = b.SetMeta(t.Context(), k, map[string]string{"b": "3"}, storage.Condition{})
		ok(t, err)
		head, err := b.Head(t.Context(), k)
		ok(t, err)
		if diff := cmp.Diff(map[string]string{"b": "3"}, head.Meta); diff != "" {
			t.Errorf("metadata is not replaced: %s", diff)
		}
		if got := get(t, b, k, storage.ReadOptions{}); got != "bytes stay" {
			t.Errorf("body %q", got)
		}
		put(t, b, k, "put without metadata drops it")
		if head, err = b.Head(t.Context(), k); err != nil || len(head.Meta) != 0 {
			t.Errorf("metadata %v, %v", head.Meta, err)
		}
	})
	t.Run("conditions of delete", func(t *testing.T) {
		k := key()
		one := put(t, b, k, "x")
		two := put(t, b, k, "y")
		condition(t, b.Delete(t.Context(), k, storage.Condition{IfMatch: one.ETag}))
		ok(t, b.Delete(t.Context(), k, storage.Condition{IfMatch: two.ETag}))
		_, err := b.Head(t.Context(), k)
		notFound(t, err)
	})
	t.Run("ranges", func(t *testing.T) {
		k := key()
		info := put(t, b, k, "0123456789")
		for _, tt := range []struct {
			offset, length int64
			want           string
		}{
			{0, 0, "0123456789"},
			{0, 1, "0"},
			{3, 4, "3456"},
			{9, 1, "9"},
			{9, 0, "9"},
			{5, 0, "56789"},
			{5, 100, "56789"},
			{10, 0, ""},
			{10, 5, ""},
			{1 << 40, 1, ""},
			{0, 1 << 62, "0123456789"},
		} {
			got, r, err := b.Get(t.Context(), k, storage.ReadOptions{Offset: tt.offset, Length: tt.length})
			ok(t, err)
			body, err := io.ReadAll(r)
			ok(t, err)
			ok(t, r.Close())
			if string(body) != tt.want {
				t.Errorf("offset %d length %d: %q, want %q", tt.offset, tt.length, body, tt.want)
			}
			if got.Size != 10 || got.ETag != info.ETag {
				t.Errorf("offset %d length %d: info %+v is not of the whole blob", tt.offset, tt.length, got)
			}
		}
	})
	t.Run("get if match", func(t *testing.T) {
		k := key()
		one := put(t, b, k, "one")
		if got := get(t, b, k, storage.ReadOptions{IfMatch: one.ETag}); got != "one" {
			t.Errorf("body %q", got)
		}
		if got := get(t, b, k, storage.ReadOptions{IfMatch: storage.AnyETag}); got != "one" {
			t.Errorf("body %q", got)
		}
		put(t, b, k, "two")
		for _, o := range []storage.ReadOptions{{IfMatch: one.ETag}, {IfMatch: one.ETag, Offset: 1, Length: 1}, {IfMatch: one.ETag, Offset: 50}} {
			_, _, err := b.Get(t.Context(), k, o)
			condition(t, err)
		}
	})
	t.Run("an open reader never mixes versions", func(t *testing.T) {
		k := key()
		old := strings.Repeat("old-", 1<<20)
		put(t, b, k, old)
		_, r, err := b.Get(t.Context(), k, storage.ReadOptions{})
		ok(t, err)
		defer r.Close()
		head := make([]byte, 1000)
		_, err = io.ReadFull(r, head)
		ok(t, err)
		put(t, b, k, strings.Repeat("new+", 1<<20))
		rest, err := io.ReadAll(r)
		if got := string(head) + string(rest); err == nil && got != old || !strings.HasPrefix(old, got) {
			t.Errorf("the reader gave %d bytes that are not of the version it was opened on (%v)", len(got), err)
		}
	})
	t.Run("one of many puts if absent wins", func(t *testing.T) {
		k := key()
		won := race(t, func(i int) error {
			_, err := b.Put(t.Context(), k, fmt.Appendf(nil, "racer %d", i), nil, storage.Condition{IfAbsent: true})
			return err
		})
		if len(won) != 1 {
			t.Fatalf("%d winners", len(won))
		}
		if got, want := get(t, b, k, storage.ReadOptions{}), fmt.Sprintf("racer %d", won[0]); got != want {
			t.Errorf("the blob is of %q, the winner is %q", got, want)
		}
	})
	t.Run("one of many puts if match wins", func(t *testing.T) {
		k := key()
		info := put(t, b, k, "start")
		won := race(t, func(i int) error {
			_, err := b.Put(t.Context(), k, fmt.Appendf(nil, "racer %d", i), nil, storage.Condition{IfMatch: info.ETag})
			return err
		})
		if len(won) != 1 {
			t.Fatalf("%d winners", len(won))
		}
		if got, want := get(t, b, k, storage.ReadOptions{}), fmt.Sprintf("racer %d", won[0]); got != want {
			t.Errorf("the blob is of %q, the winner is %q", got, want)
		}
	})
	t.Run("readers see the old or the new", func(t *testing.T) {
		k := key()
		body := func(i int) string { return strings.Repeat(string(rune('a'+i)), 100_000) }
		put(t, b, k, body(0))
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(done)
			for i := range 10 {
				if _, err := b.Put(t.Context(), k, []byte(body(i)), nil, storage.Condition{}); err != nil {
					t.Error(err)
				}
			}
		})
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			got := get(t, b, k, storage.ReadOptions{})
			if len(got) != 100_000 || strings.Trim(got, got[:1]) != "" {
				t.Fatal("a reader saw a mix")
			}
		}
		wg.Wait()
	})
	t.Run("containers are apart", func(t *testing.T) {
		k := key()
		put(t, s.Blobs, k, "mine")
		_, err := s.Drop.Head(t.Context(), k)
		notFound(t, err)
		put(t, s.Drop, k, "dropped")
		put(t, s.DropDone, k, "done")
		for b, want := range map[storage.Blobs]string{s.Blobs: "mine", s.Drop: "dropped", s.DropDone: "done"} {
			if got := get(t, b, k, storage.ReadOptions{}); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
	t.Run("list", func(t *testing.T) {
		root := key()
		names := []string{"a", "a-b", "a.b", "a/b", "a/c/d", "a0", "aB", "a_b", "ab", "b", "Z"}
		for _, n := range names {
			if _, err := b.Put(t.Context(), root+"/"+n, []byte(n), map[string]string{"n": "x"}, storage.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		ok(t, b.PutPart(t.Context(), root+"/a/uncommitted", partID(1), []byte("x")))
		for _, prefix := range []string{"/", "/a", "/a/", "/a/c", "/b", "/zzz"} {
			var want, got []string
			for _, n := range names {
				if strings.HasPrefix("/"+n, prefix) {
					want = append(want, root+"/"+n)
				}
			}
			slices.Sort(want)
			for _, info := range all(t, b.List(t.Context(), root+prefix)) {
				got = append(got, info.Key)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("prefix %s: %s", prefix, diff)
			}
		}
		head, err := b.Head(t.Context(), root+"/a/b")
		ok(t, err)
		if diff := cmp.Diff([]storage.BlobInfo{head}, all(t, b.List(t.Context(), root+"/a/b"))); diff != "" {
			t.Errorf("list and head differ: %s", diff)
		}
		for range b.List(t.Context(), root) {
			break // a consumer may stop early
		}
	})
	t.Run("list pages", func(t *testing.T) {
		if testing.Short() {
			t.Skip("5,003 blobs")
		}
		const n = 5_003
		root := key()
		var wg sync.WaitGroup
		for g := range racers {
			wg.Go(func() {
				for i := g; i < n; i += racers {
					if _, err := b.Put(t.Context(), root+"/"+numbered(i), nil, nil, storage.Condition{}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		i := 0
		for info, err := range b.List(t.Context(), root+"/") {
			ok(t, err)
			if info.Key != root+"/"+numbered(i) {
				t.Fatalf("entry %d is %s", i, info.Key)
			}
			i++
		}
		if i != n {
			t.Errorf("%d blobs, want %d", i, n)
		}
	})
	t.Run("keys", func(t *testing.T) {
		for _, k := range []string{"x", "A-Z_0.9", "." + unique(), "a/b/c/d", strings.Repeat("s", 256), ws + "/..hidden"} {
			k = key() + "/" + k
			put(t, b, k, k)
			if got := get(t, b, k, storage.ReadOptions{}); got != k {
				t.Errorf("key %s holds %q", k, got)
			}
		}
		long := ws + strings.Repeat("/"+strings.Repeat("n", 199), 5)
		long += "/" + strings.Repeat("n", 1024-len(long)-1)
		put(t, b, long, "long")
		if got := get(t, b, long, storage.ReadOptions{}); got != "long" {
			t.Errorf("the longest key holds %q", got)
		}
	})
}

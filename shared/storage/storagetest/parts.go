package storagetest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/storage"
)

func testParts(t *testing.T, s storage.Store) {
	b := s.Blobs
	ws := unique()
	key := func() string { return ws + "/" + unique() }
	stage := func(t *testing.T, k string, n byte, body string) {
		t.Helper()
		ok(t, b.PutPart(t.Context(), k, partID(n), []byte(body)))
	}
	staged := func(t *testing.T, k string) []storage.Part {
		t.Helper()
		parts, err := b.Parts(t.Context(), k)
		ok(t, err)
		slices.SortFunc(parts, func(x, y storage.Part) int { return bytes.Compare(x.ID[:], y.ID[:]) })
		return parts
	}
	ids := func(ns ...byte) []storage.PartID {
		out := make([]storage.PartID, len(ns))
		for i, n := range ns {
			out[i] = partID(n)
		}
		return out
	}

	t.Run("nothing is visible before commit", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one")
		_, err := b.Head(t.Context(), k)
		notFound(t, err)
		_, _, err = b.Get(t.Context(), k, storage.ReadOptions{})
		notFound(t, err)
		want := []storage.Part{{ID: partID(1), Size: 3}}
		if diff := gocmp.Diff(want, staged(t, k)); diff != "" {
			t.Errorf("parts: %s", diff)
		}
		put(t, b, k, "whole")
	})
	t.Run("commit orders the parts", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one,")
		stage(t, k, 2, "two,")
		stage(t, k, 3, "three,")
		info, err := b.Commit(t.Context(), k, ids(3, 1, 2), map[string]string{"m": "v"}, storage.Condition{})
		ok(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "three,one,two," {
			t.Errorf("body %q", got)
		}
		head, err := b.Head(t.Context(), k)
		ok(t, err)
		if info.Size != 0 || head.Size != 14 || head.ETag != info.ETag || head.Meta["m"] != "v" {
			t.Errorf("commit %+v, head %+v", info, head)
		}
		if got := staged(t, k); len(got) != 0 {
			t.Errorf("uncommitted parts after commit: %v", got)
		}
		for _, tt := range []struct {
			offset, length int64
			want           string
		}{{0, 6, "three,"}, {4, 4, "e,on"}, {6, 4, "one,"}, {5, 6, ",one,t"}, {13, 9, ","}, {14, 1, ""}} {
			if got := get(t, b, k, storage.ReadOptions{Offset: tt.offset, Length: tt.length}); got != tt.want {
				t.Errorf("offset %d length %d: %q, want %q", tt.offset, tt.length, got, tt.want)
			}
		}
	})
	t.Run("staging an id again replaces it", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "first")
		stage(t, k, 1, "the second")
		if got := staged(t, k); len(got) != 1 || got[0].Size != 10 {
			t.Errorf("parts %v", got)
		}
		_, err := b.Commit(t.Context(), k, ids(1), nil, storage.Condition{})
		ok(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "the second" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("commit drops the other parts", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one")
		stage(t, k, 2, "two")
		_, err := b.Commit(t.Context(), k, ids(1), nil, storage.Condition{})
		ok(t, err)
		if got := staged(t, k); len(got) != 0 {
			t.Errorf("parts %v", got)
		}
		_, err = b.Commit(t.Context(), k, ids(2), nil, storage.Condition{})
		condition(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "one" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("commit takes uncommitted parts only", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one")
		info, err := b.Commit(t.Context(), k, ids(1), nil, storage.Condition{})
		ok(t, err)
		_, err = b.Commit(t.Context(), k, ids(1), nil, storage.Condition{IfMatch: info.ETag})
		condition(t, err)
		stage(t, k, 2, "two")
		_, err = b.Commit(t.Context(), k, ids(1, 2), nil, storage.Condition{IfMatch: info.ETag})
		condition(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "one" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("a missing part fails the commit and changes nothing", func(t *testing.T) {
		k := key()
		put(t, b, k, "before")
		stage(t, k, 1, "one")
		_, err := b.Commit(t.Context(), k, ids(1, 2), nil, storage.Condition{})
		condition(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "before" {
			t.Errorf("body %q", got)
		}
		if got := staged(t, k); len(got) != 1 {
			t.Errorf("the failed commit took the parts: %v", got)
		}
		_, err = b.Commit(t.Context(), k, ids(1), nil, storage.Condition{})
		ok(t, err)
	})
	t.Run("a commit of no parts is an empty blob", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "dropped")
		info, err := b.Commit(t.Context(), k, nil, nil, storage.Condition{IfAbsent: true})
		ok(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "" || info.ETag == "" {
			t.Errorf("body %q, info %+v", got, info)
		}
		if got := staged(t, k); len(got) != 0 {
			t.Errorf("parts %v", got)
		}
	})
	t.Run("put drops uncommitted parts", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one")
		put(t, b, k, "whole")
		if got := staged(t, k); len(got) != 0 {
			t.Errorf("parts %v", got)
		}
		_, err := b.Commit(t.Context(), k, ids(1), nil, storage.Condition{})
		condition(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "whole" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("staging leaves the blob alone", func(t *testing.T) {
		k := key()
		info := put(t, b, k, "whole")
		stage(t, k, 1, "one")
		head, err := b.Head(t.Context(), k)
		ok(t, err)
		if head.ETag != info.ETag {
			t.Error("staging changed the ETag")
		}
		if got := get(t, b, k, storage.ReadOptions{}); got != "whole" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("delete takes blob and parts", func(t *testing.T) {
		k := key()
		put(t, b, k, "whole")
		stage(t, k, 1, "one")
		ok(t, b.Delete(t.Context(), k, storage.Condition{}))
		if got := staged(t, k); len(got) != 0 {
			t.Errorf("parts %v", got)
		}
		_, err := b.Head(t.Context(), k)
		notFound(t, err)
	})
	t.Run("delete takes parts without a blob", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one")
		ok(t, b.Delete(t.Context(), k, storage.Condition{}))
		if got := staged(t, k); len(got) != 0 {
			t.Errorf("parts %v", got)
		}
		_, err := b.Head(t.Context(), k)
		notFound(t, err)
	})
	t.Run("conditions of commit", func(t *testing.T) {
		k := key()
		stage(t, k, 1, "one")
		_, err := b.Commit(t.Context(), k, ids(1), nil, storage.Condition{IfMatch: storage.AnyETag})
		condition(t, err)
		one, err := b.Commit(t.Context(), k, ids(1), nil, storage.Condition{IfAbsent: true})
		ok(t, err)
		stage(t, k, 2, "two")
		_, err = b.Commit(t.Context(), k, ids(2), nil, storage.Condition{IfAbsent: true})
		exists(t, err)
		two, err := b.Commit(t.Context(), k, ids(2), nil, storage.Condition{IfMatch: one.ETag})
		ok(t, err)
		if one.ETag == two.ETag {
			t.Error("same ETag")
		}
		stage(t, k, 3, "three")
		_, err = b.Commit(t.Context(), k, ids(3), nil, storage.Condition{IfMatch: one.ETag})
		condition(t, err)
		if got := get(t, b, k, storage.ReadOptions{}); got != "two" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("one of many commits wins", func(t *testing.T) {
		k := key()
		for i := range byte(3) {
			stage(t, k, i, fmt.Sprint(i))
		}
		won := race(t, func(int) error {
			_, err := b.Commit(t.Context(), k, ids(0, 1, 2), nil, storage.Condition{IfAbsent: true})
			return err
		})
		if len(won) != 1 {
			t.Errorf("%d winners", len(won))
		}
		if got := get(t, b, k, storage.ReadOptions{}); got != "012" {
			t.Errorf("body %q", got)
		}
	})
	t.Run("many stage at once", func(t *testing.T) {
		k := key()
		const n = 40
		var wg sync.WaitGroup
		for g := range byte(4) {
			wg.Go(func() {
				for i := g; i < n; i += 4 {
					if err := b.PutPart(t.Context(), k, partID(i), bytes.Repeat([]byte{'A' + i}, 1000)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		parts := staged(t, k)
		if len(parts) != n {
			t.Fatalf("%d parts", len(parts))
		}
		order := make([]storage.PartID, n)
		for i, p := range parts {
			order[i] = p.ID
		}
		slices.SortFunc(order, func(x, y storage.PartID) int { return cmp.Compare(y[15], x[15]) })
		_, err := b.Commit(t.Context(), k, order, nil, storage.Condition{IfAbsent: true})
		ok(t, err)
		var want bytes.Buffer
		for i := n - 1; i >= 0; i-- {
			want.Write(bytes.Repeat([]byte{'A' + byte(i)}, 1000))
		}
		if got := get(t, b, k, storage.ReadOptions{}); got != want.String() {
			t.Error("the bytes are not those of the parts, in their order")
		}
		if got := get(t, b, k, storage.ReadOptions{Offset: 1999, Length: 1002}); got != want.String()[1999:3001] {
			t.Error("a range over three parts differs")
		}
	})
}

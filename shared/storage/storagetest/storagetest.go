// Package storagetest is the conformance suite of the storage ports: one test
// per sentence of their contracts, for every driver.
package storagetest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Run tests the store that open gives. The store may be shared and may hold
// anything: the suite works under names of its own.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Helper()
	s := open(t)
	t.Run("Blobs", func(t *testing.T) { testBlobs(t, s) })
	t.Run("Parts", func(t *testing.T) { testParts(t, s) })
	t.Run("Tables", func(t *testing.T) { testTables(t, s) })
	t.Run("Queues", func(t *testing.T) { testQueues(t, s) })
	t.Run("Limits", func(t *testing.T) { testLimits(t, s) })
	t.Run("Context", func(t *testing.T) { testContext(t, s) })
}

// racers is how many goroutines fight over one thing.
const racers = 16

// unique returns a name nobody has used: letters and digits, a letter first.
func unique() string {
	var b [8]byte
	rand.Read(b[:])
	return "t" + hex.EncodeToString(b[:])
}

// race calls fn from all racers at once and returns how many had no error; the
// others must have failed with a Conflict.
func race(t *testing.T, fn func(i int) error) (won []int) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, racers)
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			won = append(won, i)
		} else if !fault.Is(err, fault.Conflict) {
			t.Errorf("racer %d: %v, want a conflict", i, err)
		}
	}
	return won
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// refused checks that err has the kind and, unless it is empty, the code.
func refused(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want %v %s", kind, code)
		return
	}
	e, isFault := errors.AsType[*fault.Error](err)
	if !isFault {
		t.Errorf("%v is a %T, not a *fault.Error", err, err)
		return
	}
	if e.Kind != kind || code != "" && e.Code != code {
		t.Errorf("%v is %v %q; want %v %q", err, e.Kind, e.Code, kind, code)
	}
}

func notFound(t *testing.T, err error) { t.Helper(); refused(t, err, fault.NotFound, "") }
func condition(t *testing.T, err error) {
	t.Helper()
	refused(t, err, fault.Conflict, storage.CodeCondition)
}

func exists(t *testing.T, err error) {
	t.Helper()
	refused(t, err, fault.Conflict, storage.CodeExists)
}

// put writes a blob unconditionally.
func put(t *testing.T, b storage.Blobs, key, body string) storage.BlobInfo {
	t.Helper()
	info, err := b.Put(t.Context(), key, []byte(body), nil, storage.Condition{})
	ok(t, err)
	return info
}

// get reads a blob whole.
func get(t *testing.T, b storage.Blobs, key string, o storage.ReadOptions) string {
	t.Helper()
	_, r, err := b.Get(t.Context(), key, o)
	ok(t, err)
	body, err := io.ReadAll(r)
	ok(t, err)
	ok(t, r.Close())
	return string(body)
}

// all gathers a sequence.
func all[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var out []T
	for v, err := range seq {
		ok(t, err)
		out = append(out, v)
	}
	return out
}

// numbered returns the i-th of names in order, of which two of three extend the
// one before: wherever a page ends, no name is lost or comes twice.
func numbered(i int) string { return fmt.Sprintf("%05d", i/3) + [...]string{"", ".x", ".y"}[i%3] }

func partID(n byte) storage.PartID { return storage.PartID{0: 0xff, 1: '+', 15: n} }

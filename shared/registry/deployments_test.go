package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

func TestDeploymentsAreBounded(t *testing.T) {
	loads := map[string]int{}
	c := newDeployments(2500, func(_ context.Context, _, digest string) (*scoring.Deployment, int64, error) {
		loads[digest]++
		return &scoring.Deployment{Digest: digest}, 1000, nil
	})
	use := func(digest string) func() {
		t.Helper()
		d, release, err := c.acquire(t.Context(), testWS, digest)
		if err != nil || d.Digest != digest {
			t.Fatal(d, err)
		}
		return release
	}
	inCache := func(want ...string) {
		t.Helper()
		for _, d := range []string{"a", "b", "c", "d"} {
			if _, ok := c.m[deploymentKey{testWS, d}]; ok != slices.Contains(want, d) {
				t.Fatalf("%s in the cache: %v", d, ok)
			}
		}
	}
	use("a")()
	use("b")()
	use("a")()
	use("c")() // b is the longest unused
	inCache("a", "c")
	hold := use("a")
	use("b")()
	use("c")()
	use("d")()
	inCache("a", "d") // a is in use
	if c.bytes != 2000 || loads["a"] != 1 {
		t.Fatalf("%d bytes, a loaded %d times", c.bytes, loads["a"])
	}
	// More in use than fits is all kept, and dropped when it is given back.
	b, cc := use("b"), use("c")
	inCache("a", "b", "c")
	if c.bytes != 3000 {
		t.Fatalf("%d bytes", c.bytes)
	}
	b()
	inCache("a", "c")
	hold()
	cc()
	if c.bytes != 2000 {
		t.Fatalf("%d bytes after all", c.bytes)
	}
}

func TestDeploymentsLoadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		var answer error
		c := newDeployments(1<<20, func(ctx context.Context, _, digest string) (*scoring.Deployment, int64, error) {
			loads++
			time.Sleep(time.Second)
			if answer != nil {
				return nil, 0, answer
			}
			return &scoring.Deployment{Digest: digest}, 1, ctx.Err()
		})
		// The first asker goes away; the load goes on for the others.
		gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := c.acquire(gone, testWS, "a"); !fault.Is(err, fault.Timeout) {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, _, err := c.acquire(t.Context(), testWS, "a"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if loads != 1 {
			t.Fatalf("%d loads", loads)
		}
		// What cannot be loaded is not tried by every caller; an outage is over
		// when it is over.
		for _, c2 := range []struct {
			err   error
			loads int
		}{{fault.New(fault.Package, "ValidationError", "broken"), 1}, {fault.New(fault.Unavailable, "", "down"), 3}} {
			answer, loads = c2.err, 0
			for range 3 {
				if _, _, err := c.acquire(t.Context(), testWS, "bad"); !errors.Is(err, c2.err) {
					t.Fatal(err)
				}
			}
			if loads != c2.loads {
				t.Errorf("%v: %d loads, want %d", c2.err, loads, c2.loads)
			}
			time.Sleep(badFor)
			synctest.Wait()
		}
		answer = nil
		if _, _, err := c.acquire(t.Context(), testWS, "bad"); err != nil {
			t.Fatal(err)
		}
		c.load = func(context.Context, string, string) (*scoring.Deployment, int64, error) { panic("boom") }
		if _, _, err := c.acquire(t.Context(), testWS, "panics"); !fault.Is(err, fault.Internal) {
			t.Fatal(err)
		}
	})
}

func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTables()
		r := newRegistry(t, &storage.Store{Tables: m, Queues: noQueues{}}, Options{})
		target := &Target{Endpoint: service.Endpoint{ID: service.NewID(), Digest: strings.Repeat("a", 64)}}
		r.Count(target, Call{Rows: 3, Took: 2 * time.Millisecond})
		r.Count(target, Call{Failed: true})
		r.Count(target, Call{Batch: true, Rows: 1000, UnknownLevels: 7})
		m.set(func() { m.down = true })
		time.Sleep(25 * time.Second) // two flushes fail
		m.set(func() { m.down = false })
		time.Sleep(flushEvery)
		r2 := newRegistry(t, &storage.Store{Tables: m, Queues: noQueues{}}, Options{}) // another process
		r2.Count(target, Call{Rows: 1})
		if err := r2.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Count(target, Call{Rows: 1})
		time.Sleep(2 * flushEvery)
		now := time.Now()
		days, err := r.Usage(t.Context(), target.Endpoint.ID, now.AddDate(0, 0, -1), now)
		if err != nil || len(days) != 1 {
			t.Fatal(days, err)
		}
		want := Day{Day: now.UTC().Format(time.DateOnly), Digest: target.Endpoint.Digest, Calls: 4, Errors: 1, Rows: 1005, UnknownLevels: 7, Jobs: 1, Milliseconds: 2}
		if days[0] != want {
			t.Fatalf("%+v, want %+v", days[0], want)
		}
		// A new day is a new row; the old counter goes.
		time.Sleep(24 * time.Hour)
		r.Count(target, Call{})
		time.Sleep(3 * flushEvery)
		r.usage.mu.RLock()
		kept := len(r.usage.m)
		r.usage.mu.RUnlock()
		if kept != 1 {
			t.Errorf("%d counters kept", kept)
		}
		days, err = r.Usage(t.Context(), target.Endpoint.ID, now, time.Now())
		if err != nil || len(days) != 2 || days[1].Calls != 1 {
			t.Fatal(days, err)
		}
	})
}

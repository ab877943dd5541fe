package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
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

// memTables is tables in memory, for tests in a bubble of false time. It
// counts reads, and can be cut off.
type memTables struct {
	mu    sync.Mutex
	rows  map[string]storage.Entity // table/partition/row
	tag   int
	reads int
	down  bool
	slow  time.Duration
}

func newMemTables() *memTables { return &memTables{rows: map[string]storage.Entity{}} }

func (m *memTables) begin() error {
	if m.slow > 0 {
		time.Sleep(m.slow)
	}
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return fault.New(fault.Unavailable, "", "storage is down")
	}
	return nil
}

func (m *memTables) Get(_ context.Context, table, partition, row string) (storage.Entity, error) {
	m.mu.Lock()
	m.reads++
	m.mu.Unlock()
	if err := m.begin(); err != nil {
		return storage.Entity{}, err
	}
	defer m.mu.Unlock()
	e, ok := m.rows[table+"/"+partition+"/"+row]
	if !ok {
		return e, fault.New(fault.NotFound, "", "no row %s", row)
	}
	e.Props = maps.Clone(e.Props)
	return e, nil
}

func (m *memTables) Apply(_ context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, op := range ops {
		e, ok := m.rows[table+"/"+partition+"/"+op.Row]
		switch {
		case op.Kind == storage.Insert && ok:
			return nil, fault.New(fault.Conflict, storage.CodeExists, "row %s exists", op.Row)
		case (op.Kind == storage.Replace || op.Kind == storage.Delete) && !ok:
			return nil, fault.New(fault.NotFound, "", "no row %s", op.Row)
		case op.IfMatch != "" && op.IfMatch != storage.AnyETag && op.IfMatch != e.ETag:
			return nil, fault.New(fault.Conflict, storage.CodeCondition, "row %s changed", op.Row)
		}
	}
	tags := make([]string, len(ops))
	for i, op := range ops {
		key := table + "/" + partition + "/" + op.Row
		if op.Kind == storage.Delete {
			delete(m.rows, key)
			continue
		}
		m.tag++
		tags[i] = fmt.Sprint(m.tag)
		m.rows[key] = storage.Entity{Partition: partition, Row: op.Row, ETag: tags[i], Props: maps.Clone(op.Props)}
	}
	return tags, nil
}

func (m *memTables) Query(_ context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return func(yield func(storage.Entity, error) bool) {
		if err := m.begin(); err != nil {
			yield(storage.Entity{}, err)
			return
		}
		var found []storage.Entity
		for key, e := range m.rows {
			if strings.HasPrefix(key, table+"/"+partition+"/") && e.Row >= r.From && (r.To == "" || e.Row < r.To) {
				found = append(found, e)
			}
		}
		m.mu.Unlock()
		slices.SortFunc(found, func(a, b storage.Entity) int { return strings.Compare(a.Row, b.Row) })
		for _, e := range found {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memTables) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

type noQueues struct{ storage.Queues }

func (noQueues) Send(context.Context, string, []byte, time.Duration) error { return nil }

// plant writes the rows of a service with one endpoint, as Publish would.
func plant(t *testing.T, m *memTables, r *Registry) (svc, id string) {
	t.Helper()
	svc, id = service.NewID(), service.NewID()
	now := time.Now().UTC()
	s := &serviceState{WebService: service.WebService{Name: "Churn", Created: now}, State: live}
	e := &endpointState{Endpoint: service.Endpoint{Name: service.Default, Digest: strings.Repeat("a", 64), Seq: 1, Position: 1}}
	ep, err := e.props()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := m.Apply(ctx, table, endpointsOf(testWS), storage.Op{Row: id, Props: storage.Props{"service": svc}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Apply(ctx, table, partition(testWS, svc),
		storage.Op{Row: serviceRow, Props: s.props()}, storage.Op{Row: endpointRow(id), Props: ep},
		storage.Op{Row: keysRow(id), Props: newKeys(r.ring, now).props()}); err != nil {
		t.Fatal(err)
	}
	return svc, id
}

// point moves a planted endpoint, as another process would.
func point(t *testing.T, m *memTables, svc, id, digest string) {
	t.Helper()
	row, err := m.Get(t.Context(), table, partition(testWS, svc), endpointRow(id))
	if err != nil {
		t.Fatal(err)
	}
	row.Props["digest"] = digest
	if _, err := m.Apply(t.Context(), table, partition(testWS, svc), storage.Op{Kind: storage.Upsert, Row: row.Row, Props: row.Props}); err != nil {
		t.Fatal(err)
	}
}

func bubble(t *testing.T, f func(t *testing.T, m *memTables, r *Registry)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTables()
		r := newRegistry(t, &storage.Store{Tables: m, Queues: noQueues{}}, Options{})
		f(t, m, r)
		// The loop ends by itself when nobody calls; were it not so, the bubble
		// would say that a goroutine is left.
		m.set(func() { m.down, m.slow = false, 0 })
		time.Sleep(forgetAfter + time.Minute)
	})
}

func resolves(t *testing.T, r *Registry, id, digest string) {
	t.Helper()
	target, err := r.Resolve(t.Context(), testWS, id)
	if err != nil {
		t.Fatal(err)
	}
	if target.Endpoint.Digest != digest {
		t.Fatalf("resolved to %.8s, want %.8s", target.Endpoint.Digest, digest)
	}
}

func TestResolveSeesMovesInTime(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		svc, id := plant(t, m, r)
		a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
		resolves(t, r, id, a)
		// In use: the background sees the move without any call waiting.
		point(t, m, svc, id, b)
		time.Sleep(maxAge)
		m.set(func() { m.slow = time.Hour }) // a call that waited for a read would show
		resolves(t, r, id, b)
		m.set(func() { m.slow = 0 })
		// Idle: the next call reads first.
		time.Sleep(2*inUse + time.Second)
		point(t, m, svc, id, a)
		resolves(t, r, id, a)
	})
}

func TestResolveCallsStorageSeldom(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		_, id := plant(t, m, r)
		resolves(t, r, id, strings.Repeat("a", 64))
		time.Sleep(10 * time.Second)
		m.set(func() { m.reads = 0 })
		const seconds = 600
		for range seconds * 10 {
			resolves(t, r, id, strings.Repeat("a", 64))
			time.Sleep(100 * time.Millisecond)
		}
		m.set(func() {
			if m.reads > seconds/2 {
				t.Errorf("%d reads in %d s for one endpoint, more than 0.5/s", m.reads, seconds)
			}
		})
		time.Sleep(2*inUse + time.Second)
		m.set(func() { m.reads = 0 })
		time.Sleep(5 * time.Minute)
		m.set(func() {
			if m.reads != 0 {
				t.Errorf("%d reads for an endpoint nobody calls", m.reads)
			}
		})
	})
}

func TestResolveWhileStorageIsDown(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		_, id := plant(t, m, r)
		a := strings.Repeat("a", 64)
		resolves(t, r, id, a)
		m.set(func() { m.down = true })
		for start := time.Now(); time.Since(start) < 5*time.Minute-10*time.Second; time.Sleep(time.Second) {
			resolves(t, r, id, a)
		}
		time.Sleep(20 * time.Second)
		_, err := r.Resolve(t.Context(), testWS, id)
		if !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter == 0 {
			t.Fatalf("after five minutes: %v", err)
		}
		m.set(func() { m.down = false })
		time.Sleep(3 * time.Second)
		resolves(t, r, id, a)
	})
}

func TestResolveWhileStorageHangs(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		_, id := plant(t, m, r)
		resolves(t, r, id, strings.Repeat("a", 64))
		time.Sleep(30 * time.Second)
		m.set(func() { m.slow = 30 * time.Second })
		time.Sleep(10 * time.Second)
		start := time.Now()
		resolves(t, r, id, strings.Repeat("a", 64))
		if took := time.Since(start); took > staleWait {
			t.Fatalf("a call waited %v for storage although there was a pointer to serve", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		other := service.NewID()
		if _, err := r.Resolve(ctx, testWS, other); !fault.Is(err, fault.Timeout) {
			t.Fatalf("a caller whose time is up: %v", err)
		}
	})
}

func TestResolveSingleFlight(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		_, id := plant(t, m, r)
		m.set(func() { m.slow, m.reads = 50*time.Millisecond, 0 })
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := r.Resolve(t.Context(), testWS, id); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		m.set(func() {
			if m.reads != 4 { // look-up row, endpoint, service, keys
				t.Errorf("%d reads for 100 calls at once", m.reads)
			}
		})
	})
}

func TestResolveUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		_, id := plant(t, m, r)
		unknown := service.NewID()
		for range 100 {
			if _, err := r.Resolve(t.Context(), testWS, unknown); !fault.Is(err, fault.NotFound) {
				t.Fatal(err)
			}
		}
		m.set(func() {
			if m.reads != 1 {
				t.Errorf("%d reads for one id that does not exist", m.reads)
			}
			m.reads = 0
		})
		// Ids that no row can have are not even looked up.
		for _, bad := range []string{"", "../x", strings.Repeat("g", 32), strings.Repeat("A", 32)} {
			if _, err := r.Resolve(t.Context(), testWS, bad); !fault.Is(err, fault.NotFound) {
				t.Errorf("%q: %v", bad, err)
			}
			if _, err := r.Resolve(t.Context(), bad, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("workspace %q: %v", bad, err)
			}
		}
		// Another workspace's endpoint does not exist.
		if _, err := r.Resolve(t.Context(), service.NewID(), id); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		m.set(func() { m.reads = 0 })
		// A scan of ids costs ten look-ups a second, and does not keep out an
		// endpoint that is known.
		resolves(t, r, id, strings.Repeat("a", 64))
		before := 0
		m.set(func() { before = m.reads })
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				_, err := r.Resolve(t.Context(), testWS, service.NewID())
				if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Throttled) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		m.set(func() {
			if n := m.reads - before; n > 3*unknownPerSec {
				t.Errorf("%d look-ups within about a second", n)
			}
		})
		resolves(t, r, id, strings.Repeat("a", 64))
		// Once it exists it is found, in the time of a negative entry.
		time.Sleep(negativeAge + 2*time.Second)
		_, late := plant(t, m, r)
		resolves(t, r, late, strings.Repeat("a", 64))
	})
}

func TestResolveForgetsTheDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		svc, id := plant(t, m, r)
		resolves(t, r, id, strings.Repeat("a", 64))
		if _, err := m.Apply(t.Context(), table, partition(testWS, svc), storage.Op{Kind: storage.Delete, Row: endpointRow(id), IfMatch: storage.AnyETag}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(maxAge)
		if _, err := r.Resolve(t.Context(), testWS, id); !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
	})
}

func TestResolveAllocatesNothing(t *testing.T) {
	st := openStore(t)
	r := newRegistry(t, st, Options{})
	p := mustPublish(t, r, "one")
	key, err := r.Keys(t.Context(), testWS, p.Service.ID, service.Staging, author)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	call := func() {
		target, err := r.Resolve(ctx, testWS, p.Staging.ID)
		if err != nil || !target.Authorized(key.Secondary) {
			t.Fatal("refused", err)
		}
		digest, err := target.Serving()
		if err != nil {
			t.Fatal(err)
		}
		_, release, err := r.Deployment(ctx, testWS, digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Evidence(ctx, target); err != nil {
			t.Fatal(err)
		}
		r.Count(target, Call{Rows: 1})
		release()
	}
	call()
	if n := testing.AllocsPerRun(1000, call); n >= 1 {
		t.Errorf("%v allocations per call", n)
	}
}

func BenchmarkResolve(b *testing.B) {
	r := newRegistry(b, openStore(b), Options{})
	p := mustPublish(b, r, "one")
	key, err := r.Keys(b.Context(), testWS, p.Service.ID, service.Staging, author)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		target, err := r.Resolve(b.Context(), testWS, p.Staging.ID)
		if err != nil || !target.Authorized(key.Primary) {
			b.Fatal(err)
		}
		_, release, err := r.Deployment(b.Context(), testWS, target.Endpoint.Digest)
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}

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

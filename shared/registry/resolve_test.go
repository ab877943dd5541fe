package registry

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

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

// Endpoints in use are read again and again; that must not pay for look-ups of
// ids that do not exist.
func TestRefreshingAllowsNoMoreUnknownIDs(t *testing.T) {
	bubble(t, func(t *testing.T, m *memTables, r *Registry) {
		const endpoints, seconds = 40, 10
		var ids []string
		for range endpoints {
			_, id := plant(t, m, r)
			ids = append(ids, id)
		}
		var looked atomic.Int64
		var wg sync.WaitGroup
		for end := time.Now().Add(seconds * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			for _, id := range ids {
				resolves(t, r, id, strings.Repeat("a", 64))
			}
			for range 10 {
				wg.Go(func() {
					if _, err := r.Resolve(t.Context(), testWS, service.NewID()); fault.Is(err, fault.NotFound) {
						looked.Add(1)
					} else if !fault.Is(err, fault.Throttled) {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if n := looked.Load(); n > (seconds+3)*unknownPerSec {
			t.Errorf("%d look-ups in %d seconds", n, seconds)
		}
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

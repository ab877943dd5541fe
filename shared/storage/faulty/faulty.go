// Package faulty decorates a storage.Store for tests: it counts calls, and can
// fail, crash or hold up any of them.
//
// A failure comes before the effect (the request was lost) or after it (the
// answer was lost): callers must survive both. A crash is a failure after which
// every later call fails too, until Revive: what a process does that was
// killed at that call.
//
//	st := faulty.New(inner)
//	st.Plan(faulty.Nth(7, faulty.CrashAfter))
//	run(st.Store)        // ends with an error wherever call 7 was
//	st.Revive()          // "the process starts again"
//	run(st.Store)
package faulty

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Call is one call of a port.
type Call struct {
	N      int    // counts from 1, over all ports
	Port   string // Blobs, Drop, DropDone, Tables, Queues
	Method string // Put, Apply, Send …
	Target string // blob key, table/partition, queue
	Write  bool   // whether the call changes anything
}

func (c Call) String() string { return fmt.Sprintf("#%d %s.%s %s", c.N, c.Port, c.Method, c.Target) }

// Effect is what befalls a call.
type Effect uint8

// Effects.
const (
	Pass        Effect = iota
	FailBefore         // an error, without the effect
	FailAfter          // the effect, then an error all the same
	CrashBefore        // FailBefore, and every later call fails
	CrashAfter         // FailAfter, and every later call fails
)

func (e Effect) String() string {
	return [...]string{"pass", "fail before", "fail after", "crash before", "crash after"}[e]
}

// A Rule decides what befalls a call. It runs before the call, in the caller's
// goroutine, and may block to hold it up.
type Rule func(ctx context.Context, c Call) Effect

// Nth is the rule that the n-th call, of all, has effect e.
func Nth(n int, e Effect) Rule {
	return func(_ context.Context, c Call) Effect {
		if c.N == n {
			return e
		}
		return Pass
	}
}

// NthWrite is the rule that the n-th call that changes anything has effect e.
func NthWrite(n int, e Effect) Rule {
	return nthOf(n, e, func(c Call) bool { return c.Write })
}

// NthOf is the rule that the n-th call of a method, as "Tables.Apply", has
// effect e.
func NthOf(method string, n int, e Effect) Rule {
	return nthOf(n, e, func(c Call) bool { return c.Port+"."+c.Method == method })
}

func nthOf(n int, e Effect, match func(Call) bool) Rule {
	var mu sync.Mutex
	seen := 0
	return func(_ context.Context, c Call) Effect {
		if !match(c) {
			return Pass
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == n {
			return e
		}
		return Pass
	}
}

// A Gate holds up the first call that matches.
type Gate struct {
	// Reached gives the call once it is held.
	Reached chan Call
	open    chan struct{}
	opened  sync.Once
	taken   atomic.Bool
	match   func(Call) bool
}

// NewGate returns a gate for the first call that match accepts.
func NewGate(match func(Call) bool) *Gate {
	return &Gate{Reached: make(chan Call, 1), open: make(chan struct{}), match: match}
}

// Open lets the held call go on, and keeps the gate open.
func (g *Gate) Open() { g.opened.Do(func() { close(g.open) }) }

// Rule is the rule of the gate. A held call whose context ends goes on, to
// fail by itself.
func (g *Gate) Rule(ctx context.Context, c Call) Effect {
	if g.match(c) && g.taken.CompareAndSwap(false, true) {
		g.Reached <- c
		select {
		case <-g.open:
		case <-ctx.Done():
		}
	}
	return Pass
}

// Store is a decorated store.
type Store struct {
	storage.Store

	mu    sync.Mutex
	calls []Call
	rules []Rule
	watch func(context.Context, Call) (done func())
	dead  bool
	died  chan struct{} // closed when dead becomes true
}

// New decorates inner.
func New(inner storage.Store) *Store {
	s := &Store{died: make(chan struct{})}
	s.Store = storage.Store{
		Blobs:    &blobs{s, "Blobs", inner.Blobs},
		Drop:     &blobs{s, "Drop", inner.Drop},
		DropDone: &blobs{s, "DropDone", inner.DropDone},
		Tables:   &tables{s, inner.Tables},
		Queues:   &queues{s, inner.Queues},
	}
	return s
}

// Plan replaces the rules; the first that does not say Pass decides.
func (s *Store) Plan(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = rules
}

// Watch has f called at the begin of each call, after the rules, and what f
// returns when the call has had its effect.
func (s *Store) Watch(f func(ctx context.Context, c Call) (done func())) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// Calls returns the calls so far, in order of arrival.
func (s *Store) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Revive ends a crash, forgets the rules and starts to count anew.
func (s *Store) Revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		s.died = make(chan struct{})
	}
	s.dead, s.rules, s.calls = false, nil, nil
}

// Dead reports whether a crash took place.
func (s *Store) Dead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// Alive returns a context that ends with a crash, as all that a process does
// ends when it is killed.
func (s *Store) Alive(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	died := s.died
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-died:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// ErrInjected is the error of every injected failure.
var ErrInjected = fault.New(fault.Unavailable, "Injected", "injected failure")

// run lets one call meet its fate.
func (s *Store) run(ctx context.Context, port, method, target string, write bool, call func() error) error {
	s.mu.Lock()
	c := Call{N: len(s.calls) + 1, Port: port, Method: method, Target: target, Write: write}
	s.calls = append(s.calls, c)
	rules, watch := s.rules, s.watch
	s.mu.Unlock()

	effect := Pass
	for _, rule := range rules {
		if effect = rule(ctx, c); effect != Pass {
			break
		}
	}
	// A call that was held up while the process died comes to nothing.
	if s.Dead() || effect == FailBefore {
		return ErrInjected
	}
	if effect == CrashBefore {
		s.kill()
		return ErrInjected
	}
	done := func() {}
	if watch != nil {
		done = watch(ctx, c)
	}
	err := call()
	done()
	if effect == CrashAfter {
		s.kill()
	}
	if effect == CrashAfter || effect == FailAfter {
		return ErrInjected
	}
	return err
}

func (s *Store) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		s.dead = true
		close(s.died)
	}
}

type blobs struct {
	s     *Store
	port  string
	inner storage.Blobs
}

func (b *blobs) run(ctx context.Context, method, key string, write bool, call func() error) error {
	return b.s.run(ctx, b.port, method, key, write, call)
}

func (b *blobs) Get(ctx context.Context, key string, o storage.ReadOptions) (info storage.BlobInfo, r io.ReadCloser, err error) {
	err = b.run(ctx, "Get", key, false, func() (err error) { info, r, err = b.inner.Get(ctx, key, o); return err })
	if err != nil && r != nil {
		r.Close()
		r = nil
	}
	return info, r, err
}

func (b *blobs) Head(ctx context.Context, key string) (info storage.BlobInfo, err error) {
	err = b.run(ctx, "Head", key, false, func() (err error) { info, err = b.inner.Head(ctx, key); return err })
	return info, err
}

func (b *blobs) Put(ctx context.Context, key string, body []byte, meta map[string]string, c storage.Condition) (info storage.BlobInfo, err error) {
	err = b.run(ctx, "Put", key, true, func() (err error) { info, err = b.inner.Put(ctx, key, body, meta, c); return err })
	return info, err
}

func (b *blobs) SetMeta(ctx context.Context, key string, meta map[string]string, c storage.Condition) (info storage.BlobInfo, err error) {
	err = b.run(ctx, "SetMeta", key, true, func() (err error) { info, err = b.inner.SetMeta(ctx, key, meta, c); return err })
	return info, err
}

func (b *blobs) PutPart(ctx context.Context, key string, id storage.PartID, body []byte) error {
	return b.run(ctx, "PutPart", key, true, func() error { return b.inner.PutPart(ctx, key, id, body) })
}

func (b *blobs) Parts(ctx context.Context, key string) (parts []storage.Part, err error) {
	err = b.run(ctx, "Parts", key, false, func() (err error) { parts, err = b.inner.Parts(ctx, key); return err })
	return parts, err
}

func (b *blobs) Commit(ctx context.Context, key string, parts []storage.PartID, meta map[string]string, c storage.Condition) (info storage.BlobInfo, err error) {
	err = b.run(ctx, "Commit", key, true, func() (err error) { info, err = b.inner.Commit(ctx, key, parts, meta, c); return err })
	return info, err
}

func (b *blobs) Delete(ctx context.Context, key string, c storage.Condition) error {
	return b.run(ctx, "Delete", key, true, func() error { return b.inner.Delete(ctx, key, c) })
}

func (b *blobs) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return sequence(func(call func() error) error { return b.run(ctx, "List", prefix, false, call) }, b.inner.List(ctx, prefix))
}

func (b *blobs) SignRead(ctx context.Context, key string, until time.Time) (u storage.SignedURL, err error) {
	err = b.run(ctx, "SignRead", key, false, func() (err error) { u, err = b.inner.SignRead(ctx, key, until); return err })
	return u, err
}

func (b *blobs) SignWrite(ctx context.Context, key string, until time.Time) (u storage.SignedURL, err error) {
	err = b.run(ctx, "SignWrite", key, false, func() (err error) { u, err = b.inner.SignWrite(ctx, key, until); return err })
	return u, err
}

type tables struct {
	s     *Store
	inner storage.Tables
}

func (t *tables) Get(ctx context.Context, table, partition, row string) (e storage.Entity, err error) {
	err = t.s.run(ctx, "Tables", "Get", table+"/"+partition+"/"+row, false, func() (err error) {
		e, err = t.inner.Get(ctx, table, partition, row)
		return err
	})
	return e, err
}

func (t *tables) Apply(ctx context.Context, table, partition string, ops ...storage.Op) (etags []string, err error) {
	err = t.s.run(ctx, "Tables", "Apply", table+"/"+partition, true, func() (err error) {
		etags, err = t.inner.Apply(ctx, table, partition, ops...)
		return err
	})
	return etags, err
}

func (t *tables) Query(ctx context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return sequence(func(call func() error) error {
		return t.s.run(ctx, "Tables", "Query", table+"/"+partition, false, call)
	}, t.inner.Query(ctx, table, partition, r))
}

type queues struct {
	s     *Store
	inner storage.Queues
}

func (q *queues) run(ctx context.Context, method, queue string, write bool, call func() error) error {
	return q.s.run(ctx, "Queues", method, queue, write, call)
}

func (q *queues) Send(ctx context.Context, queue string, body []byte, delay time.Duration) error {
	return q.run(ctx, "Send", queue, true, func() error { return q.inner.Send(ctx, queue, body, delay) })
}

func (q *queues) Receive(ctx context.Context, queue string, limit int, visibility time.Duration) (ms []storage.Message, err error) {
	err = q.run(ctx, "Receive", queue, true, func() (err error) { ms, err = q.inner.Receive(ctx, queue, limit, visibility); return err })
	if err != nil {
		ms = nil
	}
	return ms, err
}

func (q *queues) Extend(ctx context.Context, queue string, m storage.Message, visibility time.Duration) (out storage.Message, err error) {
	err = q.run(ctx, "Extend", queue, true, func() (err error) { out, err = q.inner.Extend(ctx, queue, m, visibility); return err })
	return out, err
}

func (q *queues) Delete(ctx context.Context, queue string, m storage.Message) error {
	return q.run(ctx, "Delete", queue, true, func() error { return q.inner.Delete(ctx, queue, m) })
}

func (q *queues) Depth(ctx context.Context, queue string) (n int64, err error) {
	err = q.run(ctx, "Depth", queue, false, func() (err error) { n, err = q.inner.Depth(ctx, queue); return err })
	return n, err
}

// sequence is an iteration as one call: a failure before it yields the error
// alone, one after it the error behind the items.
func sequence[T any](run func(func() error) error, inner iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		stopped := false
		err := run(func() error {
			for v, err := range inner {
				if err != nil {
					return err
				}
				if !yield(v, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			var zero T
			yield(zero, err)
		}
	}
}

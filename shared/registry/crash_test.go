package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// checkService holds the rows of a service against each other: pointers,
// histories, promotions and audit must tell one story, whatever happened.
func checkService(t *testing.T, tables storage.Tables, svc string) {
	t.Helper()
	rows := map[string]storage.Entity{}
	for e, err := range tables.Query(context.Background(), table, partition(testWS, svc), storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows[e.Row] = e
	}
	if len(rows) == 0 {
		return // nothing at all is one story
	}
	state := serviceOf(testWS, svc, rows[serviceRow])
	var acts, moves, pending, approved, endpoints int
	audit := map[string]int{}
	for name, e := range rows {
		switch kind, _, _ := strings.Cut(name, "."); kind {
		case "audit":
			acts++
			var ev Event
			if err := json.Unmarshal(e.Props.Bytes("json"), &ev); err != nil {
				t.Fatal(err)
			}
			audit[ev.Type]++
		case "history":
			moves++
		case "promotion":
			p, err := promotionOf(e)
			if err != nil {
				t.Fatal(err)
			}
			switch p.State {
			case service.Requested:
				pending++
				if state.Pending != p.Number {
					t.Errorf("promotion %d is pending, the service says %d", p.Number, state.Pending)
				}
			case service.Approved:
				approved++
			}
		case "endpoint":
			endpoints++
			ep, err := endpointOf(testWS, svc, e)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := rows[keysRow(ep.ID)]; !ok {
				t.Errorf("endpoint %s has no keys", ep.Name)
			}
			if n, ok := rows[nameRow(ep.Name)]; !ok || n.Props.Str("id") != ep.ID {
				t.Errorf("endpoint %s is not under its name", ep.Name)
			}
			if _, err := tables.Get(context.Background(), table, endpointsOf(testWS), ep.ID); err != nil {
				t.Errorf("endpoint %s cannot be looked up: %v", ep.Name, err)
			}
			if ep.Seq == 0 {
				if ep.Digest != "" {
					t.Errorf("endpoint %s serves something without history", ep.Name)
				}
				continue
			}
			for _, seq := range []int64{ep.Seq, ep.Position} {
				h, ok := rows[historyRow(ep.ID, seq)]
				var m Move
				if !ok || json.Unmarshal(h.Props.Bytes("json"), &m) != nil || m.Digest != ep.Digest {
					t.Errorf("endpoint %s serves %.8s, its history entry %d says %.8s", ep.Name, ep.Digest, seq, m.Digest)
				}
			}
			if _, ok := rows[historyRow(ep.ID, ep.Seq+1)]; ok {
				t.Errorf("endpoint %s has history after its last move", ep.Name)
			}
		}
	}
	if int64(acts) != state.Rev {
		t.Errorf("%d acts, audit of %d", state.Rev, acts)
	}
	if state.State == live && int64(endpoints) != state.Endpoints {
		t.Errorf("%d endpoints, the service says %d", endpoints, state.Endpoints)
	}
	if want := audit[EventPublished] + audit[EventApproved] + audit[EventRolledBack]; moves != want {
		t.Errorf("%d moves, the audit tells of %d", moves, want)
	}
	if pending > 1 || (pending == 1) != (state.Pending != 0) {
		t.Errorf("%d promotions pending, the service says number %d", pending, state.Pending)
	}
	if approved != audit[EventApproved] {
		t.Errorf("%d promotions approved, %d in the audit", approved, audit[EventApproved])
	}
}

// world is a service in some state, over a store that can be made to fail.
type world struct {
	st     *faulty.Store
	svc    string
	first  string // digests
	second string
}

func (w *world) registry(t *testing.T) *Registry { return newRegistry(t, &w.st.Store, Options{}) }

// An act of the main path: what must stand before it, the act, and whether its
// effect is there.
var mainPath = []struct {
	name  string
	setUp func(t *testing.T, w *world)
	act   func(ctx context.Context, r *Registry, t *testing.T, w *world) error
	done  func(t *testing.T, r *Registry, w *world) bool
	// repeated is the code of the refusal when the act is asked for again
	// after it was done; "" = success.
	repeated string
}{
	{
		name: "first publish",
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			p, err := r.Publish(ctx, testWS, author, publication(t, "one"))
			if err == nil {
				w.svc = p.Service.ID
			}
			return err
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			all, err := r.Services(t.Context(), testWS, reader)
			if err != nil || len(all) > 1 {
				t.Fatal(all, err)
			}
			return len(all) == 1
		},
	},
	{
		name:  "publish over",
		setUp: func(t *testing.T, w *world) { w.publish(t, "one") },
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			_, err := r.Publish(ctx, testWS, author, publication(t, "two"))
			return err
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			return endpoint(t, r, w.svc, service.Staging).Digest != w.first
		},
	},
	{
		name:  "request",
		setUp: func(t *testing.T, w *world) { testOnStaging(t, w.registry(t), w.publish(t, "one")) },
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			_, err := r.RequestPromotion(ctx, testWS, w.svc, author, Request{Digest: w.first})
			return err
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			s, err := r.Service(t.Context(), testWS, w.svc, reader)
			return err == nil && s.Pending == 1
		},
	},
	{
		name: "approve",
		setUp: func(t *testing.T, w *world) {
			r := w.registry(t)
			testOnStaging(t, r, w.publish(t, "one"))
			if _, err := r.RequestPromotion(t.Context(), testWS, w.svc, author, Request{Digest: w.first}); err != nil {
				t.Fatal(err)
			}
		},
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			nothing := ""
			_, err := r.Approve(ctx, testWS, w.svc, 1, deployer, Decision{Expect: &nothing})
			return err
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			return endpoint(t, r, w.svc, service.Default).Digest == w.first
		},
		repeated: CodeDecided,
	},
	{
		name: "rollback",
		setUp: func(t *testing.T, w *world) {
			r := w.registry(t)
			mustPromote(t, r, w.publish(t, "one"), "")
			two := mustPublish(t, r, "two")
			w.second = two.Digest
			mustPromote(t, r, two, w.first)
		},
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			_, err := r.Rollback(ctx, testWS, w.svc, deployer, Rollback{Expect: &w.second})
			return err
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			return endpoint(t, r, w.svc, service.Default).Digest == w.first
		},
		repeated: CodeExpectation,
	},
	{
		name:  "regenerate key",
		setUp: func(t *testing.T, w *world) { w.publish(t, "one") },
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			_, err := r.RegenerateKey(ctx, testWS, w.svc, service.Default, "primary", deployer)
			return err
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			e, err := r.endpointNamed(t.Context(), testWS, w.svc, service.Default)
			return err == nil && e.KeysRev > 0
		},
	},
	{
		name:  "delete service",
		setUp: func(t *testing.T, w *world) { w.publish(t, "one") },
		act: func(ctx context.Context, r *Registry, t *testing.T, w *world) error {
			return r.DeleteService(ctx, testWS, w.svc, author)
		},
		done: func(t *testing.T, r *Registry, w *world) bool {
			s, err := r.serviceState(t.Context(), testWS, w.svc)
			return err == nil && s.State == deleted
		},
		repeated: "WebServiceIdNotFoundInWorkspace",
	},
}

func (w *world) publish(t *testing.T, salt string) *Published {
	t.Helper()
	p := mustPublish(t, w.registry(t), salt)
	w.svc, w.first = p.Service.ID, p.Digest
	return p
}

// TestEveryCallFails fails every storage call of every act of the main path,
// before and after its effect, for once and for good. Whatever the caller is
// told, the rows agree, and asking again brings the act about, once.
func TestEveryCallFails(t *testing.T) {
	for _, step := range mainPath {
		for _, effect := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
			t.Run(step.name+"/"+effect.String(), func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					w := &world{st: faulty.New(*openStore(t))}
					if step.setUp != nil {
						step.setUp(t, w)
					}
					w.st.Revive()
					w.st.Plan(faulty.Nth(n, effect))
					ctx := t.Context()
					err := step.act(ctx, w.registry(t), t, w)
					calls := w.st.Calls()
					w.st.Revive()
					if len(calls) < n {
						if err != nil {
							t.Fatalf("undisturbed: %v", err)
						}
						return // every call had its turn
					}
					where := calls[n-1].String()
					r := w.registry(t) // a new process
					if err == nil && !step.done(t, r, w) {
						t.Fatalf("%s: reported done, and is not", where)
					}
					if err != nil && !errors.Is(err, faulty.ErrInjected) && !fault.KindOf(err).Traits().Retry {
						t.Errorf("%s: %v is no error of a storage that failed", where, err)
					}
					if w.svc != "" {
						checkService(t, w.st.Tables, w.svc)
					}
					was := step.done(t, r, w)
					err = step.act(ctx, r, t, w)
					switch {
					case was && step.repeated != "":
						if !fault.HasCode(err, step.repeated) {
							t.Fatalf("%s: done before, then asked again: %v", where, err)
						}
					case err != nil:
						t.Fatalf("%s: asked again: %v", where, err)
					}
					if !step.done(t, r, w) {
						t.Fatalf("%s: asked again, and not done", where)
					}
					checkService(t, w.st.Tables, w.svc)
					w.sweep(t)
				}
			})
		}
	}
}

// sweep lets time pass for the sweep, and checks that no act stays untold.
func (w *world) sweep(t *testing.T) {
	t.Helper()
	r := w.registry(t)
	ctx := t.Context()
	var open []string
	for row, err := range w.st.Tables.Query(ctx, table, partition(testWS, w.svc), storage.Prefix("outbox.")) {
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, strings.TrimPrefix(row.Row, "outbox."))
	}
	if _, err := w.st.Tables.Get(ctx, table, outboxPartition, partition(testWS, w.svc)); len(open) > 0 && err != nil {
		t.Fatalf("acts are not told yet, and sweep does not know the service: %v", err)
	}
	none := func(context.Context, Post) (int, error) { return 0, errors.New("no webhook is set") }
	for _, id := range open {
		if err := r.Settle(ctx, Message{testWS, w.svc, id}, none); err != nil {
			t.Fatal(err)
		}
	}
	audit, err := r.Audit(ctx, testWS, w.svc, author, "", MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	news, err := r.Notifications(ctx, testWS, reader, "", MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, n := range news.Notices {
		told[n.ID]++
	}
	for _, e := range audit.Events {
		if told[e.ID] != 1 {
			t.Errorf("act %s was told %d times", e.Type, told[e.ID])
		}
	}
}

// race runs a to the point where it has read and decided, and is about to
// write; then b whole; then the rest of a.
func race(t *testing.T, w *world, a, b func(r *Registry) error) (errA, errB error) {
	t.Helper()
	part := table + "/" + partition(testWS, w.svc)
	gate := faulty.NewGate(func(c faulty.Call) bool { return c.Method == "Apply" && c.Target == part })
	w.st.Revive()
	w.st.Plan(gate.Rule)
	done := make(chan error)
	go func() { done <- a(w.registry(t)) }()
	select {
	case <-gate.Reached:
	case errA = <-done:
		t.Fatalf("a ended before it wrote: %v", errA)
	case <-time.After(time.Minute):
		t.Fatal("a did not get to its write")
	}
	errB = b(w.registry(t))
	gate.Open()
	errA = <-done
	checkService(t, w.st.Tables, w.svc)
	return errA, errB
}

func TestRaces(t *testing.T) {
	nothing := ""
	pending := func(t *testing.T) *world {
		w := &world{st: faulty.New(*openStore(t))}
		testOnStaging(t, w.registry(t), w.publish(t, "one"))
		if _, err := w.registry(t).RequestPromotion(t.Context(), testWS, w.svc, author, Request{Digest: w.first}); err != nil {
			t.Fatal(err)
		}
		return w
	}
	approve := func(t *testing.T, w *world, by Actor) func(*Registry) error {
		return func(r *Registry) error {
			_, err := r.Approve(t.Context(), testWS, w.svc, 1, by, Decision{Expect: &nothing})
			return err
		}
	}
	withdraw := func(t *testing.T, w *world) func(*Registry) error {
		return func(r *Registry) error {
			_, err := r.Withdraw(t.Context(), testWS, w.svc, 1, author, Decision{})
			return err
		}
	}
	publish := func(t *testing.T, salt string) func(*Registry) error {
		return func(r *Registry) error {
			_, err := r.Publish(t.Context(), testWS, author, publication(t, salt))
			return err
		}
	}

	t.Run("approve, approve", func(t *testing.T) {
		w := pending(t)
		errA, errB := race(t, w, approve(t, w, deployer), approve(t, w, owner))
		if errB != nil {
			t.Fatal(errB)
		}
		wantCode(t, errA, fault.Conflict, CodeDecided)
		if e := endpoint(t, w.registry(t), w.svc, service.Default); e.Seq != 1 {
			t.Fatalf("default moved %d times", e.Seq)
		}
	})
	t.Run("approve, withdraw", func(t *testing.T) {
		w := pending(t)
		errA, errB := race(t, w, approve(t, w, deployer), withdraw(t, w))
		if errB != nil {
			t.Fatal(errB)
		}
		wantCode(t, errA, fault.Conflict, CodeDecided)
		if e := endpoint(t, w.registry(t), w.svc, service.Default); e.Digest != "" {
			t.Fatal("a withdrawn promotion was deployed")
		}
	})
	t.Run("withdraw, approve", func(t *testing.T) {
		w := pending(t)
		errA, errB := race(t, w, withdraw(t, w), approve(t, w, deployer))
		if errB != nil {
			t.Fatal(errB)
		}
		wantCode(t, errA, fault.Conflict, CodeDecided)
	})
	t.Run("approve, publish", func(t *testing.T) {
		w := pending(t)
		errA, errB := race(t, w, approve(t, w, deployer), publish(t, "two"))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if e := endpoint(t, w.registry(t), w.svc, service.Default); e.Digest != w.first {
			t.Fatal("approval deployed something that was not reviewed")
		}
	})
	t.Run("publish, approve", func(t *testing.T) {
		w := pending(t)
		errA, errB := race(t, w, publish(t, "two"), approve(t, w, deployer))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		r := w.registry(t)
		if e := endpoint(t, r, w.svc, service.Default); e.Digest != w.first {
			t.Fatal("default does not serve what was approved")
		}
		if e := endpoint(t, r, w.svc, service.Staging); e.Digest == w.first || e.Seq != 2 {
			t.Fatalf("staging %+v", e)
		}
	})
	t.Run("request, publish", func(t *testing.T) {
		w := &world{st: faulty.New(*openStore(t))}
		testOnStaging(t, w.registry(t), w.publish(t, "one"))
		request := func(r *Registry) error {
			_, err := r.RequestPromotion(t.Context(), testWS, w.svc, author, Request{Digest: w.first})
			return err
		}
		errA, errB := race(t, w, request, publish(t, "two"))
		if errB != nil {
			t.Fatal(errB)
		}
		wantCode(t, errA, fault.Conflict, CodeExpectation)
	})
	t.Run("rollback, rollback", func(t *testing.T) {
		w := &world{st: faulty.New(*openStore(t))}
		r := w.registry(t)
		mustPromote(t, r, w.publish(t, "one"), "")
		two := mustPublish(t, r, "two")
		mustPromote(t, r, two, w.first)
		back := func(r *Registry) error {
			_, err := r.Rollback(t.Context(), testWS, w.svc, deployer, Rollback{Expect: &two.Digest})
			return err
		}
		errA, errB := race(t, w, back, back)
		if errB != nil {
			t.Fatal(errB)
		}
		wantCode(t, errA, fault.Conflict, CodeExpectation)
	})
	t.Run("approve, delete", func(t *testing.T) {
		w := pending(t)
		errA, errB := race(t, w, approve(t, w, deployer), func(r *Registry) error { return r.DeleteService(t.Context(), testWS, w.svc, author) })
		if errB != nil {
			t.Fatal(errB)
		}
		wantCode(t, errA, fault.NotFound, "WebServiceIdNotFoundInWorkspace")
	})
}

// Everybody at once: the first publications of one experiment make one service.
func TestFirstPublicationsAtOnce(t *testing.T) {
	st := openStore(t)
	const n = 6
	type result struct {
		p   *Published
		err error
	}
	results := make(chan result)
	for i := range n {
		r := newRegistry(t, st, Options{})
		pub := publication(t, fmt.Sprint(i%2))
		go func() {
			p, err := r.Publish(t.Context(), testWS, author, pub)
			results <- result{p, err}
		}()
	}
	services := map[string]bool{}
	created := 0
	for range n {
		res := <-results
		if res.err != nil {
			t.Error(res.err)
			continue
		}
		services[res.p.Service.ID] = true
		if res.p.Created {
			created++
		}
	}
	if len(services) != 1 || created != 1 {
		t.Fatalf("%d services, made %d times", len(services), created)
	}
	for svc := range services {
		checkService(t, st.Tables, svc)
	}
}

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// receiver is a webhook's other end.
type receiver struct {
	status int
	err    error
	got    []Post
}

func (rc *receiver) send(_ context.Context, p Post) (int, error) {
	rc.got = append(rc.got, p)
	return rc.status, rc.err
}

// published returns a registry with a webhook, a service, and the message of
// its publication.
func published(t *testing.T, st *storage.Store) (*Registry, Message) {
	t.Helper()
	r := newRegistry(t, st, Options{})
	if _, err := r.SetWebhook(t.Context(), testWS, owner, WebhookChange{URL: "https://example.com/hook"}); err != nil {
		t.Fatal(err)
	}
	p := mustPublish(t, r, "one")
	audit, err := r.Audit(t.Context(), testWS, p.Service.ID, author, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return r, Message{testWS, p.Service.ID, audit.Events[0].ID}
}

func delivery(t *testing.T, r *Registry, id string) *Delivery {
	t.Helper()
	news, err := r.Notifications(t.Context(), testWS, reader, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range news.Notices {
		if n.ID == id {
			return n.Webhook
		}
	}
	t.Fatal("no such notification")
	return nil
}

func outboxOpen(t *testing.T, r *Registry, m Message) bool {
	t.Helper()
	_, err := r.tables.Get(t.Context(), table, partition(m.Workspace, m.Service), "outbox."+m.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestSettle(t *testing.T) {
	ctx := t.Context()
	r, m := published(t, openStore(t))
	rc := &receiver{status: 204}
	if err := r.Settle(ctx, m, rc.send); err != nil {
		t.Fatal(err)
	}
	if len(rc.got) != 1 || rc.got[0].URL != "https://example.com/hook" || rc.got[0].ID != m.ID || rc.got[0].Type != EventPublished || len(rc.got[0].Secret) != 88 {
		t.Fatalf("sent %+v", rc.got)
	}
	var e Event
	if err := json.Unmarshal(rc.got[0].Body, &e); err != nil || e.ServiceName != "Churn" || e.By.ID != author.ID {
		t.Fatalf("%+v, %v", e, err)
	}
	if d := delivery(t, r, m.ID); d == nil || d.State != Delivered || d.Attempts[0].Status != 204 {
		t.Fatalf("delivery %+v", d)
	}
	if outboxOpen(t, r, m) {
		t.Fatal("delivered, and still open")
	}
	// Delivered twice by the queue: sent once.
	if err := r.Settle(ctx, m, rc.send); err != nil || len(rc.got) != 1 {
		t.Fatalf("sent %d times, %v", len(rc.got), err)
	}
}

func TestSettleRefusals(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name     string
		rc       receiver
		again    bool
		outcome  string
		attempts int
	}{
		{"refused for good", receiver{status: 404}, false, "refused", 1},
		{"redirect", receiver{status: 302}, false, "refused", 1},
		{"address not allowed", receiver{err: fault.New(fault.BadArgument, "AddressRefused", "private")}, false, "refused", 1},
		{"server error", receiver{status: 500}, true, "refused", maxAttempts},
		{"throttled", receiver{status: 429}, true, "refused", maxAttempts},
		{"unreachable", receiver{err: errors.New("connection reset")}, true, "unreachable", maxAttempts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, m := published(t, openStore(t))
			runs := 0
			for {
				runs++
				err := r.Settle(ctx, m, tt.rc.send)
				if err == nil {
					break
				}
				if !fault.KindOf(err).Traits().Retry {
					t.Fatalf("%v would not be tried again", err)
				}
				if runs > maxAttempts {
					t.Fatal("it is tried for ever")
				}
			}
			d := delivery(t, r, m.ID)
			if d == nil || d.State != Failed || len(d.Attempts) != tt.attempts || d.Attempts[0].Outcome != tt.outcome || len(tt.rc.got) != tt.attempts {
				t.Fatalf("after %d runs: %+v", runs, d)
			}
			if outboxOpen(t, r, m) {
				t.Fatal("failed, and still open")
			}
		})
	}
}

func TestSettleInAndOut(t *testing.T) {
	ctx := t.Context()
	r, m := published(t, openStore(t))
	// Another delivery arrives while the first is sending.
	rc := &receiver{status: 200}
	err := r.Settle(ctx, m, func(ctx context.Context, p Post) (int, error) {
		if err := r.Settle(ctx, m, rc.send); !fault.Is(err, fault.Unavailable) {
			t.Errorf("two sent at once: %v", err)
		}
		return rc.send(ctx, p)
	})
	if err != nil || len(rc.got) != 1 {
		t.Fatalf("sent %d times, %v", len(rc.got), err)
	}
}

func TestSettleAtEveryCrash(t *testing.T) {
	for _, effect := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
		for n := 1; ; n++ {
			st := faulty.New(*openStore(t))
			r, m := published(t, &st.Store)
			st.Revive()
			st.Plan(faulty.Nth(n, effect))
			rc := &receiver{status: 200}
			err := r.Settle(t.Context(), m, rc.send)
			calls := st.Calls()
			st.Revive()
			if len(calls) < n {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			where := effect.String() + " " + calls[n-1].String()
			// An attempt whose worker died is waited for, then called unknown.
			err = r.Settle(t.Context(), m, rc.send)
			if fault.Is(err, fault.Unavailable) {
				age(t, r, m, attemptLimit)
				err = r.Settle(t.Context(), m, rc.send)
			}
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			d := delivery(t, r, m.ID)
			if d == nil || d.State != Delivered || outboxOpen(t, r, m) {
				t.Fatalf("%s: %+v", where, d)
			}
			if len(rc.got) == 0 || len(rc.got) > 2 {
				t.Fatalf("%s: sent %d times", where, len(rc.got))
			}
		}
	}
}

// age makes the last attempt of an outbox row, and the act, older.
func age(t *testing.T, r *Registry, m Message, by time.Duration) {
	t.Helper()
	part := partition(m.Workspace, m.Service)
	row, err := r.tables.Get(t.Context(), table, part, "outbox."+m.ID)
	if err != nil {
		t.Fatal(err)
	}
	var e Event
	var d Delivery
	if err := json.Unmarshal(row.Props.Bytes("json"), &e); err != nil {
		t.Fatal(err)
	}
	e.At = e.At.Add(-by)
	row.Props["json"], _ = json.Marshal(e)
	if b := row.Props.Bytes("delivery"); b != nil {
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		for i := range d.Attempts {
			d.Attempts[i].At = d.Attempts[i].At.Add(-by)
		}
		row.Props["delivery"], _ = json.Marshal(d)
	}
	if _, err := r.tables.Apply(t.Context(), table, part, storage.Op{Kind: storage.Replace, Row: row.Row, IfMatch: row.ETag, Props: row.Props}); err != nil {
		t.Fatal(err)
	}
}

func queued(t *testing.T, st *storage.Store) int {
	t.Helper()
	n := 0
	for {
		ms, err := st.Queues.Receive(t.Context(), NotifyQueue, 32, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(ms) == 0 {
			return n
		}
		for _, m := range ms {
			n++
			if err := st.Queues.Delete(t.Context(), NotifyQueue, m); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSweep(t *testing.T) {
	ctx := t.Context()
	st := openStore(t)
	r, m := published(t, st)
	sweep := func() {
		t.Helper()
		if next, err := r.Sweep(ctx, ""); err != nil || next != "" {
			t.Fatal(next, err)
		}
	}
	if n := queued(t, st); n != 1 {
		t.Fatalf("publication sent %d messages", n)
	}
	sweep() // too young
	if n := queued(t, st); n != 0 {
		t.Fatalf("sweep sent %d messages for an act of a moment ago", n)
	}
	age(t, r, m, firstRescue)
	sweep()
	if n := queued(t, st); n != 1 {
		t.Fatalf("sweep sent %d messages for an act nobody settled", n)
	}
	// A worker dies in its attempt.
	dies := errors.New("killed")
	func() {
		defer func() { _ = recover() }()
		_ = r.Settle(ctx, m, func(context.Context, Post) (int, error) { panic(dies) })
	}()
	age(t, r, m, attemptLimit)
	sweep()
	if n := queued(t, st); n != 1 {
		t.Fatalf("sweep sent %d messages for an attempt whose worker died", n)
	}
	row, err := r.tables.Get(ctx, table, partition(m.Workspace, m.Service), "outbox."+m.ID)
	if err != nil {
		t.Fatal(err)
	}
	var d Delivery
	if err := json.Unmarshal(row.Props.Bytes("delivery"), &d); err != nil || d.Attempts[0].Outcome != "unknown" {
		t.Fatalf("%+v, %v", d, err)
	}
	rc := &receiver{status: 200}
	if err := r.Settle(ctx, m, rc.send); err != nil {
		t.Fatal(err)
	}
	// Nothing is open: after a while sweep does not look there any more.
	marker := func() bool {
		_, err := r.tables.Get(ctx, table, outboxPartition, partition(m.Workspace, m.Service))
		return err == nil
	}
	sweep()
	if !marker() {
		t.Fatal("the marker went while an act might still be on its way")
	}
	if _, err := r.tables.Apply(ctx, table, outboxPartition, storage.Op{Kind: storage.Upsert, Row: partition(m.Workspace, m.Service), Props: storage.Props{"at": time.Now().Add(-markerGrace)}}); err != nil {
		t.Fatal(err)
	}
	sweep()
	if marker() {
		t.Fatal("the marker stays for ever")
	}
}

func TestSweepFinishesDeletion(t *testing.T) {
	st := faulty.New(*openStore(t))
	r := newRegistry(t, &st.Store, Options{})
	p := mustPublish(t, r, "one")
	st.Revive()
	// The act is the second Apply (the marker is the first); then the process ends.
	st.Plan(faulty.NthOf("Tables.Apply", 2, faulty.CrashAfter))
	if err := r.DeleteService(t.Context(), testWS, p.Service.ID, author); err == nil {
		t.Fatal("the crash did not show")
	}
	st.Revive()
	r = newRegistry(t, &st.Store, Options{})
	s, err := r.serviceState(t.Context(), testWS, p.Service.ID)
	if err != nil || s.State != deleting {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := r.Sweep(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if s, err = r.serviceState(t.Context(), testWS, p.Service.ID); err != nil || s.State != deleted {
		t.Fatalf("after sweep %+v, %v", s, err)
	}
}

func TestWebhookSetting(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	for _, bad := range []string{"x", "http://example.com/", "https://", "https://u:p@example.com/", "https://example.com/#f", "ftp://example.com/", "/hook"} {
		if _, err := r.SetWebhook(ctx, testWS, owner, WebhookChange{URL: bad}); !fault.Is(err, fault.BadArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	set := func(c WebhookChange) *Webhook {
		t.Helper()
		h, err := r.SetWebhook(ctx, testWS, owner, c)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	one := set(WebhookChange{URL: "https://example.com/a"})
	two := set(WebhookChange{URL: "https://example.com/b"})
	if one.Secret == "" || two.Secret != one.Secret || two.URL != "https://example.com/b" {
		t.Fatal("another address must keep the secret")
	}
	three := set(WebhookChange{URL: "https://example.com/b", NewSecret: true})
	if three.Secret == two.Secret {
		t.Fatal("the secret stayed")
	}
	if gone := set(WebhookChange{}); gone.URL != "" || gone.Secret != "" {
		t.Fatalf("removed: %+v", gone)
	}
	if four := set(WebhookChange{URL: "https://example.com/b"}); four.Secret == three.Secret {
		t.Fatal("a webhook set anew has the old secret")
	}
	if _, err := r.Webhook(ctx, service.NewID(), owner); err != nil {
		t.Fatal(err)
	}
}

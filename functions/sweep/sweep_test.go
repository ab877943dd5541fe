package sweep

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func open(t *testing.T) *storage.Store {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &st.Store
}

func TestHandle(t *testing.T) {
	st := open(t)
	log := slog.New(slog.DiscardHandler)
	var steps []string
	walk := Duty{Name: "walk", Every: time.Hour, Step: func(_ context.Context, cursor string) (string, error) {
		steps = append(steps, cursor)
		return map[string]string{"": "a", "a": "b", "b": ""}[cursor], nil
	}}
	fails := 0
	bad := Duty{Name: "bad", Step: func(context.Context, string) (string, error) { fails++; return "", errors.New("no") }}
	mad := Duty{Name: "mad", Step: func(context.Context, string) (string, error) { panic("boom") }}
	f := New(st.Tables, log, bad, mad, walk)
	for range 2 {
		if err := f.Handle(t.Context(), event.Event{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(steps, ","); got != ",a,b" {
		t.Errorf("steps %q: want one round, for the next is not due", got)
	}
	if fails != 2 {
		t.Errorf("the failing duty had %d turns, want one in each tick", fails)
	}
}

// A round that is ended goes on where it was, in another process.
func TestHandle_resumes(t *testing.T) {
	st := open(t)
	log := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	var steps []string
	first := Duty{Name: "walk", Every: time.Hour, Step: func(_ context.Context, cursor string) (string, error) {
		steps = append(steps, cursor)
		if cursor == "a" {
			cancel() // the tick is over
			return cursor, nil
		}
		return "a", nil
	}}
	if err := New(st.Tables, log, first).Handle(ctx, event.Event{}); err != nil {
		t.Fatal(err)
	}
	second := Duty{Name: "walk", Every: time.Hour, Step: func(_ context.Context, cursor string) (string, error) {
		steps = append(steps, cursor)
		return "", nil
	}}
	if err := New(st.Tables, log, second).Handle(t.Context(), event.Event{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, ","); got != ",a,a" {
		t.Errorf("steps %q", got)
	}
}

func TestPoison(t *testing.T) {
	st := open(t)
	ctx := t.Context()
	send := func(queue, body string) {
		if err := st.Queues.Send(ctx, queue, []byte(body), 0); err != nil {
			t.Fatal(err)
		}
	}
	send("besjob-poison", `{"v":1,"m":{"job":"j1","try":2}}`)
	send("besjob-poison", `{"v":1,"m":{"job":"j2","try":3,"rescued":true}}`)
	send("drop-poison", "no message of ours")
	var alarms []string
	alarm := func(_ context.Context, queue string) { alarms = append(alarms, queue) }
	f := New(st.Tables, slog.New(slog.DiscardHandler), Poison(st, slog.New(slog.DiscardHandler), alarm, "besjob", "drop", "runs"))
	if err := f.Handle(ctx, event.Event{}); err != nil {
		t.Fatal(err)
	}
	ms, err := st.Queues.Receive(ctx, "besjob", 32, time.Minute)
	if err != nil || len(ms) != 1 || string(ms[0].Body) != `{"v":1,"m":{"job":"j1","try":3,"rescued":true}}` {
		t.Errorf("sent again: %v, %v", ms, err)
	}
	kept := 0
	for info, err := range st.Blobs.List(ctx, "poison/") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(info.Key, "poison/besjob/") && !strings.HasPrefix(info.Key, "poison/drop/") {
			t.Errorf("kept as %s", info.Key)
		}
		kept++
	}
	if kept != 2 || strings.Join(alarms, " ") != "besjob drop" {
		t.Errorf("%d messages kept, want 2; alarms %v", kept, alarms)
	}
	for _, queue := range []string{"besjob-poison", "drop-poison"} {
		if n, err := st.Queues.Depth(ctx, queue); err != nil || n != 0 {
			t.Errorf("%d messages left in %s, %v", n, queue, err)
		}
	}
}

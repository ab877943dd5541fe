package faulty_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func open(t *testing.T) (inner storage.Store, st *faulty.Store) {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Store, faulty.New(s.Store)
}

func put(t *testing.T, s storage.Store, key string) error {
	t.Helper()
	_, err := s.Blobs.Put(t.Context(), key, []byte("x"), nil, storage.Condition{})
	return err
}

func TestEffects(t *testing.T) {
	for _, tt := range []struct {
		effect            faulty.Effect
		happened, revived bool // whether the effect took place; whether the call after succeeds
	}{
		{faulty.FailBefore, false, true},
		{faulty.FailAfter, true, true},
		{faulty.CrashBefore, false, false},
		{faulty.CrashAfter, true, false},
	} {
		t.Run(tt.effect.String(), func(t *testing.T) {
			inner, st := open(t)
			st.Plan(faulty.NthOf("Blobs.Put", 2, tt.effect))
			if err := put(t, st.Store, "a"); err != nil {
				t.Fatalf("the call before: %v", err)
			}
			if err := put(t, st.Store, "b"); !errors.Is(err, faulty.ErrInjected) {
				t.Fatalf("the chosen call: %v", err)
			}
			_, err := inner.Blobs.Head(t.Context(), "b")
			if tt.happened && err != nil || !tt.happened && !fault.Is(err, fault.NotFound) {
				t.Errorf("head of what the chosen call put: %v", err)
			}
			if err := put(t, st.Store, "c"); (err == nil) != tt.revived {
				t.Errorf("the call after: %v", err)
			}
			if st.Dead() == tt.revived {
				t.Errorf("Dead() = %v", st.Dead())
			}
			st.Revive()
			if err := put(t, st.Store, "d"); err != nil {
				t.Errorf("after Revive: %v", err)
			}
			if calls := st.Calls(); len(calls) != 1 || calls[0].String() != "#1 Blobs.Put d" {
				t.Errorf("calls after Revive: %v", calls)
			}
		})
	}
}

func TestCountsEveryPort(t *testing.T) {
	_, st := open(t)
	ctx := t.Context()
	s := st.Store
	_, _ = s.Drop.Head(ctx, "a")
	_, _ = s.Tables.Apply(ctx, "table", "p", storage.Op{Row: "r"})
	for range s.Tables.Query(ctx, "table", "p", storage.Range{}) {
	}
	_ = s.Queues.Send(ctx, "queue", []byte("m"), 0)
	ms, _ := s.Queues.Receive(ctx, "queue", 1, 1e9)
	for _, m := range ms {
		_ = s.Queues.Delete(ctx, "queue", m)
	}
	want := []string{"#1 Drop.Head a", "#2 Tables.Apply table/p", "#3 Tables.Query table/p", "#4 Queues.Send queue", "#5 Queues.Receive queue", "#6 Queues.Delete queue"}
	for i, c := range st.Calls() {
		if i >= len(want) || c.String() != want[i] {
			t.Errorf("call %d is %v", i, c)
		}
	}
	if n := len(st.Calls()); n != len(want) {
		t.Errorf("%d calls, want %d", n, len(want))
	}
}

func TestSequenceFailsAfterItems(t *testing.T) {
	_, st := open(t)
	if err := put(t, st.Store, "a"); err != nil {
		t.Fatal(err)
	}
	st.Plan(faulty.NthOf("Blobs.List", 1, faulty.FailAfter), faulty.NthOf("Blobs.List", 1, faulty.FailBefore))
	for _, want := range []int{1, 0} {
		items, failed := 0, false
		for _, err := range st.Blobs.List(t.Context(), "") {
			if err != nil {
				failed = true
			} else {
				items++
			}
		}
		if items != want || !failed {
			t.Errorf("items %d, failed %v; want %d, true", items, failed, want)
		}
	}
}

func TestGateHoldsOneCall(t *testing.T) {
	_, st := open(t)
	g := faulty.NewGate(func(c faulty.Call) bool { return c.Method == "Put" })
	st.Plan(g.Rule)
	done := make(chan error)
	go func() { done <- put(t, st.Store, "held") }()
	if c := <-g.Reached; c.Target != "held" {
		t.Fatalf("held %v", c)
	}
	if err := put(t, st.Store, "other"); err != nil {
		t.Fatalf("a second call: %v", err)
	}
	if _, err := st.Blobs.Head(t.Context(), "held"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("the held call took effect: %v", err)
	}
	g.Open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// What a process does ends with it.
func TestAlive(t *testing.T) {
	_, st := open(t)
	for range 2 { // the process starts again
		ctx, cancel := st.Alive(t.Context())
		defer cancel()
		if put(t, st.Store, "a/b") != nil || ctx.Err() != nil {
			t.Fatal("it ended before the crash")
		}
		st.Plan(faulty.Nth(2, faulty.CrashAfter))
		if !errors.Is(put(t, st.Store, "a/b"), faulty.ErrInjected) {
			t.Fatal("no crash")
		}
		<-ctx.Done()
		st.Revive()
	}
}

// A watch sees each call before and after its effect.
func TestWatch(t *testing.T) {
	inner, st := open(t)
	var seen []string
	st.Watch(func(_ context.Context, c faulty.Call) func() {
		there := func(when string) {
			_, err := inner.Blobs.Head(t.Context(), "a/b")
			seen = append(seen, fmt.Sprint(when, " ", c, " ", err == nil))
		}
		there("before")
		return func() { there("after") }
	})
	if err := put(t, st.Store, "a/b"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"before #1 Blobs.Put a/b false", "after #1 Blobs.Put a/b true"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

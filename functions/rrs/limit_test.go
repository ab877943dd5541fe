package rrs

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiterWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		for range 2 {
			if wait, ok := l.enter(t.Context(), "a", 2); !ok || wait != 0 {
				t.Fatal("no place although two are free")
			}
		}
		if _, ok := l.enter(t.Context(), "b", 1); !ok {
			t.Fatal("the endpoints share places")
		}
		// The third waits, and gets the place that is given back meanwhile.
		time.AfterFunc(60*time.Millisecond, func() { l.leave("a") })
		if wait, ok := l.enter(t.Context(), "a", 2); !ok || wait != 60*time.Millisecond {
			t.Fatalf("waited %v, %v", wait, ok)
		}
		// Nobody leaves: the wait ends.
		if wait, ok := l.enter(t.Context(), "a", 2); ok || wait != maxWait {
			t.Fatalf("waited %v, %v", wait, ok)
		}
		// The queue is as long as the limit; who does not fit does not wait.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if wait, ok := l.enter(t.Context(), "a", 2); ok || wait != maxWait {
					t.Errorf("in the queue: waited %v, %v", wait, ok)
				}
			})
		}
		synctest.Wait()
		if wait, ok := l.enter(t.Context(), "a", 2); ok || wait != 0 {
			t.Errorf("past the queue: waited %v, %v", wait, ok)
		}
		wg.Wait()
		// A caller who goes away leaves the queue.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if wait, ok := l.enter(ctx, "a", 2); ok || wait != 10*time.Millisecond {
			t.Errorf("gone: waited %v, %v", wait, ok)
		}
		l.leave("a")
		l.leave("a")
		if g := l.m["a"]; g.inside != 0 || len(g.queue) != 0 {
			t.Errorf("%d inside, %d waiting", g.inside, len(g.queue))
		}
		// A limit raised in between lets several in at once; one lowered none.
		for _, limit := range []int{1, 3} {
			if _, ok := l.enter(t.Context(), "a", limit); !ok {
				t.Errorf("no place under a limit of %d", limit)
			}
		}
		l.leave("a")
		if _, ok := l.enter(t.Context(), "a", 1); ok {
			t.Error("a place although the limit was lowered")
		}
		l.forget()
		if len(l.m) != 2 {
			t.Errorf("%d gates, want those of a and b, which are in use", len(l.m))
		}
		l.leave("a")
		if l.forget(); len(l.m) != 1 {
			t.Errorf("%d gates, want that of b", len(l.m))
		}
	})
}

// TestLimiterNeverOverfills counts who is inside under load.
func TestLimiterNeverOverfills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		const limit = 3
		var mu sync.Mutex
		var wg sync.WaitGroup
		inside, most, served, refused := 0, 0, 0, 0
		for i := range 200 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				_, ok := l.enter(t.Context(), "a", limit)
				mu.Lock()
				defer mu.Unlock()
				if !ok {
					refused++
					return
				}
				inside++
				most = max(most, inside)
				served++
				mu.Unlock()
				time.Sleep(time.Duration(20+i%50) * time.Millisecond)
				mu.Lock()
				inside--
				l.leave("a")
			})
		}
		wg.Wait()
		if most != limit || served+refused != 200 || served < 50 || refused == 0 {
			t.Errorf("at most %d inside, %d served, %d refused", most, served, refused)
		}
	})
}

func TestBudget(t *testing.T) {
	b := newBudget(100)
	if !b.take(60, 0) || b.take(60, 0) || !b.take(40, 0) || b.take(1, 0) {
		t.Error("100 bytes are not 60 and 40")
	}
	b.give(40)
	if !b.take(500, 60) {
		t.Error("a call alone must get what it needs")
	}
	b.give(560)
	if !b.take(1000, 0) || b.take(1, 0) {
		t.Error("a call alone must get all there is, and another nothing")
	}
}

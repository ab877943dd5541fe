package storagetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

func testQueues(t *testing.T, s storage.Store) {
	q := s.Queues
	// long hides a message for the rest of a test, short until it is waited for.
	const long, short = time.Minute, time.Second
	send := func(t *testing.T, queue, body string, delay time.Duration) {
		t.Helper()
		ok(t, q.Send(t.Context(), queue, []byte(body), delay))
	}
	receive := func(t *testing.T, queue string, n int, visibility time.Duration) []storage.Message {
		t.Helper()
		ms, err := q.Receive(t.Context(), queue, n, visibility)
		ok(t, err)
		return ms
	}
	// await polls until a message is visible.
	await := func(t *testing.T, queue string, visibility time.Duration) storage.Message {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if ms := receive(t, queue, 1, visibility); len(ms) == 1 {
				return ms[0]
			}
		}
		t.Fatal("no message came")
		panic("unreachable")
	}
	depth := func(t *testing.T, queue string, want int64) {
		t.Helper()
		n, err := q.Depth(t.Context(), queue)
		ok(t, err)
		if n != want {
			t.Errorf("depth %d, want %d", n, want)
		}
	}

	t.Run("a queue nobody used is empty", func(t *testing.T) {
		if ms := receive(t, unique(), 32, long); len(ms) != 0 {
			t.Errorf("messages %v", ms)
		}
		depth(t, unique(), 0)
		ok(t, q.Delete(t.Context(), unique(), storage.Message{ID: "1", Receipt: "AgAAAAMAAAAAAAAA"}))
	})
	t.Run("a message comes as it went", func(t *testing.T) {
		name := unique()
		body := "{\"v\":1,\"m\":{\"a\":\"<&\\u2028ü\"}}\x00\xff\n"
		before := time.Now().Add(-2 * time.Second)
		send(t, name, body, 0)
		depth(t, name, 1)
		ms := receive(t, name, 32, long)
		if len(ms) != 1 {
			t.Fatalf("%d messages", len(ms))
		}
		m := ms[0]
		if string(m.Body) != body || m.DequeueCount != 1 || m.ID == "" || m.Receipt == "" {
			t.Errorf("message %+v", m)
		}
		if m.Inserted.Before(before) || m.Inserted.After(time.Now().Add(2*time.Second)) {
			t.Errorf("inserted %v, now %v", m.Inserted, time.Now())
		}
		if again := receive(t, name, 32, long); len(again) != 0 {
			t.Error("a hidden message was received")
		}
		depth(t, name, 1)
		ok(t, q.Delete(t.Context(), name, m))
		depth(t, name, 0)
		ok(t, q.Delete(t.Context(), name, m)) // already gone
	})
	t.Run("a message shows again after its visibility", func(t *testing.T) {
		name := unique()
		send(t, name, "m", 0)
		first := await(t, name, short)
		second := await(t, name, long)
		if second.ID != first.ID || second.DequeueCount != 2 || second.Receipt == first.Receipt || !second.Inserted.Equal(first.Inserted) {
			t.Errorf("first %+v, second %+v", first, second)
		}
		stale(t, q.Delete(t.Context(), name, first))
		_, err := q.Extend(t.Context(), name, first, long)
		lost(t, err)
		depth(t, name, 1)
		ok(t, q.Delete(t.Context(), name, second))
	})
	t.Run("a lapsed receipt holds until the message is handed out again", func(t *testing.T) {
		name := unique()
		send(t, name, "m", 0)
		m := await(t, name, short)
		time.Sleep(short + 200*time.Millisecond)
		ok(t, q.Delete(t.Context(), name, m))
		depth(t, name, 0)
	})
	t.Run("delay", func(t *testing.T) {
		name := unique()
		start := time.Now()
		send(t, name, "m", 2*time.Second)
		depth(t, name, 1)
		m := await(t, name, long)
		if waited := time.Since(start); waited < 1900*time.Millisecond {
			t.Errorf("a message delayed by 2s came after %v", waited)
		}
		if m.DequeueCount != 1 {
			t.Errorf("dequeue count %d", m.DequeueCount)
		}
		send(t, name, "far", storage.MaxDelay)
		if ms := receive(t, name, 1, long); len(ms) != 0 {
			t.Error("a message delayed by a week was received")
		}
	})
	t.Run("extend", func(t *testing.T) {
		name := unique()
		send(t, name, "m", 0)
		first := await(t, name, long)
		second, err := q.Extend(t.Context(), name, first, long)
		ok(t, err)
		if second.ID != first.ID || string(second.Body) != "m" || second.Receipt == first.Receipt {
			t.Errorf("extended %+v", second)
		}
		stale(t, q.Delete(t.Context(), name, first))
		depth(t, name, 1)
		third, err := q.Extend(t.Context(), name, second, 0)
		ok(t, err)
		shown := await(t, name, long)
		if string(shown.Body) != "m" || shown.DequeueCount != 2 {
			t.Errorf("shown again: %+v", shown)
		}
		stale(t, q.Delete(t.Context(), name, third))
		depth(t, name, 1)
		ok(t, q.Delete(t.Context(), name, shown))
		_, err = q.Extend(t.Context(), name, shown, long)
		lost(t, err)
	})
	t.Run("extend hides for longer", func(t *testing.T) {
		name := unique()
		send(t, name, "m", 0)
		m := await(t, name, 2*time.Second)
		_, err := q.Extend(t.Context(), name, m, long)
		ok(t, err)
		time.Sleep(2200 * time.Millisecond)
		if ms := receive(t, name, 1, long); len(ms) != 0 {
			t.Error("the message shows although it was extended")
		}
	})
	t.Run("at most as many as asked for", func(t *testing.T) {
		name := unique()
		for i := range 40 {
			send(t, name, fmt.Sprint(i), 0)
		}
		depth(t, name, 40)
		if ms := receive(t, name, 3, long); len(ms) != 3 {
			t.Errorf("%d messages, want 3", len(ms))
		}
		if ms := receive(t, name, 32, long); len(ms) != 32 {
			t.Errorf("%d messages, want 32", len(ms))
		}
		if ms := receive(t, name, 32, long); len(ms) != 5 {
			t.Errorf("%d messages, want 5", len(ms))
		}
	})
	t.Run("a visible message is handed to one receiver", func(t *testing.T) {
		name := unique()
		const n = 64
		for i := range n {
			send(t, name, fmt.Sprint(i), 0)
		}
		var mu sync.Mutex
		seen := make(map[string]int)
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				for {
					ms, err := q.Receive(t.Context(), name, 4, long)
					if err != nil {
						t.Error(err)
						return
					}
					if len(ms) == 0 {
						return
					}
					for _, m := range ms {
						mu.Lock()
						seen[string(m.Body)]++
						mu.Unlock()
						if err := q.Delete(t.Context(), name, m); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		for body, times := range seen {
			if times != 1 {
				t.Errorf("message %s came %d times", body, times)
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d messages came", len(seen), n)
		}
	})
	t.Run("the longest message", func(t *testing.T) {
		name := unique()
		body := make([]byte, storage.MaxMessageBytes)
		for i := range body {
			body[i] = byte(i * 7)
		}
		send(t, name, string(body), 0)
		if m := await(t, name, long); string(m.Body) != string(body) {
			t.Error("the body differs")
		}
	})
	t.Run("names", func(t *testing.T) {
		for _, name := range []string{unique()[:3], "a-b-" + unique(), "0" + unique(), (unique() + unique() + unique() + unique())[:63]} {
			send(t, name, "m", 0)
			if m := await(t, name, long); string(m.Body) != "m" {
				t.Errorf("queue %s holds %q", name, m.Body)
			} else {
				ok(t, q.Delete(t.Context(), name, m))
			}
		}
	})
}

// stale checks what a Delete with an old receipt returned.
func stale(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		condition(t, err)
	}
}

// lost checks what an Extend of a message that is no longer ours returned.
func lost(t *testing.T, err error) {
	t.Helper()
	if !fault.Is(err, fault.NotFound) {
		condition(t, err)
	}
}

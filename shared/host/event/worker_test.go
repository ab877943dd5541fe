package event

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

type job struct {
	Job   string `json:"job"`
	Chunk int    `json:"chunk"`
}

type sent struct {
	queue string
	body  string
	delay time.Duration
}

type outbox struct {
	mu   sync.Mutex
	msgs []sent
	fail error
}

func (o *outbox) Send(_ context.Context, queue string, body []byte, delay time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.msgs = append(o.msgs, sent{queue, string(body), delay})
	return nil
}

func worker(t *testing.T, q *outbox, w Work[job]) *Worker[job] {
	t.Helper()
	w.Queue = "beschunk"
	if w.Limit == 0 {
		w.Limit = 2
	}
	if w.Deadline == 0 {
		w.Deadline = time.Minute
	}
	return NewWorker(NewPlaces(), q, slog.New(slog.DiscardHandler), w)
}

func message(t *testing.T, tr tries) Event {
	t.Helper()
	b, err := encode(job{"j1", 17}, tr)
	if err != nil {
		t.Fatal(err)
	}
	return Event{Function: "beschunk", Body: b, DequeueCount: 1}
}

func TestEnvelope(t *testing.T) {
	q := &outbox{}
	if err := Send(t.Context(), q, "beschunk", job{"j1", 17}, 0); err != nil {
		t.Fatal(err)
	}
	if err := Send(t.Context(), q, "besjob", struct{}{}, time.Second); err != nil {
		t.Fatal(err)
	}
	if got, want := q.msgs[0].body, `{"v":1,"m":{"job":"j1","chunk":17,"try":1}}`; got != want {
		t.Errorf("message = %s, want %s", got, want)
	}
	if got, want := q.msgs[1].body, `{"v":1,"m":{"try":1}}`; got != want {
		t.Errorf("empty message = %s, want %s", got, want)
	}
	if err := Send(t.Context(), q, "besjob", 7, 0); err == nil {
		t.Error("a number was sent as a message")
	}
}

// What a run's end does to its message: acknowledged, sent again with or
// without a try lost, or recorded as failed.
func TestHandle(t *testing.T) {
	down := fault.New(fault.Unavailable, "", "storage is down")
	busy := &fault.Error{Kind: fault.Unavailable, Msg: "storage is busy", RetryAfter: 90 * time.Second}
	bad := fault.New(fault.BadUserArgument, "", "row 3 is bad")
	tests := []struct {
		name    string
		do      func(context.Context, job) error
		in      tries
		dequeue int
		ran     bool
		again   string // payload of the copy, "" = none
		min     time.Duration
		failed  string // text given to Fail
	}{
		{name: "done", do: func(context.Context, job) error { return nil }, in: tries{Try: 1}, ran: true},
		{
			name: "transient keeps the try", do: func(context.Context, job) error { return down }, in: tries{Try: 2}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":2,"again":1}}`, min: 5 * time.Second,
		},
		{
			name: "transient backs off longer", do: func(context.Context, job) error { return down }, in: tries{Try: 1, Again: 4}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":1,"again":5}}`, min: 40 * time.Second,
		},
		{
			name: "back-off is bounded", do: func(context.Context, job) error { return down }, in: tries{Try: 1, Again: 400}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":1,"again":401}}`, min: 5 * time.Minute,
		},
		{
			name: "asked for patience", do: func(context.Context, job) error { return busy }, in: tries{Try: 1}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":1,"again":1}}`, min: 90 * time.Second,
		},
		{
			name: "canceled is not the work's fault", do: func(context.Context, job) error { return context.Canceled }, in: tries{Try: 1}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":1,"again":1}}`, min: 5 * time.Second,
		},
		{name: "permanent is recorded", do: func(context.Context, job) error { return bad }, in: tries{Try: 1}, ran: true, failed: "row 3 is bad"},
		{
			name: "panic costs a try", do: func(context.Context, job) error { panic("boom") }, in: tries{Try: 1}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":2,"again":1}}`, min: 5 * time.Second,
		},
		{
			name: "internal costs a try", do: func(context.Context, job) error { return errors.New("bug") }, in: tries{Try: 3}, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":4,"again":1}}`, min: 5 * time.Second,
		},
		{
			name: "the last panic is recorded", do: func(context.Context, job) error { panic("boom") }, in: tries{Try: 4}, ran: true,
			failed: "failed inside the service 4 times",
		},
		{
			name: "deaths count", do: func(context.Context, job) error { return down }, in: tries{Try: 1}, dequeue: 3, ran: true,
			again: `{"v":1,"m":{"job":"j1","chunk":17,"try":3,"again":1}}`, min: 5 * time.Second,
		},
		{
			name: "not run after four deaths", do: func(context.Context, job) error { return nil }, in: tries{Try: 4}, dequeue: 2,
			failed: "ended the worker 4 times",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &outbox{}
				ran, failed := false, ""
				w := worker(t, q, Work[job]{
					Do: func(ctx context.Context, m job) error {
						ran = true
						if m != (job{"j1", 17}) {
							t.Errorf("message = %+v", m)
						}
						return tt.do(ctx, m)
					},
					Fail: func(_ context.Context, _ job, err error) error { failed = err.Error(); return nil },
				})
				e := message(t, tt.in)
				if tt.dequeue > 0 {
					e.DequeueCount = tt.dequeue
				}
				if err := w.Handle(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				if ran != tt.ran {
					t.Errorf("ran = %v, want %v", ran, tt.ran)
				}
				if failed != tt.failed {
					t.Errorf("recorded %q, want %q", failed, tt.failed)
				}
				if tt.again == "" {
					if len(q.msgs) > 0 {
						t.Errorf("sent again: %+v", q.msgs)
					}
					return
				}
				if len(q.msgs) != 1 || q.msgs[0].queue != "beschunk" || q.msgs[0].body != tt.again {
					t.Fatalf("sent %+v, want %s", q.msgs, tt.again)
				}
				if d := q.msgs[0].delay; d < tt.min || d > backoffMax {
					t.Errorf("delay = %v, want between %v and %v", d, tt.min, backoffMax)
				}
			})
		})
	}
}

func TestHandle_deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &outbox{}
		var last error
		w := worker(t, q, Work[job]{
			Deadline: 5 * time.Minute,
			Do:       func(ctx context.Context, _ job) error { <-ctx.Done(); return ctx.Err() },
			Fail:     func(_ context.Context, _ job, err error) error { last = err; return nil },
		})
		start := time.Now()
		if err := w.Handle(t.Context(), message(t, tries{Try: 1})); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 5*time.Minute {
			t.Errorf("ran for %v", d)
		}
		if want := `"try":2`; len(q.msgs) != 1 || !strings.Contains(q.msgs[0].body, want) {
			t.Fatalf("sent %+v, want %s", q.msgs, want)
		}
		if err := w.Handle(t.Context(), message(t, tries{Try: 4})); err != nil {
			t.Fatal(err)
		}
		if got, want := last.Error(), "did not end within 5m0s, 4 times"; got != want {
			t.Errorf("recorded %q, want %q", got, want)
		}
	})
}

// A message at its third try has the process to itself: it waits for what runs,
// and all else is sent away with the try it had, so that nothing is lost with
// it should it end the process.
func TestHandle_alone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &outbox{}
		var mu sync.Mutex
		running, most, runs := 0, 0, 0
		work := Work[job]{Limit: 1, Do: func(context.Context, job) error {
			mu.Lock()
			running++
			runs++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(3 * time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}}
		places := NewPlaces()
		work.Queue, work.Deadline = "beschunk", time.Minute
		w := NewWorker(places, q, slog.New(slog.DiscardHandler), work)
		work.Queue = "other"
		other := NewWorker(places, q, slog.New(slog.DiscardHandler), work)
		var wg sync.WaitGroup
		handle := func(w *Worker[job], tr tries) {
			wg.Go(func() {
				if err := w.Handle(t.Context(), message(t, tr)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		sent := func(what string, want ...string) {
			t.Helper()
			var got []string
			for _, m := range q.msgs {
				got = append(got, m.queue+" "+m.body)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: sent %q, want %q", what, got, want)
			}
			q.msgs = nil
		}
		copyOf := func(queue, tries string) string { return queue + ` {"v":1,"m":{"job":"j1","chunk":17,` + tries + `}}` }

		handle(w, tries{Try: 1})
		handle(w, tries{Try: 2, Again: 4}) // waits for the first
		sent("two of a queue that runs one at a time")
		handle(w, tries{Try: 3})
		sent("those who wait make room", copyOf("beschunk", `"try":2,"again":4`))
		handle(w, tries{Try: 4})
		sent("one at a time", copyOf("beschunk", `"try":4,"again":1`))
		time.Sleep(time.Second)
		handle(other, tries{Try: 1})
		sent("while one waits to be alone", copyOf("other", `"try":1`))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		mu.Lock()
		if runs != 2 || running != 1 {
			t.Errorf("%d run of %d, want the lonely one behind the first", running, runs)
		}
		mu.Unlock()
		handle(other, tries{Try: 1})
		sent("while one is alone", copyOf("other", `"try":1`))
		wg.Wait()
		handle(other, tries{Try: 1})
		handle(w, tries{Try: 1})
		wg.Wait()
		sent("afterwards")
		if most != 2 || runs != 4 {
			t.Errorf("%d runs, at most %d at once; want 4, 2 at the end", runs, most)
		}
	})
}

// A message that finds no place in five seconds comes back later with the try
// it had and no longer back-off than before. One that would be alone gives the
// process back after that time.
func TestHandle_noPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &outbox{}
		w := worker(t, q, Work[job]{Limit: 1, Do: func(context.Context, job) error { time.Sleep(time.Minute); return nil }})
		var wg sync.WaitGroup
		wg.Go(func() { w.Handle(t.Context(), message(t, tries{Try: 1})) })
		synctest.Wait()
		for _, tt := range []struct{ in, want string }{
			{`"try":2`, `"try":2`},
			{`"try":2,"again":3`, `"try":2,"again":3`},
			{`"try":3`, `"try":3,"again":1`},
			{`"try":1`, `"try":1`},
		} {
			begun := time.Now()
			e := Event{Body: []byte(`{"v":1,"m":{"job":"j1","chunk":17,` + tt.in + `}}`), DequeueCount: 1}
			if err := w.Handle(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took != placeWait {
				t.Errorf("%s: waited %v", tt.in, took)
			}
			if len(q.msgs) != 1 || !strings.Contains(q.msgs[0].body, tt.want+"}") || q.msgs[0].delay > 2*backoffMin {
				t.Errorf("%s: sent %+v, want one with %s, soon", tt.in, q.msgs, tt.want)
			}
			q.msgs = nil
		}
		wg.Wait()
	})
}

func TestHandle_foreign(t *testing.T) {
	q := &outbox{}
	var got job
	w := worker(t, q, Work[job]{
		Do: func(_ context.Context, m job) error { got = m; return fault.New(fault.Unavailable, "", "down") },
		Foreign: func(body []byte) (job, error) {
			var e struct{ Subject string }
			err := json.Unmarshal(body, &e)
			return job{Job: e.Subject}, err
		},
	})
	if err := w.Handle(t.Context(), Event{Body: []byte(`{"id":"1","subject":"drop/a.csv"}`), DequeueCount: 1}); err != nil {
		t.Fatal(err)
	}
	if got.Job != "drop/a.csv" {
		t.Errorf("message = %+v", got)
	}
	if want := `{"v":1,"m":{"job":"drop/a.csv","chunk":0,"try":1,"again":1}}`; len(q.msgs) != 1 || q.msgs[0].body != want {
		t.Errorf("sent %+v, want %s", q.msgs, want)
	}
}

func TestHandle_unreadable(t *testing.T) {
	for _, body := range []string{"", "[]", `{"v":1}`, `{"v":2,"m":{"job":"j"}}`, `{"v":1,"m":{"chunk":"x"}}`, `{"v":1,"m":7}`} {
		q := &outbox{}
		w := worker(t, q, Work[job]{Do: func(context.Context, job) error { t.Errorf("%s was run", body); return nil }})
		if err := w.Handle(t.Context(), Event{Body: []byte(body), DequeueCount: 1}); err != nil {
			t.Fatal(err)
		}
		if len(q.msgs) != 1 || q.msgs[0].queue != "beschunk-poison" || q.msgs[0].body != body {
			t.Errorf("%s: sent %+v, want it in the poison queue", body, q.msgs)
		}
	}
}

// A queue that refuses messages costs time and no try: the delivery is held
// until the copy is taken. Only an outage of most of an hour, or a host that has
// gone, gives the message back to the host, to which it counts as a death.
func TestHandle_queueRefuses(t *testing.T) {
	down := fault.New(fault.Unavailable, "", "queue is down")
	for _, tt := range []struct {
		name          string
		refusal       error
		refused, gone time.Duration
		took          [2]time.Duration // at least, at most
		want          fault.Kind       // of the error, where there is one
	}{
		{name: "for twenty minutes", refusal: down, refused: 20 * time.Minute, took: [2]time.Duration{20 * time.Minute, 21 * time.Minute}},
		{
			name: "with a time to wait", refusal: &fault.Error{Kind: fault.Throttled, RetryAfter: 50 * time.Second}, refused: time.Second,
			took: [2]time.Duration{50 * time.Second, 50 * time.Second},
		},
		{name: "for ever", refusal: down, refused: 24 * time.Hour, took: [2]time.Duration{answerWithin, answerWithin}, want: fault.Unavailable},
		{name: "and the host goes", refusal: down, refused: 24 * time.Hour, gone: 3 * time.Minute, took: [2]time.Duration{3 * time.Minute, 3 * time.Minute}, want: fault.Unavailable},
		{name: "for good", refusal: fault.New(fault.TooLarge, "", "too long"), refused: time.Hour, want: fault.TooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &outbox{fail: tt.refusal}
				w := worker(t, q, Work[job]{Do: func(context.Context, job) error { return down }})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.gone > 0 {
					time.AfterFunc(tt.gone, cancel)
				}
				mended := time.AfterFunc(tt.refused, func() {
					q.mu.Lock()
					defer q.mu.Unlock()
					q.fail = nil
				})
				defer mended.Stop()
				begun := time.Now()
				err := w.Handle(ctx, message(t, tries{Try: 2}))
				if took := time.Since(begun); took < tt.took[0] || took > tt.took[1] {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if tt.want != 0 {
					if !fault.Is(err, tt.want) {
						t.Errorf("error %v, want %v", err, tt.want)
					}
					return
				}
				if err != nil {
					t.Error(err)
				}
				if want := `{"v":1,"m":{"job":"j1","chunk":17,"try":2,"again":1}}`; len(q.msgs) != 1 || q.msgs[0].body != want {
					t.Errorf("sent %+v, want %s", q.msgs, want)
				}
			})
		})
	}
}

// A message whose end cannot be recorded comes again where that may help, and
// is poison where it cannot: nothing comes for ever.
func TestHandle_endNotRecorded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fail  func() error
		queue string
		want  string
	}{
		{"in passing", func() error { return fault.New(fault.Unavailable, "", "down") }, "beschunk", `"try":5,"again":1`},
		{"for good", func() error { return errors.New("a row that no one can read") }, "beschunk-poison", `"try":5`},
		{"panic", func() error { panic("boom") }, "beschunk-poison", `"try":5`},
	} {
		q := &outbox{}
		w := worker(t, q, Work[job]{
			Do:   func(context.Context, job) error { t.Errorf("%s: was run", tt.name); return nil },
			Fail: func(context.Context, job, error) error { return tt.fail() },
		})
		if err := w.Handle(t.Context(), message(t, tries{Try: 5})); err != nil {
			t.Fatal(err)
		}
		if len(q.msgs) != 1 || q.msgs[0].queue != tt.queue || !strings.Contains(q.msgs[0].body, tt.want+"}") {
			t.Errorf("%s: sent %+v, want %s in %s", tt.name, q.msgs, tt.want, tt.queue)
		}
	}
}

func TestBump(t *testing.T) {
	b, err := encode(job{"j1", 3}, tries{Try: 2, Again: 5})
	if err != nil {
		t.Fatal(err)
	}
	again, ok := Bump(b)
	if want := `{"v":1,"m":{"chunk":3,"job":"j1","try":3,"rescued":true}}`; !ok || string(again) != want {
		t.Errorf("Bump = %s, %v, want %s", again, ok, want)
	}
	if _, ok := Bump(again); ok {
		t.Error("a message was brought back twice")
	}
	if _, ok := Bump([]byte("no envelope")); ok {
		t.Error("what is no envelope was sent again")
	}
}

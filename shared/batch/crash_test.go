package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// dirty is a small input with bad rows, in a few chunks.
const dirty = `id,minutes,calls
A,10,1
B,12O,2
"C, moved
in April",2.5,
D,4
E,-1,3
F,8,4
G,16,5
"H""",32,6.5
I,64,7
`

var dirtyLimits = Limits{ChunkBytes: 30, MaxChunkBytes: 1 << 20, Window: 2, Lease: 100 * time.Millisecond}

const dirtyOut = `id,charge,calls
A,5,1
"C, moved
in April",1.25,
F,4,4
G,8,5
I,32,7
`

const dirtyErrors = `row,input,column,code,reason,raw
2,input1,minutes,InputParseError,"column ""minutes"" (Double): value ""12O"" is not a number","B,12O,2"
4,input1,,InputParseError,"the record has 2 fields, the header 3","D,4"
5,input1,Apply Math Operation,NegativeMinutes,minutes are negative,"E,-1,3"
8,input1,calls,InputParseError,"column ""calls"" (Int32): value ""6.5"" is not a whole number","""H"""""",32,6.5"
`

func dirtyRig(t testing.TB, whole bool) *rig {
	r := newRig(t)
	r.limits, r.dep = dirtyLimits, newTariff(t, whole)
	r.restart()
	in := dirty
	if whole { // where rows are scored together none can be told apart
		in = strings.Replace(in, "E,-1,3\n", "", 1)
	}
	r.put("in.csv", in)
	return r
}

// outcome is all that a finished job leaves for its caller.
type outcome struct{ out, errs string }

func (r *rig) outcome(id string) outcome {
	r.t.Helper()
	s := r.status(id)
	if s.StatusCode != Finished {
		r.t.Fatalf("status %s: %s\n%s", s.StatusCode, details(s), r.log.String())
	}
	o := outcome{out: readAll(r.t, r.raw.Blobs, "out.csv")}
	if s.ErrorFile != nil {
		o.errs = readAll(r.t, r.inner.Blobs, strings.TrimPrefix(s.ErrorFile.RelativeLocation, "portico/"))
	}
	return o
}

// Every storage call of a job, in turn, is lost, has its answer lost, or is
// where the process dies, before or after: the output is the same bytes.
func TestCrash_everyCall(t *testing.T) {
	for _, whole := range []bool{false, true} {
		calm := dirtyRig(t, whole)
		id := calm.submit(body(`{"RowErrors":"collect"}`))
		calm.drain()
		ours, theirs := len(calm.store.Calls()), len(calm.caller.Calls())
		want := calm.outcome(id)
		if !whole && want != (outcome{dirtyOut, dirtyErrors}) {
			t.Fatalf("undisturbed:\n%s\n%s", want.out, want.errs)
		}
		t.Logf("whole=%v: %d calls of our store, %d of the caller's", whole, ours, theirs)
		try := func(name string, plan func(r *rig)) {
			t.Run(fmt.Sprintf("whole=%v/%s", whole, name), func(t *testing.T) {
				t.Parallel()
				r := dirtyRig(t, whole)
				plan(r)
				id := r.submit(body(`{"RowErrors":"collect"}`))
				r.drain()
				r.revive()
				// A slower run makes more or fewer calls than the calm one (leases are
				// renewed by the clock): what did not strike the job must not strike
				// the look at it.
				r.store.Plan()
				r.caller.Plan()
				r.settle()
				if got := r.outcome(id); got != want {
					t.Errorf("output differs:\n%s\n%s\nlog:\n%s", got.out, got.errs, r.log.String())
				}
				if n := len(r.index()); n != 0 {
					t.Errorf("%d rows of the active index are left", n)
				}
				r.noSecret()
			})
		}
		for _, e := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
			for n := 1; n <= ours; n += every(t) {
				try(fmt.Sprintf("call %d of %d: %s", n, ours, e), func(r *rig) { r.store.Plan(faulty.Nth(n, e)) })
			}
			for n := 1; n <= theirs; n += every(t) {
				try(fmt.Sprintf("caller's call %d of %d: %s", n, theirs, e), func(r *rig) { r.caller.Plan(faulty.Nth(n, e)) })
			}
		}
	}
}

// every is the step from one call to the next: all of them, unless the tests
// are to be short or look for races. make test does both.
func every(t *testing.T) int {
	switch {
	case testing.Short():
		return 11
	case raced:
		return 7
	}
	return 1
}

// settle lets sweep find what a lost message left behind.
func (r *rig) settle() {
	r.t.Helper()
	lim := r.b.lim
	defer func() { r.b.lim = lim }()
	r.b.lim.Stuck = -time.Hour
	for range 3 {
		r.sweep()
		r.drain()
	}
}

func (r *rig) sweep() {
	r.t.Helper()
	for cursor := ""; ; {
		next, err := r.b.SweepJobs(r.t.Context(), cursor)
		if err != nil {
			r.t.Fatal(err)
		}
		if cursor = next; cursor == "" {
			return
		}
	}
}

// Every message is delivered twice, at once.
func TestCrash_twice(t *testing.T) {
	for _, whole := range []bool{false, true} {
		calm := dirtyRig(t, whole)
		want := func() outcome {
			id := calm.submit(body(`{"RowErrors":"collect"}`))
			calm.drain()
			return calm.outcome(id)
		}()
		for round := range 10 {
			r := dirtyRig(t, whole)
			id := r.submit(body(`{"RowErrors":"collect"}`))
			r.drainTwice()
			r.settle()
			if got := r.outcome(id); got != want {
				t.Errorf("whole=%v, round %d: output differs:\n%s\n%s", whole, round, got.out, got.errs)
			}
			if r.usage.calls != 1 {
				t.Errorf("whole=%v, round %d: usage counted %d times", whole, round, r.usage.calls)
			}
		}
	}
}

func (r *rig) drainTwice() {
	r.t.Helper()
	for n := 0; ; n++ {
		if n > 300 {
			r.t.Fatalf("the queues do not drain:\n%s", r.log.String())
		}
		var wg sync.WaitGroup
		found := false
		for _, queue := range []string{JobQueue, ChunkQueue} {
			ms, err := r.inner.Queues.Receive(r.t.Context(), queue, 32, time.Minute)
			if err != nil {
				r.t.Fatal(err)
			}
			for _, m := range ms {
				found = true
				for range 2 {
					wg.Go(func() {
						if err := r.run(queue, m); err != nil {
							r.t.Error(err)
						}
					})
				}
				if err := r.inner.Queues.Delete(r.t.Context(), queue, m); err != nil {
					r.t.Fatal(err)
				}
			}
		}
		wg.Wait()
		if !found {
			return
		}
	}
}

// A worker is held up before each of its storage calls in turn, the job ends
// through another, and the late one goes on: it changes nothing.
func TestCrash_late(t *testing.T) {
	calm := dirtyRig(t, false)
	id := calm.submit(body(`{"RowErrors":"collect"}`))
	calm.drain()
	want := calm.outcome(id)
	for _, end := range []string{"finished", "cancelled", "overwritten"} {
		for n := 1; ; n += every(t) {
			r := dirtyRig(t, false)
			id := r.submit(body(`{"RowErrors":"collect"}`))
			var mu sync.Mutex
			seen := 0
			gate := faulty.NewGate(func(faulty.Call) bool {
				mu.Lock()
				defer mu.Unlock()
				seen++
				return seen == n
			})
			r.store.Plan(gate.Rule)
			r.caller.Plan(gate.Rule)
			held := make(chan struct{})
			finished := make(chan struct{})
			// One goroutine handles messages until one of them is held; that
			// message is shown to the others as if its host had died.
			go func() {
				defer close(finished)
				for r.deliverHeld(held) {
				}
			}()
			late := false
			select {
			case <-gate.Reached:
				late = true
				r.store.Plan()
				r.caller.Plan()
				close(held)
				r.reshow()
			case <-finished:
			}
			if !late {
				break // the job has fewer calls than n
			}
			switch end {
			case "cancelled":
				if err := r.b.Cancel(t.Context(), ws, endpoint, id); err != nil {
					t.Fatal(err)
				}
				r.drain()
			case "overwritten":
				r.drain()
				r.settle()
				r.put("out.csv", "a later job's output\n")
			default:
				r.drain()
				r.settle()
			}
			state := r.status(id).StatusCode
			gate.Open()
			<-finished
			r.drain()
			if got := r.status(id).StatusCode; got != state {
				t.Errorf("%s, call %d: %s became %s", end, n, state, got)
			}
			switch {
			case end == "overwritten":
				if got := readAll(t, r.raw.Blobs, "out.csv"); got != "a later job's output\n" {
					t.Errorf("call %d: the late worker wrote over a later job's output: %s", n, got)
				}
			case state == Finished:
				if got := r.outcome(id); got != want {
					t.Errorf("%s, call %d: output differs:\n%s\n%s", end, n, got.out, got.errs)
				}
			default:
				if _, err := r.raw.Blobs.Head(t.Context(), "out.csv"); err == nil {
					t.Errorf("%s, call %d: a %s job wrote its output", end, n, state)
				}
			}
			if r.usage.calls > 1 {
				t.Errorf("%s, call %d: usage counted %d times", end, n, r.usage.calls)
			}
		}
	}
}

// deliverHeld is deliver in a goroutine of its own: a message that was held up
// is not acknowledged, for its host is taken for dead.
func (r *rig) deliverHeld(held chan struct{}) bool {
	for _, queue := range []string{JobQueue, ChunkQueue} {
		ms, err := r.inner.Queues.Receive(context.Background(), queue, 1, time.Minute)
		if err != nil || len(ms) == 0 {
			continue
		}
		r.current = inFlight{queue, ms[0]}
		err = r.run(queue, ms[0])
		select {
		case <-held:
			return false
		default:
		}
		if err != nil {
			return false
		}
		_ = r.inner.Queues.Delete(context.Background(), queue, ms[0])
		return true
	}
	return false
}

type inFlight struct {
	queue string
	m     storage.Message
}

// reshow makes the held message visible again.
func (r *rig) reshow() {
	r.t.Helper()
	if _, err := r.inner.Queues.Extend(r.t.Context(), r.current.queue, r.current.m, 0); err != nil {
		r.t.Fatal(err)
	}
}

// Cancel and commit, interleaved at every call: a job is Finished with its
// output, or Cancelled without one; never anything between.
func TestCrash_cancelCommit(t *testing.T) {
	calm := dirtyRig(t, false)
	id := calm.submit(body(`{"RowErrors":"collect"}`))
	calm.drain()
	want := calm.outcome(id)
	cancelled, finished := 0, 0
	for n := 1; n <= len(calm.store.Calls()); n += every(t) {
		r := dirtyRig(t, false)
		id := r.submit(body(`{"RowErrors":"collect"}`))
		var once sync.Once
		r.store.Plan(func(_ context.Context, c faulty.Call) faulty.Effect {
			if c.N >= n {
				once.Do(func() {
					// On another process, over the store without its faults.
					other := New(Config{Store: &r.inner, Sealer: xorSealer{}, Log: r.b.log})
					if err := other.Cancel(t.Context(), ws, endpoint, id); err != nil {
						t.Error(err)
					}
				})
			}
			return faulty.Pass
		})
		r.drain()
		r.settle()
		switch s := r.status(id); s.StatusCode {
		case Finished:
			finished++
			if got := r.outcome(id); got != want {
				t.Errorf("call %d: output differs", n)
			}
		case Cancelled:
			cancelled++
			if _, err := r.raw.Blobs.Head(t.Context(), "out.csv"); err == nil {
				t.Errorf("call %d: a cancelled job wrote its output", n)
			}
			if s.Results != nil {
				t.Errorf("call %d: a cancelled job has results", n)
			}
		default:
			t.Errorf("call %d: %s", n, s.StatusCode)
		}
		if q, err := r.b.queue(t.Context(), ws, endpoint); err != nil || len(q.slots)+len(q.waits) != 0 {
			t.Errorf("call %d: the endpoint's queue is not empty: %+v %v", n, q, err)
		}
		r.noSecret()
	}
	t.Logf("%d cancelled, %d finished", cancelled, finished)
	if cancelled == 0 || finished == 0 {
		t.Error("the test did not meet both ends")
	}
}

// While blobs and tables are busy they refuse every other call: the job waits
// that out, whatever it costs, and comes to the same bytes.
func TestJob_busyStorage(t *testing.T) {
	for _, whole := range []bool{false, true} {
		calm := dirtyRig(t, whole)
		id := calm.submit(body(`{"RowErrors":"collect"}`))
		calm.drain()
		want := calm.outcome(id)
		for seed := range uint64(4) {
			r := dirtyRig(t, whole)
			id := r.submit(body(`{"RowErrors":"collect"}`))
			var mu sync.Mutex
			dice, refused := rand.New(rand.NewPCG(seed, 7)), 0
			busy := func(_ context.Context, c faulty.Call) faulty.Effect {
				mu.Lock()
				defer mu.Unlock()
				if c.Port == "Queues" || refused == 150 || dice.IntN(2) > 0 {
					return faulty.Pass
				}
				refused++
				return faulty.FailBefore
			}
			r.store.Plan(busy)
			r.caller.Plan(busy)
			r.drain()
			r.store.Plan()
			r.caller.Plan()
			if got := r.outcome(id); got != want {
				t.Errorf("whole=%v, seed %d: output differs:\n%s\n%s", whole, seed, got.out, got.errs)
			}
			if refused < 50 {
				t.Errorf("whole=%v, seed %d: only %d calls were refused", whole, seed, refused)
			}
			r.noSecret()
		}
	}
}

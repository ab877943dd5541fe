package batch

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/storage"
)

// lose drops all messages, as if they had never been sent.
func (r *rig) lose() int {
	r.t.Helper()
	n := 0
	for _, queue := range []string{JobQueue, ChunkQueue} {
		for {
			ms, err := r.inner.Queues.Receive(r.t.Context(), queue, 32, time.Minute)
			if err != nil {
				r.t.Fatal(err)
			}
			if len(ms) == 0 {
				break
			}
			for _, m := range ms {
				n++
				if err := r.inner.Queues.Delete(r.t.Context(), queue, m); err != nil {
					r.t.Fatal(err)
				}
			}
		}
	}
	return n
}

// Whatever message is lost, sweep sends what the state implies.
func TestSweep_lostMessages(t *testing.T) {
	for _, whole := range []bool{false, true} {
		calm := dirtyRig(t, whole)
		id := calm.submit(body(`{"RowErrors":"collect"}`))
		calm.drain()
		want := calm.outcome(id)
		for n := 0; ; n++ {
			r := dirtyRig(t, whole)
			id := r.submit(body(`{"RowErrors":"collect"}`))
			for range n {
				if !r.deliver(JobQueue) {
					r.deliver(ChunkQueue)
				}
			}
			lost := r.lose()
			r.sweep()
			if r.lose() > 0 && lost > 0 {
				t.Fatalf("after %d messages: sweep sent for a job that has not stood still", n)
			}
			r.settle()
			if got := r.outcome(id); got != want {
				t.Errorf("after %d messages: output differs", n)
			}
			if lost == 0 {
				break
			}
		}
	}
}

func TestSweep_notStarted(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	id, err := r.b.Submit(t.Context(), r.submission(body("")))
	if err != nil {
		t.Fatal(err)
	}
	r.settle()
	if s := r.status(id); s.StatusCode != NotStarted {
		t.Fatalf("a young job is %s", s.StatusCode)
	}
	r.b.lim.StartWithin = time.Nanosecond
	r.settle()
	s := r.status(id)
	if s.StatusCode != Cancelled || details(s) == "" {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
	r.gone(id)
	if err := r.b.Start(t.Context(), ws, endpoint, id, "x"); err == nil {
		t.Error("an expired job could be started")
	}
}

// The slots of an endpoint are the limit of its running jobs; the rest wait in
// the order they were started in, and say at which place.
func TestAdmit(t *testing.T) {
	r := newRig(t)
	r.limits.Slots = 2
	r.restart()
	r.put("in.csv", small)
	var ids []string
	for range 5 {
		ids = append(ids, r.submitOther(`{"Input":`+ref("in.csv")+`}`))
	}
	admitAll := func() {
		for range 5 {
			if err := r.b.admit(t.Context(), ws, endpoint); err != nil {
				t.Fatal(err)
			}
		}
	}
	admitAll()
	states := func() (s []string) {
		for _, id := range ids {
			st := r.status(id)
			s = append(s, fmt.Sprintf("%s %d", st.StatusCode, st.QueuePosition))
		}
		return s
	}
	if got, want := states(), []string{"Running 0", "Running 0", "NotStarted 1", "NotStarted 2", "NotStarted 3"}; !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
	for _, id := range []string{ids[0], ids[3]} { // one that runs, one that waits
		if err := r.b.Cancel(t.Context(), ws, endpoint, id); err != nil {
			t.Fatal(err)
		}
		j, err := r.b.load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.b.tidy(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	admitAll()
	if got, want := states(), []string{"Cancelled 0", "Running 0", "Running 0", "Cancelled 0", "NotStarted 1"}; !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
	r.drain()
	if got, want := states(), []string{"Cancelled 0", "Finished 0", "Finished 0", "Cancelled 0", "Finished 0"}; !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

// A slot whose job has ended, or never was, is found when it is missed.
func TestAdmit_lostSlots(t *testing.T) {
	r := newRig(t)
	r.limits.Slots = 1
	r.restart()
	r.put("in.csv", small)
	_, err := r.inner.Tables.Apply(t.Context(), table, endpointPartition(ws, endpoint),
		storage.Op{Kind: storage.Insert, Row: slotRow(0), Props: storage.Props{"job": "77777777777777777777777777777777"}})
	if err != nil {
		t.Fatal(err)
	}
	id := r.submitOther(`{"Input":` + ref("in.csv") + `}`)
	r.drain()
	if s := r.status(id); s.StatusCode != Finished {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
}

// What a worker stages after the job was cancelled goes at the latest when
// none can be left.
func TestSweep_lateStaging(t *testing.T) {
	r := dirtyRig(t, false)
	id := r.submit(body(`{"RowErrors":"collect"}`))
	for range 3 {
		r.deliver(JobQueue)
	}
	j, err := r.b.load(t.Context(), id)
	if err != nil || j.State != Running {
		t.Fatalf("state %s, %v", j.State, err)
	}
	if err := r.b.Cancel(t.Context(), ws, endpoint, id); err != nil {
		t.Fatal(err)
	}
	r.drain()
	if _, err := r.b.scoreChunk(t.Context(), j, 0); err != nil { // the late one
		t.Fatal(err)
	}
	if len(r.index()) != 1 {
		t.Fatal("sweep has nothing to find the job by")
	}
	r.settle()
	r.gone(id)
	if len(r.index()) != 1 {
		t.Error("the job was given up while a worker may be left")
	}
	old := j
	if old, _, err = r.b.change(t.Context(), id, func(j *job) bool { j.Ended = now().Add(-2 * lateWorkers); return true }); err != nil {
		t.Fatal(old, err)
	}
	r.sweep()
	if len(r.index()) != 0 {
		t.Error("the job is still in the index")
	}
}

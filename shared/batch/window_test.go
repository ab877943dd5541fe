package batch

import (
	"fmt"
	"testing"
)

func TestLimits_share(t *testing.T) {
	l := Limits{Window: 256, WorkspaceWindow: 1024}
	tests := []struct{ out, workspaces, want int }{
		{0, 1, 256},
		{256, 1, 256},
		{512, 1, 256},
		{768, 1, 128},
		{896, 1, 64},
		{1008, 1, 8},
		{1016, 1, 8},
		{1017, 1, 0}, // it waits
		{5000, 1, 0},
		{0, 2, 256},
		{256, 2, 128},
		{1024, 2, 0}, // it was alone until now
		{0, 100, 8},
		{8, 100, 0},
		{0, 5000, 8}, // none waits for another workspace
	}
	for _, test := range tests {
		if got := l.share(test.out, test.workspaces); got != test.want {
			t.Errorf("%d out, %d workspaces: %d, want %d", test.out, test.workspaces, got, test.want)
		}
	}
	// However many jobs a workspace has, it is never given more than its share.
	for _, workspaces := range []int{1, 3, 20} {
		out := 0
		for {
			w := l.share(out, workspaces)
			if w == 0 {
				break
			}
			out += w
		}
		if own := l.WorkspaceWindow / workspaces; out > own || out <= own-leastWindow {
			t.Errorf("%d workspaces: one of them has %d messages out, its share is %d", workspaces, out, own)
		}
	}
	small := Limits{Window: 3, WorkspaceWindow: 1024}
	if got := small.share(0, 1); got != 3 {
		t.Errorf("window %d, above the limit of a job", got)
	}
}

// turn delivers a message of each queue, as often as there are turns: steps
// that are sent again at once must not keep chunks from their turn.
func (r *rig) turn() (any bool) {
	r.t.Helper()
	job := r.deliver(JobQueue)
	return r.deliver(ChunkQueue) || job
}

// A workspace whose jobs have thousands of chunks to do does not keep a small
// job of another from being done: that waits for what the first has out.
func TestWindow_fair(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{Window: 16, WorkspaceWindow: 32, ChunkBytes: 10}
	r.restart()
	r.put("in.csv", rows(200))
	r.put("small.csv", small)
	var large []string
	for n := range 6 {
		s := r.submission(`{"Input":` + ref("in.csv") + `}`)
		s.IdempotencyKey, s.Endpoint = "", fmt.Sprintf("%032x", n)
		id, err := r.b.Submit(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.b.Start(t.Context(), ws, s.Endpoint, id, ""); err != nil {
			t.Fatal(err)
		}
		large = append(large, id)
	}
	for range 60 {
		r.turn()
	}
	state := func(id string) *job {
		j, err := r.b.load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	running, out := 0, 0
	for _, id := range large {
		if j := state(id); j.State == Running {
			running++
			out += j.Window
		}
	}
	if running == 0 || running == len(large) || out > 32 {
		t.Fatalf("%d of the large jobs run, with %d messages out: some are to wait", running, out)
	}
	s := r.submission(`{"Input":` + ref("small.csv") + `}`)
	s.Workspace, s.IdempotencyKey = otherWS, ""
	id, err := r.b.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.b.Start(t.Context(), otherWS, endpoint, id, ""); err != nil {
		t.Fatal(err)
	}
	turns := 0
	for state(id).State != Finished {
		if turns++; turns > 100 {
			t.Fatalf("the small job is %s after %d chunks of others", state(id).State, turns)
		}
		r.turn()
	}
	t.Logf("done after %d turns", turns)
	for _, id := range large {
		if state(id).State.Ended() {
			t.Error("a large job was done before the small one")
		}
	}
	for range 20_000 { // the rest is done, too, one after the other
		if !r.turn() {
			break
		}
	}
	for _, id := range large {
		if j := state(id); j.State != Finished {
			t.Errorf("a large job is %s", j.State)
		}
	}
}

// What a job has not enough chunks for stays for others.
func TestWindow_small(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{Window: 16, WorkspaceWindow: 32}
	r.restart()
	r.put("in.csv", small)
	for range 20 {
		r.submitOther(`{"Input":` + ref("in.csv") + `}`)
	}
	for range 200 { // all are planned, none is scored
		if !r.deliver(JobQueue) {
			break
		}
	}
	if n, err := r.inner.Queues.Depth(t.Context(), ChunkQueue); err != nil || n != 20 {
		t.Errorf("%d messages are out, want one of each job; %v", n, err)
	}
	r.drain()
	if w, err := r.b.window(t.Context(), &job{Workspace: ws}); err != nil || w != 16 {
		t.Errorf("window %d after all have ended, %v", w, err)
	}
}

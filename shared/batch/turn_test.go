package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What comes free is for those who come first, whoever asks.
func TestLimits_turn(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }
	w := func(job, endpoint string, s int) waiter { return waiter{job, endpoint, at(s)} }
	l := Limits{Window: 16, WorkspaceWindow: 96}
	tests := []struct {
		name       string
		out        map[string]int
		waiting    []waiter
		asks       waiter
		workspaces int
		want       int
	}{
		{"alone", nil, nil, w("j", "a", 5), 1, 16},
		{"nobody waits", map[string]int{"a": 80}, nil, w("j", "a", 5), 1, 8},
		{"all is out", map[string]int{"a": 92}, nil, w("j", "a", 5), 1, 0},
		{"one has waited longer", map[string]int{"a": 88}, []waiter{w("i", "a", 4)}, w("j", "a", 5), 1, 0},
		{"one has waited less", map[string]int{"a": 88}, []waiter{w("k", "a", 6)}, w("j", "a", 5), 1, 8},
		{"there is enough for both", map[string]int{"a": 64}, []waiter{w("i", "a", 4)}, w("j", "a", 5), 1, 8},
		{"at once: by id", map[string]int{"a": 88}, []waiter{w("i", "a", 5)}, w("j", "a", 5), 1, 0},
		{"another endpoint has less than its part", map[string]int{"a": 80, "b": 8}, []waiter{w("k", "b", 9)}, w("j", "a", 5), 1, 0},
		{"this one has less than its part", map[string]int{"a": 80, "b": 8}, []waiter{w("i", "a", 1)}, w("j", "b", 5), 1, 8},
		{"both have their part", map[string]int{"a": 48, "b": 40}, []waiter{w("i", "a", 1)}, w("j", "b", 5), 1, 8},
		{"the workspace has less when others come", map[string]int{"a": 32}, nil, w("j", "a", 5), 3, 0},
		{"it has nothing out", nil, nil, w("j", "a", 5), 50, 8},
		{"it has nothing out, and one waits", nil, []waiter{w("i", "a", 4)}, w("j", "a", 5), 50, 0},
	}
	for _, test := range tests {
		d := demand{endpoints: map[string]int{test.asks.endpoint: 0}, waiting: test.waiting}
		for e, n := range test.out {
			d.out += n
			d.endpoints[e] = n
		}
		for _, v := range test.waiting {
			d.endpoints[v.endpoint] += 0
		}
		if got := l.turn(&d, test.asks, test.workspaces); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// Of three workspaces one floods its endpoint: the others are served at once,
// its other endpoint before what it has heaped up, and that in its order,
// whoever's message comes first.
func TestWindow_order(t *testing.T) {
	const third = "15151515151515151515151515151515"
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newRig(t)
		r.limits = Limits{Window: 8, WorkspaceWindow: 48, ChunkBytes: 40}
		r.restart()
		r.b.Deployment = func(context.Context, string, string) (Deployment, func(), error) { return r.dep, func() {}, nil }
		r.put("long.csv", rows(320)) // of the others, who stay
		names := map[string]string{} // by id
		start := func(workspace, endpoint, name, file string) {
			s := r.submission(`{"Input":` + ref(file) + `}`)
			s.Workspace, s.Endpoint, s.IdempotencyKey = workspace, fmt.Sprintf("%032s", endpoint), ""
			id, err := r.b.Submit(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.b.Start(t.Context(), workspace, s.Endpoint, id, ""); err != nil {
				t.Fatal(err)
			}
			names[id] = name
		}
		var order []string
		look := func() {
			for id, name := range names {
				if slices.Contains(order, name) {
					continue
				}
				j, err := r.b.load(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if j.State != Planning && j.State != Waiting {
					order = append(order, name)
				}
			}
		}
		// round handles what there is to be planned in any order, then chunks.
		round := func(chunks int) {
			ms, err := r.inner.Queues.Receive(t.Context(), JobQueue, 32, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			rnd.Shuffle(len(ms), func(i, k int) { ms[i], ms[k] = ms[k], ms[i] })
			for _, m := range ms {
				r.handle(JobQueue, m)
				look()
			}
			for range chunks {
				r.deliver(ChunkQueue)
			}
		}
		const floods = 8 // six of which the workspace may have at once, while it is alone
		for n := range floods {
			file := fmt.Sprintf("in%d.csv", n+1)
			r.put(file, rows(12*(n+1))) // one ends after the other
			start(ws, "a1", fmt.Sprintf("flood %d", n+1), file)
			round(0) // so that each asks before the next
			round(0)
		}
		start(otherWS, "b", "second", "long.csv")
		start(third, "c", "third", "long.csv")
		for range 3 {
			round(0)
		}
		start(ws, "a2", "other endpoint", "in1.csv")
		for range 3 {
			round(0)
		}
		for _, name := range []string{"second", "third"} {
			if !slices.Contains(order, name) {
				t.Fatalf("seed %d: the job of the %s workspace does not run: %v", seed, name, order)
			}
		}
		for range 4000 {
			round(3)
			if len(order) == len(names) {
				break
			}
		}
		var flood []string
		for _, name := range order {
			if strings.HasPrefix(name, "flood") || name == "other endpoint" {
				flood = append(flood, name)
			}
		}
		if d := cmp.Diff([]string{"flood 1", "flood 2", "flood 3", "flood 4", "flood 5", "flood 6", "other endpoint", "flood 7", "flood 8"}, flood); d != "" {
			t.Errorf("seed %d: jobs of the flooding workspace ran in another order (-want +got):\n%s", seed, d)
		}
		r.drain()
	}
}

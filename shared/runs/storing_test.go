package runs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// faultyStore is a store that can be made to fail.
func faultyStore(t *testing.T) *faulty.Store {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return faulty.New(s.Store)
}

// startedOn starts a run of small in a new workspace of a store.
func startedOn(t *testing.T, f *faulty.Store) (*bench, *runs.Run) {
	t.Helper()
	f.Revive()
	b := benchOn(t, f.Store)
	b.runs = b.newRuns(runs.Limits{Beat: time.Hour})
	b.dataset("numbers", []byte("a,b\n1,x\n,y\n3,z\n"))
	run, err := b.runs.Start(t.Context(), b.ws, b.experiment("small", []byte(small)), "ada")
	if err != nil {
		t.Fatal(err)
	}
	return b, run
}

// TestOutageAtEveryCall fails each storage call of an execution once, before
// and after its effect, while other calls go on beside it: the message's
// repetition finishes the run with the same results.
func TestOutageAtEveryCall(t *testing.T) {
	f := faultyStore(t)
	b, run := startedOn(t, f)
	message := b.next()
	f.Revive()
	if err := b.runs.Execute(t.Context(), *message); err != nil {
		t.Fatal(err)
	}
	calls := len(f.Calls())
	want := fmt.Sprint(results(b.get(run.ID)))
	step := 1
	if testing.Short() {
		step = 5
	}
	for n := 1; n <= calls; n += step {
		for _, effect := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter} {
			b, run := startedOn(t, f)
			message := b.next()
			f.Revive()
			f.Plan(faulty.Nth(n, effect))
			if err := b.runs.Execute(t.Context(), *message); err != nil && !fault.Is(err, fault.Unavailable) {
				t.Errorf("call %d, %s: %v", n, effect, err)
			}
			f.Plan()
			if err := b.runs.Execute(t.Context(), *message); err != nil {
				t.Errorf("after call %d, %s: %v", n, effect, err)
			}
			got := b.get(run.ID)
			finished(t, got)
			if r := fmt.Sprint(results(got)); r != want {
				t.Errorf("after call %d, %s: results\n%s\nwant\n%s", n, effect, r, want)
			}
		}
	}
}

// TestOutageIsNoDeath fails the storing of results again and again: the node
// does not run out of tries.
func TestOutageIsNoDeath(t *testing.T) {
	f := faultyStore(t)
	b, run := startedOn(t, f)
	message := b.next()
	for range 5 {
		f.Plan(faulty.NthOf("Blobs.Put", 1, faulty.FailBefore))
		if err := b.runs.Execute(t.Context(), *message); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("an outage is %v", err)
		}
	}
	f.Plan()
	if err := b.runs.Execute(t.Context(), *message); err != nil {
		t.Fatal(err)
	}
	finished(t, b.get(run.ID))
}

// TestStoresBesideTheNextNode holds up the first result on its way into the
// store: the next node begins all the same and the node is not called finished,
// and where the result does not get there, none behind it does.
func TestStoresBesideTheNextNode(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		f := faultyStore(t)
		b, run := startedOn(t, f)
		message := b.next()
		gate := faulty.NewGate(func(c faulty.Call) bool { return c.Method == "Put" })
		f.Plan(gate.Rule, func(_ context.Context, c faulty.Call) faulty.Effect {
			if c.Method == "Put" && !arrives {
				return faulty.FailBefore
			}
			return faulty.Pass
		})
		end := make(chan error)
		go func() { end <- b.runs.Execute(t.Context(), *message) }()
		<-gate.Reached
		for {
			now := b.get(run.ID)
			if d := node(t, now, "d"); d.State != runs.Running || d.Results != nil {
				t.Fatalf("the node that is being stored is %+v", d)
			}
			if node(t, now, "clean").State == runs.Running {
				break
			}
			time.Sleep(time.Millisecond)
		}
		gate.Open()
		err := <-end
		got := b.get(run.ID)
		if arrives {
			if err != nil {
				t.Error(err)
			}
			finished(t, got)
			continue
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("an outage is %v", err)
		}
		for _, n := range got.Nodes {
			if n.State != runs.NotStarted || n.Results != nil {
				t.Errorf("after the outage node %s is %s", n.ID, n.State)
			}
		}
		if log := strings.Join(node(t, got, "d").Log, "\n"); !strings.Contains(log, "it will be tried again") {
			t.Errorf("the log says %q", log)
		}
	}
}

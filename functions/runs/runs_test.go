package runs_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/portico-ml/portico/functions/runs"
	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/host/event"
	shared "github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const doc = `{"nodes":{"e":{"module":"Enter Data Manually","parameters":{"Data":"a\n1\n2"}},"o":{"outputId":"output1"}},"edges":[{"sourceNodeId":"e","targetNodeId":"o"}]}`

// TestMessages delivers the queue's messages as the host would: one that is a
// run's, one of a run that is not there, and one that ended its worker for the
// last time.
func TestMessages(t *testing.T) {
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{1, 2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	me := auth.Identity{Issuer: "https://i", Subject: "ada"}
	cat := catalog.New(s.Tables, artifact.New(s.Blobs), ring)
	ws := service.NewID()
	if _, err := cat.CreateWorkspace(t.Context(), catalog.NewWorkspace{ID: ws, Name: "W"}, me); err != nil {
		t.Fatal(err)
	}
	x, err := cat.CreateExperiment(t.Context(), ws, "typed", "", []byte(doc), me)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	experiments := shared.New(shared.Config{Store: &s.Store, Catalog: cat, Log: log})
	f := runs.New(experiments, event.NewPlaces(), s.Queues, log)

	deliver := func(dequeued int) {
		t.Helper()
		ms, err := s.Queues.Receive(t.Context(), shared.Queue, 1, time.Minute)
		if err != nil || len(ms) != 1 {
			t.Fatalf("%d messages, %v", len(ms), err)
		}
		if err := f.Handle(t.Context(), event.Event{Function: "runs", Body: ms[0].Body, DequeueCount: dequeued}); err != nil {
			t.Fatal(err)
		}
		if err := s.Queues.Delete(t.Context(), shared.Queue, ms[0]); err != nil {
			t.Fatal(err)
		}
	}
	state := func(id string) shared.State {
		t.Helper()
		run, err := experiments.Get(t.Context(), ws, id)
		if err != nil {
			t.Fatal(err)
		}
		return run.State
	}
	run, err := experiments.Start(t.Context(), ws, x.ID, "ada")
	if err != nil {
		t.Fatal(err)
	}
	deliver(1)
	if got := state(run.ID); got != shared.Finished {
		t.Errorf("the run is %s", got)
	}
	if err := event.Send(t.Context(), s.Queues, shared.Queue, shared.Message{Workspace: ws, Run: service.NewID()}, 0); err != nil {
		t.Fatal(err)
	}
	deliver(1)
	run, err = experiments.Start(t.Context(), ws, x.ID, "ada")
	if err != nil {
		t.Fatal(err)
	}
	deliver(5)
	if got := state(run.ID); got != shared.Failed {
		t.Errorf("a run whose worker died four times is %s", got)
	}
	if ms, err := s.Queues.Receive(t.Context(), shared.Queue, 1, time.Minute); err != nil || len(ms) != 0 {
		t.Errorf("messages are left: %v, %v", ms, err)
	}
}

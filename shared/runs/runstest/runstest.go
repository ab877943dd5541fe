// Package runstest is the worker of runs in tests: it executes what waits in
// the queue, one message after the other, and waits for nothing.
package runstest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/storage"
)

// Next takes the next message off the queue; nil where there is none.
func Next(t testing.TB, q storage.Queues) *runs.Message {
	t.Helper()
	msgs, err := q.Receive(t.Context(), runs.Queue, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(msgs) == 0 {
		return nil
	}
	var envelope struct{ M runs.Message }
	if err := json.Unmarshal(msgs[0].Body, &envelope); err != nil {
		t.Fatal(err)
	}
	if err := q.Delete(t.Context(), runs.Queue, msgs[0]); err != nil {
		t.Fatal(err)
	}
	return &envelope.M
}

// Drain executes runs until none waits.
func Drain(t testing.TB, q storage.Queues, r *runs.Runs) {
	t.Helper()
	for m := Next(t, q); m != nil; m = Next(t, q) {
		if err := r.Execute(t.Context(), *m); err != nil {
			t.Fatal(err)
		}
	}
}

package batch

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/portico-ml/portico/shared/storage/faulty"
)

// A chunk is read while the processors score others, and scored when one is
// free. One whose call ends before that has done nothing.
func TestScorers(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", rows(500))
	id := r.submit(body(""))
	for r.deliver(JobQueue) {
	}
	all := int64(runtime.GOMAXPROCS(0))
	if !r.b.scorers.TryAcquire(all) {
		t.Fatal("somebody scores")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read := make(chan struct{}, 1)
	r.caller.Plan(func(_ context.Context, c faulty.Call) faulty.Effect {
		if c.Method == "Get" {
			select {
			case read <- struct{}{}:
			default:
			}
		}
		return faulty.Pass
	})
	ended := make(chan error, 1)
	go func() { ended <- r.b.runChunk(ctx, id, 0) }()
	<-read
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("without a processor the chunk ended with %v", err)
	}
	if done, err := r.b.isDone(t.Context(), id, 0); done || err != nil {
		t.Errorf("it is done: %v, %v", done, err)
	}
	r.b.scorers.Release(all)
	r.drain()
	if s := r.status(id); s.StatusCode != Finished {
		t.Errorf("then the job is %v", s.StatusCode)
	}
	if !r.b.scorers.TryAcquire(all) {
		t.Error("a chunk has kept its processor")
	}
}

// Package beschunk is the queue function that scores: one message is one chunk
// of a job, or all of a job that cannot be split.
package beschunk

import (
	"context"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/host/event"
)

// Function scores chunks.
type Function struct{ handle event.Handler }

// New returns the function.
func New(jobs *batch.Batch, places *event.Places) *Function {
	return &Function{jobs.ChunkWorker(places).Handle}
}

// Handle scores the chunk that e names.
func (f *Function) Handle(ctx context.Context, e event.Event) error { return f.handle(ctx, e) }

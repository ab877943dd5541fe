// Package besjob is the queue function of a job's own steps: admitting it,
// splitting it, committing and delivering its output, tidying up after it.
package besjob

import (
	"context"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/host/event"
)

// Function takes the steps of jobs.
type Function struct{ handle event.Handler }

// New returns the function.
func New(jobs *batch.Batch, places *event.Places) *Function {
	return &Function{jobs.JobWorker(places).Handle}
}

// Handle takes the step that e asks for.
func (f *Function) Handle(ctx context.Context, e event.Event) error { return f.handle(ctx, e) }

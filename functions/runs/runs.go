// Package runs is the queue function that executes experiments: one message is
// one run, or the next part of a long one.
package runs

import (
	"log/slog"
	"time"

	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/runs"
)

// deadline ends a message's work: five minutes in which nodes are begun and a
// node of fifty fit into the host's hour.
const deadline = 57 * time.Minute

// Function executes runs.
type Function struct{ *event.Worker[runs.Message] }

// New returns the function. One run at a time is executed in the process: its
// tables are in memory.
func New(r *runs.Runs, places *event.Places, queues event.Sender, log *slog.Logger) *Function {
	return &Function{event.NewWorker(places, queues, log, event.Work[runs.Message]{
		Queue: runs.Queue, Limit: 1, Deadline: deadline, Do: r.Execute, Fail: r.Give,
	})}
}

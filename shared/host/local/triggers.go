package local

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/storage"
)

// minPolling is the pause after the first look at an empty queue; it doubles
// up to maxPollingInterval.
const minPolling = 100 * time.Millisecond

// pump delivers the messages of f's queue, batchSize + newBatchThreshold at
// most at once, until ctx is done.
func (h *Host) pump(ctx context.Context, f layout.Function) {
	q := h.app.Host.Extensions.Queues
	done := make(chan struct{}, q.BatchSize+q.NewBatchThreshold)
	running, pause := 0, minPolling
	defer func() {
		for ; running > 0; running-- {
			<-done
		}
	}()
	for ctx.Err() == nil {
		// A new batch is fetched when so few are left that it fits.
		for running > q.NewBatchThreshold {
			<-done
			running--
		}
		messages, err := h.o.Store.Queues.Receive(ctx, f.Trigger.QueueName, q.BatchSize, h.o.Hidden)
		if err != nil && ctx.Err() == nil {
			h.o.Log.Warn("queue not readable", "queue", f.Trigger.QueueName, "error", err)
		}
		for _, m := range messages {
			running++
			go func() {
				h.deliver(ctx, f, m)
				done <- struct{}{}
			}()
		}
		if len(messages) > 0 {
			pause = minPolling
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-done: // a handler that sent a message wants it fetched soon
			running--
			pause = minPolling
		case <-t.C:
			pause = min(2*pause, h.o.MaxPolling)
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// deliver runs one delivery of a message to its end: deleted, shown again, or
// moved to the poison queue. When the host ends meanwhile the message stays
// hidden until its time is over, as it does in the cloud.
func (h *Host) deliver(ctx context.Context, f layout.Function, m storage.Message) {
	queues, queue := h.o.Store.Queues, f.Trigger.QueueName
	envelope, err := queueEnvelope(f, m, h.o.Hidden)
	if err != nil {
		h.o.Log.Error("message not encodable", "queue", queue, "error", err)
		return
	}
	result := make(chan error, 1)
	go func() { result <- h.invoke(ctx, f, envelope) }()
	renew := time.NewTicker(h.o.Hidden / 2)
	defer renew.Stop()
	for waiting := true; waiting; {
		select {
		case err = <-result:
			waiting = false
		case <-renew.C:
			if next, err := queues.Extend(ctx, queue, m, h.o.Hidden); err == nil {
				m = next
			}
		}
	}
	if ctx.Err() != nil {
		return
	}
	switch {
	case err == nil:
		err = queues.Delete(ctx, queue, m)
	case m.DequeueCount >= h.app.Host.Extensions.Queues.MaxDequeueCount:
		h.o.Log.Error("message poisoned", "queue", queue, "dequeueCount", m.DequeueCount, "error", err)
		if err = queues.Send(ctx, queue+"-poison", m.Body, 0); err == nil {
			err = queues.Delete(ctx, queue, m)
		}
	default:
		h.o.Log.Warn("delivery failed", "queue", queue, "dequeueCount", m.DequeueCount, "error", err)
		_, err = queues.Extend(ctx, queue, m, h.o.VisibilityTimeout)
	}
	if err != nil && ctx.Err() == nil {
		h.o.Log.Warn("message not settled: it will come again", "queue", queue, "error", err)
	}
}

// tick fires a timer function by its schedule, never twice at once.
func (h *Host) tick(ctx context.Context, f layout.Function) error {
	schedule, err := layout.ParseSchedule(f.Trigger.Schedule)
	if err != nil {
		return err
	}
	envelope, err := json.Marshal(map[string]any{
		"Data": map[string]any{f.Trigger.Name: map[string]any{
			"Schedule": map[string]bool{"AdjustForDST": true}, "ScheduleStatus": nil, "IsPastDue": false,
		}},
		"Metadata": map[string]any{"sys": map[string]string{"MethodName": f.Name}},
	})
	if err != nil {
		return err
	}
	for {
		next := schedule.Next(time.Now().UTC())
		if next.IsZero() {
			return nil
		}
		sleep(ctx, time.Until(next))
		if ctx.Err() != nil {
			return nil
		}
		if err := h.invoke(ctx, f, envelope); err != nil && ctx.Err() == nil {
			h.o.Log.Warn("timer failed", "function", f.Name, "error", err)
		}
		sleep(ctx, time.Duration(rand.N(10))*time.Millisecond) // past the second it fired in
	}
}

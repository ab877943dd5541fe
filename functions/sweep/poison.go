package sweep

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// Poison is the duty that reads the poison queues, which nobody else does. A
// message of ours is sent once more, with a try less to live; what comes here
// again, or cannot be read, is kept as a blob poison/{queue}/{time}-{id} and
// logged as an error and told to alarm.
func Poison(st *storage.Store, log *slog.Logger, alarm func(ctx context.Context, queue string), queues ...string) Duty {
	p := &poison{st, log, alarm}
	return Duty{Name: "poison", Every: time.Minute, Step: func(ctx context.Context, cursor string) (string, error) {
		i := max(0, slices.Index(queues, cursor)) // a queue that is no more: begin again
		if err := p.empty(ctx, queues[i]); err != nil {
			return cursor, err
		}
		if i+1 == len(queues) {
			return "", nil
		}
		return queues[i+1], nil
	}}
}

type poison struct {
	st    *storage.Store
	log   *slog.Logger
	alarm func(ctx context.Context, queue string)
}

func (p *poison) empty(ctx context.Context, queue string) error {
	from := queue + "-poison"
	for ctx.Err() == nil {
		ms, err := p.st.Queues.Receive(ctx, from, 32, time.Minute)
		if err != nil || len(ms) == 0 {
			return err
		}
		for _, m := range ms {
			if err := p.settle(ctx, queue, m); err != nil {
				return err
			}
			err := p.st.Queues.Delete(ctx, from, m)
			if err != nil && !fault.HasCode(err, storage.CodeCondition) {
				return err
			}
		}
	}
	return nil
}

func (p *poison) settle(ctx context.Context, queue string, m storage.Message) error {
	if again, ok := event.Bump(m.Body); ok {
		p.log.WarnContext(ctx, "poisoned message sent once more", "queue", queue, "id", m.ID)
		return p.st.Queues.Send(ctx, queue, again, 0)
	}
	key := "poison/" + queue + "/" + m.Inserted.UTC().Format("20060102T150405Z") + "-" + segment(m.ID)
	p.log.ErrorContext(ctx, "poisoned message kept", "queue", queue, "id", m.ID, "key", key)
	if _, err := p.st.Blobs.Put(ctx, key, m.Body, nil, storage.Condition{}); err != nil {
		return err
	}
	p.alarm(ctx, queue)
	return nil
}

// segment makes a queue's message id a segment of a key.
func segment(id string) string {
	b := []byte(id)
	for i, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

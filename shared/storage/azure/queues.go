package azure

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

type queues struct{ service *azqueue.ServiceClient }

var _ storage.Queues = (*queues)(nil)

// forever is the time to live of a message that must not expire.
const forever int32 = -1

// Send implements storage.Queues. The text is base64, as the Functions host
// expects it.
func (q *queues) Send(ctx context.Context, queue string, body []byte, delay time.Duration) error {
	if err := storage.CheckSend(queue, body, delay); err != nil {
		return err
	}
	client := q.service.NewQueueClient(queue)
	text := base64.StdEncoding.EncodeToString(body)
	err := ensured(ctx, "QueueNotFound", func(ctx context.Context) error {
		_, err := client.Create(ctx, nil)
		return err
	}, func(ctx context.Context) error {
		_, err := client.EnqueueMessage(ctx, text, &azqueue.EnqueueMessageOptions{TimeToLive: new(forever), VisibilityTimeout: seconds(delay)})
		return err
	})
	return fail(ctx, err, "send to", "queue "+queue)
}

// Receive implements storage.Queues.
func (q *queues) Receive(ctx context.Context, queue string, limit int, visibility time.Duration) ([]storage.Message, error) {
	if err := storage.CheckReceive(queue, limit, visibility); err != nil {
		return nil, err
	}
	resp, err := q.service.NewQueueClient(queue).DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{
		NumberOfMessages:  new(int32(limit)),
		VisibilityTimeout: seconds(visibility),
	})
	if hasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(ctx, err, "receive from", "queue "+queue)
	}
	messages := make([]storage.Message, len(resp.Messages))
	for i, m := range resp.Messages {
		body, err := base64.StdEncoding.DecodeString(valueOf(m.MessageText))
		if err != nil {
			body = []byte(valueOf(m.MessageText)) // of a sender that does not encode
		}
		messages[i] = storage.Message{
			ID:           valueOf(m.MessageID),
			Receipt:      valueOf(m.PopReceipt),
			Body:         body,
			DequeueCount: int(valueOf(m.DequeueCount)),
			Inserted:     timeOf(m.InsertionTime),
		}
	}
	return messages, nil
}

// Extend implements storage.Queues.
func (q *queues) Extend(ctx context.Context, queue string, m storage.Message, visibility time.Duration) (storage.Message, error) {
	if err := storage.CheckExtend(queue, visibility); err != nil {
		return storage.Message{}, err
	}
	ctx = watched(ctx)
	text := base64.StdEncoding.EncodeToString(m.Body)
	resp, err := q.service.NewQueueClient(queue).UpdateMessage(ctx, m.ID, m.Receipt, text, &azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(visibility)})
	if err != nil {
		return storage.Message{}, fail(ctx, err, "extend", "message "+m.ID+" of queue "+queue)
	}
	m.Receipt = valueOf(resp.PopReceipt)
	return m, nil
}

// Delete implements storage.Queues.
func (q *queues) Delete(ctx context.Context, queue string, m storage.Message) error {
	if err := storage.CheckQueue(queue); err != nil {
		return err
	}
	_, err := q.service.NewQueueClient(queue).DeleteMessage(ctx, m.ID, m.Receipt, nil)
	if err = fail(ctx, err, "delete", "message "+m.ID+" of queue "+queue); fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Depth implements storage.Queues.
func (q *queues) Depth(ctx context.Context, queue string) (int64, error) {
	if err := storage.CheckQueue(queue); err != nil {
		return 0, err
	}
	resp, err := q.service.NewQueueClient(queue).GetProperties(ctx, nil)
	if hasStatus(err, http.StatusNotFound) {
		return 0, nil
	}
	return int64(valueOf(resp.ApproximateMessagesCount)), fail(ctx, err, "count", "queue "+queue)
}

// seconds rounds up to the whole seconds that the service knows.
func seconds(d time.Duration) *int32 {
	return new(int32((d + time.Second - 1) / time.Second))
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

type queues struct{ s *Store }

var _ storage.Queues = (*queues)(nil)

// Send implements storage.Queues.
func (q *queues) Send(ctx context.Context, queue string, body []byte, delay time.Duration) error {
	if err := storage.CheckSend(queue, body, delay); err != nil {
		return err
	}
	err := q.s.writer.do(ctx, func(t *tx) error {
		us := now()
		_, err := t.exec(`INSERT INTO message (queue, visible, inserted, body) VALUES (?, ?, ?, ?)`, queue, us+delay.Microseconds(), us, body)
		return err
	})
	return wrap(err, "send to queue %s", queue)
}

// Receive implements storage.Queues.
func (q *queues) Receive(ctx context.Context, queue string, limit int, visibility time.Duration) ([]storage.Message, error) {
	if err := storage.CheckReceive(queue, limit, visibility); err != nil {
		return nil, err
	}
	// An idle queue is polled without taking the write lock.
	var one int
	err := q.s.queryRow(ctx, `SELECT 1 FROM message WHERE queue = ? AND visible <= ? LIMIT 1`, []any{queue, now()}, []any{&one})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "receive from queue %s", queue)
	}
	var messages []storage.Message
	err = q.s.writer.do(ctx, func(t *tx) error {
		messages = nil
		us := now()
		var id, inserted int64
		var m storage.Message
		err := t.each(`SELECT id, inserted, dequeued + 1, body FROM message WHERE queue = ? AND visible <= ? ORDER BY visible, id LIMIT ?`,
			[]any{queue, us, limit}, []any{&id, &inserted, &m.DequeueCount, &m.Body}, func() error {
				m.ID = strconv.FormatInt(id, 10)
				m.Receipt = random(8)
				m.Inserted = fromMicro(inserted)
				messages = append(messages, m)
				m.Body = nil
				return nil
			})
		if err != nil {
			return err
		}
		for _, m := range messages {
			if _, err := t.exec(`UPDATE message SET visible = ?, dequeued = ?, receipt = ? WHERE id = ?`,
				us+visibility.Microseconds(), m.DequeueCount, m.Receipt, messageID(m)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "receive from queue %s", queue)
	}
	return messages, nil
}

// Extend implements storage.Queues.
func (q *queues) Extend(ctx context.Context, queue string, m storage.Message, visibility time.Duration) (storage.Message, error) {
	if err := storage.CheckExtend(queue, visibility); err != nil {
		return storage.Message{}, err
	}
	receipt := random(8)
	err := q.s.writer.do(ctx, func(t *tx) error {
		if err := held(t, queue, m); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE message SET visible = ?, receipt = ? WHERE id = ?`, now()+visibility.Microseconds(), receipt, messageID(m))
		return err
	})
	if err != nil {
		return storage.Message{}, wrap(err, "extend a message of queue %s", queue)
	}
	m.Receipt = receipt
	return m, nil
}

// Delete implements storage.Queues.
func (q *queues) Delete(ctx context.Context, queue string, m storage.Message) error {
	if err := storage.CheckQueue(queue); err != nil {
		return err
	}
	err := q.s.writer.do(ctx, func(t *tx) error {
		if err := held(t, queue, m); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM message WHERE id = ?`, messageID(m))
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return wrap(err, "delete a message of queue %s", queue)
}

// Depth implements storage.Queues.
func (q *queues) Depth(ctx context.Context, queue string) (n int64, err error) {
	if err := storage.CheckQueue(queue); err != nil {
		return 0, err
	}
	err = q.s.queryRow(ctx, `SELECT count(*) FROM message WHERE queue = ?`, []any{queue}, []any{&n})
	return n, wrap(err, "count queue %s", queue)
}

// held makes sure that m's receipt is the message's own.
func held(t *tx, queue string, m storage.Message) error {
	var receipt string
	err := t.row(`SELECT receipt FROM message WHERE id = ? AND queue = ?`, []any{messageID(m), queue}, []any{&receipt})
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "", "queue %s: message %s is gone", queue, m.ID)
	}
	if err != nil {
		return err
	}
	if receipt != m.Receipt || receipt == "" {
		return changed("queue %s: message %s was handed out again", queue, m.ID)
	}
	return nil
}

// messageID returns the row id; an id that is not ours names no row.
func messageID(m storage.Message) int64 {
	id, _ := strconv.ParseInt(m.ID, 10, 64)
	return id
}

// Package notify is the queue function that settles what the registry's outbox
// holds: the notification in the workspace's list, and the workspace's webhook
// where one is set.
//
// A webhook is a POST of the notification's JSON with the headers
//
//	X-Portico-Event      its type, as promotion.requested
//	X-Portico-Delivery   its id: the same in every attempt, for receivers to
//	                     know one they have had
//	X-Portico-Signature  t={unix seconds},v1={hex HMAC-SHA256 of "{t}.{body}"},
//	                     keyed with the webhook's secret
//
// Any 2xx within the time limit is a delivery. Other answers and silence are
// tried again for about an hour (408, 429 and 5xx; the rest is final), and
// redirects are not followed. The notification shows what became of it. No key,
// token or cell is ever in it.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/registry"
)

// Limits of one delivery.
const (
	answerIn = 20 * time.Second // of the receiver
	deadline = time.Minute      // of the whole run
	atOnce   = 8
)

// Client makes requests to addresses that callers gave: guard's.
type Client interface {
	Do(r *http.Request) (*http.Response, error)
}

// Function settles notifications.
type Function struct {
	*event.Worker[registry.Message]
}

// New returns the function.
func New(r *registry.Registry, client Client, places *event.Places, queues event.Sender, log *slog.Logger) *Function {
	send := func(ctx context.Context, p registry.Post) (int, error) { return post(ctx, client, p, time.Now()) }
	return &Function{event.NewWorker(places, queues, log, event.Work[registry.Message]{
		Queue: registry.NotifyQueue, Limit: atOnce, Deadline: deadline,
		Do: func(ctx context.Context, m registry.Message) error { return r.Settle(ctx, m, send) },
		// Whatever went wrong for good stays in the outbox, where sweep sees it.
	})}
}

// post makes one request and returns the status of its answer.
func post(ctx context.Context, client Client, p registry.Post, now time.Time) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return 0, fault.New(fault.BadArgument, "BadParameterValue", "the webhook's address cannot be used")
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "Portico-Webhook/1")
	r.Header.Set("X-Portico-Event", p.Type)
	r.Header.Set("X-Portico-Delivery", p.ID)
	r.Header.Set("X-Portico-Signature", sign(p.Secret, now, p.Body))
	resp, err := client.Do(r)
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "send webhook")
	}
	defer resp.Body.Close()
	// A little of the answer is read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return resp.StatusCode, nil
}

// sign is the value of X-Portico-Signature.
func sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t + "."))
	m.Write(body)
	return fmt.Sprintf("t=%s,v1=%s", t, hex.EncodeToString(m.Sum(nil)))
}

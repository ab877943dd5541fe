package registry

import (
	"context"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// What Sweep waits for before it steps in.
const (
	firstRescue = time.Minute      // after an act whose notification nobody has begun
	laterRescue = 30 * time.Minute // after the last attempt of a webhook
	markerGrace = 15 * time.Minute // far above the deadline of any act
)

// Sweep takes up what was left undone by processes that died: notifications
// whose message was never sent, webhook attempts without an outcome (closed as
// unknown), deletions that stopped half way. It goes through the services with
// open ends from the one after cursor on, and returns the cursor to go on with
// where ctx ends first, "" when it has seen them all. It may run twice at once.
func (r *Registry) Sweep(ctx context.Context, cursor string) (next string, err error) {
	rg := storage.Range{}
	if cursor != "" {
		rg.From = cursor + "."
	}
	for marker, err := range r.tables.Query(ctx, table, outboxPartition, rg) {
		if err != nil {
			return cursor, err
		}
		if ctx.Err() != nil {
			return cursor, nil
		}
		ws, svc, ok := strings.Cut(marker.Row, ".")
		if ok {
			if err := r.sweepService(ctx, ws, svc, marker); err != nil {
				return cursor, err
			}
		}
		cursor = marker.Row
	}
	return "", nil
}

func (r *Registry) sweepService(ctx context.Context, ws, svc string, marker storage.Entity) error {
	s, err := r.serviceState(ctx, ws, svc)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && s.State == deleting {
		if err := r.finishDeletion(ctx, ws, svc); err != nil {
			return err
		}
	}
	now := time.Now()
	open := false
	for row, err := range r.tables.Query(ctx, table, partition(ws, svc), storage.Prefix("outbox.")) {
		if err != nil {
			return err
		}
		open = true
		var e Event
		var d Delivery
		if err := unmarshalRow(row.Props.Bytes("json"), &e, row.Row); err != nil {
			return err
		}
		if err := unmarshalRow(row.Props.Bytes("delivery"), &d, row.Row); err != nil {
			return err
		}
		due := e.At.Add(firstRescue)
		if n := len(d.Attempts); n > 0 {
			last := &d.Attempts[n-1]
			due = last.At.Add(laterRescue)
			if last.Outcome == "" && now.Sub(last.At) >= attemptLimit {
				last.Outcome = "unknown"
				if err := r.keepDelivery(ctx, partition(ws, svc), &row, &d); fault.Is(err, fault.Unavailable) {
					continue // its worker lives after all
				} else if err != nil {
					return err
				}
				due = now
			}
		}
		if now.Before(due) {
			continue
		}
		if err := event.Send(ctx, r.queues, NotifyQueue, Message{ws, svc, e.ID}, 0); err != nil {
			return err
		}
	}
	if open || now.Sub(marker.Props.Time("at")) < markerGrace {
		return nil
	}
	// An act that begins now writes the marker anew, which this then spares.
	_, err = r.tables.Apply(ctx, table, outboxPartition, storage.Op{Kind: storage.Delete, Row: marker.Row, IfMatch: marker.ETag})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// What of an endpoint's past can be gone back to, whatever else is collected.
const (
	keptMoves = 20
	keptFor   = 90 * 24 * time.Hour
)

// Roots calls keep with the digest of every artifact of ws that a service needs
// or may go back to: what endpoints serve, at least 20 moves and 90 days of
// their history, pending promotions, and the assets of all these.
func (r *Registry) Roots(ctx context.Context, ws string, keep func(digest string)) error {
	digests := map[string]bool{}
	oldest := time.Now().Add(-keptFor)
	for row, err := range r.tables.Query(ctx, table, servicesOf(ws), storage.Prefix("service.")) {
		if err != nil {
			return err
		}
		svc := strings.TrimPrefix(row.Row, "service.")
		s, err := r.liveService(ctx, ws, svc)
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return err
		}
		if s.Pending != 0 {
			p, err := r.promotion(ctx, ws, svc, s.Pending)
			if err != nil {
				return err
			}
			digests[p.Digest] = true
		}
		all, err := r.endpoints(ctx, ws, svc)
		if err != nil {
			return err
		}
		for _, e := range all {
			digests[e.Digest] = true
			n := 0
			for row, err := range r.tables.Query(ctx, table, partition(ws, svc), storage.Prefix("history."+e.ID+".")) {
				if err != nil {
					return err
				}
				var m Move
				if err := unmarshalRow(row.Props.Bytes("json"), &m, row.Row); err != nil {
					return err
				}
				if n++; n > keptMoves && m.At.Before(oldest) {
					break
				}
				digests[m.Digest] = true
			}
		}
	}
	delete(digests, "")
	for digest := range digests {
		if err := r.Keep(ctx, ws, digest, keep); err != nil {
			return err
		}
	}
	return nil
}

// Keep calls keep with the digest of a deployment and those of its assets. A
// deployment that is gone has none left to lose.
func (r *Registry) Keep(ctx context.Context, ws, digest string, keep func(digest string)) error {
	keep(digest)
	m, _, err := r.readManifest(ctx, ws, digest) // of all services: the cache is not for them
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, a := range m.Assets {
		keep(a.Digest)
	}
	return nil
}

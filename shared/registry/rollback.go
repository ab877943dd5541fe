package registry

import (
	"context"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Rollback asks to go back.
type Rollback struct {
	Endpoint string  `json:"endpoint,omitempty"` // default: "default"
	To       int64   `json:"to,omitempty"`       // seq of a move; 0 = the deployment before
	Expect   *string `json:"expect"`             // digest the caller saw on the endpoint
	Reason   string  `json:"reason,omitempty"`
}

// Rollback points an endpoint back at what an entry of its history served:
// the one named, or the newest before its present position that served
// something else. So twice goes two back, and never forward.
func (r *Registry) Rollback(ctx context.Context, ws, svc string, by Actor, q Rollback) (*Move, error) {
	if q.Endpoint == "" {
		q.Endpoint = service.Default
	}
	if err := by.May(ActRollback, service.Endpoint{Name: q.Endpoint}); err != nil {
		return nil, err
	}
	if q.Expect == nil {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "expect is required: the digest that endpoint %q serves", cut(q.Endpoint)).At("expect")
	}
	if err := checkText("reason", q.Reason); err != nil {
		return nil, err
	}
	var out *Move
	var id string
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		e, err := a.endpoint(ctx, q.Endpoint)
		if err != nil {
			return err
		}
		id = e.ID
		if e.Digest != *q.Expect {
			return expectation(e, *q.Expect)
		}
		target, err := r.goal(ctx, ws, svc, e, q.To)
		if err != nil {
			return err
		}
		_, release, err := r.Deployment(ctx, ws, target.Digest)
		if err != nil {
			return err
		}
		release()
		if err := r.hold(ctx, ws, target.Digest); err != nil { // it may be older than what is kept
			return err
		}
		from := e.Digest
		out = &Move{Act: EventRolledBack, To: target.Seq, Reason: q.Reason}
		if err := a.move(e, target.Digest, *out); err != nil {
			return err
		}
		*out = Move{Seq: e.Seq, Digest: target.Digest, From: from, Act: EventRolledBack, At: a.now, By: by.who(), To: target.Seq, Reason: q.Reason}
		a.record(Event{Type: EventRolledBack, Endpoint: e.Name, Digest: target.Digest, From: from, Reason: q.Reason})
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.pointers.forget(ws, id)
	return out, nil
}

// goal finds the move to go back to. A move that was itself a rollback stands
// for the one it went back to, so that the position never rises by going back.
func (r *Registry) goal(ctx context.Context, ws, svc string, e *endpointState, to int64) (Move, error) {
	if to != 0 {
		if to < 0 || to > e.Seq {
			return Move{}, noMove(e, to)
		}
		m, err := r.moveAt(ctx, ws, svc, e, to)
		if err != nil {
			return m, err
		}
		if m.Digest == e.Digest {
			return m, fault.New(fault.Conflict, CodeUnchanged, "endpoint %q already serves %s", e.Name, e.Digest)
		}
		return r.origin(ctx, ws, svc, e, m)
	}
	if e.Position > 1 {
		newest := storage.Range{From: historyRow(e.ID, e.Position-1), To: storage.Prefix("history." + e.ID + ".").To}
		for row, err := range r.tables.Query(ctx, table, partition(ws, svc), newest) {
			if err != nil {
				return Move{}, err
			}
			var m Move
			if err := unmarshalRow(row.Props.Bytes("json"), &m, row.Row); err != nil {
				return m, err
			}
			if m.Digest != e.Digest && m.Digest != "" {
				return r.origin(ctx, ws, svc, e, m)
			}
		}
	}
	return Move{}, fault.New(fault.Conflict, "NothingBefore", "endpoint %q served nothing else before", e.Name)
}

func (r *Registry) origin(ctx context.Context, ws, svc string, e *endpointState, m Move) (Move, error) {
	for m.To != 0 && m.To < m.Seq {
		var err error
		if m, err = r.moveAt(ctx, ws, svc, e, m.To); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (r *Registry) moveAt(ctx context.Context, ws, svc string, e *endpointState, seq int64) (m Move, err error) {
	row, err := r.tables.Get(ctx, table, partition(ws, svc), historyRow(e.ID, seq))
	if fault.Is(err, fault.NotFound) {
		return m, noMove(e, seq)
	} else if err != nil {
		return m, err
	}
	return m, unmarshalRow(row.Props.Bytes("json"), &m, row.Row)
}

func noMove(e *endpointState, seq int64) error {
	return fault.New(fault.NotFound, "HistoryEntryNotFound", "the history of endpoint %q has no entry %d", e.Name, seq).At("to")
}

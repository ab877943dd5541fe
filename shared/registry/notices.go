package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Message is the payload of a message on queue "notify": settle this act.
type Message struct {
	Workspace string `json:"ws"`
	Service   string `json:"svc"`
	ID        string `json:"id"` // of the act
}

// settle tells the workspace of an act that has just been done, and asks for
// its webhook. Both are tried now and made sure of by Sweep: the act stands,
// whatever becomes of its news.
func (r *Registry) settle(ctx context.Context, e *Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := r.tell(ctx, e)
	if err == nil {
		err = event.Send(ctx, r.queues, NotifyQueue, Message{e.Workspace, e.Service, e.ID}, 0)
	}
	if err != nil {
		r.log.WarnContext(ctx, "notification left to sweep", "workspace", e.Workspace, "service", e.Service, "act", e.ID, "error", err)
	}
}

// tell adds an act to its workspace's notifications, once.
func (r *Registry) tell(ctx context.Context, e *Event) error {
	p, err := jsonRow(e)
	if err != nil {
		return err
	}
	_, err = r.tables.Apply(ctx, table, noticesOf(e.Workspace), storage.Op{Kind: storage.Insert, Row: "notice." + e.ID, Props: p})
	if fault.HasCode(err, storage.CodeExists) {
		return nil
	}
	return err
}

// Notice is a notification as a member sees it.
type Notice struct {
	Event
	Unread  bool      `json:"unread"`
	Webhook *Delivery `json:"webhook,omitempty"`
}

// Notices is the head of a workspace's notifications.
type Notices struct {
	Notices []Notice `json:"notifications"`
	Unread  int      `json:"unread"` // of all; counting ends at MaxUnread
	// Next, given as before, reads on with older ones; "" at the end.
	Next string `json:"next,omitempty"`
}

// MaxUnread is where counting unread notifications ends.
const MaxUnread = 999

// Notifications returns up to limit notifications of ws, newest first, older
// than the one called before ("" = from the newest), with the count of those
// the actor has not seen.
func (r *Registry) Notifications(ctx context.Context, ws string, by Actor, before string, limit int) (*Notices, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	seen, err := r.seen(ctx, ws, by)
	if err != nil {
		return nil, err
	}
	out := &Notices{Notices: []Notice{}}
	news := storage.Prefix("notice.")
	if seen != "" {
		news.To = "notice." + seen
	}
	for _, err := range r.tables.Query(ctx, table, noticesOf(ws), news) {
		if err != nil {
			return nil, err
		}
		if out.Unread++; out.Unread == MaxUnread {
			break
		}
	}
	err = page(ctx, r, noticesOf(ws), "notice.", before, limit, &out.Next, func(row storage.Entity) error {
		var n Notice
		if err := unmarshalRow(row.Props.Bytes("json"), &n.Event, row.Row); err != nil {
			return err
		}
		if b := row.Props.Bytes("webhook"); b != nil {
			n.Webhook = new(Delivery)
			if err := unmarshalRow(b, n.Webhook, row.Row); err != nil {
				return err
			}
		}
		n.Unread = seen == "" || n.ID < seen // ids fall as time rises
		out.Notices = append(out.Notices, n)
		return nil
	})
	return out, err
}

// MarkSeen records that the actor has seen the notification called id and all
// older ones. It never goes back.
func (r *Registry) MarkSeen(ctx context.Context, ws string, by Actor, id string) error {
	if err := by.May(ActRead, onService); err != nil {
		return err
	}
	if !service.ValidID(id) {
		return fault.New(fault.BadArgument, "BadParameterValue", "%q is not the id of a notification", cut(id)).At("id")
	}
	seen, err := r.seen(ctx, ws, by)
	if err != nil || seen != "" && seen <= id {
		return err
	}
	_, err = r.tables.Apply(ctx, table, noticesOf(ws), storage.Op{Kind: storage.Upsert, Row: seenRow(by), Props: storage.Props{"id": id}})
	return err
}

func seenRow(a Actor) string {
	sum := sha256.Sum256([]byte(a.ID))
	return "seen." + hex.EncodeToString(sum[:])
}

func (r *Registry) seen(ctx context.Context, ws string, by Actor) (string, error) {
	e, err := r.tables.Get(ctx, table, noticesOf(ws), seenRow(by))
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return e.Props.Str("id"), err
}

// Events is a page of the audit.
type Events struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"`
}

// Audit returns up to limit acts on a service, newest first, older than the
// act called before. The audit outlives its service.
func (r *Registry) Audit(ctx context.Context, ws, svc string, by Actor, before string, limit int) (*Events, error) {
	if err := by.May(ActAudit, service.Endpoint{Name: service.Staging}); err != nil {
		return nil, err
	}
	if _, err := r.serviceState(ctx, ws, svc); err != nil {
		return nil, err
	}
	out := &Events{Events: []Event{}}
	err := page(ctx, r, partition(ws, svc), "audit.", before, limit, &out.Next, func(row storage.Entity) error {
		var e Event
		err := unmarshalRow(row.Props.Bytes("json"), &e, row.Row)
		out.Events = append(out.Events, e)
		return err
	})
	return out, err
}

// MaxPage is the largest page of a list, DefaultPage one where none is asked.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// page reads rows prefix+id for ids after the one called before. next is set
// to the last id read if there may be more.
func page(ctx context.Context, r *Registry, part, prefix, before string, limit int, next *string, each func(storage.Entity) error) error {
	rg := storage.Prefix(prefix)
	if before != "" {
		if !service.ValidID(before) {
			return fault.New(fault.BadArgument, "InvalidQueryParameter", "%q is not the id of an entry", cut(before)).At("before")
		}
		rg.From = prefix + before + "." // just above that id
	}
	if limit <= 0 {
		limit = DefaultPage
	}
	limit = min(limit, MaxPage)
	n, last := 0, ""
	for row, err := range r.tables.Query(ctx, table, part, rg) {
		if err != nil {
			return err
		}
		if n == limit {
			*next = last
			return nil
		}
		if err := each(row); err != nil {
			return err
		}
		n, last = n+1, row.Row[len(prefix):]
	}
	return nil
}

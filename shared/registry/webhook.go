package registry

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// webhookKind is the kind of the keys that sign webhooks; like all keys they
// are derived, not stored.
const webhookKind = "webhook"

const webhookRow = "webhook"

// EventWebhookChanged tells that the workspace's webhook was set or removed.
const EventWebhookChanged = "workspace.webhookChanged"

// Webhook is where a workspace's notifications are sent besides.
type Webhook struct {
	URL     string    `json:"url"` // "" = none
	Secret  string    `json:"secret,omitempty"`
	Changed time.Time `json:"changedAt,omitzero"`
	By      *auth.Who `json:"changedBy,omitempty"`
}

// WebhookChange sets the webhook.
type WebhookChange struct {
	URL string `json:"url"` // "" removes it
	// NewSecret replaces the signing secret. A new webhook has a new one.
	NewSecret bool `json:"newSecret,omitempty"`
}

type webhookState struct {
	URL  string
	Slot auth.Slot
	At   time.Time
	By   auth.Who
	etag string
}

func (r *Registry) webhookState(ctx context.Context, ws string) (*webhookState, error) {
	e, err := r.tables.Get(ctx, table, noticesOf(ws), webhookRow)
	if fault.Is(err, fault.NotFound) {
		return &webhookState{}, nil
	} else if err != nil {
		return nil, err
	}
	p := e.Props
	return &webhookState{
		URL: p.Str("url"), Slot: auth.Slot{Entry: p.Str("entry"), Generation: p.Int("generation")},
		At: p.Time("at"), By: auth.Who{ID: p.Str("byID"), Name: p.Str("byName")}, etag: e.ETag,
	}, nil
}

func (r *Registry) webhookSecret(ws string, s auth.Slot) (string, error) {
	secret := r.ring.Derive(s.Entry, webhookKind, ws, ws, auth.Primary, s.Generation)
	if secret == "" {
		return "", r.ring.Missing(s.Entry)
	}
	return secret, nil
}

// Webhook returns the webhook of ws, with its secret.
func (r *Registry) Webhook(ctx context.Context, ws string, by Actor) (*Webhook, error) {
	if err := by.May(ActWebhook, onService); err != nil {
		return nil, err
	}
	s, err := r.webhookState(ctx, ws)
	if err != nil || s.URL == "" {
		return &Webhook{}, err
	}
	secret, err := r.webhookSecret(ws, s.Slot)
	return &Webhook{URL: s.URL, Secret: secret, Changed: s.At, By: &s.By}, err
}

// SetWebhook sets or removes the webhook of ws.
func (r *Registry) SetWebhook(ctx context.Context, ws string, by Actor, c WebhookChange) (*Webhook, error) {
	if err := by.May(ActWebhook, onService); err != nil {
		return nil, err
	}
	if c.URL != "" {
		if err := checkWebhookURL(c.URL); err != nil {
			return nil, err
		}
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	e := Event{ID: service.NewActID(now), Type: EventWebhookChanged, At: now, By: by.who(), Workspace: ws, Detail: "set"}
	if c.URL == "" {
		e.Detail = "removed"
	}
	for range 8 {
		s, err := r.webhookState(ctx, ws)
		if err != nil {
			return nil, err
		}
		if s.Slot.Entry == "" {
			s.Slot = r.ring.NewSlot(now)
		} else if c.NewSecret || s.URL == "" {
			s.Slot = r.ring.Next(s.Slot, now)
		}
		notice, err := jsonRow(e)
		if err != nil {
			return nil, err
		}
		// The row stays when the webhook goes: its generation must not fall.
		row := storage.Op{Kind: storage.Replace, Row: webhookRow, IfMatch: s.etag, Props: storage.Props{
			"url": c.URL, "entry": s.Slot.Entry, "generation": s.Slot.Generation, "at": now, "byID": by.ID, "byName": by.Name,
		}}
		if s.etag == "" {
			row.Kind = storage.Insert
		}
		_, err = r.tables.Apply(ctx, table, noticesOf(ws), row, storage.Op{Kind: storage.Insert, Row: "notice." + e.ID, Props: notice})
		if err != nil {
			if _, rerr := r.tables.Get(ctx, table, noticesOf(ws), "notice."+e.ID); rerr == nil {
				err = nil // the notification is the receipt, as an audit row is
			}
		}
		if err == nil {
			return r.Webhook(ctx, ws, by)
		}
		if !lostRace(err) {
			return nil, err
		}
	}
	return nil, fault.New(fault.Conflict, "Conflict", "the webhook is being changed by others; try again")
}

func checkWebhookURL(s string) error {
	bad := func(why string) error {
		return fault.New(fault.BadArgument, "BadParameterValue", "webhook url: %s", why).At("url")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 2000 || u.Host == "" || u.Opaque != "":
		return bad("not an absolute address of at most 2000 bytes")
	case u.User != nil:
		return bad("a user name in the address is refused: check the signature instead")
	case u.Fragment != "":
		return bad("a fragment is never sent")
	case u.Scheme == "https":
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"):
	default:
		return bad("the scheme must be https")
	}
	return nil
}

// How webhooks are delivered.
const (
	maxAttempts = 12
	// attemptLimit is when an attempt without an outcome is given up: its
	// worker has died, and whether the receiver got it is unknown.
	attemptLimit = 2 * time.Minute
)

// Delivery is what became of a notification's webhook.
type Delivery struct {
	State    string    `json:"state"` // pending, delivered, failed
	Attempts []Attempt `json:"attempts,omitempty"`
}

// The states of a delivery.
const (
	Pending   = "pending"
	Delivered = "delivered"
	Failed    = "failed"
)

// Attempt is one request. It is written before it is sent, and again with its
// outcome: one without an outcome is under way, or its worker died.
type Attempt struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome,omitempty"` // delivered, refused, unreachable, unknown
	Status  int       `json:"status,omitempty"`
}

// Post is one webhook request to be made.
type Post struct {
	URL    string
	Secret string // signs the body
	ID     string // of the notification: a repeated delivery has the same
	Type   string
	Body   []byte
}

// Settle does what an outbox row asks for: the notification in the workspace's
// list, then the webhook through send, which returns the receiver's status. A
// passing error means: again later. It may be repeated and run twice at once;
// a receiver gets a notification once, or again with the same id where it was
// slow or a worker died.
func (r *Registry) Settle(ctx context.Context, m Message, send func(context.Context, Post) (status int, err error)) error {
	part := partition(m.Workspace, m.Service)
	row, err := r.tables.Get(ctx, table, part, "outbox."+m.ID)
	if fault.Is(err, fault.NotFound) {
		return nil // settled
	} else if err != nil {
		return err
	}
	var e Event
	d := &Delivery{State: Pending}
	if err := unmarshalRow(row.Props.Bytes("json"), &e, row.Row); err != nil {
		return err
	}
	if err := unmarshalRow(row.Props.Bytes("delivery"), d, row.Row); err != nil {
		return err
	}
	if err := r.tell(ctx, &e); err != nil {
		return err
	}
	hook, err := r.webhookState(ctx, m.Workspace)
	if err != nil {
		return err
	}
	if hook.URL == "" && len(d.Attempts) == 0 {
		return r.drop(ctx, part, row.Row)
	}
	if d.State == Pending {
		if err := r.attempt(ctx, part, &row, &e, d, hook, send); err != nil {
			return err
		}
	}
	if err := r.report(ctx, &e, d); err != nil {
		return err
	}
	return r.drop(ctx, part, row.Row)
}

// attempt makes one attempt of a pending delivery and records it. nil means
// that the delivery has ended.
func (r *Registry) attempt(ctx context.Context, part string, row *storage.Entity, e *Event, d *Delivery, hook *webhookState, send func(context.Context, Post) (int, error)) error {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if n := len(d.Attempts); n > 0 && d.Attempts[n-1].Outcome == "" {
		if now.Sub(d.Attempts[n-1].At) < attemptLimit {
			return fault.New(fault.Unavailable, "", "another worker is sending notification %s", e.ID)
		}
		d.Attempts[n-1].Outcome = "unknown"
	}
	if hook.URL == "" || len(d.Attempts) >= maxAttempts {
		d.State = Failed
		return r.keepDelivery(ctx, part, row, d)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	secret, err := r.webhookSecret(e.Workspace, hook.Slot)
	if err != nil {
		return err
	}
	d.Attempts = append(d.Attempts, Attempt{At: now})
	if err := r.keepDelivery(ctx, part, row, d); err != nil { // the intent
		return err
	}
	a := &d.Attempts[len(d.Attempts)-1]
	status, err := send(ctx, Post{URL: hook.URL, Secret: secret, ID: e.ID, Type: e.Type, Body: body})
	again := false
	switch {
	case err != nil && fault.Is(err, fault.BadArgument): // an address that is not allowed
		a.Outcome = "refused"
	case err != nil:
		a.Outcome, again = "unreachable", true
	case status/100 == 2:
		a.Outcome, a.Status = "delivered", status
	default:
		a.Outcome, a.Status, again = "refused", status, status == 408 || status == 429 || status >= 500
	}
	switch {
	case a.Outcome == "delivered":
		d.State = Delivered
	case !again || len(d.Attempts) >= maxAttempts:
		d.State = Failed
	}
	// The outcome must be kept even where the run's own time is up.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if kerr := r.keepDelivery(keep, part, row, d); kerr != nil {
		return kerr
	}
	if d.State == Pending {
		return fault.New(fault.Unavailable, "", "webhook of notification %s: %s, status %d", e.ID, a.Outcome, status)
	}
	return nil
}

// keepDelivery writes d beside the act in its outbox row.
func (r *Registry) keepDelivery(ctx context.Context, part string, row *storage.Entity, d *Delivery) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	tags, err := r.tables.Apply(ctx, table, part, storage.Op{
		Kind: storage.Replace, Row: row.Row, IfMatch: row.ETag,
		Props: storage.Props{"json": row.Props.Bytes("json"), "delivery": b},
	})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return fault.New(fault.Unavailable, "", "another worker is sending notification %s", row.Row).Because(err)
	}
	if err == nil {
		row.ETag = tags[0]
	}
	return err
}

// report shows the outcome in the notification.
func (r *Registry) report(ctx context.Context, e *Event, d *Delivery) error {
	n, err := r.tables.Get(ctx, table, noticesOf(e.Workspace), "notice."+e.ID)
	if err != nil {
		return err
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	n.Props["webhook"] = b
	_, err = r.tables.Apply(ctx, table, noticesOf(e.Workspace), storage.Op{Kind: storage.Replace, Row: n.Row, IfMatch: storage.AnyETag, Props: n.Props})
	return err
}

func (r *Registry) drop(ctx context.Context, part, row string) error {
	_, err := r.tables.Apply(ctx, table, part, storage.Op{Kind: storage.Delete, Row: row, IfMatch: storage.AnyETag})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Names of rows and partitions; see the package comment.
func partition(ws, svc string) string      { return ws + "." + svc }
func servicesOf(ws string) string          { return ws + ".services" }
func endpointsOf(ws string) string         { return ws + ".endpoints" }
func noticesOf(ws string) string           { return ws + ".notices" }
func nameRow(name string) string           { return "name." + name }
func endpointRow(id string) string         { return "endpoint." + id }
func keysRow(id string) string             { return "keys." + id }
func deploymentRow(digest string) string   { return "deployment." + digest }
func evidenceRow(digest string) string     { return "evidence." + digest }
func promotionRow(n int64) string          { return fmt.Sprintf("promotion.%010d", n) }
func historyRow(id string, s int64) string { return fmt.Sprintf("history.%s.%010d", id, lastSeq-s) }

const (
	serviceRow            = "service"
	outboxPartition       = "outbox"
	lastSeq         int64 = 9999999999
)

// Life of a service.
const (
	live     = "live"
	deleting = "deleting" // its endpoints are being removed
	deleted  = "deleted"  // what is left is its audit
)

// serviceState is the row "service".
type serviceState struct {
	service.WebService
	Creator    auth.Who
	State      string
	Rev        int64 // rises with every act
	Promotions int64 // number of the last promotion
	Pending    int64 // number of the promotion Requested; 0 = none
	Endpoints  int64
	etag       string
}

func (s *serviceState) props() storage.Props {
	return storage.Props{
		"name": s.Name, "description": s.Description, "experiment": s.ExperimentID, "created": s.Created,
		"creatorID": s.Creator.ID, "creatorName": s.Creator.Name, "state": s.State, "rev": s.Rev,
		"promotions": s.Promotions, "pending": s.Pending, "endpoints": s.Endpoints,
	}
}

func serviceOf(ws, svc string, e storage.Entity) *serviceState {
	p := e.Props
	return &serviceState{
		WebService: service.WebService{Workspace: ws, ID: svc, Name: p.Str("name"), Description: p.Str("description"), ExperimentID: p.Str("experiment"), Created: p.Time("created")},
		Creator:    auth.Who{ID: p.Str("creatorID"), Name: p.Str("creatorName")},
		State:      p.Str("state"), Rev: p.Int("rev"), Promotions: p.Int("promotions"), Pending: p.Int("pending"), Endpoints: p.Int("endpoints"),
		etag: e.ETag,
	}
}

// endpointState is a row "endpoint.{id}".
type endpointState struct {
	service.Endpoint
	KeysRev int64 // rises with every change of the keys row, so that caches see it here
	etag    string
}

func (e *endpointState) props() (storage.Props, error) {
	settings, err := json.Marshal(e.Settings)
	if err != nil {
		return nil, err
	}
	return storage.Props{
		"name": e.Name, "digest": e.Digest, "seq": e.Seq, "position": e.Position, "settings": settings,
		"keysRev": e.KeysRev, "created": e.Created, "updated": e.Updated,
	}, nil
}

func endpointOf(ws, svc string, e storage.Entity) (*endpointState, error) {
	p := e.Props
	s := &endpointState{
		Endpoint: service.Endpoint{
			Workspace: ws, Service: svc, ID: e.Row[len("endpoint."):], Name: p.Str("name"), Digest: p.Str("digest"),
			Seq: p.Int("seq"), Position: p.Int("position"), Created: p.Time("created"), Updated: p.Time("updated"),
		},
		KeysRev: p.Int("keysRev"), etag: e.ETag,
	}
	if err := unmarshalRow(p.Bytes("settings"), &s.Settings, e.Row); err != nil {
		return nil, err
	}
	return s, nil
}

// keysState is a row "keys.{id}": what its two keys are derived from.
type keysState struct {
	Slots [2]auth.Slot
	etag  string
}

// slotNames are the slots of an endpoint's keys, in order.
var slotNames = [2]string{auth.Primary, auth.Secondary}

func newKeys(ring *auth.Ring, now time.Time) *keysState {
	s := ring.NewSlot(now)
	return &keysState{Slots: [2]auth.Slot{s, s}}
}

func (k *keysState) props() storage.Props {
	p := storage.Props{}
	for i, name := range slotNames {
		p[name+"Entry"], p[name+"Generation"] = k.Slots[i].Entry, k.Slots[i].Generation
	}
	return p
}

func keysOf(e storage.Entity) *keysState {
	k := &keysState{etag: e.ETag}
	for i, name := range slotNames {
		k.Slots[i] = auth.Slot{Entry: e.Props.Str(name + "Entry"), Generation: e.Props.Int(name + "Generation")}
	}
	return k
}

// Deployment is what is known about a deployment besides its manifest: who
// made it, from what.
type Deployment struct {
	Digest       string     `json:"digest"`
	ExperimentID string     `json:"experimentId,omitempty"`
	RunID        string     `json:"runId,omitempty"`
	Ran          auth.Who   `json:"ranBy"`
	Published    auth.Who   `json:"publishedBy"`
	At           time.Time  `json:"publishedAt"`
	Models       []ModelUse `json:"models,omitempty"`
	Warnings     []string   `json:"warnings,omitempty"`
	// Base, on a derived deployment, is the one whose resources were replaced.
	Base     string            `json:"base,omitempty"`
	Replaced map[string]string `json:"replaced,omitempty"` // resource -> digest
}

// ModelUse is a saved model that a deployment holds.
type ModelUse struct {
	Asset    string          `json:"asset,omitempty"`
	Name     string          `json:"name"`
	Version  int             `json:"version,omitempty"`
	Digest   string          `json:"digest"`
	Newer    int             `json:"newerVersion,omitempty"` // a later version that exists; 0 = none
	Verified bool            `json:"verified"`
	Record   json.RawMessage `json:"record,omitempty"` // metrics and provenance, as saved with it
}

// Promotion is the request to put a deployment into production, what a
// deployer must know of it, and its decision.
type Promotion struct {
	Number    int64                  `json:"number"`
	State     service.PromotionState `json:"state"`
	Digest    string                 `json:"digest"`
	Kind      PromotionKind          `json:"kind"`
	Requested time.Time              `json:"requestedAt"`
	Requester auth.Who               `json:"requestedBy"`
	Note      string                 `json:"note,omitempty"`
	// Against is what default served when it was requested ("" = nothing), and
	// Difference the difference of the schemas from that.
	Against    string     `json:"against"`
	Difference Difference `json:"difference"`
	Deployment Deployment `json:"deployment"`
	Evidence   Evidence   `json:"evidence"`
	Decided    *time.Time `json:"decidedAt,omitempty"`
	Decider    *auth.Who  `json:"decidedBy,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	etag       string
}

// PromotionKind says what approval does to default.
type PromotionKind string

// The kinds of promotion.
const (
	Add    PromotionKind = "Add"    // default serves nothing yet
	Update PromotionKind = "Update" // default serves something else
)

// Evidence is what is known of calls on staging with a deployment.
type Evidence struct {
	First *time.Time `json:"firstCallAt,omitempty"` // first successful call; nil = none
	Calls int64      `json:"calls"`                 // about how many of the last days: RRS calls and jobs
}

// Move is one entry of an endpoint's history.
type Move struct {
	Seq       int64     `json:"seq"`
	Digest    string    `json:"digest"`
	From      string    `json:"from"` // what it served before; "" = nothing
	Act       string    `json:"act"`
	At        time.Time `json:"at"`
	By        auth.Who  `json:"by"`
	Promotion int64     `json:"promotion,omitempty"`
	// To, on a rollback, is the seq of the move gone back to.
	To     int64  `json:"to,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Event is one act as the audit keeps it and notifications tell it.
type Event struct {
	ID          string    `json:"id"`
	Type        string    `json:"type"`
	At          time.Time `json:"at"`
	By          auth.Who  `json:"by"`
	Workspace   string    `json:"workspaceId"`
	Service     string    `json:"serviceId"`
	ServiceName string    `json:"serviceName"`
	Endpoint    string    `json:"endpoint,omitempty"` // name
	Digest      string    `json:"digest,omitempty"`
	From        string    `json:"from,omitempty"` // digest before
	Promotion   int64     `json:"promotion,omitempty"`
	Superseded  int64     `json:"superseded,omitempty"` // the promotion this one replaces
	Detail      string    `json:"detail,omitempty"`
	Reason      string    `json:"reason,omitempty"`
}

// Types of events.
const (
	EventPublished         = "service.published"
	EventServiceChanged    = "service.changed"
	EventServiceDeleted    = "service.deleted"
	EventRequested         = "promotion.requested"
	EventApproved          = "promotion.approved"
	EventRejected          = "promotion.rejected"
	EventWithdrawn         = "promotion.withdrawn"
	EventRolledBack        = "endpoint.rolledBack"
	EventEndpointCreated   = "endpoint.created"
	EventEndpointDeleted   = "endpoint.deleted"
	EventEndpointRefreshed = "endpoint.refreshed"
	EventEndpointChanged   = "endpoint.changed"
	EventResourcesReplaced = "endpoint.resourcesReplaced"
	EventKeyRegenerated    = "key.regenerated"
)

// Fields read back from rows are our own writing: one that does not parse is
// damage, never a caller's fault.
func unmarshalRow(b []byte, v any, row string) error {
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fault.New(fault.Internal, "", "row %s is damaged", row).Because(err)
	}
	return nil
}

// jsonRow encodes v as the one property of a row.
func jsonRow(v any) (storage.Props, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return storage.Props{"json": b}, nil
}

// props encodes a promotion within the size of a property: of a difference too
// long to keep, the tail is counted instead.
func (p *Promotion) props() (storage.Props, error) {
	q := *p
	for {
		b, err := json.Marshal(&q)
		if err != nil {
			return nil, err
		}
		if len(b) <= storage.MaxPropertyBlob {
			return storage.Props{"json": b}, nil
		}
		switch n := len(q.Difference.Changes); {
		case n > 1:
			q.Difference.More += n - n/2
			q.Difference.Changes = q.Difference.Changes[:n/2]
		case len(q.Deployment.Models) > 0:
			// Records of many models: the names and digests remain.
			ms := make([]ModelUse, len(q.Deployment.Models))
			stripped := false
			for i, m := range q.Deployment.Models {
				stripped = stripped || m.Record != nil
				m.Record = nil
				ms[i] = m
			}
			if !stripped {
				return nil, fault.New(fault.TooLarge, "PromotionTooLarge", "the record of the promotion has %d bytes; at most %d can be kept", len(b), storage.MaxPropertyBlob)
			}
			q.Deployment.Models = ms
		default:
			return nil, fault.New(fault.TooLarge, "PromotionTooLarge", "the record of the promotion has %d bytes; at most %d can be kept", len(b), storage.MaxPropertyBlob)
		}
	}
}

// Reading rows. Absence is the caller's to name.

func (r *Registry) serviceState(ctx context.Context, ws, svc string) (*serviceState, error) {
	if !service.ValidID(ws) || !service.ValidID(svc) {
		return nil, noService(svc)
	}
	e, err := r.tables.Get(ctx, table, partition(ws, svc), serviceRow)
	if fault.Is(err, fault.NotFound) {
		return nil, noService(svc)
	} else if err != nil {
		return nil, err
	}
	return serviceOf(ws, svc, e), nil
}

// liveService is serviceState without the services that are gone.
func (r *Registry) liveService(ctx context.Context, ws, svc string) (*serviceState, error) {
	s, err := r.serviceState(ctx, ws, svc)
	if err == nil && s.State != live {
		return nil, noService(svc)
	}
	return s, err
}

func (r *Registry) endpointNamed(ctx context.Context, ws, svc, name string) (*endpointState, error) {
	if !validEndpointName(name) {
		return nil, noEndpoint(name)
	}
	n, err := r.tables.Get(ctx, table, partition(ws, svc), nameRow(name))
	if fault.Is(err, fault.NotFound) {
		return nil, noEndpoint(name)
	} else if err != nil {
		return nil, err
	}
	e, err := r.tables.Get(ctx, table, partition(ws, svc), endpointRow(n.Props.Str("id")))
	if fault.Is(err, fault.NotFound) {
		return nil, noEndpoint(name)
	} else if err != nil {
		return nil, err
	}
	return endpointOf(ws, svc, e)
}

func (r *Registry) keysState(ctx context.Context, ws, svc, id string) (*keysState, error) {
	e, err := r.tables.Get(ctx, table, partition(ws, svc), keysRow(id))
	if err != nil {
		return nil, err
	}
	return keysOf(e), nil
}

func (r *Registry) promotion(ctx context.Context, ws, svc string, n int64) (*Promotion, error) {
	absent := fault.New(fault.NotFound, "PromotionNotFound", "the service has no promotion %d", n)
	if n <= 0 || n > lastSeq {
		return nil, absent
	}
	e, err := r.tables.Get(ctx, table, partition(ws, svc), promotionRow(n))
	if fault.Is(err, fault.NotFound) {
		return nil, absent
	} else if err != nil {
		return nil, err
	}
	return promotionOf(e)
}

func promotionOf(e storage.Entity) (*Promotion, error) {
	p := &Promotion{etag: e.ETag}
	return p, unmarshalRow(e.Props.Bytes("json"), p, e.Row)
}

func (r *Registry) deployment(ctx context.Context, ws, svc, digest string) (Deployment, error) {
	d := Deployment{Digest: digest}
	e, err := r.tables.Get(ctx, table, partition(ws, svc), deploymentRow(digest))
	if err != nil {
		return d, err
	}
	return d, unmarshalRow(e.Props.Bytes("json"), &d, e.Row)
}

func noService(svc string) error {
	return fault.New(fault.NotFound, "WebServiceIdNotFoundInWorkspace", "the workspace has no web service %q", cut(svc))
}

func noEndpoint(name string) error {
	return fault.New(fault.NotFound, "WebServiceNotFound", "the web service has no endpoint %q", cut(name))
}

// cut shortens a caller's name for a message.
func cut(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

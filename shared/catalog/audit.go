package catalog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Types of events. A kind's own are {kind}.deleted.
const (
	EventWorkspaceCreated  = "workspace.created"
	EventWorkspaceChanged  = "workspace.changed"
	EventMemberSet         = "member.set"
	EventMemberRemoved     = "member.removed"
	EventTokenRegenerated  = "token.regenerated"
	EventExperimentDeleted = "experiment.deleted"
)

// Event is an act on a workspace or on what it owns, as its audit keeps it. Acts
// on web services are in theirs.
type Event struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	At      time.Time `json:"at"`
	By      auth.Who  `json:"by"`
	Subject string    `json:"subject,omitempty"` // name, member, token slot
	// Object is the id of what has one: an experiment.
	Object  string `json:"objectId,omitempty"`
	Version int    `json:"version,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// auditPrefix sorts behind all other rows of the partitions that have an audit:
// a row is written in the Apply of its act, beside what that changes.
const auditPrefix = "z."

// notAudit are the other rows of such a partition.
var notAudit = storage.Range{To: auditPrefix}

// record is the write of an event.
func record(e Event, by auth.Identity) storage.Op {
	now := time.Now().UTC().Truncate(time.Microsecond)
	p := storage.Props{"type": e.Type, "at": now, "subject": e.Subject, "object": e.Object, "version": int64(e.Version), "detail": e.Detail}
	setBy(p, by.Who())
	return storage.Op{Kind: storage.Insert, Row: auditPrefix + service.NewActID(now), Props: p}
}

func readEvent(e storage.Entity) Event {
	p := e.Props
	return Event{
		ID: strings.TrimPrefix(e.Row, auditPrefix), Type: p.Str("type"), At: p.Time("at"), By: readBy(p),
		Subject: p.Str("subject"), Object: p.Str("object"), Version: int(p.Int("version")), Detail: p.Str("detail"),
	}
}

// Events is a page of the audit. Next, where set, is what the page after it is
// asked for by.
type Events struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"`
}

// DeletedExperiments lists the ids of the experiments that were deleted, which
// their runs outlive.
func (c *Catalog) DeletedExperiments(ctx context.Context, ws string) (ids []string, err error) {
	for e, err := range c.tables.Query(ctx, table, experimentsPartition(ws), storage.Prefix(auditPrefix)) {
		if err != nil {
			return nil, err
		}
		if a := readEvent(e); a.Type == EventExperimentDeleted {
			ids = append(ids, a.Object)
		}
	}
	return ids, nil
}

// Audit returns up to limit acts on a workspace and what it owns, newest first,
// older than the act called before. They are kept for good.
func (c *Catalog) Audit(ctx context.Context, ws, before string, limit int) (*Events, error) {
	r := storage.Prefix(auditPrefix)
	if before != "" {
		if !service.ValidID(before) {
			return nil, fault.New(fault.BadArgument, "InvalidQueryParameter", "before=%.40q is not the id of an entry", before).At("before")
		}
		r.From = auditPrefix + before + "." // just above that id
	}
	partitions := []string{membersPartition(ws), experimentsPartition(ws)}
	for kind := range kinds {
		partitions = append(partitions, versionsPartition(ws, kind))
	}
	out := &Events{Events: []Event{}}
	for _, partition := range partitions {
		n := 0
		for e, err := range c.tables.Query(ctx, table, partition, r) {
			if err != nil {
				return nil, err
			}
			out.Events = append(out.Events, readEvent(e))
			if n++; n > limit {
				break
			}
		}
	}
	slices.SortFunc(out.Events, func(a, b Event) int { return strings.Compare(a.ID, b.ID) })
	if len(out.Events) > limit {
		out.Events = out.Events[:limit]
		out.Next = out.Events[limit-1].ID
	}
	return out, nil
}

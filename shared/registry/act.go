package registry

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// act is one act on a service under way: what was read, and the writes that
// will be its single Apply.
type act struct {
	r   *Registry
	id  string // of the act: its audit row, outbox row and notification
	now time.Time
	by  Actor

	svc   *serviceState
	ops   []storage.Op
	event *Event
	fresh Deployment // the record that keep has added, if any
}

// perform reads, decides and applies until one Apply stands or decide refuses.
// Every Apply replaces the service row under the ETag read first, so whatever
// decide reads afterwards cannot change unseen before its writes. decide that
// records no event does nothing, which is no error.
//
// The state of a service that does not exist yet (Publish) is made by begin;
// otherwise begin is nil.
func (r *Registry) perform(ctx context.Context, ws, svc string, by Actor, begin func() *serviceState, decide func(ctx context.Context, a *act) error) error {
	id := service.NewActID(time.Now())
	for try := 0; ; try++ {
		a := &act{r: r, id: id, now: time.Now().UTC().Truncate(time.Millisecond), by: by}
		var err error
		a.svc, err = r.serviceState(ctx, ws, svc)
		switch {
		case fault.Is(err, fault.NotFound) && begin != nil && service.ValidID(svc):
			a.svc, err = begin(), nil
		case err == nil && a.svc.State == deleted, err == nil && a.svc.State == deleting && begin != nil:
			err = noService(svc)
		}
		if err != nil {
			return err
		}
		if err := decide(ctx, a); err != nil || a.event == nil {
			return err
		}
		err = a.apply(ctx)
		if err == nil {
			r.settle(ctx, a.event)
			return nil
		}
		if !lostRace(err) || try == 7 {
			return err
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Unavailable, "apply")
		case <-time.After(rand.N(time.Duration(try+1) * 10 * time.Millisecond)):
		}
	}
}

// lostRace reports that another act came first, so that the decision has to be
// taken anew.
func lostRace(err error) bool {
	return fault.HasCode(err, storage.CodeCondition) || fault.HasCode(err, storage.CodeExists) || fault.HasCode(err, codeGone)
}

const codeGone = "RowGone"

func (a *act) apply(ctx context.Context) error {
	a.svc.Rev++
	svc := storage.Op{Kind: storage.Replace, Row: serviceRow, IfMatch: a.svc.etag, Props: a.svc.props()}
	if a.svc.etag == "" {
		svc.Kind = storage.Insert
	}
	event, err := jsonRow(a.event)
	if err != nil {
		return err
	}
	ops := append(a.ops, svc,
		storage.Op{Kind: storage.Insert, Row: "audit." + a.id, Props: event},
		storage.Op{Kind: storage.Insert, Row: "outbox." + a.id, Props: event})
	ws, part := a.svc.Workspace, partition(a.svc.Workspace, a.svc.ID)
	if _, err := a.r.tables.Apply(ctx, table, outboxPartition, storage.Op{Kind: storage.Upsert, Row: partition(ws, a.svc.ID), Props: storage.Props{"at": a.now}}); err != nil {
		return err
	}
	_, err = a.r.tables.Apply(ctx, table, part, ops...)
	if err == nil {
		return nil
	}
	// The receipt tells whether it took effect all the same: the answer may
	// have been lost, or a driver may have repeated a write that had succeeded
	// and met its own effect.
	receipt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, rerr := a.r.tables.Get(receipt, table, part, "audit."+a.id); rerr == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.NotFound {
		return fault.New(fault.Conflict, codeGone, "a row was removed meanwhile").Because(err)
	}
	return err
}

func (a *act) insert(row string, p storage.Props) {
	a.ops = append(a.ops, storage.Op{Kind: storage.Insert, Row: row, Props: p})
}

func (a *act) replace(row, etag string, p storage.Props) {
	a.ops = append(a.ops, storage.Op{Kind: storage.Replace, Row: row, IfMatch: etag, Props: p})
}

func (a *act) remove(row, etag string) {
	a.ops = append(a.ops, storage.Op{Kind: storage.Delete, Row: row, IfMatch: etag})
}

// record names the act. Every act has exactly one event.
func (a *act) record(e Event) {
	e.ID, e.At, e.By = a.id, a.now, a.by.who()
	e.Workspace, e.Service, e.ServiceName = a.svc.Workspace, a.svc.ID, a.svc.Name
	a.event = &e
}

// endpoint reads the endpoint called name.
func (a *act) endpoint(ctx context.Context, name string) (*endpointState, error) {
	if a.svc.State != live {
		return nil, noService(a.svc.ID)
	}
	return a.r.endpointNamed(ctx, a.svc.Workspace, a.svc.ID, name)
}

// move points e at digest and adds the entry to its history.
func (a *act) move(e *endpointState, digest string, m Move) error {
	m.Seq, m.Digest, m.From, m.At, m.By = e.Seq+1, digest, e.Digest, a.now, a.by.who()
	e.Digest, e.Seq, e.Position = digest, m.Seq, m.Seq
	if m.To != 0 {
		e.Position = m.To
	}
	h, err := jsonRow(m)
	if err != nil {
		return err
	}
	a.insert(historyRow(e.ID, m.Seq), h)
	return a.put(e)
}

// put writes the endpoint's row.
func (a *act) put(e *endpointState) error {
	e.Updated = a.now
	p, err := e.props()
	if err != nil {
		return err
	}
	if e.etag == "" {
		a.insert(endpointRow(e.ID), p)
	} else {
		a.replace(endpointRow(e.ID), e.etag, p)
	}
	return nil
}

// keep writes the record of a deployment unless there is one: who published
// the same bytes first stays.
func (a *act) keep(ctx context.Context, d Deployment) error {
	_, err := a.r.tables.Get(ctx, table, partition(a.svc.Workspace, a.svc.ID), deploymentRow(d.Digest))
	if err == nil {
		return nil
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	d.Published, d.At = a.by.who(), a.now
	p, err := jsonRow(d)
	if err != nil {
		return err
	}
	a.insert(deploymentRow(d.Digest), p)
	a.fresh = d
	return nil
}

// endpoints reads all endpoints of a service: default first, added ones by
// name, staging last.
func (r *Registry) endpoints(ctx context.Context, ws, svc string) ([]*endpointState, error) {
	var all []*endpointState
	for e, err := range r.tables.Query(ctx, table, partition(ws, svc), storage.Prefix("endpoint.")) {
		if err != nil {
			return nil, err
		}
		s, err := endpointOf(ws, svc, e)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	rank := func(e *endpointState) int {
		switch e.Name {
		case service.Default:
			return 0
		case service.Staging:
			return 2
		}
		return 1
	}
	slices.SortFunc(all, func(x, y *endpointState) int {
		return cmp.Or(rank(x)-rank(y), strings.Compare(x.Name, y.Name))
	})
	return all, nil
}

package registry

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Service is a web service with what a list shows of it.
type Service struct {
	service.WebService
	Creator   auth.Who
	Endpoints int   // how many
	Pending   int64 // number of the promotion waiting for a decision; 0 = none
}

func (s *serviceState) view() Service {
	return Service{WebService: s.WebService, Creator: s.Creator, Endpoints: int(s.Endpoints), Pending: s.Pending}
}

// Services returns the services of a workspace, by name.
func (r *Registry) Services(ctx context.Context, ws string, by Actor) ([]Service, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if !service.ValidID(ws) {
		return nil, fault.New(fault.NotFound, "WorkspaceNotFound", "there is no workspace %q", cut(ws))
	}
	var mu sync.Mutex
	found := []Service{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for row, err := range r.tables.Query(ctx, table, servicesOf(ws), storage.Prefix("service.")) {
		if err != nil {
			g.Wait()
			return nil, err
		}
		svc := strings.TrimPrefix(row.Row, "service.")
		g.Go(func() error {
			s, err := r.liveService(gctx, ws, svc)
			if fault.Is(err, fault.NotFound) {
				return nil // listed before it is made, and until it is gone
			} else if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, s.view())
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b Service) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return found, nil
}

// Service returns one service.
func (r *Registry) Service(ctx context.Context, ws, svc string, by Actor) (*Service, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	s, err := r.liveService(ctx, ws, svc)
	if err != nil {
		return nil, err
	}
	v := s.view()
	return &v, nil
}

// ServiceOfExperiment returns the id of the service published from an
// experiment; NotFound where there is none.
func (r *Registry) ServiceOfExperiment(ctx context.Context, ws, experiment string) (string, error) {
	none := fault.New(fault.NotFound, "WebServiceNotFound", "nothing was published from experiment %q", cut(experiment))
	if !service.ValidID(ws) || !service.ValidID(experiment) {
		return "", none
	}
	e, err := r.tables.Get(ctx, table, servicesOf(ws), "experiment."+experiment)
	if fault.Is(err, fault.NotFound) {
		return "", none
	} else if err != nil {
		return "", err
	}
	svc := e.Props.Str("service")
	if _, err := r.liveService(ctx, ws, svc); fault.Is(err, fault.NotFound) {
		return "", none
	} else if err != nil {
		return "", err
	}
	return svc, nil
}

// ServiceChange changes a service's texts; nil leaves one as it is.
type ServiceChange struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
}

// ChangeService renames or describes a service.
func (r *Registry) ChangeService(ctx context.Context, ws, svc string, by Actor, c ServiceChange) (*Service, error) {
	if err := by.May(ActService, service.Endpoint{Name: service.Staging}); err != nil {
		return nil, err
	}
	if c.Name != nil {
		if err := checkServiceName(*c.Name); err != nil {
			return nil, err
		}
	}
	if c.Description != nil {
		if err := checkText("description", *c.Description); err != nil {
			return nil, err
		}
	}
	var out Service
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		if a.svc.State != live {
			return noService(svc)
		}
		before := a.svc.WebService
		if c.Name != nil {
			a.svc.Name = *c.Name
		}
		if c.Description != nil {
			a.svc.Description = *c.Description
		}
		out = a.svc.view()
		if before == a.svc.WebService {
			return nil
		}
		detail := "description"
		if before.Name != a.svc.Name {
			detail = "renamed from " + before.Name
		}
		a.record(Event{Type: EventServiceChanged, Detail: detail})
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.pointers.forgetService(svc)
	return &out, nil
}

// endpointsPerApply bounds the endpoints removed in one Apply: three rows each,
// beside the rows of the act itself.
const endpointsPerApply = 30

// DeleteService removes a service and its endpoints; what a pending promotion
// asked for has expired. Where default serves something this needs what moving
// default needs. A deletion that stops half way is taken up by calling again,
// and by Sweep. The audit stays.
func (r *Registry) DeleteService(ctx context.Context, ws, svc string, by Actor) error {
	var removed []string
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		all, err := r.endpoints(ctx, ws, svc)
		if err != nil {
			return err
		}
		right := service.Endpoint{Name: service.Staging}
		for _, e := range all {
			if e.Name == service.Default && e.Digest != "" {
				right.Name = service.Default
			}
		}
		if err := by.May(ActDeleteService, right); err != nil {
			return err
		}
		if a.svc.State == deleting {
			return nil // recorded before: go on below
		}
		if n := a.svc.Pending; n != 0 {
			p, err := r.promotion(ctx, ws, svc, n)
			if err != nil {
				return err
			}
			p.State, p.Decided, p.Decider, p.Reason = service.Expired, &a.now, new(by.who()), "the service was deleted"
			props, err := p.props()
			if err != nil {
				return err
			}
			a.replace(promotionRow(n), p.etag, props)
			a.svc.Pending = 0
		}
		first := all[:min(len(all), endpointsPerApply)]
		removed, err = a.removeEndpoints(ctx, first)
		if err != nil {
			return err
		}
		a.svc.State = deleting
		a.record(Event{Type: EventServiceDeleted})
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range removed {
		r.pointers.forget(ws, id)
	}
	return r.finishDeletion(ctx, ws, svc)
}

// removeEndpoints adds to a the removal of endpoints and what hangs on them.
// The look-up rows stay: they lead to nothing any more.
func (a *act) removeEndpoints(ctx context.Context, es []*endpointState) (ids []string, err error) {
	for _, e := range es {
		k, err := a.r.keysState(ctx, a.svc.Workspace, a.svc.ID, e.ID)
		if err == nil {
			a.remove(keysRow(e.ID), k.etag)
		} else if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		a.remove(nameRow(e.Name), storage.AnyETag)
		a.remove(endpointRow(e.ID), e.etag)
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// finishDeletion removes the endpoints left of a service that is deleting, its
// entries in the lists, and marks it deleted. It may be repeated.
func (r *Registry) finishDeletion(ctx context.Context, ws, svc string) error {
	for {
		s, err := r.serviceState(ctx, ws, svc)
		if err != nil {
			return err
		}
		if s.State != deleting {
			return nil
		}
		all, err := r.endpoints(ctx, ws, svc)
		if err != nil {
			return err
		}
		a := &act{r: r, svc: s}
		if len(all) > 0 {
			ids, err := a.removeEndpoints(ctx, all[:min(len(all), endpointsPerApply)])
			if err != nil {
				return err
			}
			if _, err := r.tables.Apply(ctx, table, partition(ws, svc), a.ops...); err != nil && !lostRace(err) && !fault.Is(err, fault.NotFound) {
				return err
			}
			for _, id := range ids {
				r.pointers.forget(ws, id)
			}
			continue
		}
		lists := []storage.Op{{Kind: storage.Delete, Row: "service." + svc, IfMatch: storage.AnyETag}}
		if e, err := r.tables.Get(ctx, table, servicesOf(ws), "experiment."+s.ExperimentID); err == nil && e.Props.Str("service") == svc {
			lists = append(lists, storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: e.ETag})
		} else if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if _, err := r.tables.Apply(ctx, table, servicesOf(ws), lists...); lostRace(err) {
			continue // the experiment is another service's now
		} else if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		s.State, s.Endpoints = deleted, 0
		_, err = r.tables.Apply(ctx, table, partition(ws, svc), storage.Op{Kind: storage.Replace, Row: serviceRow, IfMatch: s.etag, Props: s.props()})
		if err != nil && !lostRace(err) && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
}

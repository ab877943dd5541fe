package registry

import (
	"context"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// MaxEndpoints is the largest number of endpoints of a service.
const MaxEndpoints = 10_000

// Endpoints returns the endpoints of a service: default first, added ones by
// name, staging last.
func (r *Registry) Endpoints(ctx context.Context, ws, svc string, by Actor) ([]service.Endpoint, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	all, err := r.endpoints(ctx, ws, svc)
	if err != nil {
		return nil, err
	}
	out := make([]service.Endpoint, len(all))
	for i, e := range all {
		out[i] = e.Endpoint
	}
	return out, nil
}

// Endpoint returns the endpoint of a service called name.
func (r *Registry) Endpoint(ctx context.Context, ws, svc, name string, by Actor) (*service.Endpoint, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	e, err := r.endpointNamed(ctx, ws, svc, name)
	if err != nil {
		return nil, err
	}
	return &e.Endpoint, nil
}

// validEndpointName reports names of at most 24 lower-case letters and digits.
func validEndpointName(s string) bool {
	if s == "" || len(s) > 24 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// CreateEndpoint adds an endpoint. It starts on what default serves, never on
// staging's.
func (r *Registry) CreateEndpoint(ctx context.Context, ws, svc, name string, by Actor, c SettingsChange) (*service.Endpoint, error) {
	if err := by.May(ActCreateEndpoint, service.Endpoint{Name: name}); err != nil {
		return nil, err
	}
	if !validEndpointName(name) {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "endpoint name %q: a name is at most 24 lower-case letters and digits", cut(name)).At("name")
	}
	settings, err := c.on(service.Settings{})
	if err != nil {
		return nil, err
	}
	e := &endpointState{Endpoint: service.Endpoint{
		Workspace: ws, Service: svc, ID: service.NewID(), Name: name, Settings: settings,
		Created: time.Now().UTC().Truncate(time.Millisecond),
	}}
	err = r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		production, err := a.endpoint(ctx, service.Default)
		if err != nil {
			return err
		}
		if _, err := a.endpoint(ctx, name); err == nil {
			return fault.New(fault.Conflict, "Conflict", "the service has an endpoint %q already", name).At("name")
		} else if !fault.Is(err, fault.NotFound) {
			return err
		}
		if a.svc.Endpoints >= MaxEndpoints {
			return fault.New(fault.InvalidOperation, "TooManyEndpoints", "a service has at most %d endpoints", MaxEndpoints)
		}
		if err := r.listEndpoints(ctx, ws, svc, e.ID); err != nil {
			return err
		}
		e.Digest, e.Seq, e.Position = "", 0, 0
		a.svc.Endpoints++
		a.open(e)
		if production.Digest == "" {
			err = a.put(e)
		} else {
			err = a.move(e, production.Digest, Move{Act: EventEndpointCreated})
		}
		if err != nil {
			return err
		}
		a.record(Event{Type: EventEndpointCreated, Endpoint: name, Digest: e.Digest})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &e.Endpoint, nil
}

// DeleteEndpoint removes an added endpoint.
func (r *Registry) DeleteEndpoint(ctx context.Context, ws, svc, name string, by Actor) error {
	if err := by.May(ActDeleteEndpoint, service.Endpoint{Name: name}); err != nil {
		return err
	}
	var id string
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		e, err := a.endpoint(ctx, name)
		if err != nil {
			return err
		}
		id = e.ID
		if _, err := a.removeEndpoints(ctx, []*endpointState{e}); err != nil {
			return err
		}
		a.svc.Endpoints--
		a.record(Event{Type: EventEndpointDeleted, Endpoint: name, From: e.Digest})
		return nil
	})
	if err != nil {
		return err
	}
	// Best effort: a look-up row that stays leads to nothing.
	_, _ = r.tables.Apply(ctx, table, endpointsOf(ws), storage.Op{Kind: storage.Delete, Row: id, IfMatch: storage.AnyETag})
	r.pointers.forget(ws, id)
	return nil
}

// SettingsChange changes an endpoint's settings; nil leaves one as it is.
type SettingsChange struct {
	Description   *string                `json:"description"`
	ThrottleLevel *service.ThrottleLevel `json:"throttleLevel"`
	// MaxConcurrentCalls 0 is the default of the throttle level.
	MaxConcurrentCalls *int    `json:"maxConcurrentCalls"`
	PreventUpdate      *bool   `json:"preventUpdate"`
	SampleData         *bool   `json:"sampleData"`
	TraceLevel         *string `json:"traceLevel"`
	RowErrors          *string `json:"rowErrors"`
}

// on returns s with the change made, or what is wrong with it.
func (c SettingsChange) on(s service.Settings) (service.Settings, error) {
	bad := func(code, target, format string, args ...any) error {
		return fault.New(fault.BadArgument, code, format, args...).At(target)
	}
	if c.Description != nil {
		if err := checkText("description", *c.Description); err != nil {
			return s, err
		}
		s.Description = *c.Description
	}
	if c.ThrottleLevel != nil {
		if *c.ThrottleLevel != service.ThrottleLow && *c.ThrottleLevel != service.ThrottleHigh {
			return s, bad("BadParameterValue", "ThrottleLevel", "throttle level %q: one of Low, High", cut(string(*c.ThrottleLevel)))
		}
		if s.ThrottleLevel != *c.ThrottleLevel {
			s.ThrottleLevel, s.MaxConcurrentCalls = *c.ThrottleLevel, 0
		}
	}
	if c.MaxConcurrentCalls != nil {
		n := *c.MaxConcurrentCalls
		switch {
		case n < 0:
			return s, bad("WebServiceConcurrentRequestRequirementInvalid", "MaxConcurrentCalls", "max concurrent calls %d: 1 to 200", n)
		case n > 200:
			return s, bad("WebServiceTooManyConcurrentRequestRequirement", "MaxConcurrentCalls", "max concurrent calls %d: at most 200", n)
		case n != 0 && n != 4 && s.ThrottleLevel == service.ThrottleLow:
			return s, bad("WebServiceConcurrentRequestRequirementInvalid", "MaxConcurrentCalls", "max concurrent calls %d: throttle level Low is 4 calls; set High for another number", n)
		}
		s.MaxConcurrentCalls = n
	}
	if c.PreventUpdate != nil {
		s.PreventUpdate = *c.PreventUpdate
	}
	if c.SampleData != nil {
		s.SampleData = *c.SampleData
	}
	if c.TraceLevel != nil {
		switch *c.TraceLevel {
		case "None", "Error", "All":
		default:
			return s, bad("BadParameterValue", "DiagnosticsTraceLevel", "trace level %q: one of None, Error, All", cut(*c.TraceLevel))
		}
		s.TraceLevel = *c.TraceLevel
	}
	if c.RowErrors != nil {
		switch *c.RowErrors {
		case "", "fail", "collect":
		default:
			return s, bad("BadParameterValue", "rowErrors", "row errors %q: one of fail, collect", cut(*c.RowErrors))
		}
		s.RowErrors = *c.RowErrors
	}
	return s, nil
}

// ChangeSettings changes an endpoint's settings; it moves nothing.
func (r *Registry) ChangeSettings(ctx context.Context, ws, svc, name string, by Actor, c SettingsChange) (*service.Endpoint, error) {
	if err := by.May(ActSettings, service.Endpoint{Name: name}); err != nil {
		return nil, err
	}
	var out service.Endpoint
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		e, err := a.endpoint(ctx, name)
		if err != nil {
			return err
		}
		settings, err := c.on(e.Settings)
		if err != nil {
			return err
		}
		out = e.Endpoint
		if settings == e.Settings {
			return nil
		}
		e.Settings = settings
		if err := a.put(e); err != nil {
			return err
		}
		a.record(Event{Type: EventEndpointChanged, Endpoint: name})
		out = e.Endpoint
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.pointers.forget(ws, out.ID)
	return &out, nil
}

// Refresh points an added endpoint at what default serves. With overwrite
// false, resources replaced on the endpoint are kept: it takes the rest from
// default. moved is false where nothing changes.
func (r *Registry) Refresh(ctx context.Context, ws, svc, name string, by Actor, overwrite bool) (e *service.Endpoint, moved bool, err error) {
	if err := by.May(ActRefresh, service.Endpoint{Name: name}); err != nil {
		return nil, false, err
	}
	var out service.Endpoint
	err = r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		production, err := a.endpoint(ctx, service.Default)
		if err != nil {
			return err
		}
		e, err := a.endpoint(ctx, name)
		if err != nil {
			return err
		}
		if production.Digest == "" {
			return notApproved(svc)
		}
		goal := Deployment{Digest: production.Digest}
		if !overwrite && e.Digest != "" {
			if goal, err = r.keepResources(ctx, a, production.Digest, e.Digest); err != nil {
				return err
			}
		}
		out, moved = e.Endpoint, false
		if e.Digest == goal.Digest {
			return nil
		}
		if goal.Base != "" {
			if err := a.keep(ctx, goal); err != nil {
				return err
			}
		}
		from := e.Digest
		if err := a.move(e, goal.Digest, Move{Act: EventEndpointRefreshed}); err != nil {
			return err
		}
		a.record(Event{Type: EventEndpointRefreshed, Endpoint: name, Digest: goal.Digest, From: from})
		out, moved = e.Endpoint, true
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	r.pointers.forget(ws, out.ID)
	return &out, moved, nil
}

func notApproved(svc string) error {
	return fault.New(fault.NotFound, "WebServiceNotFound", "web service %s is published to staging, not approved yet", svc)
}

package registry

import (
	"context"
	"slices"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// Keys are the two keys of an endpoint. They are secrets: never logged.
type Keys struct {
	Primary   string `json:"primary"`
	Secondary string `json:"secondary"`
}

// derive returns the keys of an endpoint. One whose master key the ring lacks
// is "", which matches nothing, and the error says so.
func (r *Registry) derive(ws, id string, k *keysState) (keys Keys, err error) {
	for i, to := range []*string{&keys.Primary, &keys.Secondary} {
		s := k.Slots[i]
		*to = r.ring.Derive(s.Entry, auth.EndpointKey, ws, id, slotNames[i], s.Generation)
		if *to == "" {
			err = r.ring.Missing(s.Entry)
		}
	}
	return keys, err
}

// Keys returns the keys of an endpoint.
func (r *Registry) Keys(ctx context.Context, ws, svc, name string, by Actor) (*Keys, error) {
	if err := by.May(ActSeeKeys, service.Endpoint{Name: name}); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	e, err := r.endpointNamed(ctx, ws, svc, name)
	if err != nil {
		return nil, err
	}
	return r.keysOf(ctx, ws, svc, e.ID)
}

func (r *Registry) keysOf(ctx context.Context, ws, svc, id string) (*Keys, error) {
	k, err := r.keysState(ctx, ws, svc, id)
	if err != nil {
		return nil, err
	}
	keys, err := r.derive(ws, id, k)
	if err != nil {
		return nil, err
	}
	return &keys, nil
}

// HoldsKey returns the actor who holds key, if it is one of the endpoint's own
// two; anything else is Unauthorized, whatever is wrong.
func (r *Registry) HoldsKey(ctx context.Context, ws, svc, name, key string) (Actor, error) {
	refused := fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
	if _, err := r.liveService(ctx, ws, svc); fault.Is(err, fault.NotFound) {
		return Actor{}, refused
	} else if err != nil {
		return Actor{}, err
	}
	e, err := r.endpointNamed(ctx, ws, svc, name)
	if fault.Is(err, fault.NotFound) {
		return Actor{}, refused
	} else if err != nil {
		return Actor{}, err
	}
	t, err := r.Resolve(ctx, ws, e.ID)
	if fault.Is(err, fault.NotFound) || err == nil && !t.Authorized(key) {
		return Actor{}, refused
	} else if err != nil {
		return Actor{}, err
	}
	return KeyHolder(e.ID), nil
}

// RegenerateKey replaces the key in slot ("primary" or "secondary"); callers
// with the old one are refused within 5 s.
func (r *Registry) RegenerateKey(ctx context.Context, ws, svc, name, slot string, by Actor) (*Keys, error) {
	if err := by.May(ActNewKey, service.Endpoint{Name: name}); err != nil {
		return nil, err
	}
	i := slices.Index(slotNames[:], slot)
	if i < 0 {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "key %q: one of primary, secondary", cut(slot)).At("slot")
	}
	var id string
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		e, err := a.endpoint(ctx, name)
		if err != nil {
			return err
		}
		k, err := r.keysState(ctx, ws, svc, e.ID)
		if err != nil {
			return err
		}
		id = e.ID
		k.Slots[i] = r.ring.Next(k.Slots[i], a.now)
		a.replace(keysRow(e.ID), k.etag, k.props())
		e.KeysRev++
		if err := a.put(e); err != nil {
			return err
		}
		a.record(Event{Type: EventKeyRegenerated, Endpoint: name, Detail: slot})
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.pointers.forget(ws, id)
	return r.keysOf(ctx, ws, svc, id)
}

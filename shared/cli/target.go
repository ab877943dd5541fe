package cli

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/service"
)

// target is an endpoint as those who call it know it.
type target struct {
	*client.Client
	ws, id, key string
	// service (an id) and name are what members call it by, where they are
	// known.
	service, name string
}

func (t *target) path(rest string) string {
	return "/workspaces/" + t.ws + "/services/" + t.id + rest
}

func (t *target) job(id string) string { return t.path("/jobs/" + id) }

// address is an address of an endpoint, or of one of its jobs.
type address struct{ server, ws, endpoint, job string }

// parseAddress takes an address apart; ok is false where it is none.
func parseAddress(text string) (a address, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return a, false
	}
	p := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(p) < 4 || p[0] != "workspaces" && p[0] != "subscriptions" || p[2] != "services" {
		return a, false
	}
	a = address{server: u.Scheme + "://" + u.Host, ws: p[1], endpoint: p[3]}
	if len(p) >= 6 && p[4] == "jobs" {
		a.job = p[5]
	}
	return a, service.ValidID(a.ws) && service.ValidID(a.endpoint)
}

// target finds the endpoint that is meant, and a key to it: by its address or
// ids and a key, or by names and a token.
func (s *session) target(ctx context.Context) (*target, error) {
	t, err := s.find(ctx)
	if err != nil || t.key != "" {
		return t, err
	}
	c, token, err := s.member(ctx, "an endpoint without its key")
	if err != nil {
		return nil, err
	}
	if t.name == "" {
		if err := s.nameOf(ctx, c, token, t); err != nil {
			return nil, err
		}
	}
	var keys struct{ Primary string }
	if _, err := c.Get(ctx, client.Manage(t.ws, "services", t.service, "endpoints", t.name, "keys"), token, &keys); err != nil {
		return nil, err
	}
	t.key = keys.Primary
	return t, nil
}

// find finds the endpoint that is meant, with the key of the settings, if any.
func (s *session) find(ctx context.Context) (*target, error) {
	if a, ok := parseAddress(s.set.Endpoint); ok {
		s.set.Server, s.set.Workspace, s.set.Endpoint = a.server, a.ws, a.endpoint
	}
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	t := &target{Client: c, key: s.set.Key}
	if service.ValidID(s.set.Endpoint) && service.ValidID(s.set.Workspace) {
		t.ws, t.id = s.set.Workspace, s.set.Endpoint
		return t, nil
	}
	c, token, err := s.member(ctx, "an endpoint that is not named by its address")
	if err != nil {
		return nil, err
	}
	svc, err := c.Service(ctx, s.ws, s.set.Service, token)
	if err != nil {
		return nil, named(err, "PORTICO_SERVICE", "-service")
	}
	e, err := c.Endpoint(ctx, s.ws, svc.ID, cmp.Or(s.set.Endpoint, service.Default), token)
	if err != nil {
		return nil, named(err, "PORTICO_ENDPOINT", "-endpoint")
	}
	t.ws, t.id, t.service, t.name = s.ws, e.ID, svc.ID, e.Name
	return t, nil
}

// nameOf finds the service of an endpoint of which the id alone is known.
func (s *session) nameOf(ctx context.Context, c *client.Client, token string, t *target) error {
	var services []client.Named
	if _, err := c.Get(ctx, client.Manage(t.ws, "services"), token, &services); err != nil {
		return err
	}
	for _, svc := range services {
		var endpoints []client.Endpoint
		if _, err := c.Get(ctx, client.Manage(t.ws, "services", svc.ID, "endpoints"), token, &endpoints); err != nil {
			return err
		}
		for _, e := range endpoints {
			if e.ID == t.id {
				t.service, t.name = svc.ID, e.Name
				return nil
			}
		}
	}
	return usage("no service of the workspace has an endpoint %s", t.id)
}

// targetOf is target for a job: of an address, or an id with the endpoint's
// name beside it.
func (s *session) targetOf(ctx context.Context, job string) (*target, string, error) {
	if strings.Contains(job, "/") {
		a, ok := parseAddress(job)
		if !ok || a.job == "" {
			return nil, "", usage("%q is neither the id nor the address of a job", job)
		}
		s.set.Endpoint, job = job, a.job
	}
	if job = strings.ToLower(strings.Trim(job, `"`)); !service.ValidID(job) {
		return nil, "", usage("%q is neither the id nor the address of a job", job)
	}
	t, err := s.target(ctx)
	return t, job, err
}

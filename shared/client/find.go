package client

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/service"
)

// Named is something with an id and a name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// NotFound is a name that nothing has, or several things have.
type NotFound struct{ text string }

func (e *NotFound) Error() string { return e.text }

// pick finds the one thing that is meant: by its id, else by its name. An
// empty name means the only one there is.
func pick[T any](what, name string, all []T, named func(T) Named) (T, error) {
	var zero T
	match := func(by func(Named) bool) (found []T) {
		for _, t := range all {
			if by(named(t)) {
				found = append(found, t)
			}
		}
		return found
	}
	var found []T
	switch {
	case name == "":
		found = all
	default:
		if found = match(func(n Named) bool { return n.ID == name }); len(found) == 0 {
			found = match(func(n Named) bool { return n.Name == name })
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var known []string
	for _, t := range all {
		n := named(t)
		known = append(known, fmt.Sprintf("%q (%s)", n.Name, n.ID))
	}
	slices.Sort(known)
	if len(known) > 20 {
		known = append(known[:20], fmt.Sprintf("and %d more", len(known)-20))
	}
	list := "there is none"
	if len(known) > 0 {
		list = "there are " + strings.Join(known, ", ")
	}
	switch {
	case name == "":
		return zero, &NotFound{fmt.Sprintf("no %s is named: %s", what, list)}
	case len(found) == 0:
		return zero, &NotFound{fmt.Sprintf("there is no %s %q: %s", what, name, list)}
	}
	return zero, &NotFound{fmt.Sprintf("%d %ss are called %q: name one by its id; %s", len(found), what, name, list)}
}

func same(n Named) Named { return n }

// Workspace finds the id of a workspace.
func (c *Client) Workspace(ctx context.Context, name, token string) (string, error) {
	if service.ValidID(name) {
		return name, nil
	}
	var all []Named
	if _, err := c.Get(ctx, "/manage/workspaces", token, &all); err != nil {
		return "", err
	}
	ws, err := pick("workspace", name, all, same)
	return ws.ID, err
}

// Service is a web service of a workspace.
type Service struct {
	Named
	ExperimentID     string `json:"experimentId"`
	PendingPromotion int64  `json:"pendingPromotion"`
}

// Service finds a service of a workspace.
func (c *Client) Service(ctx context.Context, ws, name, token string) (Service, error) {
	var all []Service
	if _, err := c.Get(ctx, Manage(ws, "services"), token, &all); err != nil {
		return Service{}, err
	}
	return pick("service", name, all, func(s Service) Named { return s.Named })
}

// Endpoint is an endpoint of a service.
type Endpoint struct {
	Named
	Digest   string `json:"digest"`
	Position int64  `json:"position"`
}

// Endpoint finds an endpoint of a service.
func (c *Client) Endpoint(ctx context.Context, ws, svc, name, token string) (Endpoint, error) {
	var all []Endpoint
	if _, err := c.Get(ctx, Manage(ws, "services", svc, "endpoints"), token, &all); err != nil {
		return Endpoint{}, err
	}
	return pick("endpoint", name, all, func(e Endpoint) Named { return e.Named })
}

// Experiment finds an experiment of a workspace.
func (c *Client) Experiment(ctx context.Context, ws, name, token string) (Named, error) {
	var all struct{ Experiments []Named }
	if _, err := c.Get(ctx, Workbench(ws, "experiments"), token, &all); err != nil {
		return Named{}, err
	}
	return pick("experiment", name, all.Experiments, same)
}

// Manage and Workbench are paths of the APIs of a workspace.
func Manage(ws string, segments ...string) string { return path("/manage", ws, segments) }

// Workbench is a path of the API in which services are built.
func Workbench(ws string, segments ...string) string { return path("/workbench", ws, segments) }

func path(api, ws string, segments []string) string {
	p := api + "/workspaces/" + url.PathEscape(ws)
	for _, s := range segments {
		p += "/" + url.PathEscape(s)
	}
	return p
}

package manage

import (
	"cmp"
	"net/http"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
)

// serviceView is a web service as this API shows it.
type serviceView struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Description      string    `json:"description"`
	WorkspaceID      string    `json:"workspaceId"`
	ExperimentID     string    `json:"experimentId"`
	CreatedAt        time.Time `json:"createdAt"`
	CreatedBy        auth.Who  `json:"createdBy"`
	EndpointCount    int       `json:"endpointCount"`
	PendingPromotion int64     `json:"pendingPromotion,omitempty"`
}

func viewService(s *registry.Service) serviceView {
	return serviceView{
		ID: s.ID, Name: s.Name, Description: s.Description, WorkspaceID: s.Workspace, ExperimentID: s.ExperimentID,
		CreatedAt: s.Created, CreatedBy: s.Creator, EndpointCount: s.Endpoints, PendingPromotion: s.Pending,
	}
}

// endpointView is an endpoint as this API shows it, without its keys.
type endpointView struct {
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Digest    string           `json:"digest"`   // "" = nothing yet
	Position  int64            `json:"position"` // in its history
	Settings  service.Settings `json:"settings"`
	CreatedAt time.Time        `json:"createdAt"`
	UpdatedAt time.Time        `json:"updatedAt"`
	API       string           `json:"apiLocation"`
	Help      string           `json:"helpLocation"`
}

func viewEndpoint(r *http.Request, e *service.Endpoint) endpointView {
	base := web.BaseURL(r)
	return endpointView{
		ID: e.ID, Name: e.Name, Digest: e.Digest, Position: e.Position, Settings: e.Settings, CreatedAt: e.Created, UpdatedAt: e.Updated,
		API:  base + "/workspaces/" + e.Workspace + "/services/" + e.ID,
		Help: base + "/apihelp/workspaces/" + e.Workspace + "/webservices/" + e.Service + "/endpoints/" + e.ID,
	}
}

func (f *Function) services(w http.ResponseWriter, c call) error {
	all, err := f.registry.Services(c.Context(), c.ws, c.by)
	if err != nil {
		return err
	}
	views := make([]serviceView, len(all))
	for i := range all {
		views[i] = viewService(&all[i])
	}
	return web.JSON(w, http.StatusOK, views)
}

// publish takes the last successful run of an experiment to staging.
func (f *Function) publish(w http.ResponseWriter, c call) error {
	var body struct {
		ExperimentID     string  `json:"experimentId"`
		Name             string  `json:"name"`
		Description      *string `json:"description"`
		RequestPromotion bool    `json:"requestPromotion"`
		Note             string  `json:"note"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	q := publish.Request{ExperimentID: body.ExperimentID, Name: body.Name, Description: body.Description}
	if body.RequestPromotion {
		q.Promote = &body.Note
	}
	out, err := f.publisher.Publish(c.Context(), c.ws, c.by, q)
	if err != nil {
		return err
	}
	web.Call(c.Request).Service, web.Call(c.Request).Deployment = out.Service.ID, out.Digest
	status := http.StatusOK
	if out.Created {
		status = http.StatusCreated
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	return web.JSON(w, status, struct {
		ServiceID string              `json:"serviceId"`
		Name      string              `json:"name"`
		Digest    string              `json:"digest"`
		Created   bool                `json:"created"`
		Moved     bool                `json:"moved"`
		Staging   endpointView        `json:"staging"`
		Default   endpointView        `json:"default"`
		Warnings  []string            `json:"warnings"`
		Promotion *registry.Promotion `json:"promotion,omitempty"`
	}{out.Service.ID, out.Service.Name, out.Digest, out.Created, out.Moved, viewEndpoint(c.Request, &out.Staging), viewEndpoint(c.Request, &out.Default), out.Warnings, out.Promotion})
}

func (f *Function) service(w http.ResponseWriter, c call) error {
	s, err := f.registry.Service(c.Context(), c.ws, c.svc, c.by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewService(s))
}

func (f *Function) patchService(w http.ResponseWriter, c call) error {
	var body registry.ServiceChange
	if err := c.body(&body); err != nil {
		return err
	}
	s, err := f.registry.ChangeService(c.Context(), c.ws, c.svc, c.by, body)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewService(s))
}

func (f *Function) deleteService(w http.ResponseWriter, c call) error {
	if err := f.registry.DeleteService(c.Context(), c.ws, c.svc, c.by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// portView is a port of a deployment with its columns.
type portView struct {
	Name    string           `json:"name"`
	Kind    service.PortKind `json:"kind"`
	Columns any              `json:"columns,omitempty"`
}

func viewPorts(ports []service.Port) []portView {
	out := make([]portView, len(ports))
	for i, p := range ports {
		out[i] = portView{Name: p.Name, Kind: cmp.Or(p.Kind, service.Dataset)}
		if p.Schema != nil {
			out[i].Columns = p.Schema
		}
	}
	return out
}

func (f *Function) deployment(w http.ResponseWriter, c call) error {
	d, err := f.registry.DeploymentRecord(c.Context(), c.ws, c.svc, c.PathValue("digest"), c.by)
	if err != nil {
		return err
	}
	m, err := f.registry.Manifest(c.Context(), c.ws, d.Digest)
	if err != nil {
		return err
	}
	resources := []string{}
	for _, a := range registry.Resources(m) {
		resources = append(resources, a.Resource)
	}
	return web.JSON(w, http.StatusOK, struct {
		*registry.Deployment
		Inputs     []portView          `json:"inputs"`
		Outputs    []portView          `json:"outputs"`
		Parameters []service.Parameter `json:"parameters,omitempty"`
		Resources  []string            `json:"resources"`
		Whole      bool                `json:"whole,omitempty"`
		BatchOnly  bool                `json:"batchOnly,omitempty"`
	}{d, viewPorts(m.Inputs), viewPorts(m.Outputs), m.Parameters, resources, m.Whole, m.BatchOnly})
}

func (f *Function) audit(w http.ResponseWriter, c call) error {
	before, limit, err := c.page()
	if err != nil {
		return err
	}
	events, err := f.registry.Audit(c.Context(), c.ws, c.svc, c.by, before, limit)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, events)
}

// Package publish takes the last successful run of an experiment to staging:
// the one act behind our own management API and behind the deploy in one step
// of classic clients.
package publish

import (
	"context"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
)

// Source makes deployments of experiments; *runs.Runs is one.
type Source interface {
	Deployable(ctx context.Context, ws, experimentID string) (*runs.Deployable, error)
}

// Publisher publishes experiments.
type Publisher struct {
	registry *registry.Registry
	catalog  *catalog.Catalog
	source   Source
}

// New returns a publisher.
func New(r *registry.Registry, c *catalog.Catalog, s Source) *Publisher {
	return &Publisher{registry: r, catalog: c, source: s}
}

// Request asks for an experiment to be published.
type Request struct {
	ExperimentID string
	// Name of the service; "" keeps the one it has, and the experiment's where
	// it has none.
	Name        string
	Description *string
	// Promote, where set, files the promotion in the same act; it is the note.
	Promote *string
	// New refuses to overwrite another deployment on staging; see
	// registry.Publication.
	New bool
}

// Publish publishes the experiment's last successful run.
func (p *Publisher) Publish(ctx context.Context, ws string, by registry.Actor, q Request) (*registry.Published, error) {
	if err := by.May(registry.ActPublish, service.Endpoint{Name: service.Staging}); err != nil {
		return nil, err // before anything is read of the experiment
	}
	if !service.ValidID(q.ExperimentID) {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "experimentId: 32 lower-case hex digits are needed").At("experimentId")
	}
	d, err := p.source.Deployable(ctx, ws, q.ExperimentID)
	if err != nil {
		return nil, err
	}
	out := registry.Publication{
		ExperimentID: d.ExperimentID, RunID: d.RunID, Ran: auth.Who{ID: d.RunBy}, Name: q.Name, Description: q.Description,
		Manifest: d.Manifest, Warnings: d.Warnings, Request: q.Promote, New: q.New,
	}
	if out.Models, err = p.models(ctx, ws, d.Models); err != nil {
		return nil, err
	}
	if out.Name == "" {
		// The first publication takes the experiment's name; later ones keep the
		// service's.
		if _, err := p.registry.ServiceOfExperiment(ctx, ws, d.ExperimentID); fault.Is(err, fault.NotFound) {
			out.Name = d.Name
		} else if err != nil {
			return nil, err
		}
	}
	return p.registry.Publish(ctx, ws, by, out)
}

// models adds to the models of a deployment what was recorded with each.
func (p *Publisher) models(ctx context.Context, ws string, ms []runs.Model) ([]registry.ModelUse, error) {
	var out []registry.ModelUse
	for _, m := range ms {
		u := registry.ModelUse{Asset: m.Asset, Name: m.Name, Version: m.Version, Digest: m.Digest, Newer: m.Newer, Verified: m.Verified}
		v, err := p.catalog.Saved(ctx, ws, m.Kind, m.Name, m.Version)
		if err == nil && v.Record != "" {
			u.Record, err = p.catalog.Artifact(ctx, ws, v.Record)
		}
		if err != nil && !fault.Is(err, fault.NotFound) { // deleted since the run
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

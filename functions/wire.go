package main

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/portico-ml/portico/functions/bes"
	"github.com/portico-ml/portico/functions/beschunk"
	"github.com/portico-ml/portico/functions/besjob"
	"github.com/portico-ml/portico/functions/blobs"
	"github.com/portico-ml/portico/functions/drop"
	"github.com/portico-ml/portico/functions/help"
	"github.com/portico-ml/portico/functions/manage"
	"github.com/portico-ml/portico/functions/notify"
	"github.com/portico-ml/portico/functions/rrs"
	runsfunction "github.com/portico-ml/portico/functions/runs"
	"github.com/portico-ml/portico/functions/studioapi"
	"github.com/portico-ml/portico/functions/sweep"
	"github.com/portico-ml/portico/functions/webservices"
	"github.com/portico-ml/portico/functions/workbench"
	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/connect/outside"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// queues are those that the functions drain.
var queues = []string{"besjob", "beschunk", "drop", "runs", "notify"}

// wire makes every function out of its parts. Nothing here decides anything;
// what is passed to whom is all there is to read.
func (a *app) wire(p *parts) {
	st, log, cfg := p.store, a.telemetry.Log, p.cfg

	a.registry = registry.New(st, p.ring, registry.Options{
		AllowSelfApproval: !cfg.FourEyes,
		AllowUntested:     !cfg.RequireEvidence,
		CacheBytes:        cfg.CacheBytes,
		MaxStale:          cfg.StaleFor,
		Log:               log,
	})
	cat := catalog.New(st.Tables, artifact.New(st.Blobs), p.ring)
	files := blob.New(blob.Config{Transport: p.guard.Transport(), Own: p.own(), Accounts: p.accounts})
	world := outside.New(outside.Config{
		Blobs: files, Dial: p.guard.DialContext, Transport: p.guard.Transport(), Accounts: p.accounts, Connections: p.connections,
	})
	experiments := runs.New(runs.Config{Store: st, Catalog: cat, Outside: world.For, Sealer: p.ring, Retention: days(cfg.RunDays), Log: log})
	jobs := batch.New(batch.Config{
		Store: st,
		Deployment: func(ctx context.Context, ws, digest string) (batch.Deployment, func(), error) {
			d, release, err := a.registry.Deployment(ctx, ws, digest)
			if err != nil {
				return nil, nil, err
			}
			return batch.Scored(d), release, nil
		},
		Sealer:  p.ring,
		Blobs:   files,
		Outside: world,
		Scored:  a.jobScored,
		Ended:   a.jobEnded,
		Limits: batch.Limits{
			Window:      cfg.JobWindow,
			ChunkBytes:  cfg.ChunkBytes,
			RecordBytes: int(cfg.RecordBytes),
			ResultDays:  cfg.ResultDays,
			DropDays:    cfg.DropDays,
			RecordDays:  cfg.RecordDays,
		},
		Log: log,
	})

	publisher := publish.New(a.registry, cat, experiments)

	artifacts := garbage.NewArtifacts(garbage.Config{
		Store: st,
		Sources: []garbage.Source{
			a.registry.Roots, cat.Roots, experiments.Roots,
			func(ctx context.Context, ws string, keep func(string)) error {
				return jobs.Pinned(ctx, ws, func(digest string) error { return a.registry.Keep(ctx, ws, digest, keep) })
			},
		},
		Grace: cfg.GarbageGrace,
	})
	kinds := []garbage.Kind{
		{Name: "results", Collect: jobs.Expire},
		{Name: "jobrecords", Collect: jobs.Forget},
		{Name: "dropped", Collect: jobs.ExpireDrops},
		{Name: "uploaded", Collect: garbage.Old(st.Blobs, "uploads", days(cfg.UploadDays))},
		{Name: "runrecords", Collect: experiments.Forget(days(cfg.RecordDays))},
		{Name: "cache", Collect: experiments.Trim(cfg.RunCacheBytes)},
		{Name: "artifacts", Collect: artifacts.Collect},
	}

	rrs.New(a.registry, rrs.Options{
		MaxBody: cfg.MaxBodyBytes,
		MaxRows: cfg.MaxRows,
		Timeout: cfg.ScoreTimeout,
		Memory:  cfg.MemoryBytes,
		Live:    live(cfg, st, log),
		Outside: world.For,
		Log:     log,
	}).Register(a.router)
	bes.New(a.registry, jobs, p.verifier, cat).Register(a.router)
	manage.New(a.registry, cat, publisher, p.verifier, st, kinds).Register(a.router)
	help.New(a.registry).Register(a.router)
	webservices.New(a.registry, cat, p.verifier, files).Register(a.router)
	studio := studioapi.New(studioapi.Config{
		Verifier: p.verifier, Catalog: cat, Registry: a.registry, Runs: experiments, Publisher: publisher, Blobs: st.Blobs,
	})
	studio.Register(a.router)
	workbench.New(p.verifier, cat, experiments, a.registry, st.Blobs).Register(a.router)

	if p.links != nil {
		blobs.New(*st, p.links.Verify).Register(a.router)
	}

	places := event.NewPlaces()
	queue := func(name string, h event.Handler) { a.triggers[name] = azfunc.Trigger{Kind: azfunc.Queue, Handle: h} }
	queue("besjob", besjob.New(jobs, places).Handle)
	queue("beschunk", beschunk.New(jobs, places).Handle)
	queue("drop", drop.New(a.registry, jobs, places, st.Queues, log).Handle)
	queue("notify", notify.New(a.registry, p.guard.Client(), places, st.Queues, log).Handle)
	queue("runs", runsfunction.New(experiments, places, st.Queues, log).Handle)
	duties := []sweep.Duty{
		{Name: "jobs", Every: time.Minute, Step: jobs.SweepJobs},
		{Name: "runs", Every: time.Minute, Step: func(ctx context.Context, _ string) (string, error) {
			_, err := experiments.Rescue(ctx)
			return "", err
		}},
		{Name: "registry", Every: 5 * time.Minute, Step: a.registry.Sweep},
		{Name: "uploads", Every: time.Hour, Step: studio.SweepUploads},
		sweep.Poison(st, log, a.telemetry.Metrics().Poison, queues...),
	}
	for _, k := range kinds {
		duties = append(duties, sweep.Duty{Name: k.Name, Every: 6 * time.Hour, Step: garbage.Sweep(k.Name, k.Collect, cat.NextWorkspace, log)})
	}
	a.triggers["sweep"] = azfunc.Trigger{Kind: azfunc.Timer, Handle: sweep.New(st.Tables, log, duties...).Handle}
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// live counts the processes that share limits; nil where each has its own.
func live(cfg config.Config, st *storage.Store, log *slog.Logger) func() int {
	if !cfg.GlobalLimits {
		return nil
	}
	return rrs.NewInstances(st.Tables, log).Live
}

// own recognises the addresses of blobs in the embedded store; nil where blobs
// have addresses of Azure's.
func (p *parts) own() func(context.Context, *url.URL, bool) (storage.Blobs, string, bool, error) {
	if p.links == nil {
		return nil
	}
	return func(ctx context.Context, address *url.URL, write bool) (storage.Blobs, string, bool, error) {
		return p.links.Own(ctx, *p.store, address, write)
	}
}

// jobScored takes a job that scored for a proof that its deployment works; a
// service may be for batches alone. Where every row was refused it proves
// nothing, as an RRS call that failed.
func (a *app) jobScored(ctx context.Context, s batch.Summary) {
	if s.Bad > 0 && s.Bad == s.Rows {
		return
	}
	if err := a.registry.EvidenceOfJob(ctx, s.Workspace, s.Endpoint, s.Digest); err != nil && !fault.Is(err, fault.NotFound) {
		a.telemetry.Log.WarnContext(ctx, "a job is not recorded as evidence", "endpoint", s.Endpoint, "error", err)
	}
}

// jobEnded counts a job to its endpoint's usage.
func (a *app) jobEnded(s batch.Summary) {
	a.registry.Count(&registry.Target{Endpoint: service.Endpoint{ID: s.Endpoint, Digest: s.Digest}}, registry.Call{
		Failed: s.Failed, Batch: true, Rows: int(s.Rows),
		Missing: int(s.MissingCells), UnknownLevels: int(s.UnknownLevels),
	})
}

// flush writes what is counted in memory.
func (a *app) flush(ctx context.Context) {
	if a.registry == nil {
		return
	}
	if err := a.registry.Flush(ctx); err != nil {
		a.telemetry.Log.WarnContext(ctx, "usage not written", "error", err)
	}
}

// close ends what newApp began.
func (a *app) close(ctx context.Context) {
	a.flush(ctx)
	for _, c := range a.closers {
		if err := c(); err != nil {
			a.telemetry.Log.WarnContext(ctx, "not closed", "error", err)
		}
	}
}

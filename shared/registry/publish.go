package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Publication is what a successful run gives to publish.
type Publication struct {
	ExperimentID string
	RunID        string
	Ran          auth.Who
	Name         string // of the service; "" keeps the one it has
	Description  *string
	Manifest     []byte // as it is to be stored: its bytes are its identity
	Models       []ModelUse
	Warnings     []string
	// Request, where set, files the promotion in the same act, as the classic
	// deploy in one step does. Approval will still ask for a call on staging.
	Request *string // its note
	// New refuses to overwrite another deployment on staging: fault.Conflict
	// with CodePublished.
	New bool
}

// CodePublished says that the experiment was published before.
const CodePublished = "WebServiceExists"

// Published is the outcome of Publish.
type Published struct {
	Service  service.WebService
	Digest   string
	Staging  service.Endpoint
	Default  service.Endpoint
	Created  bool // the service was made by this publication
	Moved    bool // staging served something else before
	Warnings []string
	// Promotion is the one filed with it, if any.
	Promotion *Promotion
}

// Publish stores the deployment and points staging at it. The first
// publication of an experiment makes the service, with its endpoints staging
// and default; later ones overwrite staging. The same bytes give the same
// deployment, and publishing what staging serves moves nothing.
func (r *Registry) Publish(ctx context.Context, ws string, by Actor, p Publication) (*Published, error) {
	if err := by.May(ActPublish, service.Endpoint{Name: service.Staging}); err != nil {
		return nil, err
	}
	if !service.ValidID(ws) {
		return nil, fault.New(fault.NotFound, "WorkspaceNotFound", "there is no workspace %q", cut(ws))
	}
	if !service.ValidID(p.ExperimentID) {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "%q is not the id of an experiment", cut(p.ExperimentID)).At("experimentId")
	}
	if p.Name != "" {
		if err := checkServiceName(p.Name); err != nil {
			return nil, err
		}
	}
	for what, text := range map[string]*string{"description": p.Description, "note": p.Request} {
		if text == nil {
			continue
		}
		if err := checkText(what, *text); err != nil {
			return nil, err
		}
	}
	digest, err := r.store(ctx, ws, p.Manifest)
	if err != nil {
		return nil, err
	}
	d := trim(Deployment{Digest: digest, ExperimentID: p.ExperimentID, RunID: p.RunID, Ran: p.Ran, Models: p.Models, Warnings: p.Warnings})

	svc, err := r.claim(ctx, ws, p.ExperimentID)
	if err != nil {
		return nil, err
	}
	out := &Published{Digest: digest, Warnings: p.Warnings}
	birth := time.Now().UTC().Truncate(time.Millisecond)
	staging := &endpointState{Endpoint: service.Endpoint{Workspace: ws, Service: svc, ID: service.NewID(), Name: service.Staging, Created: birth}}
	production := &endpointState{Endpoint: service.Endpoint{Workspace: ws, Service: svc, ID: service.NewID(), Name: service.Default, Created: birth}}
	begin := func() *serviceState {
		return &serviceState{
			WebService: service.WebService{Workspace: ws, ID: svc, Name: p.Name, ExperimentID: p.ExperimentID, Created: birth},
			Creator:    by.who(), State: live, Endpoints: 2,
		}
	}
	err = r.perform(ctx, ws, svc, by, begin, func(ctx context.Context, a *act) error {
		*out = Published{Digest: digest, Warnings: p.Warnings, Created: a.svc.etag == ""}
		if p.Name != "" {
			a.svc.Name = p.Name
		}
		if p.Description != nil {
			a.svc.Description = *p.Description
		}
		st, def := *staging, *production
		if out.Created {
			if a.svc.Name == "" {
				return fault.New(fault.BadArgument, "BadParameterValue", "a service needs a name").At("name")
			}
			// The look-up rows come first: one without its endpoint answers as
			// if it were not there, an endpoint without one could not be called.
			if err := r.listEndpoints(ctx, ws, svc, st.ID, def.ID); err != nil {
				return err
			}
			a.open(&st)
			a.open(&def)
			if err := a.put(&def); err != nil {
				return err
			}
		} else {
			s, err := a.endpoint(ctx, service.Staging)
			if err != nil {
				return err
			}
			d, err := a.endpoint(ctx, service.Default)
			if err != nil {
				return err
			}
			st, def = *s, *d
			if p.New && st.Digest != digest {
				return fault.New(fault.Conflict, CodePublished, "the experiment is published already, as %q: say that its staging endpoint is to be overwritten", a.svc.Name)
			}
		}
		out.Service, out.Staging, out.Default = a.svc.WebService, st.Endpoint, def.Endpoint
		if st.Digest != digest {
			if err := a.keep(ctx, d); err != nil {
				return err
			}
			from := st.Digest
			if err := a.move(&st, digest, Move{Act: EventPublished}); err != nil {
				return err
			}
			a.record(Event{Type: EventPublished, Endpoint: service.Staging, Digest: digest, From: from})
			out.Staging, out.Moved = st.Endpoint, true
		}
		if p.Request != nil && def.Digest != digest {
			var err error
			out.Promotion, err = a.file(ctx, Request{Digest: digest, Note: *p.Request}, &st, &def, false)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.pointers.forget(ws, out.Staging.ID)
	return out, nil
}

// store keeps a manifest as an artifact and makes sure that what it names is
// there and loads. Everything it touches is safe from garbage collection for
// days, far longer than the act that follows may take.
func (r *Registry) store(ctx context.Context, ws string, manifest []byte) (digest string, err error) {
	m, err := parseManifest(manifest)
	if err != nil {
		return "", err
	}
	for _, a := range m.Assets {
		if err := r.touch(ctx, ws, a); err != nil {
			return "", err
		}
	}
	digest, err = r.artifacts.Put(ctx, ws, manifest)
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "store manifest")
	}
	if digest != artifact.Digest(manifest) {
		return "", fault.New(fault.Internal, "", "manifest stored under %s", digest)
	}
	_, release, err := r.Deployment(ctx, ws, digest)
	if err != nil {
		return "", err
	}
	release()
	return digest, nil
}

// hold touches a deployment and its assets, so that garbage collection leaves
// them to the act that follows.
func (r *Registry) hold(ctx context.Context, ws, digest string) error {
	m, err := r.Manifest(ctx, ws, digest)
	if err != nil {
		return err
	}
	for _, a := range append([]service.Asset{{Name: "deployment", Digest: digest}}, m.Assets...) {
		if err := r.touch(ctx, ws, a); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) touch(ctx context.Context, ws string, a service.Asset) error {
	err := r.artifacts.Touch(ctx, ws, a.Digest)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Package, "ValidationError", "asset %q: no artifact %s in this workspace", a.Name, a.Digest)
	}
	return err
}

func parseManifest(b []byte) (*service.Manifest, error) {
	var m service.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fault.New(fault.Package, "FormatError", "the manifest is not valid JSON").Because(err)
	}
	if m.Format != 1 {
		return nil, fault.New(fault.Package, "FormatError", "the manifest has format %d; this program reads format 1", m.Format)
	}
	return &m, nil
}

// claim returns the id of the service of an experiment, giving it one where it
// has none or its service is gone. The id is listed before the service exists;
// lists leave such an entry out.
func (r *Registry) claim(ctx context.Context, ws, experiment string) (svc string, err error) {
	row := "experiment." + experiment
	for range 8 {
		e, err := r.tables.Get(ctx, table, servicesOf(ws), row)
		op := storage.Op{Kind: storage.Insert, Row: row}
		switch {
		case err == nil:
			svc = e.Props.Str("service")
			s, err := r.serviceState(ctx, ws, svc)
			if fault.Is(err, fault.NotFound) || err == nil && s.State == live {
				return svc, nil
			} else if err != nil {
				return "", err
			}
			op = storage.Op{Kind: storage.Replace, Row: row, IfMatch: e.ETag}
		case !fault.Is(err, fault.NotFound):
			return "", err
		}
		svc = service.NewID()
		op.Props = storage.Props{"service": svc}
		_, err = r.tables.Apply(ctx, table, servicesOf(ws), op, storage.Op{Kind: storage.Insert, Row: "service." + svc, Props: storage.Props{}})
		if err == nil {
			return svc, nil
		}
		if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
			return "", err
		}
	}
	return "", fault.New(fault.Conflict, "Conflict", "experiment %s is being published by others; try again", experiment)
}

// listEndpoints writes the look-up rows of endpoints.
func (r *Registry) listEndpoints(ctx context.Context, ws, svc string, ids ...string) error {
	ops := make([]storage.Op, len(ids))
	for i, id := range ids {
		ops[i] = storage.Op{Kind: storage.Upsert, Row: id, Props: storage.Props{"service": svc}}
	}
	_, err := r.tables.Apply(ctx, table, endpointsOf(ws), ops...)
	return err
}

// open adds the rows that come with a new endpoint; its own row is put or
// moved by the caller.
func (a *act) open(e *endpointState) {
	a.insert(nameRow(e.Name), storage.Props{"id": e.ID})
	a.insert(keysRow(e.ID), newKeys(a.r.ring, a.now).props())
}

func checkServiceName(s string) error {
	if strings.TrimSpace(s) != s || s == "" || len(s) > 100 || !printable(s) {
		return fault.New(fault.BadArgument, "BadParameterValue", "service name %q: a name is 1 to 100 bytes of printable text without space at either end", cut(s)).At("name")
	}
	return nil
}

// maxText bounds descriptions, notes and reasons.
const maxText = 2000

func checkText(what, s string) error {
	if len(s) > maxText || !utf8.ValidString(s) {
		return fault.New(fault.BadArgument, "BadParameterValue", "%s: at most %d bytes of text are kept, not %d", what, maxText, len(s)).At(what)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// trim bounds what is kept beside a manifest, so that its row and those that
// copy it always fit.
func trim(d Deployment) Deployment {
	const most = 32 << 10
	ms := make([]ModelUse, len(d.Models))
	size := 0
	for i, m := range d.Models {
		var b bytes.Buffer
		if json.Compact(&b, m.Record) == nil && size+b.Len() <= most {
			size += b.Len()
			m.Record = b.Bytes()
		} else {
			m.Record = nil
		}
		ms[i] = m
	}
	d.Models = ms
	size = 0
	for i, w := range d.Warnings {
		if size += len(w); size > 16<<10 {
			d.Warnings = append(d.Warnings[:i:i], "…")
			break
		}
	}
	return d
}

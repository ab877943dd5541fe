package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
)

// CodePromotion is the code of the refusal to move default at once; the
// message names the promotion that was filed instead.
const CodePromotion = "PromotionRequired"

// Resource is a trained model to put in the place of another.
type Resource struct {
	Name string // as in "churn model [trained model]"
	File []byte // .ilearner
}

// ReplaceResources makes a derived deployment, in which the named resources
// are replaced and nothing else, and moves the endpoint to it. The new models
// must promise callers what the old ones did. Default is not moved: staging
// gets the deployment, a promotion is filed, and the error, with code
// CodePromotion, names it; the promotion is returned beside the error.
func (r *Registry) ReplaceResources(ctx context.Context, ws, svc, name string, by Actor, rs []Resource) (*service.Endpoint, *Promotion, error) {
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, nil, err
	}
	e, err := r.endpointNamed(ctx, ws, svc, name)
	if err != nil {
		return nil, nil, err
	}
	if err := by.May(ActResources, e.Endpoint); err != nil {
		return nil, nil, err
	}
	if e.Digest == "" {
		return nil, nil, notApproved(svc)
	}
	base := e.Digest
	parts := make(map[string][]byte, len(rs))
	for _, res := range rs {
		part, _, err := model.Split(res.File)
		if err != nil {
			return nil, nil, at(err, res.Name)
		}
		if _, twice := parts[res.Name]; twice {
			return nil, nil, fault.New(fault.BadArgument, "BadParameterValue", "resource %q is named twice", cut(res.Name)).At("Resources")
		}
		parts[res.Name] = part
	}
	d, err := r.deriveFrom(ctx, ws, svc, base, parts)
	if err != nil {
		return nil, nil, err
	}

	var out service.Endpoint
	var filed *Promotion
	moved := ""
	err = r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		filed, moved = nil, ""
		e, err := a.endpoint(ctx, name)
		if err != nil {
			return err
		}
		if err := by.May(ActResources, e.Endpoint); err != nil {
			return err
		}
		if out = e.Endpoint; e.Digest == d.Digest {
			return nil
		}
		if e.Digest != base {
			return expectation(e, base)
		}
		if err := a.keep(ctx, d); err != nil {
			return err
		}
		goal := e
		if name == service.Default {
			if goal, err = a.endpoint(ctx, service.Staging); err != nil {
				return err
			}
		}
		if from := goal.Digest; from != d.Digest {
			if err := a.move(goal, d.Digest, Move{Act: EventResourcesReplaced}); err != nil {
				return err
			}
			moved = goal.ID
			a.record(Event{Type: EventResourcesReplaced, Endpoint: goal.Name, Digest: d.Digest, From: from, Detail: names(d.Replaced)})
		}
		if name == service.Default {
			filed, err = a.file(ctx, Request{Digest: d.Digest, Note: "replaces " + names(d.Replaced)}, goal, e, false)
			return err
		}
		out = e.Endpoint
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if moved != "" {
		r.pointers.forget(ws, moved)
	}
	if filed != nil {
		return &out, filed, fault.New(fault.Conflict, CodePromotion, "endpoint \"default\" moves by an approved promotion only: the update is on staging and filed as promotion %d; call staging with it once, then a deployer can approve it", filed.Number).At("default")
	}
	return &out, nil, nil
}

func names(replaced map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(replaced)), ", ")
}

// Resources returns the resources of a deployment that clients can replace.
func Resources(m *service.Manifest) []service.Asset {
	var out []service.Asset
	for _, a := range m.Assets {
		if a.Resource != "" && a.Kind == service.TrainedModel {
			out = append(out, a)
		}
	}
	return out
}

// deriveFrom stores the deployment that base becomes with the scoring parts
// given under their resource names.
func (r *Registry) deriveFrom(ctx context.Context, ws, svc, base string, parts map[string][]byte) (d Deployment, err error) {
	if len(parts) == 0 {
		return d, fault.New(fault.BadArgument, "BadParameterValue", "no resource is named").At("Resources")
	}
	m, _, err := r.readManifest(ctx, ws, base) // to be changed
	if err != nil {
		return d, err
	}
	record, err := r.deployment(ctx, ws, svc, base)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return d, err
	}
	replaced := maps.Clone(record.Replaced)
	if replaced == nil {
		replaced = map[string]string{}
	}
	models := slices.Clone(record.Models)
	var read frame.Schema // what the new models read
	for name, part := range parts {
		i := slices.IndexFunc(m.Assets, func(a service.Asset) bool {
			return a.Resource == name && a.Kind == service.TrainedModel
		})
		if i < 0 {
			return d, noResource(m, name)
		}
		next, err := r.fits(ctx, ws, &m.Assets[i], part)
		if err != nil {
			return d, err
		}
		read = append(read, next.Columns...)
		digest, err := r.artifacts.Put(ctx, ws, part)
		if err != nil {
			return d, fault.Wrap(err, fault.Unavailable, "store resource")
		}
		old := m.Assets[i].Digest
		m.Assets[i].Digest = digest
		replaced[name] = digest
		models = slices.DeleteFunc(models, func(u ModelUse) bool { return u.Digest == old })
		models = append(models, ModelUse{Asset: m.Assets[i].Name, Name: name, Digest: digest})
	}
	digest, err := r.derived(ctx, ws, m, read)
	if err != nil {
		return d, err
	}
	if digest == base {
		return Deployment{Digest: base}, nil
	}
	root := record.Base
	if root == "" {
		root = base
	}
	return trim(Deployment{
		Digest: digest, ExperimentID: record.ExperimentID, RunID: record.RunID, Ran: record.Ran,
		Models: models, Warnings: record.Warnings, Base: root, Replaced: replaced,
	}), nil
}

// derived stores m, whose assets have changed. Levels that only the new models
// know are pinned besides the old ones, so that they do not score as unknown;
// where the graph cannot take them (a level would be a column, say) the levels
// stay as they were published.
func (r *Registry) derived(ctx context.Context, ws string, m *service.Manifest, read frame.Schema) (digest string, err error) {
	if wide, changed := widen(m, read); changed {
		digest, err = r.storeAnswered(ctx, ws, wide)
		if err == nil || fault.KindOf(err).Traits().Retry {
			return digest, err
		}
		r.log.InfoContext(ctx, "new levels of a replaced model are not pinned", "workspace", ws, "error", err)
	}
	return r.storeAnswered(ctx, ws, m)
}

// widen returns m with the levels of the columns in read added wherever a
// column of that name has levels.
func widen(m *service.Manifest, read frame.Schema) (*service.Manifest, bool) {
	changed := false
	schema := func(s frame.Schema) frame.Schema {
		s = slices.Clone(s)
		for i := range s {
			j := read.Index(s[i].Name)
			if j < 0 || !s[i].Categorical() {
				continue
			}
			if more := missing(read[j].Levels, s[i].Levels); len(more) > 0 {
				s[i].Levels = append(slices.Clone(s[i].Levels), more...)
				changed = true
			}
		}
		return s
	}
	wide := *m
	wide.Inputs, wide.Outputs, wide.Pins = slices.Clone(m.Inputs), slices.Clone(m.Outputs), slices.Clone(m.Pins)
	wide.Samples = slices.Clone(m.Samples)
	for _, ports := range [][]service.Port{wide.Inputs, wide.Outputs} {
		for i := range ports {
			ports[i].Schema = schema(ports[i].Schema)
		}
	}
	for i := range wide.Pins {
		wide.Pins[i].Schema = schema(wide.Pins[i].Schema)
	}
	return &wide, changed
}

func (r *Registry) storeAnswered(ctx context.Context, ws string, m *service.Manifest) (digest string, err error) {
	if err := r.answer(ctx, ws, m); err != nil {
		return "", err
	}
	body, err := encodeManifest(m)
	if err != nil {
		return "", err
	}
	return r.store(ctx, ws, body)
}

// answer records what m, whose assets have changed, answers to its samples.
func (r *Registry) answer(ctx context.Context, ws string, m *service.Manifest) error {
	if len(m.Samples) == 0 {
		return nil
	}
	body, err := encodeManifest(m)
	if err != nil {
		return err
	}
	d, err := scoring.Load(ctx, artifact.Digest(body), body, func(ctx context.Context, digest string) ([]byte, error) {
		return r.artifacts.Get(ctx, ws, digest)
	})
	if err != nil {
		return err
	}
	for i := range m.Samples {
		if m.Samples[i].Answer, err = d.Answer(ctx, m.Samples[i].Request); err != nil {
			return fault.Wrap(err, fault.Package, "score the sample rows")
		}
	}
	return nil
}

// fits returns the signature of the model in part, or why it cannot take the
// place of the asset's model.
func (r *Registry) fits(ctx context.Context, ws string, a *service.Asset, part []byte) (next model.Signature, err error) {
	opened, err := model.Open(part)
	if err != nil {
		return next, at(err, a.Resource)
	}
	body, err := r.artifacts.Get(ctx, ws, a.Digest)
	if err != nil {
		return next, fault.Wrap(err, fault.Unavailable, "read the model to be replaced")
	}
	now, err := model.Open(body)
	if err != nil {
		return next, err
	}
	next = opened.Signature()
	relation, diffs := next.Compare(now.Signature())
	if relation != model.Breaking {
		return next, nil // new levels are welcome
	}
	f := fault.New(fault.Conflict, "ModelOutputMetadataMismatch", "the model given for %q does not promise what the endpoint's callers rely on: %s", a.Resource, diffs[0]).At(a.Resource)
	for _, d := range diffs[1:] {
		f.More = append(f.More, fault.Detail{Code: "ModelOutputMetadataMismatch", Target: a.Resource, Message: d})
	}
	return next, f
}

// keepResources returns what default serves with the resources that were
// replaced on the endpoint's own deployment.
func (r *Registry) keepResources(ctx context.Context, a *act, production, own string) (Deployment, error) {
	ws, svc := a.svc.Workspace, a.svc.ID
	record, err := r.deployment(ctx, ws, svc, own)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Deployment{}, err
	}
	if len(record.Replaced) == 0 {
		return Deployment{Digest: production}, nil
	}
	parts := make(map[string][]byte, len(record.Replaced))
	for name, digest := range record.Replaced {
		if parts[name], err = r.artifacts.Get(ctx, ws, digest); err != nil {
			return Deployment{}, fault.Wrap(err, fault.Unavailable, "read resource")
		}
	}
	return r.deriveFrom(ctx, ws, svc, production, parts)
}

func noResource(m *service.Manifest, name string) error {
	var has []string
	for _, a := range Resources(m) {
		has = append(has, a.Resource)
	}
	if len(has) == 0 {
		return fault.New(fault.BadArgument, "BadParameterValue", "resource %q: this service has no updatable resources", cut(name)).At("Resources")
	}
	return fault.New(fault.BadArgument, "BadParameterValue", "resource %q: the service has %s", cut(name), few(has)).At("Resources")
}

// at names the resource in an error about its file.
func at(err error, resource string) error {
	f := *fault.Of(err)
	f.Target = resource
	return &f
}

// encodeManifest writes a manifest as publish does: fixed field order, no HTML
// escaping.
func encodeManifest(m *service.Manifest) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "encode manifest")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

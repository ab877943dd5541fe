package webservices

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// endpointView is the classic Endpoint object.
type endpointView struct {
	Name                  string
	Description           string
	CreationTime          string
	WorkspaceID           string `json:"WorkspaceId"`
	WebServiceID          string `json:"WebServiceId"`
	HelpLocation          string
	PrimaryKey            *string // null to who may not see it
	SecondaryKey          *string
	APILocation           string `json:"ApiLocation"`
	Version               string
	PreventUpdate         bool
	SampleDataEnabled     bool
	ExperimentLocation    string
	MaxConcurrentCalls    int
	DiagnosticsTraceLevel string
	ThrottleLevel         service.ThrottleLevel
	Resources             []resourceView
}

// resourceView is an updatable resource. Where its present version is stored is
// nobody's business.
type resourceView struct {
	Name     string
	Kind     service.PortKind
	Location struct {
		BaseLocation     *string
		RelativeLocation *string
		SasBlobToken     *string
	}
}

// viewer makes the views of one answer, reading what they share once.
type viewer struct {
	f         *Function
	r         *http.Request
	by        registry.Actor
	svc       *registry.Service
	resources map[string][]resourceView // by digest
}

func (f *Function) viewer(r *http.Request, ws, svc string, by registry.Actor) (*viewer, error) {
	// A key's holder may see of the service what its answer shows.
	reader := by
	if by.Key != "" {
		reader = registry.Actor{Role: auth.Reader}
	}
	s, err := f.registry.Service(r.Context(), ws, svc, reader)
	if err != nil {
		return nil, err
	}
	return &viewer{f: f, r: r, by: by, svc: s, resources: map[string][]resourceView{"": {}}}, nil
}

func (v *viewer) view(e *service.Endpoint) (*endpointView, error) {
	base := web.BaseURL(v.r)
	out := &endpointView{
		Name: e.Name, Description: e.Settings.Description, CreationTime: moment(e.Created), WorkspaceID: e.Workspace, WebServiceID: e.Service,
		HelpLocation:       base + "/apihelp/workspaces/" + e.Workspace + "/webservices/" + e.Service + "/endpoints/" + e.ID,
		APILocation:        base + "/workspaces/" + e.Workspace + "/services/" + e.ID,
		Version:            strconv.FormatInt(max(e.Seq, 1), 10),
		PreventUpdate:      e.Settings.PreventUpdate,
		SampleDataEnabled:  e.Settings.SampleData,
		ExperimentLocation: base + "/Home/ViewExperiment/" + v.svc.ExperimentID,
		MaxConcurrentCalls: e.Settings.Limit(), DiagnosticsTraceLevel: e.Settings.TraceLevel, ThrottleLevel: e.Settings.ThrottleLevel,
	}
	if out.DiagnosticsTraceLevel == "" {
		out.DiagnosticsTraceLevel = "None"
	}
	if out.ThrottleLevel == "" {
		out.ThrottleLevel = service.ThrottleHigh
	}
	if v.by.May(registry.ActSeeKeys, *e) == nil {
		k, err := v.f.registry.Keys(v.r.Context(), e.Workspace, e.Service, e.Name, v.by)
		if err != nil {
			return nil, err
		}
		out.PrimaryKey, out.SecondaryKey = &k.Primary, &k.Secondary
	}
	rs, ok := v.resources[e.Digest]
	if !ok {
		m, err := v.f.registry.Manifest(v.r.Context(), e.Workspace, e.Digest)
		if err != nil {
			return nil, err
		}
		rs = []resourceView{}
		for _, a := range registry.Resources(m) {
			rs = append(rs, resourceView{Name: a.Resource, Kind: a.Kind})
		}
		v.resources[e.Digest] = rs
	}
	out.Resources = rs
	return out, nil
}

// answer writes the endpoint as the caller may see it.
func (f *Function) answer(w http.ResponseWriter, r *http.Request, by registry.Actor, status int, e *service.Endpoint) error {
	web.Call(r).Endpoint, web.Call(r).Deployment = e.ID, e.Digest
	v, err := f.viewer(r, e.Workspace, e.Service, by)
	if err != nil {
		return err
	}
	out, err := v.view(e)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, status, out)
}

func (f *Function) endpoints(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	v, err := f.viewer(r, ws, r.PathValue("svc"), by)
	if err != nil {
		return err
	}
	all, err := f.registry.Endpoints(r.Context(), ws, v.svc.ID, by)
	if err != nil {
		return err
	}
	views := make([]*endpointView, len(all))
	for i := range all {
		if views[i], err = v.view(&all[i]); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, views)
}

func (f *Function) endpoint(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	e, err := f.registry.Endpoint(r.Context(), ws, r.PathValue("svc"), r.PathValue("name"), by)
	if err != nil {
		return err
	}
	return f.answer(w, r, by, http.StatusOK, e)
}

// change is the body of PUT and PATCH.
type change struct {
	Description           *string
	ThrottleLevel         *service.ThrottleLevel
	MaxConcurrentCalls    calls
	PreventUpdate         *bool
	SampleDataEnabled     *bool
	DiagnosticsTraceLevel *string
	Resources             []struct {
		Name     string
		Location blob.Reference
	}
}

// settings returns the settings of c; empty is true where there are none.
func (c *change) settings() (s registry.SettingsChange, empty bool) {
	s = registry.SettingsChange{
		Description: c.Description, ThrottleLevel: c.ThrottleLevel, MaxConcurrentCalls: c.MaxConcurrentCalls.n, PreventUpdate: c.PreventUpdate,
		SampleData: c.SampleDataEnabled, TraceLevel: c.DiagnosticsTraceLevel,
	}
	return s, s == registry.SettingsChange{}
}

// calls is a number of concurrent calls: clients send it as a number, as text,
// or as null.
type calls struct{ n *int }

func (c *calls) UnmarshalJSON(b []byte) error {
	text := strings.TrimSpace(strings.Trim(string(b), `"`))
	if text == "null" || text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fault.New(fault.BadArgument, "WebServiceConcurrentRequestRequirementInvalid", "MaxConcurrentCalls is a number, the text of one, or null").At("MaxConcurrentCalls")
	}
	c.n = &n
	return nil
}

// read decodes a body, which may be left out, as the old service did: without
// regard to case, and to members it does not know.
func read(r *http.Request, v any) error {
	body, err := web.ReadBody(r, maxBody, nil)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	err = json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if f := fault.Of(err); f.Kind == fault.BadArgument {
		return f
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "%s cannot be a JSON %s", t.Field, t.Value).At(t.Field)
	}
	return fault.New(fault.BadArgument, "RequestBodyInvalid", "the body is not a JSON object")
}

func (f *Function) createEndpoint(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	var body change
	if err := read(r, &body); err != nil {
		return err
	}
	settings, _ := body.settings()
	e, err := f.registry.CreateEndpoint(r.Context(), ws, r.PathValue("svc"), r.PathValue("name"), by, settings)
	if err != nil {
		return err
	}
	return f.answer(w, r, by, http.StatusCreated, e)
}

// patchEndpoint changes settings, or replaces resources. Resources come first:
// where they cannot be replaced at once nothing else is changed either.
func (f *Function) patchEndpoint(w http.ResponseWriter, r *http.Request) error {
	ws, svc, name := r.PathValue("ws"), r.PathValue("svc"), r.PathValue("name")
	_, by, err := f.member(r)
	if fault.Is(err, fault.Unauthorized) {
		// Its own key is good for this one call.
		by, err = f.registry.HoldsKey(r.Context(), ws, svc, name, auth.BearerToken(r))
		if err == nil {
			web.Call(r).By = by.ID
		}
	}
	if err != nil {
		return err
	}
	var body change
	if err := read(r, &body); err != nil {
		return err
	}
	settings, none := body.settings()
	if none && len(body.Resources) == 0 {
		return fault.New(fault.BadArgument, "RequestIsEmpty", "the body changes nothing: Description, ThrottleLevel, MaxConcurrentCalls, PreventUpdate, SampleDataEnabled, DiagnosticsTraceLevel or Resources")
	}
	if !none {
		if err := by.May(registry.ActSettings, service.Endpoint{Name: name, ID: by.Key}); err != nil {
			return err
		}
	}
	var e *service.Endpoint
	if len(body.Resources) > 0 {
		if e, err = f.replace(r, ws, svc, name, by, &body); err != nil {
			return err
		}
	}
	if !none {
		if e, err = f.registry.ChangeSettings(r.Context(), ws, svc, name, by, settings); err != nil {
			return err
		}
	}
	return f.answer(w, r, by, http.StatusOK, e)
}

// replace reads the models that the body names and puts them in place.
func (f *Function) replace(r *http.Request, ws, svc, name string, by registry.Actor, body *change) (*service.Endpoint, error) {
	// Before anything is read of places that the caller names.
	if err := by.May(registry.ActResources, service.Endpoint{Name: name, ID: by.Key}); err != nil {
		return nil, err
	}
	rs := make([]registry.Resource, len(body.Resources))
	for i, b := range body.Resources {
		file, err := f.fetch(r, b.Location)
		if err != nil {
			return nil, err
		}
		rs[i] = registry.Resource{Name: b.Name, File: file}
	}
	e, _, err := f.registry.ReplaceResources(r.Context(), ws, svc, name, by, rs)
	return e, err
}

// fetch reads a model from where the caller says.
func (f *Function) fetch(r *http.Request, ref blob.Reference) ([]byte, error) {
	if ref.Ext() != "ilearner" {
		return nil, fault.New(fault.BadArgument, "InvalidBlobExtension", "a trained model is an .ilearner file").At("RelativeLocation")
	}
	ctx := r.Context()
	b, err := f.blobs.Open(ctx, ref, false)
	if err != nil {
		return nil, err
	}
	info, err := b.Head(ctx)
	if err != nil {
		return nil, err
	}
	if info.Size > storage.MaxPutBytes {
		return nil, fault.New(fault.TooLarge, "", "the model has %d bytes: at most %d can be stored", info.Size, storage.MaxPutBytes).At("RelativeLocation")
	}
	body, err := b.Read(ctx, info.ETag, 0, info.Size)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	file := make([]byte, info.Size)
	if _, err := io.ReadFull(body, file); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "read the model")
	}
	return file, nil
}

func (f *Function) deleteEndpoint(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	if err := f.registry.DeleteEndpoint(r.Context(), ws, r.PathValue("svc"), r.PathValue("name"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// truth is a truth value: clients send it as such, or as text.
type truth bool

func (t *truth) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true", "null", "":
		*t = true
	case "false":
		*t = false
	default:
		return fault.New(fault.BadArgument, "BadParameterValue", "OverwriteResources is True or False").At("OverwriteResources")
	}
	return nil
}

func (f *Function) refresh(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	body := struct{ OverwriteResources truth }{true}
	if err := read(r, &body); err != nil {
		return err
	}
	e, moved, err := f.registry.Refresh(r.Context(), ws, r.PathValue("svc"), r.PathValue("name"), by, bool(body.OverwriteResources))
	if err != nil {
		return err
	}
	if !moved {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return f.answer(w, r, by, http.StatusOK, e)
}

package manage

import (
	"net/http"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
)

func (f *Function) endpoints(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	all, err := f.registry.Endpoints(r.Context(), ws, svc, by)
	if err != nil {
		return err
	}
	views := make([]endpointView, len(all))
	for i := range all {
		views[i] = viewEndpoint(r, &all[i])
	}
	return web.JSON(w, http.StatusOK, views)
}

func (f *Function) createEndpoint(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	var body struct {
		Name     string                  `json:"name"`
		Settings registry.SettingsChange `json:"settings"`
	}
	if err := web.ReadJSON(r, &body, maxBody); err != nil {
		return err
	}
	e, err := f.registry.CreateEndpoint(r.Context(), ws, svc, body.Name, by, body.Settings)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, r, http.StatusCreated, e)
}

func (f *Function) answerEndpoint(w http.ResponseWriter, r *http.Request, status int, e *service.Endpoint) error {
	web.Call(r).Endpoint, web.Call(r).Deployment = e.ID, e.Digest
	return web.JSON(w, status, viewEndpoint(r, e))
}

func (f *Function) endpoint(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	e, err := f.registry.Endpoint(r.Context(), ws, svc, r.PathValue("name"), by)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, r, http.StatusOK, e)
}

func (f *Function) patchEndpoint(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	var body registry.SettingsChange
	if err := web.ReadJSON(r, &body, maxBody); err != nil {
		return err
	}
	e, err := f.registry.ChangeSettings(r.Context(), ws, svc, r.PathValue("name"), by, body)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, r, http.StatusOK, e)
}

func (f *Function) deleteEndpoint(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	if err := f.registry.DeleteEndpoint(r.Context(), ws, svc, r.PathValue("name"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// refresh takes what default serves; 304 where the endpoint does already.
func (f *Function) refresh(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	body := struct {
		OverwriteResources *bool `json:"overwriteResources"`
	}{}
	if err := readBody(r, &body); err != nil {
		return err
	}
	overwrite := body.OverwriteResources == nil || *body.OverwriteResources
	e, moved, err := f.registry.Refresh(r.Context(), ws, svc, r.PathValue("name"), by, overwrite)
	if err != nil {
		return err
	}
	if !moved {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return f.answerEndpoint(w, r, http.StatusOK, e)
}

// resources replaces trained models by saved versions of the workspace. On
// default it answers 409 with the promotion it filed.
func (f *Function) resources(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	var body struct {
		Resources []struct {
			Name    string `json:"name"`
			Model   string `json:"model"`
			Version int    `json:"version"`
		} `json:"resources"`
	}
	if err := web.ReadJSON(r, &body, maxBody); err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := by.May(registry.ActResources, service.Endpoint{Name: name}); err != nil {
		return err // before anything is read of the models
	}
	rs := make([]registry.Resource, len(body.Resources))
	for i, b := range body.Resources {
		v, err := f.catalog.Saved(r.Context(), ws, service.TrainedModel, b.Model, b.Version)
		if err != nil {
			return err
		}
		file, err := f.catalog.Artifact(r.Context(), ws, v.Digest)
		if err != nil {
			return err
		}
		rs[i] = registry.Resource{Name: b.Name, File: file}
	}
	e, _, err := f.registry.ReplaceResources(r.Context(), ws, svc, name, by, rs)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, r, http.StatusOK, e)
}

func (f *Function) keys(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	k, err := f.registry.Keys(r.Context(), ws, svc, r.PathValue("name"), by)
	if err != nil {
		return err
	}
	return answerSecret(w, k)
}

// answerSecret answers with what no cache on the way may keep.
func answerSecret(w http.ResponseWriter, v any) error {
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, v)
}

func (f *Function) regenerateKey(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	k, err := f.registry.RegenerateKey(r.Context(), ws, svc, r.PathValue("name"), r.PathValue("slot"), by)
	if err != nil {
		return err
	}
	return answerSecret(w, k)
}

// history is that of the endpoint in the path, of default without one.
func (f *Function) history(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if name == "" {
		name = service.Default
	}
	before, err := number("before", r.URL.Query().Get("before"))
	if err != nil {
		return err
	}
	limit, err := number("limit", r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	h, err := f.registry.History(r.Context(), ws, svc, name, by, before, int(min(limit, registry.MaxPage)))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, h)
}

// maxUsageDays bounds a question about usage: a day is a partition to read.
const maxUsageDays = 92

func (f *Function) usage(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	days, err := number("days", r.URL.Query().Get("days"))
	if err != nil {
		return err
	}
	if days == 0 {
		days = 7
	}
	if days > maxUsageDays {
		return fault.New(fault.BadArgument, "InvalidQueryParameter", "days: at most %d are told at once", maxUsageDays).At("days")
	}
	e, err := f.registry.Endpoint(r.Context(), ws, svc, r.PathValue("name"), by)
	if err != nil {
		return err
	}
	now := time.Now()
	used, err := f.registry.Usage(r.Context(), e.ID, now.AddDate(0, 0, 1-int(days)), now)
	if err != nil {
		return err
	}
	if used == nil {
		used = []registry.Day{}
	}
	return web.JSON(w, http.StatusOK, map[string]any{"endpointId": e.ID, "days": used})
}

func (f *Function) promotions(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	all, err := f.registry.Promotions(r.Context(), ws, svc, by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, all)
}

// request marks staging's deployment ready for production.
func (f *Function) request(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	var body registry.Request
	if err := web.ReadJSON(r, &body, maxBody); err != nil {
		return err
	}
	p, err := f.registry.RequestPromotion(r.Context(), ws, svc, by, body)
	if err != nil {
		return err
	}
	web.Call(r).Deployment = p.Digest
	return web.JSON(w, http.StatusCreated, p)
}

func (f *Function) promotion(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	n, err := number("promotion", r.PathValue("n"))
	if err != nil {
		return err
	}
	p, err := f.registry.Promotion(r.Context(), ws, svc, n, by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, p)
}

// decide approves, rejects or withdraws a promotion.
func (f *Function) decide(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	n, err := number("promotion", r.PathValue("n"))
	if err != nil {
		return err
	}
	decide := f.registry.Approve
	switch r.PathValue("decision") {
	case "approve":
	case "reject":
		decide = f.registry.Reject
	case "withdraw":
		decide = f.registry.Withdraw
	default:
		return fault.New(fault.NotFound, "", "a promotion can be approved, rejected and withdrawn")
	}
	var body registry.Decision
	if err := readBody(r, &body); err != nil {
		return err
	}
	p, err := decide(r.Context(), ws, svc, n, by, body)
	if err != nil {
		return err
	}
	web.Call(r).Deployment = p.Digest
	return web.JSON(w, http.StatusOK, p)
}

func (f *Function) rollback(w http.ResponseWriter, r *http.Request) error {
	ws, svc, by, err := f.onService(r)
	if err != nil {
		return err
	}
	var body registry.Rollback
	if err := web.ReadJSON(r, &body, maxBody); err != nil {
		return err
	}
	m, err := f.registry.Rollback(r.Context(), ws, svc, by, body)
	if err != nil {
		return err
	}
	web.Call(r).Deployment = m.Digest
	return web.JSON(w, http.StatusOK, m)
}

package manage

import (
	"net/http"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
)

func (f *Function) endpoints(w http.ResponseWriter, c call) error {
	all, err := f.registry.Endpoints(c.Context(), c.ws, c.svc, c.by)
	if err != nil {
		return err
	}
	views := make([]endpointView, len(all))
	for i := range all {
		views[i] = viewEndpoint(c.Request, &all[i])
	}
	return web.JSON(w, http.StatusOK, views)
}

func (f *Function) createEndpoint(w http.ResponseWriter, c call) error {
	var body struct {
		Name     string                  `json:"name"`
		Settings registry.SettingsChange `json:"settings"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	e, err := f.registry.CreateEndpoint(c.Context(), c.ws, c.svc, body.Name, c.by, body.Settings)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, c, http.StatusCreated, e)
}

func (f *Function) answerEndpoint(w http.ResponseWriter, c call, status int, e *service.Endpoint) error {
	web.Call(c.Request).Endpoint, web.Call(c.Request).Deployment = e.ID, e.Digest
	return web.JSON(w, status, viewEndpoint(c.Request, e))
}

func (f *Function) endpoint(w http.ResponseWriter, c call) error {
	e, err := f.registry.Endpoint(c.Context(), c.ws, c.svc, c.PathValue("name"), c.by)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, c, http.StatusOK, e)
}

func (f *Function) patchEndpoint(w http.ResponseWriter, c call) error {
	var body registry.SettingsChange
	if err := c.body(&body); err != nil {
		return err
	}
	e, err := f.registry.ChangeSettings(c.Context(), c.ws, c.svc, c.PathValue("name"), c.by, body)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, c, http.StatusOK, e)
}

func (f *Function) deleteEndpoint(w http.ResponseWriter, c call) error {
	if err := f.registry.DeleteEndpoint(c.Context(), c.ws, c.svc, c.PathValue("name"), c.by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// refresh takes what default serves; 304 where the endpoint does already.
func (f *Function) refresh(w http.ResponseWriter, c call) error {
	body := struct {
		OverwriteResources *bool `json:"overwriteResources"`
	}{}
	if err := c.optional(&body); err != nil {
		return err
	}
	overwrite := body.OverwriteResources == nil || *body.OverwriteResources
	e, moved, err := f.registry.Refresh(c.Context(), c.ws, c.svc, c.PathValue("name"), c.by, overwrite)
	if err != nil {
		return err
	}
	if !moved {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return f.answerEndpoint(w, c, http.StatusOK, e)
}

// resources replaces trained models by saved versions of the workspace. On
// default it answers 409 with the promotion it filed.
func (f *Function) resources(w http.ResponseWriter, c call) error {
	var body struct {
		Resources []struct {
			Name    string `json:"name"`
			Model   string `json:"model"`
			Version int    `json:"version"`
		} `json:"resources"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	name := c.PathValue("name")
	if err := c.by.May(registry.ActResources, service.Endpoint{Name: name}); err != nil {
		return err // before anything is read of the models
	}
	rs := make([]registry.Resource, len(body.Resources))
	for i, b := range body.Resources {
		v, err := f.catalog.Saved(c.Context(), c.ws, service.TrainedModel, b.Model, b.Version)
		if err != nil {
			return err
		}
		file, err := f.catalog.Artifact(c.Context(), c.ws, v.Digest)
		if err != nil {
			return err
		}
		rs[i] = registry.Resource{Name: b.Name, File: file}
	}
	e, _, err := f.registry.ReplaceResources(c.Context(), c.ws, c.svc, name, c.by, rs)
	if err != nil {
		return err
	}
	return f.answerEndpoint(w, c, http.StatusOK, e)
}

func (f *Function) keys(w http.ResponseWriter, c call) error {
	k, err := f.registry.Keys(c.Context(), c.ws, c.svc, c.PathValue("name"), c.by)
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

func (f *Function) regenerateKey(w http.ResponseWriter, c call) error {
	k, err := f.registry.RegenerateKey(c.Context(), c.ws, c.svc, c.PathValue("name"), c.PathValue("slot"), c.by)
	if err != nil {
		return err
	}
	return answerSecret(w, k)
}

// history is that of the endpoint in the path, of default without one.
func (f *Function) history(w http.ResponseWriter, c call) error {
	name := c.PathValue("name")
	if name == "" {
		name = service.Default
	}
	before, err := number("before", c.URL.Query().Get("before"))
	if err != nil {
		return err
	}
	limit, err := number("limit", c.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	h, err := f.registry.History(c.Context(), c.ws, c.svc, name, c.by, before, int(min(limit, registry.MaxPage)))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, h)
}

// maxUsageDays bounds a question about usage: a day is a partition to read.
const maxUsageDays = 92

func (f *Function) usage(w http.ResponseWriter, c call) error {
	days, err := number("days", c.URL.Query().Get("days"))
	if err != nil {
		return err
	}
	if days == 0 {
		days = 7
	}
	if days > maxUsageDays {
		return fault.New(fault.BadArgument, "InvalidQueryParameter", "days: at most %d are told at once", maxUsageDays).At("days")
	}
	e, err := f.registry.Endpoint(c.Context(), c.ws, c.svc, c.PathValue("name"), c.by)
	if err != nil {
		return err
	}
	now := time.Now()
	used, err := f.registry.Usage(c.Context(), e.ID, now.AddDate(0, 0, 1-int(days)), now)
	if err != nil {
		return err
	}
	if used == nil {
		used = []registry.Day{}
	}
	return web.JSON(w, http.StatusOK, map[string]any{"endpointId": e.ID, "days": used})
}

func (f *Function) promotions(w http.ResponseWriter, c call) error {
	all, err := f.registry.Promotions(c.Context(), c.ws, c.svc, c.by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, all)
}

// request marks staging's deployment ready for production.
func (f *Function) request(w http.ResponseWriter, c call) error {
	var body registry.Request
	if err := c.body(&body); err != nil {
		return err
	}
	p, err := f.registry.RequestPromotion(c.Context(), c.ws, c.svc, c.by, body)
	if err != nil {
		return err
	}
	web.Call(c.Request).Deployment = p.Digest
	return web.JSON(w, http.StatusCreated, p)
}

func (f *Function) promotion(w http.ResponseWriter, c call) error {
	n, err := number("promotion", c.PathValue("n"))
	if err != nil {
		return err
	}
	p, err := f.registry.Promotion(c.Context(), c.ws, c.svc, n, c.by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, p)
}

// decide approves, rejects or withdraws a promotion.
func (f *Function) decide(w http.ResponseWriter, c call) error {
	n, err := number("promotion", c.PathValue("n"))
	if err != nil {
		return err
	}
	decide := f.registry.Approve
	switch c.PathValue("decision") {
	case "approve":
	case "reject":
		decide = f.registry.Reject
	case "withdraw":
		decide = f.registry.Withdraw
	default:
		return fault.New(fault.NotFound, "", "a promotion can be approved, rejected and withdrawn")
	}
	var body registry.Decision
	if err := c.optional(&body); err != nil {
		return err
	}
	p, err := decide(c.Context(), c.ws, c.svc, n, c.by, body)
	if err != nil {
		return err
	}
	web.Call(c.Request).Deployment = p.Digest
	return web.JSON(w, http.StatusOK, p)
}

func (f *Function) rollback(w http.ResponseWriter, c call) error {
	var body registry.Rollback
	if err := c.body(&body); err != nil {
		return err
	}
	m, err := f.registry.Rollback(c.Context(), c.ws, c.svc, c.by, body)
	if err != nil {
		return err
	}
	web.Call(c.Request).Deployment = m.Digest
	return web.JSON(w, http.StatusOK, m)
}

package studioapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/wire/definition"
)

// activityView is where a deploy stands. It is done when it is answered, so
// that its id, {experiment}.{deployment}, tells any process all there is to
// know of it.
type activityView struct {
	ActivityID        string `json:"ActivityId"`
	WebServiceGroupID string `json:"WebServiceGroupId"`
	EndpointID        string `json:"EndpointId"`        // default: it serves once a deployer approves
	StagingEndpointID string `json:"StagingEndpointId"` // it serves at once
	Status            string
}

// oneStep is the note of the promotion that a deploy files.
const oneStep = "deployed in one step by a client of the Studio API"

// deploy publishes the last successful run to staging and files the promotion.
func (f *Function) deploy(w http.ResponseWriter, c call) error {
	overwrite, err := c.flag("updateExistingWebService")
	if err != nil {
		return err
	}
	rename, err := c.flag("generateNewPortNames")
	if err != nil {
		return err
	}
	if rename {
		return fault.New(fault.Unsupported, "NotSupported", "the ports of a service are called as in its experiment: send generateNewPortNames=false").At("generateNewPortNames")
	}
	note := oneStep
	out, err := f.publisher.Publish(c.Context(), c.ws, c.actor(), publish.Request{ExperimentID: c.ownID(c.PathValue("id")), Promote: &note, New: !overwrite})
	if fault.HasCode(err, registry.CodePublished) {
		e := *fault.Of(err)
		e.Msg = "the experiment is published already: deploy with updateExistingWebService=true to overwrite what it has on staging"
		return &e
	}
	if err != nil {
		return err
	}
	web.Call(c.Request).Service, web.Call(c.Request).Deployment = out.Service.ID, out.Digest
	return web.JSON(w, http.StatusOK, activityView{
		ActivityID: out.Service.ExperimentID + "." + out.Digest, WebServiceGroupID: out.Service.ID,
		EndpointID: out.Default.ID, StagingEndpointID: out.Staging.ID, Status: "Completed",
	})
}

// activity says where a deploy stands.
func (f *Function) activity(w http.ResponseWriter, c call) error {
	ctx, by, id := c.Context(), c.actor(), c.PathValue("id")
	experiment, digest, _ := strings.Cut(c.ownID(id), ".")
	absent := fault.New(fault.NotFound, "ActivityNotFound", "there is no deploy %.120q in the workspace", id)
	svc, err := f.registry.ServiceOfExperiment(ctx, c.ws, experiment)
	if err == nil {
		_, err = f.registry.DeploymentRecord(ctx, c.ws, svc, digest, by)
	}
	if fault.Is(err, fault.NotFound) {
		return absent
	}
	if err != nil {
		return err
	}
	out := activityView{ActivityID: id, WebServiceGroupID: svc, Status: "Completed"}
	for name, to := range map[string]*string{service.Default: &out.EndpointID, service.Staging: &out.StagingEndpointID} {
		e, err := f.registry.Endpoint(ctx, c.ws, svc, name, by)
		if err != nil {
			return err
		}
		*to = e.ID
	}
	web.Call(c.Request).Service, web.Call(c.Request).Deployment = svc, digest
	return web.JSON(w, http.StatusOK, out)
}

// definition is the web service definition of what would be published now.
func (f *Function) definition(w http.ResponseWriter, c call) error {
	ctx, id := c.Context(), c.ownID(c.PathValue("id"))
	d, err := f.runs.Deployable(ctx, c.ws, id)
	if err != nil {
		return err
	}
	work, err := f.catalog.Workspace(ctx, c.ws)
	if err != nil {
		return err
	}
	s := definition.Service{
		Title: d.Name, Location: work.Region, Palette: f.runs.Palette(),
		Address: func(a service.Asset) (string, error) {
			link, err := f.catalog.Link(ctx, c.ws, a.Digest, time.Now().Add(linkLife))
			return link.String(), err
		},
	}
	svc, err := f.registry.ServiceOfExperiment(ctx, c.ws, id)
	switch {
	case err == nil: // what it is called and how it is set
		of, err := f.registry.Service(ctx, c.ws, svc, c.actor())
		if err != nil {
			return err
		}
		e, err := f.registry.Endpoint(ctx, c.ws, svc, service.Staging, c.actor())
		if err != nil {
			return err
		}
		s.Title, s.Description, s.Settings = of.Name, of.Description, e.Settings
	case !fault.Is(err, fault.NotFound):
		return err
	}
	body, err := definition.Encode(d.Parsed, s)
	if err != nil {
		return err
	}
	return web.Bytes(w, http.StatusOK, "application/json; charset=utf-8", body)
}

package studioapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
)

// statusView is where the last run of an experiment stands.
type statusView struct {
	StatusCode   string
	StatusDetail string
	CreationTime string
	StartTime    string
	EndTime      string
	Metadata     *string
}

// experimentView is the classic Experiment object; its Description is the
// name.
type experimentView struct {
	ExperimentID       string  `json:"ExperimentId"`
	RunID              string  `json:"RunId"` // of the last run; empty before the first
	ParentExperimentID *string `json:"ParentExperimentId"`
	JobID              *string `json:"JobId"`
	VersionID          *string `json:"VersionId"`
	Etag               string
	Description        string
	Summary            string
	Creator            string
	Category           string
	IsLeaf             bool
	IsArchived         bool
	DisableNodesUpdate bool
	Tags               []string
	Status             statusView
}

// experimentDocument is an experiment with its graph: ours, in which the ports
// of a web service are nodes.
type experimentDocument struct {
	experimentView
	Graph      json.RawMessage
	WebService *struct{} // null: see Graph
}

// familyMark stands in an experiment's id between the workspace's and its own.
const familyMark = ".f-id."

// ownID returns our id of an experiment, of what a client calls it: that, or
// {ws}.f-id.{id}.
func (c call) ownID(id string) string { return strings.TrimPrefix(id, c.ws+familyMark) }

// states are the classic names of a run's states.
var states = map[runs.State]string{runs.Cancelled: "Canceled"}

// view adds to an experiment where its last run stands.
func (f *Function) view(c call, x *catalog.Experiment) (experimentView, error) {
	last, err := f.runs.List(c.Context(), c.ws, x.ID, 1)
	if err != nil {
		return experimentView{}, err
	}
	id := c.ws + familyMark + x.ID
	out := experimentView{
		ExperimentID: id, Etag: x.Revision, Description: x.Name, Summary: x.Description, Creator: cmp.Or(x.By.Name, x.By.ID),
		Category: "user", IsLeaf: true, Tags: []string{},
		Status: statusView{StatusCode: "InDraft", CreationTime: date(x.Created), StartTime: date(time.Time{}), EndTime: date(time.Time{})},
	}
	if len(last) == 0 {
		return out, nil
	}
	run := last[0]
	out.RunID = id + ".r-id." + run.ID
	out.Status = statusView{
		StatusCode: cmp.Or(states[run.State], string(run.State)), CreationTime: date(x.Created), StartTime: date(run.Started), EndTime: date(run.Ended),
	}
	if run.Error != nil {
		out.Status.StatusDetail = run.Error.Message
	}
	return out, nil
}

func (f *Function) experiments(w http.ResponseWriter, c call) error {
	all, err := f.catalog.Experiments(c.Context(), c.ws)
	if err != nil {
		return err
	}
	views := make([]experimentView, len(all))
	g, ctx := errgroup.WithContext(c.Context())
	g.SetLimit(8)
	in := c
	in.Request = c.WithContext(ctx)
	for i, x := range all {
		g.Go(func() (err error) {
			views[i], err = f.view(in, x)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return list(w, c, views)
}

func (f *Function) experiment(w http.ResponseWriter, c call) error {
	x, err := f.catalog.Experiment(c.Context(), c.ws, c.ownID(c.PathValue("id")))
	if err != nil {
		return err
	}
	return f.answer(w, c, x)
}

func (f *Function) answer(w http.ResponseWriter, c call, x *catalog.Experiment) error {
	v, err := f.view(c, x)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, experimentDocument{experimentView: v, Graph: x.Doc})
}

// submission is the body of what changes an experiment.
type submission struct {
	Description     *string // the name
	Summary         *string
	ExperimentGraph document
	Graph           document
	WebService      document
	Etag            string
	// IsDraft false runs the experiment as well.
	IsDraft *bool
}

func (s *submission) runs() bool { return s.IsDraft != nil && !*s.IsDraft }

// document is a JSON document; null is none.
type document json.RawMessage

func (d *document) UnmarshalJSON(b []byte) error {
	if *d = nil; string(b) != "null" {
		*d = bytes.Clone(b)
	}
	return nil
}

// readSubmission reads a body and checks the graph in it.
func (f *Function) readSubmission(c call) (*submission, json.RawMessage, error) {
	var in submission
	if err := c.decode(&in, 4*catalog.MaxExperimentBytes); err != nil {
		return nil, nil, err
	}
	doc := json.RawMessage(in.ExperimentGraph)
	if doc == nil {
		doc = json.RawMessage(in.Graph)
	}
	var old struct{ ModuleNodes, EdgesInternal, SerializedClientData json.RawMessage }
	if json.Unmarshal(doc, &old) == nil && (old.ModuleNodes != nil || old.EdgesInternal != nil || old.SerializedClientData != nil) {
		return nil, nil, fault.New(fault.Unsupported, "NotSupported",
			"the graph is one of the old Studio's editor, with ModuleNodes: an experiment here has nodes and edges, as in the package of a web service definition").At("ExperimentGraph")
	}
	if text := string(in.WebService); text != "" && text != "{}" {
		return nil, nil, fault.New(fault.Unsupported, "NotSupported", "the ports of a web service are nodes of the graph, with inputId and outputId: send null as WebService").At("WebService")
	}
	if err := f.runs.Keepable(doc); err != nil {
		return nil, nil, err
	}
	if doc != nil && in.runs() {
		// What cannot run is refused before it is saved: a client would send it
		// again, as another experiment.
		problems, err := f.runs.Validate(c.Context(), c.ws, doc)
		if err == nil {
			err = graph.Fault(problems)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return &in, doc, nil
}

func (f *Function) createExperiment(w http.ResponseWriter, c call) error {
	in, doc, err := f.readSubmission(c)
	if err != nil {
		return err
	}
	if doc == nil {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "the body has no ExperimentGraph").At("ExperimentGraph")
	}
	name, summary := "", ""
	if in.Description != nil {
		name = *in.Description
	}
	if in.Summary != nil {
		summary = *in.Summary
	}
	x, err := f.catalog.CreateExperiment(c.Context(), c.ws, name, summary, doc, c.id)
	if err != nil {
		return err
	}
	return f.submitted(w, c, x, in)
}

// changeExperiment changes what the body names. With an Etag, or If-Match, only
// that state of the experiment; without one whatever is there, as the old
// service did.
func (f *Function) changeExperiment(w http.ResponseWriter, c call) error {
	in, doc, err := f.readSubmission(c)
	if err != nil {
		return err
	}
	id := c.ownID(c.PathValue("id"))
	revision, err := f.revision(c, id, in.Etag)
	if err != nil {
		return err
	}
	x, err := f.catalog.ChangeExperiment(c.Context(), c.ws, id, revision, catalog.ExperimentChange{Name: in.Description, Description: in.Summary, Doc: doc}, c.id)
	if err != nil {
		return err
	}
	return f.submitted(w, c, x, in)
}

// revision is the one that the caller means: the given one, that of If-Match,
// or the present one.
func (f *Function) revision(c call, id, given string) (string, error) {
	given = cmp.Or(given, strings.Trim(strings.TrimPrefix(strings.TrimSpace(c.Header.Get("If-Match")), "W/"), `"`))
	if given != "" && given != "*" {
		return given, nil
	}
	x, err := f.catalog.Experiment(c.Context(), c.ws, id)
	if err != nil {
		return "", err
	}
	return x.Revision, nil
}

// submitted runs the experiment if that was asked for, and answers with it.
func (f *Function) submitted(w http.ResponseWriter, c call, x *catalog.Experiment, in *submission) error {
	if in.runs() {
		if _, err := f.runs.Start(c.Context(), c.ws, x.ID, c.id.Key()); err != nil {
			return err
		}
	}
	return f.answer(w, c, x)
}

// deleteExperiment: what the old service called its ancestors, earlier runs,
// goes with it whatever deleteAncestors says.
func (f *Function) deleteExperiment(w http.ResponseWriter, c call) error {
	id := c.ownID(c.PathValue("id"))
	revision, err := f.revision(c, id, "")
	if err != nil {
		return err
	}
	if err := f.catalog.DeleteExperiment(c.Context(), c.ws, id, revision, c.id); err != nil {
		return err
	}
	return web.NoContent(w)
}

// outputData: all of what a node gave in the last run that finished; a table as
// the file that its module says, and else as CSV.
func (f *Function) outputData(w http.ResponseWriter, c call) error {
	id := c.ownID(c.PathValue("id"))
	if _, err := f.catalog.Experiment(c.Context(), c.ws, id); err != nil {
		return err
	}
	all, err := f.runs.List(c.Context(), c.ws, id, 200)
	if err != nil {
		return err
	}
	for _, run := range all {
		if run.State == runs.Finished {
			return f.value(w, c, run.ID)
		}
	}
	return fault.New(fault.InvalidOperation, runs.CodeNeverRun, "no run of the experiment has finished: run it, then read its results")
}

func (f *Function) value(w http.ResponseWriter, c call, run string) error {
	v, own, err := f.runs.Value(c.Context(), c.ws, run, c.PathValue("node"), c.PathValue("port"))
	if err != nil {
		return err
	}
	if v.Kind != service.Dataset {
		return web.Bytes(w, http.StatusOK, "application/octet-stream", v.Artifact)
	}
	ft := format.Lookup(cmp.Or(own, format.CSV))
	body, err := ft.Append(nil, v.Frame)
	if err != nil {
		return err
	}
	return web.Bytes(w, http.StatusOK, ft.MediaType, body)
}

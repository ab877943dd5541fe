package workbench

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
)

// bodyLimit of calls that carry a document: the document, as loosely written as
// one likes.
const bodyLimit = 4 * catalog.MaxExperimentBytes

func (f *Function) listExperiments(w http.ResponseWriter, c call) error {
	list, err := f.catalog.Experiments(c.Context(), c.ws)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"experiments": list})
}

func (f *Function) getExperiment(w http.ResponseWriter, c call) error {
	x, err := f.catalog.Experiment(c.Context(), c.ws, c.PathValue("id"))
	if err != nil {
		return err
	}
	return experiment(w, http.StatusOK, x)
}

// experiment answers with x; its ETag is the condition of the next change.
func experiment(w http.ResponseWriter, status int, x *catalog.Experiment) error {
	w.Header().Set("ETag", `"`+x.Revision+`"`)
	return web.JSON(w, status, x)
}

// createExperiment saves a new experiment: of a document, of a copy of another
// experiment, or of the document that a run kept.
func (f *Function) createExperiment(w http.ResponseWriter, c call) error {
	var in struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Document    json.RawMessage `json:"document"`
		CopyOf      string          `json:"copyOf"`
		FromRun     string          `json:"fromRun"`
	}
	if err := web.ReadJSON(c.Request, &in, bodyLimit); err != nil {
		return err
	}
	sources := 0
	for _, given := range []bool{in.Document != nil, in.CopyOf != "", in.FromRun != ""} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "give one of document, copyOf (an experiment) and fromRun (a run); there are %d", sources)
	}
	ctx := c.Context()
	var x *catalog.Experiment
	var err error
	switch {
	case in.CopyOf != "":
		x, err = f.catalog.CopyExperiment(ctx, c.ws, in.CopyOf, in.Name, c.id)
	case in.FromRun != "":
		if in.Document, err = f.runs.Document(ctx, c.ws, in.FromRun); err != nil {
			return err
		}
		fallthrough
	default:
		if err := f.runs.Keepable(in.Document); err != nil {
			return err
		}
		x, err = f.catalog.CreateExperiment(ctx, c.ws, in.Name, in.Description, in.Document, c.id)
	}
	if err != nil {
		return err
	}
	return experiment(w, http.StatusCreated, x)
}

// putExperiment saves what an editor holds; patchExperiment changes what is
// given. Both are for the revision of If-Match only.
func (f *Function) putExperiment(w http.ResponseWriter, c call) error {
	return f.changeExperiment(w, c, true)
}

func (f *Function) patchExperiment(w http.ResponseWriter, c call) error {
	return f.changeExperiment(w, c, false)
}

func (f *Function) changeExperiment(w http.ResponseWriter, c call, whole bool) error {
	var in struct {
		Name        *string         `json:"name"`
		Description *string         `json:"description"`
		Document    json.RawMessage `json:"document"`
	}
	if err := web.ReadJSON(c.Request, &in, bodyLimit); err != nil {
		return err
	}
	if whole && in.Document == nil {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "the body has no document; PATCH changes name or description alone").At("document")
	}
	if err := f.runs.Keepable(in.Document); err != nil {
		return err
	}
	x, err := f.catalog.ChangeExperiment(c.Context(), c.ws, c.PathValue("id"), revision(c), catalog.ExperimentChange{Name: in.Name, Description: in.Description, Doc: in.Document}, c.id)
	if err != nil {
		return err
	}
	return experiment(w, http.StatusOK, x)
}

func (f *Function) deleteExperiment(w http.ResponseWriter, c call) error {
	if err := f.catalog.DeleteExperiment(c.Context(), c.ws, c.PathValue("id"), revision(c), c.id); err != nil {
		return err
	}
	return web.NoContent(w)
}

// revision reads If-Match, as an entity tag or bare.
func revision(c call) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(c.Header.Get("If-Match")), "W/"), `"`)
}

// validate reports all problems of the saved experiment or, where the request
// has a body {"document": …}, of that draft.
func (f *Function) validate(w http.ResponseWriter, c call) error {
	ctx := c.Context()
	x, err := f.catalog.Experiment(ctx, c.ws, c.PathValue("id"))
	if err != nil {
		return err
	}
	body, err := web.ReadBody(c.Request, bodyLimit, nil)
	if err != nil {
		return err
	}
	doc := x.Doc
	if len(body) > 0 {
		var in struct {
			Document json.RawMessage `json:"document"`
		}
		if err := web.DecodeJSON(body, &in); err != nil {
			return err
		}
		if in.Document == nil {
			return fault.New(fault.BadArgument, "RequestBodyInvalid", "the body has no document; send none to validate what is saved").At("document")
		}
		doc = in.Document
	}
	problems, err := f.runs.Validate(ctx, c.ws, doc)
	if err != nil {
		return err
	}
	out := struct {
		Valid    bool            `json:"valid"`
		Kind     graph.Kind      `json:"kind,omitempty"` // what a valid experiment is for
		Problems []graph.Problem `json:"problems"`
	}{Valid: len(problems) == 0, Problems: problems}
	if out.Valid {
		out.Problems = []graph.Problem{}
		d, err := graph.Parse(doc)
		if err != nil {
			return err
		}
		if g, _ := graph.New(d, f.runs.Palette()); g != nil {
			out.Kind = g.Kind()
		}
	}
	return web.JSON(w, http.StatusOK, out)
}

func (f *Function) startRun(w http.ResponseWriter, c call) error {
	body, err := web.ReadBody(c.Request, bodyLimit, nil)
	if err != nil {
		return err
	}
	var in struct {
		// Credentials are values of the graph parameters of that type, by name.
		Credentials map[string]string `json:"credentials"`
	}
	if len(body) > 0 {
		if err := web.DecodeJSON(body, &in); err != nil {
			return err
		}
	}
	run, err := f.runs.StartWith(c.Context(), c.ws, c.PathValue("id"), c.id.Key(), in.Credentials)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusAccepted, run)
}

func (f *Function) listRuns(w http.ResponseWriter, c call) error {
	limit, err := c.number("limit", 20, 200)
	if err != nil {
		return err
	}
	if _, err := f.catalog.Experiment(c.Context(), c.ws, c.PathValue("id")); err != nil {
		return err
	}
	list, err := f.runs.List(c.Context(), c.ws, c.PathValue("id"), limit)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"runs": list})
}

func (f *Function) getRun(w http.ResponseWriter, c call) error {
	run, err := f.runs.Get(c.Context(), c.ws, c.PathValue("run"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, run)
}

// compareRuns: how two runs differ, of one experiment or of two.
func (f *Function) compareRuns(w http.ResponseWriter, c call) error {
	d, err := f.runs.Compare(c.Context(), c.ws, c.PathValue("run"), c.PathValue("other"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, d)
}

// getRunDocument: the experiment as the run had it.
func (f *Function) getRunDocument(w http.ResponseWriter, c call) error {
	doc, err := f.runs.Document(c.Context(), c.ws, c.PathValue("run"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, doc)
}

// cancelRun succeeds quietly where the run has ended.
func (f *Function) cancelRun(w http.ResponseWriter, c call) error {
	run, err := f.runs.Cancel(c.Context(), c.ws, c.PathValue("run"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, run)
}

// resultFile: all of what a node gave, as a file; of a table in the format asked
// for, else in that of its module, else as CSV.
func (f *Function) resultFile(w http.ResponseWriter, c call) error {
	node, port := c.PathValue("node"), c.PathValue("port")
	v, own, err := f.runs.Value(c.Context(), c.ws, c.PathValue("run"), node, port)
	if err != nil {
		return err
	}
	switch v.Kind {
	case service.Dataset:
		return table(w, c, node, own, v.Frame)
	case service.TrainedModel:
		return attachment(w, node+".ilearner", "application/octet-stream", v.Artifact)
	}
	return attachment(w, node+".json", "application/json", v.Artifact)
}

// preview: what there is to see of what a node gave; of a table its first rows
// and, unless statistics=false, statistics of its columns.
func (f *Function) preview(w http.ResponseWriter, c call) error {
	rows, err := c.number("rows", someRows, maxRows)
	if err != nil {
		return err
	}
	statistics, err := flag("statistics", c.URL.Query().Get("statistics"), true)
	if err != nil {
		return err
	}
	p, err := f.runs.Preview(c.Context(), c.ws, c.PathValue("run"), c.PathValue("node"), c.PathValue("port"), runs.Look{Rows: rows, Statistics: statistics})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, p)
}

package workbench

import (
	"net/http"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/runs"
)

// convert makes a predictive or a retraining experiment of a training
// experiment that has run: a new experiment, or the new document of the one
// that an earlier conversion made.
func (f *Function) convert(w http.ResponseWriter, c call) error {
	var in struct {
		To      string `json:"to"`
		Trainer string `json:"trainer"`
		Name    string `json:"name"`
		Into    string `json:"into"` // an experiment that is there already
	}
	if err := web.ReadJSON(c.Request, &in, bodyLimit); err != nil {
		return err
	}
	ctx, id := c.Context(), c.PathValue("id")
	from, err := f.catalog.Experiment(ctx, c.ws, id)
	if err != nil {
		return err
	}
	var into *catalog.Experiment
	if in.Into != "" {
		if in.Into == id {
			return fault.New(fault.BadArgument, "BadParameterValue", "an experiment is not converted into itself").At("into")
		}
		if into, err = f.catalog.Experiment(ctx, c.ws, in.Into); err != nil {
			return err
		}
	}
	if in.Name == "" {
		in.Name = from.Name
	}
	made, err := f.runs.Convert(ctx, c.ws, id, runs.Conversion{To: runs.Kind(in.To), Trainer: in.Trainer, Name: in.Name}, c.id)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if into == nil {
		status = http.StatusCreated
		into, err = f.catalog.CreateExperiment(ctx, c.ws, in.Name+suffixes[in.To], "", made.Doc, c.id)
	} else {
		into, err = f.catalog.ChangeExperiment(ctx, c.ws, into.ID, into.Revision, catalog.ExperimentChange{Doc: made.Doc}, c.id)
	}
	if err != nil {
		return err
	}
	return web.JSON(w, status, struct {
		Experiment *catalog.Experiment `json:"experiment"`
		Saved      []*catalog.Version  `json:"saved,omitempty"`
		Notes      []string            `json:"notes"`
	}{into, made.Saved, made.Notes})
}

// suffixes of the names of converted experiments, as the Studio gave them.
var suffixes = map[string]string{"predictive": " [Predictive Exp.]", "retraining": " [Retraining Exp.]"}

// saveResult saves what a node of a run gave ("Save as Trained Model"): under
// a new name, or as a new version of one that is there.
func (f *Function) saveResult(w http.ResponseWriter, c call) error {
	var in struct {
		Name string `json:"name"`
		Port string `json:"port"`
	}
	if err := web.ReadJSON(c.Request, &in, bodyLimit); err != nil {
		return err
	}
	v, err := f.runs.Save(c.Context(), c.ws, c.PathValue("run"), c.PathValue("node"), in.Port, in.Name, c.id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, v)
}

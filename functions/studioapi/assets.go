package studioapi

import (
	"net/http"

	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/wire/definition"
)

// language is what a module or a model is written in.
type language struct{ Language, Version string }

// modelView is the classic object of a trained model or a transformation.
type modelView struct {
	assetView
	Language *language
}

func (f *Function) trainedModels(w http.ResponseWriter, c call) error {
	return f.saved(w, c, service.TrainedModel, "ILearnerDotNet")
}

func (f *Function) transformations(w http.ResponseWriter, c call) error {
	return f.saved(w, c, service.Transformation, "ITransformDotNet")
}

func (f *Function) saved(w http.ResponseWriter, c call, kind service.PortKind, dataType string) error {
	all, err := f.catalog.List(c.Context(), c.ws, kind)
	if err != nil {
		return err
	}
	views := []modelView{}
	for _, v := range all {
		views = append(views, modelView{assetView: asset(c.ws, v, dataType, true)})
	}
	return web.JSON(w, http.StatusOK, views)
}

// moduleView is the classic Module object.
type moduleView struct {
	ID              string `json:"Id"`
	Name            string
	Description     string
	Category        string
	FamilyID        string `json:"FamilyId"`
	IsDeterministic bool
	IsBlocking      bool // it needs all rows at once
	ModuleType      string
	ReleaseState    string
	ModuleLanguage  language
	Size            int
	CreatedDate     *string
	Owner           string
	IsLatest        bool
	IsDeprecated    bool
	ClientVersion   *string
	ServiceVersion  int
	Batch           int
}

func (f *Function) modules(w http.ResponseWriter, c call) error {
	views := []moduleView{}
	for m := range f.runs.Palette().All() {
		id := definition.ModuleID(m.Name)
		views = append(views, moduleView{
			ID: id, Name: m.Name, Description: m.Doc, Category: m.Group, FamilyID: id,
			IsDeterministic: !m.Outside, IsBlocking: m.Nature == module.WholeTable,
			ModuleType: "Module", ReleaseState: "Release", ModuleLanguage: language{Language: "Go"},
			Owner: "Portico", IsLatest: true, ServiceVersion: m.CodeVersion, Batch: 1,
		})
	}
	return web.JSON(w, http.StatusOK, views)
}

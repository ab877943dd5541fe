package workbench

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/importer"
	"github.com/portico-ml/portico/shared/service"
)

// kindOf holds what is the same for datasets, trained models and
// transformations.
type kindOf struct {
	*Function
	kind service.PortKind
}

func (k kindOf) list(w http.ResponseWriter, c call) error {
	list, err := k.catalog.List(c.Context(), c.ws, k.kind)
	if err != nil {
		return err
	}
	plural := map[service.PortKind]string{service.Dataset: "datasets", service.TrainedModel: "models", service.Transformation: "transformations"}
	return web.JSON(w, http.StatusOK, map[string]any{plural[k.kind]: list})
}

func (k kindOf) versions(w http.ResponseWriter, c call) error {
	list, err := k.catalog.Versions(c.Context(), c.ws, k.kind, c.PathValue("name"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"name": list[0].Name, "versions": list})
}

// saved resolves a name and the text of a version.
func (f *Function) saved(c call, kind service.PortKind, name, version string) (*catalog.Version, error) {
	n, err := catalog.ParseNumber(version)
	if err != nil {
		return nil, err
	}
	return f.catalog.Saved(c.Context(), c.ws, kind, name, n)
}

func (k kindOf) here(c call) (*catalog.Version, error) {
	return k.saved(c, k.kind, c.PathValue("name"), c.PathValue("version"))
}

// version: one version with its record.
func (k kindOf) version(w http.ResponseWriter, c call) error {
	v, err := k.here(c)
	if err != nil {
		return err
	}
	out := struct {
		*catalog.Version
		Record json.RawMessage `json:"record,omitempty"`
	}{Version: v}
	if v.Record != "" {
		if out.Record, err = k.catalog.Artifact(c.Context(), c.ws, v.Record); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, out)
}

// record: what is known of a version, by itself.
func (k kindOf) record(w http.ResponseWriter, c call) error {
	v, err := k.here(c)
	if err != nil {
		return err
	}
	if v.Record == "" {
		return fault.New(fault.NotFound, "", "version %d of %q has no record", v.Number, v.Name)
	}
	body, err := k.catalog.Artifact(c.Context(), c.ws, v.Record)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, json.RawMessage(body))
}

// file: a trained model as an .ilearner file with its record, which can be
// imported elsewhere; a transformation as it is stored.
func (k kindOf) file(w http.ResponseWriter, c call) error {
	v, err := k.here(c)
	if err != nil {
		return err
	}
	body, err := k.catalog.Artifact(c.Context(), c.ws, v.Digest)
	if err != nil {
		return err
	}
	name := v.Name + ".transform"
	if k.kind == service.TrainedModel {
		name = v.Name + ".ilearner"
		if v.Record != "" {
			record, err := k.catalog.Artifact(c.Context(), c.ws, v.Record)
			if err != nil {
				return err
			}
			body = model.Join(body, record)
		}
	}
	return attachment(w, name, "application/octet-stream", body)
}

// original: the file as it was imported.
func (k kindOf) original(w http.ResponseWriter, c call) error {
	v, err := k.here(c)
	if err != nil {
		return err
	}
	if v.Original == "" {
		return fault.New(fault.NotFound, "", "version %d of %q was not imported: it has no original file", v.Number, v.Name)
	}
	body, err := k.catalog.Artifact(c.Context(), c.ws, v.Original)
	if err != nil {
		return err
	}
	name, contentType := v.Name, "application/octet-stream"
	if k.kind == service.Dataset {
		if end := "." + v.Format; !strings.HasSuffix(strings.ToLower(name), end) {
			name += end
		}
		switch ft, compression := format.OfFile("." + v.Format); {
		case compression != format.None:
			contentType = "application/" + string(compression)
		case ft != nil:
			contentType = ft.MediaType
		}
	}
	return attachment(w, name, contentType, body)
}

// importRequest is the JSON form of an import: files are uploads, datasets or
// text.
type importRequest struct {
	Name       string          `json:"name"`
	FileName   string          `json:"fileName"`
	File       *source         `json:"file"`
	Binding    json.RawMessage `json:"binding"`
	SchemaFrom *source         `json:"schemaFrom"`
	Check      *source         `json:"check"`
}

// importModel makes a trained model of a file: multipart/form-data with the
// parts name, file, binding, schemaFrom and check, or JSON that names them.
func (f *Function) importModel(w http.ResponseWriter, c call) error {
	name, req, err := f.readImport(c)
	if err != nil {
		return err
	}
	if name, err = c.name(name); err != nil {
		return err
	}
	if err := catalog.CheckName("trained model", name); err != nil {
		return err // before the work, not after
	}
	if len(req.File) == 0 {
		return fault.New(fault.BadArgument, "MissingModelPackage", "the import has no file").At("file")
	}
	res, err := importer.Import(*req)
	if err != nil {
		return err
	}
	v, err := f.catalog.SaveModel(c.Context(), c.ws, catalog.NewModel{
		Kind: service.TrainedModel, Name: name, Artifact: res.Artifact, Original: req.File, Format: res.Format, Record: res.Record, Unverified: !res.Verified,
	}, c.id)
	if err != nil {
		return err
	}
	warnings := res.Warnings
	if !res.Verified {
		warnings = append([]string{"unverified: no check was given; import again with check, a table with the scores of the model's own program"}, warnings...)
	}
	return web.JSON(w, http.StatusCreated, struct {
		*catalog.Version
		Record   json.RawMessage `json:"record"`
		Warnings []string        `json:"warnings,omitempty"`
	}{v, res.Record, warnings})
}

func (f *Function) readImport(c call) (name string, req *importer.Request, err error) {
	switch c.mediaType() {
	case "multipart/form-data":
		parts, filename, err := c.form("name", "file", "binding", "schemaFrom", "check")
		if err != nil {
			return "", nil, err
		}
		return string(parts["name"]), &importer.Request{
			Name: filename, File: parts["file"], Binding: parts["binding"], SchemaFrom: parts["schemaFrom"], Check: parts["check"],
		}, nil
	case "application/json":
	default:
		return "", nil, badBody("an import is multipart/form-data with the parts name, file, binding, schemaFrom and check, or application/json")
	}
	var in importRequest
	if err := web.ReadJSON(c.Request, &in, maxUpload); err != nil {
		return "", nil, err
	}
	req = &importer.Request{Name: in.FileName, Binding: in.Binding}
	if req.Name == "" {
		req.Name = in.File.file()
	}
	for _, s := range []struct {
		what string
		from *source
		to   *[]byte
	}{{"file", in.File, &req.File}, {"schemaFrom", in.SchemaFrom, &req.SchemaFrom}, {"check", in.Check, &req.Check}} {
		if *s.to, err = f.bytes(c, s.what, s.from); err != nil {
			return "", nil, err
		}
	}
	return in.Name, req, nil
}

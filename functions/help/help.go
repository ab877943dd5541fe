// Package help serves the API help pages of an endpoint, at the address that
// the management API calls HelpLocation: how to score (score), to run batches
// (jobs), to update the model (update), and the swagger document
// (apidocument). None needs a key: they say how to call, and nothing that
// swagger.json does not.
package help

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/wire"
)

//go:embed page.html
var pageText string

var page = sync.OnceValue(func() *template.Template { return template.Must(template.New("help").Parse(pageText)) })

// Registry is what a page asks of the registry: *registry.Registry.
type Registry interface {
	Find(ctx context.Context, ws, svc, endpoint string) (*registry.Target, error)
	Manifest(ctx context.Context, ws, digest string) (*service.Manifest, error)
}

// Function is the help function.
type Function struct{ registry Registry }

// New returns the function.
func New(r Registry) *Function { return &Function{r} }

// Register adds the routes. Callers: people with a browser; of apidocument,
// the R client, which appends it to HelpLocation.
func (f *Function) Register(rt *web.Router) {
	const base = "GET /apihelp/workspaces/{ws}/webservices/{svc}/endpoints/{endpoint}"
	rt.Handle(base, f.page("score"))
	rt.Handle(base+"/score", f.page("score"))
	rt.Handle(base+"/jobs", f.page("jobs"))
	rt.Handle(base+"/update", f.page("update"))
	rt.Handle(base+"/apidocument", f.apiDocument)
}

// endpoint finds what the address names: a service of the workspace and an
// endpoint of it, by id or by name, with what it serves.
func (f *Function) endpoint(r *http.Request) (*registry.Target, *service.Manifest, error) {
	ws, svc := r.PathValue("ws"), r.PathValue("svc")
	info := web.Call(r)
	info.Workspace, info.Service = ws, svc
	t, err := f.registry.Find(r.Context(), ws, svc, r.PathValue("endpoint"))
	if err != nil {
		return nil, nil, err
	}
	info.Endpoint = t.Endpoint.ID
	digest, err := t.Serving()
	if err != nil {
		return nil, nil, err
	}
	info.Deployment = digest
	m, err := f.registry.Manifest(r.Context(), ws, digest)
	return t, m, err
}

func (f *Function) apiDocument(w http.ResponseWriter, r *http.Request) error {
	t, m, err := f.endpoint(r)
	if err != nil {
		return err
	}
	return web.Bytes(w, http.StatusOK, "application/json; charset=utf-8", wire.Swagger(m, wire.Endpoint{
		Title: t.Service.Name, Description: t.Service.Description, Name: t.Endpoint.Name,
		BaseURL: web.BaseURL(r), Path: "/workspaces/" + t.Endpoint.Workspace + "/services/" + t.Endpoint.ID,
		SampleData: t.Endpoint.Settings.SampleData,
	}))
}

// view is what a page shows.
type view struct {
	Kind        string // score, jobs or update
	Title       string
	Service     string
	Endpoint    string
	Description string
	Updated     string
	Base        string // of this endpoint's pages
	API         string // ApiLocation
	Management  string // of this endpoint, where it is updated

	BatchOnly  bool
	Table      string // sample bodies, indented
	Rows       string
	Curl       string
	Python     string // a job from beginning to end
	Inputs     []port
	Outputs    []port
	Parameters []parameter
	Resources  []string
	Limit      int
}

type port struct {
	Name    string
	File    bool // not a table
	Kind    service.PortKind
	Columns []column
}

type column struct {
	Name, Type, Levels, Note string
}

type parameter struct {
	Name, Type, Default, Description string
	Required                         bool
}

func (f *Function) page(kind string) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		t, m, err := f.endpoint(r)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := page().Execute(&b, newView(kind, web.BaseURL(r), t, m)); err != nil {
			return fmt.Errorf("render the help page: %w", err)
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		return web.Bytes(w, http.StatusOK, "text/html; charset=utf-8", b.Bytes())
	}
}

var titles = map[string]string{
	"score":  "Request Response API Documentation",
	"jobs":   "Batch Execution API Documentation",
	"update": "Update Resource API Documentation",
}

func newView(kind, base string, t *registry.Target, m *service.Manifest) view {
	e := &t.Endpoint
	v := view{
		Kind: kind, Title: titles[kind], Service: t.Service.Name, Endpoint: e.Name, Description: t.Service.Description,
		Updated:    e.Updated.UTC().Format(time.RFC1123),
		Base:       base + "/apihelp/workspaces/" + e.Workspace + "/webservices/" + e.Service + "/endpoints/" + e.ID,
		API:        base + "/workspaces/" + e.Workspace + "/services/" + e.ID,
		Management: base + "/workspaces/" + e.Workspace + "/webservices/" + e.Service + "/endpoints/" + e.Name,
		BatchOnly:  m.BatchOnly, Limit: e.Settings.Limit(),
		Inputs: ports(m.Inputs, true), Outputs: ports(m.Outputs, false),
	}
	if v.Description == "" {
		v.Description = wire.NoDescription
	}
	for _, p := range m.Parameters {
		q := parameter{Name: p.Name, Type: string(p.Type), Description: p.Description, Required: p.Default == nil}
		if p.Default != nil {
			q.Default = *p.Default
		}
		v.Parameters = append(v.Parameters, q)
	}
	for _, a := range registry.Resources(m) {
		v.Resources = append(v.Resources, a.Resource)
	}
	switch kind {
	case "score":
		body := wire.Example(m, wire.Table, e.Settings.SampleData)
		v.Table, v.Rows = indent(body), indent(wire.Example(m, wire.Rows, e.Settings.SampleData))
		v.Curl = curl("POST", v.API+"/execute?api-version=2.0&details=true", body)
	case "jobs":
		v.Curl = curl("POST", v.API+"/jobs?api-version=2.0", jobBody(m))
		v.Python = python(v.API, m)
	case "update":
		if len(v.Resources) > 0 {
			v.Curl = curl("PATCH", v.Management, updateBody(v.Resources[0]))
		}
	}
	return v
}

// ports lists ports and their columns.
func ports(ps []service.Port, in bool) []port {
	var out []port
	for _, p := range ps {
		v := port{Name: p.Name, Kind: p.Kind, File: p.Kind != "" && p.Kind != service.Dataset}
		for i := range p.Schema {
			v.Columns = append(v.Columns, newColumn(&p.Schema[i], in))
		}
		out = append(out, v)
	}
	return out
}

// maxShown is the number of levels that a page lists.
const maxShown = 12

func newColumn(f *frame.Field, in bool) column {
	c := column{Name: f.Name, Type: f.Type.String()}
	if n := len(f.Levels); n > maxShown {
		c.Levels = fmt.Sprintf("%d different values", n)
	} else if n > 0 {
		c.Levels = strings.Join(f.Levels, ", ")
	}
	var notes []string
	switch {
	case f.Role == frame.ID:
		notes = append(notes, "comes back as it was sent")
	case f.Role == frame.Label && in:
		notes = append(notes, "what is predicted; need not be sent")
	case f.Role == frame.Score:
		notes = append(notes, "computed")
	}
	if in && f.Optional && f.Role != frame.Label {
		notes = append(notes, "optional")
	}
	if f.Nullable {
		notes = append(notes, "may be missing")
	}
	c.Note = strings.Join(notes, "; ")
	return c
}

// jobBody is a batch request over blobs of the caller's.
func jobBody(m *service.Manifest) []byte {
	type blob struct{ ConnectionString, RelativeLocation string }
	const account = "DefaultEndpointsProtocol=https;AccountName=ACCOUNT;AccountKey=KEY"
	body := struct {
		Inputs           map[string]blob
		Outputs          map[string]blob
		GlobalParameters struct{}
	}{Inputs: map[string]blob{}, Outputs: map[string]blob{}}
	for _, p := range m.Inputs {
		body.Inputs[p.Name] = blob{account, "container/" + p.Name + ".csv"}
	}
	for _, p := range m.Outputs {
		ext := ".csv"
		if p.Kind != "" && p.Kind != service.Dataset {
			ext = ".ilearner"
		}
		body.Outputs[p.Name] = blob{account, "container/" + p.Name + ext}
	}
	return marshal(body)
}

func updateBody(resource string) []byte {
	type location struct{ BaseLocation, RelativeLocation, SasBlobToken string }
	type entry struct {
		Name     string
		Location location
	}
	return marshal(struct{ Resources []entry }{[]entry{{resource, location{"https://ACCOUNT.blob.core.windows.net/", "models/model.ilearner", "?sv=…"}}}})
}

func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("help: " + err.Error()) // structs of strings
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func indent(b []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return string(b)
	}
	return out.String()
}

// curl is a call for a shell.
func curl(method, url string, body []byte) string {
	quoted := strings.ReplaceAll(string(body), "'", `'\''`)
	return fmt.Sprintf("curl -X %s '%s' \\\n  -H \"Authorization: Bearer $KEY\" \\\n  -H 'Content-Type: application/json' \\\n  --data '%s'", method, url, quoted)
}

// Package home is the page at "/": what this is and where things are. It holds
// nothing that a stranger may not see.
package home

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"sync"

	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/host/web"
)

//go:embed page.html
var pageText string

var page = sync.OnceValue(func() *template.Template { return template.Must(template.New("home").Parse(pageText)) })

// Function is the home function.
type Function struct{ problems []config.Problem }

// New returns the function; problems are those that keep the process from
// working.
func New(problems []config.Problem) *Function { return &Function{problems} }

// Register adds the route.
func (f *Function) Register(rt *web.Router) { rt.Handle("GET /{$}", f.home) }

// home: a person with a browser.
func (f *Function) home(w http.ResponseWriter, r *http.Request) error {
	web.Call(r).Quiet = true
	var b bytes.Buffer
	err := page().Execute(&b, struct {
		Base     string
		Problems []config.Problem
	}{web.BaseURL(r), f.problems})
	if err != nil {
		return fmt.Errorf("render the home page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	return web.Bytes(w, http.StatusOK, "text/html; charset=utf-8", b.Bytes())
}

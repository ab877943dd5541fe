package home

import (
	"testing"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/host/web"
)

func TestScripts(t *testing.T) {
	for script, f := range map[string]*Function{
		"home":    New(nil),
		"problem": New([]config.Problem{config.NewProblem("PORTICO_STORE", "x", "holds <b>")}),
	} {
		t.Run(script, func(t *testing.T) {
			rt := web.NewRouter(web.Options{})
			f.Register(rt)
			webtest.TestHandler(t, "testdata/"+script+".txt", rt)
		})
	}
}

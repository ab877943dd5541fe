package health

import (
	"context"
	"testing"
	"time"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
)

func router(f *Function) *web.Router {
	rt := web.NewRouter(web.Options{})
	f.Register(rt)
	return rt
}

func TestScripts(t *testing.T) {
	fine := func(context.Context) error { return nil }
	down := func(context.Context) error {
		return fault.New(fault.Unavailable, "", "account secretname cannot be reached")
	}
	unsuited := func(context.Context) error {
		return fault.New(fault.Unavailable, "ServiceUnavailable", "the setting PORTICO_MASTER_KEYS has another master key").At("PORTICO_MASTER_KEYS")
	}
	problems := []config.Problem{config.NewProblem("PORTICO_MASTER_KEYS", "hunter2", "the key of k1 is not base64")}
	for script, f := range map[string]*Function{
		"ready":   New(nil, fine, "portable"),
		"storage": New(nil, down, "portable"),
		"setting": New(problems, nil, "portable"),
		"ring":    New(nil, unsuited, "portable"),
	} {
		t.Run(script, func(t *testing.T) {
			webtest.TestHandler(t, "testdata/"+script+".txt", router(f))
		})
	}
}

func TestStorageIsAskedOncePerMoment(t *testing.T) {
	calls := 0
	f := New(nil, func(context.Context) error { calls++; return nil }, "portable")
	at := time.Now()
	f.now = func() time.Time { return at }
	for range 5 {
		if err := f.check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	at = at.Add(checkedFor)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.check(canceled); err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

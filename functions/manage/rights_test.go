package manage

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/registry/registrytest"
)

// TestRights is the table of every call of this API that can move an endpoint,
// against everybody who can come. A call not listed for somebody is refused.
func TestRights(t *testing.T) {
	const (
		authors   = "ann alf dora dave olga"
		deployers = "dora dave olga"
	)
	all := []string{"staging", "default", "shop"}
	calls := []struct {
		call string // METHOD path below the service, then the body
		may  string
		move []string
	}{
		{`POST . {"experimentId":"{experiment}"}`, authors, []string{"staging"}},
		{`POST /promotions {"digest":"{staged}","note":"again"}`, authors, nil},
		{`POST /promotions/4/approve {"expect":"{live}"}`, deployers, []string{"default"}},
		{`POST /promotions/4/reject {"reason":"no"}`, deployers, nil},
		{`POST /promotions/4/withdraw {}`, "ann olga", nil},
		{`POST /rollback {"expect":"{live}"}`, deployers, []string{"default"}},
		{`POST /rollback {"expect":"{staged}","endpoint":"staging"}`, authors, []string{"staging"}},
		{`POST /rollback {"expect":"{shop}","endpoint":"shop"}`, authors, []string{"shop"}},
		{`POST /endpoints {"name":"new"}`, authors, []string{"new"}},
		{`DELETE /endpoints/shop `, authors, []string{"shop"}},
		{`DELETE /endpoints/staging `, "", nil},
		{`DELETE /endpoints/default `, "", nil},
		{`POST /endpoints/shop/refresh {}`, authors, []string{"shop"}},
		{`POST /endpoints/staging/refresh {}`, "", nil},
		{`POST /endpoints/default/refresh {}`, "", nil},
		{`PUT /endpoints/shop/resources {resources}`, authors, []string{"shop"}},
		{`PUT /endpoints/staging/resources {resources}`, authors, []string{"staging"}},
		{`PUT /endpoints/default/resources {resources}`, authors, []string{"staging"}}, // files a promotion
		{`PATCH /endpoints/shop {"description":"x"}`, authors, nil},
		{`PATCH /endpoints/staging {"description":"x"}`, authors, nil},
		{`PATCH /endpoints/default {"description":"x"}`, deployers, nil},
		{`POST /endpoints/shop/keys/primary/regenerate `, authors, nil},
		{`POST /endpoints/staging/keys/primary/regenerate `, authors, nil},
		{`POST /endpoints/default/keys/primary/regenerate `, deployers, nil},
		{`DELETE / `, deployers, all},
	}
	var everybody []string
	for name := range registrytest.NewStage(t).Credentials(t) {
		everybody = append(everybody, name)
	}
	var cells []registrytest.Cell
	for _, c := range calls {
		for _, by := range everybody {
			may := false
			for _, name := range strings.Fields(c.may) {
				may = may || name == by
			}
			cells = append(cells, registrytest.Cell{Call: c.call, By: by, May: may, Move: c.move})
		}
	}
	registrytest.Check(t, cells, ask)
}

// ask makes a call of the table.
func ask(s *registrytest.Stage, what, bearer string) (status int, body string) {
	method, rest, _ := strings.Cut(what, " ")
	path, in, _ := strings.Cut(rest, " ")
	base := "/manage/workspaces/" + registrytest.Workspace + "/services"
	if path != "." {
		base += "/" + s.Service + strings.TrimSuffix(path, "/")
	}
	shop, err := s.Registry.Endpoint(context.Background(), registrytest.Workspace, s.Service, "shop", s.Actor("olga"))
	if err != nil {
		return 0, err.Error()
	}
	in = strings.NewReplacer(
		"{experiment}", registrytest.Experiment, "{staged}", s.Staged, "{live}", s.Live, "{shop}", shop.Digest,
		"{resources}", fmt.Sprintf(`{"resources":[{"name":%q,"model":"better"}]}`, registrytest.Resource),
	).Replace(in)
	r := httptest.NewRequest(method, base, strings.NewReader(in))
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	rec := httptest.NewRecorder()
	router(s.World).ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

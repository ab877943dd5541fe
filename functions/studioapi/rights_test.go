package studioapi_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/functions/studioapi"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/registry/registrytest"
	"github.com/portico-ml/portico/shared/service"
)

const document = `{"nodes": {"data": {"assetId": "minutes"}, "pick": {"module": "Select Columns in Dataset", "parameters": {"Select columns": "day"}},
	"in": {"inputId": "input1"}, "out": {"outputId": "output1"}},
	"edges": [{"sourceNodeId": "data", "targetNodeId": "pick"}, {"sourceNodeId": "in", "targetNodeId": "pick"}, {"sourceNodeId": "pick", "targetNodeId": "out"}],
	"assets": {"minutes": {"type": "Resource", "kind": "Dataset", "name": "minutes"}}}`

// TestRights is the table of every call of this API against everybody who can
// come: what role it needs, and that it says so before it looks at anything.
func TestRights(t *testing.T) {
	s := newSite(t)
	author := "h.author.s"
	const at = "/api/workspaces/" + ws
	s.do("POST", at+"/datasources", author, register("minutes", s.begin("GenericCSV", "id,day\nC1,1\n")), nil)
	var x struct{ ExperimentID string }
	s.do("POST", at+"/experiments", author, `{"Description":"Pick","IsDraft":false,"ExperimentGraph":`+document+`}`, &x)
	s.drain()
	var a struct{ ActivityID, WebServiceGroupID string }
	s.do("POST", at+"/experiments/"+x.ExperimentID+"/webservice", author, "", &a)
	var all []struct{ ID, FamilyID string }
	s.do("GET", at+"/datasources", author, "", &all)
	keys, err := s.registry.Keys(t.Context(), ws, a.WebServiceGroupID, service.Staging, registry.Actor{ID: "i|o", Role: auth.Owner})
	if err != nil {
		t.Fatal(err)
	}
	who := map[string]string{
		"nobody": "", "a stranger's token": "nonsense", "a forger": "h.forger.s", "another's member": "h.stranger.s", "another's token": s.known["othertoken"],
		"a scoring key": keys.Primary,
		"reader":        "h.reader.s", "author": author, "deployer": "h.deployer.s", "owner": "h.owner.s", "token": s.known["token"], "token2": s.known["token2"],
	}
	readers := "reader author deployer owner token token2"
	authors := "author deployer owner token token2"

	begun := s.begin("GenericCSV", "")
	fresh := 0
	calls := []struct {
		call string
		may  string
		code int           // of those who may
		make func() string // the body, each time anew
	}{
		{"GET ", readers, 200, nil},
		{"GET /datasources", readers, 200, nil},
		{"GET /datasources/" + all[0].ID, readers, 200, nil},
		{"GET /datasources/family/" + all[0].FamilyID, readers, 200, nil},
		{"POST /datasources", authors, 200, func() string {
			fresh++
			return register("fresh "+strings.Repeat("x", fresh), s.begin("GenericCSV", "a\n1\n"))
		}},
		{"POST resourceuploads?dataTypeId=GenericCSV", authors, 200, nil},
		{"POST blobuploads?numberOfBlocks=1&blockId=0&uploadId=" + begun, authors, 200, func() string { return "a\n" }},
		{"GET /experiments", readers, 200, nil},
		{"GET /experiments/" + x.ExperimentID, readers, 200, nil},
		{"GET /experiments/" + x.ExperimentID + "/outputdata/pick/Results%20dataset", readers, 200, nil},
		{"POST /experiments", authors, 200, func() string { return `{"Description":"another","ExperimentGraph":` + document + `}` }},
		{"POST /experiments/" + x.ExperimentID, authors, 200, func() string { return `{"Summary":"a"}` }},
		{"PUT /experiments/" + x.ExperimentID, authors, 200, func() string { return `{"Summary":"b"}` }},
		{"POST /experiments/" + x.ExperimentID + "/webservice", authors, 200, nil},
		{"GET /experiments/" + a.ActivityID + "/webservice", readers, 200, nil},
		{"GET /experiments/" + x.ExperimentID + "/webservicedefinition", readers, 200, nil},
		{"DELETE /experiments/ffffffffffffffffffffffffffffffff", authors, 404, nil},
		{"GET /trainedmodels", readers, 200, nil},
		{"GET /transformmodules", readers, 200, nil},
		{"GET /modules", readers, 200, nil},
		{"GET /users", readers, 400, nil},
		{"POST /packages", readers, 400, nil},
		{"DELETE /datasources/family/" + all[0].FamilyID, readers, 400, nil},
	}
	for _, c := range calls {
		for name, token := range who {
			t.Run(strings.ReplaceAll(c.call, "/", " ")+" by "+name, func(t *testing.T) {
				method, path, _ := strings.Cut(c.call, " ")
				if rest, ok := strings.CutPrefix(path, "resourceuploads"); ok {
					path = "/api/resourceuploads/workspaces/" + ws + "/" + rest
				} else if rest, ok := strings.CutPrefix(path, "blobuploads"); ok {
					path = "/api/blobuploads/workspaces/" + ws + "/" + rest
				} else {
					path = at + path
				}
				body := ""
				if c.make != nil {
					body = c.make()
				}
				code, text := s.call(method, path, token, body)
				want := c.code
				switch {
				case contains(c.may, name):
				case contains(readers, name):
					want = 403
				case name == "another's member":
					want = 404
				default:
					want = 401
				}
				if code != want {
					t.Errorf("%d, want %d: %s", code, want, text)
				}
				if want >= 401 && want != c.code && strings.Contains(text, "minutes") {
					t.Errorf("it tells what there is: %s", text)
				}
			})
		}
	}
}

func contains(names, name string) bool {
	return slices.Contains(strings.Fields(names), name)
}

// TestDeployMoves: a deploy moves staging and nothing else, whoever makes it,
// and files one promotion.
func TestDeployMoves(t *testing.T) {
	const (
		authors = "ann alf dora dave olga token"
		path    = "/api/workspaces/" + registrytest.Workspace + "/experiments/" + registrytest.Workspace + ".f-id." + registrytest.Experiment + "/webservice"
	)
	var cells []registrytest.Cell
	for by := range registrytest.NewStage(t).Credentials(t) {
		cells = append(cells,
			registrytest.Cell{Call: "?updateExistingWebService=true", By: by, May: contains(authors, by), Move: []string{"staging"}},
			registrytest.Cell{Call: "?generateNewPortNames=false", By: by, May: contains(authors, by)}, // there is something: 409
		)
	}
	registrytest.Check(t, cells, func(s *registrytest.Stage, query, bearer string) (int, string) {
		f := studioapi.New(studioapi.Config{
			Verifier: jwt{s.World}, Catalog: s.Catalog, Registry: s.Registry, Publisher: publish.New(s.Registry, s.Catalog, s.World), Blobs: s.Store.Blobs,
		})
		rt := web.NewRouter(web.Options{})
		f.Register(rt)
		r := httptest.NewRequest("POST", path+query, nil)
		if bearer != "" && !strings.HasSuffix(bearer, "==") {
			bearer = "h." + bearer + ".s"
		}
		r.Header.Set("Authorization", "Bearer  "+bearer)
		rec := httptest.NewRecorder()
		rt.ServeHTTP(rec, r)
		if rec.Code == 200 {
			ps, err := s.Registry.Promotions(r.Context(), registrytest.Workspace, s.Service, s.Actor("dora"))
			if err != nil || len(ps) == 0 || ps[0].State != service.Requested || ps[0].Note == "" {
				return 500, "no promotion was filed"
			}
		}
		return rec.Code, rec.Body.String()
	})
}

// jwt makes of a world's verifier, whose tokens are names, one of tokens that
// look like JWTs.
type jwt struct{ w *registrytest.World }

func (v jwt) Verify(ctx context.Context, bearer string) (auth.Identity, error) {
	return v.w.Verify(ctx, strings.Split(bearer, ".")[1])
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStudioAPI is what the R client does, call by call: it looks at the
// workspace, uploads a table in two blocks, registers it and reads it back;
// then the experiment that uses it is run and deployed in one step.
func TestStudioAPI(t *testing.T) {
	s := newSite(t)
	var tokens struct{ Primary string }
	s.get("author", s.manage("/tokens"), &tokens)
	r := &studio{s, tokens.Primary, "/api/workspaces/" + s.ws}

	var w struct {
		FriendlyName, WorkspaceState string
		AuthorizationToken           *struct{ PrimaryToken string }
	}
	r.do("GET", r.ws, "", &w)
	if w.FriendlyName == "" || w.WorkspaceState != "Enabled" || w.AuthorizationToken != nil {
		t.Errorf("workspace %+v", w)
	}
	r.datasources(t)
	file := "id\tminutes\tplan\nC1\t1.5\tsmall\n"
	for i := 2; len(file) < 3<<20; i++ {
		file += strings.Repeat(fmt.Sprintf("C%d\t%d\tlarge\n", i, i), 4096)
	}
	d := r.uploaded(t, "minutes of May", file)
	r.deployed(t, d)
	r.definition(t)
}

// studio is a client of the Studio API.
type studio struct {
	*site
	token string
	ws    string
}

// do makes a call as the R client does, which takes no answer but 200.
func (r *studio) do(method, path, body string, v any) {
	r.t.Helper()
	status, answer := r.call(method, path, "", body, "User-Agent", "R", "Content-Type", "application/json;charset=UTF8",
		"x-ms-client-session-id", "DefaultSession", "x-ms-metaanalytics-authorizationtoken", r.token)
	if status != http.StatusOK {
		r.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(answer), v); err != nil {
			r.t.Fatalf("%s %s: %v in %.300s", method, path, err, answer)
		}
	}
}

// dataset is a DataSource as clients read it.
type dataset struct {
	ID, Name, DataTypeID, FamilyID, Description, CreatedDate, SchemaStatus string
	Size                                                                   int
	DownloadLocation, VisualizeEndPoint, SchemaEndPoint                    *struct{ BaseURI, Location, AccessCredential string }
}

// content downloads the file of a dataset without any credential but the
// address.
func (r *studio) content(d dataset) string {
	r.t.Helper()
	l := d.DownloadLocation
	status, content := r.call("GET", strings.TrimPrefix(l.BaseURI+l.Location+l.AccessCredential, r.base), "", "")
	if status != http.StatusOK {
		r.t.Fatalf("%s: %d %s", d.Name, status, content)
	}
	return content
}

// datasources reads the sample's datasets.
func (r *studio) datasources(t *testing.T) {
	var all []dataset
	r.do("GET", r.ws+"/datasources", "", &all)
	for _, d := range all {
		if d.VisualizeEndPoint == nil || d.SchemaEndPoint == nil {
			t.Errorf("%s lacks what the R client reads", d.Name)
		}
		if d.Name == "customers_train" {
			if content := r.content(d); content != string(sampleFile(t, "customers_train.csv")) || d.Size != len(content) || d.DataTypeID != "GenericCSV" {
				t.Errorf("%s is not what was uploaded: %d bytes of %d, %s", d.Name, len(content), d.Size, d.DataTypeID)
			}
			return
		}
	}
	t.Error("the sample's dataset is not listed")
}

// uploaded sends a file in two blocks, the second first; between them the
// process that took it dies.
func (r *studio) uploaded(t *testing.T, name, file string) dataset {
	const size = 2 << 20
	var up struct {
		ID         string
		DataTypeID string
	}
	r.do("POST", "/api/resourceuploads/workspaces/"+r.site.ws+"/?userStorage=true&dataTypeId=GenericTSV", "", &up)
	block := func(i int, body string) {
		r.do("POST", fmt.Sprintf("/api/blobuploads/workspaces/%s/?numberOfBlocks=2&blockId=%d&uploadId=%s&dataTypeId=GenericTSV", r.site.ws, i, up.ID), body, nil)
	}
	block(1, file[size:])
	r.restarted()
	block(0, file[:size])
	var id string
	r.do("POST", r.ws+"/datasources", encode(map[string]any{
		"DataSource": map[string]string{"Name": name, "DataTypeId": up.DataTypeID, "Description": "by R", "FamilyId": "", "Owner": "R", "SourceOrigin": "FromResourceUpload"},
		"UploadId":   up.ID, "UploadedFromFileName": "", "ClientPoll": true,
	}), &id)
	var d dataset
	r.do("GET", r.ws+"/datasources/"+id, "", &d)
	if d.Name != name || d.Description != "by R" || d.DataTypeID != "GenericTSV" || d.Size != len(file) || d.SchemaStatus != "Complete" || !strings.HasPrefix(d.CreatedDate, "/Date(") {
		t.Errorf("registered as %+v", d)
	}
	if r.content(d) != file {
		t.Error("the file reads back as another")
	}
	var family []dataset
	r.do("GET", r.ws+"/datasources/family/"+d.FamilyID, "", &family)
	if len(family) != 1 || family[0].ID != id {
		t.Errorf("family %+v", family)
	}
	return d
}

// restarted kills the handler and waits until the host has another.
func (r *studio) restarted() {
	r.t.Helper()
	r.killHandler()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		status, _, err := r.tryCall(r.t.Context(), "GET", "/health/ready", "", nil)
		if err == nil && status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not ready again: %d, %v", status, err)
		}
	}
}

// deployed makes an experiment of a dataset, runs it, reads its result and
// deploys it. Staging answers at once, production after the approval.
func (r *studio) deployed(t *testing.T, d dataset) {
	var x struct {
		ExperimentID string
		Status       struct{ StatusCode, StatusDetail string }
	}
	r.do("POST", r.ws+"/experiments", encode(map[string]any{
		"Description": "large plans", "IsDraft": false, "ExperimentGraph": map[string]any{
			"nodes": map[string]any{
				"data": map[string]string{"assetId": "d"},
				"pick": map[string]any{"module": "Select Columns in Dataset", "parameters": map[string]string{"Select columns": "minutes,plan"}},
				"in":   map[string]string{"inputId": "input1"}, "out": map[string]string{"outputId": "output1"},
			},
			"edges": []map[string]string{
				{"sourceNodeId": "data", "targetNodeId": "pick"},
				{"sourceNodeId": "in", "targetNodeId": "pick"},
				{"sourceNodeId": "pick", "targetNodeId": "out"},
			},
			"assets": map[string]any{"d": map[string]string{"type": "Resource", "kind": "Dataset", "name": d.Name}},
		},
	}), &x)
	for deadline := time.Now().Add(patience); x.Status.StatusCode != "Finished"; time.Sleep(50 * time.Millisecond) {
		if x.Status.StatusCode == "Failed" || time.Now().After(deadline) {
			t.Fatalf("the run is %+v", x.Status)
		}
		r.do("GET", r.ws+"/experiments/"+x.ExperimentID, "", &x)
	}
	status, result := r.call("GET", r.ws+"/experiments/"+x.ExperimentID+"/outputdata/pick/Results%20dataset", r.token, "")
	if status != http.StatusOK || !strings.HasPrefix(strings.ReplaceAll(result, "\r", ""), "minutes,plan\n1.5,small\n2,large\n") {
		t.Errorf("result: %d %.100s", status, result)
	}

	var a struct{ ActivityID, WebServiceGroupID, EndpointID, StagingEndpointID, Status string }
	r.do("POST", r.ws+"/experiments/"+x.ExperimentID+"/webservice?generateNewPortNames=false", "", &a)
	r.restarted() // whoever is asked knows of it
	for deadline := time.Now().Add(patience); a.Status != "Completed"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the deploy is %+v", a)
		}
		r.do("GET", r.ws+"/experiments/"+a.ActivityID+"/webservice", "", &a)
	}
	first := a
	r.do("GET", r.ws+"/experiments/"+a.ActivityID+"/webservice", "", &a)
	if a != first {
		t.Errorf("the deploy is %+v, was %+v", a, first)
	}

	ends := r.endpointsOf(a.WebServiceGroupID)
	if ends["default"].id != a.EndpointID || ends["staging"].id != a.StagingEndpointID {
		t.Errorf("endpoints %+v are not those of %+v", ends, a)
	}
	body := table([]string{"id", "minutes", "plan"}, []string{"C9", "9", "small"})
	score := func(name string) (int, string) {
		return r.call("POST", "/workspaces/"+r.site.ws+"/services/"+ends[name].id+"/execute?api-version=2.0", ends[name].primary, body)
	}
	if status, text := score("default"); status != http.StatusNotFound || !strings.Contains(text, "not approved yet") {
		t.Errorf("production before its approval: %d %s", status, text)
	}
	if status, text := score("staging"); status != http.StatusOK || !strings.Contains(text, `[["9","small"]]`) {
		t.Errorf("staging: %d %s", status, text)
	}
	var promotions []struct {
		Number        int
		State, Digest string
	}
	r.get("deployer", r.manage("/services/"+a.WebServiceGroupID+"/promotions"), &promotions)
	if len(promotions) != 1 || promotions[0].State != "Requested" || !strings.HasSuffix(a.ActivityID, "."+promotions[0].Digest) {
		t.Fatalf("promotions %+v", promotions)
	}
	r.site.do("POST", r.manage(fmt.Sprintf("/services/%s/promotions/%d/approve", a.WebServiceGroupID, promotions[0].Number)), r.tokens["deployer"], `{"expect":""}`, nil)
	if status, text := score("default"); status != http.StatusOK || !strings.Contains(text, `[["9","small"]]`) {
		t.Errorf("production: %d %s", status, text)
	}
}

// definition exports the definition of the sample's service, whose model's
// address gives the model.
func (r *studio) definition(t *testing.T) {
	var services []struct{ ID, Name, ExperimentID string }
	r.get("author", r.manage("/services"), &services)
	var experiment string
	for _, s := range services {
		if s.Name == "churn" {
			experiment = s.ExperimentID
		}
	}
	var d struct {
		Properties struct {
			Title       string
			PackageType string
			Assets      map[string]struct {
				Name, Type   string
				LocationInfo struct{ URI string }
			}
			Input struct {
				Properties map[string]struct{ Properties map[string]any }
			}
		}
	}
	r.do("GET", r.ws+"/experiments/"+experiment+"/webservicedefinition", "", &d)
	if d.Properties.Title != "churn" || d.Properties.PackageType != "Graph" || len(d.Properties.Input.Properties["input1"].Properties) == 0 {
		t.Errorf("definition %+v", d)
	}
	models := 0
	for _, a := range d.Properties.Assets {
		if !strings.HasSuffix(a.Name, "[trained model]") {
			continue
		}
		models++
		_, ilearner := r.call("GET", r.workbench("/models/churn%20model/versions/1/file"), r.tokens["author"], "")
		status, file := r.call("GET", strings.TrimPrefix(a.LocationInfo.URI, r.base), "", "")
		if status != http.StatusOK || a.Type != "Resource" || len(file) == 0 || !strings.HasPrefix(ilearner, file[:1000]) {
			t.Errorf("%s: %d, %d bytes", a.Name, status, len(file))
		}
	}
	if models != 1 {
		t.Errorf("%d models in %+v", models, d.Properties.Assets)
	}
}

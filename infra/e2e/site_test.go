package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/infra/samples"
)

// site is a running system with the sample in production, and all that its
// users know of it.
type site struct {
	*system
	ws        string
	tokens    map[string]string              // by role
	services  map[string]string              // ids by name
	endpoints map[string]map[string]endpoint // by service and endpoint name
	columns   []string                       // of May, in its order
	may       [][]string                     // its rows
}

// endpoint is an address of a service, and its keys.
type endpoint struct{ id, primary, secondary string }

// newSite starts a system with settings of its own and walks through the
// sample.
func newSite(t *testing.T, settings ...string) *site {
	t.Helper()
	s := &site{
		system: newSystem(t, settings...), tokens: map[string]string{},
		services: map[string]string{}, endpoints: map[string]map[string]endpoint{},
	}
	s.start()
	var out bytes.Buffer
	if err := samples.Run(t.Context(), s.base, s.token, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, role := range []string{"reader", "author", "deployer", "owner", "operator"} {
		var err error
		if s.tokens[role], err = s.token(role); err != nil {
			t.Fatal(err)
		}
	}
	var workspaces, services []struct{ ID, Name string }
	s.get("owner", "/manage/workspaces", &workspaces)
	s.ws = workspaces[0].ID
	s.get("owner", s.manage("/services"), &services)
	for _, svc := range services {
		s.services[svc.Name] = svc.ID
		s.endpoints[svc.Name] = s.endpointsOf(svc.ID)
	}
	rows, err := csv.NewReader(bytes.NewReader(sampleFile(t, "customers_may.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s.columns, s.may = rows[0], rows[1:]
	return s
}

func (s *site) endpointsOf(svc string) map[string]endpoint {
	s.t.Helper()
	var all []struct{ ID, Name string }
	s.get("owner", s.manage("/services/"+svc+"/endpoints"), &all)
	out := map[string]endpoint{}
	for _, e := range all {
		var keys struct{ Primary, Secondary string }
		s.get("owner", s.manage("/services/"+svc+"/endpoints/"+e.Name+"/keys"), &keys)
		out[e.Name] = endpoint{e.ID, keys.Primary, keys.Secondary}
	}
	return out
}

func (s *site) manage(path string) string { return "/manage/workspaces/" + s.ws + path }

func (s *site) workbench(path string) string { return "/workbench/workspaces/" + s.ws + path }

// at is an address of the service's production: execute, jobs.
func (s *site) at(service, path string) string {
	return "/workspaces/" + s.ws + "/services/" + s.endpoints[service]["default"].id + "/" + path
}

// key is the primary key of the service's production.
func (s *site) key(service string) string { return s.endpoints[service]["default"].primary }

// get reads a document as the person of a role.
func (s *site) get(role, path string, v any) {
	s.t.Helper()
	s.do("GET", path, s.tokens[role], "", v)
}

// do makes a call that must succeed; v may be nil.
func (s *site) do(method, path, bearer, body string, v any, headers ...string) {
	s.t.Helper()
	status, answer := s.call(method, path, bearer, body, headers...)
	if status/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer), v); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// table is a request in the table form.
func table(columns []string, rows ...[]string) string {
	if rows == nil {
		rows = [][]string{} // not null
	}
	return encode(map[string]any{"Inputs": map[string]any{"input1": map[string]any{"ColumnNames": columns, "Values": rows}}, "GlobalParameters": map[string]string{}})
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of texts and maps
	}
	return string(b)
}

// values reads the rows of an answer in the table form; null is "".
func values(t *testing.T, answer string) [][]string {
	t.Helper()
	var a struct {
		Results struct {
			Output1 struct{ Value struct{ Values [][]string } }
		}
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Fatalf("%v in %.300s", err, answer)
	}
	return a.Results.Output1.Value.Values
}

// reference is a blob as a batch request names it.
type reference struct{ BaseLocation, RelativeLocation, SasBlobToken string }

// place is an address to write a file to, and one to read it.
func (s *site) place(name string) (write string, read, result reference) {
	s.t.Helper()
	var u struct {
		Write struct {
			reference
			URL string
		}
		Read reference
	}
	s.do("POST", s.manage("/uploads"), s.tokens["author"], encode(map[string]string{"name": name}), &u)
	return u.Write.URL, u.Read, u.Write.reference
}

// upload stores a file where a job can read it.
func (s *site) upload(name, content string) reference {
	s.t.Helper()
	write, read, _ := s.place(name)
	s.put(write, content)
	return read
}

func (s *site) put(url, content string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "PUT", url, strings.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("x-ms-blob-type", "BlockBlob")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		s.t.Fatalf("put: %s", resp.Status)
	}
}

// jobStatus is the status of a job as a client sees it.
type jobStatus struct {
	StatusCode string
	Results    map[string]reference
	Details    *string
	Progress   struct{ Chunks, RowsRead int }
}

// submit registers a job and returns its address.
func (s *site) submit(service, body string) string {
	s.t.Helper()
	var id string
	s.do("POST", s.at(service, "jobs"), s.key(service), body, &id)
	return s.at(service, "jobs/"+id)
}

// job submits and starts a job and waits for its end.
func (s *site) job(service, body string) jobStatus {
	s.t.Helper()
	job := s.submit(service, body)
	s.do("POST", job+"/start", s.key(service), "", nil)
	return s.ended(service, job)
}

func (s *site) ended(service, job string) jobStatus {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var st jobStatus
		s.do("GET", job, s.key(service), "", &st)
		switch st.StatusCode {
		case "Finished", "Failed", "Cancelled":
			return st
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("job %s is %s for %v", job, st.StatusCode, patience)
		}
	}
}

// result reads the file that a job wrote.
func (s *site) result(st jobStatus) string {
	s.t.Helper()
	if st.StatusCode != "Finished" {
		s.t.Fatalf("%s: %s", st.StatusCode, deref(st.Details))
	}
	r := st.Results["output1"]
	path := strings.TrimPrefix(r.BaseLocation+r.RelativeLocation, s.base)
	status, content := s.call("GET", path+r.SasBlobToken, "", "")
	if status != http.StatusOK {
		s.t.Fatalf("result: %d %s", status, content)
	}
	return content
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// experiment saves a document and returns the experiment's id.
func (s *site) experiment(name, document string) string {
	s.t.Helper()
	var x struct{ ID string }
	s.do("POST", s.workbench("/experiments"), s.tokens["author"], encode(map[string]any{"name": name, "document": json.RawMessage(document)}), &x)
	return x.ID
}

// run runs an experiment to its end, which must be a good one.
func (s *site) run(experiment string) {
	s.t.Helper()
	var run struct {
		ID, State string
		Error     json.RawMessage
	}
	s.do("POST", s.workbench("/experiments/"+experiment+"/runs"), s.tokens["author"], "", &run)
	for deadline := time.Now().Add(patience); run.State != "Finished"; time.Sleep(50 * time.Millisecond) {
		if run.State == "Failed" || run.State == "Cancelled" || time.Now().After(deadline) {
			s.t.Fatalf("run %s is %s: %s", run.ID, run.State, run.Error)
		}
		s.get("author", s.workbench("/runs/"+run.ID), &run)
	}
}

// published is a service as publishing answers it.
type published struct {
	ServiceID, Digest string
	endpoints         map[string]endpoint
}

// publish puts the experiment's last run on staging.
func (s *site) publish(experiment, name string) published {
	s.t.Helper()
	var p published
	s.do("POST", s.manage("/services"), s.tokens["author"], encode(map[string]string{"experimentId": experiment, "name": name}), &p)
	p.endpoints = s.endpointsOf(p.ServiceID)
	return p
}

// form is a multipart body, as header Content-Type and text; a part whose name
// has a slash, "file/a.ubj", is a file of that name.
func form(t *testing.T, parts map[string]string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, content := range parts {
		var part io.Writer
		var err error
		if field, file, ok := strings.Cut(name, "/"); ok {
			part, err = w.CreateFormFile(field, file)
		} else {
			part, err = w.CreateFormField(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte(content)) // to memory
	}
	w.Close()
	return w.FormDataContentType(), b.String()
}

// sampleFile reads a file of the sample.
func sampleFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repo, "infra/samples/churn", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/portico-ml/portico/shared/doctor"
)

// Ids of the fake server's things.
const (
	ws      = "11111111111111111111111111111111"
	svc     = "22222222222222222222222222222222"
	staging = "33333333333333333333333333333333"
	prod    = "44444444444444444444444444444444"
	job     = "55555555555555555555555555555555"
	runID   = "66666666666666666666666666666666"
	exp     = "77777777777777777777777777777777"
	digestA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// fake is a server with one service, whose answers a test may change.
type fake struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answers  map[string]http.HandlerFunc // "METHOD /path"
	requests []string                    // with their bodies
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, answers: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	const manage, bench = "/manage/workspaces/" + ws, "/workbench/workspaces/" + ws
	service, endpoint := manage+"/services/"+svc, "/workspaces/"+ws+"/services/"+prod
	f.say("GET /manage/workspaces", 200, `[{"id":"`+ws+`","name":"telecom"}]`)
	f.say("GET "+manage+"/services", 200, `[{"id":"`+svc+`","name":"churn","experimentId":"`+exp+`","pendingPromotion":7}]`)
	f.say("GET "+service+"/endpoints", 200, `[{"id":"`+staging+`","name":"staging","digest":"`+digestB+`"},{"id":"`+prod+`","name":"default","digest":"`+digestA+`"}]`)
	f.say("GET "+service+"/endpoints/default/keys", 200, `{"primary":"the-key==","secondary":"other"}`)
	f.say("GET "+bench+"/experiments", 200, `{"experiments":[{"id":"`+exp+`","name":"churn"}]}`)
	f.say("GET "+endpoint+"/swagger.json", 200, `{"definitions":{"ExecutionInputs":{"properties":{"input1":{}}}}}`)
	f.answer("POST "+endpoint+"/execute", f.execute)
	f.say("POST "+endpoint+"/jobs", 200, `"`+job+`"`)
	f.say("POST "+endpoint+"/jobs/"+job+"/start", 204, "")
	f.say("DELETE "+endpoint+"/jobs/"+job, 204, "")
	return f
}

func (f *fake) answer(request string, h http.HandlerFunc) { f.answers[request] = h }

func (f *fake) say(request string, status int, body string) {
	f.answer(request, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// inTurn answers the bodies one after the other, and the last ever after.
func (f *fake) inTurn(request string, bodies ...string) {
	n := 0
	f.answer(request, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, bodies[n])
		n = min(n+1, len(bodies)-1)
	})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body))
	if h := f.answers[r.Method+" "+r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	w.WriteHeader(404)
	io.WriteString(w, `{"error":{"code":"NotFound","message":"The resource was not found.","details":[{"code":"ResourceNotFound","message":"there is no `+r.Method+" "+r.URL.Path+`"}]}}`)
}

// sent returns the bodies of the requests to an address.
func (f *fake) sent(request string) (bodies []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if rest, ok := strings.CutPrefix(r, request); ok {
			_, body, _ := strings.Cut(rest, " ")
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// execute answers each row with itself and a score: the length of its first
// cell.
func (f *fake) execute(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Inputs map[string]struct {
			ColumnNames []string
			Values      [][]any
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Authorization") != "Bearer the-key==" {
		w.WriteHeader(401)
		return
	}
	in := body.Inputs["input1"]
	rows := [][]*string{}
	for _, cells := range in.Values {
		var row []*string
		for _, c := range cells {
			if c == nil {
				row = append(row, nil)
				continue
			}
			text := fmt.Sprint(c)
			row = append(row, &text)
		}
		score := "0"
		if len(row) > 0 && row[0] != nil {
			score = fmt.Sprint(len(*row[0]))
		}
		rows = append(rows, append(row, &score))
	}
	var out struct{ Results map[string]any }
	out.Results = map[string]any{"output1": map[string]any{"type": "table", "value": map[string]any{"ColumnNames": append(in.ColumnNames, "Score"), "Values": rows}}}
	json.NewEncoder(w).Encode(out)
}

// call is a command and what it is performed with.
type call struct {
	args     []string
	stdin    string
	settings *Settings // nil: a token that may do everything
	terminal bool
	machine  *doctor.Machine
	ctx      context.Context
}

// perform returns the exit code and what was printed, with the server's
// address as http://SERVER.
func (f *fake) perform(c call) (code int, stdout, stderr string) {
	f.t.Helper()
	var out, complaints bytes.Buffer
	set := Settings{Server: f.URL, Service: "churn", Token: "the-token"}
	if c.settings != nil {
		set = *c.settings
	}
	ctx := c.ctx
	if ctx == nil {
		ctx = f.t.Context()
	}
	args := make([]string, len(c.args))
	for i, a := range c.args {
		args[i] = strings.ReplaceAll(a, "http://SERVER", f.URL)
	}
	code = Run(ctx, args, Env{
		Stdin: strings.NewReader(c.stdin), Stdout: &out, Stderr: &complaints, Terminal: c.terminal,
		Settings: func(string) (Settings, error) { return set, nil },
		Known:    []Setting{{"PORTICO_SERVER", "Address of the server.", "https://ml.example.org"}},
		HTTP:     f.Client(),
		Machine:  func(string) (*doctor.Machine, func(), error) { return c.machine, func() {}, nil },
	})
	shown := strings.NewReplacer(f.URL, "http://SERVER", strings.TrimPrefix(f.URL, "http://"), "SERVER", f.t.TempDir(), "DIR")
	return code, shown.Replace(out.String()), shown.Replace(complaints.String())
}

// write makes a file of a test.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	jobPath  = "/workspaces/" + ws + "/services/" + prod + "/jobs/" + job
	address1 = "http://SERVER" + jobPath
)

// statusOf is a job's status document.
func statusOf(state, rest string) string {
	return `{"StatusCode":"` + state + `","Results":null,"Details":null,"CreatedAt":"2026-05-01T12:00:00Z","Deployment":"` + digestA + `"` + rest + `}`
}

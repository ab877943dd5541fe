package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/portico-ml/portico/infra/samples"
)

// commandLine is the built program as somebody with a role calls it.
type commandLine struct {
	*site
	t   *testing.T
	env []string
}

// as is the command line of the person of a role, who knows of the server,
// and of the service churn.
func (s *site) as(t *testing.T, role string, more ...string) commandLine {
	env := []string{
		"HOME=" + t.TempDir(), "PORTICO_SERVER=" + s.base, "PORTICO_WORKSPACE=" + samples.Workspace, "PORTICO_SERVICE=churn", "PORTICO_TOKEN=" + s.tokens[role],
	}
	return commandLine{s, t, append(env, more...)}
}

// try performs a command and returns its exit code and what it printed.
func (c commandLine) try(stdin string, args ...string) (code int, out, complaints string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(c.dist, "handler"), args...)
	cmd.Env, cmd.Dir, cmd.Stdin = c.env, repo, strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// interrupted performs a command and presses Ctrl-C once it has asked for a
// job's status.
func (c commandLine) interrupted(args ...string) (code int, complaints string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(c.dist, "handler"), args...)
	target, err := url.Parse(c.base)
	if err != nil {
		c.t.Fatal(err)
	}
	var once sync.Once
	asked := make(chan struct{})
	between := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(*http.Response) error { once.Do(func() { close(asked) }); return nil },
	})
	defer between.Close()
	for i, a := range cmd.Args {
		cmd.Args[i] = strings.ReplaceAll(a, c.base, between.URL)
	}
	cmd.Env = append(c.env[:len(c.env):len(c.env)], "PORTICO_KEY="+c.key("churn"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	select {
	case <-asked:
	case <-c.t.Context().Done():
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Error(err)
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// run performs a command that must succeed.
func (c commandLine) run(args ...string) string {
	c.t.Helper()
	code, out, complaints := c.try("", args...)
	if code != 0 {
		c.t.Fatalf("portico %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, complaints)
	}
	return out
}

// document performs a command and reads the JSON that it prints.
func (c commandLine) document(v any, args ...string) {
	c.t.Helper()
	out := c.run(append(args, "-json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		c.t.Fatalf("portico %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
}

// jobDocument is what a job's commands print.
type jobDocument struct {
	Job, Address string
	Status       jobStatus
	Files        []string
}

// TestCommandLine does by commands what people do with a server in a month.
func TestCommandLine(t *testing.T) {
	s := newSite(t)
	author, deployer := s.as(t, "author"), s.as(t, "deployer")
	const may, customers = "infra/samples/churn/customers_may.csv", 1667
	dir := t.TempDir()

	// May as a job, in one go.
	scored := filepath.Join(dir, "scored.csv")
	var job jobDocument
	deployer.document(&job, "job", "submit", may, "-out", scored)
	if job.Status.StatusCode != "Finished" || job.Status.Progress.RowsRead != customers || len(job.Files) != 1 || job.Files[0] != scored {
		t.Errorf("submit: %+v", job)
	}
	want := records(t, readFile(t, scored))
	if last := want[0][len(want[0])-1]; len(want) != customers || last != scoredA {
		t.Errorf("%d records, the first scored %s", len(want), last)
	}

	// The same by steps, by the address that submit printed; twice with one
	// key is one job.
	submitted := strings.TrimSpace(deployer.run("job", "submit", may, "-idempotency-key", "may"))
	if again := strings.TrimSpace(deployer.run("job", "submit", may, "-idempotency-key", "may")); again != submitted {
		t.Errorf("submitted twice with one key: %s and %s", submitted, again)
	}
	keyOnly := s.as(t, "reader", "PORTICO_TOKEN=", "PORTICO_KEY="+s.key("churn"), "PORTICO_WORKSPACE=", "PORTICO_SERVICE=", "PORTICO_SERVER=")
	folder := filepath.Join(dir, "results") + "/"
	if out := keyOnly.run("job", "watch", submitted, "-out", folder); !strings.Contains(out, "Finished") || !strings.Contains(out, "1,667 read, 1,667 written, 0 bad") {
		t.Errorf("watch:\n%s", out)
	}
	if got := readFile(t, folder+"output1.csv"); got != readFile(t, scored) {
		t.Error("the job by steps gave other bytes")
	}

	// With a key alone, and the endpoint's address: the file goes within the
	// submission, the results to the standard output.
	direct := s.as(t, "reader", "PORTICO_TOKEN=", "PORTICO_SERVER=", "PORTICO_KEY="+s.key("churn"), "PORTICO_ENDPOINT="+s.base+s.at("churn", "jobs"))
	if got := direct.run("job", "submit", may, "-out", "-"); got != readFile(t, scored) {
		t.Errorf("the job of a key alone gave other bytes: %.200s", got)
	}

	// A dirty file: its bad rows beside the others.
	deployer.document(&job, "job", "submit", "infra/samples/churn/dirty_june.csv", "-row-errors", "collect", "-out", filepath.Join(dir, "june.csv"))
	if len(job.Files) != 2 || !strings.Contains(readFile(t, filepath.Join(dir, "june.errors.csv")), "total_day_minutes") {
		t.Errorf("dirty: %+v", job)
	}
	code, _, complaints := deployer.try("", "job", "submit", "infra/samples/churn/dirty_june.csv", "-wait")
	if code != 1 || !strings.Contains(complaints, "the job ended Failed") {
		t.Errorf("a job that fails ends with %d: %s", code, complaints)
	}

	var listed struct {
		Jobs []struct{ JobID, StatusCode string }
	}
	deployer.document(&listed, "job", "list", "-limit", "2")
	if len(listed.Jobs) != 2 || listed.Jobs[0].StatusCode != "Failed" || listed.Jobs[1].StatusCode != "Finished" {
		t.Errorf("list: %+v", listed)
	}

	// A job that stands still: Ctrl-C leaves it as it is, cancel ends it.
	still := s.base + s.submit("churn", encode(map[string]any{"Input": s.upload("may.csv", "customer_id\n")}))
	if code, complaints := deployer.interrupted("job", "watch", still); code != 130 || !strings.Contains(complaints, "the job goes on; look again with: portico job watch ") {
		t.Errorf("interrupted: %d, %s", code, complaints)
	}
	if deployer.document(&job, "job", "status", still); job.Status.StatusCode != "NotStarted" {
		t.Errorf("the job that was watched is %s", job.Status.StatusCode)
	}
	for range 2 {
		if deployer.document(&job, "job", "cancel", still); job.Status.StatusCode != "Cancelled" {
			t.Errorf("the job that was cancelled is %s", job.Status.StatusCode)
		}
	}

	// The same at once; in batches that do not divide the rows.
	got := records(t, deployer.run("score", may, "-batch", "400"))
	if encode(got) != encode(want) {
		t.Errorf("score answers other than the job: %d records", len(got))
	}
	row := map[string]string{}
	for i, name := range s.columns {
		row[name] = s.may[0][i]
	}
	code, out, complaints := deployer.try(encode(row), "score", "-input-format", "json", "-json")
	var answers []map[string]string
	if err := json.Unmarshal([]byte(out), &answers); code != 0 || err != nil || len(answers) != 1 || answers[0]["Scored Probabilities"] != scoredA {
		t.Errorf("score of a JSON row: %d, %v, %s%s", code, err, out, complaints)
	}
	code, _, complaints = deployer.try("customer_id\nx\n", "score")
	if code != 1 || !strings.Contains(complaints, "state") {
		t.Errorf("score without the columns: %d, %s", code, complaints)
	}
	if code, _, complaints := s.as(t, "reader").try("", "score", may); code != 3 || !strings.Contains(complaints, "reader") {
		t.Errorf("a reader has no key: %d, %s", code, complaints)
	}

	s.releaseByCommands(t, author, deployer)
	s.doctorByCommand(t, author)
}

// releaseByCommands brings a new version of the model, and takes it into
// production and back.
func (s *site) releaseByCommands(t *testing.T, author, deployer commandLine) {
	t.Helper()
	const churn = "infra/samples/churn/churn_native"
	var model struct{ Version int }
	author.document(&model, "model", "import", churn+".json", "-name", "churn model", "-binding", churn+".binding.json", "-check", churn+".expected.csv")
	if model.Version != 2 {
		t.Errorf("imported as version %d", model.Version)
	}
	if out := author.run("model", "list"); !strings.Contains(out, "churn model, native categories") {
		t.Errorf("models:\n%s", out)
	}
	original := filepath.Join(t.TempDir(), "original.json")
	author.run("model", "get", "churn model", "-original", "-out", original)
	if readFile(t, original) != readFile(t, filepath.Join(repo, churn+".json")) {
		t.Error("the original came back as something else")
	}
	code, _, complaints := author.try("", "model", "import", churn+".json", "-name", "no binding")
	if code != 1 || complaints == "" {
		t.Errorf("a model without its binding: %d, %s", code, complaints)
	}

	var run struct{ State string }
	author.document(&run, "run", "churn")
	if run.State != "Finished" {
		t.Errorf("run: %s", run.State)
	}
	var published struct{ Digest string }
	author.document(&published, "publish", "churn")
	serves := func(name string) string {
		var e struct{ Digest string }
		s.get("owner", s.manage("/services/"+s.services["churn"]+"/endpoints/"+name), &e)
		return e.Digest
	}
	before := serves("default")
	if published.Digest == before || serves("staging") != published.Digest {
		t.Errorf("published %s; staging serves %s, production %s", published.Digest, serves("staging"), before)
	}
	author.run("score", "infra/samples/churn/customers_may.csv", "-endpoint", "staging") // the evidence
	if out := author.run("promote", "request", "churn", "-note", "native categories"); !strings.Contains(out, "native categories") || !strings.Contains(out, "version 2") {
		t.Errorf("requested:\n%s", out)
	}
	if code, _, complaints := author.try("", "promote", "approve", "churn"); code != 3 {
		t.Errorf("the author approves: %d, %s", code, complaints)
	}
	if code, _, complaints := deployer.try("", "promote", "approve", "churn", "-expect", published.Digest); code != 1 {
		t.Errorf("approved what was not expected: %d, %s", code, complaints)
	}
	if out := deployer.run("promote", "show", "churn"); !strings.Contains(out, "tested     on staging since") {
		t.Errorf("shown:\n%s", out)
	}
	deployer.run("promote", "approve", "churn", "-reason", "better")
	if serves("default") != published.Digest {
		t.Error("approved, but production serves something else")
	}
	deployer.run("promote", "rollback", "churn", "-reason", "not what we hoped for")
	if serves("default") != before {
		t.Error("rolled back, but production serves something else")
	}
	var history struct {
		Moves []struct{ Digest, Reason string }
	}
	deployer.document(&history, "promote", "history", "churn")
	if len(history.Moves) != 3 || history.Moves[0].Digest != before || history.Moves[0].Reason != "not what we hoped for" || history.Moves[1].Digest != published.Digest {
		t.Errorf("history: %+v", history)
	}
	// Asked for again, and refused.
	author.run("promote", "request", "churn")
	if out := deployer.run("promote", "reject", "churn", "-reason", "no"); !strings.Contains(out, "Rejected") {
		t.Errorf("rejected:\n%s", out)
	}
	if code, _, complaints := deployer.try("", "promote", "reject", "churn", "-reason", "no"); code != 1 || !strings.Contains(complaints, "pending") {
		t.Errorf("rejected what is not pending: %d, %s", code, complaints)
	}
}

// doctorByCommand looks at the running installation, and at one that is not.
func (s *site) doctorByCommand(t *testing.T, somebody commandLine) {
	t.Helper()
	var report struct {
		OK     bool
		Checks []struct{ Check, State, Detail string }
	}
	settings := filepath.Join(t.TempDir(), "settings.json")
	master := strings.TrimSpace(readFile(t, filepath.Join(s.data, "keys", "master")))
	write := func(values map[string]string) {
		if err := os.WriteFile(settings, []byte(encode(map[string]any{"Values": values})), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, err := filepath.Abs(filepath.Join(s.data, "store"))
	if err != nil {
		t.Fatal(err)
	}
	write(map[string]string{"PORTICO_STORE": store, "PORTICO_MASTER_KEYS": master})
	somebody.document(&report, "doctor", "-settings", settings, "-server", s.base)
	seen := map[string]bool{}
	for _, c := range report.Checks {
		seen[c.Check] = true
		if c.State == "failed" {
			t.Errorf("%+v", c)
		}
	}
	for _, want := range []string{"settings", "blobs in portico", "blobs in drop", "tables", "queues", "master keys", "queue besjob", "disk", "server", "server clock", "server ready"} {
		if !seen[want] {
			t.Errorf("doctor has not looked at %s: %+v", want, report.Checks)
		}
	}
	if !report.OK {
		t.Error("the doctor finds the system ill")
	}
	// Every mistake at once, and another ring than the store was made with.
	write(map[string]string{
		"PORTICO_STORE": store, "PORTICO_MASTER_KEYS": "k1:bWFrZSAzMiByYW5kb20gYnl0ZXMgb2YgeW91ciBvd24=", "PORTICO_MAX_ROWS": "many", "PORTICO_JOB_WINDOW": "wide",
	})
	code, out, _ := somebody.try("", "doctor", "-settings", settings)
	for _, want := range []string{"PORTICO_MAX_ROWS", "PORTICO_JOB_WINDOW", "PORTICO_MASTER_KEYS"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("doctor of wrong settings: %d, without %s\n%s", code, want, out)
		}
	}
	// Somewhere else: nothing of the installation, and nobody answers.
	elsewhere := s.as(t, "reader", "PORTICO_SERVER=http://127.0.0.1:1")
	if code, out, complaints := elsewhere.try("", "doctor"); code != 1 || !strings.Contains(out, "cannot be reached") {
		t.Errorf("doctor of nobody: %d\n%s%s", code, out, complaints)
	}
	if code, _, complaints := elsewhere.try("", "model", "list", "-patience", "0s"); code != 4 || !strings.Contains(complaints, "cannot be reached") {
		t.Errorf("nobody answers: %d, %s", code, complaints)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

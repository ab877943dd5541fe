package stage

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/host/lambda/lambdatest"
	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/host/local"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// root is the script root of this repository, built once for all tests.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "portico-dist-")
	if err != nil {
		return "", err
	}
	// A function that is no more: its folder must go.
	stale := filepath.Join(dir, "gone")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(stale, "function.json"), []byte("{}"), 0o644); err != nil {
		return "", err
	}
	return dir, Build(context.Background(), Options{Repo: "../..", Out: dir})
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := root(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func staged(t *testing.T) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBuild(t *testing.T) {
	dir := staged(t)
	if _, err := layout.Read(os.DirFS(dir)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "gone")); err == nil {
		t.Error("the folder of a function that is no more is still staged")
	}
	info, err := os.Stat(filepath.Join(dir, layout.Executable))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&0o111 == 0 {
		t.Error("the handler is not executable")
	}
	if mb := float64(info.Size()) / 1e6; mb > 40 {
		t.Errorf("the handler has %.1f MB; 40 are allowed", mb)
	}
	if err := Build(t.Context(), Options{Repo: t.TempDir(), Out: t.TempDir()}); err == nil {
		t.Error("an empty folder was staged")
	}
}

// settings of an installation whose store and keys are in dir.
func settings(t *testing.T, dir string) map[string]string {
	t.Helper()
	issuer, err := auth.NewLocalIssuer(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	is := issuer.Issuer()
	issuers, err := json.Marshal([]config.Issuer{{Issuer: is.Name, Audiences: is.Audiences, JWKS: is.JWKS, OperatorRole: is.OperatorRole}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"PORTICO_STORE":       filepath.Join(dir, "store"),
		"PORTICO_MASTER_KEYS": "k1:" + base64.StdEncoding.EncodeToString([]byte("an example of thirty-two bytes..")),
		"PORTICO_ISSUERS":     string(issuers),
	}
}

// output gathers what the handler logs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until the handler has logged text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(o.String(), text) {
		select {
		case <-t.Context().Done():
			t.Fatalf("never logged: %s", text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// host runs the staged program under the local host.
func host(t *testing.T, change func(map[string]string)) (*local.Host, *output) {
	t.Helper()
	dir := t.TempDir()
	env := settings(t, dir)
	if change != nil {
		change(env)
	}
	st, err := sqlite.Open(filepath.Join(dir, "store"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := &output{}
	h, err := local.New(local.Options{Root: staged(t), Addr: "127.0.0.1:0", Settings: env, Store: st.Store, Output: log, MaxCrashes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		st.Close()
		if t.Failed() {
			t.Logf("the handler said:\n%s", log)
		}
	})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, log
}

func call(t *testing.T, method, url, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestUnderTheLocalHost(t *testing.T) {
	h, log := host(t, func(env map[string]string) { env["PORTICO_PUBLIC_URL"] = "https://ml.example.org" })
	code, header, body := call(t, "GET", h.URL()+"/health/live", "", nil)
	if code != http.StatusOK || body != `{"status":"live"}` || len(header.Get("x-ms-request-id")) != 36 {
		t.Errorf("%d %v %s", code, header, body)
	}
	code, _, body = call(t, "GET", h.URL()+"/", "", map[string]string{"X-Forwarded-Host": "evil.example"})
	if code != http.StatusOK || !strings.Contains(body, "https://ml.example.org/workspaces/") || strings.Contains(body, "evil") {
		t.Errorf("%d %s", code, body)
	}
	code, header, body = call(t, "GET", h.URL()+"/manage/workspaces?secret=hunter2", "", map[string]string{"Authorization": "Bearer hunter3"})
	if code != http.StatusUnauthorized {
		t.Errorf("%d %s", code, body)
	}
	log.await(t, `"request_id":"`+header.Get("x-ms-request-id")+`"`)
	said := log.String()
	said = said[:strings.LastIndexByte(said, '\n')] // the last line may be on its way
	for line := range strings.SplitSeq(said, "\n") {
		if !json.Valid([]byte(line)) || strings.Contains(line, "hunter") {
			t.Errorf("not a line of ours: %q", line)
		}
	}
	// A body far beyond every limit is refused before it is read.
	req, err := http.NewRequestWithContext(t.Context(), "POST", h.URL()+"/workspaces/w/services/e/execute", endless{})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 30
	resp, err := http.DefaultClient.Do(req)
	if err == nil { // the host may as well close while the body is being sent
		resp.Body.Close()
		if resp.StatusCode/100 == 2 {
			t.Errorf("a body of 1 GiB: %d", resp.StatusCode)
		}
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestKilledHandlerComesBack: kill -9 costs a restart and nothing else.
func TestKilledHandlerComesBack(t *testing.T) {
	h, _ := host(t, nil)
	for range 3 {
		pid := h.Pid()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if code, _, body := call(t, "GET", h.URL()+"/health/ready", "", nil); code != http.StatusOK {
			t.Errorf("%d %s", code, body)
		}
		if h.Pid() == pid {
			t.Error("the same process")
		}
	}
}

// start runs the handler without a host.
func start(t *testing.T, env map[string]string) (*exec.Cmd, *output) {
	t.Helper()
	log := &output{}
	cmd := exec.CommandContext(t.Context(), filepath.Join(staged(t), layout.Executable))
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the handler said:\n%s", log)
		}
	})
	return cmd, log
}

// TestLambda: the same binary behind a Function URL.
func TestLambda(t *testing.T) {
	rt := lambdatest.New(t)
	env := settings(t, t.TempDir())
	env["PORTICO_ISSUERS"] = `[{"issuer":"https://i.example","audiences":["a"],"jwks":"https://i.example/keys"}]`
	env["AWS_LAMBDA_RUNTIME_API"], env["AWS_LAMBDA_FUNCTION_NAME"] = rt.Addr(), "portico"
	start(t, env)
	if a := rt.Do(t, "GET", "/health/ready", "", "", nil); a.Status != http.StatusOK || !strings.Contains(a.Body, `"storage":"ok"`) {
		t.Errorf("%+v", a)
	}
	if a := rt.Do(t, "POST", "/workspaces/w/services/e/execute", "api-version=2.0", "{}", nil); a.Status/100 != 4 || !strings.Contains(a.Body, `"error"`) {
		t.Errorf("%+v", a)
	}
	for _, name := range []string{"besjob", "beschunk", "drop", "runs", "notify", "sweep"} {
		a := rt.Do(t, "POST", "/"+name, "", `{"Data":{"m":"x"},"Metadata":{}}`, map[string]string{"X-Azure-Functions-InvocationId": "12345678"})
		if a.Status != http.StatusNotFound {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestPlainProcess: the same binary as an ordinary server, which ends in order
// when it is asked to.
func TestPlainProcess(t *testing.T) {
	env := settings(t, t.TempDir())
	env["PORTICO_LISTEN"] = "127.0.0.1:0" // any free port: its first line says which
	cmd, log := start(t, env)
	log.await(t, `"address":"`)
	_, rest, _ := strings.Cut(log.String(), `"address":"`)
	address, _, _ := strings.Cut(rest, `"`)
	if code, _, body := call(t, "GET", "http://"+address+"/health/ready", "", nil); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	if code, _, body := call(t, "POST", "http://"+address+"/besjob", `{"Data":{"m":"x"},"Metadata":{}}`, map[string]string{"X-Azure-Functions-InvocationId": "12345678"}); code != http.StatusNotFound {
		t.Errorf("%d %s", code, body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestBadSettingKeepsListening: the process does not end over its settings.
func TestBadSettingKeepsListening(t *testing.T) {
	_, log := start(t, map[string]string{"PORTICO_LISTEN": "127.0.0.1:0", "PORTICO_MASTER_KEYS": "hunter2"})
	log.await(t, `"address":"`)
	_, rest, _ := strings.Cut(log.String(), `"address":"`)
	address, _, _ := strings.Cut(rest, `"`)
	code, _, body := call(t, "POST", "http://"+address+"/workspaces/w/services/e/execute", "{}", nil)
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "PORTICO_MASTER_KEYS") || strings.Contains(body, "hunter2") {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := call(t, "GET", "http://"+address+"/health/live", "", nil); code != http.StatusOK {
		t.Errorf("live: %d", code)
	}
	log.await(t, `"setting":"PORTICO_MASTER_KEYS"`)
	if strings.Contains(log.String(), "hunter2") {
		t.Error("the value is logged")
	}
}

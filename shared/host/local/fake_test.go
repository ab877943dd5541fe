package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// TestMain lets the test binary be the handler that the host runs. It is a
// handler by the letter of the contract, written without our own adapter.
func TestMain(m *testing.M) {
	if os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT") != "" {
		fakeHandler()
		return
	}
	os.Exit(m.Run())
}

// seen is what the fake writes to $SEEN, one JSON line per call.
type seen struct {
	Method, Path, Query, Host, Body string
	Header                          http.Header
	Pid                             int
}

func fakeHandler() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT) // the host must not rely on them
	if os.Getenv("NEVER_LISTEN") != "" {
		time.Sleep(time.Hour)
	}
	if code := os.Getenv("EXIT"); code != "" {
		var n int
		fmt.Sscan(code, &n)
		os.Exit(n)
	}
	log, err := os.OpenFile(os.Getenv("SEEN"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	first := func(name string) bool { // across restarts
		f, err := os.OpenFile(os.Getenv("SEEN")+"."+name, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			f.Close()
		}
		return err == nil
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.Header.Get("X-Forwarded-Host") == "" {
			w.WriteHeader(http.StatusNotFound) // any answer means ready
			return
		}
		read := r.URL.Query().Get("read") != "no"
		var body []byte
		if read {
			body, _ = io.ReadAll(r.Body)
		}
		mu.Lock()
		json.NewEncoder(log).Encode(seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, string(body), r.Header, os.Getpid()})
		mu.Unlock()
		if once := r.URL.Query().Get("crash"); once != "" && first(once) {
			os.Exit(3)
		}
		if r.URL.Query().Get("stream") != "" {
			for i := range 3 {
				fmt.Fprintf(w, "part %d\n", i)
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
			return
		}
		if r.Method == "POST" && strings.Count(r.URL.Path, "/") == 1 {
			reply(w, body, first)
			return
		}
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusTeapot)
		w.Write(body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	if err != nil {
		panic(err)
	}
	panic(http.Serve(ln, h))
}

// reply answers an envelope in the way that its message asks for.
func reply(w http.ResponseWriter, envelope []byte, first func(string) bool) {
	var e struct {
		Data map[string]json.RawMessage
	}
	json.Unmarshal(envelope, &e)
	var once, text string
	for _, v := range e.Data {
		json.Unmarshal(v, &once)
		json.Unmarshal([]byte(once), &text)
	}
	good := func() {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"Outputs":{},"Logs":[],"ReturnValue":null}`)
	}
	switch {
	case strings.HasPrefix(text, "always fail"):
		w.WriteHeader(http.StatusInternalServerError)
	case strings.HasPrefix(text, "fail once") && first("fail"):
		w.WriteHeader(http.StatusInternalServerError)
	case strings.HasPrefix(text, "plain once") && first("plain"):
		w.Write([]byte(`{"Outputs":{}}`)) // text/plain
	case strings.HasPrefix(text, "empty once") && first("empty"):
	case strings.HasPrefix(text, "die once") && first("die"):
		os.Exit(1)
	case strings.HasPrefix(text, "slow"):
		time.Sleep(2200 * time.Millisecond)
		good()
	default:
		good()
	}
}

// rig is a running host over a script root made for the test.
type rig struct {
	*Host
	t     *testing.T
	store *sqlite.Store
	seen  string
	root  string
	stop  context.CancelFunc
	done  chan error
}

const httpFunction = `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":%s,"route":"%s"},{"type":"http","direction":"out","name":"res"}]}`

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, root: filepath.Join(dir, "dist"), seen: filepath.Join(dir, "seen"), done: make(chan error, 1)}
	files := map[string]string{
		"alpha":  fmt.Sprintf(httpFunction, `["get","post"]`, "x/{id}/{*rest}"),
		"beta":   fmt.Sprintf(httpFunction, `["get","head"]`, "{home:maxlength(0)?}"),
		"work":   `{"bindings":[{"type":"queueTrigger","direction":"in","name":"msg","queueName":"work","connection":"AzureWebJobsStorage"}]}`,
		"drop":   `{"bindings":[{"type":"queueTrigger","direction":"in","name":"msg","queueName":"drop","connection":"AzureWebJobsStorage"}]}`,
		"ticker": `{"bindings":[{"type":"timerTrigger","direction":"in","name":"t","schedule":"* * * * * *"}]}`,
	}
	for name, text := range files {
		r.write(name+"/function.json", []byte(text))
	}
	host, err := os.ReadFile("../../../host.json")
	if err != nil {
		t.Fatal(err)
	}
	r.write("host.json", host)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(r.root, "handler")); err != nil {
		t.Fatal(err)
	}
	r.store, err = sqlite.Open(filepath.Join(dir, "store"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Root: r.root, Addr: "127.0.0.1:0", Store: r.store.Store, Output: t.Output(),
		Settings:          map[string]string{"SEEN": r.seen, "A_SETTING": "a value"},
		VisibilityTimeout: 50 * time.Millisecond, MaxPolling: 50 * time.Millisecond, MaxCrashes: 100,
	}
	if change != nil {
		change(&o)
	}
	if r.Host, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-r.done
		r.store.Close()
	})
	return r
}

func (r *rig) write(name string, b []byte) {
	path := filepath.Join(r.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// calls returns what the handler has seen so far on a path.
func (r *rig) calls(path string) []seen {
	r.t.Helper()
	f, err := os.Open(r.seen)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []seen
	for dec := json.NewDecoder(f); ; {
		var s seen
		if dec.Decode(&s) != nil {
			return out
		}
		if s.Path == path {
			out = append(out, s)
		}
	}
}

// worked reports whether queue work is empty.
func (r *rig) worked() bool {
	n, err := r.store.Queues.Depth(r.t.Context(), "work")
	return err == nil && n == 0
}

// eventually waits, without a limit but the test's own, until ok.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for !ok() {
		select {
		case err := <-r.done:
			r.done <- err
			r.t.Fatalf("waiting for %s: the host ended: %v", what, err)
		case <-r.t.Context().Done():
			r.t.Fatalf("waiting for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

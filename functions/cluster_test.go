package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/infra/samples"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/host/local"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// cluster is two hosts over one store, whose handlers are watched, with a
// service in production and an input for it.
type cluster struct {
	hosts   []*watchedHost
	ended   *ends
	log     string // file of what the hosts log
	client  *client.Client
	author  string // token
	service samples.Production
	input   reference
	rows    int
	bad     []string // rows of the input, counted from 1, that are bad
}

type watchedHost struct {
	*local.Host
	dir string // of the watch
	log string // file of what the handlers print
}

// ends counts the handlers that ended, by what their hosts log.
type ends struct {
	slog.Handler
	mu sync.Mutex
	n  int
}

func (e *ends) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "the handler ended") {
		e.mu.Lock()
		e.n++
		e.mu.Unlock()
	}
	return e.Handler.Handle(ctx, r)
}

func (e *ends) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	issuer, err := auth.NewLocalIssuer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env := trusting(t, issuer)
	delete(env, "FUNCTIONS_CUSTOMHANDLER_PORT") // the host gives one
	port, err := local.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	env["PORTICO_PUBLIC_URL"], env["PORTICO_CHUNK_BYTES"] = "http://"+addr, "64KiB"
	env["PORTICO_STORE"] = tempDir(t)
	env["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] = "1073741824"
	s, err := sqlite.Open(env["PORTICO_STORE"], sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	root, err := scriptRoot(t)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{log: filepath.Join(t.TempDir(), "log")}
	hostLog, err := os.Create(c.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hostLog.Close() })
	c.ended = &ends{Handler: slog.NewTextHandler(hostLog, nil)}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	for _, addr := range []string{addr, "127.0.0.1:0"} {
		h := &watchedHost{dir: t.TempDir()}
		h.log = filepath.Join(h.dir, "log")
		out, err := os.Create(h.log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		settings := maps.Clone(env)
		settings["WATCHED"] = h.dir
		h.Host, err = local.New(local.Options{
			Root: root, Addr: addr, Settings: settings, Store: s.Store, Log: slog.New(c.ended), Output: out,
			VisibilityTimeout: 10 * time.Millisecond, MaxPolling: 50 * time.Millisecond, MaxCrashes: 1 << 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.hosts = append(c.hosts, h)
		running.Go(func() {
			if err := h.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		if err := h.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c.client, err = client.New(c.hosts[0].URL(), client.Options{HTTP: caller(), Patience: time.Minute}); err != nil {
		t.Fatal(err)
	}
	token := func(role string) (string, error) {
		claims := auth.Claims{Subject: "local-" + role, Name: role}
		if role == "operator" {
			claims.Roles = []string{auth.LocalOperatorRole}
		}
		return issuer.Sign(claims, time.Hour)
	}
	var out bytes.Buffer
	if c.service, err = samples.Trees(t.Context(), c.client.Base(), token, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if c.author, err = token("author"); err != nil {
		t.Fatal(err)
	}
	c.bring(t)
	return c
}

// tempDir is a folder in memory, where the machine has such: a kill loses nothing
// that a process has handed to the system.
func tempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "portico-killed-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// scriptRoot makes a script root whose handler is this test.
func scriptRoot(t *testing.T) (string, error) {
	root := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if err := os.Symlink(exe, filepath.Join(root, layout.Executable)); err != nil {
		return "", err
	}
	repo := os.DirFS("..")
	names, err := fs.Glob(repo, "functions/*/function.json")
	if err != nil {
		return "", err
	}
	for _, name := range append(names, "host.json") {
		body, err := fs.ReadFile(repo, name)
		if err != nil {
			return "", err
		}
		name = filepath.Join(root, strings.TrimPrefix(name, "functions/"))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(name, body, 0o600); err != nil {
			return "", err
		}
	}
	return root, nil
}

// reference is a blob as a batch request names it.
type reference struct{ BaseLocation, RelativeLocation, SasBlobToken string }

func (r reference) address() string { return r.BaseLocation + r.RelativeLocation + r.SasBlobToken }

// place is where a file can be written, and read.
func (c *cluster) place(t *testing.T, name string) (write, read reference) {
	t.Helper()
	var u struct{ Write, Read reference }
	_, err := c.client.Do(t.Context(), client.Call{
		Method: "POST", Path: client.Manage(c.service.Workspace, "uploads"), Bearer: c.author, Again: true,
		Body: client.JSON(map[string]string{"name": name}),
	}, &u)
	if err != nil {
		t.Fatal(err)
	}
	return u.Write, u.Read
}

// bring uploads an input of fifty chunks: the sample's customers, again and
// again under other names, with bad rows among them.
func (c *cluster) bring(t *testing.T) {
	t.Helper()
	customers, err := samples.Customers()
	if err != nil {
		t.Fatal(err)
	}
	header := customers[0]
	minutes, calls := slices.Index(header, "total_day_minutes"), slices.Index(header, "number_customer_service_calls")
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	w.Write(header) // to memory
	for size := killedChunks*64<<10 - 20<<10; file.Len() < size; w.Flush() {
		c.rows++
		row := slices.Clone(customers[1+c.rows%(len(customers)-1)])
		row[0] = fmt.Sprintf("R%06d", c.rows)
		switch c.rows % 300 {
		case 17:
			row[0] += "\nof two lines"
		case 50:
			row[minutes] = "12O"
		case 120:
			row[calls] = "2.5"
		case 250:
			row = row[:5]
		default:
			w.Write(row)
			continue
		}
		if c.rows%300 != 17 {
			c.bad = append(c.bad, strconv.Itoa(c.rows))
		}
		w.Write(row)
	}
	write, read := c.place(t, "in.csv")
	if err := c.client.Upload(t.Context(), write.address(), bytes.NewReader(file.Bytes()), int64(file.Len()), nil); err != nil {
		t.Fatal(err)
	}
	c.input = read
}

// files are what a job wrote: its output, where the caller placed it, and its
// error file.
type files struct{ out, errs []byte }

// run runs the job and returns what it wrote and how long it took.
func (c *cluster) run(t *testing.T) (files, time.Duration) {
	t.Helper()
	write, _ := c.place(t, "out.csv")
	jobs := "/workspaces/" + c.service.Workspace + "/services/" + c.service.Endpoint + "/jobs"
	var id string
	_, err := c.client.Do(t.Context(), client.Call{
		Method: "POST", Path: jobs, Bearer: c.service.Key, Header: map[string]string{"Idempotency-Key": write.RelativeLocation}, Again: true,
		Body: client.JSON(map[string]any{"Input": c.input, "Output": write, "Options": map[string]string{"RowErrors": "collect"}}),
	}, &id)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, err = c.client.Do(t.Context(), client.Call{Method: "POST", Path: jobs + "/" + id + "/start", Bearer: c.service.Key}, nil)
	if err != nil && !client.HasCode(err, "CannotStartJob") { // the start had its effect, its answer was lost
		t.Fatal(err)
	}
	var s batch.Status
	for !s.StatusCode.Ended() {
		if _, err := c.client.Get(t.Context(), jobs+"/"+id, c.service.Key, &s); err != nil {
			t.Fatal(err)
		}
		if time.Since(begun) > 10*time.Minute { // sweep would rescue it in twelve
			t.Fatalf("the job is %s, with %+v\n%s", s.StatusCode, s.Progress, c.logs())
		}
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(begun)
	if s.StatusCode != batch.Finished || s.ErrorFile == nil {
		t.Fatalf("the job is %s: %v\n%s", s.StatusCode, *s.Details, c.logs())
	}
	if s.Progress.Chunks != killedChunks {
		t.Fatalf("%d chunks", s.Progress.Chunks)
	}
	read := func(r batch.Reference) []byte {
		var b bytes.Buffer
		if err := c.client.Download(t.Context(), r.BaseLocation+r.RelativeLocation+*r.SasBlobToken, &b, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if out := s.Results["output1"]; out.RelativeLocation != write.RelativeLocation {
		t.Fatalf("the output is at %s, to be at %s", out.RelativeLocation, write.RelativeLocation)
	}
	return files{read(s.Results["output1"]), read(*s.ErrorFile)}, took
}

// check holds files to the input: every row is in one of them, once, in order.
func (c *cluster) check(t *testing.T, f files) {
	t.Helper()
	column := func(body []byte) (cells []string) {
		rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			cells = append(cells, row[0])
		}
		return cells
	}
	if got := column(f.errs); !slices.Equal(got, c.bad) {
		t.Errorf("bad rows %v, want %v", got, c.bad)
	}
	var good []string
	for n := 1; n <= c.rows; n++ {
		id := fmt.Sprintf("R%06d", n)
		if n%300 == 17 {
			id += "\nof two lines"
		}
		if !slices.Contains(c.bad, strconv.Itoa(n)) {
			good = append(good, id)
		}
	}
	if got := column(f.out); !slices.Equal(got, good) {
		t.Errorf("%d good rows, want %d", len(got), len(good))
	}
}

// logs are the ends of what hosts and handlers have printed.
func (c *cluster) logs() string {
	var all strings.Builder
	for _, name := range []string{c.log, c.hosts[0].log, c.hosts[1].log} {
		body, err := os.ReadFile(name)
		fmt.Fprintf(&all, "%s: %v\n%s\n", name, err, body[max(0, len(body)-10_000):])
	}
	return all.String()
}

// A kill is the end of a handler, and what it was in.
type kill struct {
	death
	in []string
}

// kills takes what the handlers left that have been killed since it was asked
// last.
func (c *cluster) kills(t *testing.T) (ks []kill) {
	t.Helper()
	for _, h := range c.hosts {
		names, err := filepath.Glob(filepath.Join(h.dir, "death.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			var d death
			body, err := os.ReadFile(name)
			if err == nil {
				err = json.Unmarshal(body, &d)
			}
			if err != nil {
				t.Fatal(err)
			}
			state, err := os.ReadFile(strings.Replace(name, "death.", "state.", 1))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			k := kill{death: d}
			for line := range strings.Lines(string(state)) {
				if line = strings.TrimSpace(line); line != "" {
					k.in = append(k.in, line)
				}
			}
			ks = append(ks, k)
		}
	}
	return ks
}

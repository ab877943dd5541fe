package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	hostlocal "github.com/portico-ml/portico/shared/host/local"
)

// built is the folder of what every test uses: the local command and the
// script root, built once.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// patience is how long a test waits for what takes a moment: what is not done
// by then never will be.
const patience = 5 * time.Minute

// repo is the root of the repository.
const repo = "../.."

func build(t *testing.T) (local, dist string) {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "portico-e2e-"); built.err != nil {
			return
		}
		for _, args := range [][]string{
			{"go", "build", "-o", filepath.Join(built.dir, "local"), "./infra/local"},
			{filepath.Join(built.dir, "local"), "stage", "-dist", filepath.Join(built.dir, "dist")},
		} {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir = repo
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				built.err = fmt.Errorf("%v: %w\n%s", args, err, out)
				return
			}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "local"), filepath.Join(built.dir, "dist")
}

// system is a Portico that runs on a data folder of its own.
type system struct {
	t     *testing.T
	local string
	dist  string
	data  string
	base  string
	addr  string
	args  []string // of local run, besides
	cmd   *exec.Cmd
}

// newSystem prepares a system with settings (NAME=VALUE) of its own; start
// starts it.
func newSystem(t *testing.T, settings ...string) *system {
	t.Helper()
	local, dist := build(t)
	port, err := hostlocal.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	// Each system stages for itself, so that the tests may run side by side.
	s := &system{t: t, local: local, dist: filepath.Join(t.TempDir(), "dist"), data: t.TempDir(), addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err := os.CopyFS(s.dist, os.DirFS(dist)); err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + s.addr
	for _, assignment := range settings {
		s.args = append(s.args, "-set", assignment)
	}
	return s
}

// start runs the local host and waits until it is ready.
func (s *system) start() {
	s.t.Helper()
	args := []string{"run", "-bare", "-staged", "-data", s.data, "-dist", s.dist, "-addr", s.addr}
	s.cmd = exec.Command(s.local, append(args, s.args...)...)
	s.cmd.Dir = repo
	var out bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	// The handler dies with the host, the host with the test.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd := s.cmd
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(s.base + "/health/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not ready: %v\n%s", err, out.String())
		}
	}
}

// kill ends the host as a power cut would.
func (s *system) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// killHandler ends the handler process, whatever it is doing.
func (s *system) killHandler() {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range processes {
		line, err := os.ReadFile(p + "/cmdline")
		if err != nil || !strings.HasPrefix(string(line), filepath.Join(s.dist, "handler")) {
			continue // it ended, or is another
		}
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (s *system) token(role string) (string, error) {
	out, err := exec.Command(s.local, "token", "-data", s.data, "-role", role).Output()
	return strings.TrimSpace(string(out)), err
}

// call makes a request and returns status and body.
func (s *system) call(method, path, bearer, body string, headers ...string) (int, string) {
	s.t.Helper()
	status, answer, err := s.tryCall(context.Background(), method, path, bearer, strings.NewReader(body), headers...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

func (s *system) tryCall(ctx context.Context, method, path, bearer string, body io.Reader, headers ...string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return 0, "", err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

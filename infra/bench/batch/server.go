//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// host is a local host and the handler that it runs. All hosts have one data
// folder, and so drain the same queues.
type host struct {
	base    string
	cmd     *exec.Cmd
	handler int // process id
}

// startHosts starts hosts until there are n.
func (b *bench) startHosts(ctx context.Context, n int) error {
	for len(b.hosts) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addr := l.Addr().String()
		l.Close()
		h := &host{base: "http://" + addr}
		h.cmd = exec.CommandContext(ctx, b.path("local"), "run", "-bare", "-staged", "-data", b.path("data"), "-dist", b.dist,
			"-addr", addr, "-set", "GOMAXPROCS="+strconv.Itoa(b.cores))
		h.cmd.Stderr = os.Stderr
		if err := h.cmd.Start(); err != nil {
			return err
		}
		b.hosts = append(b.hosts, h)
		if err := h.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) stopHosts() {
	for _, h := range b.hosts {
		h.cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		h.cmd.Wait()                       //nolint:errcheck // by the signal
	}
	b.hosts = nil
}

// ready waits until the host answers, and finds its handler.
func (h *host) ready(ctx context.Context) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err := (client{h.base, ""}).do(ctx, "GET", "/health/ready", nil, nil); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", h.cmd.Process.Pid))
		if err != nil {
			return err
		}
		for _, file := range children {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // the thread ended
			}
			for _, pid := range strings.Fields(string(text)) {
				h.handler, err = strconv.Atoi(pid)
				return err
			}
		}
		return fmt.Errorf("the host at %s has no handler", h.base)
	}
	return fmt.Errorf("the host at %s does not answer", h.base)
}

func (h *host) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", h.handler, name) }

// resetPeak begins a new measurement of memory.
func (h *host) resetPeak() error { return os.WriteFile(h.proc("clear_refs"), []byte("5"), 0) }

// peakMB is the most memory that the handler held; 0 where it has ended.
func (h *host) peakMB() float64 {
	text, err := os.ReadFile(h.proc("status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseFloat(kb, 64)
	return n * 1024 / 1e6
}

// cpu is the processor time of the handler so far, by the kernel's ticks of
// 10 ms; 0 where it has ended.
func (h *host) cpu() time.Duration {
	text, err := os.ReadFile(h.proc("stat"))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// token gives a token of the person who has a role.
func (b *bench) token(role string) (string, error) {
	out, err := exec.Command(b.path("local"), "token", "-data", b.path("data"), "-role", role).Output()
	return strings.TrimSpace(string(out)), err
}

// link is a signed address as the API gives and takes it.
type link struct{ BaseLocation, RelativeLocation, SasBlobToken string }

func (l link) url() string { return l.BaseLocation + l.RelativeLocation + l.SasBlobToken }

// client speaks HTTP to one server as one caller.
type client struct{ base, token string }

// do sends body as JSON and decodes the answer into out; either may be nil.
func (c client) do(ctx context.Context, method, path string, body, out any) error {
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, r)
	if err != nil {
		return err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %d: %s", method, path, resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

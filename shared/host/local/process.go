package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/service"
)

// crashWindow is the time in which crashes are counted against MaxCrashes.
const crashWindow = 30 * time.Minute

// exitRestart is the exit code that is restarted and not counted.
const exitRestart = 200

// process keeps the handler running.
type process struct {
	h     *Host
	ready *latch // it has answered GET /

	mu      sync.Mutex
	cmd     *exec.Cmd
	over    chan struct{} // closed when the process, or else the last, has ended
	pardon  bool          // the next end is our own doing and not a crash
	gone    bool          // it ended with code 0: there will be no other
	crashes []time.Time
}

func newProcess(h *Host) *process {
	over := make(chan struct{})
	close(over)
	return &process{h: h, ready: newLatch(), over: over}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// wait returns when the handler answers.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ready.opened():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// silence returns a function that waits, within limits, until the end of the
// process is known that gave no answer: what is delivered again at once must not
// meet it a second time.
func (p *process) silence() (known func(context.Context)) {
	p.mu.Lock()
	over := p.over
	p.mu.Unlock()
	return func(ctx context.Context) {
		t := time.NewTimer(10 * time.Second) // a large process on a busy machine takes a while to end
		defer t.Stop()
		select {
		case <-over:
		case <-t.C:
		case <-ctx.Done():
		}
	}
}

// started waits, within limits, for a process that is being started.
func (p *process) started(ctx context.Context) {
	if p.isGone() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.h.o.InitTimeout)
	defer cancel()
	p.wait(ctx) //nolint:errcheck // the next try finds out
}

func (p *process) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// kill ends the handler, and all that it is doing, because of a time-out.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		p.pardon = true
		p.cmd.Process.Kill()
	}
}

// run starts the handler again and again until ctx is done.
func (p *process) run(ctx context.Context) error {
	for {
		code, err := p.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		p.mu.Lock()
		pardon := p.pardon
		p.pardon = false
		p.mu.Unlock()
		switch {
		case code == 0:
			p.mu.Lock()
			p.gone = true
			p.mu.Unlock()
			p.h.o.Log.Error("the handler ended with code 0: the host never starts it again, every call is a 500")
			<-ctx.Done()
			return nil
		case code == exitRestart || pardon:
			p.h.o.Log.Warn("the handler is started again", "code", code)
		default:
			if n := p.crashed(time.Now()); n >= p.h.o.MaxCrashes {
				return fmt.Errorf("the handler ended %d times within %v, the last time with code %d: the host gives up", n, crashWindow, code)
			}
			p.h.o.Log.Error("the handler ended; it is started again", "code", code)
		}
	}
}

// crashed counts a crash and returns how many there are in the window.
func (p *process) crashed(at time.Time) int {
	p.crashes = append(p.crashes, at)
	for at.Sub(p.crashes[0]) > crashWindow {
		p.crashes = p.crashes[1:]
	}
	return len(p.crashes)
}

// once runs the handler to its end.
func (p *process) once(ctx context.Context) (code int, err error) {
	exe, err := filepath.Abs(filepath.Join(p.h.o.Root, layout.Executable))
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(exe)
	cmd.Dir = p.h.o.Root
	cmd.Env = p.environment()
	cmd.Stdout, cmd.Stderr = p.h.o.Output, p.h.o.Output
	cmd.WaitDelay = time.Second
	dieWithParent(cmd)

	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The death signal is tied to the thread that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return 0, fmt.Errorf("start the handler: %w", err)
	}
	over := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.over = cmd, over
	p.mu.Unlock()
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.handshake(stop, cmd)

	select {
	case err = <-ended:
	case <-ctx.Done():
		cmd.Process.Kill()
		err = <-ended
	}
	p.ready.set(false)
	p.mu.Lock()
	p.cmd = nil
	p.mu.Unlock()
	close(over)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil // -1 where a signal ended it
	}
	return 0, nil
}

// handshake asks until anything is answered; a handler that does not listen
// within InitTimeout is killed, which counts as a crash.
func (p *process) handshake(ctx context.Context, cmd *exec.Cmd) {
	deadline := time.Now().Add(p.h.o.InitTimeout)
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.h.handlerURL()+"/", nil)
		if err != nil {
			return
		}
		if resp, err := p.h.handler.Do(req); err == nil {
			resp.Body.Close()
			p.ready.set(true)
			return
		}
		if time.Now().After(deadline) {
			p.h.o.Log.Error("the handler does not listen", "within", p.h.o.InitTimeout)
			cmd.Process.Kill()
			return
		}
		sleep(ctx, 25*time.Millisecond)
	}
}

func (p *process) environment() []string {
	port, id := strconv.Itoa(p.h.port), service.NewID()
	root, err := filepath.Abs(p.h.o.Root)
	if err != nil {
		root = p.h.o.Root
	}
	env := []string{
		"FUNCTIONS_CUSTOMHANDLER_PORT=" + port, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID=" + id,
		"FUNCTIONS_HTTPWORKER_PORT=" + port, "FUNCTIONS_HTTPWORKER_ID=" + id,
		"FUNCTIONS_APP_ROOT_PATH=" + root, "AzureWebJobsScriptRoot=" + root,
		"FUNCTIONS_WORKER_RUNTIME=Custom", "WEBSITE_HOSTNAME=" + p.h.ln.Addr().String(),
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range p.h.o.Settings {
		env = append(env, name+"="+v)
	}
	return env
}

func (h *Host) handlerURL() string { return "http://127.0.0.1:" + strconv.Itoa(h.port) }

// sleep waits for d or for ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

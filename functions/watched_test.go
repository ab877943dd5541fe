package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/telemetry"
)

// TestMain lets the test binary be the handler that a host runs: the whole
// program, with a watch on its store.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WATCHED"); dir != "" {
		if err := serveWatched(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveWatched is serve with a watch.
func serveWatched(dir string) error {
	cfg, problems := config.FromEnvironment()
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	tel := telemetry.New(telemetry.Options{Out: os.Stdout, Level: cfg.LogLevel})
	a := &app{telemetry: tel, triggers: map[string]azfunc.Trigger{}}
	a.router = web.NewRouter(web.Options{Observe: tel.Call, PublicURL: cfg.PublicURL})
	p := &parts{cfg: cfg, problems: problems}
	p.open(a)
	if len(p.problems) > 0 {
		return errors.New(p.problems[0].String())
	}
	w, err := newWatch(dir)
	if err != nil {
		return err
	}
	inner := *p.store
	inner.Queues = soon{inner.Queues}
	watched := faulty.New(inner)
	watched.Watch(w.call)
	p.store = &watched.Store
	a.wire(p)
	for name, t := range a.triggers {
		t.Handle = w.delivery(name, t.Handle)
		a.triggers[name] = t
	}
	return http.Serve(ln, a.handler(cfg))
}

// soon makes messages wait a hundredth of their time.
type soon struct{ storage.Queues }

func (q soon) Send(ctx context.Context, queue string, body []byte, delay time.Duration) error {
	return q.Queues.Send(ctx, queue, body, delay/100)
}

// moment is when a process is to be killed: at the N-th storage call of its
// deliveries or of those of one function, at its N-th scoring of a chunk, or by
// the clock.
type moment struct {
	Of    string        // "call", "besjob call", "scoring", "clock"
	N     int           // from 1; of the clock nothing
	Phase string        // begin: before the effect; within: after Delay, whatever it does then; end: after the effect
	Delay time.Duration // from the begin, or of the clock from the first delivery on
}

func (m moment) String() string {
	switch {
	case m.Of == "clock":
		return fmt.Sprintf("%v after the first delivery", m.Delay)
	case m.Phase == "within":
		return fmt.Sprintf("%v after the begin of %s %d", m.Delay, m.Of, m.N)
	}
	return fmt.Sprintf("at the %s of %s %d", m.Phase, m.Of, m.N)
}

// plan is the moments of one run of a job, for the processes of one host: the
// first is the next process's, which takes it out before it dies.
type plan struct {
	Run     int
	Moments []moment
}

// death is what a process leaves.
type death struct {
	Run    int
	Moment moment
}

// A watch knows what the deliveries of this process are in, and keeps it in a
// file, which a kill does not undo; and it kills the process when its moment
// has come.
type watch struct {
	dir   string
	state *os.File

	mu     sync.Mutex
	places []bool // of the state file
	plan   plan
	counts map[string]int // by what moments are of
}

func newWatch(dir string) (*watch, error) {
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("state.%d", os.Getpid())))
	return &watch{dir: dir, state: f, counts: map[string]int{}}, err
}

// inWork is a delivery under way.
type inWork struct {
	function string
	what     string // function, and step or chunk
	place    int
	scoring  bool
}

const placeSize = 128 // of a line of the state file

// in notes what the delivery is in; "" is nothing any more.
func (w *watch) in(d *inWork, what string) {
	line := ""
	if what != "" {
		line = d.what + ": " + what
	}
	_, err := w.state.WriteAt(fmt.Appendf(nil, "%-*.*s\n", placeSize-1, placeSize-1, line), int64(d.place)*placeSize)
	if err != nil {
		panic(err)
	}
}

type inWorkKey struct{}

// What a delivery is in before its first call, and between two.
const (
	waiting = "waiting for a place"
	between = "between calls"
)

// delivery watches a trigger.
func (w *watch) delivery(name string, handle event.Handler) event.Handler {
	return func(ctx context.Context, e event.Event) error {
		d := &inWork{function: name, what: name}
		var m struct {
			M struct {
				Step  string
				Chunk *int
			}
		}
		if json.Unmarshal(e.Body, &m) == nil {
			if m.M.Step != "" {
				d.what += " " + m.M.Step
			}
			if m.M.Chunk != nil {
				d.what += fmt.Sprint(" ", *m.M.Chunk)
			}
		}
		w.mu.Lock()
		w.load()
		for d.place < len(w.places) && w.places[d.place] {
			d.place++
		}
		if d.place == len(w.places) {
			w.places = append(w.places, false)
		}
		w.places[d.place] = true
		w.in(d, waiting)
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.in(d, "")
			w.places[d.place] = false
		}()
		return handle(context.WithValue(ctx, inWorkKey{}, d), e)
	}
}

// load reads the plan; that of another run starts the count anew.
func (w *watch) load() {
	var p plan
	body, err := os.ReadFile(filepath.Join(w.dir, "plan"))
	if err != nil || json.Unmarshal(body, &p) != nil || p.Run == w.plan.Run {
		return
	}
	w.plan, w.counts = p, map[string]int{}
	if len(p.Moments) > 0 && p.Moments[0].Of == "clock" {
		w.after(p.Moments[0].Delay)
	}
}

// call watches a storage call of a delivery. A chunk is being scored from the
// reading of its input to its next call.
func (w *watch) call(ctx context.Context, c faulty.Call) (done func()) {
	d, ok := ctx.Value(inWorkKey{}).(*inWork)
	if !ok {
		return func() {} // of a client's request
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.scoring {
		d.scoring = false
		w.dieAt("scoring", w.counts["scoring"], "end")
	}
	w.in(d, c.Port+"."+c.Method)
	counted := [2]string{"call", d.function + " call"}
	var n [2]int
	for i, of := range counted {
		w.counts[of]++
		n[i] = w.counts[of]
		w.dieAt(of, n[i], "begin")
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, of := range counted {
			w.dieAt(of, n[i], "end")
		}
		if d.scoring = d.function == "beschunk" && isInput(c); !d.scoring {
			w.in(d, between)
			return
		}
		w.counts["scoring"]++
		w.in(d, "scoring")
		w.dieAt("scoring", w.counts["scoring"], "begin")
	}
}

// isInput reports whether the call has opened a chunk of an input.
func isInput(c faulty.Call) bool {
	return c.Method == "Get" && c.Port == "Blobs" && strings.Contains(c.Target, "/uploads/")
}

// dieAt ends the process where this is its moment.
func (w *watch) dieAt(of string, n int, phase string) {
	if len(w.plan.Moments) == 0 {
		return
	}
	m := w.plan.Moments[0]
	switch {
	case m.Of != of || m.N != n:
	case m.Phase == phase:
		w.die()
	case m.Phase == "within" && phase == "begin":
		w.after(m.Delay)
	}
}

// after ends the process in a while, unless the run is over by then.
func (w *watch) after(d time.Duration) {
	run := w.plan.Run
	time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.load(); w.plan.Run == run {
			w.die()
		}
	})
}

// die says why, and takes the moment out of the plan, so that the next process
// has another; then SIGKILL.
func (w *watch) die() {
	err := writeWhole(filepath.Join(w.dir, fmt.Sprintf("death.%d", os.Getpid())), death{w.plan.Run, w.plan.Moments[0]})
	if err == nil {
		err = writePlan(w.dir, plan{w.plan.Run, w.plan.Moments[1:]})
	}
	if err != nil {
		panic(err)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		panic(err)
	}
	self.Kill()
	select {}
}

// writePlan puts a plan where the processes of a host find it.
func writePlan(dir string, p plan) error { return writeWhole(filepath.Join(dir, "plan"), p) }

// writeWhole writes a document so that nobody ever reads a part of it.
func writeWhole(name string, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	dir, base := filepath.Split(name)
	tmp := filepath.Join(dir, fmt.Sprintf("new.%d.%s", os.Getpid(), base))
	if err := os.WriteFile(tmp, body, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

package runs_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/storage"
)

// small is an experiment of a few nodes: a dataset cleaned, computed with and
// given out, with an input.
const small = `{"nodes":{
 "d":{"assetId":"d"},
 "clean":{"module":"Clean Missing Data","parameters":{"Cleaning mode":"Replace with mean","Columns to be cleaned":"a"}},
 "twice":{"module":"Apply Math Operation","parameters":{"Category":"Operations","Arithmetic operation":"Multiply","Constant operation argument":2,"Column set":"a","Output mode":"Inplace"}},
 "i":{"inputId":"input1"},"o":{"outputId":"output1"}},
"edges":[{"sourceNodeId":"d","targetNodeId":"clean"},{"sourceNodeId":"i","targetNodeId":"clean"},
 {"sourceNodeId":"clean","sourcePortId":"Cleaned dataset","targetNodeId":"twice"},{"sourceNodeId":"twice","targetNodeId":"o"}],
"assets":{"d":{"type":"Resource","kind":"Dataset","name":"numbers","version":"latest"}}}`

func smallBench(t testing.TB) (*bench, string) {
	b := newBench(t)
	b.dataset("numbers", []byte("a,b\n1,x\n,y\n3,z\n"))
	return b, b.experiment("small", []byte(small))
}

func node(t *testing.T, r *runs.Run, id string) runs.Node {
	t.Helper()
	for _, n := range r.Nodes {
		if n.ID == id {
			return n
		}
	}
	t.Fatalf("run %s has no node %q", r.ID, id)
	return runs.Node{}
}

func TestRun(t *testing.T) {
	b, id := smallBench(t)
	run := b.run(id)
	finished(t, run)
	var order []string
	for _, n := range run.Nodes {
		order = append(order, n.ID)
		if n.Cached {
			t.Errorf("node %s is cached in the first run", n.ID)
		}
	}
	if got := strings.Join(order, " "); got != "d clean twice" {
		t.Errorf("order %s", got)
	}
	if a := run.Assets["d"]; a.Name != "numbers" || a.Number != 1 || a.Digest == "" {
		t.Errorf("assets %+v", run.Assets)
	}
	p, err := b.runs.Preview(t.Context(), b.ws, run.ID, "twice", "", runs.Look{Rows: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p.Rows != 3 || len(p.Values) != 2 || *p.Values[0][0] != "2" || *p.Values[1][0] != "4" || *p.Values[1][1] != "y" || p.Columns[0].Name != "a" {
		t.Errorf("preview %+v", p)
	}
	if p, err = b.runs.Preview(t.Context(), b.ws, run.ID, "clean", "Cleaning transformation", runs.Look{Rows: 2}); err != nil || p.Kind != "Transformation" {
		t.Errorf("preview of a transformation: %+v, %v", p, err)
	}
	for _, at := range [][2]string{{"nope", ""}, {"twice", "nope"}, {"clean", ""}} {
		if _, err := b.runs.Preview(t.Context(), b.ws, run.ID, at[0], at[1], runs.Look{Rows: 2}); !fault.Is(err, fault.NotFound) {
			t.Errorf("preview of %v: %v", at, err)
		}
	}

	again := b.run(id)
	finished(t, again)
	for _, n := range again.Nodes {
		if !n.Cached {
			t.Errorf("node %s is not cached in the second run", n.ID)
		}
	}
	if node(t, again, "twice").Results[0].Digest != node(t, run, "twice").Results[0].Digest {
		t.Error("the same run gave other results")
	}
	b.edit(id, []byte(strings.Replace(small, `"Constant operation argument":2`, `"Constant operation argument":3`, 1)))
	edited := b.run(id)
	finished(t, edited)
	if !node(t, edited, "clean").Cached || node(t, edited, "twice").Cached {
		t.Error("an edit must repeat what follows it, and that alone")
	}
	b.dataset("numbers", []byte("a,b\n5,x\n"))
	newer := b.run(id)
	finished(t, newer)
	if newer.Assets["d"].Number != 2 || node(t, newer, "d").Cached {
		t.Errorf("latest is not resolved anew: %+v", newer.Assets)
	}
	list, err := b.runs.List(t.Context(), b.ws, id, 3)
	if err != nil || len(list) != 3 || list[0].ID != newer.ID || list[2].ID != again.ID {
		t.Errorf("list %v, %v", list, err)
	}
	doc, err := b.runs.Document(t.Context(), b.ws, run.ID)
	if err != nil || !strings.Contains(string(doc), `"Constant operation argument":2`) {
		t.Errorf("the run's own document: %s, %v", doc, err)
	}
}

// TestRevision trains anew where a learner of the palette has changed, also one
// that another wraps, and does nothing else again.
func TestRevision(t *testing.T) {
	b := newBench(t)
	b.dataset("penguins", read(t, filepath.Join(samples, "../kinds/penguins.csv")))
	wrapping, inner := b.runs.Palette().Lookup("One-vs-All Multiclass"), b.runs.Palette().Lookup("Two-Class Logistic Regression")
	id := b.experiment("revision", trainOn(wrapping, model.Multiclass, "penguins", "species"))
	first := b.run(id)
	finished(t, first)
	for _, m := range []*module.Module{inner, wrapping} {
		m.Revision++
		t.Cleanup(func() { m.Revision-- })
		run := b.run(id)
		finished(t, run)
		for _, n := range run.Nodes {
			again := n.ID == "train" || n.ID == "learner" || n.ID == "inner" && m == inner
			if n.Cached == again {
				t.Errorf("with another revision of %q: is node %q cached: %v", m.Name, n.ID, n.Cached)
			}
		}
		if node(t, run, "train").Results[0].Digest != node(t, first, "train").Results[0].Digest {
			t.Errorf("with another revision of %q, and the same code, the model differs", m.Name)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	b, _ := smallBench(t)
	id := b.experiment("bad", []byte(strings.NewReplacer(`"name":"numbers"`, `"name":"letters"`, `"Replace with mean"`, `"Guess"`, `"twice","targetNodeId":"o"`, `"twice","targetNodeId":"p"`).Replace(small)))
	_, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if !fault.Is(err, fault.Package) {
		t.Fatalf("got %v", err)
	}
	var text []string
	for _, d := range fault.Of(err).Details() {
		text = append(text, d.Target+": "+d.Message)
	}
	for _, want := range []string{"letters", "Guess", `node "p", which is not there`, `"output1" is connected to nothing`} {
		contains(t, text, want)
	}
	if b.next() != nil {
		t.Error("a refused run has a message")
	}
	if _, err := b.runs.Start(t.Context(), b.ws, strings.Repeat("0", 32), "ada"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a run of no experiment: %v", err)
	}
	other := strings.Repeat("1", 32)
	good := b.experiment("good", []byte(small))
	run := b.run(good)
	for _, try := range []func() error{
		func() error { _, err := b.runs.Get(t.Context(), other, run.ID); return err },
		func() error { _, err := b.runs.Cancel(t.Context(), other, run.ID); return err },
		func() error {
			_, err := b.runs.Preview(t.Context(), other, run.ID, "d", "", runs.Look{Rows: 1})
			return err
		},
		func() error { _, err := b.runs.Deployable(t.Context(), other, good); return err },
		func() error { _, err := b.runs.Get(t.Context(), b.ws, "../x"); return err },
	} {
		if err := try(); !fault.Is(err, fault.NotFound) {
			t.Errorf("another workspace's run: %v", err)
		}
	}
}

func TestFailedNode(t *testing.T) {
	b, _ := smallBench(t)
	id := b.experiment("text", []byte(strings.Replace(small, `"Columns to be cleaned":"a"`, `"Columns to be cleaned":"All"`, 1)))
	run := b.run(id)
	if run.State != runs.Failed || run.Error.Node != "clean" || run.Error.Code != "Error0017" || !strings.Contains(run.Error.Message, `"b"`) {
		t.Errorf("run %+v, error %+v", run, run.Error)
	}
	if n := node(t, run, "clean"); n.State != runs.Failed || n.Error == nil {
		t.Errorf("node %+v", n)
	}
	if n := node(t, run, "twice"); n.State != runs.Cancelled {
		t.Errorf("a node behind the failure is %s", n.State)
	}
	_, err := b.runs.Deployable(t.Context(), b.ws, id)
	refused(t, err, fault.InvalidOperation, runs.CodeFailed)
}

func TestCancel(t *testing.T) {
	b, id := smallBench(t)
	run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second succeeds quietly
		if run, err = b.runs.Cancel(t.Context(), b.ws, run.ID); err != nil || run.State != runs.Cancelled {
			t.Fatalf("%+v, %v", run, err)
		}
	}
	b.drain()
	if got := b.get(run.ID); got.State != runs.Cancelled || !got.Started.IsZero() {
		t.Errorf("a cancelled run was executed: %+v", got)
	}
	_, err = b.runs.Deployable(t.Context(), b.ws, id)
	refused(t, err, fault.InvalidOperation, runs.CodeNeverRun)
	done := b.run(id)
	if got, err := b.runs.Cancel(t.Context(), b.ws, done.ID); err != nil || got.State != runs.Finished {
		t.Errorf("cancel after the end: %+v, %v", got, err)
	}
}

// meddle is a store whose tables call do before each Apply on the runs table.
type meddle struct {
	storage.Tables
	do func(n int) error

	mu sync.Mutex
	n  int
}

func (m *meddle) Apply(ctx context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if table == "runs" {
		if err := m.before(); err != nil {
			return nil, err
		}
	}
	return m.Tables.Apply(ctx, table, partition, ops...)
}

func (m *meddle) before() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.do == nil {
		return nil
	}
	m.n++
	return m.do(m.n)
}

// TestCancelAtEveryStep cancels a run before each write of its executor: it is
// cancelled for good, whatever the executor goes on to do.
func TestCancelAtEveryStep(t *testing.T) {
	for at := 1; ; at++ {
		b, id := smallBench(t)
		run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
		if err != nil {
			t.Fatal(err)
		}
		m := &meddle{Tables: b.store.Tables}
		honest := b.runs
		hit := false
		m.do = func(n int) error {
			if n == at {
				hit = true
				if _, err := honest.Cancel(t.Context(), b.ws, run.ID); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		b.store.Tables = m
		b.runs = b.newRuns(runs.Limits{})
		b.drain()
		ended := b.get(run.ID)
		state := ended.State
		for _, n := range ended.Nodes {
			if !n.State.Ended() {
				t.Errorf("cancelled before write %d: the run is %s and node %s %s", at, state, n.ID, n.State)
			}
		}
		if !hit {
			if state != runs.Finished {
				t.Errorf("without a cancellation the run is %s", state)
			}
			return
		}
		if state != runs.Cancelled && state != runs.Finished {
			t.Errorf("cancelled before write %d, the run is %s", at, state)
		}
	}
}

var errDied = errors.New("the worker died")

// TestDieAtEveryStep kills the executor before each of its writes and lets
// another message go on: the results are the same, and what had ended is not
// executed again.
func TestDieAtEveryStep(t *testing.T) {
	b, id := smallBench(t)
	want := node(t, b.run(id), "twice").Results[0].Digest
	for at := 1; ; at++ {
		b, id := smallBench(t)
		run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
		if err != nil {
			t.Fatal(err)
		}
		message := b.next()
		m := &meddle{Tables: b.store.Tables}
		died := false
		m.do = func(n int) error {
			if n >= at {
				died = true
				panic(errDied) // nothing after this runs, as after a kill
			}
			return nil
		}
		b.store.Tables = m
		victim := b.newRuns(runs.Limits{Beat: time.Hour})
		func() {
			defer func() {
				if p := recover(); p != nil && p != errDied {
					panic(p)
				}
			}()
			if err := victim.Execute(t.Context(), *message); err != nil && died {
				t.Log(err)
			}
		}()
		m.do = nil
		if !died {
			return
		}
		if err := b.runs.Execute(t.Context(), *message); err != nil {
			t.Fatal(err)
		}
		got := b.get(run.ID)
		finished(t, got)
		if d := node(t, got, "twice").Results[0].Digest; d != want {
			t.Errorf("died before write %d: the result is another", at)
		}
		if err := b.runs.Execute(t.Context(), *message); err != nil {
			t.Errorf("the message once more: %v", err)
		}
		if sent, err := b.runs.Rescue(t.Context()); err != nil || sent != 0 {
			t.Errorf("a finished run is rescued: %d, %v", sent, err)
		}
	}
}

// TestOutageCostsNoTry fails each storage call once; the message's repetition
// finishes the run.
func TestOutageAtEveryStep(t *testing.T) {
	for at := 1; ; at++ {
		b, id := smallBench(t)
		run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
		if err != nil {
			t.Fatal(err)
		}
		message := b.next()
		m := &meddle{Tables: b.store.Tables}
		hit := false
		m.do = func(n int) error {
			if n == at {
				hit = true
				return fault.New(fault.Unavailable, "", "storage is away")
			}
			return nil
		}
		b.store.Tables = m
		r := b.newRuns(runs.Limits{Beat: time.Hour})
		err = r.Execute(t.Context(), *message)
		if !hit {
			return
		}
		if err != nil {
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("outage at write %d: %v", at, err)
			}
			if err := r.Execute(t.Context(), *message); err != nil {
				t.Errorf("after the outage at write %d: %v", at, err)
			}
		}
		finished(t, b.get(run.ID))
	}
}

// TestNodeThatEndsItsWorker lets a node die three times: the fourth message
// fails it, naming it.
func TestNodeThatEndsItsWorker(t *testing.T) {
	b, id := smallBench(t)
	run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	message := b.next()
	m := &meddle{Tables: b.store.Tables}
	b.store.Tables = m
	r := b.newRuns(runs.Limits{Beat: time.Hour})
	kill := func() {
		m.n = 0
		m.do = func(n int) error {
			if n >= 3 { // taken, begun; dies before its results are kept
				panic(errDied)
			}
			return nil
		}
		defer func() { recover() }()
		_ = r.Execute(t.Context(), *message)
	}
	for range 3 {
		kill()
	}
	m.do = nil
	if err := r.Execute(t.Context(), *message); err != nil {
		t.Fatal(err)
	}
	got := b.get(run.ID)
	if got.State != runs.Failed || got.Error.Node != "d" || !strings.Contains(got.Error.Message, "3 times") || !strings.Contains(got.Error.Message, "memory") {
		t.Errorf("%s: %+v", got.State, got.Error)
	}
}

func TestSlices(t *testing.T) {
	b, id := smallBench(t)
	b.runs = b.newRuns(runs.Limits{Slice: time.Nanosecond})
	run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	// A slice that is over at once is enough for one node: every message gets
	// on, and sends another.
	messages := 0
	for m := b.next(); m != nil; m = b.next() {
		if err := b.runs.Execute(t.Context(), *m); err != nil {
			t.Fatal(err)
		}
		if messages++; messages > 10 {
			t.Fatal("the run does not get on")
		}
	}
	if messages != 3 {
		t.Errorf("%d messages for three nodes", messages)
	}
	finished(t, b.get(run.ID))
}

func TestRescue(t *testing.T) {
	b, id := smallBench(t)
	run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	b.next() // the message is lost
	if sent, err := b.runs.Rescue(t.Context()); err != nil || sent != 0 {
		t.Errorf("a run just begun is rescued: %d, %v", sent, err)
	}
	b.runs = b.newRuns(runs.Limits{Stuck: time.Nanosecond})
	if sent, err := b.runs.Rescue(t.Context()); err != nil || sent != 1 {
		t.Fatalf("sent %d, %v", sent, err)
	}
	b.drain()
	finished(t, b.get(run.ID))
	if sent, err := b.runs.Rescue(t.Context()); err != nil || sent != 0 {
		t.Errorf("a finished run is rescued: %d, %v", sent, err)
	}
}

// TestStartDiesAtEveryStep ends Start before each of its writes: a run that is
// executed after all is listed too, or nobody would find it.
func TestStartDiesAtEveryStep(t *testing.T) {
	for at := 1; ; at++ {
		b, id := smallBench(t)
		m := &meddle{Tables: b.store.Tables}
		hit := false
		m.do = func(n int) error {
			if hit = n >= at; hit {
				return fault.New(fault.Unavailable, "", "storage is away")
			}
			return nil
		}
		b.store.Tables = m
		b.runs = b.newRuns(runs.Limits{Stuck: time.Nanosecond})
		if _, err := b.runs.Start(t.Context(), b.ws, id, "ada"); hit != (err != nil) {
			t.Fatalf("away at write %d: %v", at, err)
		}
		m.do = nil
		sent, err := b.runs.Rescue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.drain()
		list, err := b.runs.List(t.Context(), b.ws, id, 10)
		if err != nil || len(list) != sent {
			t.Errorf("away at write %d: %d runs are executed, %d listed; %v", at, sent, len(list), err)
		}
		for _, run := range list {
			finished(t, b.get(run.ID))
		}
		if !hit {
			return
		}
	}
}

func TestGiveUp(t *testing.T) {
	b, id := smallBench(t)
	run, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	m := b.next()
	for range 2 {
		if err := b.runs.Give(t.Context(), *m, fmt.Errorf("wrapped: %w", &event.DiedError{Times: 4})); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.get(run.ID); got.State != runs.Failed || !strings.Contains(got.Error.Message, "ended the worker 4 times") {
		t.Errorf("%s %+v", got.State, got.Error)
	}
}

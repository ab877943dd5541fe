package batch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// away is a database whose server is down, or answers when it likes.
type away struct {
	Outside
	source error                           // of opening it to read
	sink   error                           // of opening it to write
	next   func(ctx context.Context) error // before the first row
}

func (a *away) Source(ws string, p connect.Place) (connect.Source, error) {
	s, err := a.Outside.Source(ws, p)
	return awaySource{a, s}, err
}

func (a *away) Sink(ws string, p connect.Place) (connect.Sink, error) {
	s, err := a.Outside.Sink(ws, p)
	return awaySink{s, a}, err
}

func (a *away) For(string, string) module.Outside { return nil }

type awaySource struct {
	a *away
	connect.Source
}

func (s awaySource) Open(ctx context.Context) (*connect.Records, error) {
	if s.a.source != nil {
		return nil, s.a.source
	}
	r, err := s.Source.Open(ctx)
	if err != nil || s.a.next == nil {
		return r, err
	}
	next := r.Next
	r.Next = func(ctx context.Context) (*frame.Frame, error) {
		if err := s.a.next(ctx); err != nil {
			return nil, err
		}
		return next(ctx)
	}
	return r, nil
}

type awaySink struct {
	connect.Sink
	a *away
}

func (s awaySink) Open(ctx context.Context, schema frame.Schema, delivery string) (connect.Writer, error) {
	if s.a.sink != nil {
		return nil, s.a.sink
	}
	return s.Sink.Open(ctx, schema, delivery)
}

// awayRig is a rig whose world is a's, with rows that are typed.
func awayRig(t *testing.T, a *away) (*rig, *world) {
	w := newWorld(calmIn)
	w.typed = true
	r := worldRig(t, w)
	a.Outside = w
	r.b.Outside = a
	return r, w
}

// stepUntil delivers messages until a job is in a state, or they
// were many.
func (r *rig) stepUntil(id string, s State) {
	r.t.Helper()
	for range 40 {
		if j, err := r.b.load(r.t.Context(), id); err == nil && j.State == s {
			return
		}
		if !r.deliver(JobQueue) && !r.deliver(ChunkQueue) {
			return
		}
	}
}

// TestPatience: what a job waits for is in its status, while it reads and while
// it writes; when it answers again nothing is lost.
func TestPatience(t *testing.T) {
	down := fault.New(fault.Unavailable, "", "MySQL db.example: connect: it does not answer as it should")
	a := &away{source: down, sink: down}
	r, w := awayRig(t, a)
	id := r.submit(beyond(true))
	for range 8 {
		r.deliver(JobQueue)
	}
	s := r.status(id)
	if s.StatusCode != Planning.Classic() || !strings.Contains(details(s), "db.example") || !strings.Contains(details(s), "to be tried again until") || !strings.Contains(details(s), "input1") {
		t.Fatalf("while it reads: %s %q", s.StatusCode, details(s))
	}
	a.source = nil
	r.stepUntil(id, Committing)
	if s := r.status(id); !strings.Contains(details(s), "db.example") || !strings.Contains(details(s), "output1") {
		t.Errorf("while it writes: %s %q", s.StatusCode, details(s))
	}
	a.sink = nil
	r.drain()
	if s := r.status(id); s.StatusCode != Finished || details(s) != "" || w.tables["scored"] != calmOut {
		t.Errorf("%s %q:\n%s\n%s", s.StatusCode, details(s), w.tables["scored"], r.log.String())
	}
	r.noSecret()
}

// TestPatience_ends: a place that does not answer for too long ends the job,
// and the queue is rid of it.
func TestPatience_ends(t *testing.T) {
	for name, a := range map[string]*away{
		"reading": {source: fault.New(fault.Unavailable, "", "nobody answers")},
		"writing": {sink: fault.New(fault.Unavailable, "", "nobody answers")},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := awayRig(t, a)
			r.b.lim.Patience = time.Nanosecond
			id := r.submit(beyond(true))
			r.drain()
			if s := r.status(id); s.StatusCode != Failed || !strings.Contains(details(s), "given up after") || !strings.Contains(details(s), "nobody answers") {
				t.Errorf("%s %q", s.StatusCode, details(s))
			}
		})
	}
}

// TestCancel_whileReading: who cancels a job ends the query it waits for.
func TestCancel_whileReading(t *testing.T) {
	asked := make(chan struct{})
	a := &away{next: func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return fault.Wrap(ctx.Err(), fault.Unavailable, "read")
	}}
	r, w := awayRig(t, a)
	r.b.lim.Look = time.Millisecond
	id := r.submit(beyond(true))
	cancelled := make(chan error, 1)
	go func() {
		<-asked
		cancelled <- r.b.Cancel(context.WithoutCancel(t.Context()), ws, endpoint, id)
	}()
	r.drain()
	if err := <-cancelled; err != nil {
		t.Fatal(err)
	}
	if s := r.status(id); s.StatusCode != Cancelled || len(w.tables) != 0 {
		t.Errorf("%s %q %v", s.StatusCode, details(s), w.tables)
	}
	r.noSecret()
}

// TestAbroad: stalled sources of one workspace leave places to the others, and
// those of all leave the queue to jobs that stay at home.
func TestAbroad(t *testing.T) {
	var a abroad
	for _, tt := range []struct {
		ws string
		in bool
	}{{"one", true}, {"one", true}, {"one", false}, {"two", true}, {"two", false}, {"three", false}} {
		if got := a.enter(tt.ws); got != tt.in {
			t.Errorf("%s: %v, want %v", tt.ws, got, tt.in)
		}
	}
	a.leave("one")
	if !a.enter("three") || a.enter("one") {
		t.Error("a place that was left is another's")
	}
	for _, ws := range []string{"one", "two", "three"} {
		a.leave(ws)
	}
	if a.all != 0 || len(a.by) != 0 {
		t.Errorf("left: %d, %v", a.all, a.by)
	}
}

// TestAbroad_again: a step that finds no place comes again, and costs no try.
func TestAbroad_again(t *testing.T) {
	r, w := awayRig(t, &away{})
	for r.b.copying.enter(ws) {
	}
	id := r.submit(beyond(true))
	for range 30 {
		r.deliver(JobQueue)
	}
	if s := r.status(id); s.StatusCode != Running || details(s) != "" {
		t.Errorf("%s %q", s.StatusCode, details(s))
	}
	for range outsideMostOne {
		r.b.copying.leave(ws)
	}
	for r.b.delivering.enter(ws) {
	}
	r.stepUntil(id, Committing)
	for range 30 {
		r.deliver(JobQueue)
	}
	if s := r.status(id); s.StatusCode != Running || len(w.tables) != 0 {
		t.Errorf("%s %q %v", s.StatusCode, details(s), w.tables)
	}
	r.b.delivering.leave(ws)
	r.drain()
	if s := r.status(id); s.StatusCode != Finished || w.tables["scored"] != calmOut {
		t.Errorf("%s %q:\n%s\n%s", s.StatusCode, details(s), w.tables["scored"], r.log.String())
	}
}

// TestOutside_empty: a feed without a record, which has no columns either, is a
// table without rows.
func TestOutside_empty(t *testing.T) {
	r, w := awayRig(t, &away{})
	w.text = ""
	r.b.Outside = nothing{w}
	id := r.submit(beyond(true))
	r.drain()
	if s := r.status(id); s.StatusCode != Finished || w.tables["scored"] != "id,charge,calls\n" {
		t.Errorf("%s %q: %q", s.StatusCode, details(s), w.tables["scored"])
	}
}

// nothing is a world to be read without a record.
type nothing struct{ *world }

func (nothing) Source(string, connect.Place) (connect.Source, error) { return nothing{}, nil }

func (nothing) Open(context.Context) (*connect.Records, error) {
	return (&connect.Gather{}).Records()
}

// TestSubmit_busy: storage that is busy is no blob that is absent.
func TestSubmit_busy(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", rows(3))
	r.caller.Plan(faulty.Nth(1, faulty.FailBefore))
	if _, err := r.b.Submit(t.Context(), r.submission(body(""))); !fault.KindOf(err).Traits().Retry || fault.HasCode(err, "BlobNotFound") {
		t.Errorf("busy: %v", err)
	}
	r.caller.Plan()
	if _, err := r.b.Submit(t.Context(), r.submission(strings.Replace(body(""), "in.csv", "absent.csv", 1))); !fault.HasCode(err, "BlobNotFound") {
		t.Errorf("absent: %v", err)
	}
}

func TestFailure_String(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fault.Module(15, "PostgreSQL db: wrong password"), "Error 0015: PostgreSQL db: wrong password"},
		{fault.Module(15, "PostgreSQL db: there is no such host").At("Server"), "Error 0015: PostgreSQL db: there is no such host (Server)"},
		{fault.New(fault.BadUserArgument, "InputParseError", "input1, row 1: no number").At("input1"), "InputParseError: input1, row 1: no number"},
		{fault.New(fault.BadArgument, "", "as it is"), "RequestBodyInvalid: as it is"},
		{errors.New("ours"), "UnknownError"},
	} {
		if got := failureOf(tt.err).String(); got != tt.want && !(tt.want == "UnknownError" && !strings.Contains(got, "ours")) {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestWithoutNaN(t *testing.T) {
	for text, want := range map[string]string{
		`{"Input":[{"a":NaN,"b":"NaN","c\"NaN":NaN}]}`: `{"Input":[{"a":null,"b":"NaN","c\"NaN":null}]}`,
		`{"a":"\\","b":NaN}`:                           `{"a":"\\","b":null}`,
		`{"a":1}`:                                      `{"a":1}`,
		`"NaN\`:                                        `"NaN\`,
	} {
		if got := string(withoutNaN([]byte(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestOptions_unknown: an option written wrong is no option left out.
func TestOptions_unknown(t *testing.T) {
	for text, want := range map[string]string{
		`{"Options":{"RowErors":"collect"}}`: `Options has no member "RowErors"`,
		`{"Options":{"MaxBadRows":"many"}}`:  "member Options",
		`{"Options":7}`:                      "is a JSON number",
	} {
		if _, err := decodeRequest([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if r, err := decodeRequest([]byte(`{"Options":{"rowErrors":"collect","MaxBadRows":3}}`)); err != nil || r.Options.RowErrors != "collect" || *r.Options.MaxBadRows != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := decodeRequest([]byte(`{"Options":null}`)); err != nil || r.Options != (Options{}) {
		t.Errorf("%+v, %v", r, err)
	}
}

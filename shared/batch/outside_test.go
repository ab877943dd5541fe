package batch

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// world is a fake of all places: what is read is the same text, or other rows
// each time; what is written is remembered as a database with a ledger would.
type world struct {
	mu     sync.Mutex
	text   string
	format string
	typed  bool
	bare   bool
	moving bool // every reading has another row
	reads  int
	tables map[string]string // by table: the rows as CSV
	made   map[string]bool   // deliveries
	refuse error             // of the next checks
}

func (w *world) Source(_ string, p connect.Place) (connect.Source, error) {
	if p.Password != secret {
		return nil, fault.Module(15, "wrong password")
	}
	if w.typed {
		return w, nil
	}
	return worldFile{w}, nil
}

// worldFile is a world whose records are a file.
type worldFile struct{ *world }

func (w worldFile) FileFormat() *format.Format { return format.Lookup(w.format) }

func (w *world) Open(context.Context) (*connect.Records, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	text := w.text
	if w.moving {
		text += fmt.Sprintf("Z%d,1,1\n", w.reads)
	}
	f := format.Lookup(w.format)
	if !w.typed {
		return &connect.Records{Text: strings.NewReader(text), Format: f, NoHeader: w.bare}, nil
	}
	rows, err := connect.Parse([]byte(text), f, false, nil)
	if err != nil {
		return nil, err
	}
	given := 0
	return &connect.Records{Schema: rows.Schema(), Next: func(context.Context) (*frame.Frame, error) {
		if given++; given > rows.Rows() {
			return nil, io.EOF
		}
		return rows.Slice(given-1, given), nil
	}}, nil
}

func (w *world) Sink(_ string, p connect.Place) (connect.Sink, error) {
	if p.Password != secret {
		return nil, fault.Module(15, "wrong password")
	}
	return &worldTable{w, p.Table}, nil
}

func (w *world) For(string, string) module.Outside { return nil }

type worldTable struct {
	*world
	name string
}

func (t *worldTable) Check(context.Context, frame.Schema) error { return t.refuse }

func (t *worldTable) Open(_ context.Context, s frame.Schema, delivery string) (connect.Writer, error) {
	if delivery == "" {
		return nil, fmt.Errorf("a job delivers under no name")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.made[delivery] {
		return nil, connect.ErrDelivered
	}
	return &worldWriter{worldTable: t, delivery: delivery, rows: string(frame.AppendCSVHeader(nil, s.Names(), ','))}, nil
}

type worldWriter struct {
	*worldTable
	delivery, rows string
}

func (w *worldWriter) Append(_ context.Context, f *frame.Frame) error {
	w.rows += string(frame.AppendCSVRows(nil, f, 0, f.Rows(), ','))
	return nil
}

func (w *worldWriter) Commit(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.made[w.delivery] {
		return connect.ErrDelivered
	}
	w.made[w.delivery] = true
	w.tables[w.name] += w.rows
	return nil
}

func (w *worldWriter) Abort() {}

func newWorld(text string) *world {
	return &world{text: text, format: format.CSV, tables: map[string]string{}, made: map[string]bool{}}
}

// beyond is a submit body from a database to a table.
func beyond(output bool) string {
	out := ""
	if output {
		out = `,"Outputs":{"output1":{"Source":"MySql","Password":"` + secret + `","Table":"scored"}}`
	}
	return `{"Input":{"Source":"PostgreSql","Password":"` + secret + `","Query":"x"}` + out + `,"GlobalParameters":{"rate":"0.5"},"Options":{"RowErrors":"collect"}}`
}

const calmIn = "id,minutes,calls\nA,10,1\n\"B, moved\nin April\",2.5,\nC,8,4\nD,16,5\n"

const calmOut = "id,charge,calls\nA,5,1\n\"B, moved\nin April\",1.25,\nC,4,4\nD,8,5\n"

func worldRig(t testing.TB, w *world) *rig {
	r := newRig(t)
	r.limits, r.world = dirtyLimits, w
	r.restart()
	return r
}

// TestOutside reads what a source can be, and writes it to a table.
func TestOutside(t *testing.T) {
	for name, change := range map[string]func(*world){
		"csv":       func(*world) {},
		"typed":     func(w *world) { w.typed = true },
		"no header": func(w *world) { _, w.text, _ = strings.Cut(w.text, "\n"); w.bare = true },
		"tsv": func(w *world) {
			w.format, w.text = format.TSV, "id\tminutes\tcalls\nA\t10\t1\n\"B, moved\nin April\"\t2.5\t\nC\t8\t4\nD\t16\t5\n"
		},
		"jsonl": func(w *world) {
			w.format, w.text = format.JSONL, `{"id":"A","minutes":10,"calls":1}
{"id":"B, moved\nin April","minutes":2.5}
{"id":"C","minutes":8,"calls":4}
{"id":"D","minutes":16,"calls":5}
`
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(calmIn)
			change(w)
			r := worldRig(t, w)
			ask := beyond(true)
			if w.bare {
				ask = strings.Replace(ask, `"Query":"x"`, `"Query":"x","NoHeader":true`, 1)
			}
			id := r.submit(ask)
			r.drain()
			if s := r.status(id); s.StatusCode != Finished || s.Results["output1"].RelativeLocation != "scored" {
				t.Fatalf("%s: %s %v", s.StatusCode, details(s), s.Results)
			}
			if got := w.tables["scored"]; got != calmOut {
				t.Errorf("table:\n%s", got)
			}
			r.noSecret()
		})
	}
}

// TestOutside_refused is a table that cannot be written: it is said at once.
func TestOutside_refused(t *testing.T) {
	w := newWorld(calmIn)
	w.refuse = fault.Module(15, "no right to make the table")
	r := worldRig(t, w)
	if _, err := r.b.Submit(t.Context(), r.submission(beyond(true))); !fault.HasCode(err, "Error0015") || fault.Of(err).Target != "output1" {
		t.Errorf("err = %v", err)
	}
	w.refuse = fault.Module(3, "PostgreSql: Table is not given").At("Table")
	if _, err := r.b.Submit(t.Context(), r.submission(beyond(true))); fault.Of(err).Target != "output1.Table" {
		t.Errorf("a part of an output is at fault: target %q of %v", fault.Of(err).Target, err)
	}
	none := newRig(t)
	if _, err := none.b.Submit(t.Context(), none.submission(beyond(false))); !fault.Is(err, fault.Unsupported) {
		t.Errorf("without an outside: %v", err)
	}
}

// TestOutside_crash: a source that gives other rows each time it is read, and
// a table: whatever call of the store fails, or is where the process dies, the
// job's rows are those of one reading, and are in the table once.
func TestOutside_crash(t *testing.T) {
	run := func(t *testing.T, plan func(*rig)) (*rig, *world) {
		w := newWorld(calmIn)
		w.moving = true
		r := worldRig(t, w)
		plan(r)
		id := r.submit(beyond(true))
		r.drain()
		r.revive()
		r.store.Plan()
		r.settle()
		if s := r.status(id); s.StatusCode != Finished {
			t.Fatalf("%s: %s\n%s", s.StatusCode, details(s), r.log.String())
		}
		return r, w
	}
	calm, _ := run(t, func(*rig) {})
	calls := len(calm.store.Calls())
	for _, e := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
		for n := 1; n <= calls; n += 3 * every(t) {
			t.Run(fmt.Sprintf("call %d of %d: %s", n, calls, e), func(t *testing.T) {
				t.Parallel()
				r, w := run(t, func(r *rig) { r.store.Plan(faulty.Nth(n, e)) })
				rest, ok := strings.CutPrefix(w.tables["scored"], calmOut+"Z")
				if !ok || strings.Count(rest, "\n") != 1 {
					t.Errorf("table:\n%s", w.tables["scored"])
				}
				r.noSecret()
			})
		}
	}
}

// exporting is a deployment whose module exports what it scored.
type exporting struct{ Deployment }

func (e exporting) Session() Session { return &exportingSession{Session: e.Deployment.Session()} }

type exportingSession struct {
	Session
	out module.Outside
}

func (s *exportingSession) SetOutside(o module.Outside) { s.out = o }

func (s *exportingSession) Execute(ctx context.Context) ([]module.Value, error) {
	out, err := s.Session.Execute(ctx)
	if err == nil {
		err = s.out.Export(ctx, "writer", connect.Place{Source: connect.MySQL, Password: secret, Table: "exported"}, out[0].Frame)
	}
	return out, err
}

// TestExport_crash: what a module of a whole job exports is written when the
// job's output is delivered, once, whatever call fails.
func TestExport_crash(t *testing.T) {
	run := func(t *testing.T, plan func(*rig)) (*rig, *world) {
		w := newWorld(calmIn)
		r := worldRig(t, w)
		r.dep = exporting{newTariff(t, true)}
		r.restart()
		plan(r)
		id := r.submit(beyond(false))
		r.drain()
		r.revive()
		r.store.Plan()
		r.settle()
		if s := r.status(id); s.StatusCode != Finished {
			t.Fatalf("%s: %s\n%s", s.StatusCode, details(s), r.log.String())
		}
		return r, w
	}
	calm, _ := run(t, func(*rig) {})
	calls := len(calm.store.Calls())
	for _, e := range []faulty.Effect{faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
		for n := 1; n <= calls; n += 3 * every(t) {
			t.Run(fmt.Sprintf("call %d of %d: %s", n, calls, e), func(t *testing.T) {
				t.Parallel()
				r, w := run(t, func(r *rig) { r.store.Plan(faulty.Nth(n, e)) })
				if got := w.tables["exported"]; got != calmOut {
					t.Errorf("table:\n%s", got)
				}
				r.noSecret()
			})
		}
	}
}

// TestExport_failed: a job that fails exports nothing.
func TestExport_failed(t *testing.T) {
	w := newWorld("id,minutes,calls\nA,10,1\nB,12O,2\n")
	r := worldRig(t, w)
	r.dep = exporting{newTariff(t, true)}
	r.restart()
	id := r.submit(strings.Replace(beyond(false), `"RowErrors":"collect"`, `"RowErrors":"collect","MaxBadRows":0`, 1))
	r.drain()
	if s := r.status(id); s.StatusCode != Failed {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
	if len(w.tables) > 0 {
		t.Errorf("tables %v", w.tables)
	}
}

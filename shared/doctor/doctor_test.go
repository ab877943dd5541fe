package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func open(t *testing.T) (dir string, st storage.Store) {
	t.Helper()
	dir = t.TempDir()
	s, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return dir, s.Store
}

// leftovers is what a check has not removed.
func leftovers(t *testing.T, st storage.Store) (left []string) {
	t.Helper()
	for name, b := range map[string]storage.Blobs{"portico": st.Blobs, "drop": st.Drop, "dropdone": st.DropDone} {
		for i, err := range b.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, name+"/"+i.Key)
		}
	}
	for e, err := range st.Tables.Query(t.Context(), "catalog", "doctor", storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, "row "+e.Row)
	}
	n, err := st.Queues.Depth(t.Context(), "doctor")
	if err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		left = append(left, fmt.Sprintf("%d messages", n))
	}
	return left
}

func states(checks []Check) map[string]State {
	m := map[string]State{}
	for _, c := range checks {
		m[c.Name] = c.State
	}
	return m
}

func TestMachine(t *testing.T) {
	dir, st := open(t)
	ctx := t.Context()
	m := &Machine{
		Store: &st, Dir: dir, Keys: []string{"k2", "k1"}, Ring: func(context.Context) error { return nil },
		Queues: []string{"besjob", "runs"},
	}
	checks := m.Check(ctx)
	if !Healthy(checks) || len(checks) != 11 {
		t.Errorf("%+v", checks)
	}
	for _, c := range checks {
		if c.State != OK && c.Name != "disk" { // as the machine of the test has it
			t.Errorf("%+v", c)
		}
	}
	if left := leftovers(t, st); left != nil {
		t.Errorf("left behind: %v", left)
	}
	// What waits, is poisoned, or was given up.
	for _, q := range []string{"besjob", "besjob", "besjob-poison"} {
		if err := st.Queues.Send(ctx, q, []byte("x"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Blobs.Put(ctx, "poison/runs/1", []byte("x"), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	checks = m.Check(ctx)
	for _, c := range checks {
		switch c.Name {
		case "queue besjob":
			if c.State != Warning || c.Detail != "2 waiting, 1 poisoned" {
				t.Errorf("%+v", c)
			}
		case "queue runs":
			if c.State != Warning || c.Detail != "0 waiting, 1 given up and kept as blobs poison/runs/" {
				t.Errorf("%+v", c)
			}
		}
	}
	if !Healthy(checks) {
		t.Error("a warning is no failure")
	}
}

func TestMachineWithoutStorage(t *testing.T) {
	m := &Machine{Problems: []string{"A: wrong", "B: wrong"}}
	checks := m.Check(t.Context())
	if len(checks) != 3 || checks[0].Detail != "A: wrong" || checks[1].Detail != "B: wrong" || checks[2].State != Skipped || Healthy(checks) {
		t.Errorf("%+v", checks)
	}
}

func TestRing(t *testing.T) {
	_, st := open(t)
	m := &Machine{Store: &st, Keys: []string{"k1"}, Ring: func(context.Context) error {
		return fault.New(fault.Unavailable, "", "the setting PORTICO_MASTER_KEYS lacks k0")
	}}
	if s := states(m.Check(t.Context())); s["master keys"] != Failed || s["tables"] != OK {
		t.Errorf("%v", s)
	}
}

// Each call of storage in turn is refused, or has its answer lost: it is
// reported, and nothing stays behind but what could not be deleted.
func TestFaults(t *testing.T) {
	_, inner := open(t)
	count := 0
	for n := 1; ; n++ {
		for _, e := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter} {
			st := faulty.New(inner)
			m := &Machine{Store: &st.Store, Queues: []string{"besjob"}}
			st.Plan(faulty.Nth(n, e))
			checks := m.Check(t.Context())
			calls := st.Calls()
			if n > len(calls) {
				if count == 0 || !Healthy(checks) {
					t.Fatalf("without a fault: %+v", checks)
				}
				return
			}
			count++
			if Healthy(checks) {
				t.Errorf("%v, %v: nothing is reported", calls[n-1], e)
			}
			for _, left := range leftovers(t, inner) {
				if e == faulty.FailBefore && calls[n-1].Method == "Delete" || strings.HasSuffix(left, "messages") || calls[n-1].Port == "Tables" && e == faulty.FailBefore && n == last(calls, "Tables.Apply") {
					continue // what could not be deleted; messages are taken away by the next check
				}
				t.Errorf("%v, %v: left behind: %s", calls[n-1], e, left)
			}
			clean(t, inner)
		}
	}
}

// last is the number of the last call of a method.
func last(calls []faulty.Call, method string) int {
	n := 0
	for _, c := range calls {
		if c.Port+"."+c.Method == method {
			n = c.N
		}
	}
	return n
}

func clean(t *testing.T, st storage.Store) {
	t.Helper()
	for _, b := range []storage.Blobs{st.Blobs, st.DropDone} {
		for i, err := range b.List(t.Context(), "doctor/") {
			if err == nil {
				err = b.Delete(t.Context(), i.Key, storage.Condition{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for e := range st.Tables.Query(t.Context(), "catalog", "doctor", storage.Range{}) {
		if _, err := st.Tables.Apply(t.Context(), "catalog", "doctor", storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: storage.AnyETag}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClock(t *testing.T) {
	for ahead, want := range map[time.Duration]State{
		0: OK, 900 * time.Millisecond: OK, -4 * time.Second: OK, 6 * time.Second: Warning, -30 * time.Second: Warning, 2 * time.Minute: Failed, -time.Hour: Failed,
	} {
		var c checkup
		if c.clock("clock", ahead); c[0].State != want {
			t.Errorf("%v: %+v", ahead, c[0])
		}
	}
	before := time.Date(2026, 1, 2, 3, 4, 5, 900e6, time.UTC)
	after := before.Add(200 * time.Millisecond)
	for told, want := range map[string]time.Duration{
		"2026-01-02T03:04:05Z": 0, "2026-01-02T03:04:06Z": 0, "2026-01-02T03:04:16Z": 9900 * time.Millisecond, "2026-01-02T03:03:55Z": 9900 * time.Millisecond,
	} {
		at, err := time.Parse(time.RFC3339, told)
		if err != nil {
			t.Fatal(err)
		}
		if got := beyond(at, before, after).Abs(); got != want {
			t.Errorf("%s lies %v outside, want %v", told, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	err := fault.Wrap(errors.New("403 AuthorizationPermissionMismatch"), fault.Unavailable, "write a blob")
	if got := explain(err); !strings.Contains(got, "AuthorizationPermissionMismatch") || !strings.Contains(got, "write a blob") {
		t.Errorf("an operator is not told the cause: %s", got)
	}
	if got := explain(context.DeadlineExceeded); got != "no answer within 30s" {
		t.Error(got)
	}
}

func TestServer(t *testing.T) {
	for name, tt := range map[string]struct {
		live, ready http.HandlerFunc
		want        map[string]State
	}{
		"well": {answer(200, ""), answer(200, `{"status":"ready","storage":"ok"}`), map[string]State{"server": OK, "server clock": OK, "server ready": OK}},
		"not ready": {
			answer(200, ""), answer(503, `{"status":"not ready","storage":"unavailable","settings":[{"name":"PORTICO_STORE","reason":"is no folder"}]}`),
			map[string]State{"server": OK, "server clock": OK, "server setting": Failed, "server ready": Failed},
		},
		"another program": {answer(404, ""), nil, map[string]State{"server": Failed}},
		"no report":       {answer(200, ""), answer(200, "<html>"), map[string]State{"server": OK, "server clock": OK, "server ready": Failed}},
		"another time": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT") },
			answer(200, `{"status":"ready","storage":"ok"}`),
			map[string]State{"server": OK, "server clock": Failed, "server ready": OK},
		},
		"no time": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil },
			answer(200, `{"status":"ready","storage":"ok"}`),
			map[string]State{"server": OK, "server clock": Skipped, "server ready": OK},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/health/live" {
					tt.live(w, r)
				} else {
					tt.ready(w, r)
				}
			}))
			defer srv.Close()
			c, err := client.New(srv.URL, client.Options{HTTP: srv.Client()})
			if err != nil {
				t.Fatal(err)
			}
			checks := Server(t.Context(), c)
			got, _ := json.Marshal(states(checks))
			want, _ := json.Marshal(tt.want)
			if string(got) != string(want) {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	c, err := client.New("http://127.0.0.1:1", client.Options{HTTP: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	if checks := Server(t.Context(), c); len(checks) != 1 || checks[0].State != Failed {
		t.Errorf("nobody: %+v", checks)
	}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

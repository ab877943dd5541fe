package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/web"
)

// lines decodes what was logged.
func lines(t *testing.T, b *bytes.Buffer) []map[string]any {
	t.Helper()
	var out []map[string]any
	for dec := json.NewDecoder(b); ; {
		var m map[string]any
		err := dec.Decode(&m)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
}

func TestCallLine(t *testing.T) {
	var b bytes.Buffer
	tel := New(Options{Out: &b, Through: true})
	tel.Call(t.Context(), &web.CallInfo{
		RequestID: "r1", Method: "POST", Route: "POST /x/{id}", Status: 200, Total: 1500 * time.Microsecond,
		Endpoint: "e1", Deployment: "d1", Rows: 3, Parse: time.Microsecond, Score: 2 * time.Microsecond, Write: 3 * time.Microsecond,
	})
	tel.Call(t.Context(), &web.CallInfo{
		RequestID: "r2", Status: 400, Class: "BadUserArgument", Code: "InputParseError",
		Err: fault.New(fault.BadUserArgument, "InputParseError", "row 3, column income: 4711 is not a level").Because(errors.New("cell 4711")),
	})
	tel.Call(t.Context(), &web.CallInfo{RequestID: "r3", Status: 500, Class: "InternalError", Code: "UnknownError", Err: errors.New("disk\nfull")})
	got := lines(t, &b)
	if len(got) != 3 {
		t.Fatalf("%d lines", len(got))
	}
	want := map[string]any{
		"level": "INFO", "msg": "call", "request_id": "r1", "method": "POST", "route": "POST /x/{id}", "status": 200.0, "total_us": 1500.0,
		"endpoint": "e1", "deployment": "d1", "rows": 3.0, "parse_us": 1.0, "score_us": 2.0, "write_us": 3.0,
	}
	for k, v := range want {
		if got[0][k] != v {
			t.Errorf("%s = %v, want %v", k, got[0][k], v)
		}
	}
	if _, ok := got[0]["workspace"]; ok {
		t.Error("an empty field is logged")
	}
	if got[1]["code"] != "InputParseError" || got[1]["level"] != "INFO" {
		t.Error(got[1])
	}
	for k, v := range got[1] {
		if s, ok := v.(string); ok && k != "time" && strings.Contains(s, "4711") {
			t.Errorf("a cell is logged as %s: %q", k, s)
		}
	}
	if got[2]["level"] != "ERROR" || got[2]["cause"] != "disk; full" {
		t.Error(got[2])
	}
}

// TestLineIsWhatSlogWrites holds the short cut to the form it stands for.
func TestLineIsWhatSlogWrites(t *testing.T) {
	for _, v := range []string{"plain", `"quoted" \ back`, "new\nline", "ünï", "\x00\x1f\x7f", "bad \xff utf8", "<&>\u2028"} {
		var ours, theirs bytes.Buffer
		l := newLine(slog.LevelWarn, v)
		l.str("k", v)
		l.str("empty", "")
		l.int("n", -3)
		l.end(NewWriter(&ours, true))
		slog.New(slog.NewJSONHandler(&theirs, nil)).Warn(v, "k", v, "n", -3)
		a, b := lines(t, &ours)[0], lines(t, &theirs)[0]
		if _, err := time.Parse(time.RFC3339Nano, a["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(a, "time")
		delete(b, "time")
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%q: %s", v, diff)
		}
	}
}

func TestLevel(t *testing.T) {
	var b bytes.Buffer
	tel := New(Options{Out: &b, Level: "error", Through: true})
	tel.Call(t.Context(), &web.CallInfo{Status: 200})
	tel.Delivery(t.Context(), azfunc.Delivery{Function: "besjob", ID: "i", DequeueCount: 2, Wait: time.Second, Err: errors.New("x")})
	got := lines(t, &b)
	if len(got) != 1 || got[0]["function"] != "besjob" || got[0]["dequeue_count"] != 2.0 || got[0]["queued_ms"] != 1000.0 {
		t.Error(got)
	}
}

// gate is a writer that blocks while it is shut.
type gate struct {
	mu     sync.Mutex
	b      bytes.Buffer
	writes int
	shut   chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	if g.shut != nil {
		<-g.shut
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes++
	return g.b.Write(p)
}

func (g *gate) seen() (writes int, out string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writes, g.b.String()
}

func TestWriterGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		w := NewWriter(&g, false)
		for range 10 {
			io.WriteString(w, "a line\n")
		}
		if n, _ := g.seen(); n != 0 {
			t.Error("written on the caller's goroutine")
		}
		time.Sleep(flushAfter + time.Millisecond)
		synctest.Wait()
		if n, out := g.seen(); n != 1 || strings.Count(out, "a line\n") != 10 {
			t.Errorf("%d writes: %q", n, out)
		}
		// A burst does not wait for the timer, and the next line starts it anew.
		io.WriteString(w, strings.Repeat("x", flushAt)+"\n")
		io.WriteString(w, strings.Repeat("y", flushAt)+"\n")
		synctest.Wait()
		time.Sleep(flushAfter)
		synctest.Wait()
		io.WriteString(w, "last\n")
		time.Sleep(flushAfter + time.Millisecond)
		synctest.Wait()
		if _, out := g.seen(); !strings.HasSuffix(out, "last\n") {
			t.Error("the last line was not written")
		}
	})
}

func TestWriterNeverBlocksACall(t *testing.T) {
	g := gate{shut: make(chan struct{})}
	w := NewWriter(&g, false)
	line := strings.Repeat("x", 1023) + "\n"
	const n = 3 * maxHeld / 1024
	for range n { // would hang here if Write waited for the pipe
		io.WriteString(w, line)
	}
	close(g.shut)
	w.Flush()
	w.Flush()
	_, out := g.seen()
	if !strings.Contains(out, `"log lines dropped: nobody reads them","lines":`) {
		t.Error("dropped lines are not counted")
	}
	if len(out) > 2*maxHeld+4*flushAt || len(out) < maxHeld/2 {
		t.Errorf("%d bytes kept", len(out))
	}
}

func TestMetricsAreSentAsOTLP(t *testing.T) {
	var body []byte
	var header http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if r.URL.Path != "/v1/metrics" {
			w.WriteHeader(404)
			return
		}
		body, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	e := NewExporter(srv.Client(), srv.URL+"/", "api-key=k, other = v")
	m := NewMetrics(e, "portico-test", time.Hour)
	tel := New(Options{Out: io.Discard, Metrics: m})
	for range 3 {
		tel.Call(t.Context(), &web.CallInfo{Route: "POST /x", Endpoint: "e1", Status: 200, Rows: 2, Total: 3 * time.Millisecond, Score: 20 * time.Microsecond})
	}
	tel.Call(t.Context(), &web.CallInfo{Route: "POST /x", Endpoint: "e1", Status: 503, Code: "RequestThrottled"})
	tel.Delivery(t.Context(), azfunc.Delivery{Function: "besjob", Wait: time.Second, Total: time.Second})
	m.Poison(t.Context(), "besjob")
	tel.Close(context.WithoutCancel(t.Context()))

	if header.Get("Api-Key") != "k" || header.Get("Other") != "v" || header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", header)
	}
	var doc otlpRequest
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if len(doc.ResourceMetrics) != 1 || doc.ResourceMetrics[0].Resource.Attributes[0].Value.String != "portico-test" {
		t.Fatalf("resource: %s", body)
	}
	got := map[string]otlpMetric{}
	for _, om := range doc.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		got[om.Name] = om
	}
	for _, name := range []string{nameCalls, nameCallDuration, nameRows, nameScore, nameDeliveries, nameDelivery, nameQueued, namePoison} {
		if om, ok := got[name]; !ok || om.Unit == "" || om.Description == "" {
			t.Errorf("%s: %+v", name, om)
		}
	}
	counts := map[string]string{}
	for _, p := range got[nameCalls].Sum.Points {
		for _, a := range p.Attributes {
			if a.Key == keyStatus {
				counts[a.Value.String] = p.AsInt
			}
		}
	}
	if counts["200"] != "3" || counts["503"] != "1" || !got[nameCalls].Sum.Monotonic || got[nameCalls].Sum.Temporality != 2 {
		t.Errorf("calls: %+v", got[nameCalls].Sum)
	}
	if p := got[nameRows].Sum.Points[0]; p.AsInt != "6" {
		t.Errorf("rows: %+v", p)
	}
	h := got[nameScore].Histogram.Points[0]
	if h.Count != "3" || len(h.Buckets) != len(h.Bounds)+1 || len(h.Bounds) != len(scoreBuckets) || *h.Sum < 5e-5 || *h.Sum > 7e-5 {
		t.Errorf("score: %+v", h)
	}
}

func TestMetricsOffCountNothing(t *testing.T) {
	var m *Metrics
	m.Poison(t.Context(), "q")
	m.Close(t.Context())
}

func BenchmarkCallLine(b *testing.B) {
	tel := New(Options{Out: io.Discard})
	c := &web.CallInfo{
		RequestID: strings.Repeat("a", 32), Method: "POST", Route: "POST /workspaces/{ws}/services/{ep}/execute", Status: 200, Total: time.Millisecond,
		Workspace: strings.Repeat("b", 32), Endpoint: strings.Repeat("c", 32), Deployment: strings.Repeat("d", 64), Rows: 1, Parse: 1, Score: 1, Write: 1,
	}
	b.ReportAllocs()
	for b.Loop() {
		tel.Call(b.Context(), c)
	}
}

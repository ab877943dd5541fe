package cli

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/batch"
)

// Ctrl-C leaves the job running, and says how to go on.
func TestInterrupted(t *testing.T) {
	f := newFake(t)
	ctx, stop := context.WithCancel(t.Context())
	f.answer("GET "+jobPath, func(w http.ResponseWriter, _ *http.Request) {
		stop()
		io.WriteString(w, statusOf("Running", progress))
	})
	code, stdout, stderr := f.perform(call{args: []string{"job", "submit", "-wait"}, ctx: ctx})
	if code != Interrupted || stdout != "" || !strings.Contains(stderr, "the job goes on; look again with: portico job watch "+address1) {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	if len(f.sent("DELETE ")) != 0 {
		t.Error("the job was cancelled")
	}
}

// TestWatch_waits: what a job waits for is told, once.
func TestWatch_waits(t *testing.T) {
	f := newFake(t)
	looks := 0
	f.answer("GET "+jobPath, func(w http.ResponseWriter, _ *http.Request) {
		if looks++; looks <= 3 {
			io.WriteString(w, strings.Replace(statusOf("Running", ""), `"Details":null`, `"Details":"Waiting: nobody answers"`, 1))
			return
		}
		io.WriteString(w, statusOf("Finished", `,"Progress":{"Chunks":1,"ChunksDone":1,"RowsRead":3}`))
	})
	code, stdout, stderr := f.perform(call{args: []string{"job", "submit", "-wait"}})
	if code != Done || strings.Count(stderr, "Waiting: nobody answers") != 1 || strings.Contains(stdout, "nobody") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

// TestOut: a place for the results that cannot be is known before the job is
// sent.
func TestOut(t *testing.T) {
	for _, args := range [][]string{
		{"job", "submit", "-out", "/nowhere/at/all.csv"},
		{"job", "submit", "-json", "-out", "-"},
		{"job", "submit", "-"},
	} {
		f := newFake(t)
		if code, _, stderr := f.perform(call{args: args}); code != Usage || len(f.sent("POST ")) != 0 {
			t.Errorf("%v: %d, %q", args, code, stderr)
		}
	}
}

func TestAddressOf(t *testing.T) {
	sas := "?sig=x%2F"
	for _, tt := range []struct{ base, path, want string }{
		{"https://a.test/", "c/d e/ü#1%.csv", "https://a.test/c/d%20e/%C3%BC%231%25.csv?sig=x%2F"},
		{"http://h:1/acct", "/c/f.csv", "http://h:1/acct/c/f.csv?sig=x%2F"},
	} {
		if got := addressOf(batch.Reference{BaseLocation: tt.base, RelativeLocation: tt.path, SasBlobToken: &sas}); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// Servers that misbehave while a job is watched.
func TestWatchFaults(t *testing.T) {
	finished := statusOf("Finished", `,"Progress":{"Chunks":1,"ChunksDone":1,"RowsRead":3}`)
	for name, tt := range map[string]struct {
		first func(w http.ResponseWriter)
		code  int
		want  string
	}{
		"busy": {func(w http.ResponseWriter) { w.WriteHeader(503) }, Done, ""},
		"hangs up": {func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}, Done, ""},
		"answers half": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, finished[:20])
		}, Done, ""},
		"broken JSON": {func(w http.ResponseWriter) { io.WriteString(w, finished[:20]) }, Away, "is no answer of Portico"},
		"a page":      {func(w http.ResponseWriter) { io.WriteString(w, "<html>sign in</html>") }, Away, "is no answer of Portico"},
		"wrong key":   {func(w http.ResponseWriter) { w.WriteHeader(401) }, Denied, "401"},
		"no job":      {func(w http.ResponseWriter) { w.WriteHeader(404) }, Failed, "404"},
		"its fault":   {func(w http.ResponseWriter) { w.WriteHeader(500) }, Away, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			n := 0
			f.answer("GET "+jobPath, func(w http.ResponseWriter, _ *http.Request) {
				if n++; n == 1 {
					tt.first(w)
					return
				}
				io.WriteString(w, finished)
			})
			code, stdout, stderr := f.perform(call{args: []string{"job", "watch", job}})
			if code != tt.code || !strings.Contains(stderr, tt.want) || (code == Done) != strings.Contains(stdout, "Finished") {
				t.Errorf("%d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

// Results are saved whole under their names, and the bad rows beside them.
func TestFetch(t *testing.T) {
	f := newFake(t)
	ref := func(name string) string {
		return `{"BaseLocation":"` + f.URL + `/","RelativeLocation":"results/` + name + `","SasBlobToken":"?sig=s"}`
	}
	one := statusOf("Finished", `,"Progress":{"BadRows":2},"ErrorFile":`+ref("_errors.csv"))
	one = strings.Replace(one, `"Results":null`, `"Results":{"output1":`+ref("x.csv")+`}`, 1)
	two := strings.Replace(one, `{"output1":`, `{"model/1":`+ref("m.ilearner")+`,"output1":`, 1)
	for _, name := range []string{"x.csv", "m.ilearner", "_errors.csv"} {
		f.answer("GET /results/"+name, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" || r.URL.RawQuery != "sig=s" {
				t.Errorf("%s with %q", r.URL, r.Header.Get("Authorization"))
			}
			io.WriteString(w, "of "+name)
		})
	}
	for _, tt := range []struct {
		status, out string
		files       map[string]string
		stdout      string
	}{
		{one, "may.csv", map[string]string{"may.csv": "of x.csv", "may.errors.csv": "of _errors.csv"}, ""},
		{one, "new/", map[string]string{"new/output1.csv": "of x.csv", "new/errors.csv": "of _errors.csv"}, ""},
		{two, "all", map[string]string{"all/output1.csv": "of x.csv", "all/model_1.ilearner": "of m.ilearner", "all/errors.csv": "of _errors.csv"}, ""},
		{one, "-", nil, "of x.csv"},
	} {
		f.say("GET "+jobPath, 200, tt.status)
		dir := t.TempDir()
		out := tt.out
		if out != "-" {
			out = dir + "/" + out
		}
		code, stdout, stderr := f.perform(call{args: []string{"job", "watch", job, "-out", out}})
		if code != 0 || tt.stdout != "" && stdout != tt.stdout {
			t.Errorf("%s: %d, %q, %s", tt.out, code, stdout, stderr)
		}
		got := map[string]string{}
		if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				name, _ := filepath.Rel(dir, path)
				got[name] = read(t, path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(got)+len(tt.files) > 0 && !cmp.Equal(got, tt.files) {
			t.Errorf("%s: %v", tt.out, got)
		}
	}
	f.say("GET "+jobPath, 200, two)
	if code, _, stderr := f.perform(call{args: []string{"job", "watch", job, "-out", "-"}}); code != Usage || !strings.Contains(stderr, "2 results") {
		t.Errorf("two results on the standard output: %d, %s", code, stderr)
	}
	// A file that cannot be fetched leaves nothing.
	f.say("GET "+jobPath, 200, one)
	f.say("GET /results/x.csv", 403, "")
	dir := t.TempDir()
	code, _, _ := f.perform(call{args: []string{"job", "watch", job, "-out", dir + "/x.csv"}})
	if entries, err := os.ReadDir(dir); code != Denied || err != nil || len(entries) != 0 {
		t.Errorf("%d, %v, %v", code, entries, err)
	}
}

func TestBar(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var m meter
	m.see(0, start)
	m.see(3, start.Add(30*time.Second))
	var none meter
	left := int64(75)
	st := func(state batch.State, p *batch.Progress) *batch.Status {
		return &batch.Status{StatusCode: state, Progress: p}
	}
	for _, tt := range []struct{ got, want string }{
		{bar(0, 0), "[------------------------]   ? %"},
		{bar(1, 3, "one", "", "three"), "[########----------------]  33 %  one  three"},
		{bar(9, 3), "[########################] 100 %"},
		{m.left(12), "1:30 left"},
		{none.left(12), ""},
		{m.left(3), ""},
		{duration(3*time.Hour + 2*time.Minute + time.Second), "3:02:01"},
		{count(int64(1234567)), "1,234,567"},
		{count(123), "123"},
		{count(-1234), "-1,234"},
		{size(0), "0 B"},
		{size(999), "999 B"},
		{size(1500), "1.5 kB"},
		{size(99.6e3), "100 kB"},
		{size(999.9e6), "1.0 GB"},
		{size(2e13), "20.0 TB"},
		{jobLine(&batch.Status{StatusCode: batch.NotStarted, QueuePosition: 3}, &none, &none), "waiting, place 3 in the queue"},
		{jobLine(st(batch.Running, nil), &none, &none), "Running"},
		{
			jobLine(st(batch.Running, &batch.Progress{Chunks: 12, ChunksDone: 3, RowsRead: 3000, BadRows: 2}), &m, &none),
			"[######------------------]  25 %  3 of 12 chunks  3,000 rows  2 bad  1:30 left",
		},
		{
			jobLine(st(batch.Running, &batch.Progress{Chunks: 12, ChunksDone: 3, RowsRead: 3000, Pace: batch.Pace{Rows: 6000, RecentRowsPerSecond: 40.4, SecondsLeft: &left}}), &m, &none),
			"[############------------]  50 %  3 of 12 chunks  3,000 rows  40 rows/s  1:15 left",
		},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestScreen(t *testing.T) {
	var b strings.Builder
	s := &screen{w: &b, on: true}
	s.show("a long line")
	s.show("never: too soon")
	s.at = time.Time{}
	s.show("short")
	s.print("it stays")
	s.clear()
	if want := "\ra long line\rshort      \r     \rit stays\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	off := &screen{w: &b}
	off.show("x")
	off.clear()
	if b.String() != "" {
		t.Errorf("nobody looks: %q", b.String())
	}
}

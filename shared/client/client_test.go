package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts a server, and a client of it that notes its pauses instead of
// making them.
func serve(t *testing.T, patience time.Duration, h http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return of(t, srv.URL, patience)
}

func of(t *testing.T, url string, patience time.Duration) (*Client, *[]time.Duration) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	hc := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c, err := New(url, Options{HTTP: hc, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	var pauses []time.Duration
	c.sleep = func(ctx context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return ctx.Err()
	}
	return c, &pauses
}

// hangUp ends a connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func TestNew(t *testing.T) {
	for _, bad := range []string{"", "localhost:7071", "ftp://x", "http://", "http://x/api", "http://user:secret@x", "http://x?y=1"} {
		if _, err := New(bad, Options{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	c, err := New("http://127.0.0.1:7071/", Options{})
	if err != nil || c.Base() != "http://127.0.0.1:7071" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestDo(t *testing.T) {
	const document = `{"error":{"code":"BadArgument","message":"Invalid argument provided.","details":[{"code":"BlobNotFound","target":"input1","message":"it cannot be read"}]}}`
	busy := func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(503)
	}
	get, post := Call{Method: "GET", Path: "/x"}, Call{Method: "POST", Path: "/x", Body: JSON(map[string]int{"a": 1})}
	again := post
	again.Again = true
	for _, tt := range []struct {
		name   string
		call   Call
		faults int // answers before the good one
		fault  func(w http.ResponseWriter)
		tries  int
		want   string // of the error; empty: none
		pause  time.Duration
	}{
		{"at once", get, 0, nil, 1, "", 0},
		{"busy", get, 2, busy, 3, "", 3 * time.Second},
		{"busy, a post", post, 1, busy, 1, "503 Service Unavailable", 0},
		{"busy, a post that may be repeated", again, 2, busy, 3, "", 3 * time.Second},
		{"throttled", get, 1, func(w http.ResponseWriter) { w.WriteHeader(429) }, 2, "", 0},
		{"a gateway", get, 1, func(w http.ResponseWriter) { w.WriteHeader(502) }, 2, "", 0},
		{"hung up", get, 2, hangUp, 3, "", 0},
		{"hung up on a post", post, 1, hangUp, 1, "cannot be reached", 0},
		{"hung up on a post that may be repeated", again, 1, hangUp, 2, "", 0},
		{"broke off", get, 1, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"ok"`)
		}, 2, "", 0},
		{"broken JSON", get, 1, func(w http.ResponseWriter) { io.WriteString(w, `<html>`) }, 1, "is no answer of Portico", 0},
		{"refused", again, 1, func(w http.ResponseWriter) { w.WriteHeader(400); io.WriteString(w, document) }, 1, "it cannot be read (BlobNotFound, input1)", 0},
		{"refused without a document", again, 1, func(w http.ResponseWriter) { w.WriteHeader(404); io.WriteString(w, "nothing") }, 1, "404 Not Found", 0},
		{"a fault of the server", again, 1, func(w http.ResponseWriter) {
			w.Header().Set("X-Ms-Request-Id", "r1")
			w.WriteHeader(500)
		}, 1, "500 Internal Server Error [request r1]", 0},
		{"elsewhere", again, 1, func(w http.ResponseWriter) { w.Header().Set("Location", "/y"); w.WriteHeader(308) }, 1, "redirects are not followed", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var served atomic.Int64
			c, pauses := serve(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
				n := int(served.Add(1))
				if body, _ := io.ReadAll(r.Body); r.Method == "POST" && string(body) != `{"a":1}` {
					t.Errorf("body %q", body)
				}
				if n <= tt.faults {
					tt.fault(w)
					return
				}
				io.WriteString(w, `{"ok":true}`)
			})
			var out struct{ OK bool }
			_, err := c.Do(t.Context(), tt.call, &out)
			if tt.want == "" && (err != nil || !out.OK) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%+v, %v, want %q", out, err, tt.want)
			}
			if tries := int(served.Load()); tries != tt.tries || len(*pauses) != tries-1 {
				t.Errorf("%d tries, %d pauses, want %d tries", tries, len(*pauses), tt.tries)
			}
			for _, p := range *pauses {
				if p < tt.pause {
					t.Errorf("a pause of %v where the server asks for %v", p, tt.pause)
				}
			}
		})
	}
}

// Patience is for all pauses together: one that would go beyond is not begun.
func TestPatience(t *testing.T) {
	tries := 0
	c, pauses := serve(t, time.Second, func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(503)
	})
	if _, err := c.Get(t.Context(), "/x", "", nil); !HasStatus(err, 503) || tries != 1 || len(*pauses) != 0 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c, _ := serve(t, time.Minute, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		select { // a slow server
		case <-r.Context().Done():
		case <-done:
		}
	})
	defer close(done)
	if _, err := c.Get(ctx, "/x", "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// No error shows what a signed address or a header holds.
func TestErrorsTellNoSecret(t *testing.T) {
	c, _ := of(t, "http://127.0.0.1:1", 0)
	const signed = "http://127.0.0.1:1/portico/a.csv?sig=secret"
	for _, address := range []string{signed, "http://127.0.0.1:1/%zz?sig=secret"} {
		_, get := c.Get(t.Context(), address, "secret", nil)
		for _, err := range []error{
			get, c.Upload(t.Context(), address, strings.NewReader("x"), 1, nil), c.Download(t.Context(), address, io.Discard, nil),
		} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "secret") {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestFind(t *testing.T) {
	const a, b, twin = "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef", "2123456789abcdef0123456789abcdef"
	c, _ := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(401)
			return
		}
		switch r.URL.Path {
		case "/manage/workspaces":
			fmt.Fprintf(w, `[{"id":%q,"name":"telecom"}]`, a)
		case "/manage/workspaces/" + a + "/services":
			fmt.Fprintf(w, `[{"id":%q,"name":"churn","pendingPromotion":3},{"id":%q,"name":"tariff"},{"id":%q,"name":"tariff"}]`, a, b, twin)
		case "/workbench/workspaces/" + a + "/experiments":
			io.WriteString(w, `{"experiments":[]}`)
		default:
			w.WriteHeader(404)
		}
	})
	for name, want := range map[string]string{"": a, "telecom": a, b: b} {
		if ws, err := c.Workspace(t.Context(), name, "token"); err != nil || ws != want {
			t.Errorf("workspace %q: %s, %v", name, ws, err)
		}
	}
	for name, want := range map[string]string{
		"churn":  "",
		twin:     "",
		"tariff": "2 services are called",
		"Churn":  `there is no service "Churn": there are "churn" (` + a + `), "tariff"`,
		"":       "no service is named: there are",
	} {
		_, err := c.Service(t.Context(), a, name, "token")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("service %q: %v, want %q", name, err, want)
		}
	}
	if s, err := c.Service(t.Context(), a, "churn", "token"); err != nil || s.PendingPromotion != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := c.Experiment(t.Context(), a, "x", "token"); err == nil || !strings.HasSuffix(err.Error(), "there is none") {
		t.Errorf("of none: %v", err)
	}
	if _, err := c.Workspace(t.Context(), "telecom", ""); !HasStatus(err, 401) {
		t.Errorf("without a token: %v", err)
	}
}

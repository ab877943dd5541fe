package azure_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

// calls is one call of every method.
func calls(s storage.Store, key string) map[string]func(context.Context) error {
	id := []storage.PartID{{1}}
	msg := storage.Message{ID: "1", Receipt: "AgAAAAMAAAAAAAAA", Body: []byte("m")}
	return map[string]func(context.Context) error{
		"Get": func(ctx context.Context) error {
			_, _, err := s.Blobs.Get(ctx, key, storage.ReadOptions{})
			return err
		},
		"Head": func(ctx context.Context) error { _, err := s.Blobs.Head(ctx, key); return err },
		"Put": func(ctx context.Context) error {
			_, err := s.Blobs.Put(ctx, key, []byte("x"), nil, storage.Condition{})
			return err
		},
		"SetMeta": func(ctx context.Context) error {
			_, err := s.Blobs.SetMeta(ctx, key, nil, storage.Condition{})
			return err
		},
		"PutPart": func(ctx context.Context) error { return s.Blobs.PutPart(ctx, key, id[0], []byte("x")) },
		"Parts":   func(ctx context.Context) error { _, err := s.Blobs.Parts(ctx, key); return err },
		"Commit": func(ctx context.Context) error {
			_, err := s.Blobs.Commit(ctx, key, id, nil, storage.Condition{})
			return err
		},
		"Delete": func(ctx context.Context) error { return s.Blobs.Delete(ctx, key, storage.Condition{}) },
		"List": func(ctx context.Context) (err error) {
			for _, err = range s.Blobs.List(ctx, key) {
			}
			return err
		},
		"Tables.Get": func(ctx context.Context) error { _, err := s.Tables.Get(ctx, "table", "p", "r"); return err },
		"Apply": func(ctx context.Context) error {
			_, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Row: "r"})
			return err
		},
		"Query": func(ctx context.Context) (err error) {
			for _, err = range s.Tables.Query(ctx, "table", "p", storage.Range{}) {
			}
			return err
		},
		"Send":          func(ctx context.Context) error { return s.Queues.Send(ctx, "queue", []byte("m"), 0) },
		"Receive":       func(ctx context.Context) error { _, err := s.Queues.Receive(ctx, "queue", 1, time.Second); return err },
		"Extend":        func(ctx context.Context) error { _, err := s.Queues.Extend(ctx, "queue", msg, time.Second); return err },
		"Queues.Delete": func(ctx context.Context) error { return s.Queues.Delete(ctx, "queue", msg) },
		"Depth":         func(ctx context.Context) error { _, err := s.Queues.Depth(ctx, "queue"); return err },
	}
}

// transport answers requests by itself.
type transport func(*http.Request) (*http.Response, error)

func (t transport) Do(r *http.Request) (*http.Response, error) { return t(r) }

// How long the service asks to be left alone is passed on.
func TestErrorsSayWhenToRetry(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "soon": 0, "-1": 0, "999999": time.Hour} {
		busy := transport(func(r *http.Request) (*http.Response, error) {
			h := http.Header{"X-Ms-Error-Code": {"ServerBusy"}}
			if header != "" {
				h.Set("Retry-After", header)
			}
			return &http.Response{StatusCode: 503, Status: "503", Header: h, Body: http.NoBody, Request: r}, nil
		})
		s, err := azure.Open(azure.Settings{ConnectionString: "AccountName=acc;AccountKey=c2VjcmV0"}, azure.WithTransport(busy), azure.WithoutRetries())
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"Put", "Query", "Send"} {
			err := calls(s.Store, "w/key")[method](t.Context())
			if !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter != want {
				t.Errorf("%s, Retry-After %q: %v, after %v", method, header, err, fault.Of(err).RetryAfter)
			}
		}
	}
}

// Whatever goes wrong, no error holds a signature or a key, and each is
// fault.Unavailable.
func TestErrorsHoldNoSecrets(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0"
	answer := func(status int, header http.Header, body string) transport {
		return func(r *http.Request) (*http.Response, error) {
			if header == nil {
				header = http.Header{}
			}
			return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
	}
	for name, tr := range map[string]transport{
		"connection broken": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: &net.OpError{Op: "dial", Net: "tcp", Err: io.ErrUnexpectedEOF}}
		},
		"refused, repeating what was signed": answer(403, http.Header{"X-Ms-Error-Code": {"AuthenticationFailed"}},
			"<Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>signature "+secret+"</AuthenticationErrorDetail></Error>"),
		"server error": answer(500, nil, "sig="+secret),
		"not storage":  answer(200, nil, "<html>"+secret),
	} {
		for how, settings := range map[string]azure.Settings{
			"signature": {ConnectionString: "BlobEndpoint=https://b;QueueEndpoint=https://q;TableEndpoint=https://t;SharedAccessSignature=sv=2021-12-02&sig=" + secret},
			"key":       {ConnectionString: "AccountName=acc;AccountKey=" + secret},
		} {
			s, err := azure.Open(settings, azure.WithTransport(tr), azure.WithoutRetries())
			if err != nil {
				t.Fatal(err)
			}
			for method, call := range calls(s.Store, "w/key") {
				err := call(t.Context())
				if err == nil {
					if name != "not storage" {
						t.Errorf("%s, %s, %s: no error", name, how, method)
					}
					continue
				}
				if strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v", fault.Of(err)), secret) {
					t.Errorf("%s, %s, %s: the error holds the secret: %v", name, how, method, err)
				}
				if name != "not storage" && !fault.Is(err, fault.Unavailable) {
					t.Errorf("%s, %s, %s: %v is %v", name, how, method, err, fault.KindOf(err))
				}
			}
		}
	}
}

// A connection that breaks once, before or after Azurite acts, is mended by a
// retry; what was written cannot then be taken for somebody else's.
func TestBrokenConnections(t *testing.T) {
	a := azuritetest.Strict(t, azuritetest.Shared(t))
	for _, after := range []bool{false, true} {
		var fail atomic.Bool
		s := open(t, azuritetest.Cut(t, a, func(*http.Request) (bool, bool) {
			hit := fail.CompareAndSwap(true, false)
			return hit && !after, hit && after
		}))
		ctx := t.Context()
		key := fmt.Sprintf("cut/%v/%d", after, time.Now().UnixNano())
		table, partition := "cut", strings.ReplaceAll(key, "/", ".")
		// broken runs call with its first request cut. Where the answer to a
		// conditional write was lost, nobody can tell who wrote.
		broken := func(name string, conditional bool, call func() error) {
			t.Helper()
			fail.Store(true)
			err := call()
			if fail.Load() {
				t.Fatalf("%s made no request", name)
			}
			if conditional && after {
				if !fault.Is(err, fault.Unavailable) {
					t.Errorf("after=%v %s: %v, want unavailable", after, name, err)
				}
			} else if err != nil {
				t.Errorf("after=%v %s: %v", after, name, err)
			}
		}
		whole := func(ctx context.Context, c storage.Condition) error {
			_, err := s.Blobs.Put(ctx, key, []byte("whole"), nil, c)
			return err
		}
		if err := whole(ctx, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Queues.Send(ctx, "cut", []byte("m"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Tables.Apply(ctx, table, partition, storage.Op{Row: "r0"}); err != nil {
			t.Fatal(err)
		}
		broken("put", false, func() error { return whole(ctx, storage.Condition{}) })
		broken("head", false, func() error { _, err := s.Blobs.Head(ctx, key); return err })
		broken("get", false, func() error { _, _, err := s.Blobs.Get(ctx, key, storage.ReadOptions{}); return err })
		broken("put part", false, func() error { return s.Blobs.PutPart(ctx, key, storage.PartID{1}, []byte("x")) })
		broken("commit if absent", true, func() error {
			if err := s.Blobs.PutPart(ctx, key+"c", storage.PartID{1}, []byte("x")); err != nil {
				return err
			}
			fail.Store(true) // the part took the first cut
			_, err := s.Blobs.Commit(ctx, key+"c", []storage.PartID{{1}}, nil, storage.Condition{IfAbsent: true})
			return err
		})
		broken("put if absent", true, func() error {
			_, err := s.Blobs.Put(ctx, key+"a", nil, nil, storage.Condition{IfAbsent: true})
			return err
		})
		broken("put if match", true, func() error {
			info, err := s.Blobs.Head(ctx, key)
			if err != nil {
				return err
			}
			fail.Store(true)
			return whole(ctx, storage.Condition{IfMatch: info.ETag})
		})
		broken("insert", true, func() error { _, err := s.Tables.Apply(ctx, table, partition, storage.Op{Row: "r1"}); return err })
		broken("upsert", false, func() error {
			_, err := s.Tables.Apply(ctx, table, partition, storage.Op{Kind: storage.Upsert, Row: "r2"})
			return err
		})
		broken("delete row", true, func() error {
			_, err := s.Tables.Apply(ctx, table, partition, storage.Op{Kind: storage.Delete, Row: "r0", IfMatch: storage.AnyETag})
			return err
		})
		broken("query", false, func() error {
			for _, err := range s.Tables.Query(ctx, table, partition, storage.Range{}) {
				if err != nil {
					return err
				}
			}
			return nil
		})
		broken("delete", false, func() error { return s.Blobs.Delete(ctx, key, storage.Condition{}) })
		broken("send", false, func() error { return s.Queues.Send(ctx, "cut", []byte("m"), 0) })

		// A conflict that was there before is still a conflict.
		_, err := s.Tables.Apply(ctx, table, partition, storage.Op{Row: "r2"})
		if !fault.HasCode(err, storage.CodeExists) {
			t.Errorf("after=%v: insert of what exists: %v", after, err)
		}
	}
}

// A body that breaks half-way goes on from the same version.
func TestReadGoesOn(t *testing.T) {
	a := azuritetest.Shared(t)
	target, err := url.Parse(a.Blob)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("0123456789"), 300_000)
	var gets atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r2 := r.Clone(r.Context())
		r2.RequestURI, r2.URL.Scheme, r2.URL.Host = "", "http", target.Host
		resp, err := http.DefaultTransport.RoundTrip(r2)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		if r.Method == http.MethodGet && gets.Add(1) == 1 {
			_, _ = io.CopyN(w, resp.Body, 1_000_000)
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(proxy.Close)
	b := a
	b.Blob = proxy.URL + "/" + azuritetest.AccountName
	s := open(t, b)
	key := fmt.Sprintf("goeson/%d", time.Now().UnixNano())
	if _, err := s.Blobs.Put(t.Context(), key, body, nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	_, r, err := s.Blobs.Get(t.Context(), key, storage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, body) || gets.Load() != 2 {
		t.Errorf("%d bytes in %d requests, %v", len(got), gets.Load(), err)
	}
}

// No call asks first whether its container, table or queue is there.
func TestRequestsPerCall(t *testing.T) {
	a := azuritetest.Shared(t)
	var mu sync.Mutex
	var seen []string
	s := open(t, azuritetest.Cut(t, a, func(r *http.Request) (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+r.URL.Query().Get("comp"))
		return false, false
	}))
	key := fmt.Sprintf("requests/%d", time.Now().UnixNano())
	all := calls(s, key)
	for _, method := range []string{"Put", "Apply", "Send"} {
		_ = all[method](t.Context()) // makes what is missing
	}
	for _, step := range []struct {
		method string
		want   int
	}{
		{"Put", 1},
		{"Head", 1},
		{"Get", 1},
		{"SetMeta", 1},
		{"PutPart", 1},
		{"Parts", 1},
		{"Commit", 1},
		{"List", 1},
		{"Delete", 2},
		{"Tables.Get", 1},
		{"Apply", 1},
		{"Query", 1},
		{"Send", 1},
		{"Receive", 1},
		{"Depth", 1},
	} {
		mu.Lock()
		seen = nil
		mu.Unlock()
		_ = all[step.method](t.Context())
		if len(seen) != step.want {
			t.Errorf("%s made %d requests, want %d: %v", step.method, len(seen), step.want, seen)
		}
	}
}

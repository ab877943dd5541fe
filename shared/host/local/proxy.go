package local

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/service"
)

// resends is how often a request is sent to a handler that is not there.
const resends = 10

// proxy passes requests from outside on to the handler.
func (h *Host) proxy() http.Handler {
	target, err := url.Parse(h.handlerURL())
	if err != nil {
		panic(err) // a number between two constants
	}
	forward := &httputil.ReverseProxy{
		Transport:     &resender{h.handler.Transport, h.process},
		FlushInterval: -1,
		ErrorLog:      nil,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host = target.Scheme, target.Host
			pr.Out.Host = target.Host
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery // as it came, unparsable parts included
			header := pr.Out.Header
			client, _, err := net.SplitHostPort(pr.In.RemoteAddr)
			if err != nil {
				client = pr.In.RemoteAddr
			}
			header.Set("X-Forwarded-For", client)
			header.Set("X-Forwarded-Host", pr.In.Host)
			header.Set("X-Forwarded-Proto", "http")
			header.Set("X-Ms-Invocation-Id", guid())
			header.Set("X-Azure-Functions-Invocationid", guid())
			header.Set("X-Azure-Functions-Hostversion", hostVersion)
			header.Set("Traceparent", "00-"+service.NewID()+"-"+service.NewID()[:16]+"-00")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				h.o.Log.Warn("the handler gave no answer", "error", err)
			}
			w.WriteHeader(http.StatusInternalServerError) // empty, as the real host's
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := h.app.Find(r.URL)
		if !ok || !slices.Contains(f.Trigger.Methods, strings.ToLower(r.Method)) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.ContentLength > h.maxBody {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		// An answer that comes before the body was sent is passed on at once;
		// else the two would wait for each other.
		http.NewResponseController(w).EnableFullDuplex() //nolint:errcheck // HTTP/1.1 has it
		if h.process.isGone() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		ctx, stop := h.deadline(r.Context(), f)
		defer stop()
		// The body is bounded in a copy: by its own the server sees whether it
		// was read, and the connection can be used again.
		bounded := r.WithContext(ctx)
		bounded.Body = http.MaxBytesReader(w, r.Body, h.maxBody)
		forward.ServeHTTP(w, bounded)
	})
}

// hostVersion is what the host we behave like calls itself.
const hostVersion = "4.1045.200.25556"

// deadline bounds one invocation by functionTimeout, at which the handler is
// killed with everything that it is doing.
func (h *Host) deadline(ctx context.Context, f layout.Function) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	t := time.AfterFunc(h.o.FunctionTimeout, func() {
		h.o.Log.Error("functionTimeout: the handler is killed", "function", f.Name)
		h.process.kill()
		cancel()
	})
	return ctx, func() { t.Stop(); cancel() }
}

// resender sends a request again, as it was, while the handler cannot be
// reached and the body has not been touched.
type resender struct {
	next    http.RoundTripper
	process *process
}

func (s *resender) RoundTrip(r *http.Request) (*http.Response, error) {
	body := &untouched{ReadCloser: r.Body}
	for i := 0; ; i++ {
		out := r.Clone(r.Context())
		// Without GetBody or an Idempotency-Key of its own the transport sends
		// nothing twice by itself but what it can see was not received.
		if out.Body = body; r.Body == nil || r.Body == http.NoBody {
			out.Body = http.NoBody
		}
		resp, err := s.next.RoundTrip(out)
		if err == nil || i == resends || body.read.Load() || r.Context().Err() != nil {
			return resp, err
		}
		sleep(r.Context(), min(time.Duration(i+1)*50*time.Millisecond, 250*time.Millisecond))
		// Ten tries are two seconds, in which a busy machine may not have
		// started the next process; while it starts, none is used up.
		s.process.started(r.Context())
	}
}

// untouched notes whether a body was read. The transport closes the body of a
// request that failed; here the server owns it.
type untouched struct {
	io.ReadCloser
	read atomic.Bool
}

func (u *untouched) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if n > 0 {
		u.read.Store(true)
	}
	return n, err
}

func (u *untouched) Close() error { return nil }

func guid() string {
	id := service.NewID()
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

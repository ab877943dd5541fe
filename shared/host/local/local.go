// Package local is a Functions host for one machine: it runs the built handler
// out of a script root under the contract of the real host, as that was seen
// to behave (host 4.1045), its unpleasant parts included.
//
//   - The handler is a process of its own, started with the settings as its
//     environment, told its port, asked "GET /" until it answers anything, and
//     ended only by SIGKILL.
//   - A request goes to the first function, in alphabetical order, whose route
//     matches; a method that function does not list is a 404. It is passed on
//     with X-Forwarded-* and X-Ms-Invocation-Id overwritten, and sent again with
//     the same id when the handler dies before it has read the body.
//   - A queue message is an envelope whose strings are encoded twice. It is
//     hidden for ten minutes, renewed at half time, deleted after a 2xx with a
//     JSON object, shown again after a failure, and moved to {queue}-poison
//     after maxDequeueCount of them. An empty 2xx hangs until functionTimeout,
//     which kills the process and all that it was doing.
//   - A process that ends is started again at once; three times within half an
//     hour is the end of the host. One that ends with code 0 is never started
//     again, and every call is a 500.
//
// Besides, it does what Event Grid would: a blob that appears in the drop
// container becomes a BlobCreated message on queue "drop".
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/storage"
)

// Options of a Host. Root and Store are required.
type Options struct {
	Root string // script root: host.json, handler, {function}/function.json
	Addr string // where callers reach us; default 127.0.0.1:7071
	// Settings are the app's settings, which the handler finds in its
	// environment beside PATH, HOME and TMPDIR.
	Settings map[string]string
	// Store is the account that holds queues and the drop container: the same
	// that the settings name to the handler.
	Store  storage.Store
	Log    *slog.Logger // default: none
	Output io.Writer    // the handler's standard output and error; default: none

	// What the real host takes from host.json or has fixed; for tests.
	FunctionTimeout   time.Duration // default: host.json's
	VisibilityTimeout time.Duration // default: host.json's
	MaxPolling        time.Duration // default: host.json's
	InitTimeout       time.Duration // default 30 s
	Hidden            time.Duration // of a message under way; default 10 min
	MaxCrashes        int           // default 3
}

// QueueSetting is what the names of settings begin with that stand for the
// values of host.json about queues: batchSize and newBatchThreshold.
const QueueSetting = "AzureFunctionsJobHost__extensions__queues__"

// maxBody is the real host's limit where FUNCTIONS_REQUEST_BODY_SIZE_LIMIT
// sets no other.
const maxBody = 104_857_600

// Host is a host that is listening.
type Host struct {
	o       Options
	app     *layout.App
	ln      net.Listener
	port    int // the handler's, the same across its restarts
	process *process
	handler *http.Client // to the handler

	maxBody int64
}

// New reads the script root and starts to listen. Nothing runs before Run.
func New(o Options) (*Host, error) {
	app, err := layout.Read(os.DirFS(o.Root))
	if err != nil {
		return nil, fmt.Errorf("script root %s: %w", o.Root, err)
	}
	if err := errors.Join(o.override(&app.Host.Extensions.Queues), o.defaults(app.Host)); err != nil {
		return nil, err
	}
	h := &Host{o: o, app: app, maxBody: maxBody}
	if v := o.Settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]; v != "" {
		if h.maxBody, err = strconv.ParseInt(v, 10, 64); err != nil {
			return nil, fmt.Errorf("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: %w", err)
		}
	}
	if h.ln, err = net.Listen("tcp", o.Addr); err != nil {
		return nil, err
	}
	if h.port, err = FreePort(); err != nil { // our own is taken
		h.ln.Close()
		return nil, err
	}
	h.handler = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost:   256,
		DisableCompression:    true,
		ResponseHeaderTimeout: 0, // functionTimeout decides
		ExpectContinueTimeout: 5 * time.Second,
	}}
	h.process = newProcess(h)
	return h, nil
}

// override applies the settings that stand for values of host.json.
func (o *Options) override(q *layout.Queues) error {
	for name, v := range map[string]*int{"batchSize": &q.BatchSize, "newBatchThreshold": &q.NewBatchThreshold} {
		setting := QueueSetting + name
		text, ok := o.Settings[setting]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 32 {
			return fmt.Errorf("%s is %q: a number from 0 to 32 is needed", setting, text)
		}
		*v = n
	}
	if q.BatchSize < 1 {
		return fmt.Errorf("%sbatchSize is 0: nothing would be fetched", QueueSetting)
	}
	return nil
}

func (o *Options) defaults(host layout.Host) error {
	span := func(d *time.Duration, text string) error {
		if *d != 0 {
			return nil
		}
		v, err := layout.TimeSpan(text)
		*d = v
		return err
	}
	q := host.Extensions.Queues
	if err := errors.Join(
		span(&o.FunctionTimeout, host.FunctionTimeout),
		span(&o.VisibilityTimeout, q.VisibilityTimeout),
		span(&o.MaxPolling, q.MaxPollingInterval),
	); err != nil {
		return err
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:7071"
	}
	if o.InitTimeout == 0 {
		o.InitTimeout = 30 * time.Second
	}
	if o.Hidden == 0 {
		o.Hidden = 10 * time.Minute
	}
	if o.MaxCrashes == 0 {
		o.MaxCrashes = 3
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Output == nil {
		o.Output = io.Discard
	}
	return nil
}

// URL is where callers reach the host.
func (h *Host) URL() string { return "http://" + h.ln.Addr().String() }

// Pid is the process id of the handler; 0 while there is none. For tests,
// which kill it.
func (h *Host) Pid() int { return h.process.pid() }

// Ready waits until the handler answers.
func (h *Host) Ready(ctx context.Context) error { return h.process.wait(ctx) }

// Run runs the host until ctx is done, which is not an error, or until the
// handler has crashed too often. The handler is dead when it returns.
func (h *Host) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.process.run(ctx) })

	server := &http.Server{Handler: h.proxy(), ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(h.o.Log.Handler(), slog.LevelDebug)}
	g.Go(func() error {
		if err := server.Serve(h.ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	for _, f := range h.app.Functions {
		switch f.Trigger.Type {
		case layout.QueueTrigger:
			g.Go(func() error { h.pump(ctx, f); return nil })
		case layout.TimerTrigger:
			g.Go(func() error { return h.tick(ctx, f) })
		}
	}
	g.Go(func() error { WatchDrop(ctx, h.o.Store, h.o.Log); return nil })
	return g.Wait()
}

// FreePort finds a port of this machine for a server that is started in a
// while, and may be started again. It is none of those that systems give to
// whoever asks for any: somebody else would be given it meanwhile.
func FreePort() (int, error) {
	for try := 0; ; try++ {
		port := 12_000 + rand.N(20_000)
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, ln.Close()
		}
		if try == 100 {
			return 0, err
		}
	}
}

// latch is a condition that can be waited for, more than once.
type latch struct {
	mu sync.Mutex
	ch chan struct{}
}

func newLatch() *latch { return &latch{ch: make(chan struct{})} }

func (l *latch) set(open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ch:
		if !open {
			l.ch = make(chan struct{})
		}
	default:
		if open {
			close(l.ch)
		}
	}
}

func (l *latch) opened() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ch
}

// Package telemetry is what the operator sees: JSON lines on standard output,
// one per call and per delivery, and OpenTelemetry metrics under the same
// names. Names, units and buckets stand in names.go and nowhere else.
//
// No line and no metric ever holds a cell, a global parameter, a key, a token
// or a URL. Of a caller's mistake the class and code are logged; the message,
// which quotes the value at fault, is for the caller alone.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/web"
)

// Options of New. The zero value logs at info level and measures nothing.
type Options struct {
	Out     io.Writer // standard output: the Functions host takes standard error for errors
	Level   string    // debug, info, warn, error
	Through bool      // write each line at once: see NewWriter
	Metrics *Metrics  // nil: none
}

// Telemetry observes calls and deliveries.
type Telemetry struct {
	Log     *slog.Logger
	out     *Writer
	metrics *Metrics
}

// New returns a Telemetry.
func New(o Options) *Telemetry {
	level := slog.LevelInfo
	switch o.Level {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	}
	w := NewWriter(o.Out, o.Through)
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	t := &Telemetry{Log: slog.New(h), out: w, metrics: o.Metrics}
	if o.Metrics != nil {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
			t.Log.Warn("metrics not sent", keyCause, Cause(err))
		}))
	}
	return t
}

// Close sends what is left.
func (t *Telemetry) Close(ctx context.Context) {
	if t.metrics != nil {
		t.metrics.Close(ctx)
	}
	t.out.Flush()
}

// Metrics returns what was given to New; nil, which counts nothing, where
// metrics are off.
func (t *Telemetry) Metrics() *Metrics { return t.metrics }

// Call logs and counts one HTTP call; it is web.Options.Observe.
func (t *Telemetry) Call(ctx context.Context, c *web.CallInfo) {
	level := slog.LevelInfo
	if c.Err != nil {
		level = fault.KindOf(c.Err).Traits().Level
	}
	if t.metrics != nil {
		t.metrics.observe(ctx, c)
	}
	if !t.Log.Enabled(ctx, level) {
		return
	}
	l := newLine(level, "call")
	l.str(keyRequest, c.RequestID)
	l.str(keyMethod, c.Method)
	l.str(keyRoute, c.Route)
	l.int(keyStatus, int64(c.Status))
	l.int(keyTotal, c.Total.Microseconds())
	l.int(keyBytesIn, c.BytesIn)
	l.int(keyBytesOut, c.BytesOut)
	l.str(keyWorkspace, c.Workspace)
	l.str(keyService, c.Service)
	l.str(keyEndpoint, c.Endpoint)
	l.str(keyDeployment, c.Deployment)
	l.str(keyJob, c.Job)
	l.str(keyBy, c.By)
	if c.Rows > 0 {
		l.int(keyRows, int64(c.Rows))
	}
	if c.Parse > 0 || c.Score > 0 || c.Write > 0 {
		l.int(keyParse, c.Parse.Microseconds())
		l.int(keyScore, c.Score.Microseconds())
		l.int(keyWrite, c.Write.Microseconds())
	}
	if c.Wait > 0 {
		l.int(keyWait, c.Wait.Microseconds())
	}
	if c.Err != nil {
		l.str(keyClass, c.Class)
		l.str(keyCode, c.Code)
		l.str(keyCause, Cause(c.Err))
	}
	l.end(t.out)
}

// Delivery logs and counts one delivery to a trigger function; it is
// azfunc.App.Observe.
func (t *Telemetry) Delivery(ctx context.Context, d azfunc.Delivery) {
	level := slog.LevelInfo
	if d.Err != nil {
		level = fault.KindOf(d.Err).Traits().Level
	}
	if t.metrics != nil {
		t.metrics.delivery(ctx, d)
	}
	if !t.Log.Enabled(ctx, level) {
		return
	}
	l := newLine(level, "delivery")
	l.str(keyFunction, d.Function)
	l.str(keyRequest, d.ID)
	l.int(keyDequeued, int64(d.DequeueCount))
	l.int(keyQueued, d.Wait.Milliseconds())
	l.int(keyTotal, d.Total.Microseconds())
	if d.Err != nil {
		l.str(keyCode, fault.KindOf(d.Err).String())
		l.str(keyCause, Cause(d.Err))
	}
	l.end(t.out)
}

// Cause returns what may be logged of err: its chain of causes where the fault
// is ours or a dependency's, nothing where it is the caller's, whose data the
// text may quote.
func Cause(err error) string {
	e := fault.Of(err)
	switch e.Kind {
	case fault.Internal, fault.Unavailable, fault.Timeout, fault.Conflict:
	default:
		return ""
	}
	if e.Err != nil {
		return oneLine(e.Err.Error())
	}
	return oneLine(e.Msg)
}

func oneLine(s string) string {
	const most = 2000
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", "; "), "?")
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

package telemetry

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/web"
)

// Metrics holds every instrument of the program. Its methods on nil do nothing.
type Metrics struct {
	provider *sdk.MeterProvider

	calls, rows, deliveries, poison metric.Int64Counter
	call, score, deliver, queued    metric.Float64Histogram
}

// NewMetrics returns metrics that are sent through e every interval.
func NewMetrics(e sdk.Exporter, service string, interval time.Duration) *Metrics {
	res := resource.NewSchemaless(attribute.String("service.name", service))
	reader := sdk.NewPeriodicReader(e, sdk.WithInterval(interval), sdk.WithTimeout(10*time.Second))
	m := &Metrics{provider: sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithResource(res))}
	meter := m.provider.Meter("github.com/portico-ml/portico")
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		must(err)
		return c
	}
	histogram := func(name, what string, buckets []float64) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), metric.WithExplicitBucketBoundaries(buckets...))
		must(err)
		return h
	}
	m.calls = counter(nameCalls, "{call}", "HTTP calls answered")
	m.rows = counter(nameRows, "{row}", "rows scored")
	m.deliveries = counter(nameDeliveries, "{delivery}", "deliveries to trigger functions")
	m.poison = counter(namePoison, "{message}", "messages taken out of poison queues that could not be sent again")
	m.call = histogram(nameCallDuration, "time to answer a call", callBuckets)
	m.score = histogram(nameScore, "time in the scoring plan", scoreBuckets)
	m.deliver = histogram(nameDelivery, "time to handle a delivery", workBuckets)
	m.queued = histogram(nameQueued, "time a message waited on its queue", workBuckets)
	return m
}

// must: an instrument fails for its name, unit or buckets alone, which are
// constants of this package.
func must(err error) {
	if err != nil {
		panic("telemetry: " + err.Error())
	}
}

// Close sends what is left and stops.
func (m *Metrics) Close(ctx context.Context) {
	if m != nil {
		m.provider.Shutdown(ctx) //nolint:errcheck // nobody is left to tell
	}
}

// Poison counts a message of a queue that could not be rescued: the alarm.
func (m *Metrics) Poison(ctx context.Context, queue string) {
	if m != nil {
		m.poison.Add(ctx, 1, metric.WithAttributes(attribute.String(keyQueue, queue)))
	}
}

// observe records a call.
func (m *Metrics) observe(ctx context.Context, c *web.CallInfo) {
	route, endpoint := attribute.String(keyRoute, c.Route), attribute.String(keyEndpoint, c.Endpoint)
	m.calls.Add(ctx, 1, metric.WithAttributes(route, endpoint,
		attribute.String(keyStatus, strconv.Itoa(c.Status)), attribute.String(keyCode, c.Code)))
	where := metric.WithAttributeSet(attribute.NewSet(route, endpoint))
	m.call.Record(ctx, c.Total.Seconds(), where)
	if c.Rows > 0 {
		m.rows.Add(ctx, int64(c.Rows), where)
	}
	if c.Score > 0 {
		m.score.Record(ctx, c.Score.Seconds(), where)
	}
}

func (m *Metrics) delivery(ctx context.Context, d azfunc.Delivery) {
	function := attribute.String(keyFunction, d.Function)
	code := ""
	if d.Err != nil {
		code = fault.KindOf(d.Err).String()
	}
	m.deliveries.Add(ctx, 1, metric.WithAttributes(function, attribute.String(keyCode, code)))
	m.deliver.Record(ctx, d.Total.Seconds(), metric.WithAttributes(function))
	if d.Wait > 0 {
		m.queued.Record(ctx, d.Wait.Seconds(), metric.WithAttributes(function))
	}
}

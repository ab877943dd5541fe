package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/portico-ml/portico/shared/fault"
)

// Exporter sends metrics as OTLP/JSON over HTTP. The SDK's own exporters bring
// gRPC and protobuf, a third of the program's size; this is the part of the
// protocol that the instruments of this package need.
type Exporter struct {
	client  *http.Client
	address string
	headers http.Header
}

// NewExporter returns an Exporter to an OTLP endpoint. headers is in the form
// of OTEL_EXPORTER_OTLP_HEADERS: name=value, comma-separated.
func NewExporter(client *http.Client, endpoint, headers string) *Exporter {
	e := &Exporter{client: client, address: strings.TrimRight(endpoint, "/") + "/v1/metrics", headers: http.Header{}}
	for pair := range strings.SplitSeq(headers, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			e.headers.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	e.headers.Set("Content-Type", "application/json")
	return e
}

// Temporality is cumulative: a lost batch costs resolution, not counts.
func (e *Exporter) Temporality(sdk.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

// Aggregation is the SDK's default.
func (e *Exporter) Aggregation(k sdk.InstrumentKind) sdk.Aggregation {
	return sdk.DefaultAggregationSelector(k)
}

// Export sends one batch. There is no retry: the next batch holds the sums.
func (e *Exporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	body, err := json.Marshal(encode(rm))
	if err != nil {
		return fmt.Errorf("encode metrics: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = e.headers.Clone()
	resp, err := e.client.Do(req)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "send metrics")
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) //nolint:errcheck // only to reuse the connection
	if resp.StatusCode/100 != 2 {
		return fault.New(fault.Unavailable, "", "the collector answered %d", resp.StatusCode)
	}
	return nil
}

// ForceFlush does nothing: nothing is held.
func (e *Exporter) ForceFlush(context.Context) error { return nil }

// Shutdown does nothing.
func (e *Exporter) Shutdown(context.Context) error { return nil }

// The documents of OTLP/JSON: 64-bit integers are strings, enums numbers.
type (
	otlpRequest struct {
		ResourceMetrics []otlpResource `json:"resourceMetrics"`
	}
	otlpResource struct {
		Resource struct {
			Attributes []otlpAttribute `json:"attributes"`
		} `json:"resource"`
		ScopeMetrics []otlpScope `json:"scopeMetrics"`
	}
	otlpScope struct {
		Scope struct {
			Name    string `json:"name"`
			Version string `json:"version,omitempty"`
		} `json:"scope"`
		Metrics []otlpMetric `json:"metrics"`
	}
	otlpMetric struct {
		Name        string    `json:"name"`
		Description string    `json:"description,omitempty"`
		Unit        string    `json:"unit,omitempty"`
		Sum         *otlpData `json:"sum,omitempty"`
		Histogram   *otlpData `json:"histogram,omitempty"`
	}
	otlpData struct {
		Points      []otlpPoint `json:"dataPoints"`
		Temporality int         `json:"aggregationTemporality"`
		Monotonic   bool        `json:"isMonotonic,omitempty"`
	}
	otlpPoint struct {
		Attributes []otlpAttribute `json:"attributes,omitempty"`
		Start      string          `json:"startTimeUnixNano"`
		Time       string          `json:"timeUnixNano"`
		AsInt      string          `json:"asInt,omitempty"`
		Count      string          `json:"count,omitempty"`
		Sum        *float64        `json:"sum,omitempty"`
		Buckets    []string        `json:"bucketCounts,omitempty"`
		Bounds     []float64       `json:"explicitBounds,omitempty"`
	}
	otlpAttribute struct {
		Key   string `json:"key"`
		Value struct {
			String string `json:"stringValue"`
		} `json:"value"`
	}
)

const otlpCumulative = 2

func encode(rm *metricdata.ResourceMetrics) otlpRequest {
	var r otlpResource
	r.Resource.Attributes = otlpAttributes(rm.Resource.Attributes())
	for _, sm := range rm.ScopeMetrics {
		var s otlpScope
		s.Scope.Name, s.Scope.Version = sm.Scope.Name, sm.Scope.Version
		for _, m := range sm.Metrics {
			om := otlpMetric{Name: m.Name, Description: m.Description, Unit: m.Unit}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				om.Sum = &otlpData{Temporality: otlpCumulative, Monotonic: data.IsMonotonic}
				for _, p := range data.DataPoints {
					om.Sum.Points = append(om.Sum.Points, otlpPoint{
						Attributes: otlpAttributes(p.Attributes.ToSlice()),
						Start:      nanos(p.StartTime), Time: nanos(p.Time),
						AsInt: strconv.FormatInt(p.Value, 10),
					})
				}
			case metricdata.Histogram[float64]:
				om.Histogram = &otlpData{Temporality: otlpCumulative}
				for _, p := range data.DataPoints {
					point := otlpPoint{
						Attributes: otlpAttributes(p.Attributes.ToSlice()),
						Start:      nanos(p.StartTime), Time: nanos(p.Time),
						Count: strconv.FormatUint(p.Count, 10), Sum: &p.Sum, Bounds: p.Bounds,
					}
					for _, n := range p.BucketCounts {
						point.Buckets = append(point.Buckets, strconv.FormatUint(n, 10))
					}
					om.Histogram.Points = append(om.Histogram.Points, point)
				}
			default:
				continue // no instrument of this package makes another kind
			}
			s.Metrics = append(s.Metrics, om)
		}
		r.ScopeMetrics = append(r.ScopeMetrics, s)
	}
	return otlpRequest{ResourceMetrics: []otlpResource{r}}
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func otlpAttributes(kv []attribute.KeyValue) []otlpAttribute {
	var out []otlpAttribute
	for _, a := range kv {
		if s := a.Value.String(); s != "" {
			o := otlpAttribute{Key: string(a.Key)}
			o.Value.String = s
			out = append(out, o)
		}
	}
	return out
}

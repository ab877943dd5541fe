package azfunc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
)

// observed is what host 4.1045 posted for a queue message, to the byte.
const observed = `{"Data":{"msg":"\"{\\\"id\\\":\\\"j1\\\",\\\"rows\\\":10,\\\"nested\\\":{\\\"a\\\":1},\\\"arr\\\":[1,2]}\""},
 "Metadata":{"DequeueCount":"3","ExpirationTime":"2026-11-29T23:43:52+00:00","Id":"\"j1\"",
  "InsertionTime":"2026-11-22T23:43:52+00:00","NextVisibleTime":"2026-11-22T23:53:52+00:00",
  "PopReceipt":"\"MjJOb3YyMDI2MjM6NDM6NTI4MWM1\"",
  "sys":{"MethodName":"job","UtcNow":"2026-11-22T23:43:52.9741243Z","RandGuid":"7832dbd8"},
  "rows":"\"10\"","nested":{"a":1}}}`

func TestDecode(t *testing.T) {
	inserted := time.Date(2026, 11, 22, 23, 43, 52, 0, time.UTC)
	tests := []struct {
		name, envelope string
		kind           Kind
		body           string
		count          int
		inserted       time.Time
	}{
		{"as the host sends it", observed, Queue, `{"id":"j1","rows":10,"nested":{"a":1},"arr":[1,2]}`, 3, inserted},
		{"as documented", `{"Data":{"msg":"{\"v\":1}"},"Metadata":{"DequeueCount":2,"InsertionTime":"\"2026-11-22T23:43:52+00:00\""}}`, Queue, `{"v":1}`, 2, inserted},
		{"an object", `{"Data":{"msg":{"v":1}},"Metadata":{}}`, Queue, `{"v":1}`, 1, time.Time{}},
		{"text that is no JSON", `{"Data":{"msg":"\"hello\""},"Metadata":{"DequeueCount":"1"}}`, Queue, `hello`, 1, time.Time{}},
		{"a forged count", `{"Data":{"msg":"x"},"Metadata":{"DequeueCount":"-9"}}`, Queue, `x`, 1, time.Time{}},
		{"a count of nonsense", `{"Data":{"msg":"x"},"Metadata":{"DequeueCount":{"a":1}}}`, Queue, `x`, 1, time.Time{}},
		{"timer", `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{"sys":{}}}`, Timer, ``, 0, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := decode([]byte(tt.envelope), tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Body) != tt.body || e.DequeueCount != tt.count || !e.Inserted.Equal(tt.inserted) {
				t.Errorf("got %q, %d, %v", e.Body, e.DequeueCount, e.Inserted)
			}
		})
	}
	for _, bad := range []string{"", "null", "[]", `{"Data":{}}`, `{"Data":{"a":1,"b":2}}`, `{"Data":`} {
		if _, err := decode([]byte(bad), Queue); !fault.Is(err, fault.BadArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReplies(t *testing.T) {
	var got event.Event
	var seen Delivery
	h := NewHandler(App{
		HTTP: http.NotFoundHandler(),
		Triggers: map[string]Trigger{
			"chunk": {Queue, func(_ context.Context, e event.Event) error {
				got = e
				switch string(e.Body) {
				case "fail":
					return errors.New("the storage key is hunter2")
				case "panic":
					panic("a cell")
				}
				return nil
			}},
			"sweep": {Timer, func(_ context.Context, e event.Event) error { got = e; return nil }},
		},
		Observe: func(_ context.Context, d Delivery) { seen = d },
	})
	post := func(name, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/"+name, strings.NewReader(body))
		r.Header.Set("X-Azure-Functions-InvocationId", "inv-1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	ok := func(w *httptest.ResponseRecorder) bool {
		var reply struct {
			Outputs map[string]any
			Logs    []string
		}
		return w.Code == 200 && w.Header().Get("Content-Type") == "application/json" &&
			json.Unmarshal(w.Body.Bytes(), &reply) == nil && reply.Outputs != nil && reply.Logs != nil
	}
	w := post("chunk", `{"Data":{"m":"\"{}\""},"Metadata":{"DequeueCount":"2","InsertionTime":"2020-01-01T00:00:00+00:00"}}`)
	if !ok(w) || got.Function != "chunk" || got.ID != "inv-1" || got.DequeueCount != 2 || seen.Function != "chunk" || seen.Err != nil || seen.Wait < time.Hour {
		t.Errorf("%d %s, event %+v, observed %+v", w.Code, w.Body, got, seen)
	}
	if w = post("sweep", `{"Data":{"t":{"IsPastDue":false}},"Metadata":{}}`); !ok(w) || got.Function != "sweep" {
		t.Errorf("timer: %d %s", w.Code, w.Body)
	}
	for _, body := range []string{"fail", "panic"} {
		w = post("chunk", `{"Data":{"m":"`+body+`"},"Metadata":{}}`)
		if w.Code != 500 || w.Header().Get("Content-Type") != "application/json" || w.Body.String() != `{"error":"internal"}` || seen.Err == nil {
			t.Errorf("%s: %d %s, observed %v", body, w.Code, w.Body, seen.Err)
		}
	}
	if strings.Contains(seen.Err.Error(), "a cell") {
		t.Errorf("the panic's value is in the log: %v", seen.Err)
	}
	for _, body := range []string{"", "{}", strings.Repeat(" ", maxEnvelope+1)} {
		if w = post("chunk", body); w.Code != 500 {
			t.Errorf("a broken envelope was accepted: %d", w.Code)
		}
	}
}

// TestOutsideIsNeverAnEnvelope forges every header the host uses.
func TestOutsideIsNeverAnEnvelope(t *testing.T) {
	delivered := 0
	h := NewHandler(App{
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }),
		Triggers: map[string]Trigger{"chunk": {Queue, func(context.Context, event.Event) error {
			delivered++
			return nil
		}}},
	})
	const body = `{"Data":{"m":"x"},"Metadata":{}}`
	tests := []struct {
		name, method, target string
		header               map[string]string
		want                 int
	}{
		{"the host", "POST", "/chunk", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 200},
		{"no invocation id", "POST", "/chunk", nil, 404},
		{"another case", "POST", "/Work", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 404},
		{"escaped", "POST", "/%77ork", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 404},
		{"below", "POST", "/chunk/", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 404},
		{"twice", "POST", "//chunk", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 404},
		{"unknown", "POST", "/other", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 404},
		{"put", "PUT", "/chunk", map[string]string{"X-Azure-Functions-InvocationId": "i"}, 404},
		{"ping", "GET", "/", nil, 200},
		{"home page", "GET", "/", map[string]string{"X-Forwarded-Host": "h"}, 404},
	}
	for _, name := range proxyHeaders {
		for _, value := range []string{"x", ""} {
			tests = append(tests, struct {
				name, method, target string
				header               map[string]string
				want                 int
			}{name + "=" + value, "POST", "/chunk", map[string]string{"X-Azure-Functions-InvocationId": "i", name: value}, 404})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := delivered
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "http://127.0.0.1"+tt.target, strings.NewReader(body))
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if isDelivery := tt.want == 200 && tt.method == "POST"; (delivered > before) != isDelivery {
				t.Errorf("delivered %v", delivered > before)
			}
			io.Copy(io.Discard, w.Body)
		})
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(observed), false)
	f.Add([]byte(`{"Data":{"msg":"{\"v\":1}"},"Metadata":{"DequeueCount":2}}`), false)
	f.Add([]byte(`{"Data":{"t":{"IsPastDue":false}},"Metadata":{"RetryContext":{}}}`), true)
	f.Add([]byte(`{"Data":{"m":"\"\\ud800\""},"Metadata":{"DequeueCount":"99999999999999999999"}}`), false)
	f.Fuzz(func(t *testing.T, envelope []byte, timer bool) {
		kind := Queue
		if timer {
			kind = Timer
		}
		e, err := decode(envelope, kind)
		if err != nil {
			if !fault.Is(err, fault.BadArgument) {
				t.Errorf("%q: %v", envelope, err)
			}
			return
		}
		if (e.DequeueCount < 1) != timer {
			t.Errorf("%q: dequeue count %d", envelope, e.DequeueCount)
		}
		if timer && len(e.Body) != 0 {
			t.Errorf("%q: a timer with a body", envelope)
		}
		// What a producer sent comes out again, however the host encodes it.
		if json.Valid(e.Body) && len(e.Body) > 0 && e.Body[0] == '{' {
			inner, _ := json.Marshal(string(e.Body))
			outer, _ := json.Marshal(string(inner))
			again, err := decode([]byte(`{"Data":{"m":`+string(outer)+`},"Metadata":{}}`), Queue)
			// Bytes that are no UTF-8 are lost in the first encoding, each by itself.
			if err != nil || string(again.Body) != string([]rune(string(e.Body))) {
				t.Errorf("%q became %q: %v", e.Body, again.Body, err)
			}
		}
	})
}

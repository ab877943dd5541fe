package local

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/storage"
)

func (r *rig) do(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	if err := r.Ready(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL()+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(b)
}

func TestProxy(t *testing.T) {
	r := newRig(t, nil)
	resp, body := r.do("POST", "/X/a%20b/c?z=1&z=2", "hello",
		"X-Forwarded-For", "forged", "X-Forwarded-Host", "forged", "X-Ms-Invocation-Id", "forged", "User-Agent", "mine")
	if resp.StatusCode != http.StatusTeapot || body != "hello" || resp.Header.Get("X-Answer") != "yes" {
		t.Fatalf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	calls := r.calls("/X/a%20b/c")
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	c := calls[0]
	if c.Query != "z=1&z=2" || !strings.HasPrefix(c.Host, "127.0.0.1:") || c.Header.Get("User-Agent") != "mine" {
		t.Errorf("%+v", c)
	}
	if c.Header.Get("X-Forwarded-For") != "127.0.0.1" || c.Header.Get("X-Forwarded-Host") != strings.TrimPrefix(r.URL(), "http://") || c.Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("forwarded: %v", c.Header)
	}
	if id := c.Header.Get("X-Ms-Invocation-Id"); len(id) != 36 || c.Header.Get("X-Azure-Functions-Invocationid") == "" {
		t.Errorf("invocation: %v", c.Header)
	}
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", http.StatusTeapot},
		{"HEAD", "/", http.StatusTeapot},
		{"POST", "/", 404},         // not listed
		{"OPTIONS", "/x/1/2", 404}, // not listed
		{"HEAD", "/x/1/2", 404},    // GET does not imply it
		{"GET", "/x/1", 418},       // the rest may be empty
		{"GET", "/nothing/here", 404},
		{"POST", "/work", 404}, // the host's own path to the handler
		{"POST", "/ticker", 404},
	} {
		if resp, body := r.do(tt.method, tt.path, ""); resp.StatusCode != tt.want || (tt.want == 404 && body != "") {
			t.Errorf("%s %s: %d %q", tt.method, tt.path, resp.StatusCode, body)
		}
	}
	if n := len(r.calls("/work")); n != 0 {
		t.Errorf("an outside request reached /work %d times", n)
	}
}

func TestEnvironment(t *testing.T) {
	r := newRig(t, nil)
	env := strings.Join(r.process.environment(), "\n") + "\n"
	for _, want := range []string{"A_SETTING=a value\n", "FUNCTIONS_CUSTOMHANDLER_PORT=", "FUNCTIONS_HTTPWORKER_PORT=", "FUNCTIONS_APP_ROOT_PATH=" + r.root + "\n", "PATH="} {
		if !strings.Contains(env, want) {
			t.Errorf("no %s in\n%s", want, env)
		}
	}
	if strings.Contains(env, "GOCACHE") {
		t.Error("the host's own environment leaks into the handler")
	}
}

func TestStreaming(t *testing.T) {
	r := newRig(t, nil)
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A chunked upload arrives whole, and the answer comes as it is written.
	pr, pw := io.Pipe()
	go func() {
		for range 3 {
			io.WriteString(pw, strings.Repeat("x", 1000))
			time.Sleep(5 * time.Millisecond)
		}
		pw.Close()
	}()
	resp, err := http.Post(r.URL()+"/x/up", "text/plain", pr)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if len(b) != 3000 {
		t.Errorf("%d bytes came back", len(b))
	}
	resp, err = http.Get(r.URL() + "/x/down?stream=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	lines := 0
	for sc.Scan() {
		lines++
	}
	if lines != 3 {
		t.Errorf("%d lines", lines)
	}
}

// TestResend: a request whose body was not read is sent again with its id when
// the handler dies; one whose body was read is an empty 500.
func TestResend(t *testing.T) {
	r := newRig(t, nil)
	resp, _ := r.do("POST", "/x/start?crash=a", "")
	if resp.StatusCode != http.StatusTeapot {
		t.Errorf("status %d", resp.StatusCode)
	}
	calls := r.calls("/x/start")
	if len(calls) != 2 || calls[0].Pid == calls[1].Pid || calls[0].Header.Get("X-Ms-Invocation-Id") != calls[1].Header.Get("X-Ms-Invocation-Id") {
		t.Errorf("calls: %+v", calls)
	}
	resp, body := r.do("POST", "/x/consumed?crash=b", "a body")
	if resp.StatusCode != 500 || body != "" {
		t.Errorf("consumed: %d %q", resp.StatusCode, body)
	}
	if n := len(r.calls("/x/consumed")); n != 1 {
		t.Errorf("a consumed request was sent %d times", n)
	}
}

func TestBodyLimit(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] = "1000" })
	if resp, body := r.do("POST", "/x/1", strings.Repeat("x", 1001)); resp.StatusCode != 500 || body != "" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, _ := r.do("POST", "/x/1", strings.Repeat("x", 1000)); resp.StatusCode != http.StatusTeapot {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestQueue(t *testing.T) {
	r := newRig(t, nil)
	const text = `{"id":"j1","rows":10,"nested":{"a":1},"arr":[1,2],"dequeuecount":99,"html":"<b>"}`
	send := func(body string) {
		t.Helper()
		if err := r.store.Queues.Send(t.Context(), "work", []byte(body), 0); err != nil {
			t.Fatal(err)
		}
	}
	send(text)
	r.eventually("the message", func() bool { return len(r.calls("/work")) == 1 })
	c := r.calls("/work")[0]
	if c.Method != "POST" || c.Header.Get("X-Azure-Functions-Invocationid") == "" || c.Header.Get("X-Forwarded-Host") != "" || c.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%+v", c)
	}
	var e struct {
		Data     map[string]string
		Metadata map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(c.Body), &e); err != nil {
		t.Fatal(err)
	}
	var inner string
	if err := json.Unmarshal([]byte(e.Data["msg"]), &inner); err != nil || inner != text {
		t.Errorf("data %q, %v", e.Data["msg"], err)
	}
	for name, want := range map[string]string{"id": `"\"j1\""`, "rows": `"\"10\""`, "nested": `{"a":1}`, "dequeuecount": `"\"99\""`, "html": `"\"\u003cb\u003e\""`} {
		if got := string(e.Metadata[name]); got != want {
			t.Errorf("metadata %s = %s, want %s", name, got, want)
		}
	}
	for _, gone := range []string{"Id", "DequeueCount", "arr"} { // shadowed in any case; arrays left out
		if _, ok := e.Metadata[gone]; ok {
			t.Errorf("metadata %s is there", gone)
		}
	}
	r.eventually("the message to be deleted", r.worked)

	for _, body := range []string{"fail once", "plain once", "die once"} {
		before := len(r.calls("/work"))
		send(body)
		r.eventually(body, func() bool { return len(r.calls("/work")) >= before+2 && r.worked() })
		calls := r.calls("/work")[before:]
		if len(calls) != 2 || !strings.Contains(calls[1].Body, `"DequeueCount":"2"`) {
			t.Errorf("%s: %d calls", body, len(calls))
		}
		if died := body == "die once"; died != (calls[0].Pid != calls[1].Pid) {
			t.Errorf("%s: process %d, then %d", body, calls[0].Pid, calls[1].Pid)
		}
	}

	send("always fail")
	r.eventually("poison", func() bool {
		n, err := r.store.Queues.Depth(t.Context(), "work-poison")
		return err == nil && n == 1
	})
	r.eventually("the poisoned message to be gone", r.worked)
	m, err := r.store.Queues.Receive(t.Context(), "work-poison", 1, time.Minute)
	if err != nil || len(m) != 1 || string(m[0].Body) != "always fail" {
		t.Errorf("%v %v", m, err)
	}
}

// TestEmptyAnswer: a call that is answered by nothing hangs until the function's
// time is over, and its message comes to another process.
func TestEmptyAnswer(t *testing.T) {
	r := newRig(t, func(o *Options) { o.FunctionTimeout = 2 * time.Second })
	if err := r.store.Queues.Send(t.Context(), "work", []byte("empty once"), 0); err != nil {
		t.Fatal(err)
	}
	r.eventually("the message to be done", func() bool { return len(r.calls("/work")) >= 2 && r.worked() })
	calls := r.calls("/work") // more than two where the machine is so slow that the second takes as long
	if !strings.Contains(calls[1].Body, `"DequeueCount":"2"`) || calls[0].Pid == calls[1].Pid {
		t.Errorf("process %d, then %d with %s", calls[0].Pid, calls[1].Pid, calls[1].Body)
	}
}

// Settings stand for values of host.json, within what the host takes.
func TestQueueSettings(t *testing.T) {
	for _, tt := range []struct {
		batch, threshold string
		want             layout.Queues
		bad              string
	}{
		{"", "", layout.Queues{BatchSize: 3, NewBatchThreshold: 1}, ""},
		{"1", "12", layout.Queues{BatchSize: 1, NewBatchThreshold: 12}, ""},
		{"", "0", layout.Queues{BatchSize: 3}, ""},
		{"0", "", layout.Queues{}, "batchSize is 0"},
		{"33", "", layout.Queues{}, "from 0 to 32"},
		{"", "many", layout.Queues{}, "newBatchThreshold"},
	} {
		o := Options{Settings: map[string]string{}}
		for name, v := range map[string]string{"batchSize": tt.batch, "newBatchThreshold": tt.threshold} {
			if v != "" {
				o.Settings[QueueSetting+name] = v
			}
		}
		q := layout.Queues{BatchSize: 3, NewBatchThreshold: 1}
		err := o.override(&q)
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%+v: error %v", tt, err)
			}
		} else if err != nil || q != tt.want {
			t.Errorf("%+v: %+v, %v", tt, q, err)
		}
	}
}

// TestRenewal: a message that takes longer than it is hidden is hidden on, and
// deleted by the receipt that it was given last.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &hiding{t: t, until: time.Now().Add(10 * time.Minute), receipt: "r"}
		h := &Host{o: Options{Store: storage.Store{Queues: q}, Hidden: 10 * time.Minute, FunctionTimeout: time.Hour, Log: slog.New(slog.DiscardHandler)}}
		h.process = newProcess(h)
		h.process.ready.set(true)
		h.handler = &http.Client{Transport: answering(func(*http.Request) (*http.Response, error) {
			time.Sleep(32 * time.Minute)
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})}
		h.deliver(t.Context(), layout.Function{Name: "work", Trigger: layout.Binding{Name: "msg", QueueName: "work"}}, storage.Message{ID: "1", Receipt: "r", Body: []byte("slow"), DequeueCount: 1})
		if q.extended != 6 || !q.deleted {
			t.Errorf("hidden on %d times in 32 minutes, deleted: %v", q.extended, q.deleted)
		}
	})
}

// TestSilence: a delivery that gets no answer within the function's time is over
// when the process is that was killed for it: the message would else come to a
// dead one, and lose a try.
func TestSilence(t *testing.T) {
	for name, answer := range map[string]answering{
		"hung": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		},
		"none": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &Host{o: Options{FunctionTimeout: time.Minute, Log: slog.New(slog.DiscardHandler)}, handler: &http.Client{Transport: answer}}
				h.process = newProcess(h)
				h.process.ready.set(true)
				over := make(chan struct{})
				h.process.over = over
				time.AfterFunc(time.Minute+700*time.Millisecond, func() { close(over) })
				begun := time.Now()
				if err := h.invoke(t.Context(), layout.Function{Name: "work"}, []byte("{}")); err == nil {
					t.Error("no error")
				}
				if took := time.Since(begun); took != time.Minute+700*time.Millisecond {
					t.Errorf("over after %v", took)
				}
			})
		})
	}
}

type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hiding is a queue with one message, under way.
type hiding struct {
	storage.Queues
	t        *testing.T
	until    time.Time
	receipt  string
	extended int
	deleted  bool
}

func (q *hiding) own(m storage.Message) {
	if m.Receipt != q.receipt || !time.Now().Before(q.until) {
		q.t.Errorf("at %v with receipt %s: the message has %s and is hidden until %v", time.Now(), m.Receipt, q.receipt, q.until)
	}
}

func (q *hiding) Extend(_ context.Context, _ string, m storage.Message, visibility time.Duration) (storage.Message, error) {
	q.own(m)
	q.extended++
	q.receipt += "+"
	q.until, m.Receipt = time.Now().Add(visibility), q.receipt
	return m, nil
}

func (q *hiding) Delete(_ context.Context, _ string, m storage.Message) error {
	q.own(m)
	q.deleted = true
	return nil
}

func TestTimer(t *testing.T) {
	r := newRig(t, nil)
	r.eventually("two ticks", func() bool { return len(r.calls("/ticker")) >= 2 })
	if c := r.calls("/ticker")[0]; !strings.Contains(c.Body, `"IsPastDue":false`) || c.Header.Get("X-Azure-Functions-Invocationid") == "" {
		t.Errorf("%+v", c)
	}
}

func TestDrop(t *testing.T) {
	r := newRig(t, nil)
	put := func(key, body string) storage.BlobInfo {
		t.Helper()
		b, err := r.store.Drop.Put(t.Context(), key, []byte(body), nil, storage.Condition{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := put("w1/churn/june.csv", "a,b\n1,2\n")
	r.eventually("the event", func() bool { return len(r.calls("/drop")) == 1 })
	var e struct{ Data map[string]string }
	var inner string
	if err := json.Unmarshal([]byte(r.calls("/drop")[0].Body), &e); err != nil {
		t.Fatal(err)
	}
	json.Unmarshal([]byte(e.Data["msg"]), &inner)
	var event struct {
		Subject, EventType, ID string
		Data                   struct {
			ETag, URL     string
			ContentLength int64
		}
	}
	if err := json.Unmarshal([]byte(inner), &event); err != nil {
		t.Fatal(err)
	}
	if event.EventType != "Microsoft.Storage.BlobCreated" || event.Subject != "/blobServices/default/containers/drop/blobs/w1/churn/june.csv" ||
		event.Data.ETag != strings.Trim(b.ETag, `"`) || event.Data.ContentLength != 8 || !strings.HasSuffix(event.Data.URL, "/drop/w1/churn/june.csv") {
		t.Errorf("%+v", event)
	}
	put("w1/churn/june.csv", "a,b\n3,4\n") // another ETag, another event
	r.eventually("the second event", func() bool { return len(r.calls("/drop")) == 2 })

	// A host that starts again knows what it has announced.
	known, err := watcher{r.store.Store}.announcedBefore(t.Context())
	if err != nil || len(known) != 1 {
		t.Errorf("%v %v", known, err)
	}
}

func TestCrashes(t *testing.T) {
	t.Run("three are the end", func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Settings["EXIT"], o.MaxCrashes = "3", 3 })
		err := <-r.done
		r.done <- nil
		if err == nil || !strings.Contains(err.Error(), "3 times") || !strings.Contains(err.Error(), "code 3") {
			t.Error(err)
		}
	})
	t.Run("a handler that does not listen", func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Settings["NEVER_LISTEN"], o.InitTimeout, o.MaxCrashes = "1", 100*time.Millisecond, 3
		})
		err := <-r.done
		r.done <- nil
		if err == nil || !strings.Contains(err.Error(), "3 times") {
			t.Error(err)
		}
	})
	t.Run("killed from outside", func(t *testing.T) {
		r := newRig(t, nil)
		r.do("GET", "/", "")
		pid := r.Pid()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.eventually("another process", func() bool { p := r.Pid(); return p != 0 && p != pid })
		if resp, _ := r.do("GET", "/x/1", ""); resp.StatusCode != http.StatusTeapot {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("code 0 is never started again", func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Settings["EXIT"] = "0" })
		r.eventually("the end", r.process.isGone)
		resp, err := http.Get(r.URL() + "/x/1")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 500 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("the handler dies with the host", func(t *testing.T) {
		r := newRig(t, nil)
		r.do("GET", "/", "")
		pid := r.Pid()
		r.stop()
		<-r.done
		r.done <- nil
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	})
}

func TestFunctionTimeoutKillsTheProcess(t *testing.T) {
	r := newRig(t, func(o *Options) { o.FunctionTimeout = time.Second })
	r.do("GET", "/", "")
	pid := r.Pid()
	if err := r.store.Queues.Send(t.Context(), "work", []byte("slow"), 0); err != nil {
		t.Fatal(err)
	}
	r.eventually("another process", func() bool { p := r.Pid(); return p != 0 && p != pid })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		t.Error(err)
	}
}

// Package lambdatest stands in for the Lambda Runtime API in tests: it hands
// Function URL events to a process and takes its streamed answers.
package lambdatest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Runtime is a Runtime API with one process on its other end.
type Runtime struct {
	srv    *httptest.Server
	events chan event
	n      int
}

type event struct {
	id     string
	body   []byte
	answer chan<- *Answer
}

// Answer is what the process answered to one event.
type Answer struct {
	Status int
	Header map[string]string
	Body   string
	Failed string // the error document of a failed invocation
}

// New starts a Runtime; it ends with the test.
func New(t testing.TB) *Runtime {
	rt := &Runtime{events: make(chan event)}
	waiting := make(chan event, 1) // the invocation under way
	mux := http.NewServeMux()
	const base = "/2018-06-01/runtime/"
	mux.HandleFunc("GET "+base+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-rt.events:
			waiting <- e
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", e.id)
			h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:portico")
			w.Write(e.body) //nolint:errcheck // the process is gone; its test fails elsewhere
		case <-r.Context().Done():
		}
	})
	done := func(w http.ResponseWriter, r *http.Request, parse func([]byte) *Answer) {
		e := <-waiting
		body, err := io.ReadAll(r.Body)
		if err != nil {
			e.answer <- &Answer{Failed: err.Error()}
			return
		}
		w.WriteHeader(http.StatusAccepted)
		e.answer <- parse(body)
	}
	mux.HandleFunc("POST "+base+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { done(w, r, parse) })
	mux.HandleFunc("POST "+base+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		done(w, r, func(b []byte) *Answer { return &Answer{Failed: string(b)} })
	})
	mux.HandleFunc("POST "+base+"init/error", func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		t.Errorf("the process could not start: %s", b)
	})
	rt.srv = httptest.NewServer(mux)
	t.Cleanup(func() { rt.srv.CloseClientConnections(); rt.srv.Close() })
	return rt
}

// Addr is the value for AWS_LAMBDA_RUNTIME_API.
func (rt *Runtime) Addr() string { return strings.TrimPrefix(rt.srv.URL, "http://") }

// Do sends a Function URL request. Its body travels in base64, as AWS sends
// what is not known to be text.
func (rt *Runtime) Do(t testing.TB, method, path, query, body string, header map[string]string) *Answer {
	t.Helper()
	doc, err := json.Marshal(map[string]any{
		"version": "2.0", "rawPath": path, "rawQueryString": query, "headers": header,
		"requestContext": map[string]any{
			"domainName": "abc.lambda-url.eu-west-1.on.aws",
			"http":       map[string]string{"method": method, "path": path, "sourceIp": "203.0.113.7"},
		},
		"body": base64.StdEncoding.EncodeToString([]byte(body)), "isBase64Encoded": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return rt.Raw(t, doc)
}

// Raw sends any event.
func (rt *Runtime) Raw(t testing.TB, body []byte) *Answer {
	t.Helper()
	rt.n++
	answer := make(chan *Answer, 1)
	e := event{id: fmt.Sprintf("00000000-0000-0000-0000-%012d", rt.n), body: body, answer: answer}
	deadline := time.After(time.Minute)
	select {
	case rt.events <- e:
	case <-deadline:
		t.Fatal("the process does not ask for events")
	}
	select {
	case a := <-answer:
		return a
	case <-deadline:
		t.Fatal("the process does not answer")
	}
	return nil
}

// parse reads the streaming form: a JSON prelude, eight zero bytes, the body.
func parse(b []byte) *Answer {
	prelude, body, ok := bytes.Cut(b, make([]byte, 8))
	if !ok {
		return &Answer{Failed: "no prelude: " + string(b)}
	}
	var p struct {
		StatusCode int
		Headers    map[string]string
	}
	if err := json.Unmarshal(prelude, &p); err != nil {
		return &Answer{Failed: err.Error()}
	}
	return &Answer{Status: p.StatusCode, Header: p.Headers, Body: string(body)}
}

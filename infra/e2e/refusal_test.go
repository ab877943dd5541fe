package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// refusal is a call that must be refused, and how.
type refusal struct {
	name    string
	method  string // "" = POST
	path    string
	bearer  string
	body    string
	headers []string // name, value, …

	status int
	class  string
	code   string
	says   []string // in the messages: the place, the rule, the value
}

// errorDocument is the classic answer to a call that failed.
type errorDocument struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Code    string `json:"code"`
			Target  string `json:"target"`
			Message string `json:"message"`
		} `json:"details"`
	} `json:"error"`
}

// refuses makes the calls, a subtest each.
func (s *site) refuses(t *testing.T, all []refusal) {
	t.Helper()
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			resp, body := s.exchange(t, r)
			r.check(t, resp, body)
		})
	}
}

// exchange makes a call.
func (s *site) exchange(t *testing.T, r refusal) (*http.Response, string) {
	t.Helper()
	if r.method == "" {
		r.method = "POST"
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	for h := range slices.Chunk(r.headers, 2) {
		req.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// check holds an answer against what must be refused.
func (r *refusal) check(t *testing.T, resp *http.Response, body string) {
	t.Helper()
	if resp.StatusCode != r.status {
		t.Fatalf("status %d, want %d: %.500s", resp.StatusCode, r.status, body)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", ct)
	}
	if resp.Header.Get("X-Ms-Request-Id") == "" {
		t.Error("the answer has no request id")
	}
	var doc errorDocument
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil || len(doc.Error.Details) == 0 || doc.Error.Message == "" {
		t.Fatalf("no classic error document (%v): %s", err, body)
	}
	if doc.Error.Code != r.class || doc.Error.Details[0].Code != r.code {
		t.Errorf("%s/%s, want %s/%s: %s", doc.Error.Code, doc.Error.Details[0].Code, r.class, r.code, body)
	}
	message := doc.Error.Details[0].Message
	for _, text := range r.says {
		if !strings.Contains(message, text) {
			t.Errorf("the message does not say %q: %s", text, message)
		}
	}
	if r.bearer != "" && strings.Contains(body, r.bearer) {
		t.Errorf("the answer repeats the secret: %s", body)
	}
}

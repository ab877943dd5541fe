// Package scripttest lets the requests of a test script (cespare/webtest) refer
// to what earlier answers said.
package scripttest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// New wraps h for one script. In the URL, headers and body of a request $name
// stands for the value that known gives the name, and for what was noted: a
// request with the header Save-As: x notes the text members of its answer as
// $x.member, and its id, or the answer itself where that is a text, as $x. An
// answer to a request with the header Show: x has these values in it by their
// names.
func New(t testing.TB, h http.Handler, known map[string]string) http.Handler {
	return &script{t: t, h: h, saved: maps.Clone(known)}
}

type script struct {
	t     testing.TB
	h     http.Handler
	saved map[string]string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = s.expand(r.URL.Path), "", s.expand(r.URL.RawQuery)
	for _, v := range r.Header {
		for i := range v {
			v[i] = s.expand(v[i])
		}
	}
	if r.Body != nil { // webtest sends GETs without one
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Error(err)
		}
		text := s.expand(string(body))
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
	rec := httptest.NewRecorder()
	s.h.ServeHTTP(rec, r)
	if name := r.Header.Get("Save-As"); name != "" {
		s.note(name, rec.Body.Bytes())
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	io.WriteString(w, s.show(rec.Body.String(), r.Header.Get("Show")))
}

func (s *script) note(name string, answer []byte) {
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		s.t.Errorf("save as %s: %v in %s", name, err, answer)
	}
	if text, ok := v.(string); ok {
		s.saved[name] = text
	}
	members, _ := v.(map[string]any)
	for key, value := range members {
		if text, ok := value.(string); ok {
			s.saved[name+"."+key] = text
			if strings.EqualFold(key, "id") {
				s.saved[name] = text
			}
		}
	}
}

// show names the members noted of an answer, where they are long enough to be
// known again.
func (s *script) show(text, of string) string {
	for name, value := range s.saved {
		if prefix, _, member := strings.Cut(name, "."); member && prefix == of && len(value) >= 32 {
			text = strings.ReplaceAll(text, `"`+value+`"`, `"$`+name+`"`)
		}
	}
	return text
}

var reference = regexp.MustCompile(`\$([a-z0-9]+)(\.[A-Za-z]+)?`)

// expand leaves what looks like a reference and is none as it is.
func (s *script) expand(text string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		if v, ok := s.saved[m[1]+m[2]]; ok {
			return v
		}
		if v, ok := s.saved[m[1]]; ok {
			return v + m[2]
		}
		return ref
	})
}

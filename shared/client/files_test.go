package client

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// blobServer takes blocks, and loses every second answer.
type blobServer struct {
	mu     sync.Mutex
	blocks map[string][]byte
	blob   []byte
	calls  int
	lossy  bool
}

func (b *blobServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	q := r.URL.Query()
	switch {
	case err != nil || q.Get("sig") != "s" || r.Method != http.MethodPut:
		w.WriteHeader(400)
		return
	case q.Get("comp") == "block":
		b.blocks[q.Get("blockid")] = body
	case q.Get("comp") == "blocklist":
		var list struct{ Latest []string }
		if err := xml.Unmarshal(body, &list); err != nil {
			w.WriteHeader(400)
			return
		}
		b.blob = nil
		for _, id := range list.Latest {
			b.blob = append(b.blob, b.blocks[id]...)
		}
	case r.Header.Get("x-ms-blob-type") == "BlockBlob":
		b.blob = body
	default:
		w.WriteHeader(400)
		return
	}
	if b.lossy && b.calls%2 == 1 {
		hangUp(w)
		return
	}
	w.WriteHeader(201)
}

func TestUpload(t *testing.T) {
	for _, size := range []int{0, 1, wholeBytes, wholeBytes + 1, 3*blockBytes + 17} {
		content := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		b := &blobServer{blocks: map[string][]byte{}, lossy: true}
		c, _ := serve(t, time.Minute, b.ServeHTTP)
		c.sleep = sleep // blocks sleep at once
		var last int64
		err := c.Upload(t.Context(), c.base+"/f?sig=s", bytes.NewReader(content), int64(size), func(n int64) {
			if n < last {
				t.Errorf("%d bytes arrived after %d", n, last)
			}
			last = n
		})
		b.mu.Lock()
		if err != nil || !bytes.Equal(b.blob, content) || last != int64(size) {
			t.Errorf("%d bytes: %d arrived, %d told, %v", size, len(b.blob), last, err)
		}
		b.mu.Unlock()
	}
}

func TestUploadRefused(t *testing.T) {
	c, _ := serve(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", "AuthenticationFailed")
		w.WriteHeader(403)
	})
	for _, size := range []int64{1, 2 * wholeBytes} {
		err := c.Upload(t.Context(), c.base+"/f?sig=s", bytes.NewReader(make([]byte, size)), size, nil)
		if !HasStatus(err, 403) || !strings.Contains(err.Error(), "AuthenticationFailed") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestDownload(t *testing.T) {
	content := strings.Repeat("a line of text\n", 100_000)
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, n int) // of call n, from 1
		want   string                                              // of the error
	}{
		"whole": {answer: func(w http.ResponseWriter, _ *http.Request, _ int) { io.WriteString(w, content) }},
		"breaks twice": {answer: func(w http.ResponseWriter, r *http.Request, n int) {
			from := begin(r)
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
			if from > 0 {
				if r.Header.Get("If-Match") != `"1"` {
					w.WriteHeader(412)
					return
				}
				w.WriteHeader(206)
			}
			if n < 3 {
				io.WriteString(w, content[from:from+300_000])
				return
			}
			io.WriteString(w, content[from:])
		}},
		"another file": {want: "412", answer: func(w http.ResponseWriter, r *http.Request, _ int) {
			if begin(r) > 0 {
				w.WriteHeader(412)
				return
			}
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			io.WriteString(w, content[:500_000])
		}},
		"without ranges": {want: "does not take a download up", answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			io.WriteString(w, content[:500_000])
		}},
		"of an unknown length, broken": {want: "broke off", answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			io.WriteString(w, content[:500_000])
			http.NewResponseController(w).Flush()
			hangUp(w)
		}},
		"gone": {want: "404", answer: func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(404) }},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			c, _ := serve(t, time.Minute, func(w http.ResponseWriter, r *http.Request) { n++; tt.answer(w, r, n) })
			var got strings.Builder
			err := c.Download(t.Context(), c.base+"/f?sig=s", &got, nil)
			switch {
			case tt.want == "" && (err != nil || got.String() != content):
				t.Errorf("%d of %d bytes, %v", got.Len(), len(content), err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// begin is where a request's range begins.
func begin(r *http.Request) int {
	text, _ := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	n, _ := strconv.Atoi(strings.TrimSuffix(text, "-"))
	return n
}

type fullDisk struct{}

var errFull = errors.New("the disk is full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestDownloadTo(t *testing.T) {
	c, _ := serve(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") })
	if err := c.Download(t.Context(), c.base+"/f?sig=s", fullDisk{}, nil); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

func TestSize(t *testing.T) {
	status := 200
	c, _ := serve(t, 0, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "7")
		w.WriteHeader(status)
	})
	if n, ok, err := c.Size(t.Context(), c.base+"/f?s"); n != 7 || !ok || err != nil {
		t.Errorf("%d, %v, %v", n, ok, err)
	}
	status = 404
	if _, ok, err := c.Size(t.Context(), c.base+"/f?s"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
	status = 403
	if _, _, err := c.Size(t.Context(), c.base+"/f?s"); err == nil {
		t.Error("refused is not absent")
	}
}

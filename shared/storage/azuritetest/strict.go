package azuritetest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Strict returns the addresses of a proxy in front of a that refuses what Azure
// refuses and Azurite takes:
//
//   - an empty Put Block: 400;
//   - a transaction over two partitions, or of more than 4 MiB: 400, 413;
//   - block ids of different lengths in one blob: 400;
//   - Put Block List and Get Block List after a Put Blob, which drops the
//     uncommitted blocks, as though those were still there;
//   - Delete Blob of a blob that has only uncommitted blocks: 404.
//
// All writes must go through it: it knows what it saw.
func Strict(t testing.TB, a Azurite) Azurite {
	t.Helper()
	return Azurite{
		Blob:  serve(t, a.Blob, (&strictBlobs{blobs: make(map[string]*blobState)}).handler),
		Queue: serve(t, a.Queue, func(next http.Handler) http.Handler { return next }),
		Table: serve(t, a.Table, strictTables),
	}
}

// Cut returns the addresses of a proxy in front of a that asks fail before each
// request whether to break the connection, and when: before the request
// reaches Azurite, or after, when the answer is lost.
func Cut(t testing.TB, a Azurite, fail func(r *http.Request) (before, after bool)) Azurite {
	t.Helper()
	handler := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			before, after := fail(r)
			if before {
				panic(http.ErrAbortHandler)
			}
			if after {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	}
	return Azurite{Blob: serve(t, a.Blob, handler), Queue: serve(t, a.Queue, handler), Table: serve(t, a.Table, handler)}
}

func serve(t testing.TB, target string, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	account := u.Path
	u.Path = ""
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	srv := httptest.NewServer(wrap(proxy))
	t.Cleanup(srv.Close)
	return srv.URL + account
}

// refuse answers as the service does.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("x-ms-error-code", code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code><Message>refused by the strict proxy</Message></Error>", code)
}

// buffered reads the body and puts it back.
func buffered(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

type blobState struct {
	exists bool
	blocks map[string]bool // uncommitted ids; false: dropped by a Put Blob
}

func (b *blobState) uncommitted() int {
	n := 0
	for _, live := range b.blocks {
		if live {
			n++
		}
	}
	return n
}

// drop forgets the uncommitted blocks, which Azurite may keep.
func (b *blobState) drop() {
	for id := range b.blocks {
		b.blocks[id] = false
	}
}

type strictBlobs struct {
	mu    sync.Mutex
	blobs map[string]*blobState
}

func (s *strictBlobs) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodPut && q.Get("comp") == "block":
			s.putBlock(w, r, next, q.Get("blockid"))
		case r.Method == http.MethodPut && q.Get("comp") == "blocklist":
			s.putBlockList(w, r, next)
		case r.Method == http.MethodGet && q.Get("comp") == "blocklist":
			s.getBlockList(w, r, next)
		case r.Method == http.MethodPut && q.Get("comp") == "" && r.Header.Get("x-ms-blob-type") != "":
			s.putBlob(w, r, next)
		case r.Method == http.MethodDelete && q.Get("restype") == "":
			s.deleteBlob(w, r, next)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// update runs fn on the state of the blob addressed.
func (s *strictBlobs) update(r *http.Request, fn func(*blobState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[r.URL.Path]
	if b == nil {
		b = &blobState{blocks: make(map[string]bool)}
		s.blobs[r.URL.Path] = b
	}
	fn(b)
}

// pass forwards the request and reports whether it succeeded.
func pass(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
	rec := &recorder{ResponseWriter: w}
	next.ServeHTTP(rec, r)
	return rec.status/100 == 2
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) { r.status = status; r.ResponseWriter.WriteHeader(status) }

func (r *recorder) Unwrap() http.ResponseWriter {
	return r.ResponseWriter
}

func (s *strictBlobs) putBlock(w http.ResponseWriter, r *http.Request, next http.Handler, id string) {
	if r.ContentLength == 0 {
		refuse(w, http.StatusBadRequest, "InvalidHeaderValue")
		return
	}
	mixed := false
	s.update(r, func(b *blobState) {
		for other, live := range b.blocks {
			mixed = mixed || live && len(other) != len(id)
		}
	})
	if _, err := base64.StdEncoding.DecodeString(id); err != nil || mixed {
		refuse(w, http.StatusBadRequest, "InvalidBlobOrBlock")
		return
	}
	if pass(w, r, next) {
		s.update(r, func(b *blobState) { b.blocks[id] = true })
	}
}

var blockID = regexp.MustCompile(`<(Uncommitted|Latest)>([^<]*)</`)

func (s *strictBlobs) putBlockList(w http.ResponseWriter, r *http.Request, next http.Handler) {
	gone := false
	body := buffered(r)
	s.update(r, func(b *blobState) {
		for _, m := range blockID.FindAllSubmatch(body, -1) {
			if live, known := b.blocks[string(m[2])]; known && !live {
				gone = true
			}
		}
	})
	if gone {
		refuse(w, http.StatusBadRequest, "InvalidBlockList")
		return
	}
	if pass(w, r, next) {
		s.update(r, func(b *blobState) { b.exists = true; clear(b.blocks) })
	}
}

var uncommittedBlock = regexp.MustCompile(`<Block><Name>([^<]*)</Name><Size>[0-9]+</Size></Block>`)

func (s *strictBlobs) getBlockList(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	if before, after, ok := bytes.Cut(body, []byte("<UncommittedBlocks>")); ok {
		s.update(r, func(b *blobState) {
			after = uncommittedBlock.ReplaceAllFunc(after, func(block []byte) []byte {
				if live, known := b.blocks[string(uncommittedBlock.FindSubmatch(block)[1])]; known && !live {
					return nil
				}
				return block
			})
		})
		body = bytes.Join([][]byte{before, after}, []byte("<UncommittedBlocks>"))
	}
	for k, v := range rec.Header() {
		if k != "Content-Length" {
			w.Header()[k] = v
		}
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

func (s *strictBlobs) putBlob(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if pass(w, r, next) {
		s.update(r, func(b *blobState) { b.exists = true; b.drop() })
	}
}

func (s *strictBlobs) deleteBlob(w http.ResponseWriter, r *http.Request, next http.Handler) {
	missing := false
	s.update(r, func(b *blobState) { missing = !b.exists && b.uncommitted() > 0 })
	if missing {
		refuse(w, http.StatusNotFound, "BlobNotFound")
		return
	}
	if pass(w, r, next) {
		s.update(r, func(b *blobState) { b.exists = false; b.drop() })
	}
}

var partitions = regexp.MustCompile(`PartitionKey='([^']*)'|"PartitionKey":"([^"]*)"`)

func strictTables(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/$batch") {
			body := buffered(r)
			if len(body) > 4<<20 {
				refuse(w, http.StatusRequestEntityTooLarge, "RequestBodyTooLarge")
				return
			}
			seen := make(map[string]bool)
			for _, m := range partitions.FindAllSubmatch(body, -1) {
				seen[string(m[1])+string(m[2])] = true
			}
			if len(seen) > 1 {
				refuse(w, http.StatusBadRequest, "CommandsInBatchActOnDifferentPartitions")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

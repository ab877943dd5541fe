package blobs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/functions/blobs"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/links"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

type fixture struct {
	dir    string
	store  storage.Store
	signer *links.Signer
	router *web.Router
	server *httptest.Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir()}
	f.signer = &links.Signer{
		Base:    func() string { return f.server.URL },
		Secrets: func(context.Context) ([][]byte, error) { return [][]byte{[]byte("secret")}, nil },
	}
	st, err := sqlite.Open(f.dir, sqlite.Options{Sign: f.signer.Sign})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	f.store = st.Store
	f.router = web.NewRouter(web.Options{})
	blobs.New(f.store, f.signer.Verify).Register(f.router)
	f.server = httptest.NewServer(f.router)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fixture) put(t *testing.T, key, body string) storage.BlobInfo {
	t.Helper()
	info, err := f.store.Blobs.Put(t.Context(), key, []byte(body), map[string]string{"portico_job": "j1"}, storage.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func (f *fixture) link(t *testing.T, key, perm string) string {
	t.Helper()
	sign := f.store.Blobs.SignRead
	if perm == links.Write {
		sign = f.store.Blobs.SignWrite
	}
	u, err := sign(t.Context(), key, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// The links in the scripts end in 2099 and were signed with the secret
// "secret".
func TestScripts(t *testing.T) {
	f := newFixture(t)
	f.put(t, "w1/a.csv", "0123456789")
	f.put(t, "w1/page.html", "<script>")
	f.put(t, "w1/empty", "")
	webtest.TestHandler(t, "testdata/*.txt", f.router)
}

func do(t *testing.T, method, link, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestRanges(t *testing.T) {
	f := newFixture(t)
	f.put(t, "w1/a", "0123456789")
	f.put(t, "w1/empty", "")
	for _, tt := range []struct {
		key, header, value, want, content string
		status                            int
	}{
		{"a", "", "", "0123456789", "", 200},
		{"a", "Range", "bytes=0-0", "0", "bytes 0-0/10", 206},
		{"a", "Range", "bytes=3-6", "3456", "bytes 3-6/10", 206},
		{"a", "x-ms-range", "bytes=3-6", "3456", "bytes 3-6/10", 206},
		{"a", "Range", "bytes=7-", "789", "bytes 7-9/10", 206},
		{"a", "Range", "bytes=7-99", "789", "bytes 7-9/10", 206},
		{"a", "Range", "bytes=-3", "789", "bytes 7-9/10", 206},
		{"a", "Range", "bytes=-99", "0123456789", "bytes 0-9/10", 206},
		{"a", "Range", "bytes=10-", "", "bytes */10", 416},
		{"a", "Range", "bytes=99-100", "", "bytes */10", 416},
		{"a", "Range", "bytes=-0", "", "bytes */10", 416},
		{"a", "Range", "bytes=6-3", "0123456789", "", 200},
		{"a", "Range", "bytes=x-3", "0123456789", "", 200},
		{"a", "Range", "bytes=1-2,4-5", "0123456789", "", 200},
		{"a", "Range", "rows=1-2", "0123456789", "", 200},
		{"a", "Range", "bytes=99999999999999999999-", "0123456789", "", 200},
		{"empty", "", "", "", "", 200},
		{"empty", "Range", "bytes=0-0", "", "bytes */0", 416},
	} {
		header := []string{}
		if tt.header != "" {
			header = append(header, tt.header, tt.value)
		}
		resp, body := do(t, "GET", f.link(t, "w1/"+tt.key, links.Read), "", header...)
		if resp.StatusCode != tt.status || body != tt.want || resp.Header.Get("Content-Range") != tt.content {
			t.Errorf("%s %s %q: %d %q %q; want %d %q %q", tt.key, tt.header, tt.value,
				resp.StatusCode, body, resp.Header.Get("Content-Range"), tt.status, tt.want, tt.content)
		}
	}
}

func TestLinksAllowWhatTheySay(t *testing.T) {
	f := newFixture(t)
	f.put(t, "w1/a", "mine")
	f.put(t, "w1/b", "other")
	read, write := f.link(t, "w1/a", links.Read), f.link(t, "w1/a", links.Write)
	expired, err := f.signer.Sign(t.Context(), storage.Container, "w1/a", links.Read, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, link string
		status       int
		code         string
	}{
		"read":                   {"GET", read, 200, ""},
		"head":                   {"HEAD", read, 200, ""},
		"read by a write link":   {"GET", write, 403, "AuthorizationPermissionMismatch"},
		"write by a read link":   {"PUT", read, 403, "AuthorizationPermissionMismatch"},
		"another blob":           {"GET", strings.Replace(read, "w1/a", "w1/b", 1), 403, "AuthenticationFailed"},
		"another container":      {"GET", strings.Replace(read, "/portico/", "/drop/", 1), 403, "AuthenticationFailed"},
		"expired":                {"GET", expired.String(), 403, "AuthenticationFailed"},
		"prolonged":              {"GET", strings.Replace(expired.String(), "se=20", "se=21", 1), 403, "AuthenticationFailed"},
		"more than was signed":   {"PUT", strings.Replace(read, "sp=r", "sp=w", 1), 403, "AuthenticationFailed"},
		"no signature":           {"GET", read[:strings.Index(read, "?")], 403, "AuthenticationFailed"},
		"an empty signature":     {"GET", read[:strings.Index(read, "sig=")] + "sig=", 403, "AuthenticationFailed"},
		"a method of no use":     {"DELETE", write, 404, ""},
		"a copy is not offered":  {"PUT", write + "&comp=copy", 400, "InvalidQueryParameterValue"},
		"no page blobs":          {"PUT", write, 201, ""},
		"lists are not offered":  {"GET", read + "&comp=list", 400, "InvalidQueryParameterValue"},
		"a block without an id":  {"PUT", write + "&comp=block", 400, "InvalidBlockId"},
		"an empty block":         {"PUT", write + "&comp=block&blockid=YQ%3D%3D", 400, "InvalidInput"},
		"a list that is not XML": {"PUT", write + "&comp=blocklist", 400, "InvalidXmlDocument"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, _ := do(t, tt.method, tt.link, "")
			if resp.StatusCode != tt.status || resp.Header.Get("x-ms-error-code") != tt.code {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, resp.Header.Get("x-ms-error-code"), tt.status, tt.code)
			}
		})
	}
}

func TestWritesAreChecked(t *testing.T) {
	f := newFixture(t)
	link := f.link(t, "w1/a", links.Write)
	for name, tt := range map[string]struct {
		header []string
		status int
		code   string
	}{
		"md5":            {[]string{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}, 201, ""},
		"wrong md5":      {[]string{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkQ=="}, 400, "Md5Mismatch"},
		"wrong crc":      {[]string{"x-ms-content-crc64", "AAAAAAAAAAA="}, 400, "Crc64Mismatch"},
		"append blob":    {[]string{"x-ms-blob-type", "AppendBlob"}, 400, "InvalidHeaderValue"},
		"by time":        {[]string{"If-Unmodified-Since", "Mon, 23 Nov 2026 00:00:00 GMT"}, 400, "ConditionHeadersNotSupported"},
		"if none match":  {[]string{"If-None-Match", `"0x1"`}, 400, "InvalidHeaderValue"},
		"if match other": {[]string{"If-Match", `"0x1"`}, 412, "ConditionNotMet"},
		"bad metadata":   {[]string{"x-ms-meta-a-b", "v"}, 400, "InvalidInput"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := do(t, "PUT", link, "hello", tt.header...)
			if resp.StatusCode != tt.status || resp.Header.Get("x-ms-error-code") != tt.code {
				t.Errorf("%d %s, want %d %s: %s", resp.StatusCode, resp.Header.Get("x-ms-error-code"), tt.status, tt.code, body)
			}
		})
	}
}

// The SDK that batch clients use takes a link as a blob address and as a
// connection string.
func TestAzureSDK(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, f *fixture, key, perm string) *blockblob.Client{
		"blob address": func(t *testing.T, f *fixture, key, perm string) *blockblob.Client {
			c, err := blockblob.NewClientWithNoCredential(f.link(t, key, perm), &blockblob.ClientOptions{ClientOptions: once})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		"connection string": func(t *testing.T, f *fixture, key, perm string) *blockblob.Client {
			_, query, _ := strings.Cut(f.link(t, key, perm), "?")
			conn := "BlobEndpoint=" + f.server.URL + "/blobs;SharedAccessSignature=" + query
			c, err := azblob.NewClientFromConnectionString(conn, &azblob.ClientOptions{ClientOptions: once})
			if err != nil {
				t.Fatal(err)
			}
			return c.ServiceClient().NewContainerClient(storage.Container).NewBlockBlobClient(key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			const key = "w1/uploads/customers may.csv"
			testSDK(t, func(perm string) *blockblob.Client { return open(t, f, strings.ReplaceAll(key, " ", "_"), perm) })
		})
	}
}

// once keeps the SDK from trying again what is meant to fail.
var once = azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}

func testSDK(t *testing.T, open func(perm string) *blockblob.Client) {
	ctx := t.Context()
	w, r := open(links.Write), open(links.Read)

	_, err := r.GetProperties(ctx, nil)
	if !bloberror.HasCode(err, bloberror.BlobNotFound) {
		t.Errorf("properties of nothing: %v", err)
	}
	value := "v"
	absent := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: new(azcore.ETagAny)}}
	up, err := w.UploadBuffer(ctx, []byte("0123456789"), &blockblob.UploadBufferOptions{
		Metadata:                map[string]*string{"Portico_Job": &value},
		AccessConditions:        absent,
		TransactionalValidation: blob.TransferValidationTypeComputeCRC64(),
	})
	if err != nil {
		t.Fatalf("put blob: %v", err)
	}
	if _, err = w.UploadBuffer(ctx, []byte("x"), &blockblob.UploadBufferOptions{AccessConditions: absent}); !bloberror.HasCode(err, bloberror.BlobAlreadyExists) {
		t.Errorf("put if absent: %v", err)
	}
	props, err := r.GetProperties(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *props.ContentLength != 10 || *props.ETag != *up.ETag || *props.Metadata["Portico_job"] != "v" || *props.BlobType != blob.BlobTypeBlockBlob {
		t.Errorf("properties %+v", props)
	}
	part, err := r.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: 3, Count: 4}})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(part.NewRetryReader(ctx, nil))
	if err != nil || string(body) != "3456" || *part.ContentRange != "bytes 3-6/10" {
		t.Errorf("range %q %v %v", body, part.ContentRange, err)
	}
	_, err = r.DownloadStream(ctx, &blob.DownloadStreamOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: new(azcore.ETag(`"0x1"`))}}})
	if e, ok := errors.AsType[*azcore.ResponseError](err); !ok || e.StatusCode != 412 {
		t.Errorf("get if match: %v", err)
	}

	// A stream of several blocks, as large files go up.
	large := bytes.Repeat([]byte("a month of customers\n"), 200_000)
	if _, err := w.UploadStream(ctx, bytes.NewReader(large), &blockblob.UploadStreamOptions{BlockSize: 1 << 20, Concurrency: 3}); err != nil {
		t.Fatalf("upload stream: %v", err)
	}
	got := make([]byte, len(large))
	if n, err := r.BlobClient().DownloadBuffer(ctx, got, &blob.DownloadBufferOptions{BlockSize: 1 << 20}); err != nil || n != int64(len(large)) || !bytes.Equal(got, large) {
		t.Errorf("download of %d bytes: %d, %v", len(large), n, err)
	}
	// Ids of another length than 16, as other SDKs make them.
	if _, err := w.StageBlock(ctx, "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAx", bodyOf("two blocks, "), nil); err != nil {
		t.Fatalf("put block: %v", err)
	}
	if _, err := w.StageBlock(ctx, "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAy", bodyOf("in order"), nil); err != nil {
		t.Fatalf("put block: %v", err)
	}
	if _, err := w.CommitBlockList(ctx, []string{"MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAx", "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAy"}, nil); err != nil {
		t.Fatalf("put block list: %v", err)
	}
	whole, err := r.DownloadStream(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err = io.ReadAll(whole.Body); err != nil || string(body) != "two blocks, in order" {
		t.Errorf("%q %v", body, err)
	}
	if _, err := w.CommitBlockList(ctx, []string{"YWJzZW50"}, nil); !bloberror.HasCode(err, bloberror.InvalidBlockList) {
		t.Errorf("commit of an absent block: %v", err)
	}
	if _, err := r.UploadBuffer(ctx, []byte("x"), nil); !bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) {
		t.Errorf("write by a read link: %v", err)
	}
}

func bodyOf(s string) io.ReadSeekCloser { return nopCloser{strings.NewReader(s)} }

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// What the disk has made of a result is not downloaded as if it were that
// result: not even its first bytes, and of a long one not its last.
func TestDamagedBlob(t *testing.T) {
	f := newFixture(t)
	for name, size := range map[string]int{"short": 1000, "long": 1 << 20} {
		body := bytes.Repeat([]byte("0123456789"), size/10)
		f.put(t, "w/"+name, string(body))
		damage(t, f.dir, body)
		resp, err := http.Get(f.link(t, "w/"+name, links.Read))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch name {
		case "short":
			if resp.StatusCode != 500 || err != nil || !strings.Contains(string(got), "StorageDamaged") {
				t.Errorf("%s: status %d, %s, %v", name, resp.StatusCode, got, err)
			}
		default:
			if resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(body, got) {
				t.Errorf("%s: status %d, %d bytes, %v", name, resp.StatusCode, len(got), err)
			}
		}
	}
}

// damage changes the last byte of the file that holds body.
func damage(t *testing.T, dir string, body []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "files", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, body) {
			was[len(was)-1] ^= 1
			if err := os.WriteFile(path, was, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no file holds the bytes")
}

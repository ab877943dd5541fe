package blob

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// place is a container of blobs under test: of a real Blob service, and of our
// own store.
type place struct {
	name string
	open func(t *testing.T, name string) *Blob
	put  func(t *testing.T, name, body string)
}

func places(t *testing.T) []place {
	ours, err := sqlite.Open(t.TempDir(), sqlite.Options{Sign: func(_ context.Context, c, key, perm string, _ time.Time) (storage.SignedURL, error) {
		return storage.SignedURL{Base: "https://own.example/blobs/", Path: c + "/" + key, Query: "?sp=" + perm + "&sig=x"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	c := New(Config{Own: func(_ context.Context, u *url.URL, _ bool) (storage.Blobs, string, bool, error) {
		return ours.Blobs, strings.TrimPrefix(u.Path, "/blobs/portico/"), u.Host == "own.example", nil
	}})
	return []place{
		{
			"own",
			func(t *testing.T, name string) *Blob {
				b, err := c.Open(t.Context(), Reference{BaseLocation: "https://own.example/blobs/", RelativeLocation: "portico/" + name, SasBlobToken: "?sp=w&sig=x"}, true)
				if err != nil {
					t.Fatal(err)
				}
				return b
			},
			func(t *testing.T, name, body string) {
				if _, err := ours.Blobs.Put(t.Context(), name, []byte(body), nil, storage.Condition{}); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			"azurite", func(t *testing.T, name string) *Blob { return azuriteBlob(t, name) },
			func(t *testing.T, name, body string) {
				if err := azuriteBlob(t, name).Write(t.Context(), content(body), nil, storage.Condition{}); err != nil {
					t.Fatal(err)
				}
			},
		},
	}
}

func azuriteRef(t *testing.T, name string) Reference {
	a := azuritetest.Shared(t)
	c, err := container.NewClientFromConnectionString(a.ConnectionString(), "callers", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Create(t.Context(), nil) // or it is there
	t.Cleanup(func() { c.Delete(context.Background(), nil) })
	return Reference{ConnectionString: a.ConnectionString(), RelativeLocation: "callers/" + name}
}

func azuriteBlob(t *testing.T, name string) *Blob {
	c := New(Config{Transport: http.DefaultTransport})
	c.sizes = sizes{whole: 1 << 20, block: 4 << 20}
	b, err := c.Open(t.Context(), azuriteRef(t, name), true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func content(body string) Content {
	return Content{
		Size: int64(len(body)),
		Open: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(body[off : off+n])), nil
		},
		Block: func(n int) (id storage.PartID) { binary.BigEndian.PutUint64(id[8:], uint64(n)); return id },
	}
}

func read(t *testing.T, b *Blob, etag string, off, n int64) (string, error) {
	t.Helper()
	r, err := b.Read(t.Context(), etag, off, n)
	if err != nil {
		return "", err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return string(body), err
}

func TestBlob(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			ctx := t.Context()
			b := p.open(t, "a.csv")
			if _, err := b.Head(ctx); !fault.HasCode(err, CodeNotFound) || !fault.Is(err, fault.NotFound) {
				t.Errorf("head of what is not there: %v", err)
			}
			p.put(t, "a.csv", "0123456789")
			info, err := b.Head(ctx)
			if err != nil || info.Size != 10 || info.ETag == "" {
				t.Fatalf("head: %+v, %v", info, err)
			}
			if got, err := read(t, b, info.ETag, 3, 4); err != nil || got != "3456" {
				t.Errorf("range: %q, %v", got, err)
			}
			p.put(t, "a.csv", "changed")
			if _, err := read(t, b, info.ETag, 0, 4); !fault.HasCode(err, storage.CodeCondition) {
				t.Errorf("read of a changed blob: %v", err)
			}

			meta := map[string]string{"portico_job": "j1"}
			w := p.open(t, "out/b.csv")
			if err := w.Write(ctx, content("small"), meta, storage.Condition{IfAbsent: true}); err != nil {
				t.Fatal(err)
			}
			if err := w.Write(ctx, content("other"), meta, storage.Condition{IfAbsent: true}); !fault.Is(err, fault.Conflict) {
				t.Errorf("write over what is there: %v", err)
			}
			info, err = w.Head(ctx)
			if err != nil || info.Meta["portico_job"] != "j1" {
				t.Fatalf("head: %+v, %v", info, err)
			}
			large := strings.Repeat("0123456789", 1_000_000) // above every size of a single request here
			if err := w.Write(ctx, content(large), meta, storage.Condition{IfMatch: info.ETag}); err != nil {
				t.Fatal(err)
			}
			if err := w.Write(ctx, content(large), meta, storage.Condition{IfMatch: info.ETag}); !fault.Is(err, fault.Conflict) {
				t.Errorf("write of large content over a newer version: %v", err)
			}
			info, err = w.Head(ctx)
			if err != nil || info.Size != int64(len(large)) || info.Meta["portico_job"] != "j1" {
				t.Fatalf("head: %+v, %v", info, err)
			}
			if got, err := read(t, w, info.ETag, 0, info.Size); err != nil || got != large {
				t.Errorf("%d bytes read back, %v", len(got), err)
			}
			if err := w.Write(ctx, content(""), meta, storage.Condition{}); err != nil {
				t.Errorf("empty content: %v", err)
			}
		})
	}
}

// A large write that died goes on with the blocks that are there.
func TestBlob_resume(t *testing.T) {
	b := azuriteBlob(t, "resume.csv")
	b.sizes = sizes{whole: 100, block: 64}
	body := strings.Repeat("x", 64) + strings.Repeat("y", 64) + "z"
	c := content(body)
	inner := c.Open
	last := make(chan struct{}, 10)
	c.Open = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		switch off {
		case 64: // when the last one is on its way already
			<-last
			last <- struct{}{}
			return nil, fault.New(fault.Unavailable, "", "the store is down")
		case 128:
			last <- struct{}{}
		}
		return inner(ctx, off, n)
	}
	if err := b.Write(t.Context(), c, nil, storage.Condition{}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the write went through: %v", err)
	}
	var offsets []int64
	c.Open = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		offsets = append(offsets, off)
		return inner(ctx, off, n)
	}
	if err := b.Write(t.Context(), c, nil, storage.Condition{IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(offsets) != "[64]" {
		t.Errorf("written again from %v", offsets)
	}
	info, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, b, info.ETag, 0, info.Size); err != nil || got != body {
		t.Errorf("%q, %v", got, err)
	}
}

// The link of a result reads, and does nothing else.
// What is damaged where it is read from is not written, in one request or in
// blocks, and the error is the one of the reading.
func TestBlob_damaged(t *testing.T) {
	for _, p := range places(t) {
		for name, size := range map[string]int{"small.csv": 1000, "large.csv": 9 << 20} { // of both: in blocks
			t.Run(p.name+"/"+name, func(t *testing.T) {
				c := content(strings.Repeat("x", size))
				whole := c.Open
				c.Open = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
					r, err := whole(ctx, off, n/2)
					return struct {
						io.Reader
						io.Closer
					}{io.MultiReader(r, iotest.ErrReader(fault.New(fault.Damaged, "", "blob output1 is damaged"))), r}, err
				}
				b := p.open(t, name)
				err := b.Write(t.Context(), c, nil, storage.Condition{})
				if !fault.Is(err, fault.Damaged) || fault.Of(err).Msg != "blob output1 is damaged" {
					t.Errorf("err = %v", err)
				}
				if _, err := b.Head(t.Context()); !fault.Is(err, fault.NotFound) {
					t.Errorf("it is there: %v", err)
				}
			})
		}
	}
}

func TestBlob_SignRead(t *testing.T) {
	b := azuriteBlob(t, "signed.csv")
	if err := b.Write(t.Context(), content("hello"), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	ref, err := b.SignRead(t.Context(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if ref.ConnectionString != "" || ref.RelativeLocation != "callers/signed.csv" {
		t.Errorf("reference %+v", ref)
	}
	resp, err := http.Get(ref.BaseLocation + ref.RelativeLocation + ref.SasBlobToken)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "hello" {
		t.Errorf("%s: %q, %v", resp.Status, got, err)
	}
	c := New(Config{Transport: http.DefaultTransport})
	reader, err := c.Open(t.Context(), ref, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Write(t.Context(), content("x"), nil, storage.Condition{}); !fault.HasCode(err, CodeDenied) {
		t.Errorf("a read link writes: %v", err)
	}
	// A caller's own link is shown again only if it does nothing but read.
	if again, err := reader.SignRead(t.Context(), time.Now()); err != nil || again.SasBlobToken != ref.SasBlobToken {
		t.Errorf("%v, %v", again, err)
	}
	broad, err := c.Open(t.Context(), Reference{BaseLocation: "https://a.example/", RelativeLocation: "c/d.csv", SasBlobToken: "?sp=rw&sig=x"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := broad.SignRead(t.Context(), time.Now()); err != nil || again.SasBlobToken != "" {
		t.Errorf("a link that writes is shown: %v, %v", again, err)
	}
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Whatever goes wrong on the way, no error has a secret in it, and each has
// the kind that decides what follows.
func TestBlob_errors(t *testing.T) {
	answer := func(status int, code string) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Status: http.StatusText(status), Request: r, Body: io.NopCloser(strings.NewReader("<Error>" + r.URL.String() + "</Error>")),
				Header: http.Header{"X-Ms-Error-Code": {code}, "Content-Type": {"application/xml"}},
			}, nil
		}
	}
	for _, tt := range []struct {
		name      string
		transport roundTrip
		kind      fault.Kind
		text      string
	}{
		{"network", func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: errors.New("connection reset, said " + r.URL.RawQuery)}
		}, fault.Unavailable, "could not be reached"},
		{"refused by guard", func(*http.Request) (*http.Response, error) {
			return nil, fault.New(fault.BadArgument, "AddressRefused", "the address leads to a private network: it may not be reached from here")
		}, fault.BadArgument, "private network"},
		{"404", answer(404, "BlobNotFound"), fault.NotFound, "the storage answered 404 BlobNotFound"},
		{"403", answer(403, "AuthenticationFailed"), fault.Forbidden, "403 AuthenticationFailed"},
		{"409", answer(409, "SnapshotsPresent"), fault.Conflict, "409"},
		{"412", answer(412, "ConditionNotMet"), fault.Conflict, "412"},
		{"400", answer(400, "InvalidHeaderValue"), fault.BadArgument, "400 InvalidHeaderValue"},
		{"301", answer(301, ""), fault.BadArgument, "301"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the SDK tries again, and waits in between
				c, began := New(Config{Transport: tt.transport}), time.Now()
				for _, ref := range []Reference{
					{ConnectionString: "AccountName=acct;AccountKey=" + key, RelativeLocation: "c/d.csv"},
					{BaseLocation: "https://acct.blob.core.windows.net/", RelativeLocation: "c/d.csv", SasBlobToken: "?sp=rw&" + sig},
				} {
					b, err := c.Open(t.Context(), ref, true)
					if err != nil {
						t.Fatal(err)
					}
					_, herr := b.Head(t.Context())
					_, rerr := b.Read(t.Context(), "x", 0, 1)
					werr := b.Write(t.Context(), content("x"), nil, storage.Condition{})
					for _, err := range []error{herr, rerr, werr} {
						if !fault.Is(err, tt.kind) || !strings.Contains(fault.Of(err).Msg, tt.text) {
							t.Errorf("err = %v (%s), want %s with %q", err, fault.KindOf(err), tt.kind, tt.text)
						}
						if err != nil {
							noSecret(t, err.Error())
							noSecret(t, fmt.Sprintf("%+v", fault.Of(err)))
						}
					}
				}
				if took := time.Since(began); tt.kind == fault.BadArgument && took > 0 {
					t.Errorf("waited %v to ask again what would be refused again", took)
				}
			})
		})
	}
}

// Our own storage account is not for callers' connection strings.
func TestOpen_ownAccount(t *testing.T) {
	c := New(Config{Transport: http.DefaultTransport, Accounts: []string{"ours.blob.core.windows.net"}})
	_, err := c.Open(t.Context(), Reference{ConnectionString: "AccountName=ours;AccountKey=" + key, RelativeLocation: "c/d.csv"}, false)
	if !fault.HasCode(err, "InvalidBlob") {
		t.Errorf("err = %v", err)
	}
	if _, err := c.Open(t.Context(), Reference{BaseLocation: "https://ours.blob.core.windows.net/", RelativeLocation: "c/d.csv", SasBlobToken: sig}, false); err != nil {
		t.Errorf("a signed link: %v", err)
	}
}

func TestSection(t *testing.T) {
	s := &section{ctx: t.Context(), c: content("0123456789"), off: 2, size: 6}
	for range 3 { // the SDK reads, seeks back and reads again
		var b bytes.Buffer
		if _, err := io.Copy(&b, s); err != nil || b.String() != "234567" {
			t.Fatalf("%q, %v", b.String(), err)
		}
		if n, err := s.Seek(0, io.SeekStart); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := s.Seek(0, io.SeekEnd); n != 6 || err != nil {
		t.Error(n, err)
	}
	if _, err := s.Seek(1, io.SeekEnd); err == nil {
		t.Error("a seek behind the end succeeds")
	}
}

// TestWritable: what will keep an output from being written is known before
// there is one.
func TestWritable(t *testing.T) {
	good := azuriteRef(t, "not/yet.csv")
	signed := func(sp string) Reference {
		return Reference{BaseLocation: "http://127.0.0.1:9/a", RelativeLocation: "callers/x.csv", SasBlobToken: "?sig=c2VjcmV0&sp=" + sp}
	}
	with := func(change func(*Reference)) Reference {
		r := good
		change(&r)
		return r
	}
	for name, tt := range map[string]struct {
		ref  Reference
		kind fault.Kind
		text string // "" = writable
	}{
		"not there":       {ref: good},
		"write alone":     {ref: signed("cw")},
		"to read alone":   {signed("r"), fault.Forbidden, `allows "r", and not to write`},
		"no container":    {with(func(r *Reference) { r.RelativeLocation = "nowhere/x.csv" }), fault.NotFound, "ContainerNotFound"},
		"another key":     {with(func(r *Reference) { r.ConnectionString = rekeyed(r.ConnectionString) }), fault.Forbidden, "403"},
		"bad container":   {with(func(r *Reference) { r.RelativeLocation = "No_Where/x.csv" }), fault.BadArgument, "400"},
		"no such account": {Reference{BaseLocation: "https://absent.invalid/", RelativeLocation: "c/x.csv", SasBlobToken: "?sig=c2VjcmV0"}, fault.BadArgument, "there is no host absent.invalid"},
		"nobody is there": {signed("rw"), fault.Unavailable, "could not be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(Config{Transport: http.DefaultTransport}).Open(t.Context(), tt.ref, true)
			if err != nil {
				t.Fatal(err)
			}
			err = b.Writable(t.Context())
			if tt.text == "" {
				if err != nil {
					t.Errorf("err = %v", err)
				}
				return
			}
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("err = %v, want %s", err, tt.text)
			}
		})
	}
}

// rekeyed is a connection string with another key.
func rekeyed(cs string) string {
	before, rest, _ := strings.Cut(cs, "AccountKey=")
	_, after, _ := strings.Cut(rest, ";")
	return before + "AccountKey=c2VjcmV0;" + after
}

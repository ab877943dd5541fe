package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const (
	ws    = "0000000000000000000000000000000a"
	other = "0000000000000000000000000000000b"
)

func testBlobs(t *testing.T) storage.Blobs {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Blobs
}

func key(ws, digest string) string { return ws + "/sha256/" + digest }

func TestDigest(t *testing.T) {
	// The address of everything that was ever published.
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := artifact.Digest([]byte("abc")); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestPutGet(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.New(blobs)
	ctx := t.Context()
	for _, body := range [][]byte{{}, []byte("a"), bytes.Repeat([]byte("model"), 300_000)} {
		digest, err := s.Put(ctx, ws, body)
		if err != nil || digest != artifact.Digest(body) {
			t.Fatalf("put: %s, %v", digest, err)
		}
		got, err := s.Get(ctx, ws, digest)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes read back as %d, %v", len(body), len(got), err)
		}
		// A workspace's artifacts are its own.
		if _, err := s.Get(ctx, other, digest); !fault.Is(err, fault.NotFound) {
			t.Errorf("another workspace reads it: %v", err)
		}
	}
	if _, err := s.Get(ctx, ws, artifact.Digest([]byte("never stored"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("absent: %v", err)
	}
	if err := s.Touch(ctx, ws, artifact.Digest([]byte("never stored"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("touch of what is absent: %v", err)
	}
}

// Storing what is there renews its time of change, on which garbage collection
// waits, and its ETag, on which it deletes.
func TestPutTouches(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.New(blobs)
	ctx := t.Context()
	digest, err := s.Put(ctx, ws, []byte("model"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := blobs.Head(ctx, key(ws, digest))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	if _, err := s.Put(ctx, ws, []byte("model")); err != nil {
		t.Fatal(err)
	}
	after, err := blobs.Head(ctx, key(ws, digest))
	if err != nil {
		t.Fatal(err)
	}
	if after.ETag == before.ETag || !after.Modified.After(before.Modified) || after.Size != before.Size {
		t.Errorf("before %+v, after %+v", before, after)
	}
	// What was marked before the touch is no longer deleted by its mark.
	if err := blobs.Delete(ctx, key(ws, digest), storage.Condition{IfMatch: before.ETag}); !fault.HasCode(err, storage.CodeCondition) {
		t.Errorf("deleted by an old mark: %v", err)
	}
}

func TestDamage(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.New(blobs)
	ctx := t.Context()
	digest, err := s.Put(ctx, ws, []byte("model"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"modem", "", "model\n"} {
		if _, err := blobs.Put(ctx, key(ws, digest), []byte(bad), nil, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
		body, err := s.Get(ctx, ws, digest)
		if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), digest) || body != nil {
			t.Errorf("damaged to %q: %q, %v", bad, body, err)
		}
	}
}

// Many store one artifact at once, while others delete it as the collector
// does, by a mark: whoever stored it last can read it.
func TestPutRace(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.New(blobs)
	ctx := t.Context()
	body := []byte("shared")
	digest := artifact.Digest(body)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if d, err := s.Put(ctx, ws, body); err != nil || d != digest {
					t.Errorf("put: %s, %v", d, err)
				}
			}
		})
	}
	stop := make(chan struct{})
	collector := make(chan struct{})
	go func() {
		defer close(collector)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if info, err := blobs.Head(ctx, key(ws, digest)); err == nil {
				err := blobs.Delete(ctx, key(ws, digest), storage.Condition{IfMatch: info.ETag})
				if err != nil && !fault.HasCode(err, storage.CodeCondition) && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-collector
	if _, err := s.Put(ctx, ws, body); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, ws, digest); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after all: %q, %v", got, err)
	}
}

// cutBlobs breaks off in the middle of what it reads.
type cutBlobs struct{ storage.Blobs }

func (c cutBlobs) Get(ctx context.Context, key string, o storage.ReadOptions) (storage.BlobInfo, io.ReadCloser, error) {
	info, r, err := c.Blobs.Get(ctx, key, o)
	if err != nil {
		return info, nil, err
	}
	return info, struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 2), iotest.ErrReader(errors.New("connection reset"))), r}, nil
}

// A broken connection is worth another try; damage is not.
func TestBrokenRead(t *testing.T) {
	blobs := testBlobs(t)
	digest, err := artifact.New(blobs).Put(t.Context(), ws, []byte("model"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.New(cutBlobs{blobs}).Get(t.Context(), ws, digest); !fault.Is(err, fault.Unavailable) {
		t.Errorf("broken read: %v, want Unavailable", err)
	}
}

func TestLink(t *testing.T) {
	until := time.Now().Add(time.Hour).UTC()
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{Sign: func(_ context.Context, container, key, perm string, at time.Time) (storage.SignedURL, error) {
		return storage.SignedURL{Base: "https://store.example/", Path: container + "/" + key, Query: "?" + perm + at.Format(time.RFC3339)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	digest := artifact.Digest([]byte("abc"))
	u, err := artifact.New(st.Blobs).Link(t.Context(), ws, digest, until)
	if want := "https://store.example/portico/" + key(ws, digest) + "?r" + until.Format(time.RFC3339); err != nil || u.String() != want {
		t.Errorf("link %q, %v; want %q", u, err, want)
	}
}

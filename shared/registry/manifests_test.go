package registry

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// counted counts reads.
type counted struct {
	storage.Blobs
	reads int
}

func (c *counted) Get(ctx context.Context, key string, o storage.ReadOptions) (storage.BlobInfo, io.ReadCloser, error) {
	c.reads++
	return c.Blobs.Get(ctx, key, o)
}

func TestManifest(t *testing.T) {
	st := openStore(t)
	blobs := &counted{Blobs: st.Blobs}
	r := New(&storage.Store{Blobs: blobs, Tables: st.Tables, Queues: st.Queues}, testRing(t), Options{})
	store := func(padding int) string {
		digest, err := r.artifacts.Put(t.Context(), "ws", []byte(`{"format":1,"graph":{}`+strings.Repeat(" ", padding)+`}`))
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	small := store(1)
	for range 3 {
		if m, err := r.Manifest(t.Context(), "ws", small); err != nil || m.Format != 1 {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if blobs.reads != 1 {
		t.Errorf("storage was read %d times, want once", blobs.reads)
	}
	if _, err := r.Manifest(t.Context(), "other", small); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("another workspace's manifest: %v", err)
	}
	// What is kept is bounded.
	for i := range 4 {
		if _, err := r.Manifest(t.Context(), "ws", store(maxManifestBytes/3+i)); err != nil {
			t.Fatal(err)
		}
		if r.manifests.bytes > maxManifestBytes {
			t.Errorf("%d bytes are kept", r.manifests.bytes)
		}
	}
	blobs.reads = 0
	if _, err := r.Manifest(t.Context(), "ws", small); err != nil || blobs.reads != 1 {
		t.Errorf("a manifest that was forgotten: %d reads, %v", blobs.reads, err)
	}
	// A manifest that is to be changed is nobody else's.
	mine, _, err := r.readManifest(t.Context(), "ws", small)
	if err != nil {
		t.Fatal(err)
	}
	if shared, err := r.Manifest(t.Context(), "ws", small); err != nil || shared == mine {
		t.Errorf("the shared manifest was given away; %v", err)
	}
}

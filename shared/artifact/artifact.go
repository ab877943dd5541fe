// Package artifact stores immutable files under their SHA-256, one space per
// workspace: the key is {workspace}/sha256/{hex digest}. Models, manifests,
// run results and fitted transformations are artifacts.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Store keeps artifacts in Blobs.
type Store struct {
	blobs storage.Blobs
	part  int // see partBytes
}

// New returns a store over b.
func New(b storage.Blobs) *Store { return &Store{b, partBytes} }

// Digest returns the SHA-256 of body in hex.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func key(ws, digest string) string { return ws + "/sha256/" + digest }

// Put stores body and returns its digest. Storing what is there touches it,
// so that garbage collection's grace starts anew.
func (s *Store) Put(ctx context.Context, ws string, body []byte) (digest string, err error) {
	digest = Digest(body)
	return digest, s.put(ctx, ws, digest, body)
}

func (s *Store) put(ctx context.Context, ws, digest string, body []byte) error {
	_, err := s.blobs.Put(ctx, key(ws, digest), body, nil, storage.Condition{IfAbsent: true})
	if fault.Is(err, fault.Conflict) {
		if err = s.Touch(ctx, ws, digest); fault.Is(err, fault.NotFound) {
			_, err = s.blobs.Put(ctx, key(ws, digest), body, nil, storage.Condition{})
		}
	}
	return err
}

// Touch renews the artifact's time of change; fault.NotFound where it is gone.
func (s *Store) Touch(ctx context.Context, ws, digest string) error {
	info, err := s.blobs.Head(ctx, key(ws, digest))
	if err != nil {
		return err
	}
	meta := map[string]string{"touched": time.Now().UTC().Format("20060102T150405Z")}
	_, err = s.blobs.SetMeta(ctx, key(ws, digest), meta, storage.Condition{IfMatch: info.ETag})
	if fault.Is(err, fault.Conflict) {
		// Somebody else touched it in between, which is as good, or collected it.
		_, err = s.blobs.Head(ctx, key(ws, digest))
	}
	return err
}

// Get reads an artifact whole and verifies its digest: bytes that do not match
// are an Internal fault, never a result.
func (s *Store) Get(ctx context.Context, ws, digest string) ([]byte, error) {
	var body []byte
	err := s.Read(ctx, ws, digest, func(r io.Reader, size int64) error {
		body = make([]byte, size)
		_, err := io.ReadFull(r, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// Link returns a signed address from which the artifact can be read until the
// time given, at most storage.MaxSigned from now. It does not look whether the
// artifact is there.
func (s *Store) Link(ctx context.Context, ws, digest string, until time.Time) (storage.SignedURL, error) {
	return s.blobs.SignRead(ctx, key(ws, digest), until)
}

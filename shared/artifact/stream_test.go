package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// pattern writes n bytes, the same each time, in pieces of an odd size.
func pattern(n int) func(io.Writer) error {
	return func(w io.Writer) error {
		piece := make([]byte, 60_001)
		for i := range piece {
			piece[i] = byte(i * i >> 3)
		}
		for left := n; left > 0; left -= len(piece) {
			if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
				return err
			}
		}
		return nil
	}
}

func bytesOf(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteRead(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.NewSmall(blobs)
	ctx := t.Context()
	for _, n := range []int{0, 1, artifact.PartBytes, artifact.PartBytes + 1, 5 * artifact.PartBytes / 2} {
		want := bytesOf(t, pattern(n))
		sum, err := artifact.SumOf(pattern(n))
		if err != nil || sum.Digest != artifact.Digest(want) || sum.Bytes != int64(n) {
			t.Fatalf("sum of %d bytes: %+v, %v", n, sum, err)
		}
		for range 2 { // the second touches
			if err := s.Write(ctx, ws, sum, pattern(n)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Get(ctx, ws, sum.Digest)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes read back as %d, %v", n, len(got), err)
		}
		got = nil
		err = s.Read(ctx, ws, sum.Digest, func(r io.Reader, size int64) error {
			got, err = io.ReadAll(r)
			return err
		})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes streamed back as %d, %v", n, len(got), err)
		}
		if parts, err := blobs.Parts(ctx, key(ws, sum.Digest)); err != nil || len(parts) > 0 {
			t.Errorf("%d parts are left, %v", len(parts), err)
		}
	}
}

// What changes between its sum and its writing is never stored under the sum.
func TestWriteOther(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.NewSmall(blobs)
	for _, n := range []int{1000, artifact.PartBytes + 1000} {
		sum, err := artifact.SumOf(pattern(n))
		if err != nil {
			t.Fatal(err)
		}
		body := bytesOf(t, pattern(n))
		body[n-1]++
		for _, body := range [][]byte{body, body[:n-1]} {
			err := s.Write(t.Context(), ws, sum, func(w io.Writer) error { _, err := w.Write(body); return err })
			if !fault.Is(err, fault.Internal) {
				t.Errorf("%d other bytes: %v", n, err)
			}
		}
		if _, err := blobs.Head(t.Context(), key(ws, sum.Digest)); !fault.Is(err, fault.NotFound) {
			t.Errorf("%d other bytes are stored: %v", n, err)
		}
		broken := errors.New("the source broke")
		if err := s.Write(t.Context(), ws, sum, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("a source that breaks: %v", err)
		}
	}
}

func TestReadDamage(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.NewSmall(blobs)
	digest, err := s.Put(t.Context(), ws, []byte("model"))
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("not a model")
	read := func(all bool) error {
		return s.Read(t.Context(), ws, digest, func(r io.Reader, _ int64) error {
			if all {
				io.Copy(io.Discard, r)
			}
			return refusal
		})
	}
	for _, all := range []bool{false, true} {
		if err := read(all); !errors.Is(err, refusal) {
			t.Errorf("the reader's own error is %v", err)
		}
	}
	if _, err := blobs.Put(t.Context(), key(ws, digest), []byte("muddle"), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{false, true} {
		if err := read(all); !fault.Is(err, fault.Internal) || errors.Is(err, refusal) {
			t.Errorf("damage is %v", err)
		}
	}
	if err := artifact.NewSmall(cutBlobs{blobs}).Read(t.Context(), ws, digest, func(io.Reader, int64) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("broken read: %v", err)
	}
}

// TestWriteRace writes the same large artifact many times at once while
// somebody deletes it: every writer succeeds or says that it is unsettled, and
// what is there is whole.
func TestWriteRace(t *testing.T) {
	blobs := testBlobs(t)
	s := artifact.NewSmall(blobs)
	const n = artifact.PartBytes + 1
	sum, err := artifact.SumOf(pattern(n))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 10 {
				if err := s.Write(t.Context(), ws, sum, pattern(n)); err != nil && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
				if err := blobs.Delete(t.Context(), key(ws, sum.Digest), storage.Condition{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Write(t.Context(), ws, sum, pattern(n)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), ws, sum.Digest); err != nil || artifact.Digest(got) != sum.Digest {
		t.Errorf("after all: %d bytes, %v", len(got), err)
	}
}

// failing fails each part after the first.
type failing struct {
	storage.Blobs
	parts int
}

func (f *failing) PutPart(ctx context.Context, key string, id storage.PartID, body []byte) error {
	if f.parts++; f.parts > 1 {
		return fault.New(fault.Unavailable, "", "storage is away")
	}
	return f.Blobs.PutPart(ctx, key, id, body)
}

func TestWriteGoesOn(t *testing.T) {
	blobs := testBlobs(t)
	const n = 2*artifact.PartBytes + 1
	sum, err := artifact.SumOf(pattern(n))
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.NewSmall(&failing{Blobs: blobs}).Write(t.Context(), ws, sum, pattern(n)); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("an outage is %v", err)
	}
	s := artifact.NewSmall(blobs)
	if err := s.Write(t.Context(), ws, sum, pattern(n)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), ws, sum.Digest); err != nil || !slices.Equal(got, bytesOf(t, pattern(n))) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

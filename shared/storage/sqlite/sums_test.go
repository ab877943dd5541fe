package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const sumBlock = 256 << 10

// noise returns n bytes, the same at each call.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// threeParts commits a blob of three parts, of which the middle one has two
// blocks and a bit, and returns its bytes.
func threeParts(t *testing.T, s *sqlite.Store, key string) []byte {
	t.Helper()
	all := noise(1000 + 2*sumBlock + 77 + sumBlock)
	var ids []storage.PartID
	for n, cut := range [][2]int{{0, 1000}, {1000, 1000 + 2*sumBlock + 77}, {1000 + 2*sumBlock + 77, len(all)}} {
		ids = append(ids, storage.PartID{byte(n)})
		if err := s.Blobs.PutPart(t.Context(), key, ids[n], all[cut[0]:cut[1]]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Blobs.Commit(t.Context(), key, ids, nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	return all
}

// small reads at most n bytes at a time.
type small struct {
	r io.Reader
	n int
}

func (s small) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

func readRange(ctx context.Context, s *sqlite.Store, key string, from, to int64, atOnce int) ([]byte, error) {
	_, r, err := s.Blobs.Get(ctx, key, storage.ReadOptions{Offset: from, Length: to - from})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	body := make([]byte, to-from)
	n, err := io.ReadFull(small{r, atOnce}, body)
	return body[:n], err
}

// Every range is what was written, however it is read.
func TestRangesOverBlocks(t *testing.T) {
	s := open(t, t.TempDir(), sqlite.Options{})
	all := threeParts(t, s, "w/a")
	edges := []int64{0, 1, 999, 1000, 1001, 1000 + sumBlock - 1, 1000 + sumBlock, 1000 + 2*sumBlock, 1000 + 2*sumBlock + 76, 1000 + 2*sumBlock + 77, int64(len(all)) - 1, int64(len(all))}
	for i, from := range edges {
		for _, to := range edges[i+1:] {
			for _, atOnce := range []int{32 << 10, sumBlock, 1 << 30} {
				got, err := readRange(t.Context(), s, "w/a", from, to, atOnce)
				if err != nil || !bytes.Equal(got, all[from:to]) {
					t.Fatalf("%d to %d, %d at once: %d bytes, %v", from, to, atOnce, len(got), err)
				}
			}
		}
	}
}

// Bytes that are not those that were written are an error, never a result: not
// even those of the same block before them.
func TestDamage(t *testing.T) {
	flip := func(at int64) func(string) error {
		return func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			var b [1]byte
			if _, err := f.ReadAt(b[:], at); err != nil {
				return err
			}
			b[0] ^= 1
			_, err = f.WriteAt(b[:], at)
			return err
		}
	}
	const middle = 2*sumBlock + 77 // bytes of the middle part, which begins at 1000
	s := open(t, t.TempDir(), sqlite.Options{})
	for name, tt := range map[string]struct {
		damage func(path string) error
		good   int64 // bytes of the blob before the damaged block
		says   string
	}{
		"first byte":      {flip(0), 1000, "at bytes 1000 to 263143"},
		"last of a block": {flip(sumBlock - 1), 1000, "at bytes 1000 to 263143"},
		"second block":    {flip(sumBlock), 1000 + sumBlock, "not those that were written at bytes 263144 to 525287"},
		"last byte":       {flip(middle - 1), 1000 + 2*sumBlock, "at bytes 525288 to 525364"},
		"cut":             {func(path string) error { return os.Truncate(path, middle-1) }, 1000 + 2*sumBlock, "the file is cut at bytes 525288 to 525364"},
		"emptied":         {func(path string) error { return os.Truncate(path, 0) }, 1000, "the file is cut at bytes 1000 to 263143"},
		"gone":            {os.Remove, 1000, "the file is gone at bytes 1000 to 525364"},
	} {
		t.Run(name, func(t *testing.T) {
			key := "w/" + strings.ReplaceAll(name, " ", "-")
			all := threeParts(t, s, key)
			path, err := s.Path(storage.Container, key, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(path); err != nil {
				t.Fatal(err)
			}
			size := int64(len(all))
			for _, atOnce := range []int{1000, 1 << 30} {
				got, err := readRange(t.Context(), s, key, 0, size, atOnce)
				if !fault.Is(err, fault.Damaged) || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%d at once: %v, want %q", atOnce, err, tt.says)
				}
				if int64(len(got)) != tt.good || !bytes.Equal(got, all[:tt.good]) {
					t.Errorf("%d at once: %d bytes before the damage, want %d", atOnce, len(got), tt.good)
				}
			}
			// One byte of the damaged block, and the blob's other parts.
			if _, err := readRange(t.Context(), s, key, tt.good+1, tt.good+2, 1); !fault.Is(err, fault.Damaged) {
				t.Errorf("a byte of the block: %v", err)
			}
			for _, r := range [][2]int64{{0, 1000}, {1000 + middle, size}} {
				if got, err := readRange(t.Context(), s, key, r[0], r[1], 1<<30); err != nil || !bytes.Equal(got, all[r[0]:r[1]]) {
					t.Errorf("bytes %d to %d, which are sound: %v", r[0], r[1], err)
				}
			}
		})
	}
}

// A part whose file was cut or lost is not committed.
func TestCommitOfLostParts(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"the file has 3 bytes": func(path string) error { return os.Truncate(path, 3) },
		"the file is gone":     os.Remove,
	} {
		s := open(t, t.TempDir(), sqlite.Options{})
		ids := []storage.PartID{{1}, {2}}
		for n, id := range ids {
			if err := s.Blobs.PutPart(t.Context(), "w/a", id, fmt.Appendf(nil, "part %d", n)); err != nil {
				t.Fatal(err)
			}
		}
		path, err := s.PartPath(storage.Container, "w/a", ids[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Blobs.Commit(t.Context(), "w/a", ids, nil, storage.Condition{}); !fault.Is(err, fault.Damaged) || !strings.Contains(err.Error(), name+" at bytes 6 to 11") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Blobs.Head(t.Context(), "w/a"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: the blob is there: %v", name, err)
		}
	}
}

// A store that an older program made is read, and has checksums from then on;
// that program goes on working with it.
func TestStoreWithoutSums(t *testing.T) {
	dir := t.TempDir()
	old := open(t, dir, sqlite.Options{})
	threeParts(t, old, "w/old")
	for _, q := range []string{"ALTER TABLE part DROP COLUMN sums", "ALTER TABLE extent DROP COLUMN sums"} {
		if err := old.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	s, second := open(t, dir, sqlite.Options{}), open(t, dir, sqlite.Options{})
	want := noise(1000 + 2*sumBlock + 77 + sumBlock)
	if got, err := readRange(t.Context(), s, "w/old", 0, int64(len(want)), 1<<30); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("a blob without checksums: %d bytes, %v", len(got), err)
	}
	put(t, second, "w/new", "0123456789")
	if err := s.Exec("INSERT INTO part (container, key, id, size, file, staged) VALUES ('portico', 'w/b', x'00', 1, 'file', 0)"); err != nil {
		t.Errorf("a part as the older program stages it: %v", err)
	}
	path, err := s.Path(storage.Container, "w/new", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("0123456780"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRange(t.Context(), s, "w/new", 0, 10, 10); !fault.Is(err, fault.Damaged) {
		t.Errorf("a blob with checksums: %v", err)
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, b.TempDir(), sqlite.Options{})
	body := noise(8 << 20)
	if _, err := s.Blobs.Put(b.Context(), "w/a", body, nil, storage.Condition{}); err != nil {
		b.Fatal(err)
	}
	for name, off := range map[string]int64{"whole": 0, "range": 1} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)) - 2*off)
			for b.Loop() {
				_, r, err := s.Blobs.Get(b.Context(), "w/a", storage.ReadOptions{Offset: off, Length: int64(len(body)) - 2*off})
				if err == nil {
					_, err = io.ReadFull(r, body[off:int64(len(body))-off])
					r.Close()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package studioapi_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// begin begins an upload and returns its id.
func (s *site) begin(dataType, body string) string {
	s.t.Helper()
	var up struct{ ID string }
	s.do("POST", "/api/resourceuploads/workspaces/"+ws+"/?userStorage=true&dataTypeId="+dataType, s.known["token"], body, &up)
	return up.ID
}

func (s *site) block(upload string, i, of int, body string) {
	s.t.Helper()
	s.do("POST", fmt.Sprintf("/api/blobuploads/workspaces/%s/?numberOfBlocks=%d&blockId=%d&uploadId=%s", ws, of, i, upload), s.known["token"], body, nil)
}

func register(name, upload string) string {
	return fmt.Sprintf(`{"DataSource":{"Name":%q,"DataTypeId":"GenericCSV"},"UploadId":%q}`, name, upload)
}

// TestBlocks sends a file of several blocks, the last first, and reads back
// the bytes that were sent.
func TestBlocks(t *testing.T) {
	const size = 2 << 20 // as clients send
	s := newSite(t)
	var file bytes.Buffer
	file.WriteString("id,minutes\n")
	for i := 0; file.Len() < 2*size+1000; i++ {
		fmt.Fprintf(&file, "C%07d,%d\n", i, i)
	}
	content := file.String()
	blocks := []string{content[:size], content[size : 2*size], content[2*size:]}
	up := s.begin("GenericCSV", "")
	for i := len(blocks) - 1; i >= 0; i-- {
		s.block(up, i, len(blocks), blocks[i])
	}
	var id string
	s.do("POST", "/api/workspaces/"+ws+"/datasources", s.known["token"], register("large", up), &id)
	d, err := s.catalog.Dataset(t.Context(), ws, "large", 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.catalog.Artifact(t.Context(), ws, d.Original)
	if err != nil || string(got) != content {
		t.Errorf("%d bytes were kept of %d: %v", len(got), len(content), err)
	}
	if !strings.HasPrefix(id, ws+".") {
		t.Errorf("dataset %s", id)
	}
	// The bytes are kept once: what is left of the upload is its id.
	if info, err := s.store.Blobs.Head(t.Context(), ws+"/studio/"+up); err != nil || info.Size != 0 {
		t.Errorf("%d bytes are left of the upload, %v", info.Size, err)
	}
}

func TestLimits(t *testing.T) {
	s := newSite(t)
	up := s.begin("GenericCSV", "")
	for path, body := range map[string]string{
		"/api/blobuploads/workspaces/" + ws + "/?numberOfBlocks=1&blockId=0&uploadId=" + up: strings.Repeat("x", 4<<20+1),
		"/api/workspaces/" + ws + "/datasources":                                            `{"UploadId":"` + strings.Repeat("x", 64<<10) + `"}`,
	} {
		if code, text := s.call("POST", path, s.known["token"], body); code != 413 {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// TestRegisterRace: of many who give one name at once to files of their own,
// one gets it.
func TestRegisterRace(t *testing.T) {
	s := newSite(t)
	const n = 6
	codes := make([]int, n)
	ups := make([]string, n)
	for i := range ups {
		ups[i] = s.begin("GenericCSV", fmt.Sprintf("a\n%d\n", i))
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			codes[i], _ = s.call("POST", "/api/workspaces/"+ws+"/datasources", s.known["token"], register("one", ups[i]))
		})
	}
	wg.Wait()
	won := 0
	for _, code := range codes {
		switch code {
		case 200:
			won++
		case 409:
		default:
			t.Errorf("answers %v", codes)
		}
	}
	v, err := s.catalog.Versions(t.Context(), ws, service.Dataset, "one")
	if won != 1 || err != nil || len(v) != 1 {
		t.Errorf("%d have the name, of which there are %d versions; %v", won, len(v), err)
	}
}

// aged are blobs that say they were written before.
type aged struct {
	storage.Blobs
	by  *time.Duration
	err *error
}

func (a aged) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if *a.err != nil {
			yield(storage.BlobInfo{}, *a.err)
			return
		}
		for info, err := range a.Blobs.List(ctx, prefix) {
			info.Modified = info.Modified.Add(-*a.by)
			if !yield(info, err) {
				return
			}
		}
	}
}

// TestSweep: an upload is there as long as its blocks are, and then it is gone,
// in every workspace.
func TestSweep(t *testing.T) {
	var age time.Duration
	var broken error
	s := newSite(t, func(b storage.Blobs) storage.Blobs { return aged{b, &age, &broken} })
	ctx := t.Context()
	up := s.begin("GenericCSV", "")
	s.block(up, 0, 2, "a\n")
	key := ws + "/studio/" + up
	elsewhere := other + "/studio/" + service.NewID()
	bystander := ws + "/studiox/" + up
	for _, key := range []string{elsewhere, bystander} {
		if _, err := s.store.Blobs.Put(ctx, key, nil, nil, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	round := func() {
		t.Helper()
		cursor := ""
		for i := range 4 {
			next, err := s.function.SweepUploads(ctx, cursor)
			if err != nil {
				t.Fatal(err)
			}
			if next == "" {
				if i != 2 {
					t.Errorf("a round of two workspaces took %d steps", i)
				}
				return
			}
			cursor = next
		}
		t.Error("the round has no end")
	}
	age = 7*24*time.Hour - time.Minute
	round()
	if parts, err := s.store.Blobs.Parts(ctx, key); err != nil || len(parts) != 1 {
		t.Errorf("an upload lost its blocks: %v, %v", parts, err)
	}
	age = 7*24*time.Hour + time.Minute
	round()
	for _, gone := range []string{key, elsewhere} {
		if _, err := s.store.Blobs.Head(ctx, gone); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
	if parts, err := s.store.Blobs.Parts(ctx, key); err != nil || len(parts) != 0 {
		t.Errorf("its blocks are still there: %v, %v", parts, err)
	}
	if _, err := s.store.Blobs.Head(ctx, bystander); err != nil {
		t.Errorf("what is no upload: %v", err)
	}
	if code, text := s.call("POST", "/api/workspaces/"+ws+"/datasources", s.known["token"], register("late", up)); code != 404 || !strings.Contains(text, "UploadNotFound") {
		t.Errorf("registered late: %d %s", code, text)
	}
	broken = fault.New(fault.Unavailable, "", "storage is away")
	if next, err := s.function.SweepUploads(ctx, ws); !fault.Is(err, fault.Unavailable) || next != ws {
		t.Errorf("with storage away: %q, %v", next, err)
	}
}

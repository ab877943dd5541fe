package azure_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

// Bytes that change on their way are refused by the service: nothing of them is
// kept, and a later try may go well.
func TestBytesChangedOnTheirWay(t *testing.T) {
	changing := transport(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil && r.ContentLength > 0 && r.URL.Query().Get("comp") != "blocklist" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, []byte("F,4"), []byte("F,9"), 1)))
		}
		return http.DefaultClient.Do(r)
	})
	s, err := azure.Open(azure.Settings{ConnectionString: azuritetest.Shared(t).ConnectionString()}, azure.WithTransport(changing), azure.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	const good, bad = "A,1\n", "A,1\nF,4\n"
	folder := fmt.Sprintf("w%d/", time.Now().UnixNano()) // Azurite is everybody's
	put := func(body string) error {
		_, err := s.Blobs.Put(t.Context(), folder+"put", []byte(body), nil, storage.Condition{})
		return err
	}
	part := func(body string) error {
		return s.Blobs.PutPart(t.Context(), folder+"part", storage.PartID{1}, []byte(body))
	}
	for name, write := range map[string]func(string) error{"put": put, "part": part} {
		if err := write(bad); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s of bytes that change: %v", name, err)
		}
	}
	if _, err := s.Blobs.Head(t.Context(), folder+"put"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the blob is there: %v", err)
	}
	if parts, err := s.Blobs.Parts(t.Context(), folder+"part"); len(parts) > 0 || err != nil {
		t.Errorf("parts %v, %v", parts, err)
	}
	for name, write := range map[string]func(string) error{"put": put, "part": part} {
		if err := write(good); err != nil {
			t.Errorf("%s of bytes that do not change: %v", name, err)
		}
	}
}

package azure_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

// TestSignWriteBeforeAnyWrite: the first thing that ever happens to a container
// may be a stranger with a link.
func TestSignWriteBeforeAnyWrite(t *testing.T) {
	s := open(t, azuritetest.Start(t)) // an emulator of its own: empty
	link, err := s.Drop.SignWrite(t.Context(), "w/s/f.csv", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, link.String(), strings.NewReader("a\n1\n"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-ms-blob-type", "BlockBlob")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if info, err := s.Drop.Head(t.Context(), "w/s/f.csv"); err != nil || info.Size != 4 {
		t.Errorf("%+v, %v", info, err)
	}
}

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// receipt is what is said of a dropped file.
type receipt struct {
	Status, Details                string
	RowsRead, RowsWritten, BadRows int
}

// badDrops writes files that cannot be scored into the drop container, as
// whoever has rights to the storage account does. Each is answered beside
// where its result would be.
func (s *site) badDrops(t *testing.T) {
	store, err := sqlite.Open(filepath.Join(s.data, "store"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	header, row := strings.Join(s.columns, ","), strings.Join(s.may[0], ",")
	x := s.experiment("not approved", string(sampleFile(t, "churn.json")))
	s.run(x)
	s.publish(x, "waiting")
	for _, c := range []struct{ name, path, content, says string }{
		{"no service of the name", "nosuch/may.csv", header + "\n" + row + "\n", `no service "nosuch"`},
		{"not approved", "waiting/may.csv", header + "\n" + row + "\n", "published to staging, not approved yet"},
		{"unsupported extension", "churn/may.xlsx", "x", ".csv, .tsv"},
		{"empty", "churn/empty.csv", "", "the file is empty"},
		{"missing column", "churn/missing.csv", "state\nHI\n", "account_length"},
		{"not UTF-8", "churn/latin.csv", header + "\n" + strings.Replace(row, "HI", "\xe9", 1) + "\n", "not UTF-8: byte 0xE9 on line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := s.ws + "/" + c.path
			if _, err := store.Drop.Put(t.Context(), key, []byte(c.content), nil, storage.Condition{}); err != nil {
				t.Fatal(err)
			}
			got := awaitReceipt(t, store.DropDone, key)
			if got.Status != "Failed" || !strings.Contains(got.Details, c.says) {
				t.Errorf("%+v, want %q", got, c.says)
			}
		})
	}
	t.Run("bad rows", func(t *testing.T) {
		key := s.ws + "/" + s.services["churn"] + "/rows.csv"
		content := header + "\n" + row + "\n" + strings.Replace(row, "70.9", "12O", 1) + "\n" + row[:9] + "\n"
		if _, err := store.Drop.Put(t.Context(), key, []byte(content), nil, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
		if got, want := awaitReceipt(t, store.DropDone, key), (receipt{"Finished", "", 3, 1, 2}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func awaitReceipt(t *testing.T, done storage.Blobs, key string) (r receipt) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	for ; ; time.Sleep(50 * time.Millisecond) {
		for info, err := range done.List(ctx, key+"/") {
			if err != nil {
				t.Fatalf("no receipt of %s: %v", key, err)
			}
			if !strings.HasSuffix(info.Key, "/receipt.json") {
				continue
			}
			_, body, err := done.Get(ctx, info.Key, storage.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			return r
		}
		if ctx.Err() != nil {
			t.Fatalf("no receipt of %s", key)
		}
	}
}

package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// dropQueue is where the Event Grid subscription of the drop container points.
const dropQueue = "drop"

// Rows of what was announced: table localhost, partition drop, one row per
// blob, named by a hash of its key, with the ETag announced last. They keep a
// restart from announcing the whole container again.
const (
	dropTable     = "localhost"
	dropPartition = "drop"
)

// WatchDrop is Event Grid for the drop container of st: it looks every second
// and announces what is new or changed, until ctx is done. An announcement may
// come twice, as Event Grid's may. A Host does this by itself; under the real
// host's tools, which have no Event Grid either, it is run beside them.
func WatchDrop(ctx context.Context, st storage.Store, log *slog.Logger) {
	w := watcher{st}
	var announced map[string]string // row -> ETag
	for ; ctx.Err() == nil; sleep(ctx, time.Second) {
		if announced == nil {
			known, err := w.announcedBefore(ctx)
			if err != nil {
				continue
			}
			announced = known
		}
		for b, err := range st.Drop.List(ctx, "") {
			if err != nil {
				if ctx.Err() == nil {
					log.Warn("drop container not readable", "error", err)
				}
				break
			}
			sum := sha256.Sum256([]byte(b.Key))
			row := hex.EncodeToString(sum[:])
			if announced[row] == b.ETag {
				continue
			}
			if err := w.announce(ctx, row, b); err != nil {
				log.Warn("drop not announced", "error", err)
				break
			}
			announced[row] = b.ETag
		}
	}
}

type watcher struct{ st storage.Store }

func (w watcher) announcedBefore(ctx context.Context) (map[string]string, error) {
	known := map[string]string{}
	for e, err := range w.st.Tables.Query(ctx, dropTable, dropPartition, storage.Range{}) {
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		known[e.Row] = e.Props.Str("etag")
	}
	return known, nil
}

// announce sends the event first and notes it second: a host that dies between
// the two sends it again.
func (w watcher) announce(ctx context.Context, row string, b storage.BlobInfo) error {
	body, err := json.Marshal(blobCreated(b))
	if err != nil {
		return err
	}
	if err := w.st.Queues.Send(ctx, dropQueue, body, 0); err != nil {
		return err
	}
	_, err = w.st.Tables.Apply(ctx, dropTable, dropPartition, storage.Op{
		Kind: storage.Upsert, Row: row, Props: storage.Props{"etag": b.ETag, "at": time.Now().UTC().Truncate(time.Microsecond)},
	})
	return err
}

// blobCreated is the event in the schema of Event Grid.
func blobCreated(b storage.BlobInfo) map[string]any {
	return map[string]any{
		"topic":     "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.Storage/storageAccounts/local",
		"subject":   "/blobServices/default/containers/" + storage.DropContainer + "/blobs/" + b.Key,
		"eventType": "Microsoft.Storage.BlobCreated",
		"id":        guid(),
		"data": map[string]any{
			"api":                "PutBlob",
			"clientRequestId":    guid(),
			"requestId":          guid(),
			"eTag":               strings.Trim(b.ETag, `"`),
			"contentType":        "application/octet-stream",
			"contentLength":      b.Size,
			"blobType":           "BlockBlob",
			"url":                "https://local.blob.core.windows.net/" + storage.DropContainer + "/" + b.Key,
			"sequencer":          fmt.Sprintf("%048x", b.Modified.UnixNano()),
			"storageDiagnostics": map[string]string{"batchId": guid()},
		},
		"dataVersion":     "",
		"metadataVersion": "1",
		"eventTime":       b.Modified.UTC().Format(time.RFC3339Nano),
	}
}

package azuritetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

var once = azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}

func blob(t *testing.T, a azuritetest.Azurite, name string) *blockblob.Client {
	t.Helper()
	c, err := azblob.NewClientFromConnectionString(a.ConnectionString(), &azblob.ClientOptions{ClientOptions: once})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.CreateContainer(t.Context(), "strict", nil)
	return c.ServiceClient().NewContainerClient("strict").NewBlockBlobClient(name)
}

func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	if e, ok := errors.AsType[*azcore.ResponseError](err); !ok || e.StatusCode != status || e.ErrorCode != code {
		t.Errorf("%v; want %d %s", err, status, code)
	}
}

// What the proxy refuses Azurite itself takes: were it otherwise, the proxy
// would prove nothing.
func TestStrict(t *testing.T) {
	loose := azuritetest.Shared(t)
	strict := azuritetest.Strict(t, loose)
	ctx := t.Context()
	name := func() string { return fmt.Sprint(time.Now().UnixNano()) }
	const one, long = "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
	stage := func(b *blockblob.Client, id, body string) error {
		_, err := b.StageBlock(ctx, id, streaming.NopCloser(strings.NewReader(body)), nil)
		return err
	}

	t.Run("empty part", func(t *testing.T) {
		n := name()
		if err := stage(blob(t, loose, n), one, ""); err != nil {
			t.Errorf("azurite: %v", err)
		}
		refused(t, stage(blob(t, strict, n), one, ""), 400, "InvalidHeaderValue")
	})
	t.Run("ids of two lengths", func(t *testing.T) {
		b := blob(t, strict, name())
		if err := stage(b, one, "x"); err != nil {
			t.Fatal(err)
		}
		refused(t, stage(b, long, "x"), 400, "InvalidBlobOrBlock")
	})
	t.Run("put blob drops blocks", func(t *testing.T) {
		for _, a := range []azuritetest.Azurite{loose, strict} {
			b := blob(t, a, name())
			if err := stage(b, one, "x"); err != nil {
				t.Fatal(err)
			}
			if _, err := b.UploadBuffer(ctx, []byte("whole"), nil); err != nil {
				t.Fatal(err)
			}
			list, err := b.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.CommitBlockList(ctx, []string{one}, nil)
			if a == strict {
				refused(t, err, 400, "InvalidBlockList")
			} else if err != nil {
				t.Errorf("azurite: %v", err)
			}
			if (len(list.UncommittedBlocks) == 0) != (a == strict) {
				t.Errorf("strict %v: %d uncommitted blocks", a == strict, len(list.UncommittedBlocks))
			}
		}
	})
	t.Run("delete of blocks alone", func(t *testing.T) {
		for _, a := range []azuritetest.Azurite{loose, strict} {
			b := blob(t, a, name())
			if err := stage(b, one, "x"); err != nil {
				t.Fatal(err)
			}
			_, err := b.Delete(ctx, nil)
			if a == strict {
				refused(t, err, 404, "BlobNotFound")
			} else if err != nil {
				t.Errorf("azurite: %v", err)
			}
		}
	})
	t.Run("two partitions", func(t *testing.T) {
		for _, a := range []azuritetest.Azurite{loose, strict} {
			s, err := aztables.NewServiceClientFromConnectionString(a.ConnectionString(), &aztables.ClientOptions{ClientOptions: once})
			if err != nil {
				t.Fatal(err)
			}
			table := s.NewClient("t" + name())
			if _, err := table.CreateTable(ctx, nil); err != nil {
				t.Fatal(err)
			}
			var actions []aztables.TransactionAction
			for _, partition := range []string{"p", "q"} {
				body, err := json.Marshal(map[string]string{"PartitionKey": partition, "RowKey": "r"})
				if err != nil {
					t.Fatal(err)
				}
				actions = append(actions, aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: body})
			}
			_, err = table.SubmitTransaction(ctx, actions, nil)
			if a == strict {
				refused(t, err, 400, "CommandsInBatchActOnDifferentPartitions")
			} else if err != nil {
				t.Errorf("azurite: %v", err)
			}
		}
	})
}

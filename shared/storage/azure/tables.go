package azure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

type tables struct{ service *aztables.ServiceClient }

var _ storage.Tables = (*tables)(nil)

func place(table, row string) string { return table + " row " + row }

// Get implements storage.Tables.
func (t *tables) Get(ctx context.Context, table, partition, row string) (storage.Entity, error) {
	if err := storage.CheckRow(table, partition, row); err != nil {
		return storage.Entity{}, err
	}
	resp, err := t.service.NewClient(table).GetEntity(ctx, partition, row, nil)
	if err != nil {
		return storage.Entity{}, at(fail(ctx, err, "get", place(table, row)), row)
	}
	e, err := decodeEntity(resp.Value)
	if err != nil {
		return storage.Entity{}, fault.Wrap(err, fault.Internal, "get "+place(table, row))
	}
	e.ETag = string(resp.ETag)
	return e, nil
}

// Apply implements storage.Tables.
func (t *tables) Apply(ctx context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if err := storage.CheckOps(table, partition, ops); err != nil || len(ops) == 0 {
		return nil, err
	}
	actions := make([]aztables.TransactionAction, len(ops))
	for i, op := range ops {
		entity, err := encodeEntity(partition, op.Row, op.Props)
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "write "+place(table, op.Row))
		}
		actions[i] = aztables.TransactionAction{ActionType: actionOf[op.Kind], Entity: entity}
		if op.IfMatch != "" {
			// Without a condition an update would insert what is not there.
			actions[i].IfMatch = new(azcore.ETag(op.IfMatch))
		}
	}
	ctx = watched(ctx)
	client := t.service.NewClient(table)
	var answers []answer
	err := ensured(ctx, "TableNotFound", func(ctx context.Context) error {
		_, err := client.CreateTable(ctx, nil)
		return err
	}, func(ctx context.Context) (err error) {
		answers, err = submit(ctx, client, actions)
		return err
	})
	if f, ok := errors.AsType[*opError](err); ok && f.index < len(ops) {
		row := ops[f.index].Row
		return nil, at(fail(ctx, f.err, "write", place(table, row)), row)
	}
	if err != nil {
		return nil, fail(ctx, err, "write", "table "+table)
	}
	etags := make([]string, len(ops))
	for i, op := range ops {
		if op.Kind != storage.Delete {
			etags[i] = answers[i].etag
		}
	}
	return etags, nil
}

var actionOf = map[storage.OpKind]aztables.TransactionType{
	storage.Insert:  aztables.TransactionTypeAdd,
	storage.Replace: aztables.TransactionTypeUpdateReplace,
	storage.Upsert:  aztables.TransactionTypeInsertReplace,
	storage.Delete:  aztables.TransactionTypeDelete,
}

// submit sends a transaction and reads its answer, of which the SDK keeps
// neither the new ETags nor, where it fails, the operation that did.
func submit(ctx context.Context, client *aztables.Client, actions []aztables.TransactionAction) ([]answer, error) {
	var resp *http.Response
	_, err := client.SubmitTransaction(policy.WithCaptureResponse(ctx, &resp), actions, nil)
	if resp == nil {
		return nil, err
	}
	if s, ok := statusOf(err); ok && s.status != http.StatusAccepted {
		return nil, err
	}
	if _, isResponse := errors.AsType[*azcore.ResponseError](err); err != nil && !isResponse {
		return nil, err
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return nil, err
	}
	return readBatch(resp.Header.Get("x-ms-request-id"), body, len(actions))
}

// Query implements storage.Tables.
func (t *tables) Query(ctx context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return func(yield func(storage.Entity, error) bool) {
		if err := storage.CheckQuery(table, partition, r); err != nil {
			yield(storage.Entity{}, err)
			return
		}
		filter := "PartitionKey eq '" + partition + "'"
		if r.From != "" {
			filter += " and RowKey ge '" + quote(r.From) + "'"
		}
		if r.To != "" {
			filter += " and RowKey lt '" + quote(r.To) + "'"
		}
		pager := t.service.NewClient(table).NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter})
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if hasCode(err, "TableNotFound") {
				return
			}
			if err != nil {
				yield(storage.Entity{}, fail(ctx, err, "query", "table "+table))
				return
			}
			for _, body := range page.Entities {
				e, err := decodeEntity(body)
				if err != nil {
					yield(storage.Entity{}, fault.Wrap(err, fault.Internal, fmt.Sprintf("query table %s", table)))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func quote(s string) string { return strings.ReplaceAll(s, "'", "''") }

// at names the row at fault.
func at(err error, row string) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		e.Target = row
	}
	return err
}

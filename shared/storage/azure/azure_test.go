package azure_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
	"github.com/portico-ml/portico/shared/storage/storagetest"
)

func open(t *testing.T, a azuritetest.Azurite) storage.Store {
	t.Helper()
	s, err := azure.Open(azure.Settings{ConnectionString: a.ConnectionString()})
	if err != nil {
		t.Fatal(err)
	}
	return s.Store
}

// The suite runs behind the proxy that refuses what only Azure refuses; what
// it lets through, Azurite answers.
func TestConformance(t *testing.T) {
	a := azuritetest.Strict(t, azuritetest.Shared(t))
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, a) })
}

// The Functions host reads what we send: base64, that never expires. And we
// read what others send.
func TestQueueMessages(t *testing.T) {
	a := azuritetest.Shared(t)
	s := open(t, a)
	ctx := t.Context()
	queue := fmt.Sprintf("raw%d", time.Now().UnixNano())
	client, err := azqueue.NewQueueClientFromConnectionString(a.ConnectionString(), queue, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Queues.Send(ctx, queue, []byte(`{"v":1}`), 0); err != nil {
		t.Fatal(err)
	}
	got, err := client.DequeueMessage(ctx, nil)
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(got.Messages), err)
	}
	m := got.Messages[0]
	if *m.MessageText != base64.StdEncoding.EncodeToString([]byte(`{"v":1}`)) {
		t.Errorf("text %q", *m.MessageText)
	}
	if m.ExpirationTime.Before(time.Now().AddDate(100, 0, 0)) {
		t.Errorf("it expires at %v", m.ExpirationTime)
	}
	if _, err := client.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"not base64!", "bm90IGJhc2U2NCE="} {
		if _, err := client.EnqueueMessage(ctx, text, nil); err != nil {
			t.Fatal(err)
		}
		ms, err := s.Queues.Receive(ctx, queue, 1, time.Minute)
		if err != nil || len(ms) != 1 || string(ms[0].Body) != "not base64!" {
			t.Errorf("%v, %v", ms, err)
		}
	}
}

// Package azure is the storage driver over Azure Blob, Table and Queue
// storage, and over Azurite.
//
// Containers, tables and queues are made when a call finds them missing, so
// that no call pays for asking. Passing faults are retried; where a retry is
// answered with a conflict although an earlier try may have been the one that
// did it, the result is fault.Unavailable, so that a Conflict always means
// somebody else. Errors carry status and code, never an address or a body.
package azure

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Store is an open storage account.
type Store struct{ storage.Store }

// Option changes how a Store is opened.
type Option func(*options)

type options struct {
	client azcore.ClientOptions
	token  azcore.TokenCredential
}

// WithTransport sends requests by t instead of the SDK's own HTTP client.
func WithTransport(t policy.Transporter) Option {
	return func(o *options) { o.client.Transport = t }
}

// WithToken gets in by c instead of the credential that the settings name.
func WithToken(c azcore.TokenCredential) Option {
	return func(o *options) { o.token = c }
}

// Open prepares the clients of an account; it does not call it.
func Open(s Settings, opts ...Option) (*Store, error) {
	o := options{client: azcore.ClientOptions{
		Telemetry:        policy.TelemetryOptions{ApplicationID: "portico"},
		Retry:            policy.RetryOptions{MaxRetries: 4, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 10 * time.Second},
		PerRetryPolicies: []policy.Policy{watchTries{}},
	}}
	for _, opt := range opts {
		opt(&o)
	}
	e, err := s.endpoints()
	if err != nil {
		return nil, err
	}
	if o.token != nil {
		e.token, e.key, e.sas = o.token, "", ""
	}
	blobService, signer, err := newBlobService(e, o.client)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open blob storage of "+s.String())
	}
	tableService, err := newTableService(e, o.client)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open table storage of "+s.String())
	}
	queueService, err := newQueueService(e, o.client)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open queue storage of "+s.String())
	}
	container := func(name string) storage.Blobs {
		return &blobs{name: name, base: e.blob, client: blobService.NewContainerClient(name), sign: signer}
	}
	return &Store{storage.Store{
		Blobs:    container(storage.Container),
		Drop:     container(storage.DropContainer),
		DropDone: container(storage.DropDoneContainer),
		Tables:   &tables{tableService},
		Queues:   &queues{queueService},
	}}, nil
}

func newBlobService(e endpoints, o azcore.ClientOptions) (*service.Client, signer, error) {
	o.PerCallPolicies = append(o.PerCallPolicies, uncommittedOnly{})
	co := &service.ClientOptions{ClientOptions: o}
	switch {
	case e.token != nil:
		c, err := service.NewClient(e.blob+"/", e.token, co)
		return c, &delegationSigner{client: c}, err
	case e.key != "":
		cred, err := blob.NewSharedKeyCredential(e.name, e.key)
		if err != nil {
			return nil, nil, fmt.Errorf("the AccountKey is not base64")
		}
		c, err := service.NewClientWithSharedKeyCredential(e.blob+"/", cred, co)
		return c, &keySigner{cred}, err
	default:
		c, err := service.NewClientWithNoCredential(e.blob+"/?"+e.sas, co)
		return c, noSigner{}, err
	}
}

func newTableService(e endpoints, o azcore.ClientOptions) (*aztables.ServiceClient, error) {
	co := &aztables.ClientOptions{ClientOptions: o}
	switch {
	case e.token != nil:
		return aztables.NewServiceClient(e.table, e.token, co)
	case e.key != "":
		cred, err := aztables.NewSharedKeyCredential(e.name, e.key)
		if err != nil {
			return nil, fmt.Errorf("the AccountKey is not base64")
		}
		return aztables.NewServiceClientWithSharedKey(e.table, cred, co)
	default:
		return aztables.NewServiceClientWithNoCredential(e.table+"/?"+e.sas, co)
	}
}

func newQueueService(e endpoints, o azcore.ClientOptions) (*azqueue.ServiceClient, error) {
	co := &azqueue.ClientOptions{ClientOptions: o}
	switch {
	case e.token != nil:
		return azqueue.NewServiceClient(e.queue+"/", e.token, co)
	case e.key != "":
		cred, err := azqueue.NewSharedKeyCredential(e.name, e.key)
		if err != nil {
			return nil, fmt.Errorf("the AccountKey is not base64")
		}
		return azqueue.NewServiceClientWithSharedKeyCredential(e.queue+"/", cred, co)
	default:
		return azqueue.NewServiceClientWithNoCredential(e.queue+"/?"+e.sas, co)
	}
}

// ensured runs call, and where it fails because its container, table or queue
// is missing, makes that and runs it again.
func ensured(ctx context.Context, code string, create, call func(context.Context) error) error {
	err := call(ctx)
	if !hasCode(err, code) {
		return err
	}
	if err := create(ctx); err != nil && !hasStatus(err, 409) {
		return err
	}
	return call(ctx)
}

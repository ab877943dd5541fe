package azure

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// signer makes the query of a shared access signature for one blob.
type signer interface {
	sign(ctx context.Context, base, container, key, perm string, until time.Time) (string, error)
}

func signature(base, container, key, perm string, until time.Time) sas.BlobSignatureValues {
	protocol := sas.ProtocolHTTPS
	if strings.HasPrefix(base, "http:") { // Azurite
		protocol = sas.ProtocolHTTPSandHTTP
	}
	return sas.BlobSignatureValues{Protocol: protocol, ExpiryTime: until.UTC(), Permissions: perm, ContainerName: container, BlobName: key}
}

// keySigner signs with the account's key.
type keySigner struct{ cred *blob.SharedKeyCredential }

func (s *keySigner) sign(_ context.Context, base, container, key, perm string, until time.Time) (string, error) {
	q, err := signature(base, container, key, perm, until).SignWithSharedKey(s.cred)
	return q.Encode(), err
}

// delegationSigner signs with a key that the service gives our identity. Such a
// key lives for a week at most, and a signature no longer than its key.
type delegationSigner struct {
	client *service.Client

	mu      sync.Mutex
	cred    *service.UserDelegationCredential
	expires time.Time
}

func (s *delegationSigner) sign(ctx context.Context, base, container, key, perm string, until time.Time) (string, error) {
	cred, expires, err := s.credential(ctx, until)
	if err != nil {
		return "", err
	}
	if until.After(expires) {
		until = expires
	}
	q, err := signature(base, container, key, perm, until).SignWithUserDelegation(cred)
	return q.Encode(), err
}

// credential returns a key that outlives until, or the longest-lived there is.
func (s *delegationSigner) credential(ctx context.Context, until time.Time) (*service.UserDelegationCredential, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cred != nil && until.Before(s.expires) {
		return s.cred, s.expires, nil
	}
	start := time.Now().UTC().Truncate(time.Second)
	expires := start.Add(storage.MaxSigned)
	cred, err := s.client.GetUserDelegationCredential(ctx, service.KeyInfo{
		Start:  new(start.Format(sas.TimeFormat)),
		Expiry: new(expires.Format(sas.TimeFormat)),
	}, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	s.cred, s.expires = cred, expires
	return cred, expires, nil
}

// noSigner is for accounts that we enter by a shared access signature.
type noSigner struct{}

func (noSigner) sign(context.Context, string, string, string, string, time.Time) (string, error) {
	return "", fault.New(fault.Unsupported, "", "links need an account key or an identity: the storage settings hold a shared access signature only")
}

// Package links signs and verifies the addresses of blobs in the embedded
// store, which have no account key behind them:
//
//	{base}/blobs/{container}/{key}?se=2026-11-23T08:00:00Z&sp=r&sig=…
//
// sp is "r" to read or "w" to write, se the end, sig an HMAC-SHA256 over both
// and the blob's name. The host is not signed: behind a proxy or another name
// the link is the same link.
package links

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// What a link allows.
const (
	Read  = "r"
	Write = "w"
)

// prefix begins the path of every link.
const prefix = "/blobs/"

// timeLayout is that of the times in a shared access signature.
const timeLayout = "2006-01-02T15:04:05Z"

// Signer makes and checks links.
type Signer struct {
	// Base returns scheme and authority under which callers reach us.
	Base func() string
	// Secrets returns the secrets, the current one first: it signs, all
	// verify. It is asked for each link, so it may fail for a while.
	Secrets func(ctx context.Context) ([][]byte, error)
}

// Sign returns a link that allows perm, Read or Write, on a blob. It is what
// sqlite.Options.Sign wants.
func (s *Signer) Sign(ctx context.Context, container, key, perm string, until time.Time) (storage.SignedURL, error) {
	secrets, err := s.Secrets(ctx)
	if err != nil {
		return storage.SignedURL{}, err
	}
	if len(secrets) == 0 {
		return storage.SignedURL{}, fault.New(fault.Unavailable, "", "there is no secret to sign a link with")
	}
	se := until.UTC().Format(timeLayout)
	q := url.Values{"sp": {perm}, "se": {se}, "sig": {base64.StdEncoding.EncodeToString(mac(secrets[0], container, key, perm, se))}}
	return storage.SignedURL{
		Base:  strings.TrimRight(s.Base(), "/") + prefix,
		Path:  container + "/" + key,
		Query: "?" + q.Encode(),
	}, nil
}

// Verify checks that a query, of a link to the blob, allows perm now.
func (s *Signer) Verify(ctx context.Context, container, key string, q url.Values, perm string) error {
	secrets, err := s.Secrets(ctx)
	if err != nil {
		return err
	}
	sp, se := q.Get("sp"), q.Get("se")
	given, err := base64.StdEncoding.DecodeString(q.Get("sig"))
	genuine := false
	if err == nil {
		for _, secret := range secrets {
			genuine = hmac.Equal(given, mac(secret, container, key, sp, se)) || genuine
		}
	}
	if !genuine {
		return fault.New(fault.Forbidden, CodeSignature, "the link's signature does not fit this blob")
	}
	until, err := time.Parse(timeLayout, se)
	if err != nil || !time.Now().Before(until) {
		return fault.New(fault.Forbidden, CodeSignature, "the link has expired: it was good until %s", se)
	}
	if sp != perm {
		return fault.New(fault.Forbidden, CodePermission, "the link allows sp=%s, this needs sp=%s", sp, perm)
	}
	return nil
}

// Codes of refusals, those of Azure Storage.
const (
	CodeSignature  = "AuthenticationFailed"
	CodePermission = "AuthorizationPermissionMismatch"
)

func mac(secret []byte, container, key, perm, se string) []byte {
	h := hmac.New(sha256.New, secret)
	// None of the parts can hold a line break.
	h.Write([]byte("portico/1 blob\n" + perm + "\n" + se + "\n" + container + "\n" + key))
	return h.Sum(nil)
}

// Own tells whether an address that a caller gives is one of our links, and if
// so which blob of st it is good for. An address under our own Base that is no
// good link is own with an error: it must never be dialled.
func (s *Signer) Own(ctx context.Context, st storage.Store, address *url.URL, write bool) (b storage.Blobs, key string, own bool, err error) {
	base, err := url.Parse(s.Base())
	ours := err == nil && base.Host != "" && strings.EqualFold(base.Host, address.Host)
	rest, isLink := strings.CutPrefix(address.Path, prefix)
	container, key, named := strings.Cut(rest, "/")
	q := address.Query()
	if !ours && (!isLink || !named || q.Get("sig") == "") {
		return nil, "", false, nil
	}
	b = Container(st, container)
	if !isLink || !named || b == nil {
		return nil, "", true, fault.New(fault.BadArgument, "InvalidBlob", "%s is this service: its blobs are under %s{container}/{blob}", address.Host, prefix)
	}
	perm := Read
	if write {
		perm = Write
	}
	if err = s.Verify(ctx, container, key, q, perm); err != nil {
		// A signature that is not ours, on somebody else's host: theirs.
		if !ours && fault.HasCode(err, CodeSignature) {
			return nil, "", false, nil
		}
		return nil, "", true, err
	}
	return b, key, true, nil
}

// Container returns the container of st with that name, nil where it has none.
func Container(st storage.Store, name string) storage.Blobs {
	switch name {
	case storage.Container:
		return st.Blobs
	case storage.DropContainer:
		return st.Drop
	case storage.DropDoneContainer:
		return st.DropDone
	}
	return nil
}

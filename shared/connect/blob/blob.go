package blob

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Codes of this package's errors.
const (
	CodeNotFound = "BlobNotFound" // fault.NotFound: there is no such blob, container or account
	CodeDenied   = "AccessDenied" // fault.Forbidden: the signature or key does not allow it
)

// Config is what a Connector works with.
type Config struct {
	// Transport dials callers' addresses: guard's.
	Transport http.RoundTripper
	// Own, where set, recognises an address of our own embedded store by its
	// host and verifies its signature (write: that it may be written). own is
	// false for everybody else's address. It never needs a connection.
	Own func(ctx context.Context, address *url.URL, write bool) (b storage.Blobs, key string, own bool, err error)
	// Accounts are the blob hosts of our own storage accounts. A caller's
	// connection string for one is refused; a signed URL is dialled as any.
	Accounts []string
}

// Connector opens the blobs callers name. It is safe for concurrent use.
type Connector struct {
	conf   Config
	client *http.Client
	sizes  sizes
}

// New returns a connector.
func New(c Config) *Connector {
	return &Connector{conf: c, sizes: sizes{wholeMax, blockSize}, client: &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// transport keeps the SDK from asking again for what guard refused, and where
// nobody will ever answer.
type transport struct{ client *http.Client }

func (t transport) Do(r *http.Request) (*http.Response, error) {
	resp, err := t.client.Do(r)
	e, ours := errors.AsType[*fault.Error](err)
	if ours && !e.Kind.Traits().Retry || connect.Unreachable("", err) != "" {
		err = final{err}
	}
	return resp, err
}

// final is an error that the SDK's retries leave alone.
type final struct{ error }

func (final) NonRetriable() {}

func (f final) Unwrap() error { return f.error }

// Info describes a blob.
type Info struct {
	ETag string
	Size int64
	Meta map[string]string
}

// Blob is one blob of a caller's. It is safe for concurrent use.
type Blob struct {
	addr   *address
	sizes  sizes
	remote *blockblob.Client
	cred   *azblob.SharedKeyCredential
	// options are those of every client that reaches the blob's service.
	options azcore.ClientOptions

	own storage.Blobs // instead of remote
	key string
}

// Own is a blob of a store of ours, for those who treat all alike.
func Own(b storage.Blobs, key string) *Blob {
	return &Blob{own: b, key: key, addr: &address{name: key}, sizes: sizes{wholeMax, blockSize}}
}

// Open takes a reference apart and finds out how its blob is reached; write
// says what for. It does not touch the blob.
func (c *Connector) Open(ctx context.Context, r Reference, write bool) (*Blob, error) {
	a, err := parse(r)
	if err != nil {
		return nil, err
	}
	full := a.url()
	if a.sas != "" {
		full += "?" + a.sas
	}
	u, err := url.Parse(full)
	if err != nil {
		return nil, invalid("InvalidBlob", "the blob reference is not an address")
	}
	b := &Blob{addr: a, sizes: c.sizes}
	if c.conf.Own != nil {
		own := false
		if b.own, b.key, own, err = c.conf.Own(ctx, u, write); own || err != nil {
			return b, err
		}
	}
	if a.sas == "" && slices.Contains(c.conf.Accounts, strings.ToLower(u.Hostname())) {
		return nil, invalid("InvalidBlob", "host %s is this service's own storage: name its blobs by a signed link", u.Hostname())
	}
	b.options = azcore.ClientOptions{
		Transport: transport{c.client},
		Retry:     policy.RetryOptions{MaxRetries: 2, TryTimeout: 2 * time.Minute, RetryDelay: 500 * time.Millisecond, MaxRetryDelay: 5 * time.Second},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	opts := &blockblob.ClientOptions{ClientOptions: b.options}
	if a.sas != "" {
		b.remote, err = blockblob.NewClientWithNoCredential(full, opts)
	} else if b.cred, err = azblob.NewSharedKeyCredential(a.account, a.key); err == nil {
		b.remote, err = blockblob.NewClientWithSharedKeyCredential(full, b.cred, opts)
	}
	if err != nil {
		return nil, invalid("InvalidBlob", "the blob reference cannot be used").Because(err)
	}
	return b, nil
}

// Base and Path are the parts of the blob's address as a classic reference
// shows them; neither holds a secret.
func (b *Blob) Base() string { return b.addr.base }

// Path is the blob's container and name.
func (b *Blob) Path() string { return b.addr.container + "/" + b.addr.name }

// String names the blob by host and path.
func (b *Blob) String() string {
	if b.addr.base == "" {
		return b.key
	}
	return b.addr.url()
}

// Readable reports whether the signature allows to look at the blob, as far as
// it says.
func (b *Blob) Readable() bool {
	if b.own != nil {
		return true
	}
	sp, given := b.permissions()
	return !given || strings.Contains(sp, "r")
}

func (b *Blob) permissions() (sp string, given bool) {
	if b.addr.sas == "" {
		return "", false
	}
	q, err := url.ParseQuery(b.addr.sas)
	if err != nil || !q.Has("sp") {
		return "", false
	}
	return q.Get("sp"), true
}

// Head describes the blob.
func (b *Blob) Head(ctx context.Context) (Info, error) {
	if b.own != nil {
		i, err := b.own.Head(ctx, b.key)
		return Info{i.ETag, i.Size, i.Meta}, b.fail(err)
	}
	p, err := b.remote.GetProperties(ctx, nil)
	if err != nil {
		return Info{}, b.fail(err)
	}
	i := Info{Meta: make(map[string]string, len(p.Metadata))}
	if p.ETag != nil {
		i.ETag = string(*p.ETag)
	}
	if p.ContentLength != nil {
		i.Size = *p.ContentLength
	}
	for k, v := range p.Metadata {
		if v != nil {
			i.Meta[strings.ToLower(k)] = *v
		}
	}
	return i, nil
}

// Read reads n bytes from off, of the version etag; storage.CodeCondition
// where the blob is another by now. The reader gives exactly n bytes or fails.
func (b *Blob) Read(ctx context.Context, etag string, off, n int64) (io.ReadCloser, error) {
	if b.own != nil {
		_, r, err := b.own.Get(ctx, b.key, storage.ReadOptions{Offset: off, Length: n, IfMatch: etag})
		return r, b.fail(err)
	}
	resp, err := b.remote.DownloadStream(ctx, &azblob.DownloadStreamOptions{
		Range:            azblob.HTTPRange{Offset: off, Count: n},
		AccessConditions: ifMatch(etag),
	})
	if err != nil {
		return nil, b.fail(err)
	}
	return &body{blob: b, r: resp.NewRetryReader(ctx, &azblob.RetryReaderOptions{MaxRetries: 3})}, nil
}

// body cleans the errors of a download.
type body struct {
	blob *Blob
	r    io.ReadCloser
}

func (r *body) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = r.blob.fail(err)
	}
	return n, err
}

func (r *body) Close() error { return r.r.Close() }

func ifMatch(etag string) *azblob.AccessConditions {
	return conditions(storage.Condition{IfMatch: etag})
}

func conditions(c storage.Condition) *azblob.AccessConditions {
	m := &azblob.ModifiedAccessConditions{}
	if c.IfMatch != "" {
		m.IfMatch = to.Ptr(azcore.ETag(c.IfMatch))
	}
	if c.IfAbsent {
		m.IfNoneMatch = to.Ptr(azcore.ETagAny)
	}
	return &azblob.AccessConditions{ModifiedAccessConditions: m}
}

// SignRead returns the blob's reference as it can be shown in a result: with
// a signature that reads until then where the account key is known, with the
// caller's own where that can do nothing but read, else without one.
func (b *Blob) SignRead(ctx context.Context, until time.Time) (Reference, error) {
	r := Reference{BaseLocation: b.addr.base, RelativeLocation: b.Path()}
	switch {
	case b.own != nil:
		u, err := b.own.SignRead(ctx, b.key, until)
		if err != nil {
			return r, b.fail(err)
		}
		return Reference{BaseLocation: u.Base, RelativeLocation: u.Path, SasBlobToken: u.Query}, nil
	case b.cred != nil:
		protocol := sas.ProtocolHTTPS
		if strings.HasPrefix(b.addr.base, "http:") {
			protocol = sas.ProtocolHTTPSandHTTP
		}
		q, err := sas.BlobSignatureValues{
			Protocol: protocol, ExpiryTime: until.UTC().Truncate(time.Second),
			Permissions:   (&sas.BlobPermissions{Read: true}).String(),
			ContainerName: b.addr.container, BlobName: b.addr.name,
		}.SignWithSharedKey(b.cred)
		if err != nil {
			return r, fault.New(fault.Internal, "", "sign a link").Because(err)
		}
		r.SasBlobToken = "?" + q.Encode()
	default:
		if sp, _ := b.permissions(); sp == "r" {
			r.SasBlobToken = "?" + b.addr.sas
		}
	}
	return r, nil
}

// fail gives an error its kind and a text that names the blob and what the
// storage said, and nothing that the SDK prints.
func (b *Blob) fail(err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*fault.Error](err); ours && b.own != nil {
		return b.ownFault(err)
	}
	resp, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		if _, ours := errors.AsType[*fault.Error](err); ours {
			return fault.Wrap(err, fault.Unavailable, "reach "+b.String()) // guard's refusal, with its own text
		}
		if why := connect.Unreachable(b.host(), err); why != "" {
			return fault.New(fault.BadArgument, "InvalidBlob", "blob %s cannot be reached: %s", b, why)
		}
		e := fault.Of(fault.Wrap(err, fault.Unavailable, "reach a caller's blob"))
		e.Msg = fmt.Sprintf("blob %s could not be reached", b)
		if b.addr.quoted(e.Error()) {
			e.Err = errors.New("the cause quotes a secret and is withheld")
		}
		return e
	}
	said := fmt.Sprintf("blob %s: the storage answered %d %s", b, resp.StatusCode, resp.ErrorCode)
	switch resp.StatusCode {
	case http.StatusNotFound:
		return fault.New(fault.NotFound, CodeNotFound, "%s", said)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Forbidden, CodeDenied, "%s", said)
	case http.StatusPreconditionFailed, http.StatusConflict, http.StatusNotModified:
		return fault.New(fault.Conflict, storage.CodeCondition, "%s", said)
	case http.StatusRequestedRangeNotSatisfiable:
		return fault.New(fault.Conflict, storage.CodeCondition, "%s: it is shorter than it was", said)
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "", "%s", said)
	}
	if resp.StatusCode >= 500 {
		return fault.New(fault.Unavailable, "", "%s", said)
	}
	if resp.ErrorCode == "InvalidBlockList" {
		return fault.New(fault.Conflict, storage.CodeCondition, "%s", said)
	}
	return fault.New(fault.BadArgument, "InvalidBlob", "%s", said)
}

// host is where the blob's service is.
func (b *Blob) host() string {
	u, err := url.Parse(b.addr.base)
	if err != nil {
		return ""
	}
	return u.Host
}

func (b *Blob) ownFault(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, CodeNotFound, "blob %s does not exist", b)
	}
	return err
}

func blockName(id storage.PartID) string { return base64.StdEncoding.EncodeToString(id[:]) }

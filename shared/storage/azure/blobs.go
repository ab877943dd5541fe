package azure

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"hash/crc64"
	"io"
	"iter"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// blobs is one container.
type blobs struct {
	name   string
	base   string
	client *container.Client
	sign   signer
	made   atomic.Bool // the container is there
}

var _ storage.Blobs = (*blobs)(nil)

func (b *blobs) blob(key string) *blockblob.Client { return b.client.NewBlockBlobClient(key) }

func (b *blobs) ensured(ctx context.Context, call func(context.Context) error) error {
	return ensured(ctx, "ContainerNotFound", func(ctx context.Context) error {
		_, err := b.client.Create(ctx, nil)
		return err
	}, call)
}

func conditions(c storage.Condition) *blob.AccessConditions {
	var m blob.ModifiedAccessConditions
	if c.IfMatch != "" {
		m.IfMatch = new(azcore.ETag(c.IfMatch))
	}
	if c.IfAbsent {
		m.IfNoneMatch = new(azcore.ETagAny)
	}
	return &blob.AccessConditions{ModifiedAccessConditions: &m}
}

// Get implements storage.Blobs.
func (b *blobs) Get(ctx context.Context, key string, o storage.ReadOptions) (storage.BlobInfo, io.ReadCloser, error) {
	var none storage.BlobInfo
	if err := storage.CheckRead(key, o); err != nil {
		return none, nil, err
	}
	cond := storage.Condition{IfMatch: o.IfMatch}
	if o.IfMatch == storage.AnyETag {
		cond.IfMatch = "" // a read needs the blob anyway
	}
	if o.Length > 1<<62-o.Offset {
		o.Length = 0
	}
	resp, err := b.blob(key).DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range:            blob.HTTPRange{Offset: o.Offset, Count: o.Length},
		AccessConditions: conditions(cond),
	})
	if hasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		// The range begins at or past the end.
		info, err := b.head(ctx, key, cond)
		if err != nil {
			return none, nil, err
		}
		return info, io.NopCloser(strings.NewReader("")), nil
	}
	if err == nil && resp.ErrorCode != nil {
		// The SDK takes a 304 for a success.
		err = &statusError{status: http.StatusNotModified, code: *resp.ErrorCode}
	}
	if err != nil {
		return none, nil, b.fail(ctx, err, storage.Condition{IfMatch: o.IfMatch}, "get", key)
	}
	info := storage.BlobInfo{Key: key, ETag: etagOf(resp.ETag), Size: valueOf(resp.ContentLength), Modified: timeOf(resp.LastModified), Meta: metaOf(resp.Metadata)}
	if resp.ContentRange != nil {
		// bytes 3-6/10
		_, total, _ := strings.Cut(*resp.ContentRange, "/")
		if info.Size, err = strconv.ParseInt(total, 10, 64); err != nil {
			resp.Body.Close()
			return none, nil, fault.New(fault.Unavailable, "", "storage answered with the content range %q", *resp.ContentRange)
		}
	}
	return info, &reader{ctx, key, resp.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: 3, EarlyCloseAsError: true})}, nil
}

// reader gives the errors of a body their kind. When a connection breaks, the
// SDK's reader goes on with a new request for the same ETag.
type reader struct {
	ctx  context.Context
	key  string
	body io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fail(r.ctx, err, "read", "blob "+r.key)
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }

// Head implements storage.Blobs.
func (b *blobs) Head(ctx context.Context, key string) (storage.BlobInfo, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.BlobInfo{}, err
	}
	return b.head(ctx, key, storage.Condition{})
}

func (b *blobs) head(ctx context.Context, key string, c storage.Condition) (storage.BlobInfo, error) {
	resp, err := b.blob(key).GetProperties(ctx, &blob.GetPropertiesOptions{AccessConditions: conditions(c)})
	if err != nil {
		return storage.BlobInfo{}, b.fail(ctx, err, c, "head", key)
	}
	return storage.BlobInfo{Key: key, ETag: etagOf(resp.ETag), Size: valueOf(resp.ContentLength), Modified: timeOf(resp.LastModified), Meta: metaOf(resp.Metadata)}, nil
}

// Put implements storage.Blobs.
func (b *blobs) Put(ctx context.Context, key string, body []byte, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	if err := storage.CheckPut(key, body, meta, c); err != nil {
		return storage.BlobInfo{}, err
	}
	ctx = watched(ctx)
	info := storage.BlobInfo{Key: key, Size: int64(len(body)), Meta: maps.Clone(meta)}
	sum := sumOf(body)
	err := b.ensured(ctx, func(ctx context.Context) error {
		resp, err := b.blob(key).Upload(ctx, contentOf(body), &blockblob.UploadOptions{
			Metadata: toMeta(meta), AccessConditions: conditions(c), TransactionalValidation: sum,
		})
		info.ETag, info.Modified = etagOf(resp.ETag), timeOf(resp.LastModified)
		return err
	})
	return info, b.fail(ctx, err, c, "put", key)
}

// fail is the function fail for a call under a condition, whose failure one
// operation answers with 404, another with 409 and a third with 412.
func (b *blobs) fail(ctx context.Context, err error, c storage.Condition, op, key string) error {
	if err = fail(ctx, err, op, "blob "+key); err == nil {
		return nil
	}
	e := fault.Of(err)
	switch {
	case c.IfMatch != "" && e.Kind == fault.NotFound:
		return fault.New(fault.Conflict, storage.CodeCondition, "blob %s does not exist", key).Because(e.Err)
	case c.IfAbsent && e.Code == storage.CodeCondition && !hasCode(e.Err, "InvalidBlockList"):
		return fault.New(fault.Conflict, storage.CodeExists, "blob %s exists", key).Because(e.Err)
	}
	return err
}

// SetMeta implements storage.Blobs.
func (b *blobs) SetMeta(ctx context.Context, key string, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	if err := storage.CheckSetMeta(key, meta, c); err != nil {
		return storage.BlobInfo{}, err
	}
	ctx = watched(ctx)
	resp, err := b.blob(key).SetMetadata(ctx, toMeta(meta), &blob.SetMetadataOptions{AccessConditions: conditions(c)})
	if err != nil {
		return storage.BlobInfo{}, b.fail(ctx, err, c, "set the metadata of", key)
	}
	return storage.BlobInfo{Key: key, ETag: etagOf(resp.ETag), Modified: timeOf(resp.LastModified), Meta: maps.Clone(meta)}, nil
}

// PutPart implements storage.Blobs.
func (b *blobs) PutPart(ctx context.Context, key string, id storage.PartID, body []byte) error {
	if err := storage.CheckPart(key, body); err != nil {
		return err
	}
	sum := sumOf(body)
	err := b.ensured(ctx, func(ctx context.Context) error {
		_, err := b.blob(key).StageBlock(ctx, blockID(id), contentOf(body), &blockblob.StageBlockOptions{TransactionalValidation: sum})
		return err
	})
	return fail(ctx, err, "put a part of", "blob "+key)
}

func blockID(id storage.PartID) string { return base64.StdEncoding.EncodeToString(id[:]) }

// Parts implements storage.Blobs. Blocks of other writers, whose ids have
// another length, are none of ours.
func (b *blobs) Parts(ctx context.Context, key string) ([]storage.Part, error) {
	if err := storage.CheckKey(key); err != nil {
		return nil, err
	}
	var parts []storage.Part
	blocks, err := b.uncommitted(ctx, key)
	for _, block := range blocks {
		if id, err := base64.StdEncoding.DecodeString(valueOf(block.Name)); err == nil && len(id) == len(storage.PartID{}) {
			parts = append(parts, storage.Part{ID: storage.PartID(id), Size: valueOf(block.Size)})
		}
	}
	return parts, err
}

func (b *blobs) uncommitted(ctx context.Context, key string) ([]*blockblob.Block, error) {
	resp, err := b.blob(key).GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if hasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(ctx, err, "list the parts of", "blob "+key)
	}
	return resp.UncommittedBlocks, nil
}

// Commit implements storage.Blobs.
func (b *blobs) Commit(ctx context.Context, key string, parts []storage.PartID, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	if err := storage.CheckCommit(key, parts, meta, c); err != nil {
		return storage.BlobInfo{}, err
	}
	ids := make([]string, len(parts))
	for i, p := range parts {
		ids[i] = blockID(p)
	}
	ctx = watched(ctx)
	info := storage.BlobInfo{Key: key, Meta: maps.Clone(meta)}
	err := b.ensured(ctx, func(ctx context.Context) error {
		resp, err := b.blob(key).CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{Metadata: toMeta(meta), AccessConditions: conditions(c)})
		info.ETag, info.Modified = etagOf(resp.ETag), timeOf(resp.LastModified)
		return err
	})
	return info, b.fail(ctx, err, c, "commit", key)
}

// Delete implements storage.Blobs. A blob that has only uncommitted blocks does
// not exist for Delete Blob: an empty list is committed over them, which drops
// them, and the empty blob is then deleted.
func (b *blobs) Delete(ctx context.Context, key string, c storage.Condition) error {
	if err := storage.CheckDelete(key, c); err != nil {
		return err
	}
	wctx := ctx
	if c.IfMatch != "" { // otherwise it does not matter who deleted it
		wctx = watched(ctx)
	}
	_, err := b.blob(key).Delete(wctx, &blob.DeleteOptions{AccessConditions: conditions(c)})
	if err = b.fail(wctx, err, c, "delete", key); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	blocks, err := b.uncommitted(ctx, key)
	if err != nil || len(blocks) == 0 {
		return err
	}
	empty, err := b.Commit(ctx, key, nil, nil, storage.Condition{IfAbsent: true})
	if fault.Is(err, fault.Conflict) {
		return nil // somebody has written the blob anew since
	}
	if err != nil {
		return err
	}
	_, err = b.blob(key).Delete(ctx, &blob.DeleteOptions{AccessConditions: conditions(storage.Condition{IfMatch: empty.ETag})})
	if err = fail(ctx, err, "delete", "blob "+key); fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// List implements storage.Blobs.
func (b *blobs) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if err := storage.CheckPrefix(prefix); err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		pager := b.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, Include: container.ListBlobsInclude{Metadata: true}})
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if hasCode(err, "ContainerNotFound") {
				return
			}
			if err != nil {
				yield(storage.BlobInfo{}, fail(ctx, err, "list", "blobs "+prefix))
				return
			}
			for _, item := range page.Segment.BlobItems {
				p := item.Properties
				info := storage.BlobInfo{Key: valueOf(item.Name), ETag: etagOf(p.ETag), Size: valueOf(p.ContentLength), Modified: timeOf(p.LastModified), Meta: metaOf(item.Metadata)}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// SignRead implements storage.Blobs.
func (b *blobs) SignRead(ctx context.Context, key string, until time.Time) (storage.SignedURL, error) {
	return b.signed(ctx, key, "r", until)
}

// SignWrite implements storage.Blobs. Whoever gets the URL cannot make the
// container, so it is made here, once per process.
func (b *blobs) SignWrite(ctx context.Context, key string, until time.Time) (storage.SignedURL, error) {
	if err := storage.CheckSign(key, until); err != nil {
		return storage.SignedURL{}, err
	}
	if !b.made.Load() {
		if _, err := b.client.Create(ctx, nil); err != nil && !hasStatus(err, 409) {
			return storage.SignedURL{}, fail(ctx, err, "make", "container "+b.name)
		}
		b.made.Store(true)
	}
	return b.signed(ctx, key, "cw", until)
}

func (b *blobs) signed(ctx context.Context, key, perm string, until time.Time) (storage.SignedURL, error) {
	if err := storage.CheckSign(key, until); err != nil {
		return storage.SignedURL{}, err
	}
	query, err := b.sign.sign(ctx, b.base, b.name, key, perm, until)
	if err != nil {
		return storage.SignedURL{}, fail(ctx, err, "sign a URL of", "blob "+key)
	}
	return storage.SignedURL{Base: b.base + "/", Path: b.name + "/" + key, Query: "?" + query}, nil
}

// sumOf is the checksum with which the service compares what arrives, made of
// what the caller gave: the encryption of the connection says nothing of the
// buffers before and behind it. CRC-64 is what the service takes; it costs
// 5 ms for the 8 MiB of a chunk, which are on their way for 100.
func sumOf(body []byte) blob.TransferValidationType {
	return blob.TransferValidationTypeCRC64(crc64.Checksum(body, crcTable()))
}

// crcTable is of the polynomial that Azure Storage uses.
var crcTable = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(0x9A6C9329AC4BC9B5) })

func contentOf(b []byte) io.ReadSeekCloser { return streaming.NopCloser(bytes.NewReader(b)) }

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func timeOf(t *time.Time) time.Time { return valueOf(t).UTC() }

// etagOf returns an ETag with its quotes, which the list of blobs leaves out.
func etagOf(e *azcore.ETag) string {
	s := string(valueOf(e))
	if s != "" && !strings.HasSuffix(s, `"`) {
		s = `"` + s + `"`
	}
	return s
}

func toMeta(m map[string]string) map[string]*string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = &v
	}
	return out
}

// metaOf undoes what headers do to names: Go writes them X-Ms-Meta-Portico_job.
func metaOf(m map[string]*string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = valueOf(v)
	}
	return out
}

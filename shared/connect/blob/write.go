package blob

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// sizes decide how content is written.
type sizes struct {
	// whole is the largest content written by one request, which drops
	// whatever blocks others have left.
	whole int64
	// block is the size of the blocks of anything larger.
	block int64
}

const (
	wholeMax  = 256 << 20
	blockSize = 64 << 20
)

// atOnce is how many blocks of a blob are on their way at once: one request
// takes in its bytes much slower than the network gives them. Where one fails
// the others still come to their end, for the next try to find.
const atOnce = 4

// Content is what is written: Size bytes, readable again from any place.
type Content struct {
	Size int64
	Open func(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Block names the block at a position; used where it is large. The same
	// content has the same names, so that a write that died goes on.
	Block func(n int) storage.PartID
}

// Writable reports, before there is anything to write, what will keep the blob
// from being written: the signature, the key, the container.
func (b *Blob) Writable(ctx context.Context) error {
	if b.own != nil {
		return nil // opened for writing
	}
	if sp, given := b.permissions(); given && !strings.ContainsAny(sp, "cw") {
		return fault.New(fault.Forbidden, CodeDenied, "blob %s: its signature allows %q, and not to write (w)", b, sp)
	}
	if !b.Readable() {
		return nil
	}
	_, err := b.remote.GetProperties(ctx, nil)
	if resp, ok := errors.AsType[*azcore.ResponseError](err); ok && resp.StatusCode == http.StatusNotFound && resp.ErrorCode != "ContainerNotFound" {
		return nil
	}
	return b.fail(err)
}

// Write makes c the blob's content, whole or not at all.
func (b *Blob) Write(ctx context.Context, c Content, meta map[string]string, cond storage.Condition) error {
	if b.own != nil {
		return b.writeOwn(ctx, c, meta, cond)
	}
	m := make(map[string]*string, len(meta))
	for k, v := range meta {
		m[k] = to.Ptr(v)
	}
	if c.Size <= b.sizes.whole {
		s := &section{ctx: ctx, c: c, size: c.Size}
		defer s.Close()
		_, err := b.remote.Upload(ctx, s, &blockblob.UploadOptions{Metadata: m, AccessConditions: conditions(cond)})
		return b.fail(err)
	}
	have, err := b.blocks(ctx)
	if err != nil {
		return err
	}
	var names []string
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for off := int64(0); off < c.Size && within.Err() == nil; off += b.sizes.block {
		n := min(b.sizes.block, c.Size-off)
		name := blockName(c.Block(len(names)))
		names = append(names, name)
		if have[name] == n {
			continue
		}
		g.Go(func() error {
			s := &section{ctx: ctx, c: c, off: off, size: n}
			defer s.Close()
			_, err := b.remote.StageBlock(ctx, name, s, nil)
			return b.fail(err)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err = b.remote.CommitBlockList(ctx, names, &blockblob.CommitBlockListOptions{Metadata: m, AccessConditions: conditions(cond)})
	return b.fail(err)
}

// blocks lists the blob's uncommitted blocks. A key that may not list starts
// from nothing.
func (b *Blob) blocks(ctx context.Context) (map[string]int64, error) {
	r, err := b.remote.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err = b.fail(err); err != nil {
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
			return nil, nil
		}
		return nil, err
	}
	have := make(map[string]int64, len(r.UncommittedBlocks))
	for _, u := range r.UncommittedBlocks {
		if u.Name != nil && u.Size != nil {
			have[*u.Name] = *u.Size
		}
	}
	return have, nil
}

// writeOwn writes to our own store: in parts, so that memory does not follow
// the size.
func (b *Blob) writeOwn(ctx context.Context, c Content, meta map[string]string, cond storage.Condition) error {
	return CopyTo(ctx, b.own, b.key, c, meta, cond)
}

// CopyTo writes c to a key of a store of ours, whole or not at all.
func CopyTo(ctx context.Context, to storage.Blobs, key string, c Content, meta map[string]string, cond storage.Condition) error {
	const one = 8 << 20
	if c.Size <= one {
		body, err := c.read(ctx, 0, c.Size)
		if err != nil {
			return err
		}
		_, err = to.Put(ctx, key, body, meta, cond)
		return err
	}
	var ids []storage.PartID
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for off := int64(0); off < c.Size && within.Err() == nil; off += one {
		id := c.Block(len(ids))
		ids = append(ids, id)
		g.Go(func() error {
			body, err := c.read(ctx, off, min(one, c.Size-off))
			if err != nil {
				return err
			}
			return to.PutPart(ctx, key, id, body)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err := to.Commit(ctx, key, ids, meta, cond)
	return err
}

func (c *Content) read(ctx context.Context, off, n int64) ([]byte, error) {
	body := make([]byte, n)
	if n == 0 {
		return body, nil
	}
	r, err := c.Open(ctx, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "read what is to be written")
	}
	return body, nil
}

// section is a part of a Content as the SDK wants it: it seeks by opening
// again, so that nothing is held in memory for a retry.
type section struct {
	ctx       context.Context
	c         Content
	off, size int64
	pos       int64
	r         io.ReadCloser
}

func (s *section) Read(p []byte) (int, error) {
	if s.pos >= s.size {
		return 0, io.EOF
	}
	if s.r == nil {
		r, err := s.c.Open(s.ctx, s.off+s.pos, s.size-s.pos)
		if err != nil {
			return 0, err
		}
		s.r = r
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.size-s.pos)])
	s.pos += int64(n)
	if err == io.EOF && s.pos < s.size {
		err = fault.New(fault.Unavailable, "", "the staged output ended at byte %d of %d", s.off+s.pos, s.off+s.size)
	}
	return n, err
}

func (s *section) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.pos
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 || offset > s.size {
		return 0, errors.New("seek outside the content")
	}
	if offset != s.pos {
		s.Close()
	}
	s.pos = offset
	return offset, nil
}

func (s *section) Close() error {
	if s.r == nil {
		return nil
	}
	err := s.r.Close()
	s.r = nil
	return err
}

var _ io.ReadSeekCloser = (*section)(nil)

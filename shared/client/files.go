package client

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Files above wholeBytes are uploaded in blocks of blockBytes, of which
// blocksAtOnce are on their way.
const (
	wholeBytes   = 8 << 20
	blockBytes   = 8 << 20
	maxBlocks    = 50_000
	blocksAtOnce = 4
)

// Upload writes size bytes of r to a signed address. done, where set, is told
// how many have arrived; it is not called concurrently.
func (c *Client) Upload(ctx context.Context, address string, r io.ReaderAt, size int64, done func(int64)) error {
	if done == nil {
		done = func(int64) {}
	}
	if size <= wholeBytes {
		_, err := c.Do(ctx, Call{
			Method: http.MethodPut, Path: address, Type: "application/octet-stream", Header: map[string]string{"x-ms-blob-type": "BlockBlob"},
			Body: func() (io.Reader, int64, error) { return io.NewSectionReader(r, 0, size), size, nil },
		}, nil)
		if err == nil {
			done(size)
		}
		return err
	}
	block := max(blockBytes, (size+maxBlocks-1)/maxBlocks)
	var list struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string
	}
	var arrived int64
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(blocksAtOnce)
	for n := int64(0); n*block < size && gctx.Err() == nil; n++ {
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block%011d", n)) // 16 bytes
		list.Latest = append(list.Latest, id)
		length := min(block, size-n*block)
		g.Go(func() error {
			_, err := c.Do(gctx, Call{
				Method: http.MethodPut, Path: address + "&comp=block&blockid=" + url.QueryEscape(id), Type: "application/octet-stream",
				Body: func() (io.Reader, int64, error) { return io.NewSectionReader(r, n*block, length), length, nil },
			}, nil)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				arrived += length
				done(arrived)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	body, err := xml.Marshal(&list)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, Call{Method: http.MethodPut, Path: address + "&comp=blocklist", Type: "application/xml", Body: Bytes(body)}, nil)
	return err
}

// Size is the size of the file at a signed address; ok is false where there is
// none.
func (c *Client) Size(ctx context.Context, address string) (size int64, ok bool, err error) {
	err = c.answer(ctx, Call{Method: http.MethodHead, Path: address}, func(resp *http.Response) error {
		size = resp.ContentLength
		return nil
	})
	if HasStatus(err, http.StatusNotFound) {
		return 0, false, nil
	}
	return size, err == nil, err
}

// Download writes the file at a signed address to w. A connection that breaks
// is taken up where it broke, as long as the file is the same. done, where
// set, is told how much there is of how much; -1 where that is not known.
func (c *Client) Download(ctx context.Context, address string, w io.Writer, done func(n, of int64)) error {
	if done == nil {
		done = func(int64, int64) {}
	}
	d := &download{w: w, done: done, total: -1}
	for {
		before := d.at
		header := map[string]string{}
		if before > 0 {
			header["Range"] = "bytes=" + strconv.FormatInt(before, 10) + "-"
			header["If-Match"] = d.etag
		}
		d.broke = nil
		err := c.answer(ctx, Call{Method: http.MethodGet, Path: address, Header: header}, d.read)
		switch {
		case err != nil:
			return err
		case d.failed != nil:
			return d.failed
		case d.broke == nil && (d.total < 0 || d.at == d.total):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case d.etag == "" || d.at == before:
			return &Unreachable{c.host(Call{Path: address}), fmt.Errorf("the file broke off after %d bytes: %w", d.at, cmp.Or(d.broke, io.ErrUnexpectedEOF))}
		}
	}
}

// download is a file on its way.
type download struct {
	w     io.Writer
	done  func(n, of int64)
	at    int64 // written so far
	total int64 // -1 = not known
	etag  string

	broke  error // of the connection: another call may go on
	failed error // of the writer, or of a server that cannot go on
}

// read takes an answer as far as it comes.
func (d *download) read(resp *http.Response) error {
	if d.at == 0 {
		d.total, d.etag = resp.ContentLength, resp.Header.Get("Etag")
	} else if resp.StatusCode != http.StatusPartialContent {
		d.failed = errors.New("the server does not take a download up where it broke off")
		return nil
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, d.failed = d.w.Write(buf[:n]); d.failed != nil {
				return nil
			}
			d.at += int64(n)
			d.done(d.at, d.total)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && d.at == 0:
			return err // the call is made again as any other
		case err != nil:
			d.broke = err
			return nil
		}
	}
}

package blob

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
)

// ReferenceOf is the classic reference in a place.
func ReferenceOf(p connect.Place) Reference {
	return Reference{p.ConnectionString, p.RelativeLocation, p.BaseLocation, p.SasBlobToken}
}

// Source returns the source of the blobs at the place: one by its name, the
// blobs of a folder, or those that match a pattern. Several are read as one,
// in the order of their names; * stands for any part of a name between two
// slashes, ? for one character of it.
func (c *Connector) Source(p connect.Place) (connect.Source, error) {
	s := &source{c: c, ref: ReferenceOf(p), noHeader: p.NoHeader}
	loc := strings.TrimPrefix(p.RelativeLocation, "/")
	folder, last := path.Split(loc)
	s.many = last == "" || strings.ContainsAny(loc, "*?")
	if s.many && !strings.Contains(folder, "/") {
		return nil, fault.Module(79, "RelativeLocation names no container: it has the form container/path").At("RelativeLocation")
	}
	s.given = p.FileFormat != ""
	if last == "" && !s.given {
		p.FileFormat = format.CSV
	}
	var err error
	s.format, s.compression, err = connect.FileFormat(p.FileFormat, last)
	return s, err
}

type source struct {
	c           *Connector
	ref         Reference
	format      *format.Format
	compression format.Compression
	given       bool // the format, and not by an extension
	noHeader    bool
	many        bool
}

// FileFormat is the format of the blobs, which are read as one file of it.
func (s *source) FileFormat() *format.Format { return s.format }

// Open finds the blobs and their versions. They are read as they are then.
func (s *source) Open(ctx context.Context) (*connect.Records, error) {
	if s.many {
		return s.openMany(ctx)
	}
	b, err := s.c.Open(ctx, s.ref, false)
	if err != nil {
		return nil, moduleFault(err)
	}
	info, err := b.Head(ctx)
	if err != nil {
		return nil, moduleFault(err)
	}
	r := io.ReadCloser(io.NopCloser(strings.NewReader("")))
	if info.Size > 0 {
		if r, err = b.Read(ctx, info.ETag, 0, info.Size); err != nil {
			return nil, moduleFault(err)
		}
	}
	if r, err = connect.Decompress(r, s.compression); err != nil {
		return nil, err
	}
	return &connect.Records{Text: r, Format: s.format, NoHeader: s.noHeader, Release: r.Close}, nil
}

// moduleFault makes a classic module error of what keeps a blob from being
// read or written for good.
func moduleFault(err error) error {
	e := fault.Of(err)
	switch {
	case e.Kind == fault.NotFound:
		return fault.Module(65, "%s", e.Msg).At("RelativeLocation")
	case e.Kind == fault.Forbidden:
		return fault.Module(52, "%s", e.Msg).At("ConnectionString")
	}
	return err
}

// maxFiles bounds what is read as one.
const maxFiles = 10_000

// found is a blob of a folder.
type found struct {
	name, etag string
	size       int64
}

func (s *source) openMany(ctx context.Context) (*connect.Records, error) {
	ref := s.ref
	loc := strings.TrimPrefix(ref.RelativeLocation, "/")
	box, pattern, _ := strings.Cut(loc, "/")
	prefix := pattern
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		prefix = pattern[:i]
	}
	ref.RelativeLocation = box + "/x" // a name for what has none yet
	b, err := s.c.Open(ctx, ref, false)
	if err != nil {
		return nil, moduleFault(err)
	}
	if b.own != nil {
		return nil, fault.Module(65, "a link to a blob of this service is for that blob alone: name one").At("RelativeLocation")
	}
	files, err := b.list(ctx, prefix, s.matches(pattern))
	if err != nil {
		return nil, moduleFault(err)
	}
	if len(files) == 0 {
		return nil, fault.Module(65, "no .%s file is at %s%s/%s", s.format.Name, b.Base(), box, pattern).At("RelativeLocation")
	}
	all := &connect.Files{Format: s.format, NoHeader: s.noHeader, Next: func() (string, io.ReadCloser, error) {
		if len(files) == 0 {
			return "", nil, io.EOF
		}
		f := files[0]
		files = files[1:]
		if f.size == 0 {
			return f.name, io.NopCloser(strings.NewReader("")), nil
		}
		ref.RelativeLocation = box + "/" + f.name
		one, err := s.c.Open(ctx, ref, false)
		if err != nil {
			return f.name, nil, moduleFault(err)
		}
		r, err := one.Read(ctx, f.etag, 0, f.size)
		if err != nil {
			return f.name, nil, moduleFault(err)
		}
		_, compression := format.OfFile(f.name)
		r, err = connect.Decompress(r, compression)
		return f.name, r, err
	}}
	return &connect.Records{Text: all, Format: s.format, NoHeader: s.noHeader, Release: all.Close}, nil
}

// matches tells the blobs that a pattern means, by their names. In a folder,
// what has another extension is passed over: markers, logs.
func (s *source) matches(pattern string) func(name string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return func(name string) bool {
			if s.given {
				return !strings.HasSuffix(name, "/")
			}
			f, _ := format.OfFile(name)
			return f == s.format
		}
	}
	pattern = strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(pattern)
	return func(name string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	}
}

// list lists the blobs of b's container under a prefix, by name.
func (b *Blob) list(ctx context.Context, prefix string, want func(string) bool) ([]found, error) {
	box, err := b.container()
	if err != nil {
		return nil, err
	}
	var files []found
	for p := box.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix}); p.More(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			at, folder := *b, *b.addr
			folder.name = prefix
			at.addr = &folder
			return nil, at.fail(err)
		}
		for _, i := range page.Segment.BlobItems {
			if i.Name == nil || i.Properties == nil || i.Properties.ETag == nil || i.Properties.ContentLength == nil || !want(*i.Name) {
				continue
			}
			if len(files) == maxFiles {
				return nil, fault.Module(65, "more than %d files match: that is the most that are read as one", maxFiles).At("RelativeLocation")
			}
			files = append(files, found{*i.Name, string(*i.Properties.ETag), *i.Properties.ContentLength})
		}
	}
	slices.SortFunc(files, func(a, b found) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// container is b's container, reached as b is.
func (b *Blob) container() (*container.Client, error) {
	at := b.addr.base + b.addr.container
	opts := &container.ClientOptions{ClientOptions: b.options}
	var c *container.Client
	var err error
	if b.cred != nil {
		c, err = container.NewClientWithSharedKeyCredential(at, b.cred, opts)
	} else {
		c, err = container.NewClientWithNoCredential(at+"?"+b.addr.sas, opts)
	}
	if err != nil {
		return nil, invalid("InvalidBlob", "the blob reference cannot be used").Because(err)
	}
	return c, nil
}

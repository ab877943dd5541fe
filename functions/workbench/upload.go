package workbench

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"path"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// maxUpload bounds the files of one request, together.
const maxUpload = 256 << 20

func badBody(format string, args ...any) *fault.Error {
	return fault.New(fault.BadArgument, "RequestBodyInvalid", format, args...)
}

// mediaType returns the type of the request's body, without parameters.
func (c call) mediaType() string {
	t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// form reads a multipart body: the content of each part by its name, and the
// file name of the part called file. Parts that are not among names are
// refused, and so is a name twice.
func (c call) form(names ...string) (parts map[string][]byte, filename string, err error) {
	if c.ContentLength > maxUpload {
		return nil, "", tooLong()
	}
	mr, err := c.MultipartReader()
	if err != nil {
		return nil, "", badBody("the body is not multipart/form-data as its Content-Type says")
	}
	parts = map[string][]byte{}
	left := int64(maxUpload)
	for {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			return parts, filename, nil
		}
		if err != nil {
			return nil, "", c.broken(err)
		}
		name := p.FormName()
		if !slices.Contains(names, name) {
			return nil, "", badBody("part %.80q of the body is not known: one of %s", name, strings.Join(names, ", ")).At(name)
		}
		if _, twice := parts[name]; twice {
			return nil, "", badBody("the body has part %q twice", name).At(name)
		}
		body, err := io.ReadAll(io.LimitReader(p, left+1))
		if err != nil {
			return nil, "", c.broken(err)
		}
		if left -= int64(len(body)); left < 0 {
			return nil, "", tooLong()
		}
		parts[name] = body
		if name == "file" {
			filename = p.FileName()
		}
	}
}

// broken says why a multipart body could not be read to its end.
func (c call) broken(err error) error {
	if ctx := c.Context().Err(); ctx != nil {
		return fault.Of(ctx)
	}
	if errors.Is(err, multipart.ErrMessageTooLarge) {
		return tooLong()
	}
	return fault.New(fault.BadArgument, "RequestBodyInvalid", "the multipart body ends too early or is malformed").Because(err)
}

func tooLong() error {
	return fault.New(fault.TooLarge, "", "the files of a request may have %d bytes together; larger ones go through uploads", maxUpload)
}

// source names bytes that a JSON request refers to: one of its members is set.
type source struct {
	Upload  string `json:"upload,omitempty"`  // an upload of the workspace, {id}/{file}
	Dataset string `json:"dataset,omitempty"` // name of a dataset
	Version string `json:"version,omitempty"` // of the dataset; empty = the newest
	Text    string `json:"text,omitempty"`
}

// file is the name of the file that a source names; empty where it has none.
func (s *source) file() string {
	if s == nil || s.Upload == "" {
		return ""
	}
	return path.Base(s.Upload)
}

func (s *source) given() bool { return s != nil && *s != (source{}) }

// bytes reads what a source names; nothing for one that is not given.
func (f *Function) bytes(c call, what string, s *source) ([]byte, error) {
	if !s.given() {
		return nil, nil
	}
	body, err := f.sourceBytes(c, s)
	if err != nil {
		e := *fault.Of(err)
		e.Target = what
		return nil, &e
	}
	return body, nil
}

func (f *Function) sourceBytes(c call, s *source) ([]byte, error) {
	n := 0
	for _, given := range []bool{s.Upload != "", s.Dataset != "", s.Text != ""} {
		if given {
			n++
		}
	}
	if n != 1 {
		return nil, badBody("give one of upload, dataset and text")
	}
	switch {
	case s.Upload != "":
		return f.upload(c, s.Upload)
	case s.Dataset != "":
		v, err := f.saved(c, service.Dataset, s.Dataset, s.Version)
		if err != nil {
			return nil, err
		}
		if v.Format == format.CSV || v.Format == format.TSV {
			return f.catalog.Artifact(c.Context(), c.ws, v.Original)
		}
		table, err := f.catalog.Table(c.Context(), c.ws, v.Name, v.Number)
		if err != nil {
			return nil, err
		}
		return frame.AppendCSV(nil, table, ','), nil // what asks for a file reads separated values
	}
	return []byte(s.Text), nil
}

// uploadName returns the name of an upload, "{id}/{file}", from what a request
// calls it: that, or the relative location in the links that the upload was
// written by.
func (c call) uploadName(ref string) (name string, ok bool) {
	if _, after, found := strings.Cut(ref, c.ws+"/uploads/"); found {
		ref = after
	}
	id, file, _ := strings.Cut(ref, "/")
	return ref, service.ValidID(id) && file != "" && !strings.Contains(file, "/")
}

// upload reads a file that the caller wrote through a signed link of the
// workspace.
func (f *Function) upload(c call, ref string) ([]byte, error) {
	absent := fault.New(fault.BadArgument, "BlobNotFound", "there is no upload %.200q in the workspace, or nothing was written to it", ref)
	name, ok := c.uploadName(ref)
	if !ok {
		return nil, absent
	}
	info, r, err := f.blobs.Get(c.Context(), c.ws+"/uploads/"+name, storage.ReadOptions{})
	if fault.Is(err, fault.NotFound) {
		return nil, absent
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size > maxUpload {
		return nil, fault.New(fault.TooLarge, "", "upload %s has %d bytes: at most %d are allowed", name, info.Size, maxUpload)
	}
	body := make([]byte, info.Size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "read an upload")
	}
	return body, nil
}

// raw reads the body as one file.
func (c call) raw() ([]byte, error) {
	body, err := web.ReadBody(c.Request, maxUpload, nil)
	if err == nil && len(body) == 0 {
		return nil, badBody("the request has no body: a file is expected")
	}
	return body, err
}

// name returns the name in the path, in the body or in the query; where several
// are given they must agree.
func (c call) name(given string) (string, error) {
	name := ""
	for _, n := range []string{c.PathValue("name"), given, c.URL.Query().Get("name")} {
		switch {
		case n == "":
		case name != "" && n != name:
			return "", fault.New(fault.BadArgument, "BadParameterValue", "two names are given: %.80q and %.80q", name, n).At("name")
		default:
			name = n
		}
	}
	return name, nil
}

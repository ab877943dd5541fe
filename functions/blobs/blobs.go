// Package blobs serves the bytes of the embedded store by signed link, in the
// part of the Blob REST protocol that clients of batch jobs use: Put Blob, Put
// Block, Put Block List, Get Blob with ranges and conditions, and Get Blob
// Properties. A link is an address with a shared access signature of ours
// (package links); Azure's SDKs take it as a blob address, or as a connection
// string "BlobEndpoint=…/blobs;SharedAccessSignature=…".
//
// With the azure driver nothing of this is registered: links then lead to
// Azure itself.
package blobs

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc64"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/links"
)

// version is the version of the protocol that answers claim.
const version = "2021-12-02"

// Function is the function.
type Function struct {
	store  storage.Store
	verify func(ctx context.Context, container, key string, q url.Values, perm string) error
}

// New returns the function over st; verify is [links.Signer.Verify].
func New(st storage.Store, verify func(ctx context.Context, container, key string, q url.Values, perm string) error) *Function {
	return &Function{st, verify}
}

// Register adds the routes: called by holders of a link.
func (f *Function) Register(r *web.Router) {
	r.Handle("PUT /blobs/{container}/{key...}", f.with(links.Write, f.put))
	r.Handle("GET /blobs/{container}/{key...}", f.with(links.Read, f.get))
	r.Handle("HEAD /blobs/{container}/{key...}", f.with(links.Read, f.get))
}

// blob is the blob a request is for.
type blob struct {
	storage.Blobs
	key string
}

// with checks the link before h, and gives a failure the header from which
// Azure's SDKs read the code.
func (f *Function) with(perm string, h func(http.ResponseWriter, *http.Request, blob) error) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("x-ms-version", version)
		container, key := r.PathValue("container"), r.PathValue("key")
		err := f.verify(r.Context(), container, key, r.URL.Query(), perm)
		if err == nil {
			if ws, _, ok := strings.Cut(key, "/"); ok {
				web.Call(r).Workspace = ws
			}
			if b := links.Container(f.store, container); b != nil {
				err = h(w, r, blob{b, key})
			} else {
				err = fault.New(fault.NotFound, "ContainerNotFound", "container %s does not exist", container)
			}
		}
		if err == nil {
			return nil
		}
		code := codeOf(err)
		w.Header().Set("x-ms-error-code", code)
		if code == "ConditionNotMet" {
			// The protocol has a status of its own for this.
			w.WriteHeader(http.StatusPreconditionFailed)
			return nil
		}
		return err
	}
}

// codeOf returns the protocol's word for an error.
func codeOf(err error) string {
	e := fault.Of(err)
	switch {
	case e.Code == storage.CodeCondition:
		return "ConditionNotMet"
	case e.Code == storage.CodeExists:
		return "BlobAlreadyExists"
	case e.Code == storage.CodeLimit:
		return "InvalidInput"
	case e.Code != "":
		return e.Code
	case e.Kind == fault.NotFound:
		return "BlobNotFound"
	case e.Kind == fault.TooLarge:
		return "RequestBodyTooLarge"
	case e.Kind == fault.Unavailable || e.Kind == fault.Throttled:
		return "ServerBusy"
	}
	return "InternalError"
}

func (f *Function) put(w http.ResponseWriter, r *http.Request, b blob) error {
	switch comp := r.URL.Query().Get("comp"); comp {
	case "":
		return b.putBlob(w, r)
	case "block":
		return b.putBlock(w, r)
	case "blocklist":
		return b.putBlockList(w, r)
	default:
		return fault.New(fault.BadArgument, "InvalidQueryParameterValue", "comp=%s is not supported: Put Blob, comp=block and comp=blocklist are", comp)
	}
}

func (b blob) putBlob(w http.ResponseWriter, r *http.Request) error {
	if t := r.Header.Get("x-ms-blob-type"); t != "" && t != "BlockBlob" {
		return fault.New(fault.BadArgument, "InvalidHeaderValue", "x-ms-blob-type %s is not supported: BlockBlob is", t)
	}
	body, err := read(r, storage.MaxPutBytes)
	if err != nil {
		return err
	}
	c, err := condition(r)
	if err != nil {
		return err
	}
	info, err := b.Put(r.Context(), b.key, body, meta(r), c)
	if err != nil {
		return err
	}
	return created(w, info)
}

func (b blob) putBlock(w http.ResponseWriter, r *http.Request) error {
	id, err := partID(r.URL.Query().Get("blockid"))
	if err != nil {
		return err
	}
	body, err := read(r, storage.MaxPartBytes)
	if err != nil {
		return err
	}
	if err := b.PutPart(r.Context(), b.key, id, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// blockList is the body of Put Block List. The order of its elements is that of
// the blob's bytes.
type blockList struct {
	XMLName xml.Name `xml:"BlockList"`
	Blocks  []struct {
		XMLName xml.Name
		ID      string `xml:",chardata"`
	} `xml:",any"`
}

func (b blob) putBlockList(w http.ResponseWriter, r *http.Request) error {
	body, err := read(r, 8<<20)
	if err != nil {
		return err
	}
	var list blockList
	if err := xml.Unmarshal(body, &list); err != nil {
		return fault.New(fault.BadArgument, "InvalidXmlDocument", "the body is not a BlockList").Because(err)
	}
	parts := make([]storage.PartID, len(list.Blocks))
	for i, block := range list.Blocks {
		if kind := block.XMLName.Local; kind != "Latest" && kind != "Uncommitted" {
			return fault.New(fault.BadArgument, "InvalidBlockList", "block %d is %s: only Latest and Uncommitted blocks can be committed", i+1, kind)
		}
		if parts[i], err = partID(strings.TrimSpace(block.ID)); err != nil {
			return err
		}
	}
	c, err := condition(r)
	if err != nil {
		return err
	}
	info, err := b.Commit(r.Context(), b.key, parts, meta(r), c)
	if fault.HasCode(err, storage.CodeCondition) && c == (storage.Condition{}) {
		return fault.New(fault.BadArgument, "InvalidBlockList", "the list names a block that is not there").Because(err)
	}
	if err != nil {
		return err
	}
	return created(w, info)
}

func created(w http.ResponseWriter, info storage.BlobInfo) error {
	w.Header().Set("ETag", info.ETag)
	w.Header().Set("Last-Modified", info.Modified.Format(http.TimeFormat))
	w.Header().Set("x-ms-request-server-encrypted", "false")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// read reads the body and checks it against the sums it came with.
func read(r *http.Request, limit int64) ([]byte, error) {
	body, err := web.ReadBody(r, limit, nil)
	if err != nil {
		return nil, err
	}
	if want := r.Header.Get("Content-MD5"); want != "" {
		sum := md5.Sum(body)
		if base64.StdEncoding.EncodeToString(sum[:]) != want {
			return nil, fault.New(fault.BadArgument, "Md5Mismatch", "the body does not have the Content-MD5 given")
		}
	}
	if want := r.Header.Get("x-ms-content-crc64"); want != "" {
		sum := crc64.Checksum(body, crcTable())
		var b [8]byte
		for i := range b {
			b[i] = byte(sum >> (8 * i))
		}
		if base64.StdEncoding.EncodeToString(b[:]) != want {
			return nil, fault.New(fault.BadArgument, "Crc64Mismatch", "the body does not have the x-ms-content-crc64 given")
		}
	}
	return body, nil
}

// crcTable is of the polynomial that Azure Storage uses.
var crcTable = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(0x9A6C9329AC4BC9B5) })

// partID returns the id under which a block is staged. Clients choose ids of
// any length up to 64 bytes; those that are not 16 long are hashed.
func partID(text string) (storage.PartID, error) {
	id, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(id) == 0 || len(id) > 64 {
		return storage.PartID{}, fault.New(fault.BadArgument, "InvalidBlockId", "a block id is 1 to 64 bytes in base64")
	}
	if len(id) == len(storage.PartID{}) {
		return storage.PartID(id), nil
	}
	sum := sha256.Sum256(id)
	return storage.PartID(sum[:16]), nil
}

// meta reads the metadata headers.
func meta(r *http.Request) map[string]string {
	var m map[string]string
	prefix := textproto.CanonicalMIMEHeaderKey("x-ms-meta-")
	for name, values := range r.Header {
		if key, ok := strings.CutPrefix(name, prefix); ok && len(values) > 0 {
			if m == nil {
				m = make(map[string]string)
			}
			m[strings.ToLower(key)] = values[0]
		}
	}
	return m
}

// condition reads the condition of a write.
func condition(r *http.Request) (storage.Condition, error) {
	c := storage.Condition{IfMatch: r.Header.Get("If-Match")}
	switch none := r.Header.Get("If-None-Match"); none {
	case "":
	case storage.AnyETag:
		c.IfAbsent = true
	default:
		return c, fault.New(fault.BadArgument, "InvalidHeaderValue", "If-None-Match of a write can only be *")
	}
	if r.Header.Get("If-Modified-Since") != "" || r.Header.Get("If-Unmodified-Since") != "" {
		return c, fault.New(fault.BadArgument, "ConditionHeadersNotSupported", "a write can be conditional on ETags, not on times")
	}
	return c, nil
}

// get answers GET and HEAD.
func (f *Function) get(w http.ResponseWriter, r *http.Request, b blob) error {
	if comp := r.URL.Query().Get("comp"); comp != "" {
		return fault.New(fault.BadArgument, "InvalidQueryParameterValue", "comp=%s is not supported", comp)
	}
	info, err := b.Head(r.Context(), b.key)
	if err != nil {
		return err
	}
	if match := r.Header.Get("If-Match"); match != "" && match != storage.AnyETag && match != info.ETag {
		return fault.New(fault.Conflict, storage.CodeCondition, "blob %s has changed", b.key)
	}
	span, status := byteRange(r, info.Size)
	if none := r.Header.Get("If-None-Match"); none == storage.AnyETag || none == info.ETag {
		status = http.StatusNotModified
	}
	var body *bufio.Reader
	if r.Method == http.MethodGet && status < 300 && span.to > span.from {
		// Opened, and read, before anything is written, for it may fail.
		_, content, err := b.Get(r.Context(), b.key, storage.ReadOptions{Offset: span.from, Length: span.to - span.from, IfMatch: info.ETag})
		if fault.Is(err, fault.Conflict) {
			return fault.New(fault.Unavailable, "", "blob %s was written anew while it was being opened", b.key)
		}
		if err != nil {
			return err
		}
		defer content.Close()
		body = bufio.NewReaderSize(content, 64<<10)
		if _, err := body.Peek(1); err != nil {
			return err
		}
	}
	h := w.Header()
	describe(h, b.key, info)
	switch status {
	case http.StatusNotModified:
		h.Set("x-ms-error-code", "ConditionNotMet")
	case http.StatusRequestedRangeNotSatisfiable:
		h.Set("x-ms-error-code", "InvalidRange")
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", info.Size))
	case http.StatusPartialContent:
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", span.from, span.to-1, info.Size))
		fallthrough
	default:
		h.Set("Content-Length", strconv.FormatInt(span.to-span.from, 10))
	}
	w.WriteHeader(status)
	if body == nil {
		return nil
	}
	_, err = body.WriteTo(w)
	return err
}

// describe sets the headers of a blob. What callers upload is never shown as a
// page of ours: it is of a plain type and an attachment.
func describe(h http.Header, key string, info storage.BlobInfo) {
	h.Set("Content-Type", contentType(key))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(key)}))
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Accept-Ranges", "bytes")
	h.Set("ETag", info.ETag)
	h.Set("Last-Modified", info.Modified.Format(http.TimeFormat))
	h.Set("x-ms-blob-type", "BlockBlob")
	for k, v := range info.Meta {
		h.Set("x-ms-meta-"+k, v)
	}
}

// contentType is told by the name. Of a compressed file it is that of the
// compression: no client is to unpack it on its way.
func contentType(key string) string {
	switch path.Ext(key) {
	case ".json":
		return "application/json"
	case ".txt", ".log":
		return "text/plain; charset=utf-8"
	case ".gz":
		return "application/gzip"
	case ".zst":
		return "application/zstd"
	}
	if f, _ := format.OfFile(key); f != nil {
		return f.MediaType
	}
	return "application/octet-stream"
}

type span struct{ from, to int64 }

// byteRange reads the range of a request for a blob of size bytes. As Azure
// does, it takes one range, of which x-ms-range has precedence; what is no
// range is passed over.
func byteRange(r *http.Request, size int64) (span, int) {
	text := r.Header.Get("x-ms-range")
	if text == "" {
		text = r.Header.Get("Range")
	}
	all := span{0, size}
	spec, ok := strings.CutPrefix(text, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return all, http.StatusOK
	}
	from, err := parseOffset(first)
	to, lastErr := parseOffset(last)
	switch {
	case first == "" && lastErr == nil: // the last bytes
		if to == 0 || size == 0 {
			return all, http.StatusRequestedRangeNotSatisfiable
		}
		return span{max(0, size-to), size}, http.StatusPartialContent
	case err != nil, last != "" && (lastErr != nil || to < from):
		return all, http.StatusOK
	case from >= size:
		return all, http.StatusRequestedRangeNotSatisfiable
	case last == "" || to >= size:
		return span{from, size}, http.StatusPartialContent
	}
	return span{from, to + 1}, http.StatusPartialContent
}

var errOffset = errors.New("not an offset")

func parseOffset(s string) (int64, error) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, errOffset
	}
	return strconv.ParseInt(s, 10, 64)
}

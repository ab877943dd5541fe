package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

const jsonContent = "application/json; charset=utf-8"

var jsonType = []string{jsonContent}

// MaxDepth is how deep arrays and objects may nest in a JSON body.
const MaxDepth = 64

// maxKept bounds the buffers that go back to the pool.
const maxKept = 1 << 20

type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

// release gives a buffer back, unless it has become large.
func (b *buffer) release() {
	if cap(b.b) <= maxKept {
		buffers.Put(b)
	}
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// JSON writes v as the whole answer, without HTML escaping. It encodes before
// it writes, so that a value that cannot be encoded is still an error document.
func JSON(w http.ResponseWriter, status int, v any) error {
	buf := buffers.Get().(*buffer)
	buf.b = buf.b[:0]
	defer buf.release()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return Bytes(w, status, jsonContent, bytes.TrimSuffix(buf.b, []byte("\n")))
}

// Bytes writes body as the whole answer.
func Bytes(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	if contentType == jsonContent {
		h["Content-Type"] = jsonType
	} else {
		h.Set("Content-Type", contentType)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	if err != nil {
		return &fault.Error{Kind: fault.Canceled, Err: errors.New("the client went away while the answer was written")}
	}
	return nil
}

// NoContent answers 204.
func NoContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ReadBody appends the body of r to buf, which may be nil or come from a pool,
// and refuses one longer than limit bytes, naming the limit.
func ReadBody(r *http.Request, limit int64, buf []byte) ([]byte, error) {
	if r.ContentLength > limit {
		return buf, tooLarge(limit)
	}
	start := len(buf)
	// One byte more than declared, so that the read that finds the end does not
	// grow the buffer; but a declared length alone buys no more than 1 MiB.
	if n := int(min(r.ContentLength, maxKept)) + 1; n > 1 && cap(buf)-start < n {
		buf = append(make([]byte, 0, start+n), buf...)
	}
	if r.Body == nil {
		return buf, nil
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)-start) > limit {
			return buf[:start], tooLarge(limit)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			if ctx := r.Context().Err(); ctx != nil {
				return buf[:start], fault.Of(ctx)
			}
			return buf[:start], fault.New(fault.BadArgument, "RequestBodyInvalid", "the request body ended before its declared length").Because(err)
		}
	}
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "", "the request body is longer than the limit of %d bytes", limit)
}

// ReadJSON decodes the body of r, at most limit bytes of one JSON value, into
// v. A member that v has no field for, nesting past MaxDepth, invalid UTF-8 and
// anything after the value are refused, each with its place.
func ReadJSON(r *http.Request, v any, limit int64) error {
	body, err := ReadBody(r, limit, nil)
	if err != nil {
		return err
	}
	return DecodeJSON(body, v)
}

// DecodeJSON is ReadJSON on bytes.
func DecodeJSON(body []byte, v any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return invalid("the request has no body; a JSON value is expected")
	}
	if !utf8.Valid(body) {
		return invalid("the request body is not valid UTF-8")
	}
	if at := tooDeep(body); at >= 0 {
		return invalid("the request body nests deeper than %d levels at byte %d", MaxDepth, at)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonError(body, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return invalid("something follows the JSON value at byte %d", dec.InputOffset())
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.BadArgument, "RequestBodyInvalid", format, args...)
}

func jsonError(body []byte, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		line, col := place(body, e.Offset-1)
		return invalid("the request body is not JSON: line %d, column %d", line, col)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		line, col := place(body, e.Offset)
		where := e.Field
		if where == "" {
			where = "the body"
		}
		return invalid("%s cannot be a JSON %s: line %d, column %d", where, e.Value, line, col)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return invalid("the request body ends in the middle of the JSON value")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("unknown member %s", name)
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e // a field's own UnmarshalJSON
	}
	return invalid("the request body does not fit: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// place returns line and column, from 1, of byte offset.
func place(body []byte, offset int64) (line, col int) {
	head := body[:min(max(offset, 0), int64(len(body)))]
	return 1 + bytes.Count(head, []byte("\n")), len(head) - bytes.LastIndexByte(head, '\n')
}

// tooDeep returns where the nesting passes MaxDepth, or -1.
func tooDeep(body []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

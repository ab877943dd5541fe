package samples

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
)

// client speaks HTTP to one server as one caller.
type client struct {
	base  string // http://127.0.0.1:7071
	token string // sent as Authorization: Bearer
}

// refused is an answer outside 2xx.
type refused struct {
	Method, Path string
	Status       int
	Body         []byte
}

func (e *refused) Error() string {
	return fmt.Sprintf("%s %s answered %d: %s", e.Method, e.Path, e.Status, bytes.TrimSpace(e.Body))
}

// file is a body of bytes under a media type of its own.
type file struct {
	contentType string
	content     []byte
}

// form makes a multipart body; a part whose name has a slash, "file/a.ubj", is
// a file of that name.
func form(parts map[string][]byte) (file, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		var part io.Writer
		var err error
		if field, filename, ok := strings.Cut(name, "/"); ok {
			part, err = w.CreateFormFile(field, filename)
		} else {
			part, err = w.CreateFormField(name)
		}
		if err != nil {
			return file{}, err
		}
		part.Write(parts[name]) // to memory: cannot fail
	}
	if err := w.Close(); err != nil {
		return file{}, err
	}
	return file{w.FormDataContentType(), b.Bytes()}, nil
}

// do sends body (nil, a file, or a value to encode as JSON) and decodes the
// answer into out (nil, *[]byte or a pointer for JSON).
func (c client) do(ctx context.Context, method, path string, body, out any) error {
	var r io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case file:
		r, contentType = bytes.NewReader(b.content), b.contentType
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return err
		}
		r = bytes.NewReader(text)
	}
	url := path
	if path[0] == '/' {
		url = c.base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if method == http.MethodPut && url == path { // to a signed address: Put Blob
		req.Header.Set("x-ms-blob-type", "BlockBlob")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return &refused{method, path, resp.StatusCode, answer}
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = answer
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w in %s", method, path, err, answer)
	}
	return nil
}

// await calls done every tenth of a second until it reports true, fails, or
// limit has passed.
func await(ctx context.Context, what string, limit time.Duration, done func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not done after %v", what, limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

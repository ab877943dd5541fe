package azure

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
)

// answer is that to one operation of a transaction.
type answer struct{ etag string }

// opError is the failure of a transaction at one of its operations.
type opError struct {
	index int
	err   *statusError
}

func (e *opError) Error() string { return fmt.Sprintf("operation %d: %v", e.index, e.err) }
func (e *opError) Unwrap() error { return e.err }

var errBatch = errors.New("the answer to a transaction cannot be read")

// readBatch reads the answer to a transaction of n operations: a multipart
// message with one part, which is a multipart message with one HTTP response
// per operation, or with the one of the operation that failed.
func readBatch(requestID string, body []byte, n int) ([]answer, error) {
	if len(body) > 0 && body[0] == '{' {
		code, index := odataError(body)
		return nil, &opError{index, &statusError{status: http.StatusBadRequest, code: code, requestID: requestID}}
	}
	outer, err := openMultipart(body)
	if err != nil {
		return nil, err
	}
	part, err := outer.NextPart()
	if err != nil {
		return nil, errBatch
	}
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return nil, errBatch
	}
	inner := multipart.NewReader(part, params["boundary"])
	var answers []answer
	for {
		part, err := inner.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errBatch
		}
		resp, err := http.ReadResponse(bufio.NewReader(part), nil)
		if err != nil {
			return nil, errBatch
		}
		if resp.StatusCode >= 400 {
			text, _ := io.ReadAll(resp.Body)
			code, index := odataError(text)
			return nil, &opError{index, &statusError{status: resp.StatusCode, code: code, requestID: requestID}}
		}
		answers = append(answers, answer{resp.Header.Get("ETag")})
	}
	if len(answers) != n {
		return nil, errBatch
	}
	return answers, nil
}

// openMultipart finds the boundary in the body itself: its first line.
func openMultipart(body []byte) (*multipart.Reader, error) {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	boundary, ok := strings.CutPrefix(strings.TrimRight(string(line), "\r"), "--")
	if !ok || boundary == "" {
		return nil, errBatch
	}
	return multipart.NewReader(bytes.NewReader(body), boundary), nil
}

// odataError reads the code of an error and the index of the operation that
// had it, which stands before the message: "1:The specified entity already
// exists." Without an index it is the first.
func odataError(body []byte) (code string, index int) {
	var doc struct {
		Error struct {
			Code    string `json:"code"`
			Message struct {
				Value string `json:"value"`
			} `json:"message"`
		} `json:"odata.error"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return "", 0
	}
	if number, _, ok := strings.Cut(doc.Error.Message.Value, ":"); ok {
		if i, err := strconv.Atoi(number); err == nil && i >= 0 {
			index = i
		}
	}
	return doc.Error.Code, index
}

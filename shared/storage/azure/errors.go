package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// statusError is what is kept of an answer that reports an error. The SDK's own
// error prints the body, which may repeat what a request was signed with.
type statusError struct {
	status    int
	code      string
	requestID string
	// retryAfter is how long the service asks to be left alone; 0 where it
	// does not say.
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%d %s (request %s)", e.status, e.code, e.requestID)
}

func statusOf(err error) (*statusError, bool) {
	if s, ok := errors.AsType[*statusError](err); ok {
		return s, true
	}
	r, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return nil, false
	}
	s := &statusError{status: r.StatusCode, code: r.ErrorCode}
	if r.RawResponse != nil {
		s.requestID = r.RawResponse.Header.Get("x-ms-request-id")
		if n, err := strconv.Atoi(r.RawResponse.Header.Get("Retry-After")); err == nil && n > 0 {
			s.retryAfter = min(time.Duration(n)*time.Second, time.Hour)
		}
	}
	return s, true
}

func hasCode(err error, code string) bool {
	s, ok := statusOf(err)
	return ok && s.code == code
}

func hasStatus(err error, status int) bool {
	s, ok := statusOf(err)
	return ok && s.status == status
}

// fail gives an error of the SDK its kind. place names the thing, as "blob a/b"; op
// says what was being done to it. It is the one way out for such errors.
func fail(ctx context.Context, err error, op, place string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	s, ok := statusOf(err)
	if !ok {
		return fault.Wrap(err, fault.Unavailable, op+" "+place)
	}
	e := classify(s, place)
	e.RetryAfter = s.retryAfter
	if (e.Kind == fault.Conflict || e.Kind == fault.NotFound) && unsure(ctx) {
		e = fault.New(fault.Unavailable, "", "whether %s was written is not known", place)
	}
	return e.Because(fmt.Errorf("%s %s: %w", op, place, s))
}

func classify(s *statusError, place string) *fault.Error {
	switch s.code {
	case "BlobAlreadyExists", "EntityAlreadyExists":
		return fault.New(fault.Conflict, storage.CodeExists, "%s exists", place)
	case "InvalidBlockList", "InvalidBlockId":
		return fault.New(fault.Conflict, storage.CodeCondition, "%s lacks one of the uncommitted parts", place)
	case "PopReceiptMismatch":
		return fault.New(fault.Conflict, storage.CodeCondition, "%s was handed out again", place)
	case "Crc64Mismatch", "Md5Mismatch":
		return fault.New(fault.Unavailable, "", "%s was changed on its way to storage", place)
	case "ContainerBeingDeleted", "TableBeingDeleted", "QueueBeingDeleted", "OperationTimedOut", "ServerBusy":
		return fault.New(fault.Unavailable, "", "storage is busy")
	}
	switch {
	case s.status == http.StatusNotFound:
		return fault.New(fault.NotFound, "", "%s does not exist", place)
	case s.status == http.StatusPreconditionFailed, s.status == http.StatusConflict:
		return fault.New(fault.Conflict, storage.CodeCondition, "%s has changed", place)
	case s.status == http.StatusUnauthorized, s.status == http.StatusForbidden:
		return fault.New(fault.Unavailable, "", "storage refuses this program's identity")
	case s.status == http.StatusTooManyRequests, s.status == http.StatusRequestTimeout, s.status >= 500:
		return fault.New(fault.Unavailable, "", "storage is not available")
	}
	return fault.New(fault.Internal, "", "storage refused a request")
}

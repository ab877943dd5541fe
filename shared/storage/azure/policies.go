package azure

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

// tries remembers, over the retries of one call, whether an earlier try may
// have had its effect although its answer was lost.
type tries struct {
	open   bool // the last try's outcome is not known
	unsure bool // that of one before the last is not
}

type triesKey struct{}

// watched returns a context under which the tries of a write are watched.
func watched(ctx context.Context) context.Context {
	return context.WithValue(ctx, triesKey{}, new(tries))
}

func unsure(ctx context.Context) bool {
	t, ok := ctx.Value(triesKey{}).(*tries)
	return ok && t.unsure
}

// watchTries is the policy that fills tries.
type watchTries struct{}

func (watchTries) Do(req *policy.Request) (*http.Response, error) {
	t, ok := req.Raw().Context().Value(triesKey{}).(*tries)
	if !ok {
		return req.Next()
	}
	t.unsure = t.unsure || t.open
	resp, err := req.Next()
	t.open = err != nil || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode >= 500
	return resp, err
}

// uncommittedOnly makes Put Block List take uncommitted blocks alone. The SDK
// always asks for the latest of each id, committed or not, so that a commit
// repeated with half of its parts gone could pass.
type uncommittedOnly struct{}

func (uncommittedOnly) Do(req *policy.Request) (*http.Response, error) {
	raw := req.Raw()
	if raw.Method != http.MethodPut || raw.URL.Query().Get("comp") != "blocklist" {
		return req.Next()
	}
	body, err := io.ReadAll(raw.Body)
	if err != nil {
		return nil, err
	}
	body = bytes.ReplaceAll(body, []byte("<Latest>"), []byte("<Uncommitted>"))
	body = bytes.ReplaceAll(body, []byte("</Latest>"), []byte("</Uncommitted>"))
	if err := req.SetBody(streaming.NopCloser(bytes.NewReader(body)), raw.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	return req.Next()
}

package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/storage"
)

// errHung is the end of an invocation that was answered by nothing.
var errHung = errors.New("an empty answer: the invocation hung until functionTimeout")

// invoke delivers an envelope and judges the reply as the host does.
func (h *Host) invoke(ctx context.Context, f layout.Function, envelope []byte) error {
	if err := h.process.wait(ctx); err != nil {
		return err
	}
	host := ctx // outlives the deadline, which ends the handler too
	ctx, stop := h.deadline(ctx, f)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.handlerURL()+"/"+f.Name, bytes.NewReader(envelope))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Azure-Functions-Host/"+hostVersion)
	req.Header.Set("X-Azure-Functions-Invocationid", guid())
	req.Header.Set("X-Azure-Functions-Hostversion", hostVersion)
	req.GetBody = nil // an envelope is never sent twice within one delivery
	ended := h.process.silence()
	resp, err := h.handler.Do(req)
	if err != nil {
		ended(host)
		return fmt.Errorf("the handler gave no answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		ended(host)
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	if text := strings.TrimSpace(string(body)); text == "" || text == "null" {
		<-ctx.Done() // until the deadline kills the handler
		ended(host)
		return errHung
	}
	var reply map[string]json.RawMessage
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return fmt.Errorf("answered 2xx with Content-Type %q, which the host refuses", resp.Header.Get("Content-Type"))
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return errors.New("answered 2xx with something else than a JSON object")
	}
	return nil
}

// queueEnvelope is what the host makes of a message: every string encoded a
// second time, and the members of a JSON payload copied over the metadata.
func queueEnvelope(f layout.Function, m storage.Message, hidden time.Duration) ([]byte, error) {
	now := time.Now().UTC()
	meta := map[string]any{
		"DequeueCount":    strconv.Itoa(m.DequeueCount),
		"ExpirationTime":  "9999-12-31T23:59:59+00:00",
		"Id":              twice(m.ID),
		"InsertionTime":   m.Inserted.UTC().Format("2006-01-02T15:04:05+00:00"),
		"NextVisibleTime": now.Add(hidden).Format("2006-01-02T15:04:05+00:00"),
		"PopReceipt":      twice(m.Receipt),
		"sys":             map[string]string{"MethodName": f.Name, "UtcNow": now.Format(time.RFC3339Nano), "RandGuid": guid()},
	}
	var payload map[string]json.RawMessage
	if json.Unmarshal(m.Body, &payload) == nil {
		for name, raw := range payload {
			shadow(meta, name, raw)
		}
	}
	return json.Marshal(map[string]any{
		"Data":     map[string]any{f.Trigger.Name: twice(string(m.Body))},
		"Metadata": meta,
	})
}

// shadow copies one member of a payload over the metadata of the same name in
// any case. Arrays are left out.
func shadow(meta map[string]any, name string, raw json.RawMessage) {
	if len(raw) == 0 || raw[0] == '[' {
		return
	}
	for have := range meta {
		if strings.EqualFold(have, name) {
			delete(meta, have)
		}
	}
	switch raw[0] {
	case '{':
		meta[name] = raw
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			meta[name] = twice(s)
		}
	default: // numbers and the like become text first
		meta[name] = twice(string(raw))
	}
}

// twice encodes s once; the envelope's own encoding is the second time.
func twice(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // never: a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

package web

import (
	"encoding/json"

	"github.com/portico-ml/portico/shared/fault"
)

// appendError appends the classic error document of e.
func appendError(dst []byte, e *fault.Error) []byte {
	t := e.Kind.Traits()
	b := &buffer{b: append(dst, `{"error":`...)}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	//nolint:errchkjson // strings alone
	enc.Encode(struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Details []fault.Detail `json:"details"`
	}{t.Class, t.Message, e.Details()})
	return append(b.b[:len(b.b)-1], '}')
}

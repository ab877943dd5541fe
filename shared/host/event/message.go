package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Sender puts messages on queues; storage.Queues is one.
type Sender interface {
	Send(ctx context.Context, queue string, body []byte, delay time.Duration) error
}

// Send enqueues m, which encodes as a JSON object, for its first try.
func Send(ctx context.Context, q Sender, queue string, m any, delay time.Duration) error {
	body, err := encode(m, tries{Try: 1})
	if err != nil {
		return err
	}
	return q.Send(ctx, queue, body, delay)
}

// tries is what a message carries about its own past, beside its payload.
type tries struct {
	// Try is the number of the run this message is for, from 1: it rises when
	// a run ended its worker, panicked or passed its deadline.
	Try int `json:"try"`
	// Again counts the passing failures since, for the back-off.
	Again int `json:"again,omitempty"`
	// Rescued says that sweep has brought the message back from the poison
	// queue, which it does once.
	Rescued bool `json:"rescued,omitempty"`
}

// The envelope is {"v":1,"m":{payload…,"try":n}}: the payload is nested, so
// that none of its keys can shadow the host's metadata (functions.md §1.2).
const version = 1

func encode(m any, t tries) ([]byte, error) {
	payload, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	if len(payload) < 2 || payload[0] != '{' {
		return nil, fmt.Errorf("a message is a JSON object, not %T", m)
	}
	b := append([]byte(`{"v":`), strconv.Itoa(version)...)
	b = append(b, `,"m":`...)
	b = append(b, payload[:len(payload)-1]...)
	if len(payload) > 2 {
		b = append(b, ',')
	}
	own, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	b = append(b, own[1:]...)
	return append(b, '}'), nil
}

// decode reads an envelope. foreign says that body is not one, whatever else
// it may be.
func decode(body []byte) (payload json.RawMessage, t tries, foreign bool, err error) {
	var e struct {
		V int             `json:"v"`
		M json.RawMessage `json:"m"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.V == 0 || len(bytes.TrimSpace(e.M)) == 0 {
		return nil, tries{Try: 1}, true, nil
	}
	if e.V != version {
		return nil, t, false, fmt.Errorf("message of version %d: this program reads version %d", e.V, version)
	}
	if err := json.Unmarshal(e.M, &t); err != nil {
		return nil, t, false, fmt.Errorf("decode message: %w", err)
	}
	t.Try = max(t.Try, 1)
	return e.M, t, false, nil
}

// Bump returns body, a message found in a poison queue, as it is to be sent
// once more: with its try raised. ok is false where it must not be: it is no
// envelope of ours, or it has been brought back before.
func Bump(body []byte) (again []byte, ok bool) {
	payload, t, foreign, err := decode(body)
	if foreign || err != nil || t.Rescued {
		return nil, false
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(payload, &m) != nil {
		return nil, false
	}
	delete(m, "try")
	delete(m, "again")
	again, err = encode(m, tries{Try: t.Try + 1, Rescued: true})
	return again, err == nil
}

package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// Kinds of derived keys.
const (
	EndpointKey    = "endpoint-key"
	WorkspaceToken = "workspace-token"
	BlobURL        = "blob-url"
)

// The two slots of an endpoint's keys and of a workspace's tokens.
const (
	Primary   = "primary"
	Secondary = "secondary"
)

const minMasterKey = 32 // bytes

// MasterKey is one entry of a ring.
type MasterKey struct {
	Name string // [a-z0-9]{1,32}
	Key  []byte // at least 32 random bytes
}

// Ring is the master keys. The first entry is the current one: new keys are
// derived from it. Older ones stay as long as a stored Slot names them. A Ring
// is immutable and never prints its keys.
type Ring struct {
	setting string
	entries []MasterKey
}

// NewRing returns the ring of keys, the current one first, which came from a
// setting. An error is fault.Unavailable and names the setting and the bad
// key's fingerprint, never the key.
func NewRing(setting string, keys ...MasterKey) (*Ring, error) {
	r := &Ring{setting: setting}
	bad := func(format string, args ...any) (*Ring, error) {
		return nil, fault.New(fault.Unavailable, "ServiceUnavailable", "the setting %s cannot be used: %s", setting, fmt.Sprintf(format, args...))
	}
	if len(keys) == 0 {
		return bad("it holds no master key")
	}
	for i, k := range keys {
		switch {
		case !validEntryName(k.Name):
			return bad("the name of key %d is not of the form [a-z0-9]{1,32}", i+1)
		case len(k.Key) < minMasterKey:
			return bad("key %q (fingerprint %s) has %d bytes: at least %d are needed", k.Name, fingerprint(k.Key), len(k.Key), minMasterKey)
		case constant(k.Key):
			return bad("key %q (fingerprint %s) repeats one byte: it is not random", k.Name, fingerprint(k.Key))
		case r.find(k.Name) != nil:
			return bad("two keys are called %q", k.Name)
		}
		r.entries = append(r.entries, MasterKey{k.Name, slices.Clone(k.Key)})
	}
	return r, nil
}

// fingerprint tells one key from another without giving it away.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("portico/1\x00fingerprint\x00"), key...))
	return hex.EncodeToString(sum[:4])
}

func validEntryName(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func constant(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != b[0] })
}

// String names the entries.
func (r *Ring) String() string { return "ring(" + strings.Join(r.Names(), ", ") + ")" }

// GoString is String: a ring does not print its keys.
func (r *Ring) GoString() string { return r.String() }

// Names lists the entries, the current one first.
func (r *Ring) Names() []string {
	names := make([]string, len(r.entries))
	for i, e := range r.entries {
		names[i] = e.Name
	}
	return names
}

// Current names the entry from which new keys are derived.
func (r *Ring) Current() string { return r.entries[0].Name }

func (r *Ring) find(name string) *MasterKey {
	for i := range r.entries {
		if r.entries[i].Name == name {
			return &r.entries[i]
		}
	}
	return nil
}

// Missing is the error to answer with where a stored slot or sealed text names
// an entry that the ring lacks.
func (r *Ring) Missing(entry string) error {
	return fault.New(fault.Unavailable, "ServiceUnavailable", "the setting %s has no master key %q, which stored keys name: add it back", r.setting, entry)
}

// Derive returns the key of kind for one slot of the thing id in workspace ws:
// 88 characters ending in "==". The same arguments give the same key for ever.
// It returns "", which matches nothing, where the ring has no such entry.
func (r *Ring) Derive(entry, kind, ws, id, slot string, generation int64) string {
	e := r.find(entry)
	if e == nil {
		return ""
	}
	m := hmac.New(sha512.New, e.Key)
	for _, s := range []string{"portico/1", kind, ws, id, slot} {
		if strings.IndexByte(s, 0) >= 0 {
			return "" // it would let two different tuples meet
		}
		m.Write([]byte(s))
		m.Write([]byte{0})
	}
	m.Write(strconv.AppendInt(nil, generation, 10))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Slot is what is stored of a derived key: which ring entry and which
// generation make it.
type Slot struct {
	Entry      string
	Generation int64
}

// NewSlot is the slot of a key made now.
func (r *Ring) NewSlot(now time.Time) Slot { return Slot{r.Current(), now.Unix()} }

// Next is the slot that follows s when its key is regenerated now: the current
// entry, and a generation above every earlier one even if a row was lost and
// written anew in between.
func (r *Ring) Next(s Slot, now time.Time) Slot {
	return Slot{r.Current(), s.Generation + max(1, now.Unix()-s.Generation)}
}

// Tokens are the two slots of a workspace's tokens.
type Tokens struct{ Primary, Secondary Slot }

// WorkspaceTokens derives both tokens of the workspace.
func (r *Ring) WorkspaceTokens(ws string, t Tokens) (primary, secondary string, err error) {
	for _, s := range []Slot{t.Primary, t.Secondary} {
		if r.find(s.Entry) == nil {
			return "", "", r.Missing(s.Entry)
		}
	}
	return r.Derive(t.Primary.Entry, WorkspaceToken, ws, ws, Primary, t.Primary.Generation),
		r.Derive(t.Secondary.Entry, WorkspaceToken, ws, ws, Secondary, t.Secondary.Generation), nil
}

// MatchToken says with which of the workspace's tokens somebody calls. One that
// is neither is fault.Unauthorized. The comparison takes constant time.
func (r *Ring) MatchToken(ws, token string, t Tokens) (Identity, error) {
	p, s, err := r.WorkspaceTokens(ws, t)
	if err != nil {
		return Identity{}, err
	}
	isP, isS := equal(token, p), equal(token, s) // both, always
	switch {
	case isP:
		return TokenIdentity(ws, Primary), nil
	case isS:
		return TokenIdentity(ws, Secondary), nil
	}
	return Identity{}, fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
}

// equal compares two keys in time that depends on neither's content, nor on
// the length of want.
func equal(got, want string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

// Marks are, by entry, a text that tells whether another ring has the same key
// under that name. It can be stored: nothing can be derived from it.
func (r *Ring) Marks() map[string]string {
	marks := make(map[string]string, len(r.entries))
	for _, e := range r.entries {
		marks[e.Name] = r.Derive(e.Name, "mark", "", "", "", 0)[:16]
	}
	return marks
}

// Changed is the error to answer with where the ring's entry is not the one
// whose mark was stored.
func (r *Ring) Changed(entry string) error {
	key := []byte(nil)
	if e := r.find(entry); e != nil {
		key = e.Key
	}
	return fault.New(fault.Unavailable, "ServiceUnavailable", "the setting %s has another master key under the name %q (fingerprint %s) than the one in use: put that one back, or give the new key a new name", r.setting, entry, fingerprint(key)).At(r.setting)
}

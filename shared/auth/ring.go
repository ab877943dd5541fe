package auth

import (
	"crypto/hmac"
	"crypto/rand"
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

// Ring is the master keys. The first entry is the current one: new keys are
// derived from it. Older ones stay as long as a stored Slot names them. A Ring
// is immutable and never prints its keys.
type Ring struct {
	setting string
	entries []entry
}

type entry struct {
	name string
	key  []byte
}

// ParseRing reads a ring from the value of a setting: entries "name:base64",
// separated by commas or blanks, the current one first. Names are
// [a-z0-9-]{1,32}; keys are at least 32 bytes. An error is fault.Unavailable
// and names the setting and the value's fingerprint, never the value.
func ParseRing(setting, value string) (*Ring, error) {
	r := &Ring{setting: setting}
	bad := func(format string, args ...any) (*Ring, error) {
		return nil, badSetting(setting, value, format, args...)
	}
	for i, f := range strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' }) {
		name, text, ok := strings.Cut(f, ":")
		if !ok {
			return bad("entry %d has no name: write name:base64", i+1)
		}
		if !validEntryName(name) {
			return bad("the name of entry %d is not of the form [a-z0-9-]{1,32}", i+1)
		}
		key, err := base64.StdEncoding.DecodeString(text)
		switch {
		case err != nil:
			return bad("entry %q is not base64", name)
		case len(key) < minMasterKey:
			return bad("entry %q has %d bytes: at least %d are needed", name, len(key), minMasterKey)
		case constant(key):
			return bad("entry %q repeats one byte: it is not a random key", name)
		case r.find(name) != nil:
			return bad("two entries are called %q", name)
		}
		r.entries = append(r.entries, entry{name, key})
	}
	if len(r.entries) == 0 {
		return bad("it holds no entry: write name:base64")
	}
	return r, nil
}

func badSetting(setting, value, format string, args ...any) error {
	which := "empty"
	if value != "" {
		which = "fingerprint " + Fingerprint(value)
	}
	return fault.New(fault.Unavailable, "ServiceUnavailable", "the setting %s (%s) cannot be used: %s", setting, which, fmt.Sprintf(format, args...))
}

// Fingerprint names a secret setting's value without giving it away: with it
// an operator can tell which of several values a process has.
func Fingerprint(value string) string {
	sum := sha256.Sum256([]byte("portico/1\x00fingerprint\x00" + value))
	return hex.EncodeToString(sum[:4])
}

func validEntryName(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func constant(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != b[0] })
}

// NewEntry makes a random ring entry called name, in the form ParseRing reads.
func NewEntry(name string) string {
	var key [64]byte
	rand.Read(key[:])
	return name + ":" + base64.StdEncoding.EncodeToString(key[:])
}

// String names the entries.
func (r *Ring) String() string { return "ring(" + strings.Join(r.Names(), ", ") + ")" }

// GoString is String: a ring does not print its keys.
func (r *Ring) GoString() string { return r.String() }

// Names lists the entries, the current one first.
func (r *Ring) Names() []string {
	names := make([]string, len(r.entries))
	for i, e := range r.entries {
		names[i] = e.name
	}
	return names
}

// Current names the entry from which new keys are derived.
func (r *Ring) Current() string { return r.entries[0].name }

// Retirable lists the entries that can be taken out of the ring: all but the
// current one and those in use. Missing lists the names in use that the ring
// lacks; each is a set of keys that no longer works.
func (r *Ring) Retirable(inUse []string) (retirable, missing []string) {
	for _, e := range r.entries[1:] {
		if !slices.Contains(inUse, e.name) {
			retirable = append(retirable, e.name)
		}
	}
	for _, n := range inUse {
		if r.find(n) == nil && !slices.Contains(missing, n) {
			missing = append(missing, n)
		}
	}
	return retirable, missing
}

func (r *Ring) find(name string) *entry {
	for i := range r.entries {
		if r.entries[i].name == name {
			return &r.entries[i]
		}
	}
	return nil
}

func (r *Ring) entry(name string) (*entry, error) {
	if e := r.find(name); e != nil {
		return e, nil
	}
	return nil, fault.New(fault.Unavailable, "ServiceUnavailable", "the setting %s has no entry %q, which a stored key names: add it back", r.setting, name)
}

// Derive returns the key of kind for one slot of the thing id in workspace ws:
// 88 characters ending in "==". The same arguments give the same key for ever.
// It fails, with fault.Unavailable, only where the ring has no such entry.
func (r *Ring) Derive(entry, kind, ws, id, slot string, generation int64) (string, error) {
	e, err := r.entry(entry)
	if err != nil {
		return "", err
	}
	m := hmac.New(sha512.New, e.key)
	for _, s := range []string{"portico/1", kind, ws, id, slot} {
		// A NUL inside a part would let two different tuples meet.
		if strings.IndexByte(s, 0) >= 0 {
			return "", fault.New(fault.BadArgument, "BadParameterValue", "a NUL byte in the name of a key")
		}
		m.Write([]byte(s))
		m.Write([]byte{0})
	}
	m.Write(strconv.AppendInt(nil, generation, 10))
	return base64.StdEncoding.EncodeToString(m.Sum(nil)), nil
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
	if primary, err = r.Derive(t.Primary.Entry, WorkspaceToken, ws, ws, Primary, t.Primary.Generation); err != nil {
		return "", "", err
	}
	secondary, err = r.Derive(t.Secondary.Entry, WorkspaceToken, ws, ws, Secondary, t.Secondary.Generation)
	return primary, secondary, err
}

// MatchToken reports whose token of the workspace this is, in constant time.
// An error of fault.Unauthorized says that it is neither.
func (r *Ring) MatchToken(ws, token string, t Tokens) (Identity, error) {
	p, s, err := r.WorkspaceTokens(ws, t)
	if err != nil {
		return Identity{}, err
	}
	isP, isS := Equal(token, p), Equal(token, s) // both, always
	switch {
	case isP:
		return TokenIdentity(ws, Primary), nil
	case isS:
		return TokenIdentity(ws, Secondary), nil
	}
	return Identity{}, fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
}

// Equal compares two keys in time that depends on neither's content, nor on
// the length of want.
func Equal(got, want string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

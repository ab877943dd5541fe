package config

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that does not print, log or encode: whoever needs it calls
// Reveal, which is easy to search for.
type Secret struct{ v string }

// NewSecret returns v as a secret.
func NewSecret(v string) Secret { return Secret{v} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.v }

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.v == "" }

func (s Secret) String() string {
	if s.v == "" {
		return ""
	}
	return redacted
}

// Format keeps every verb, %#v and %x included, from showing the value.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText redacts in JSON and wherever else text is made of s.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue redacts in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

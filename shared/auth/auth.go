// Package auth says who calls and derives the keys they call with.
//
// A Ring of master keys derives every endpoint key, workspace token and URL
// signing key; none is stored. A Verifier turns the bearer token of an admin
// call into an Identity; what that identity may do in a workspace is a Role,
// which comes from the workspace's members and never from the token.
package auth

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Role is what a member may do in a workspace. Each includes those below it.
type Role uint8

const (
	None     Role = iota
	Reader        // sees everything but keys
	Author        // builds experiments, publishes to staging, asks for promotion
	Deployer      // approves, rejects, rolls back
	Owner         // changes members and settings
)

var roleNames = [...]string{None: "none", Reader: "reader", Author: "author", Deployer: "deployer", Owner: "owner"}

func (r Role) String() string {
	if int(r) >= len(roleNames) {
		return roleNames[None]
	}
	return roleNames[r]
}

// MarshalText writes the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name.
func (r *Role) UnmarshalText(b []byte) error {
	i := slices.Index(roleNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("unknown role %q: one of %s", b, strings.Join(roleNames[1:], ", "))
	}
	*r = Role(i)
	return nil
}

// Identity is who calls. Issuer and Subject together name one person or
// program; the rest describes it.
type Identity struct {
	Issuer  string
	Subject string
	Name    string
	Email   string
	// Groups are the groups the issuer put into the token.
	Groups []string
	// Operator says that the token grants the app-level operator role. It is
	// the only right a token can carry by itself.
	Operator bool
}

// Key names the identity for comparison, as the rule that requester and
// approver differ needs it: "iss|sub", or "token:{workspace}:{slot}".
func (id Identity) Key() string {
	if id.Issuer == "" {
		return id.Subject
	}
	return id.Issuer + "|" + id.Subject
}

// Display is the name to show for the identity: the friendliest there is.
func (id Identity) Display() string {
	return cmp.Or(id.Name, id.Email, id.Subject)
}

// TokenIdentity is who calls with a workspace token: a program of the
// workspace, an author there and nothing anywhere else.
func TokenIdentity(ws, slot string) Identity {
	return Identity{Subject: "token:" + ws + ":" + slot, Name: "workspace token (" + slot + ")"}
}

// TokenWorkspace returns the workspace whose token id called with; false for
// an identity that came from an issuer.
func (id Identity) TokenWorkspace() (ws string, ok bool) {
	if id.Issuer != "" {
		return "", false
	}
	rest, ok := strings.CutPrefix(id.Subject, "token:")
	if !ok {
		return "", false
	}
	ws, _, ok = strings.Cut(rest, ":")
	return ws, ok
}

// BearerToken returns the bearer token of the request's Authorization header,
// or "". The scheme may be in any case and followed by any blanks: clients of
// the old service send "bearer", "Bearer" and "Bearer  ".
func BearerToken(r *http.Request) string {
	const scheme = "bearer"
	h := strings.Trim(r.Header.Get("Authorization"), " \t")
	if len(h) <= len(scheme) || !strings.EqualFold(h[:len(scheme)], scheme) {
		return ""
	}
	if c := h[len(scheme)]; c != ' ' && c != '\t' {
		return ""
	}
	return strings.TrimLeft(h[len(scheme):], " \t")
}

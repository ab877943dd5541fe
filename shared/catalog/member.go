package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// MemberKind says whom a member row names.
type MemberKind string

const (
	Person MemberKind = "person" // one subject of an issuer; a program, too
	Group  MemberKind = "group"  // everybody in whose token the issuer puts the group
)

// Member gives a person or a group a role in a workspace. A group means the
// group of that issuer: no other issuer's tokens can claim it.
type Member struct {
	Kind   MemberKind `json:"kind"`
	Issuer string     `json:"issuer"`
	Value  string     `json:"value"` // subject or group
	Name   string     `json:"name,omitempty"`
	Role   auth.Role  `json:"role"`
	Added  time.Time  `json:"added"`
	By     auth.Who   `json:"addedBy"`
}

func (m *Member) row() string {
	return string(m.Kind[:1]) + "." + hash(m.Issuer, m.Value)
}

// subject is the member as the audit names it.
func (m *Member) subject() string { return string(m.Kind) + " " + m.Issuer + "|" + m.Value }

func (m *Member) check() error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.BadArgument, "BadParameterValue", "a member %s", fmt.Sprintf(format, args...)).At("members")
	}
	switch {
	case m.Kind != Person && m.Kind != Group:
		return bad("of kind %.40q: one of person, group", m.Kind)
	case m.Issuer == "":
		return bad("needs the issuer of its tokens")
	case m.Value == "":
		return bad("needs a value: the subject or the group")
	case m.Role == auth.None || m.Role > auth.Owner:
		return bad("needs a role: one of reader, author, deployer, owner")
	case len(m.Issuer) > 1024 || len(m.Value) > 1024 || len(m.Name) > 1024:
		return bad("has a text of more than 1,024 bytes")
	}
	return nil
}

func (m *Member) props() storage.Props {
	p := storage.Props{"kind": string(m.Kind), "issuer": m.Issuer, "value": m.Value, "name": m.Name, "role": m.Role.String(), "added": m.Added}
	setBy(p, m.By)
	return p
}

func readMember(e storage.Entity) Member {
	p := e.Props
	m := Member{
		Kind: MemberKind(p.Str("kind")), Issuer: p.Str("issuer"), Value: p.Str("value"), Name: p.Str("name"),
		Added: p.Time("added"), By: readBy(p),
	}
	// A role this program does not know is none: an older one must not guess.
	_ = m.Role.UnmarshalText([]byte(p.Str("role")))
	return m
}

// role is the highest role that id has in workspace ws.
func (s *snapshot) role(ws string, id auth.Identity) auth.Role {
	if of, ok := id.TokenWorkspace(); ok {
		if of == ws {
			return auth.Author
		}
		return auth.None
	}
	role := auth.None
	for i := range s.members {
		m := &s.members[i]
		if m.Issuer != id.Issuer || id.Issuer == "" {
			continue
		}
		if m.Kind == Person && m.Value == id.Subject || m.Kind == Group && slices.Contains(id.Groups, m.Value) {
			role = max(role, m.Role)
		}
	}
	return role
}

// Role returns what id may do in the workspace: the highest role of its own row
// and its groups'; None where it has none. A workspace that does not exist is
// fault.NotFound.
func (c *Catalog) Role(ctx context.Context, ws string, id auth.Identity) (auth.Role, error) {
	s, err := c.recent(ctx, ws)
	if err != nil {
		return auth.None, err
	}
	return s.role(ws, id), nil
}

// Require is nil where id has at least role least in the workspace. To somebody
// without any role there, the workspace does not exist.
func (c *Catalog) Require(ctx context.Context, ws string, id auth.Identity, least auth.Role) error {
	role, err := c.Role(ctx, ws, id)
	switch {
	case err != nil:
		return err
	case role == auth.None:
		return notFound("WorkspaceNotFound", "the workspace does not exist")
	case role < least:
		return fault.New(fault.Forbidden, "RoleRequired", "this needs the role %s in the workspace; you have %s", least, role)
	}
	return nil
}

// Members lists the members of a workspace: owners first, then by name.
func (c *Catalog) Members(ctx context.Context, ws string) ([]Member, error) {
	s, err := c.load(ctx, ws)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.members, func(a, b Member) int {
		if a.Role != b.Role {
			return int(b.Role) - int(a.Role)
		}
		return strings.Compare(strings.ToLower(a.Name)+"\x00"+a.Value, strings.ToLower(b.Name)+"\x00"+b.Value)
	})
	return s.members, nil
}

// SetMember adds a member or changes its role.
func (c *Catalog) SetMember(ctx context.Context, ws string, m Member, by auth.Identity) error {
	if err := m.check(); err != nil {
		return err
	}
	m.Added, m.By = time.Now().UTC().Truncate(time.Microsecond), by.Who()
	e := Event{Type: EventMemberSet, Subject: m.subject(), Detail: m.Role.String()}
	return c.changeMembers(ctx, ws, e, by, func(members []Member) ([]Member, storage.Op, error) {
		op := storage.Op{Kind: storage.Upsert, Row: m.row(), Props: m.props()}
		for i := range members {
			if members[i].row() == m.row() {
				members[i] = m
				return members, op, nil
			}
		}
		return append(members, m), op, nil
	})
}

// RemoveMember takes a member's role away.
func (c *Catalog) RemoveMember(ctx context.Context, ws string, kind MemberKind, issuer, value string, by auth.Identity) error {
	gone := Member{Kind: kind, Issuer: issuer, Value: value, Role: auth.Reader}
	if err := gone.check(); err != nil {
		return err
	}
	e := Event{Type: EventMemberRemoved, Subject: gone.subject()}
	return c.changeMembers(ctx, ws, e, by, func(members []Member) ([]Member, storage.Op, error) {
		rest := slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.row() == gone.row() })
		if len(rest) == len(members) {
			return nil, storage.Op{}, notFound("MemberNotFound", "%s %q is no member of the workspace", kind, value)
		}
		return rest, storage.Op{Kind: storage.Delete, Row: gone.row(), IfMatch: storage.AnyETag}, nil
	})
}

// changeMembers applies one change on condition that nobody changed the
// workspace meanwhile: of two owners who remove each other, one fails. e is
// recorded with it.
func (c *Catalog) changeMembers(ctx context.Context, ws string, e Event, by auth.Identity, change func([]Member) ([]Member, storage.Op, error)) error {
	err := again(ctx, "the workspace", func() error {
		s, err := c.load(ctx, ws)
		if err != nil {
			return err
		}
		after, op, err := change(s.members)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(after, func(m Member) bool { return m.Role == auth.Owner }) {
			return errNoOwner()
		}
		guard := storage.Op{Kind: storage.Replace, Row: workspaceRow, IfMatch: s.workspace.etag, Props: s.workspace.props()}
		_, err = c.tables.Apply(ctx, table, membersPartition(ws), guard, op, record(e, by))
		return err
	})
	if err == nil {
		c.forget(ws)
	}
	return err
}

func errNoOwner() error {
	return fault.New(fault.InvalidOperation, "LastOwner", "a workspace must have an owner: make another member owner first")
}

package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Workspace is a tenant.
type Workspace struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"` // friendly name
	Description string    `json:"description,omitempty"`
	Region      string    `json:"region,omitempty"`
	Created     time.Time `json:"created"`
	By          auth.Who  `json:"createdBy"`
	// Tokens are the slots of the workspace's two tokens. They are no secret:
	// only the ring makes keys of them.
	Tokens auth.Tokens `json:"-"`

	etag string
}

const (
	workspacesPartition = "workspaces"
	workspaceRow        = "workspace"
)

func membersPartition(ws string) string { return ws + ".members" }

func (w *Workspace) props() storage.Props {
	p := storage.Props{
		"name": w.Name, "description": w.Description, "region": w.Region, "created": w.Created,
		"primaryEntry": w.Tokens.Primary.Entry, "primaryGeneration": w.Tokens.Primary.Generation,
		"secondaryEntry": w.Tokens.Secondary.Entry, "secondaryGeneration": w.Tokens.Secondary.Generation,
	}
	setBy(p, w.By)
	return p
}

func readWorkspace(id string, e storage.Entity) *Workspace {
	p := e.Props
	return &Workspace{
		ID: id, Name: p.Str("name"), Description: p.Str("description"), Region: p.Str("region"),
		Created: p.Time("created"), By: readBy(p), etag: e.ETag,
		Tokens: auth.Tokens{
			Primary:   auth.Slot{Entry: p.Str("primaryEntry"), Generation: p.Int("primaryGeneration")},
			Secondary: auth.Slot{Entry: p.Str("secondaryEntry"), Generation: p.Int("secondaryGeneration")},
		},
	}
}

// NewWorkspace is what a workspace is made of.
type NewWorkspace struct {
	ID          string // empty = a new id
	Name        string
	Description string
	Region      string
	// Members are there from the start; one of them must be an owner. Empty
	// makes the creator the owner.
	Members []Member
}

// CreateWorkspace makes a workspace. An id that is taken is fault.Conflict.
func (c *Catalog) CreateWorkspace(ctx context.Context, n NewWorkspace, by auth.Identity) (*Workspace, error) {
	if err := checkWorkspace(n.Name, n.Description, n.Region); err != nil {
		return nil, err
	}
	if n.ID == "" {
		n.ID = service.NewID()
	}
	if !service.ValidID(n.ID) {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "workspace id %.40q: 32 lower-case hex digits are needed", n.ID).At("id")
	}
	if len(n.Members) == 0 {
		n.Members = []Member{{Kind: Person, Issuer: by.Issuer, Value: by.Subject, Name: by.Display(), Role: auth.Owner}}
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	slot := c.ring.NewSlot(now)
	w := &Workspace{
		ID: n.ID, Name: n.Name, Description: n.Description, Region: n.Region, Created: now, By: by.Who(),
		Tokens: auth.Tokens{Primary: slot, Secondary: slot},
	}
	ops := []storage.Op{{Kind: storage.Insert, Row: workspaceRow, Props: w.props()}}
	rows := map[string]bool{}
	owned := false
	for _, m := range n.Members {
		if err := m.check(); err != nil {
			return nil, err
		}
		if rows[m.row()] {
			return nil, fault.New(fault.BadArgument, "BadParameterValue", "member %.80q is named twice", m.Value).At("members")
		}
		m.Added, m.By = now, w.By
		rows[m.row()] = true
		owned = owned || m.Role == auth.Owner
		ops = append(ops, storage.Op{Kind: storage.Insert, Row: m.row(), Props: m.props()})
	}
	if !owned {
		return nil, errNoOwner()
	}
	ops = append(ops, record(Event{Type: EventWorkspaceCreated, Subject: n.Name, Object: n.ID}, by))
	if len(ops) > storage.MaxApplyOps {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "a workspace begins with at most %d members: add the others later", storage.MaxApplyOps-2).At("members")
	}
	// The index row comes first: one without a workspace is passed over, a
	// workspace without one would never be listed.
	_, err := c.tables.Apply(ctx, table, workspacesPartition, storage.Op{Kind: storage.Insert, Row: n.ID, Props: storage.Props{"created": now}})
	if err != nil && !fault.HasCode(err, storage.CodeExists) {
		return nil, err
	}
	etags, err := c.tables.Apply(ctx, table, membersPartition(n.ID), ops...)
	if fault.HasCode(err, storage.CodeExists) {
		return nil, fault.New(fault.Conflict, "WorkspaceExists", "workspace %s exists already", n.ID).At("id")
	}
	if err != nil {
		return nil, err
	}
	w.etag = etags[0]
	c.forget(n.ID)
	return w, nil
}

// Workspace returns a workspace as it was at most a few seconds ago.
func (c *Catalog) Workspace(ctx context.Context, ws string) (*Workspace, error) {
	s, err := c.recent(ctx, ws)
	if err != nil {
		return nil, err
	}
	w := *s.workspace
	return &w, nil
}

// Workspaces lists the workspaces in which id has a role; all of them for an
// operator. They are sorted by name.
func (c *Catalog) Workspaces(ctx context.Context, id auth.Identity) ([]*Workspace, error) {
	var out []*Workspace
	for e, err := range c.tables.Query(ctx, table, workspacesPartition, storage.Range{}) {
		if err != nil {
			return nil, err
		}
		s, err := c.recent(ctx, e.Row)
		if fault.Is(err, fault.NotFound) {
			continue // its creation has not come to an end
		}
		if err != nil {
			return nil, err
		}
		if id.Operator || s.role(e.Row, id) > auth.None {
			w := *s.workspace
			out = append(out, &w)
		}
	}
	slices.SortFunc(out, func(a, b *Workspace) int {
		return strings.Compare(strings.ToLower(a.Name)+"\x00"+a.ID, strings.ToLower(b.Name)+"\x00"+b.ID)
	})
	return out, nil
}

// WorkspaceChange is what can be changed of a workspace; nil = as it is.
type WorkspaceChange struct {
	Name, Description, Region *string
}

// ChangeWorkspace changes a workspace's description of itself.
func (c *Catalog) ChangeWorkspace(ctx context.Context, ws string, ch WorkspaceChange, by auth.Identity) (*Workspace, error) {
	return c.changeWorkspace(ctx, ws, Event{Type: EventWorkspaceChanged, Object: ws}, by, func(w *Workspace) error {
		for _, f := range []struct{ dst, src *string }{{&w.Name, ch.Name}, {&w.Description, ch.Description}, {&w.Region, ch.Region}} {
			if f.src != nil {
				*f.dst = *f.src
			}
		}
		return checkWorkspace(w.Name, w.Description, w.Region)
	})
}

func checkWorkspace(name, description, region string) error {
	for _, f := range []struct {
		what, text string
		most       int
	}{{"description", description, 2000}, {"region", region, maxName}} {
		if len(f.text) > f.most || !utf8.ValidString(f.text) {
			return fault.New(fault.BadArgument, "BadParameterValue", "the workspace's %s: at most %d bytes of text are kept, not %d", f.what, f.most, len(f.text)).At(f.what)
		}
	}
	return CheckName("workspace", name)
}

// RegenerateToken replaces the workspace token in slot; the old one is refused
// within seconds.
func (c *Catalog) RegenerateToken(ctx context.Context, ws, slot string, by auth.Identity) (*Workspace, error) {
	return c.changeWorkspace(ctx, ws, Event{Type: EventTokenRegenerated, Subject: slot}, by, func(w *Workspace) error {
		switch slot {
		case auth.Primary:
			w.Tokens.Primary = c.ring.Next(w.Tokens.Primary, time.Now())
		case auth.Secondary:
			w.Tokens.Secondary = c.ring.Next(w.Tokens.Secondary, time.Now())
		default:
			return fault.New(fault.BadArgument, "BadParameterValue", "token %.40q: one of primary, secondary", slot).At("slot")
		}
		return nil
	})
}

// changeWorkspace changes the workspace's row and records e, of which the name
// is the subject where it has none.
func (c *Catalog) changeWorkspace(ctx context.Context, ws string, e Event, by auth.Identity, change func(*Workspace) error) (*Workspace, error) {
	var w *Workspace
	err := again(ctx, "the workspace", func() error {
		s, err := c.load(ctx, ws)
		if err != nil {
			return err
		}
		w = s.workspace
		if err := change(w); err != nil {
			return err
		}
		e.Subject = cmp.Or(e.Subject, w.Name)
		etags, err := c.tables.Apply(ctx, table, membersPartition(ws), storage.Op{Kind: storage.Replace, Row: workspaceRow, IfMatch: w.etag, Props: w.props()}, record(e, by))
		if err == nil {
			w.etag = etags[0]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.forget(ws)
	return w, nil
}

// Tokens derives the two tokens of a workspace. They are secrets: never log
// them.
func (c *Catalog) Tokens(ctx context.Context, ws string) (primary, secondary string, err error) {
	s, err := c.recent(ctx, ws)
	if err != nil {
		return "", "", err
	}
	return c.ring.WorkspaceTokens(ws, s.workspace.Tokens)
}

// TokenIdentity says who calls with a token of the workspace. A token that is
// not one of the two is fault.Unauthorized, and so is an unknown workspace.
func (c *Catalog) TokenIdentity(ctx context.Context, ws, token string) (auth.Identity, error) {
	s, err := c.recent(ctx, ws)
	if fault.Is(err, fault.NotFound) {
		return auth.Identity{}, fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
	}
	if err != nil {
		return auth.Identity{}, err
	}
	return c.ring.MatchToken(ws, token, s.workspace.Tokens)
}

// snapshot is a workspace and its members as of one query.
type snapshot struct {
	mu        sync.Mutex // held while it is read anew: callers share one query
	at        time.Time
	workspace *Workspace
	members   []Member
}

const (
	// snapshotAge bounds how long a change made by another process stays
	// unseen here. A change made here is seen at once.
	snapshotAge  = 3 * time.Second
	maxSnapshots = 1024
)

// recent returns the snapshot of a workspace, at most snapshotAge old.
func (c *Catalog) recent(ctx context.Context, ws string) (*snapshot, error) {
	if err := checkID("the workspace", "WorkspaceNotFound", ws); err != nil {
		return nil, err
	}
	c.mu.Lock()
	s := c.snapshot[ws]
	if s == nil {
		if len(c.snapshot) >= maxSnapshots {
			clear(c.snapshot)
		}
		s = &snapshot{}
		c.snapshot[ws] = s
	}
	c.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workspace != nil && time.Since(s.at) < snapshotAge {
		return &snapshot{workspace: s.workspace, members: s.members}, nil
	}
	at := time.Now()
	fresh, err := c.load(ctx, ws)
	if err != nil {
		c.drop(ws, s)
		return nil, err
	}
	s.at, s.workspace, s.members = at, fresh.workspace, fresh.members
	return fresh, nil
}

// load reads a workspace and its members.
func (c *Catalog) load(ctx context.Context, ws string) (*snapshot, error) {
	if err := checkID("the workspace", "WorkspaceNotFound", ws); err != nil {
		return nil, err
	}
	s := &snapshot{}
	for e, err := range c.tables.Query(ctx, table, membersPartition(ws), notAudit) {
		switch {
		case err != nil:
			return nil, err
		case e.Row == workspaceRow:
			s.workspace = readWorkspace(ws, e)
		default:
			s.members = append(s.members, readMember(e))
		}
	}
	if s.workspace == nil {
		return nil, notFound("WorkspaceNotFound", "the workspace does not exist")
	}
	return s, nil
}

// forget drops what is known of a workspace after a change.
func (c *Catalog) forget(ws string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.snapshot, ws)
}

// drop is forget, unless another snapshot has taken s's place.
func (c *Catalog) drop(ws string, s *snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snapshot[ws] == s {
		delete(c.snapshot, ws)
	}
}

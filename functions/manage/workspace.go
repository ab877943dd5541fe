package manage

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

func (f *Function) workspaces(w http.ResponseWriter, c call) error {
	all, err := f.catalog.Workspaces(c.Context(), c.id)
	if err != nil {
		return err
	}
	if all == nil {
		all = []*catalog.Workspace{}
	}
	return web.JSON(w, http.StatusOK, all)
}

func (f *Function) workspace(w http.ResponseWriter, c call) error {
	work, err := f.catalog.Workspace(c.Context(), c.ws)
	if err != nil {
		return err
	}
	role, err := f.catalog.Role(c.Context(), c.ws, c.id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct {
		*catalog.Workspace
		YourRole auth.Role `json:"yourRole"`
	}{work, role})
}

// putWorkspace makes a workspace, or changes what it says of itself.
func (f *Function) putWorkspace(w http.ResponseWriter, c call) error {
	web.Call(c.Request).Workspace = c.ws
	var body struct {
		Name        *string          `json:"name"`
		Description *string          `json:"description"`
		Region      *string          `json:"region"`
		Members     []catalog.Member `json:"members"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	role, err := f.catalog.Role(c.Context(), c.ws, c.id)
	if err == nil {
		switch {
		case role == auth.None && !c.id.Operator:
			return noWorkspace()
		case role < auth.Owner && !c.id.Operator:
			return fault.New(fault.Forbidden, "RoleRequired", "this needs the role %s in the workspace; you have %s", auth.Owner, role)
		case body.Members != nil:
			return fault.New(fault.Conflict, "WorkspaceExists", "workspace %s exists already: its members are changed one by one", c.ws).At("members")
		}
		work, err := f.catalog.ChangeWorkspace(c.Context(), c.ws, catalog.WorkspaceChange{Name: body.Name, Description: body.Description, Region: body.Region}, c.id)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, work)
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if !c.id.Operator {
		return noWorkspace() // operators make them; to others absence and no role look the same
	}
	n := catalog.NewWorkspace{ID: c.ws, Members: body.Members}
	for _, t := range []struct{ dst, src *string }{{&n.Name, body.Name}, {&n.Description, body.Description}, {&n.Region, body.Region}} {
		if t.src != nil {
			*t.dst = *t.src
		}
	}
	work, err := f.catalog.CreateWorkspace(c.Context(), n, c.id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, work)
}

func (f *Function) members(w http.ResponseWriter, c call) error {
	all, err := f.catalog.Members(c.Context(), c.ws)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, all)
}

func (f *Function) putMember(w http.ResponseWriter, c call) error {
	var body struct {
		Kind   catalog.MemberKind `json:"kind"`
		Issuer string             `json:"issuer"`
		Value  string             `json:"value"`
		Name   string             `json:"name"`
		Role   auth.Role          `json:"role"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	if body.Kind == "" {
		body.Kind = catalog.Person
	}
	m := catalog.Member{Kind: body.Kind, Issuer: body.Issuer, Value: body.Value, Name: body.Name, Role: body.Role}
	if err := f.catalog.SetMember(c.Context(), c.ws, m, c.id); err != nil {
		return err
	}
	return f.members(w, c)
}

func (f *Function) deleteMember(w http.ResponseWriter, c call) error {
	q := c.URL.Query()
	kind := catalog.MemberKind(q.Get("kind"))
	if kind == "" {
		kind = catalog.Person
	}
	if err := f.catalog.RemoveMember(c.Context(), c.ws, kind, q.Get("issuer"), q.Get("value"), c.id); err != nil {
		return err
	}
	return f.members(w, c)
}

type tokens struct {
	Primary   string `json:"primary"`
	Secondary string `json:"secondary"`
}

// tokens shows the workspace's tokens to those who can do as much without.
func (f *Function) tokens(w http.ResponseWriter, c call) error {
	p, s, err := f.catalog.Tokens(c.Context(), c.ws)
	if err != nil {
		return err
	}
	return answerSecret(w, tokens{p, s})
}

func (f *Function) regenerateToken(w http.ResponseWriter, c call) error {
	if _, err := f.catalog.RegenerateToken(c.Context(), c.ws, c.PathValue("slot"), c.id); err != nil {
		return err
	}
	return f.tokens(w, c)
}

func (f *Function) notifications(w http.ResponseWriter, c call) error {
	before, limit, err := c.page()
	if err != nil {
		return err
	}
	news, err := f.registry.Notifications(c.Context(), c.ws, c.by, before, limit)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, news)
}

func (f *Function) seen(w http.ResponseWriter, c call) error {
	var body struct {
		ID string `json:"id"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	if err := f.registry.MarkSeen(c.Context(), c.ws, c.by, body.ID); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (f *Function) webhook(w http.ResponseWriter, c call) error {
	hook, err := f.registry.Webhook(c.Context(), c.ws, c.by)
	if err != nil {
		return err
	}
	return answerSecret(w, hook)
}

func (f *Function) putWebhook(w http.ResponseWriter, c call) error {
	var body registry.WebhookChange
	if err := c.body(&body); err != nil {
		return err
	}
	hook, err := f.registry.SetWebhook(c.Context(), c.ws, c.by, body)
	if err != nil {
		return err
	}
	return answerSecret(w, hook)
}

func (f *Function) deleteWebhook(w http.ResponseWriter, c call) error {
	if _, err := f.registry.SetWebhook(c.Context(), c.ws, c.by, registry.WebhookChange{}); err != nil {
		return err
	}
	return web.NoContent(w)
}

// How long the links of an upload work.
const (
	writeFor = time.Hour
	readFor  = 24 * time.Hour
)

// link is a signed link, whole and as the blob reference of a BES request.
type link struct {
	URL              string    `json:"url"`
	BaseLocation     string    `json:"baseLocation"`
	RelativeLocation string    `json:"relativeLocation"`
	SasBlobToken     string    `json:"sasBlobToken"`
	Expires          time.Time `json:"expires"`
}

func viewLink(u storage.SignedURL, until time.Time) link {
	return link{u.String(), u.Base, u.Path, u.Query, until}
}

// upload hands out a link to write a file to (Put Blob, or blocks), and one to
// read it, for a job's input. A caller who names the upload itself, by a digest
// of the file for one, is given the same place again when it asks again.
func (f *Function) upload(w http.ResponseWriter, c call) error {
	var body struct {
		Name string `json:"name"`
		ID   string `json:"id"`
	}
	if err := c.optional(&body); err != nil {
		return err
	}
	body.Name, body.ID = cmp.Or(body.Name, "data"), cmp.Or(body.ID, service.NewID())
	if !fileName(body.Name) {
		return badFileName(body.Name)
	}
	if !service.ValidID(body.ID) {
		return fault.New(fault.BadArgument, "BadParameterValue", "id: 32 lower-case hex digits are needed").At("id")
	}
	key := c.ws + "/uploads/" + body.ID + "/" + body.Name
	now := time.Now().UTC()
	write, err := f.store.Blobs.SignWrite(c.Context(), key, now.Add(writeFor))
	if err != nil {
		return err
	}
	read, err := f.store.Blobs.SignRead(c.Context(), key, now.Add(readFor))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, map[string]link{
		"write": viewLink(write, now.Add(writeFor)),
		"read":  viewLink(read, now.Add(readFor)),
	})
}

func badFileName(name string) error {
	return fault.New(fault.BadArgument, "BadParameterValue", "file name %.64q: 1 to 128 letters, digits, dots, dashes and underscores, neither first nor last a dot", name).At("name")
}

func fileName(s string) bool {
	if s == "" || len(s) > 128 || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_'
	})
}

// workspaceAudit tells what was done to the workspace and what was deleted of
// it; what was done to a service is in that's own.
func (f *Function) workspaceAudit(w http.ResponseWriter, c call) error {
	before, limit, err := c.page()
	if err != nil {
		return err
	}
	events, err := f.catalog.Audit(c.Context(), c.ws, before, cmp.Or(limit, registry.DefaultPage))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, events)
}

// lookAtGarbage says what would be deleted, to owners and operators. It deletes
// nothing.
func (f *Function) lookAtGarbage(w http.ResponseWriter, c call) error {
	report, err := garbage.Look(c.Context(), c.ws, f.garbage)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, report)
}

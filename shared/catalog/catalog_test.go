package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

var (
	ada   = auth.Identity{Issuer: "https://i", Subject: "ada", Name: "Ada"}
	ben   = auth.Identity{Issuer: "https://i", Subject: "ben", Groups: []string{"staff", "deployers"}}
	eve   = auth.Identity{Issuer: "https://other", Subject: "ada", Groups: []string{"deployers"}}
	chief = auth.Identity{Issuer: "https://i", Subject: "chief", Operator: true}
)

func testRing(t testing.TB) *auth.Ring {
	t.Helper()
	r, err := auth.NewRing("PORTICO_TEST_RING", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{1, 2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testStore(t testing.TB) storage.Store {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Store
}

func testCatalog(t testing.TB) (*catalog.Catalog, string) {
	t.Helper()
	s := testStore(t)
	c := catalog.New(s.Tables, artifact.New(s.Blobs), testRing(t))
	w, err := c.CreateWorkspace(t.Context(), catalog.NewWorkspace{Name: "Telecom", Region: "West Europe"}, ada)
	if err != nil {
		t.Fatal(err)
	}
	return c, w.ID
}

// want checks the kind, code and text of an error.
func want(t *testing.T, err error, kind fault.Kind, code, text string) {
	t.Helper()
	e := fault.Of(err)
	if e == nil || e.Kind != kind || e.Code != code || !strings.Contains(e.Msg, text) {
		t.Errorf("err = %v (%v), want %v/%s saying %q", err, e, kind, code, text)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "churn model [trained model]", "customers_train.csv", "Ведомость 5", "données — été", strings.Repeat("é", 128)} {
		if err := catalog.CheckName("dataset", good); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for _, bad := range []string{"", " a", "a ", "a/b", `a\b`, "a@2", ".", "..", "a\nb", "a\x00", "\xff", strings.Repeat("é", 129)} {
		err := catalog.CheckName("dataset", bad)
		if !fault.Is(err, fault.BadArgument) || fault.Of(err).Target != "name" {
			t.Errorf("%q: err %v", bad, err)
		}
	}
}

func TestWorkspaces(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	w, err := c.Workspace(ctx, ws)
	ok(t, err)
	if w.Name != "Telecom" || w.Region != "West Europe" || w.By != (auth.Who{ID: "https://i|ada", Name: "Ada"}) || time.Since(w.Created) > time.Hour {
		t.Errorf("workspace %+v", w)
	}
	if role, err := c.Role(ctx, ws, ada); role != auth.Owner || err != nil {
		t.Errorf("the creator is %v, %v", role, err)
	}

	_, err = c.CreateWorkspace(ctx, catalog.NewWorkspace{ID: ws, Name: "Another"}, ben)
	want(t, err, fault.Conflict, "WorkspaceExists", ws)
	if role, _ := c.Role(ctx, ws, ben); role != auth.None {
		t.Errorf("a refused creation made a member: %v", role)
	}
	_, err = c.CreateWorkspace(ctx, catalog.NewWorkspace{ID: "W1", Name: "x"}, ada)
	want(t, err, fault.BadArgument, "BadParameterValue", "32 lower-case hex")
	_, err = c.CreateWorkspace(ctx, catalog.NewWorkspace{Name: ""}, ada)
	want(t, err, fault.BadArgument, "BadParameterValue", "must not be empty")
	_, err = c.CreateWorkspace(ctx, catalog.NewWorkspace{Name: "x", Members: []catalog.Member{{Kind: catalog.Person, Issuer: "i", Value: "v", Role: auth.Deployer}}}, ada)
	want(t, err, fault.InvalidOperation, "LastOwner", "must have an owner")
	twice := catalog.Member{Kind: catalog.Person, Issuer: "i", Value: "v", Role: auth.Owner}
	_, err = c.CreateWorkspace(ctx, catalog.NewWorkspace{Name: "x", Members: []catalog.Member{twice, twice}}, ada)
	want(t, err, fault.BadArgument, "BadParameterValue", "named twice")

	id := service.NewID()
	second, err := c.CreateWorkspace(ctx, catalog.NewWorkspace{ID: id, Name: "Alpha", Members: []catalog.Member{{Kind: catalog.Group, Issuer: "https://i", Value: "staff", Role: auth.Owner}}}, chief)
	ok(t, err)
	if second.ID != id {
		t.Errorf("id %s, want %s", second.ID, id)
	}
	for _, tt := range []struct {
		id   auth.Identity
		want []string
	}{
		{ada, []string{"Telecom"}},
		{ben, []string{"Alpha"}},
		{eve, nil},
		{chief, []string{"Alpha", "Telecom"}},
		{auth.TokenIdentity(id, auth.Primary), []string{"Alpha"}},
	} {
		list, err := c.Workspaces(ctx, tt.id)
		ok(t, err)
		var names []string
		for _, w := range list {
			names = append(names, w.Name)
		}
		if d := cmp.Diff(tt.want, names); d != "" {
			t.Errorf("%s sees %s", tt.id.Subject, d)
		}
	}

	name := "Telecom Ltd"
	for what, text := range map[string]string{"description": strings.Repeat("x", 2001), "region": "\xff"} {
		n, ch := catalog.NewWorkspace{Name: "w"}, catalog.WorkspaceChange{}
		if what == "region" {
			n.Region, ch.Region = text, &text
		} else {
			n.Description, ch.Description = text, &text
		}
		_, err = c.CreateWorkspace(ctx, n, ada)
		want(t, err, fault.BadArgument, "BadParameterValue", "the workspace's "+what)
		_, err = c.ChangeWorkspace(ctx, ws, ch, ada)
		want(t, err, fault.BadArgument, "BadParameterValue", "the workspace's "+what)
	}
	_, err = c.ChangeWorkspace(ctx, ws, catalog.WorkspaceChange{Name: &name}, ada)
	ok(t, err)
	if w, _ := c.Workspace(ctx, ws); w.Name != name || w.Region != "West Europe" {
		t.Errorf("after the change: %+v", w)
	}
	for _, absent := range []string{service.NewID(), "", "x", "../" + ws, strings.ToUpper(ws)} {
		_, err := c.Workspace(ctx, absent)
		want(t, err, fault.NotFound, "WorkspaceNotFound", "does not exist")
		want(t, c.Require(ctx, absent, ada, auth.Reader), fault.NotFound, "WorkspaceNotFound", "does not exist")
	}
}

func TestWorkspaceTokens(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	p, s, err := c.Tokens(ctx, ws)
	ok(t, err)
	id, err := c.TokenIdentity(ctx, ws, p)
	ok(t, err)
	if id.Key() != "token:"+ws+":primary" {
		t.Errorf("identity %q", id.Key())
	}
	if role, _ := c.Role(ctx, ws, id); role != auth.Author {
		t.Errorf("a token is %v, want author", role)
	}
	other, err := c.CreateWorkspace(ctx, catalog.NewWorkspace{Name: "Other"}, ada)
	ok(t, err)
	if role, _ := c.Role(ctx, other.ID, id); role != auth.None {
		t.Errorf("a token of another workspace is %v", role)
	}
	_, err = c.TokenIdentity(ctx, other.ID, p)
	want(t, err, fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials")
	_, err = c.TokenIdentity(ctx, service.NewID(), p)
	want(t, err, fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials")

	_, err = c.RegenerateToken(ctx, ws, auth.Primary, ada)
	ok(t, err)
	p2, s2, err := c.Tokens(ctx, ws)
	ok(t, err)
	if p2 == p || s2 != s {
		t.Error("regenerating the primary token changed the wrong one")
	}
	_, err = c.TokenIdentity(ctx, ws, p)
	want(t, err, fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials")
	if _, err := c.TokenIdentity(ctx, ws, s); err != nil {
		t.Error(err)
	}
	_, err = c.RegenerateToken(ctx, ws, "third", ada)
	want(t, err, fault.BadArgument, "BadParameterValue", "primary, secondary")
}

func TestRoles(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	set := func(kind catalog.MemberKind, value string, role auth.Role) {
		t.Helper()
		ok(t, c.SetMember(ctx, ws, catalog.Member{Kind: kind, Issuer: "https://i", Value: value, Role: role}, ada))
	}
	set(catalog.Group, "staff", auth.Reader)
	set(catalog.Group, "deployers", auth.Deployer)
	set(catalog.Person, "cat", auth.Author)
	for _, tt := range []struct {
		name string
		id   auth.Identity
		want auth.Role
	}{
		{"owner", ada, auth.Owner},
		{"the highest of two groups", ben, auth.Deployer},
		{"the same subject and group of another issuer", eve, auth.None},
		{"a subject called like a group", auth.Identity{Issuer: "https://i", Subject: "deployers"}, auth.None},
		{"a group called like a subject", auth.Identity{Issuer: "https://i", Subject: "x", Groups: []string{"ada"}}, auth.None},
		{"an operator has no role of that", chief, auth.None},
		{"no issuer", auth.Identity{Subject: "ada"}, auth.None},
		{"nobody", auth.Identity{}, auth.None},
		{"a forged token subject", auth.Identity{Issuer: "https://i", Subject: "token:" + ws + ":primary"}, auth.None},
	} {
		got, err := c.Role(ctx, ws, tt.id)
		if got != tt.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	ok(t, c.Require(ctx, ws, ben, auth.Deployer))
	want(t, c.Require(ctx, ws, ben, auth.Owner), fault.Forbidden, "RoleRequired", "you have deployer")
	want(t, c.Require(ctx, ws, eve, auth.Reader), fault.NotFound, "WorkspaceNotFound", "does not exist")

	// Changing a role changes the row; taking it away is seen at once.
	set(catalog.Group, "deployers", auth.Author)
	if role, _ := c.Role(ctx, ws, ben); role != auth.Author {
		t.Errorf("after the change: %v", role)
	}
	ok(t, c.RemoveMember(ctx, ws, catalog.Group, "https://i", "deployers", ada))
	if role, _ := c.Role(ctx, ws, ben); role != auth.Reader {
		t.Errorf("after the removal: %v", role)
	}
	want(t, c.RemoveMember(ctx, ws, catalog.Group, "https://i", "deployers", ada), fault.NotFound, "MemberNotFound", "deployers")

	members, err := c.Members(ctx, ws)
	ok(t, err)
	var got []string
	for _, m := range members {
		got = append(got, fmt.Sprintf("%s %s %s", m.Role, m.Kind, m.Value))
	}
	if d := cmp.Diff([]string{"owner person ada", "author person cat", "reader group staff"}, got); d != "" {
		t.Error(d)
	}

	for name, m := range map[string]catalog.Member{
		"kind":   {Kind: "robot", Issuer: "i", Value: "v", Role: auth.Reader},
		"issuer": {Kind: catalog.Person, Value: "v", Role: auth.Reader},
		"value":  {Kind: catalog.Person, Issuer: "i", Role: auth.Reader},
		"role":   {Kind: catalog.Person, Issuer: "i", Value: "v"},
		"text":   {Kind: catalog.Person, Issuer: "i", Value: strings.Repeat("v", 2000), Role: auth.Reader},
	} {
		err := c.SetMember(ctx, ws, m, ada)
		want(t, err, fault.BadArgument, "BadParameterValue", name)
	}
	want(t, c.SetMember(ctx, service.NewID(), members[0], ada), fault.NotFound, "WorkspaceNotFound", "does not exist")
}

func TestLastOwner(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	want(t, c.RemoveMember(ctx, ws, catalog.Person, ada.Issuer, ada.Subject, ada), fault.InvalidOperation, "LastOwner", "must have an owner")
	demoted := catalog.Member{Kind: catalog.Person, Issuer: ada.Issuer, Value: ada.Subject, Role: auth.Author}
	want(t, c.SetMember(ctx, ws, demoted, ada), fault.InvalidOperation, "LastOwner", "must have an owner")

	// Owners who remove each other at once: whatever the order, one stays.
	const n = 6
	for i := range n - 1 {
		ok(t, c.SetMember(ctx, ws, catalog.Member{Kind: catalog.Person, Issuer: ada.Issuer, Value: fmt.Sprint("o", i), Role: auth.Owner}, ada))
	}
	members, err := c.Members(ctx, ws)
	ok(t, err)
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i, m := range members {
		wg.Go(func() { errs[i] = c.RemoveMember(ctx, ws, m.Kind, m.Issuer, m.Value, ada) })
	}
	wg.Wait()
	left, err := c.Members(ctx, ws)
	ok(t, err)
	removed := 0
	for _, err := range errs {
		if err == nil {
			removed++
		}
	}
	if len(left) == 0 || len(left) != n-removed {
		t.Errorf("%d owners left, %d removed of %d", len(left), removed, n)
	}
}

// Two processes over one store: what one changes the other sees within the age
// of a snapshot.
func TestSnapshotsAge(t *testing.T) {
	s := testStore(t)
	here := catalog.New(s.Tables, artifact.New(s.Blobs), testRing(t))
	there := catalog.New(s.Tables, artifact.New(s.Blobs), testRing(t))
	ctx := t.Context()
	w, err := here.CreateWorkspace(ctx, catalog.NewWorkspace{Name: "w"}, ada)
	ok(t, err)
	if role, err := there.Role(ctx, w.ID, ben); role != auth.None || err != nil {
		t.Fatal(role, err)
	}
	ok(t, here.SetMember(ctx, w.ID, catalog.Member{Kind: catalog.Person, Issuer: ben.Issuer, Value: ben.Subject, Role: auth.Author}, ada))
	for {
		role, err := there.Role(ctx, w.ID, ben)
		ok(t, err)
		if role == auth.Author {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// countingTables counts queries.
type countingTables struct {
	storage.Tables
	mu      sync.Mutex
	queries int
}

func (c *countingTables) Query(ctx context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	c.mu.Lock()
	c.queries++
	c.mu.Unlock()
	return c.Tables.Query(ctx, table, partition, r)
}

func TestRoleIsCached(t *testing.T) {
	s := testStore(t)
	tables := &countingTables{Tables: s.Tables}
	c := catalog.New(tables, artifact.New(s.Blobs), testRing(t))
	w, err := c.CreateWorkspace(t.Context(), catalog.NewWorkspace{Name: "w"}, ada)
	ok(t, err)
	tables.queries = 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if role, err := c.Role(t.Context(), w.ID, ada); role != auth.Owner || err != nil {
				t.Error(role, err)
			}
		})
	}
	wg.Wait()
	if tables.queries != 1 {
		t.Errorf("%d queries for 20 calls at once, want 1", tables.queries)
	}
}

func TestCheckRing(t *testing.T) {
	s := testStore(t)
	key := func(name string, b byte) auth.MasterKey {
		return auth.MasterKey{Name: name, Key: bytes.Repeat([]byte{b, 200}, 32)}
	}
	for _, tt := range []struct {
		name string
		keys []auth.MasterKey
		ok   bool
	}{
		{"first use", []auth.MasterKey{key("k1", 1)}, true},
		{"again", []auth.MasterKey{key("k1", 1)}, true},
		{"a key added in front", []auth.MasterKey{key("k2", 2), key("k1", 1)}, true},
		{"another order", []auth.MasterKey{key("k1", 1), key("k2", 2)}, true},
		{"one retired", []auth.MasterKey{key("k2", 2)}, true},
		{"another key under an old name", []auth.MasterKey{key("k3", 3), key("k1", 9)}, false},
		{"the right one back", []auth.MasterKey{key("k3", 3), key("k1", 1)}, true},
	} {
		r, err := auth.NewRing("PORTICO_TEST_RING", tt.keys...)
		ok(t, err)
		err = catalog.CheckRing(t.Context(), s.Tables, r)
		if tt.ok {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		want(t, err, fault.Unavailable, "ServiceUnavailable", `PORTICO_TEST_RING has another master key under the name "k1"`)
	}
}

// Tables behind a ring that is not theirs answer nothing and change nothing;
// behind their own they are held against it once.
func TestChecked(t *testing.T) {
	s := testStore(t)
	ring := func(b byte) *auth.Ring {
		r, err := auth.NewRing("PORTICO_TEST_RING", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{b, 200}, 32)})
		ok(t, err)
		return r
	}
	row := storage.Op{Kind: storage.Upsert, Row: "r", Props: storage.Props{"n": int64(1)}}
	mine := catalog.Checked(s.Tables, ring(1))
	_, err := mine.Apply(t.Context(), "things", "p", row)
	ok(t, err)

	other := catalog.Checked(s.Tables, ring(2))
	refused := func(err error) {
		t.Helper()
		want(t, err, fault.Unavailable, "ServiceUnavailable", "PORTICO_TEST_RING has another master key")
	}
	_, err = other.Get(t.Context(), "things", "p", "r")
	refused(err)
	_, err = other.Apply(t.Context(), "things", "p", storage.Op{Kind: storage.Delete, Row: "r", IfMatch: storage.AnyETag})
	refused(err)
	n := 0
	for _, err := range other.Query(t.Context(), "things", "p", storage.Range{}) {
		refused(err)
		n++
	}
	if n != 1 {
		t.Errorf("a refused query yields %d times", n)
	}

	e, err := mine.Get(t.Context(), "things", "p", "r")
	ok(t, err)
	if e.Props.Int("n") != 1 {
		t.Error("a refused call has changed something")
	}
	// Marks are read at first use alone.
	_, err = s.Tables.Apply(t.Context(), "catalog", "ring", storage.Op{Kind: storage.Upsert, Row: "k1", Props: storage.Props{"mark": "another"}})
	ok(t, err)
	for _, err := range mine.Query(t.Context(), "things", "p", storage.Range{}) {
		ok(t, err)
	}
}

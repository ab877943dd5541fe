package registry

import (
	"fmt"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

func TestRollback(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	var d [4]string
	var svc string
	for i := range d {
		p := mustPublish(t, r, fmt.Sprint(i))
		svc = p.Service.ID
		if i < 3 {
			expect := ""
			if i > 0 {
				expect = d[i-1]
			}
			mustPromote(t, r, p, expect)
		}
		d[i] = p.Digest
	}
	back := func(to int64) *Move {
		t.Helper()
		now := endpoint(t, r, svc, service.Default).Digest
		m, err := r.Rollback(ctx, testWS, svc, deployer, Rollback{Expect: &now, To: to})
		if err != nil {
			t.Fatal(err)
		}
		if e := endpoint(t, r, svc, service.Default); e.Digest != m.Digest || e.Seq != m.Seq || e.Position != m.To {
			t.Fatalf("after rollback to %+v: %+v", m, e)
		}
		return m
	}
	fails := func(code string, kind fault.Kind, q Rollback) {
		t.Helper()
		_, err := r.Rollback(ctx, testWS, svc, deployer, q)
		wantCode(t, err, kind, code)
	}

	fails(CodeExpectation, fault.Conflict, Rollback{Expect: &d[0]})
	// Twice goes two back.
	if m := back(0); m.Digest != d[1] || m.To != 2 || m.Seq != 4 {
		t.Fatalf("first rollback %+v", m)
	}
	if m := back(0); m.Digest != d[0] || m.To != 1 {
		t.Fatalf("second rollback %+v", m)
	}
	fails("NothingBefore", fault.Conflict, Rollback{Expect: &d[0]})
	// By name it may go to any entry; one that was a rollback stands for where it went.
	if m := back(3); m.Digest != d[2] || m.To != 3 {
		t.Fatalf("rollback to 3: %+v", m)
	}
	if m := back(4); m.Digest != d[1] || m.To != 2 {
		t.Fatalf("rollback to 4: %+v", m)
	}
	fails(CodeUnchanged, fault.Conflict, Rollback{Expect: &d[1], To: 2})
	fails("HistoryEntryNotFound", fault.NotFound, Rollback{Expect: &d[1], To: 99})

	// A new approval after rollbacks goes back to what was served just before.
	p := mustPublish(t, r, "3")
	mustPromote(t, r, p, d[1])
	if m := back(0); m.Digest != d[1] || m.To != 2 {
		t.Fatalf("rollback after approval %+v", m)
	}
	if m := back(0); m.Digest != d[0] {
		t.Fatalf("and once more %+v", m)
	}

	h, err := r.History(ctx, testWS, svc, service.Default, reader, 0, 3)
	if err != nil || len(h.Moves) != 3 || h.Moves[0].Seq != h.Moves[1].Seq+1 || h.Position != 1 {
		t.Fatal(h, err)
	}
	rest, err := r.History(ctx, testWS, svc, service.Default, reader, h.Next, 100)
	if err != nil || rest.Moves[0].Seq != h.Moves[2].Seq-1 || rest.Moves[len(rest.Moves)-1].Seq != 1 || rest.Next != 0 {
		t.Fatal(rest, err)
	}
}

func TestEndpoints(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	one := mustPublish(t, r, "one")
	svc := one.Service.ID

	// Before the first approval an added endpoint serves nothing either.
	early, err := r.CreateEndpoint(ctx, testWS, svc, "early", author, SettingsChange{})
	if err != nil || early.Digest != "" {
		t.Fatal(early, err)
	}
	_, _, err = r.Refresh(ctx, testWS, svc, "early", author, true)
	wantCode(t, err, fault.NotFound, "WebServiceNotFound")
	mustPromote(t, r, one, "")
	two := mustPublish(t, r, "two")

	// A new endpoint starts on what default serves, never on staging's.
	high, calls := service.ThrottleHigh, 20
	e, err := r.CreateEndpoint(ctx, testWS, svc, "shop", token, SettingsChange{ThrottleLevel: &high, MaxConcurrentCalls: &calls})
	if err != nil || e.Digest != one.Digest || e.Settings.Limit() != 20 {
		t.Fatal(e, err)
	}
	_, err = r.CreateEndpoint(ctx, testWS, svc, "shop", author, SettingsChange{})
	wantCode(t, err, fault.Conflict, "Conflict")
	for _, bad := range []string{"", "Shop", "a-b", "staging", "default", "abcdefghijklmnopqrstuvwxy"} {
		if _, err := r.CreateEndpoint(ctx, testWS, svc, bad, author, SettingsChange{}); err == nil {
			t.Errorf("name %q was taken", bad)
		}
	}
	if e, moved, err := r.Refresh(ctx, testWS, svc, "early", author, true); err != nil || !moved || e.Digest != one.Digest {
		t.Fatal(e, moved, err)
	}
	if _, moved, err := r.Refresh(ctx, testWS, svc, "early", author, true); err != nil || moved {
		t.Fatal("refreshed to the same", err)
	}
	mustPromote(t, r, two, one.Digest)
	if e := endpoint(t, r, svc, "shop"); e.Digest != one.Digest {
		t.Fatal("an approval moved an added endpoint")
	}

	all, err := r.Endpoints(ctx, testWS, svc, reader)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name)
	}
	if fmt.Sprint(names) != "[default early shop staging]" {
		t.Fatalf("order %v", names)
	}
	if s, err := r.Service(ctx, testWS, svc, reader); err != nil || s.Endpoints != 4 {
		t.Fatal(s, err)
	}

	low := service.ThrottleLow
	if e, err := r.ChangeSettings(ctx, testWS, svc, "shop", author, SettingsChange{ThrottleLevel: &low}); err != nil || e.Settings.Limit() != 4 {
		t.Fatal(e, err)
	}
	n := 201
	_, err = r.ChangeSettings(ctx, testWS, svc, "shop", author, SettingsChange{MaxConcurrentCalls: &n, ThrottleLevel: &high})
	wantCode(t, err, fault.BadArgument, "WebServiceTooManyConcurrentRequestRequirement")
	n = 5
	_, err = r.ChangeSettings(ctx, testWS, svc, "shop", author, SettingsChange{MaxConcurrentCalls: &n})
	wantCode(t, err, fault.BadArgument, "WebServiceConcurrentRequestRequirementInvalid")

	id := all[2].ID
	if _, err := r.Resolve(ctx, testWS, id); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteEndpoint(ctx, testWS, svc, "shop", author); err != nil {
		t.Fatal(err)
	}
	_, err = r.Resolve(ctx, testWS, id)
	wantCode(t, err, fault.NotFound, "WebServiceNotFound")
	for _, name := range []string{service.Staging, service.Default} {
		err := r.DeleteEndpoint(ctx, testWS, svc, name, owner)
		wantCode(t, err, fault.InvalidOperation, "NotOnThisEndpoint")
	}
}

func TestKeys(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	p := mustPublish(t, r, "one")
	svc := p.Service.ID
	old, err := r.Keys(ctx, testWS, svc, service.Staging, author)
	if err != nil {
		t.Fatal(err)
	}
	if len(old.Primary) != 88 || old.Primary[86:] != "==" {
		t.Fatalf("key of %d characters", len(old.Primary))
	}
	target, err := r.Resolve(ctx, testWS, p.Staging.ID)
	if err != nil {
		t.Fatal(err)
	}
	prod, err := r.Keys(ctx, testWS, svc, service.Default, deployer)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{
		old.Primary: true, old.Secondary: true, prod.Primary: false, "": false, old.Primary[:87]: false, old.Primary + "x": false, string(make([]byte, 500)): false,
	} {
		if target.Authorized(key) != want {
			t.Errorf("a key of %d characters: authorized %v", len(key), !want)
		}
	}

	now, err := r.RegenerateKey(ctx, testWS, svc, service.Staging, "primary", author)
	if err != nil {
		t.Fatal(err)
	}
	if now.Primary == old.Primary || now.Secondary != old.Secondary {
		t.Fatal("exactly the primary key must change")
	}
	again, err := r.RegenerateKey(ctx, testWS, svc, service.Staging, "primary", author)
	if err != nil || again.Primary == now.Primary || again.Primary == old.Primary {
		t.Fatal("regenerating twice in a second must give two keys", err)
	}
	if target, err = r.Resolve(ctx, testWS, p.Staging.ID); err != nil || target.Authorized(old.Primary) || !target.Authorized(again.Primary) || !target.Authorized(old.Secondary) {
		t.Fatal("the cache kept the old key", err)
	}
	_, err = r.RegenerateKey(ctx, testWS, svc, service.Staging, "third", author)
	wantCode(t, err, fault.BadArgument, "BadParameterValue")

	// Without its keys row an endpoint refuses everything.
	row, err := r.tables.Get(ctx, table, partition(testWS, svc), keysRow(p.Staging.ID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.tables.Apply(ctx, table, partition(testWS, svc), storage.Op{Kind: storage.Delete, Row: row.Row, IfMatch: row.ETag}); err != nil {
		t.Fatal(err)
	}
	r.pointers.forget(testWS, p.Staging.ID)
	if target, err = r.Resolve(ctx, testWS, p.Staging.ID); err != nil || target.Authorized(again.Primary) || target.Authorized("") {
		t.Fatal("authorized without keys", err)
	}
}

// Find takes an endpoint by id or name, inside its service alone.
func TestFind(t *testing.T) {
	r := newRegistry(t, openStore(t), Options{})
	p := mustPublish(t, r, "one")
	for _, named := range []string{p.Staging.ID, service.Staging} {
		found, err := r.Find(t.Context(), testWS, p.Service.ID, named)
		if err != nil || found.Endpoint.ID != p.Staging.ID {
			t.Errorf("%s: %+v, %v", named, found, err)
		}
	}
	for _, absent := range [][3]string{
		{testWS, p.Service.ID, "other"},
		{testWS, p.Service.ID, service.NewID()},
		{testWS, service.NewID(), service.Staging},
		{testWS, service.NewID(), p.Staging.ID},
		{service.NewID(), p.Service.ID, service.Staging},
		{service.NewID(), p.Service.ID, p.Staging.ID},
	} {
		if found, err := r.Find(t.Context(), absent[0], absent[1], absent[2]); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %+v, %v", absent, found, err)
		}
	}
}

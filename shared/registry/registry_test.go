package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const (
	testWS  = "0123456789abcdef0123456789abcdef"
	testExp = "11111111111111111111111111111111"
)

// The people of the tests.
var (
	reader   = Actor{ID: "idp|rita", Name: "Rita", Role: auth.Reader}
	author   = Actor{ID: "idp|ann", Name: "Ann", Role: auth.Author}
	author2  = Actor{ID: "idp|alf", Name: "Alf", Role: auth.Author}
	deployer = Actor{ID: "idp|dora", Name: "Dora", Role: auth.Deployer}
	owner    = Actor{ID: "idp|olga", Name: "Olga", Role: auth.Owner}
	token    = Member(auth.TokenIdentity(testWS, auth.Primary), auth.Author)
)

func testRing(t testing.TB) *auth.Ring {
	t.Helper()
	key := make([]byte, 64)
	for i := range key {
		key[i] = byte(i)
	}
	ring, err := auth.NewRing("TEST_RING", auth.MasterKey{Name: "k1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func openStore(t testing.TB) *storage.Store {
	t.Helper()
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &st.Store
}

// loadFake stands in for scoring.Load where a test is not about scoring.
func loadFake(_ context.Context, _, digest string) (*scoring.Deployment, int64, error) {
	return &scoring.Deployment{Digest: digest}, 1000, nil
}

func newRegistry(t testing.TB, st *storage.Store, o Options) *Registry {
	t.Helper()
	if o.Load == nil {
		o.Load = loadFake
	}
	return New(st, testRing(t), o)
}

// manifest returns the manifest of a service with one input of the columns
// given, told from others by salt.
func manifest(t testing.TB, salt string, columns ...frame.Field) []byte {
	t.Helper()
	if columns == nil {
		columns = []frame.Field{{Name: "age", Type: frame.Int32}}
	}
	b, err := json.Marshal(&service.Manifest{
		Format: 1, Graph: json.RawMessage(fmt.Sprintf(`{"salt":%q}`, salt)),
		Inputs:  []service.Port{{Name: "input1", Schema: columns}},
		Outputs: []service.Port{{Name: "output1", Schema: frame.Schema{{Name: "Scored Labels", Type: frame.String}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func publication(t testing.TB, salt string) Publication {
	return Publication{
		ExperimentID: testExp, RunID: service.NewID(), Name: "Churn", Ran: author.who(), Manifest: manifest(t, salt),
		Models: []ModelUse{{Name: "churn model", Version: 3, Digest: "d", Verified: true, Record: json.RawMessage(`{"auc":0.93}`)}},
	}
}

func mustPublish(t testing.TB, r *Registry, salt string) *Published {
	t.Helper()
	p, err := r.Publish(t.Context(), testWS, author, publication(t, salt))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testOnStaging makes the call on staging that promotion asks for.
func testOnStaging(t testing.TB, r *Registry, p *Published) {
	t.Helper()
	target, err := r.Resolve(t.Context(), testWS, p.Staging.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Evidence(t.Context(), target); err != nil {
		t.Fatal(err)
	}
}

func mustPromote(t testing.TB, r *Registry, p *Published, expect string) *Promotion {
	t.Helper()
	testOnStaging(t, r, p)
	q, err := r.RequestPromotion(t.Context(), testWS, p.Service.ID, author, Request{Digest: p.Digest})
	if err != nil {
		t.Fatal(err)
	}
	q, err = r.Approve(t.Context(), testWS, p.Service.ID, q.Number, deployer, Decision{Expect: &expect})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func endpoint(t testing.TB, r *Registry, svc, name string) service.Endpoint {
	t.Helper()
	e, err := r.Endpoint(t.Context(), testWS, svc, name, reader)
	if err != nil {
		t.Fatal(err)
	}
	return *e
}

func wantCode(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || !fault.HasCode(err, code) {
		t.Fatalf("error %v; want %v with code %s", err, kind, code)
	}
}

func TestLifecycle(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	first := mustPublish(t, r, "one")
	svc := first.Service.ID
	if !first.Created || !first.Moved || first.Staging.Digest != first.Digest || first.Default.Digest != "" {
		t.Fatalf("first publication: %+v", first)
	}
	if first.Staging.ID == first.Default.ID || first.Staging.ID == svc {
		t.Fatal("endpoints need ids of their own")
	}

	// The keys of the two endpoints are four different ones.
	seen := map[string]bool{}
	for _, name := range []string{service.Staging, service.Default} {
		k, err := r.Keys(ctx, testWS, svc, name, deployer)
		if err != nil {
			t.Fatal(err)
		}
		seen[k.Primary], seen[k.Secondary] = true, true
	}
	if len(seen) != 4 {
		t.Fatalf("%d different keys, want 4", len(seen))
	}

	target, err := r.Resolve(ctx, testWS, first.Default.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = target.Serving()
	wantCode(t, err, fault.NotFound, "WebServiceNotFound")

	// Not before a call on staging, not by the requester.
	_, err = r.RequestPromotion(ctx, testWS, svc, author, Request{Digest: first.Digest})
	wantCode(t, err, fault.Conflict, CodeUntested)
	testOnStaging(t, r, first)
	p, err := r.RequestPromotion(ctx, testWS, svc, author, Request{Digest: first.Digest, Note: "please"})
	if err != nil {
		t.Fatal(err)
	}
	if p.State != service.Requested || p.Kind != Add || p.Number != 1 || p.Evidence.First == nil || p.Difference.Verdict != Same {
		t.Fatalf("promotion %+v", p)
	}
	if p.Deployment.Published.ID != author.ID || len(p.Deployment.Models) != 1 || string(p.Deployment.Models[0].Record) != `{"auc":0.93}` {
		t.Fatalf("what the deployer has to know: %+v", p.Deployment)
	}
	if e := endpoint(t, r, svc, service.Default); e.Digest != "" {
		t.Fatal("a request deployed something")
	}
	nothing := ""
	both := author
	both.Role = auth.Deployer
	_, err = r.Approve(ctx, testWS, svc, 1, both, Decision{Expect: &nothing})
	wantCode(t, err, fault.Forbidden, CodeSelfApproval)
	_, err = r.Approve(ctx, testWS, svc, 1, deployer, Decision{})
	wantCode(t, err, fault.BadArgument, "BadParameterValue")
	other := first.Digest
	_, err = r.Approve(ctx, testWS, svc, 1, deployer, Decision{Expect: &other})
	wantCode(t, err, fault.Conflict, CodeExpectation)
	p, err = r.Approve(ctx, testWS, svc, 1, deployer, Decision{Expect: &nothing, Reason: "looks good"})
	if err != nil {
		t.Fatal(err)
	}
	if p.State != service.Approved || p.Decider.ID != deployer.ID {
		t.Fatalf("approved: %+v", p)
	}
	_, err = r.Approve(ctx, testWS, svc, 1, owner, Decision{Expect: &nothing})
	wantCode(t, err, fault.Conflict, CodeDecided)
	if msg := fault.Of(err).Msg; !bytes.Contains([]byte(msg), []byte("Dora")) {
		t.Fatalf("%q does not name who decided", msg)
	}

	// The answer is seen by this process at once.
	target, err = r.Resolve(ctx, testWS, first.Default.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := target.Serving(); d != first.Digest {
		t.Fatalf("default serves %q", d)
	}

	// The same bytes: the same deployment, and nothing moves.
	again := mustPublish(t, r, "one")
	if again.Moved || again.Created || again.Service.ID != svc || again.Digest != first.Digest || again.Staging.Seq != 1 {
		t.Fatalf("published again: %+v", again)
	}
	_, err = r.RequestPromotion(ctx, testWS, svc, author, Request{Digest: first.Digest})
	wantCode(t, err, fault.Conflict, CodeUnchanged)

	// Another version: staging alone moves.
	second := mustPublish(t, r, "two")
	if second.Service.ID != svc || !second.Moved || second.Staging.ID != first.Staging.ID {
		t.Fatalf("second publication: %+v", second)
	}
	if e := endpoint(t, r, svc, service.Default); e.Digest != first.Digest {
		t.Fatal("publishing moved default")
	}
	_, err = r.RequestPromotion(ctx, testWS, svc, author, Request{Digest: first.Digest})
	wantCode(t, err, fault.Conflict, CodeExpectation)
	p = mustPromote(t, r, second, first.Digest)
	if p.Kind != Update || p.Against != first.Digest {
		t.Fatalf("second promotion %+v", p)
	}

	// The audit tells all of it, newest first, and so do the notifications.
	var types []string
	audit, err := r.Audit(ctx, testWS, svc, author, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range audit.Events {
		types = append(types, e.Type)
	}
	want := []string{EventApproved, EventRequested, EventPublished, EventApproved, EventRequested, EventPublished}
	if fmt.Sprint(types) != fmt.Sprint(want) {
		t.Fatalf("audit %v, want %v", types, want)
	}
	news, err := r.Notifications(ctx, testWS, deployer, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(news.Notices) != len(want) || news.Unread != len(want) {
		t.Fatalf("%d notifications, %d unread", len(news.Notices), news.Unread)
	}
	if err := r.MarkSeen(ctx, testWS, deployer, news.Notices[2].ID); err != nil {
		t.Fatal(err)
	}
	if news, err = r.Notifications(ctx, testWS, deployer, "", 2); err != nil || news.Unread != 2 || !news.Notices[1].Unread || len(news.Notices) != 2 || news.Next == "" {
		t.Fatalf("after reading: %+v, %v", news, err)
	}
	if news, err = r.Notifications(ctx, testWS, deployer, news.Next, 100); err != nil || len(news.Notices) != len(want)-2 || news.Notices[0].Unread {
		t.Fatalf("second page: %+v, %v", news, err)
	}
	if news, _ = r.Notifications(ctx, testWS, author, "", 0); news.Unread != len(want) {
		t.Fatal("members share what they have read")
	}
}

func TestPromotionsEnd(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	p := mustPublish(t, r, "one")
	svc := p.Service.ID
	testOnStaging(t, r, p)
	file := func(note string) *Promotion {
		t.Helper()
		q, err := r.RequestPromotion(ctx, testWS, svc, author, Request{Digest: p.Digest, Note: note})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	state := func(n int64) service.PromotionState {
		t.Helper()
		q, err := r.Promotion(ctx, testWS, svc, n, reader)
		if err != nil {
			t.Fatal(err)
		}
		return q.State
	}

	one := file("a")
	if again := file("a"); again.Number != one.Number {
		t.Fatalf("asking again filed promotion %d", again.Number)
	}
	two := file("b")
	if state(one.Number) != service.Superseded {
		t.Fatalf("promotion %d is %s", one.Number, state(one.Number))
	}
	_, err := r.Withdraw(ctx, testWS, svc, two.Number, author2, Decision{})
	wantCode(t, err, fault.Forbidden, "RoleRequired")
	if _, err := r.Withdraw(ctx, testWS, svc, two.Number, author, Decision{Reason: "not yet"}); err != nil {
		t.Fatal(err)
	}
	three := file("c")
	_, err = r.Reject(ctx, testWS, svc, three.Number, deployer, Decision{})
	wantCode(t, err, fault.BadArgument, "BadParameterValue")
	q, err := r.Reject(ctx, testWS, svc, three.Number, deployer, Decision{Reason: "AUC is low"})
	if err != nil || q.Reason != "AUC is low" {
		t.Fatal(q, err)
	}
	four := file("d")
	if err := r.DeleteService(ctx, testWS, svc, author2); err != nil {
		t.Fatal(err)
	}
	want := []service.PromotionState{service.Superseded, service.Withdrawn, service.Rejected, service.Expired}
	for i, n := range []int64{one.Number, two.Number, three.Number, four.Number} {
		q, err := r.promotion(ctx, testWS, svc, n)
		if err != nil || q.State != want[i] {
			t.Errorf("promotion %d is %v (%v), want %s", n, q, err, want[i])
		}
	}

	// What is gone answers as if it had never been, but for its audit.
	_, err = r.Service(ctx, testWS, svc, reader)
	wantCode(t, err, fault.NotFound, "WebServiceIdNotFoundInWorkspace")
	_, err = r.Resolve(ctx, testWS, p.Staging.ID)
	wantCode(t, err, fault.NotFound, "WebServiceNotFound")
	if all, err := r.Services(ctx, testWS, reader); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	if a, err := r.Audit(ctx, testWS, svc, author, "", 1); err != nil || a.Events[0].Type != EventServiceDeleted {
		t.Fatal(a, err)
	}
	// The experiment can be published again: a new service.
	if next := mustPublish(t, r, "one"); next.Service.ID == svc || !next.Created {
		t.Fatalf("published after deletion: %+v", next)
	}
}

func TestBreakingChangeIsAcknowledged(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	first := mustPublish(t, r, "one")
	svc := first.Service.ID
	mustPromote(t, r, first, "")
	pub := publication(t, "two")
	pub.Manifest = manifest(t, "two", frame.Field{Name: "age", Type: frame.Int32}, frame.Field{Name: "income", Type: frame.Double})
	second, err := r.Publish(ctx, testWS, author, pub)
	if err != nil {
		t.Fatal(err)
	}
	testOnStaging(t, r, second)
	q, err := r.RequestPromotion(ctx, testWS, svc, author, Request{Digest: second.Digest})
	if err != nil {
		t.Fatal(err)
	}
	if q.Difference.Verdict != Breaking {
		t.Fatalf("difference %+v", q.Difference)
	}
	_, err = r.Approve(ctx, testWS, svc, q.Number, deployer, Decision{Expect: &first.Digest})
	wantCode(t, err, fault.Conflict, CodeBreaking)
	if _, err = r.Approve(ctx, testWS, svc, q.Number, deployer, Decision{Expect: &first.Digest, Acknowledge: "breaking"}); err != nil {
		t.Fatal(err)
	}
}

func TestPublishRefuses(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{Load: func(context.Context, string, string) (*scoring.Deployment, int64, error) {
		return nil, 0, fault.New(fault.Package, "ValidationError", "node n3: no such module")
	}})
	_, err := r.Publish(ctx, testWS, author, publication(t, "one"))
	wantCode(t, err, fault.Package, "ValidationError")

	r = newRegistry(t, openStore(t), Options{})
	for name, change := range map[string]func(*Publication){
		"no name":    func(p *Publication) { p.Name = "" },
		"name":       func(p *Publication) { p.Name = " x" },
		"experiment": func(p *Publication) { p.ExperimentID = "../../x" },
		"manifest":   func(p *Publication) { p.Manifest = []byte(`{`) },
		"format":     func(p *Publication) { p.Manifest = []byte(`{"format":2}`) },
		"missing assets": func(p *Publication) {
			p.Manifest = []byte(`{"format":1,"assets":[{"name":"a","kind":"TrainedModel","digest":"00"}]}`)
		},
	} {
		p := publication(t, "one")
		change(&p)
		if _, err := r.Publish(ctx, testWS, author, p); err == nil || fault.Is(err, fault.Internal) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if all, err := r.Services(ctx, testWS, reader); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
}

func TestDeleteServiceWithManyEndpoints(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	p := mustPublish(t, r, "one")
	svc := p.Service.ID
	mustPromote(t, r, p, "")
	for i := range 2*endpointsPerApply + 3 {
		if _, err := r.CreateEndpoint(ctx, testWS, svc, fmt.Sprintf("e%03d", i), author, SettingsChange{}); err != nil {
			t.Fatal(err)
		}
	}
	// Production is at stake: an author may not, nor a token, nor half of it.
	for _, a := range []Actor{author, token, reader} {
		err := r.DeleteService(ctx, testWS, svc, a)
		wantCode(t, err, fault.Forbidden, "RoleRequired")
	}
	if err := r.DeleteService(ctx, testWS, svc, deployer); err != nil {
		t.Fatal(err)
	}
	left, err := r.endpoints(ctx, testWS, svc)
	if err != nil || len(left) != 0 {
		t.Fatalf("%d endpoints left, %v", len(left), err)
	}
	if err := r.DeleteService(ctx, testWS, svc, deployer); !fault.Is(err, fault.NotFound) {
		t.Fatalf("deleted twice: %v", err)
	}
}

func TestRoots(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	one := mustPublish(t, r, "one")
	mustPromote(t, r, one, "")
	two := mustPublish(t, r, "two")
	roots := map[string]bool{}
	if err := r.Roots(ctx, testWS, func(d string) { roots[d] = true }); err != nil {
		t.Fatal(err)
	}
	if !roots[one.Digest] || !roots[two.Digest] || len(roots) != 2 {
		t.Fatalf("roots %v", roots)
	}
}

// A job on staging is evidence for the deployment it was pinned to, and for no
// other; a job elsewhere is none.
func TestEvidenceOfJob(t *testing.T) {
	r := newRegistry(t, openStore(t), Options{})
	first := mustPublish(t, r, "one")
	second := mustPublish(t, r, "two") // while the job runs
	ask := func() error {
		_, err := r.RequestPromotion(t.Context(), testWS, second.Service.ID, author, Request{Digest: second.Digest})
		return err
	}
	for _, job := range []struct{ endpoint, digest string }{{second.Staging.ID, first.Digest}, {second.Default.ID, second.Digest}} {
		if err := r.EvidenceOfJob(t.Context(), testWS, job.endpoint, job.digest); err != nil {
			t.Fatal(err)
		}
		if err := ask(); !fault.HasCode(err, CodeUntested) {
			t.Fatalf("a job of %v let a promotion through: %v", job, err)
		}
	}
	if err := r.EvidenceOfJob(t.Context(), testWS, second.Staging.ID, second.Digest); err != nil {
		t.Fatal(err)
	}
	r.Count(&Target{Endpoint: second.Staging}, Call{Batch: true})
	r.Count(&Target{Endpoint: second.Staging}, Call{Batch: true, Failed: true})
	r.Count(&Target{Endpoint: second.Staging}, Call{Batch: true})
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := r.RequestPromotion(t.Context(), testWS, second.Service.ID, author, Request{Digest: second.Digest})
	if err != nil || p.Evidence.First == nil || p.Evidence.Calls != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := r.EvidenceOfJob(t.Context(), testWS, service.NewID(), second.Digest); !fault.Is(err, fault.NotFound) {
		t.Errorf("a job of an endpoint that is gone: %v", err)
	}
}

// A deployment that is gone is not gone back to, though this process still has
// it in memory.
func TestRollback_collected(t *testing.T) {
	ctx := t.Context()
	st := openStore(t)
	r := newRegistry(t, st, Options{})
	one := mustPublish(t, r, "one")
	mustPromote(t, r, one, "")
	two := mustPublish(t, r, "two")
	mustPromote(t, r, two, one.Digest)
	back := Rollback{Endpoint: service.Default, Expect: &two.Digest}
	if err := st.Blobs.Delete(ctx, testWS+"/sha256/"+one.Digest, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rollback(ctx, testWS, two.Service.ID, deployer, back); !fault.Is(err, fault.Package) {
		t.Errorf("rollback: %v", err)
	}
	e, err := r.Endpoint(ctx, testWS, two.Service.ID, service.Default, deployer)
	if err != nil || e.Digest != two.Digest {
		t.Errorf("default serves %+v, %v", e, err)
	}
}

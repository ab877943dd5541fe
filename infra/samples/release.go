package samples

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/service"
)

// workspace finds or makes the workspace and its members.
func (w *walk) workspace(ctx context.Context) error {
	var all []struct{ ID, Name string }
	if err := w.operator.do(ctx, "GET", "/manage/workspaces", nil, &all); err != nil {
		return err
	}
	for _, x := range all {
		if x.Name == Workspace {
			w.ws = x.ID
			w.say("workspace    %q is there: %s", Workspace, w.ws)
			return nil
		}
	}
	type member struct {
		Kind   string `json:"kind"`
		Issuer string `json:"issuer"`
		Value  string `json:"value"`
		Role   string `json:"role"`
	}
	var members []member
	for _, role := range []string{"reader", "author", "deployer", "owner"} {
		members = append(members, member{"person", auth.LocalIssuerName, "local-" + role, role})
	}
	w.ws = service.NewID()
	body := map[string]any{"name": Workspace, "description": "a month at a telecom", "members": members}
	if err := w.operator.do(ctx, "PUT", "/manage/workspaces/"+w.ws, body, nil); err != nil {
		return err
	}
	w.say("workspace    %q made: %s", Workspace, w.ws)
	return nil
}

// bring uploads the customers and imports the models, each checked against the
// scores that XGBoost gave.
func (w *walk) bring(ctx context.Context) error {
	base := "/workbench/workspaces/" + w.ws
	columns, err := json.Marshal(map[string]any{"customer_id": map[string]any{"role": "id"}})
	if err != nil {
		return err
	}
	var datasets struct {
		Datasets []struct {
			Name string
			Rows int64
		}
	}
	if err := w.author.do(ctx, "GET", base+"/datasets", nil, &datasets); err != nil {
		return err
	}
	if len(datasets.Datasets) == 0 {
		var d struct{ Rows int64 }
		f := file{"text/csv", read("customers_train.csv")}
		if err := w.author.do(ctx, "POST", base+"/datasets/customers_train?columns="+query(string(columns)), f, &d); err != nil {
			return err
		}
		w.say("dataset      customers_train: %d customers", d.Rows)
	}
	var models struct {
		Models []struct{ Name string }
	}
	if err := w.author.do(ctx, "GET", base+"/models", nil, &models); err != nil {
		return err
	}
	if len(models.Models) > 0 {
		return nil
	}
	for _, m := range []struct{ name, file string }{
		{"churn model, native categories", "churn_native.json"},
		{"churn model", "churn_onehot.ubj"},
	} {
		stem, _, _ := strings.Cut(m.file, ".")
		body, err := form(map[string][]byte{
			"name": []byte(m.name), "file/" + m.file: read(m.file), "binding": read(stem + ".binding.json"), "check/expected.csv": read(stem + ".expected.csv"),
		})
		if err != nil {
			return err
		}
		var v struct {
			Record struct {
				Check struct{ Rows int }
			}
		}
		if err := w.author.do(ctx, "POST", base+"/models", body, &v); err != nil {
			return err
		}
		w.say("model        %q: imported, equal to XGBoost's scores on %d rows", m.name, v.Record.Check.Rows)
	}
	return nil
}

// release takes an experiment to production: run, publish to staging, test,
// mark ready, approve, ask again.
func (w *walk) release(ctx context.Context, name, document string, row map[string]any) (*published, error) {
	w.say("\n%s", name)
	p, err := w.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if p == nil {
		x, err := w.experiment(ctx, name, read(document))
		if err != nil {
			return nil, err
		}
		if p, err = w.publish(ctx, name, x); err != nil {
			return nil, err
		}
	}
	return p, w.goLive(ctx, p, row)
}

// goLive takes what staging serves to production: test, mark ready, approve,
// ask again.
func (w *walk) goLive(ctx context.Context, p *published, row map[string]any) error {
	staged, err := w.score(ctx, p.staging, row, nil)
	if err != nil {
		return err
	}
	w.say("  staging    answers %s", scores(staged))
	if err := w.promote(ctx, p); err != nil {
		return err
	}
	if err := w.until(ctx, p.production, row, staged); err != nil {
		return fmt.Errorf("production of %s: %w", p.name, err)
	}
	w.say("  production answers %s", scores(staged))
	return nil
}

// until waits for an endpoint to answer as want does: what moves an endpoint is
// live everywhere within 5 seconds.
func (w *walk) until(ctx context.Context, e endpoint, row map[string]any, want map[string]*string) error {
	return await(ctx, "the answer expected", time.Minute, func() (bool, error) {
		got, err := w.score(ctx, e, row, nil)
		if r, ok := err.(*refused); ok && r.Status == 404 {
			return false, nil
		}
		return maps.EqualFunc(want, got, func(a, b *string) bool { return text(a) == text(b) }), err
	})
}

// find returns a service that an earlier walk published; nil where there is
// none.
func (w *walk) find(ctx context.Context, name string) (*published, error) {
	var all []struct{ ID, Name, ExperimentID string }
	if err := w.author.do(ctx, "GET", w.manage("/services"), nil, &all); err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Name == name {
			w.say("  found      service %s", s.ID)
			return w.endpoints(ctx, s.ID, name, s.ExperimentID)
		}
	}
	return nil, nil
}

func (w *walk) manage(path string) string { return "/manage/workspaces/" + w.ws + path }

func (w *walk) bench(path string) string { return "/workbench/workspaces/" + w.ws + path }

// experiment saves an experiment and returns its id.
func (w *walk) experiment(ctx context.Context, name string, document []byte) (string, error) {
	var x struct{ ID string }
	err := w.author.do(ctx, "POST", w.bench("/experiments"), map[string]any{"name": name, "document": json.RawMessage(document)}, &x)
	return x.ID, err
}

// run runs an experiment to its end and returns the run's id.
func (w *walk) run(ctx context.Context, experiment string) (string, error) {
	var run struct {
		ID, State string
		Error     *struct{ Message string }
		Nodes     []struct{ ID string }
	}
	if err := w.author.do(ctx, "POST", w.bench("/experiments/"+experiment+"/runs"), nil, &run); err != nil {
		return "", err
	}
	began := time.Now()
	err := await(ctx, "run "+run.ID, 5*time.Minute, func() (bool, error) {
		err := w.author.do(ctx, "GET", w.bench("/runs/"+run.ID), nil, &run)
		return run.State == "Finished" || run.State == "Failed" || run.State == "Cancelled", err
	})
	if err != nil {
		return "", err
	}
	if run.State != "Finished" {
		return "", fmt.Errorf("run %s: %s: %+v", run.ID, run.State, run.Error)
	}
	w.say("  run        %d nodes in %v", len(run.Nodes), time.Since(began).Round(time.Millisecond))
	return run.ID, nil
}

// publish runs an experiment and publishes the run to staging.
func (w *walk) publish(ctx context.Context, name, experiment string) (*published, error) {
	if _, err := w.run(ctx, experiment); err != nil {
		return nil, err
	}
	var s struct {
		ServiceID string
		Digest    string
		Warnings  []string
	}
	if err := w.author.do(ctx, "POST", w.manage("/services"), map[string]any{"experimentId": experiment, "name": name}, &s); err != nil {
		return nil, err
	}
	w.say("  published  to staging: deployment %.12s", s.Digest)
	for _, text := range s.Warnings {
		w.say("             %s", text)
	}
	return w.endpoints(ctx, s.ServiceID, name, experiment)
}

// endpoints reads the addresses and keys of a service's staging and default.
func (w *walk) endpoints(ctx context.Context, svc, name, experiment string) (*published, error) {
	var all []struct{ ID, Name string }
	if err := w.author.do(ctx, "GET", w.manage("/services/"+svc+"/endpoints"), nil, &all); err != nil {
		return nil, err
	}
	p := &published{id: svc, name: name, experiment: experiment}
	for _, e := range all {
		who, to := w.author, &p.staging
		if e.Name == "default" {
			who, to = w.deployer, &p.production
		} else if e.Name != "staging" {
			continue
		}
		var keys struct{ Primary string }
		if err := who.do(ctx, "GET", w.manage("/services/"+svc+"/endpoints/"+e.Name+"/keys"), nil, &keys); err != nil {
			return nil, err
		}
		*to = endpoint{e.ID, keys.Primary}
	}
	return p, nil
}

// promote has the author mark staging's deployment ready and the deployer
// approve it, unless production serves it already.
func (w *walk) promote(ctx context.Context, p *published) error {
	at := w.manage("/services/" + p.id)
	var all []struct{ Name, Digest string }
	if err := w.author.do(ctx, "GET", at+"/endpoints", nil, &all); err != nil {
		return err
	}
	digest := map[string]string{}
	for _, e := range all {
		digest[e.Name] = e.Digest
	}
	if digest["staging"] == digest["default"] {
		w.say("  production serves it already")
		return nil
	}
	var promotion struct {
		Number     int64
		Kind       string
		Difference struct{ Verdict string }
	}
	if err := w.author.do(ctx, "POST", at+"/promotions", map[string]any{"digest": digest["staging"], "note": "the sample"}, &promotion); err != nil {
		return err
	}
	w.say("  ready      promotion %d asks to put %.12s into production", promotion.Number, digest["staging"])
	var notices struct{ Unread int }
	if err := w.deployer.do(ctx, "GET", w.manage("/notifications"), nil, &notices); err != nil {
		return err
	}
	w.say("  notified   the deployer has %d unread", notices.Unread)
	approval := map[string]any{"expect": digest["default"]}
	if err := w.deployer.do(ctx, "POST", fmt.Sprintf("%s/promotions/%d/approve", at, promotion.Number), approval, nil); err != nil {
		return err
	}
	w.say("  approved   by the deployer")
	return nil
}

func text(cell *string) string {
	if cell == nil {
		return "missing"
	}
	return *cell
}

// scores shows what a service computed: the columns that were not sent.
func scores(row map[string]*string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(row)) {
		if strings.HasPrefix(name, "Scored ") || name == "Assignments" || strings.HasSuffix(name, "_charge") && !strings.HasPrefix(name, "total_") {
			parts = append(parts, name+" "+text(row[name]))
		}
	}
	return strings.Join(parts, ", ")
}

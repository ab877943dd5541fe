package samples

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// Retrain is the month that goes on: who left in May is known, what production
// said of them is judged, a model is trained on more customers, compared,
// published and approved, and production is rolled back; then the same
// training as a service, by a batch job that updates an endpoint.
func Retrain(ctx context.Context, base string, token Token, out io.Writer) error {
	w, err := begin(ctx, base, token, out)
	if err != nil {
		return err
	}
	churn, err := w.release(ctx, "churn", "churn.json", customerA())
	if err != nil {
		return err
	}
	if err := w.judgeMay(ctx, churn); err != nil {
		return err
	}
	training, err := w.trainAgain(ctx, churn)
	if err != nil {
		return err
	}
	return w.retrainByJob(ctx, churn, training)
}

// judgeMay compares what production said of May with who left.
func (w *walk) judgeMay(ctx context.Context, churn *published) error {
	w.say("\nMay's labels arrive: what production said of them")
	input, err := w.upload(ctx, "customers_may.csv", read("customers_may.csv"))
	if err != nil {
		return err
	}
	st, err := w.job(ctx, churn.production, map[string]any{"Inputs": map[string]any{"input1": input}, "GlobalParameters": map[string]string{}})
	if err != nil {
		return err
	}
	var scored []byte
	if err := (client{}).do(ctx, "GET", st.Results["output1"].url(), nil, &scored); err != nil {
		return err
	}
	role := func(r string) map[string]any { return map[string]any{"role": r} }
	if err := w.datasetOf(ctx, "scores of May", "scores.csv", scored, map[string]any{
		"customer_id": role("id"), "Scored Labels": role("score"), "Scored Probabilities": role("score"),
	}); err != nil {
		return err
	}
	if err := w.datasetOf(ctx, "churned in May", "churned.csv", read("churned_in_may.csv"), map[string]any{"customer_id": role("id"), "churn": role("label")}); err != nil {
		return err
	}
	x, err := w.experiment(ctx, "judge May", read("judge.json"))
	if err != nil {
		return err
	}
	run, err := w.run(ctx, x)
	if err != nil {
		return err
	}
	return w.evaluation(ctx, run, "evaluate")
}

// everybody is all 5,000 customers, May's with what is known of them now.
func everybody() ([]byte, error) {
	left := make(map[string]string)
	churned, err := table(read("churned_in_may.csv"))
	if err != nil {
		return nil, err
	}
	for _, row := range churned {
		left[row["customer_id"]] = row["churn"]
	}
	all, err := csv.NewReader(bytes.NewReader(read("customers_train.csv"))).ReadAll()
	if err != nil {
		return nil, err
	}
	may, err := csv.NewReader(bytes.NewReader(read("customers_may.csv"))).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range may[1:] {
		all = append(all, append(row, left[row[0]]))
	}
	var b bytes.Buffer
	err = csv.NewWriter(&b).WriteAll(all)
	return b.Bytes(), err
}

// trainAgain trains on customers 1 to 4,166, compares with the model in
// production on the others, saves over it, publishes, approves, and goes back.
func (w *walk) trainAgain(ctx context.Context, churn *published) (training string, err error) {
	w.say("\ntrain again, on customers 1 to 4,166")
	content, err := everybody()
	if err != nil {
		return "", err
	}
	if err := w.datasetOf(ctx, "customers", "customers.csv", content, map[string]any{"customer_id": map[string]any{"role": "id"}}); err != nil {
		return "", err
	}
	if training, err = w.experiment(ctx, "churn training", read("training.json")); err != nil {
		return "", err
	}
	run, err := w.run(ctx, training)
	if err != nil {
		return "", err
	}
	w.say("  on customers 4,167 to 5,000: 1 is the new model, 2 the one in production")
	if err := w.evaluation(ctx, run, "evaluate"); err != nil {
		return "", err
	}
	var saved struct{ Version int }
	if err := w.author.do(ctx, "POST", w.bench("/runs/"+run+"/nodes/train/save"), map[string]any{"name": "churn model"}, &saved); err != nil {
		return "", err
	}
	w.say("  saved      over %q: version %d", "churn model", saved.Version)
	before, err := w.score(ctx, churn.production, customerA(), nil)
	if err != nil {
		return "", err
	}
	was, err := w.serves(ctx, churn, "default")
	if err != nil {
		return "", err
	}
	if _, err := w.publish(ctx, "churn", churn.experiment); err != nil {
		return "", err
	}
	if err := w.differences(ctx, churn); err != nil {
		return "", err
	}
	if err := w.goLive(ctx, churn, customerA()); err != nil {
		return "", err
	}
	digest, err := w.serves(ctx, churn, "default")
	if err != nil {
		return "", err
	}
	if digest == was {
		return training, nil // nothing moved, so there is nothing to take back
	}
	back := map[string]any{"expect": digest, "reason": "the sample goes back to where it was"}
	if err := w.deployer.do(ctx, "POST", w.manage("/services/"+churn.id+"/rollback"), back, nil); err != nil {
		return "", err
	}
	if err := w.until(ctx, churn.production, customerA(), before); err != nil {
		return "", fmt.Errorf("production after the rollback: %w", err)
	}
	w.say("  rolled back: production answers %s", scores(before))
	return training, nil
}

// serves is the deployment that an endpoint points at.
func (w *walk) serves(ctx context.Context, p *published, name string) (digest string, err error) {
	var e struct{ Digest string }
	err = w.author.do(ctx, "GET", w.manage("/services/"+p.id+"/endpoints/"+name), nil, &e)
	return e.Digest, err
}

// differences shows how staging and production differ, customer by customer.
func (w *walk) differences(ctx context.Context, p *published) error {
	customers, err := table(read("customers_may.csv"))
	if err != nil {
		return err
	}
	type change struct {
		id       string
		from, to float64
	}
	var changes []change
	ask := func(e endpoint) ([]map[string]*string, error) {
		var a answer
		rows := make([]map[string]any, len(customers))
		for i, c := range customers {
			rows[i] = make(map[string]any)
			for k, v := range c {
				rows[i][k] = v
			}
		}
		err := (client{w.base, e.Key}).do(ctx, "POST", w.execute(e), request{map[string][]map[string]any{"input1": rows}, map[string]string{}}, &a)
		return a.Results["output1"], err
	}
	live, err := ask(p.production)
	if err != nil {
		return err
	}
	staged, err := ask(p.staging)
	if err != nil {
		return err
	}
	other := 0
	for i := range live {
		from, _ := strconv.ParseFloat(text(live[i]["Scored Probabilities"]), 64)
		to, _ := strconv.ParseFloat(text(staged[i]["Scored Probabilities"]), 64)
		changes = append(changes, change{text(live[i]["customer_id"]), from, to})
		if text(live[i]["Scored Labels"]) != text(staged[i]["Scored Labels"]) {
			other++
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(math.Abs(b.to-b.from), math.Abs(a.to-a.from)) })
	w.say("  compared   %d customers of May: staging says otherwise of %d; most of all", len(changes), other)
	for _, c := range changes[:min(3, len(changes))] {
		w.say("             %s: %.4f in production, %.4f in staging", c.id, c.from, c.to)
	}
	return nil
}

// retrainByJob publishes the training as a service, has a batch job train, and
// puts the model it made behind an added endpoint.
func (w *walk) retrainByJob(ctx context.Context, churn *published, training string) error {
	w.say("\nretraining as a service: a batch job trains, an endpoint takes its model")
	x, err := w.convert(ctx, training, "retraining")
	if err != nil {
		return err
	}
	trainer, err := w.publish(ctx, "churn retraining", x)
	if err != nil {
		return err
	}
	content, err := everybody()
	if err != nil {
		return err
	}
	input, err := w.upload(ctx, "customers.csv", content)
	if err != nil {
		return err
	}
	began := time.Now()
	st, err := w.job(ctx, trainer.staging, map[string]any{"Inputs": map[string]any{"input1": input}, "GlobalParameters": map[string]string{}})
	if err != nil {
		return err
	}
	w.say("  job        trained in %v", time.Since(began).Round(time.Millisecond))
	var metrics []byte
	if err := (client{}).do(ctx, "GET", st.Results["output2"].url(), nil, &metrics); err != nil {
		return err
	}
	rows, err := table(metrics)
	if err != nil || len(rows) == 0 {
		return fmt.Errorf("the evaluation that the job gave: %d rows, %w", len(rows), err)
	}
	w.say("             AUC %s on what was held out", brief(rows[0]["AUC"]))
	const added = "ep2"
	at := w.manage("/services/" + churn.id + "/endpoints")
	var all []struct{ ID, Name string }
	if err := w.author.do(ctx, "GET", at, nil, &all); err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(e struct{ ID, Name string }) bool { return e.Name == added }) {
		if err := w.author.do(ctx, "POST", at, map[string]any{"name": added}, nil); err != nil {
			return err
		}
	}
	var tokens struct{ Primary string }
	if err := w.author.do(ctx, "GET", at+"/"+added+"/keys", nil, &tokens); err != nil {
		return err
	}
	model := st.Results["output1"]
	patch := map[string]any{"Resources": []any{map[string]any{"Name": "churn model [trained model]", "Location": model}}}
	if err := w.author.do(ctx, "PATCH", "/workspaces/"+w.ws+"/webservices/"+churn.id+"/endpoints/"+added, patch, nil); err != nil {
		return err
	}
	if err := w.author.do(ctx, "GET", at, nil, &all); err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(e struct{ ID, Name string }) bool { return e.Name == added })
	want, err := w.score(ctx, churn.staging, customerA(), nil) // staging serves the same model, from the run
	if err != nil {
		return err
	}
	if err := w.until(ctx, endpoint{all[i].ID, tokens.Primary}, customerA(), want); err != nil {
		return fmt.Errorf("endpoint %s after the patch: %w", added, err)
	}
	w.say("  patched    endpoint %q answers %s; staging and production are as they were", added, scores(want))
	return nil
}

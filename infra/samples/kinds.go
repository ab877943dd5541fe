package samples

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Walk is something to see on a server.
type Walk struct {
	Name string
	Run  func(ctx context.Context, base string, token Token, out io.Writer) error
}

// Walks are all there are, in the order of a first reading.
func Walks() []Walk {
	all := []Walk{
		{"churn", Run},
		{"retrain", Retrain},
	}
	for _, k := range kinds {
		all = append(all, Walk{k.name, func(ctx context.Context, base string, token Token, out io.Writer) error {
			w, err := begin(ctx, base, token, out)
			if err != nil {
				return err
			}
			return w.kind(ctx, k)
		}})
	}
	return all
}

// kind is an experiment of one kind: it is trained, converted to a scoring
// experiment, published and asked about one row.
type kind struct {
	name, what string
	// data is the file of the dataset, and columns what is to be known of it.
	data    string
	columns map[string]any
	// evaluate is the node whose results are shown.
	evaluate string
	row      map[string]any
}

var kinds = []kind{
	{
		name: "houses", what: "regression: what a house in Sacramento costs (boosted trees)",
		data: "kinds/sacramento.csv", evaluate: "evaluate",
		row: map[string]any{"city": "SACRAMENTO", "zip": "z95823", "beds": 3, "baths": 2, "sqft": 1503, "type": "Residential", "latitude": 38.47, "longitude": -121.43},
	},
	{
		name: "penguins", what: "three classes, with missing cells (decision forest)",
		data: "kinds/penguins.csv", evaluate: "evaluate",
		row: map[string]any{"island": "Biscoe", "bill_length_mm": 46.1, "bill_depth_mm": 13.2, "flipper_length_mm": 211, "body_mass_g": nil, "sex": "female"},
	},
	{
		name: "credit", what: "the probability of the class that does not sort last: will the credit go bad? (tuned boosted trees)",
		data: "kinds/credit.csv", evaluate: "evaluate",
		row: map[string]any{
			"Seniority": 0, "Home": "rent", "Time": 60, "Age": 23, "Marital": "single", "Records": "yes", "Job": nil,
			"Expenses": 35, "Income": 90, "Assets": 0, "Debt": 0, "Amount": 1500, "Price": 1600,
		},
	},
	{
		name: "foods", what: "text: is a review of a food great? (n-grams, logistic regression)",
		data: "kinds/foods.csv.gz", evaluate: "evaluate", columns: map[string]any{"product": map[string]any{"role": "id"}},
		row: map[string]any{"product": "B000TEST", "review": "Absolutely delicious, my kids love it and I will order it again!"},
	},
	{
		name: "usage", what: "clusters of customers by their minutes and calls (k-means)",
		data: "churn/customers_train.csv", evaluate: "evaluate", columns: map[string]any{"customer_id": map[string]any{"role": "id"}},
		row: map[string]any{
			"customer_id": "C03334", "total_day_minutes": 70.9, "total_day_calls": 123, "total_eve_minutes": 211.9, "total_eve_calls": 73,
			"total_night_minutes": 236, "total_night_calls": 73, "total_intl_minutes": 10.6, "total_intl_calls": 3,
		},
	},
}

// kind walks through one kind.
func (w *walk) kind(ctx context.Context, k kind) error {
	w.say("\n%s: %s", k.name, k.what)
	p, err := w.find(ctx, k.name)
	if err != nil {
		return err
	}
	if p == nil {
		if err := w.dataset(ctx, k.name, k.data, k.columns); err != nil {
			return err
		}
		x, err := w.experiment(ctx, k.name, read("kinds/"+k.name+".json"))
		if err != nil {
			return err
		}
		run, err := w.run(ctx, x)
		if err != nil {
			return err
		}
		if err := w.evaluation(ctx, run, k.evaluate); err != nil {
			return err
		}
		scoring, err := w.convert(ctx, x, "predictive")
		if err != nil {
			return err
		}
		if p, err = w.publish(ctx, k.name, scoring); err != nil {
			return err
		}
	}
	return w.goLive(ctx, p, k.row)
}

// dataset uploads a file as the next version of a dataset.
func (w *walk) dataset(ctx context.Context, name, path string, columns map[string]any) error {
	return w.datasetOf(ctx, name, path, read(path), columns)
}

func (w *walk) datasetOf(ctx context.Context, name, filename string, content []byte, columns map[string]any) error {
	options, err := json.Marshal(map[string]any{"name": name, "columns": columns})
	if err != nil {
		return err
	}
	body, err := form(map[string][]byte{"options": options, "file/" + filename: content})
	if err != nil {
		return err
	}
	var d struct{ Rows, Version int64 }
	if err := w.author.do(ctx, "POST", w.bench("/datasets"), body, &d); err != nil {
		return err
	}
	w.say("  dataset    %s: %d rows, version %d", name, d.Rows, d.Version)
	return nil
}

// convert makes a scoring or a retraining experiment of one that has trained.
func (w *walk) convert(ctx context.Context, experiment, to string) (string, error) {
	var c struct {
		Experiment struct{ ID, Name string }
		Saved      []struct {
			Name    string
			Version int
		}
		Notes []string
	}
	if err := w.author.do(ctx, "POST", w.bench("/experiments/"+experiment+"/convert"), map[string]any{"to": to}, &c); err != nil {
		return "", err
	}
	w.say("  converted  to %q", c.Experiment.Name)
	for _, s := range c.Saved {
		w.say("             saved %q, version %d", s.Name, s.Version)
	}
	for _, n := range c.Notes {
		w.say("             %s", n)
	}
	return c.Experiment.ID, nil
}

// evaluation shows the metrics that a node gave.
func (w *walk) evaluation(ctx context.Context, run, node string) error {
	var p struct {
		Columns []struct{ Name string }
		Values  [][]*string
	}
	if err := w.author.do(ctx, "GET", w.bench("/runs/"+run+"/nodes/"+node+"/ports/Evaluation results?rows=5"), nil, &p); err != nil {
		return err
	}
	if len(p.Values) == 0 {
		return fmt.Errorf("node %q of run %s gave no evaluation", node, run)
	}
	shown := []string{"Accuracy", "Precision", "Recall", "AUC", "Average Log Loss", "Mean Absolute Error", "Root Mean Squared Error", "Coefficient of Determination", "Overall Accuracy", "Number of Points"}
	for i, row := range p.Values {
		var parts []string
		for c, col := range p.Columns {
			if slices.Contains(shown, col.Name) && row[c] != nil {
				parts = append(parts, col.Name+" "+brief(*row[c]))
			}
		}
		w.say("  evaluation %d: %s", i+1, strings.Join(parts, ", "))
	}
	return nil
}

// brief is a number with the digits that somebody reads.
func brief(number string) string {
	if dot := strings.IndexByte(number, '.'); dot >= 0 && len(number) > dot+5 && !strings.ContainsAny(number, "eE") {
		return number[:dot+5]
	}
	return number
}

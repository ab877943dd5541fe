package samples

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
)

// Production is a service of the sample in production.
type Production struct {
	Workspace, Endpoint, Key string // ids, and the endpoint's key
	Digest                   string // of the deployment it serves
}

// Trees trains 100 boosted trees on the customers and takes them to production.
func Trees(ctx context.Context, base string, token Token, out io.Writer) (Production, error) {
	w, err := begin(ctx, base, token, out)
	if err != nil {
		return Production{}, err
	}
	const name = "churn trees"
	x, err := w.experiment(ctx, name, read("trees.json"))
	if err != nil {
		return Production{}, err
	}
	if _, err := w.run(ctx, x); err != nil {
		return Production{}, err
	}
	scoring, err := w.convert(ctx, x, "predictive")
	if err != nil {
		return Production{}, err
	}
	p, err := w.publish(ctx, name, scoring)
	if err != nil {
		return Production{}, err
	}
	if err := w.goLive(ctx, p, customerA()); err != nil {
		return Production{}, err
	}
	digest, err := w.serves(ctx, p, "default")
	return Production{w.ws, p.production.ID, p.production.Key, digest}, err
}

// Customers are the header and all 5,000 customers of the sample, without the
// label.
func Customers() ([][]string, error) {
	content, err := everybody()
	if err != nil {
		return nil, err
	}
	all, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, err
	}
	for i, row := range all {
		all[i] = row[:len(row)-1]
	}
	return all, nil
}

// Training returns the customers that models learn from, with the label, as
// the text of a CSV file.
func Training() []byte { return read("customers_train.csv") }

package samples

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func query(s string) string { return url.QueryEscape(s) }

// reference is a classic blob reference.
type reference struct {
	BaseLocation     string
	RelativeLocation string
	SasBlobToken     string
}

func (r reference) url() string {
	return strings.TrimSuffix(r.BaseLocation, "/") + "/" + strings.TrimPrefix(r.RelativeLocation, "/") + r.SasBlobToken
}

// status is a classic job status.
type status struct {
	StatusCode string
	Results    map[string]reference
	Details    *string
}

// retentionList scores May by BES and says how good the list is.
func (w *walk) retentionList(ctx context.Context, p *published) error {
	w.say("\nthe retention list: May by BES")
	input, err := w.upload(ctx, "customers_may.csv", read("customers_may.csv"))
	if err != nil {
		return err
	}
	began := time.Now()
	st, err := w.job(ctx, p.production, map[string]any{"Inputs": map[string]any{"input1": input}, "GlobalParameters": map[string]string{}})
	if err != nil {
		return err
	}
	var result []byte
	if err := (client{}).do(ctx, "GET", st.Results["output1"].url(), nil, &result); err != nil {
		return err
	}
	w.say("  job        %s in %v", st.StatusCode, time.Since(began).Round(time.Millisecond))
	return w.judge(result)
}

// job submits a batch job, starts it and waits for its end.
func (w *walk) job(ctx context.Context, e endpoint, body map[string]any) (*status, error) {
	caller := client{w.base, e.Key}
	jobs := "/workspaces/" + w.ws + "/services/" + e.ID + "/jobs"
	var id string
	if err := caller.do(ctx, "POST", jobs+"?api-version=2.0", body, &id); err != nil {
		return nil, err
	}
	if err := caller.do(ctx, "POST", jobs+"/"+id+"/start?api-version=2.0", nil, nil); err != nil {
		return nil, err
	}
	var st status
	err := await(ctx, "job "+id, 5*time.Minute, func() (bool, error) {
		err := caller.do(ctx, "GET", jobs+"/"+id+"?api-version=2.0", nil, &st)
		return st.StatusCode == "Finished" || st.StatusCode == "Failed" || st.StatusCode == "Cancelled", err
	})
	if err == nil && st.StatusCode != "Finished" {
		err = fmt.Errorf("job %s: %s: %s", id, st.StatusCode, text(st.Details))
	}
	return &st, err
}

// judge compares the 200 highest scores with who left.
func (w *walk) judge(result []byte) error {
	scored, err := table(result)
	if err != nil {
		return err
	}
	churned, err := table(read("churned_in_may.csv"))
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, row := range churned {
		if row["churn"] == "yes" {
			left[row["customer_id"]] = true
		}
	}
	score := func(row map[string]string) float64 {
		v, err := strconv.ParseFloat(row["Scored Probabilities"], 64)
		if err != nil {
			return -1
		}
		return v
	}
	slices.SortStableFunc(scored, func(a, b map[string]string) int { return cmp.Compare(score(b), score(a)) })
	n := 0
	for _, row := range scored[:min(200, len(scored))] {
		if left[row["customer_id"]] {
			n++
		}
	}
	w.say("  result     %d customers scored; of the 200 customers with the highest score, %d of the %d who left", len(scored), n, len(left))
	return nil
}

func table(content []byte) ([]map[string]string, error) {
	all, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("a table without a header")
	}
	rows := make([]map[string]string, len(all)-1)
	for i, record := range all[1:] {
		rows[i] = map[string]string{}
		for j, name := range all[0] {
			rows[i][name] = record[j]
		}
	}
	return rows, nil
}

// link is a signed address as the management API gives it.
type link struct {
	URL              string
	BaseLocation     string
	RelativeLocation string
	SasBlobToken     string
}

// upload puts a file where a job can read it.
func (w *walk) upload(ctx context.Context, name string, content []byte) (reference, error) {
	var u struct{ Write, Read link }
	if err := w.author.do(ctx, "POST", w.manage("/uploads"), map[string]any{"name": name}, &u); err != nil {
		return reference{}, err
	}
	if err := (client{}).do(ctx, "PUT", u.Write.URL, file{"text/csv", content}, nil); err != nil {
		return reference{}, err
	}
	return reference{u.Read.BaseLocation, u.Read.RelativeLocation, u.Read.SasBlobToken}, nil
}

// dirtyFile drops a file with all that goes wrong in files and shows what
// comes back.
func (w *walk) dirtyFile(ctx context.Context, p *published) error {
	w.say("\na dirty file: dropped as drop/%s/%s/dirty_june.csv", w.ws, p.name)
	drops := w.manage("/services/" + p.id + "/drops")
	var d struct{ Write link }
	if err := w.author.do(ctx, "POST", drops, map[string]any{"name": "dirty_june.csv"}, &d); err != nil {
		return err
	}
	began := time.Now()
	if err := (client{}).do(ctx, "PUT", d.Write.URL, file{"text/csv", read("dirty_june.csv")}, nil); err != nil {
		return err
	}
	type outcome struct {
		Receipt struct {
			Status                         string
			Details                        string
			RowsRead, RowsWritten, BadRows int64
			Received                       time.Time
		}
		Files []struct {
			Name string
			Read link
		}
	}
	var done outcome
	err := await(ctx, "receipt of dirty_june.csv", 5*time.Minute, func() (bool, error) {
		var all []outcome
		if err := w.author.do(ctx, "GET", drops+"/dirty_june.csv", nil, &all); err != nil {
			return false, err
		}
		for _, o := range all { // an earlier walk has left its own
			if o.Receipt.Received.After(began.Add(-time.Second)) {
				done = o
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	r := done.Receipt
	w.say("  receipt    %s: %d rows read, %d scored, %d bad %s", r.Status, r.RowsRead, r.RowsWritten, r.BadRows, r.Details)
	for _, f := range done.Files {
		var content []byte
		if err := (client{}).do(ctx, "GET", f.Read.URL, nil, &content); err != nil {
			return err
		}
		w.say("  %s", f.Name)
		for line := range strings.Lines(string(content)) {
			w.say("    %s", strings.TrimRight(line, "\r\n"))
		}
	}
	return nil
}

// otherRate asks the tariff for another price of a minute by day.
func (w *walk) otherRate(ctx context.Context, p *published) error {
	row, err := w.score(ctx, p.production, minutesOfA(), map[string]string{"day rate": "0.20"})
	if err != nil {
		return err
	}
	w.say("  with \"day rate\" 0.20: %s", scores(row))
	return nil
}

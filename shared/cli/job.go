package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/client"
)

func jobCommands() []command {
	caller := func(f *flag.FlagSet, o *options) { o.caller(f) }
	return []command{
		{
			name: "job submit", args: "[FILE]", short: "score a file as a batch job", most: 1,
			long: `FILE is a file of this machine, which is uploaded, the address of a blob with its
signature, or @place.json, a file that says in JSON where the records are: what a
job's input may be, connection strings and databases included. A file's name says
what it is: .csv, .tsv, .jsonl, .arff, .parquet or .svmlight, all but .parquet with
.gz or .zst behind it; the name of -out FILE says so of the result. The job's
address is printed; with -wait or -out the command stays until the job has ended,
and Ctrl-C leaves the job running. A submission that is repeated with the same
-idempotency-key, after a lost connection or by a script, is the same job.`,
			flags: func(f *flag.FlagSet, o *options) {
				o.caller(f)
				o.globals(f)
				o.waiting(f)
				f.BoolVar(&o.wait, "wait", false, "wait for the end")
				f.Var(&o.inputs, "input", "an input of a service that has several, `NAME=FILE`; may be given several times")
				f.Var(&o.outputs, "output", "where an output goes, `NAME=ADDRESS` or NAME=@place.json, or the format in which the server keeps it, NAME=.parquet (default: the server keeps it as csv)")
				f.StringVar(&o.rowErrors, "row-errors", "", "what a bad row does, `fail or collect` (default: as the endpoint says)")
				f.Int64Var(&o.maxBadRows, "max-bad-rows", -1, "with collect: more bad `rows` fail the job")
				f.Float64Var(&o.maxBadPercent, "max-bad-percent", -1, "with collect: a larger share of bad rows, in `percent`, fails the job")
				f.StringVar(&o.extraColumns, "extra-columns", "", "what a column that the service does not know does, `ignore or error`")
				f.StringVar(&o.idempotencyKey, "idempotency-key", "", "the same `text` with the same request is the same job")
			},
			run: submit,
		},
		{
			name: "job status", args: "JOB", short: "show how far a job is", least: 1, most: 1, flags: caller,
			long: "JOB is the address that submit printed, or the job's id where -service and -endpoint say of what.",
			run:  jobStatus,
		},
		{
			name: "job watch", args: "JOB", short: "follow a job to its end, and fetch its results", least: 1, most: 1,
			long: "JOB is the address that submit printed, or the job's id where -service and -endpoint say of what.",
			flags: func(f *flag.FlagSet, o *options) {
				o.caller(f)
				o.waiting(f)
			},
			run: watch,
		},
		{
			name: "job cancel", args: "JOB", short: "end a job", least: 1, most: 1, flags: caller,
			long: "A job that is writing its results already finishes; one that has ended stays as it is.",
			run:  cancel,
		},
		{
			name: "job list", short: "list the jobs of an endpoint, the newest first",
			flags: func(f *flag.FlagSet, o *options) {
				o.caller(f)
				f.IntVar(&o.limit, "limit", 20, "at most so `many`")
				f.StringVar(&o.state, "state", "", "only those in this `state`: NotStarted, Running, Finished, Failed or Cancelled")
			},
			run: jobList,
		},
	}
}

func submit(ctx context.Context, s *session, args []string) error {
	if err := s.checkOut(); err != nil {
		return err
	}
	body, err := s.jobOptions()
	if err != nil {
		return err
	}
	in, err := s.jobInputs(args)
	if err != nil {
		return err
	}
	if err := s.jobOutputs(body); err != nil {
		return err
	}
	t, err := s.target(ctx)
	if err != nil {
		return err
	}
	if err := s.place(ctx, t, in, body); err != nil {
		return err
	}
	key := s.opt.idempotencyKey
	if key == "" {
		key = newKey()
	}
	var id string
	_, err = t.Do(ctx, client.Call{
		Method: http.MethodPost, Path: t.path("/jobs?api-version=2.0"), Bearer: t.key, Body: client.JSON(body),
		Header: map[string]string{"Idempotency-Key": key}, Again: true,
	}, &id)
	if err != nil {
		return err
	}
	// A job of this key that was started before is started.
	_, err = t.Do(ctx, client.Call{Method: http.MethodPost, Path: t.job(id) + "/start?api-version=2.0", Bearer: t.key, Again: true}, nil)
	if err != nil && !client.HasCode(err, "CannotStartJob") {
		s.note("the job is submitted and not started: %s", t.Base()+t.job(id))
		return err
	}
	if s.opt.wait || s.opt.out != "" {
		s.note("job %s", t.Base()+t.job(id))
		return s.toEnd(ctx, t, id)
	}
	if s.opt.json {
		return s.printJSON(jobReport{Job: id, Address: t.Base() + t.job(id)})
	}
	fmt.Fprintln(s.env.Stdout, t.Base()+t.job(id))
	return nil
}

// toEnd follows a job, fetches what it gave and tells what became of it.
func (s *session) toEnd(ctx context.Context, t *target, id string) error {
	r, err := s.follow(ctx, t, id)
	if err != nil {
		return err
	}
	if r.state.StatusCode == batch.Finished && s.opt.out != "" {
		if err := s.fetch(ctx, t.Client, r); err != nil {
			return err
		}
	}
	switch {
	case s.opt.json:
		err = s.printJSON(r)
	case s.opt.out == "-":
		if !s.opt.quiet {
			jobText(s.env.Stderr, r)
		}
	default:
		jobText(s.env.Stdout, r)
	}
	if err == nil && r.state.StatusCode != batch.Finished {
		err = fmt.Errorf("the job ended %s", r.state.StatusCode)
	}
	return err
}

func jobStatus(ctx context.Context, s *session, args []string) error {
	t, id, err := s.targetOf(ctx, args[0])
	if err != nil {
		return err
	}
	r, err := t.status(ctx, id)
	if err != nil {
		return err
	}
	if s.opt.json {
		return s.printJSON(r)
	}
	jobText(s.env.Stdout, r)
	return nil
}

func watch(ctx context.Context, s *session, args []string) error {
	if err := s.checkOut(); err != nil {
		return err
	}
	t, id, err := s.targetOf(ctx, args[0])
	if err != nil {
		return err
	}
	return s.toEnd(ctx, t, id)
}

func cancel(ctx context.Context, s *session, args []string) error {
	t, id, err := s.targetOf(ctx, args[0])
	if err != nil {
		return err
	}
	if _, err := t.Do(ctx, client.Call{Method: http.MethodDelete, Path: t.job(id), Bearer: t.key}, nil); err != nil {
		return err
	}
	return jobStatus(ctx, s, []string{id})
}

func jobList(ctx context.Context, s *session, _ []string) error {
	if s.opt.limit < 1 {
		return usage("-limit is a number from 1")
	}
	t, err := s.find(ctx)
	if err != nil {
		return err
	}
	bearer := cmp.Or(t.key, s.set.Token) // members look without a key
	all := []batch.Listed{}
	for after := ""; len(all) < s.opt.limit; {
		var page batch.Page
		path := fmt.Sprintf("%s?limit=%d&after=%s&state=%s", t.path("/jobs"), min(s.opt.limit-len(all), batch.MaxListed), after, url.QueryEscape(s.opt.state))
		if _, err := t.Get(ctx, path, bearer, &page); err != nil {
			return err
		}
		all = append(all, page.Jobs...)
		if after = page.Next; after == "" {
			break
		}
	}
	if s.opt.json {
		return s.printJSON(map[string]any{"jobs": all})
	}
	w := tabwriter.NewWriter(s.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tSTATE\tCREATED\tTOOK\tREASON")
	for _, j := range all {
		took, reason := "", ""
		if !j.StartTime.IsZero() && !j.EndTime.IsZero() {
			took = j.EndTime.Sub(j.StartTime).Round(time.Millisecond).String()
		}
		if j.Details != nil {
			reason = *j.Details
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", j.ID, j.StatusCode, j.CreatedAt.UTC().Format(time.RFC3339), took, reason)
	}
	return w.Flush()
}

// printJSON prints the one document of a command.
func (s *session) printJSON(v any) error {
	e := json.NewEncoder(s.env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

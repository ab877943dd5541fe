package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/runs"
)

func runCommands() []command {
	return []command{{
		name: "run", args: "EXPERIMENT", short: "run an experiment and follow it to its end", most: 1,
		long: `EXPERIMENT is a name or an id. Ctrl-C leaves the run running; -follow takes it up
again.`,
		flags: func(f *flag.FlagSet, o *options) {
			o.member(f)
			f.StringVar(&o.follow, "follow", "", "follow this `run` instead of starting one")
			f.StringVar(&o.credentials, "credentials", "", "read the values of credential parameters from this `file`, a JSON object")
		},
		run: runExperiment,
	}}
}

func runExperiment(ctx context.Context, s *session, args []string) error {
	if (len(args) == 1) == (s.opt.follow != "") {
		return usage("name an experiment to run, or by -follow a run")
	}
	c, token, err := s.member(ctx, "running experiments")
	if err != nil {
		return err
	}
	id := s.opt.follow
	if id == "" {
		body := map[string]any{}
		if s.opt.credentials != "" {
			credentials := map[string]string{}
			if err := readJSON(s.opt.credentials, &credentials); err != nil {
				return err
			}
			body["credentials"] = credentials
		}
		x, err := c.Experiment(ctx, s.ws, args[0], token)
		if err != nil {
			return err
		}
		var started runs.Run
		call := client.Call{Method: http.MethodPost, Path: client.Workbench(s.ws, "experiments", x.ID, "runs"), Bearer: token, Body: client.JSON(body)}
		if _, err := c.Do(ctx, call, &started); err != nil {
			return err
		}
		id = started.ID
	}
	var run runs.Run
	var doc json.RawMessage
	told := 0
	err = poll(ctx, func() (bool, error) {
		run = runs.Run{}
		if doc, err = c.Get(ctx, client.Workbench(s.ws, "runs", id), token, &run); err != nil {
			return false, err
		}
		if !s.opt.json {
			told = s.tellNodes(&run, told)
		}
		s.screen.show(runLine(&run))
		return run.State.Ended(), nil
	})
	s.screen.clear()
	if err != nil {
		s.note("the run goes on; look again with: portico run -follow %s", id)
		return err
	}
	if s.opt.json {
		err = s.printJSON(doc)
	} else {
		fmt.Fprintf(s.env.Stdout, "run %s %s in %v\n", run.ID, run.State, took(run.Started, run.Ended))
	}
	if err == nil && run.State != runs.Finished {
		err = fmt.Errorf("the run ended %s%s", run.State, because(run.Error))
	}
	return err
}

// tellNodes prints the nodes that have ended since; told are printed.
func (s *session) tellNodes(r *runs.Run, told int) int {
	for _, n := range r.Nodes[min(told, len(r.Nodes)):] {
		if !n.State.Ended() {
			break
		}
		told++
		how := string(n.State)
		if n.Cached {
			how = "as before"
		}
		size := ""
		for _, res := range n.Results {
			if res.Rows > 0 {
				size += fmt.Sprintf("  %s: %s rows", res.Port, count(res.Rows))
			}
		}
		s.note("%-10s %s (%s) in %v%s%s", how, n.ID, n.Module, took(n.Started, n.Ended), size, because(n.Error))
	}
	return told
}

func runLine(r *runs.Run) string {
	done, now := 0, ""
	for _, n := range r.Nodes {
		if n.State.Ended() {
			done++
		} else if n.State == runs.Running {
			now = n.ID
			if n.Module != "" {
				now += " (" + n.Module + ")"
			}
		}
	}
	if len(r.Nodes) == 0 {
		return string(r.State)
	}
	return bar(float64(done), float64(len(r.Nodes)), fmt.Sprintf("%d of %s", done, plural(len(r.Nodes), "node")), now)
}

func took(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return to.Sub(from).Round(time.Millisecond)
}

func because(f *runs.Failure) string {
	switch {
	case f == nil:
		return ""
	case f.Node == "":
		return ": " + f.Message + " (" + f.Code + ")"
	}
	return ": " + f.Node + ": " + f.Message + " (" + f.Code + ")"
}

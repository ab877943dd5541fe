package cli

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"

	"github.com/portico-ml/portico/shared/doctor"
)

func doctorCommands() []command {
	return []command{{
		name: "doctor", short: "look whether an installation is well",
		long: `On the server's machine, with the app's settings in the environment or in a file, it
checks the settings, whether storage can be written, read, listed and deleted from,
its clock, the queues and what was given up there, the master keys and the free disk.
With -server it looks at that server, too; on a machine without settings at that
alone. Exit code 1 where something failed; a warning is none.`,
		flags: func(f *flag.FlagSet, o *options) {
			f.StringVar(&o.settings, "settings", "", "read the app's settings from this `file`, like local.settings.json")
		},
		run: examine,
	}}
}

func examine(ctx context.Context, s *session, _ []string) error {
	report := struct {
		OK     bool           `json:"ok"`
		Checks []doctor.Check `json:"checks"`
	}{Checks: []doctor.Check{}}
	m, end, err := s.env.Machine(s.opt.settings)
	if err != nil {
		return usage("%v", err)
	}
	defer end()
	switch {
	case m != nil:
		report.Checks = m.Check(ctx)
	case s.set.Server == "":
		return usage("there are no settings of an app here, and no server is named: give -settings or -server")
	default:
		report.Checks = append(report.Checks, doctor.Check{Name: "settings", State: doctor.Skipped, Detail: "there are none of an app here"})
	}
	if s.set.Server != "" && (s.opt.server != "" || m == nil) {
		c, err := s.connect()
		if err != nil {
			return err
		}
		report.Checks = append(report.Checks, doctor.Server(ctx, c)...)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	report.OK = doctor.Healthy(report.Checks)
	if s.opt.json {
		err = s.printJSON(report)
	} else {
		w := tabwriter.NewWriter(s.env.Stdout, 0, 0, 2, ' ', 0)
		for _, c := range report.Checks {
			fmt.Fprintf(w, "%s\t%s\t%s\n", c.State, c.Name, c.Detail)
		}
		err = w.Flush()
	}
	if err == nil && !report.OK {
		err = &toldError{}
	}
	return err
}

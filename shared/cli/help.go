package cli

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

func overview(w io.Writer) {
	fmt.Fprint(w, `portico works with a Portico server: jobs, scores, experiments, releases, models.

`)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(t, "  portico %s\t%s\n", c.synopsis(), c.short)
	}
	t.Flush()
	fmt.Fprint(w, `
  portico help COMMAND    its flags
  portico help settings   server, key and token, without arguments

Exit codes: 0 done; 1 the job or run failed, or the request was refused for what
it asks; 2 wrong arguments or settings; 3 not allowed: key, token or role;
4 the server cannot be reached or is too busy; 130 interrupted.
`)
}

func help(env Env, args []string) error {
	if len(args) == 0 {
		overview(env.Stdout)
		return nil
	}
	if args[0] == "settings" {
		settingsHelp(env.Stdout, env.Known)
		return nil
	}
	shown := false
	for _, c := range commands() {
		if name := strings.Join(args, " "); c.name == name || strings.HasPrefix(c.name, name+" ") {
			if shown {
				fmt.Fprintln(env.Stdout)
			}
			c.help(env.Stdout)
			shown = true
		}
	}
	if !shown {
		return usage("there is no command %q; see portico help", strings.Join(args, " "))
	}
	return nil
}

func settingsHelp(w io.Writer, settings []Setting) {
	fmt.Fprint(w, `What need not be said with every command comes from the environment, or from a file of
lines NAME=VALUE: that of -config, else of PORTICO_CLIENT_FILE, else portico/client in
your folder of settings (~/.config). Flags go before the environment, the
environment before the file.

`)
	for _, s := range settings {
		fmt.Fprintf(w, "  %s=%s\n      %s\n", s.Name, s.Example, s.Meaning)
	}
}

func (c command) synopsis() string { return strings.TrimSpace(c.name + " " + c.args) }

func (c command) help(w io.Writer) {
	fmt.Fprintf(w, "portico %s\n\n  %s.\n", c.synopsis(), strings.TrimSuffix(c.short, "."))
	if c.long != "" {
		fmt.Fprintf(w, "\n  %s\n", strings.ReplaceAll(strings.TrimSpace(c.long), "\n", "\n  "))
	}
	var o options
	own, common := flag.NewFlagSet("", flag.ContinueOnError), flag.NewFlagSet("", flag.ContinueOnError)
	c.flags(own, &o)
	o.common(common)
	for _, f := range []*flag.FlagSet{own, common} {
		fmt.Fprintln(w)
		f.SetOutput(w)
		f.PrintDefaults()
	}
}

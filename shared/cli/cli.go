// Package cli is the command line: jobs, scores, runs, promotions and models of
// any server, and the doctor.
//
// Run reads arguments, does one thing and returns the exit code; Known says
// which first arguments are its own. Results go to Stdout and are all that goes
// there; everything else goes to Stderr. With -json a result is one JSON
// document. No key and no token is ever an argument: arguments are for all
// users of a machine to see.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/doctor"
)

// Exit codes.
const (
	Done        = 0
	Failed      = 1   // a job or run that failed, a request that was refused for what it asks
	Usage       = 2   // arguments or settings that are none
	Denied      = 3   // 401 or 403: another key, token or role is needed
	Away        = 4   // the server cannot be reached, or has no room after all patience
	Interrupted = 130 // by Ctrl-C; what was started goes on
)

// Settings are what need not be said with every command.
type Settings struct {
	Server, Workspace, Service, Endpoint string
	Key, Token                           string
}

// Setting documents one of them, as the environment has it.
type Setting struct{ Name, Meaning, Example string }

// Env is what the commands work with.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal says that somebody looks at Stderr: progress is shown.
	Terminal bool
	// Settings reads the settings, with a file of them where one is named.
	Settings func(file string) (Settings, error)
	// Known documents the settings.
	Known []Setting
	// HTTP makes the calls.
	HTTP *http.Client
	// Machine gives what doctor looks at on this machine, by the settings of
	// the environment or of a file like local.settings.json; nil where there
	// are none. close ends it.
	Machine func(file string) (m *doctor.Machine, close func(), err error)
}

// command is one command.
type command struct {
	name  string // "job submit"
	args  string // "FILE"
	short string
	long  string
	least int // arguments besides flags
	most  int
	flags func(f *flag.FlagSet, o *options)
	run   func(ctx context.Context, s *session, args []string) error
}

// Known reports whether a first argument is one of the command line's.
func Known(name string) bool {
	switch name {
	case "help", "-h", "-help", "--help":
		return true
	}
	return slices.ContainsFunc(commands(), func(c command) bool { return strings.Split(c.name, " ")[0] == name })
}

// Run performs the command of args, without the program's name, and returns
// the exit code.
func Run(ctx context.Context, args []string, env Env) int {
	err := run(ctx, args, env)
	code := codeOf(ctx, err)
	var told *toldError
	if err != nil && !errors.As(err, &told) && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(env.Stderr, "portico:", message(ctx, err))
	}
	return code
}

func message(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "interrupted"
	}
	return err.Error()
}

// usageError is a mistake in the arguments or settings.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// toldError is a failure that the output has shown already.
type toldError struct{}

func (*toldError) Error() string { return "it failed" }

// codeOf is the exit code that an error ends with.
func codeOf(ctx context.Context, err error) int {
	var use *usageError
	var refused *client.Refused
	var away *client.Unreachable
	var garbled *client.Garbled
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return Done
	case ctx.Err() != nil:
		return Interrupted
	case errors.As(err, &use):
		return Usage
	case errors.As(err, &refused):
		switch {
		case refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden:
			return Denied
		case refused.Status >= 500 || refused.Status == http.StatusTooManyRequests || refused.Status/100 == 3:
			return Away
		}
	case errors.As(err, &away), errors.As(err, &garbled):
		return Away
	}
	return Failed
}

func run(ctx context.Context, args []string, env Env) error {
	if len(args) == 0 {
		overview(env.Stderr)
		return usage("which command?")
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(env, args[1:])
	}
	c, rest, err := find(args)
	if err != nil {
		return err
	}
	s := &session{env: env}
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // we say it ourselves
	c.flags(f, &s.opt)
	s.opt.common(f)
	positional, err := parse(f, rest)
	if errors.Is(err, flag.ErrHelp) {
		c.help(env.Stdout)
		return err
	}
	if err != nil {
		return usage("%s: %v; see portico help %s", c.name, err, c.name)
	}
	if len(positional) < c.least || len(positional) > c.most {
		return usage("the command is: portico %s", c.synopsis())
	}
	if s.set, err = env.Settings(s.opt.config); err != nil {
		return usage("the settings cannot be read: %v", err)
	}
	if err := s.settle(); err != nil {
		return err
	}
	s.screen = &screen{w: env.Stderr, on: env.Terminal && !s.opt.quiet}
	defer s.screen.clear()
	return c.run(ctx, s, positional)
}

// find returns the command that args begin with, and the arguments behind it.
func find(args []string) (command, []string, error) {
	all := commands()
	for _, words := range []int{2, 1} {
		if len(args) < words {
			continue
		}
		name := strings.Join(args[:words], " ")
		if i := slices.IndexFunc(all, func(c command) bool { return c.name == name }); i >= 0 {
			return all[i], args[words:], nil
		}
	}
	var group []string
	for _, c := range all {
		if first, second, ok := strings.Cut(c.name, " "); ok && first == args[0] {
			group = append(group, second)
		}
	}
	if len(group) > 0 {
		return command{}, nil, usage("portico %s %s; see portico help", args[0], strings.Join(group, "|"))
	}
	return command{}, nil, usage("there is no command %q; see portico help", args[0])
}

// parse reads flags wherever they stand among the arguments.
func parse(f *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		rest := f.Args()
		if len(rest) == 0 {
			return positional, nil
		}
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			return append(positional, rest...), nil
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
}

// session is one command that is being performed.
type session struct {
	env Env
	opt options
	set Settings

	screen *screen
	server *client.Client
	ws     string // id, once it is known
}

// settle puts what the flags say over the settings.
func (s *session) settle() error {
	for _, v := range []struct{ to, from *string }{
		{&s.set.Server, &s.opt.server}, {&s.set.Workspace, &s.opt.workspace}, {&s.set.Service, &s.opt.service}, {&s.set.Endpoint, &s.opt.endpoint},
	} {
		if *v.from != "" {
			*v.to = *v.from
		}
	}
	for _, v := range []struct {
		to   *string
		file string
	}{{&s.set.Key, s.opt.keyFile}, {&s.set.Token, s.opt.tokenFile}} {
		if v.file == "" {
			continue
		}
		b, err := os.ReadFile(v.file)
		if err != nil {
			return usage("%v", err)
		}
		*v.to = strings.TrimSpace(string(b))
	}
	for name, secret := range map[string]string{"the key": s.set.Key, "the token": s.set.Token} {
		if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return usage("%s holds something that is not a letter, digit or sign", name)
		}
	}
	return nil
}

// connect makes the client of the server that is named.
func (s *session) connect() (*client.Client, error) {
	if s.server != nil {
		return s.server, nil
	}
	if s.set.Server == "" {
		return nil, usage("which server? Set PORTICO_SERVER, or give -server")
	}
	c, err := client.New(s.set.Server, client.Options{HTTP: s.env.HTTP, Patience: s.opt.patience, Waiting: func(why string, pause time.Duration) {
		if pause >= time.Second {
			s.note("%s; again in %v", why, pause.Round(time.Second))
		}
	}})
	if err != nil {
		return nil, usage("%v", err)
	}
	s.server = c
	return c, nil
}

// token is the caller's, where one is needed.
func (s *session) token(what string) (string, error) {
	if s.set.Token == "" {
		return "", usage("a token is needed for %s: set PORTICO_TOKEN, or give -token-file", what)
	}
	return s.set.Token, nil
}

// member connects as somebody with a role, and finds the workspace.
func (s *session) member(ctx context.Context, what string) (c *client.Client, token string, err error) {
	if c, err = s.connect(); err != nil {
		return nil, "", err
	}
	if token, err = s.token(what); err != nil {
		return nil, "", err
	}
	if s.ws == "" {
		if s.ws, err = c.Workspace(ctx, s.set.Workspace, token); err != nil {
			return nil, "", named(err, "PORTICO_WORKSPACE", "-workspace")
		}
	}
	return c, token, nil
}

// named says how to name what could not be found.
func named(err error, setting, flag string) error {
	if e, ok := errors.AsType[*client.NotFound](err); ok {
		return usage("%v; set %s, or give %s", e, setting, flag)
	}
	return err
}

// note tells whoever looks, unless they want quiet.
func (s *session) note(format string, args ...any) {
	if !s.opt.quiet {
		s.screen.print(format, args...)
	}
}

package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/portico-ml/portico/shared/cli"
	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/doctor"
)

// isCommand reports whether the program was started to perform a command. The
// hosts pass no argument. Under the name portico every argument is one, so that
// a mistyped command is answered and does not become a server.
func isCommand(args []string) bool {
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	return len(args) > 1 && (name == "portico" || cli.Known(args[1]))
}

// command performs a command and returns the exit code.
func command(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // who asks twice is not kept waiting
	info, err := os.Stderr.Stat()
	env := cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		Settings: clientSettings,
		HTTP:     caller(),
		Machine:  machine,
	}
	for _, s := range config.ClientSettings() {
		env.Known = append(env.Known, cli.Setting{Name: s.Name, Meaning: s.Meaning, Example: s.Example})
	}
	return cli.Run(ctx, args, env)
}

func clientSettings(file string) (cli.Settings, error) {
	c, err := config.ClientFromEnvironment(file)
	return cli.Settings{
		Server: c.Server, Workspace: c.Workspace, Service: c.Service, Endpoint: c.Endpoint,
		Key: c.Key.Reveal(), Token: c.Token.Reveal(),
	}, err
}

// caller makes the calls of commands. Whoever types an address may go there,
// through their own proxy; an import may take the server minutes.
func caller() *http.Client {
	dialer := everywhere()
	transport := dialer.Transport()
	transport.Proxy = http.ProxyFromEnvironment
	transport.ResponseHeaderTimeout = 5 * time.Minute
	return dialer.Client()
}

// machine is this installation as its settings make it, for doctor; nil where
// nothing of it is set here.
func machine(file string) (*doctor.Machine, func(), error) {
	cfg, problems := config.FromEnvironment()
	if file != "" {
		var err error
		if cfg, problems, err = config.FromFile(file); err != nil {
			return nil, nil, err
		}
	}
	wrong := func(p config.Problem) bool { return p.Fingerprint != "" }
	if cfg.StoreDir == "" && !cfg.Azure.Set() && len(cfg.MasterKeys) == 0 && !slices.ContainsFunc(problems, wrong) {
		return nil, func() {}, nil
	}
	if info, err := os.Stat(cfg.StoreDir); cfg.StoreDir != "" && (err != nil || !info.IsDir()) {
		// Opening it would make it, and find all well with a name that is wrong.
		problems = append(problems, config.Problem{Setting: "PORTICO_STORE", Reason: "there is no folder of that name; the program makes it when it starts"})
		cfg.StoreDir = ""
	}
	a, p := &app{}, &parts{cfg: cfg, problems: problems}
	p.open(a)
	m := &doctor.Machine{Store: p.store, Dir: cfg.StoreDir, Queues: queues}
	for _, problem := range p.problems {
		m.Problems = append(m.Problems, problem.String())
	}
	if p.ring != nil {
		m.Keys, m.Ring = p.ring.Names(), p.ping()
	}
	return m, func() {
		for _, c := range a.closers {
			c() //nolint:errcheck // nothing was kept open for writing
		}
	}, nil
}

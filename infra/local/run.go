package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/infra/stage"
	"github.com/portico-ml/portico/shared/host/local"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

type runOptions struct {
	repo, data, dist string
	addr             string
	funcTool         string
	azurite          bool
	once, bare       bool
	staged           bool
	settings         map[string]string // over those that run makes
	tour             tour
}

func (o *runOptions) set(assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	if !ok || name == "" {
		return errors.New("NAME=VALUE is needed")
	}
	if o.settings == nil {
		o.settings = make(map[string]string)
	}
	o.settings[name] = value
	return nil
}

// tour walks through the sample on a running Portico at base, with tokens by
// role (reader, author, deployer, owner, operator), and prints what it does.
type tour func(ctx context.Context, base string, token func(role string) (string, error), out io.Writer) error

// run builds, starts, walks through the sample and stays until it is told to
// end.
func run(ctx context.Context, o runOptions) error {
	if !o.staged {
		if err := build(ctx, stage.Options{Repo: o.repo, Out: o.dist}); err != nil {
			return err
		}
	}
	k, err := openKeys(o.data)
	if err != nil {
		return err
	}
	base := "http://" + o.addr
	settings, err := k.settings(base)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	var st storage.Store
	if o.azurite || o.funcTool != "" {
		// The real host keeps its own state in the account too.
		settings["AzureWebJobsStorage"] = "UseDevelopmentStorage=true"
		// Signed links lead to Azurite, which is no public address.
		settings["PORTICO_ALLOW_NETWORKS"] = "127.0.0.1/32:10000"
		if err := startAzurite(ctx, g, o); err != nil {
			return err
		}
		s, err := azure.Open(azure.Settings{ConnectionString: settings["AzureWebJobsStorage"]})
		if err != nil {
			return err
		}
		st = s.Store
	} else {
		dir, err := filepath.Abs(filepath.Join(o.data, "store"))
		if err != nil {
			return err
		}
		settings["PORTICO_STORE"] = dir
		s, err := sqlite.Open(dir, sqlite.Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		st = s.Store
	}
	logFile, err := os.OpenFile(filepath.Join(o.data, "portico.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()

	// host.json is for instances of a core or two: this machine is all there is.
	settings[local.QueueSetting+"newBatchThreshold"] = strconv.Itoa(min(max(2, runtime.GOMAXPROCS(0)), 32))
	maps.Copy(settings, o.settings)
	var ready func(context.Context) error
	if o.funcTool != "" {
		ready, err = startFunc(ctx, g, o, settings, st, logFile)
	} else {
		ready, err = startLocal(ctx, g, o, settings, st, logFile)
	}
	if err != nil {
		return err
	}
	g.Go(func() error {
		if err := ready(ctx); err != nil {
			return err
		}
		fmt.Printf("Portico is up: %s   (log: %s)\n", base, logFile.Name())
		if o.tour != nil && !o.bare {
			token := func(role string) (string, error) { return k.token(role, 8*time.Hour) }
			if err := o.tour(ctx, base, token, os.Stdout); err != nil {
				return fmt.Errorf("the sample: %w", err)
			}
		}
		if o.once {
			stop()
			return nil
		}
		fmt.Printf("\n%s stays up until Ctrl-C. Tokens for calls of your own: make token ROLE=deployer\n", base)
		if o.data != ".data" { // where make looks
			fmt.Printf("They and the commands above need: export DATA=%s\n", o.data)
		}
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// startLocal starts the local host in this process.
func startLocal(ctx context.Context, g *errgroup.Group, o runOptions, settings map[string]string, st storage.Store, out io.Writer) (func(context.Context) error, error) {
	h, err := local.New(local.Options{
		Root: o.dist, Addr: o.addr, Settings: settings, Store: st, Output: out,
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(out, onlyErrors{os.Stderr}), nil)),
		// One machine, nobody pays per poll, and somebody watches.
		MaxPolling: 200 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	g.Go(func() error { return h.Run(ctx) })
	return h.Ready, nil
}

// onlyErrors shows what a person at the terminal must see.
type onlyErrors struct{ w io.Writer }

func (o onlyErrors) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("level=ERROR")) {
		o.w.Write(line) //nolint:errcheck // the log file has it too
	}
	return len(line), nil
}

// startFunc starts the real Functions host on the same script root. It has no
// Event Grid, so drops are announced from here.
func startFunc(ctx context.Context, g *errgroup.Group, o runOptions, settings map[string]string, st storage.Store, out io.Writer) (func(context.Context) error, error) {
	_, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(o.dist)
	if err != nil {
		return nil, err
	}
	settings["FUNCTIONS_WORKER_RUNTIME"] = "Custom"
	if err := start(ctx, g, root, settings, out, o.funcTool, "start", "--script-root", root, "--port", port); err != nil {
		return nil, err
	}
	g.Go(func() error {
		local.WatchDrop(ctx, st, slog.New(slog.NewTextHandler(out, nil)))
		return nil
	})
	return func(ctx context.Context) error { return answers(ctx, "http://"+o.addr+"/health/live") }, nil
}

// startAzurite installs Azurite where it is missing and starts it on its usual
// ports, where UseDevelopmentStorage=true looks for it.
func startAzurite(ctx context.Context, g *errgroup.Group, o runOptions) error {
	install := exec.CommandContext(ctx, "sh", "infra/local/azurite.sh")
	install.Dir, install.Stdout, install.Stderr = o.repo, os.Stderr, os.Stderr
	if err := install.Run(); err != nil {
		return fmt.Errorf("install azurite: %w", err)
	}
	dir, err := filepath.Abs(filepath.Join(o.data, "azurite"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	script, err := filepath.Abs(filepath.Join(o.repo, ".azurite/node_modules/azurite/dist/src/azurite.js"))
	if err != nil {
		return err
	}
	if err := start(ctx, g, dir, nil, io.Discard, "node", script, "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", dir); err != nil {
		return err
	}
	for _, port := range []string{"10000", "10001", "10002"} {
		if err := answers(ctx, "http://127.0.0.1:"+port+"/"); err != nil {
			return fmt.Errorf("azurite: %w", err)
		}
	}
	return nil
}

// start runs a program until ctx is done. It is asked to end first: Azurite
// saves its tables then.
func start(ctx context.Context, g *errgroup.Group, dir string, env map[string]string, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = os.Environ()
	for k, v := range maps.All(env) {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	g.Go(func() error {
		err := cmd.Wait()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%s ended: %v", strings.Join(append([]string{name}, args...), " "), err)
	})
	return nil
}

// answers waits until anything answers at an address.
func answers(ctx context.Context, url string) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("nothing answers at %s", url)
}

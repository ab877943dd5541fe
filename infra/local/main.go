// Command local runs everything on one machine with nothing to install.
//
//	local run     build, start under the local host, walk through the sample, stay
//	local stage   build the script root
//	local token   print a token of the local issuer
//	local size    print what the built handler is made of
//
// Everything it keeps lies in one folder, .data: store, keys, the handler's
// log. Deleting the folder starts over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/portico-ml/portico/infra/samples"
	"github.com/portico-ml/portico/infra/stage"
	"github.com/portico-ml/portico/shared/auth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	name := "run"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	repo := flags.String("repo", ".", "root of the repository")
	data := flags.String("data", ".data", "folder of everything that is kept")
	dist := flags.String("dist", "dist", "script root to make")
	switch name {
	case "run":
		o := runOptions{tour: samples.Run}
		flags.StringVar(&o.addr, "addr", "127.0.0.1:7071", "where to listen")
		flags.StringVar(&o.funcTool, "func", "", "run under this func executable (Azure Functions Core Tools) instead of the local host; needs Azurite")
		flags.BoolVar(&o.azurite, "azurite", false, "store in Azurite (make azurite) instead of the embedded store")
		flags.BoolVar(&o.once, "once", false, "end after the sample instead of staying")
		flags.Func("sample", "which walks to take, separated by commas: "+walkNames()+", or all (default churn)", func(names string) (err error) {
			o.tour, err = walksOf(names)
			return err
		})
		flags.BoolVar(&o.bare, "bare", false, "do not walk through the sample")
		flags.BoolVar(&o.staged, "staged", false, "run what is in dist already instead of building it")
		flags.Func("set", "a setting of the app, NAME=VALUE; may be given several times", o.set)
		if err := flags.Parse(args); err != nil {
			return err
		}
		o.repo, o.data, o.dist = *repo, *data, *dist
		return run(ctx, o)
	case "stage":
		goos := flags.String("goos", "", "operating system of the handler")
		goarch := flags.String("goarch", "", "processor of the handler")
		if err := flags.Parse(args); err != nil {
			return err
		}
		return build(ctx, stage.Options{Repo: *repo, Out: *dist, GOOS: *goos, GOARCH: *goarch})
	case "size":
		if err := flags.Parse(args); err != nil {
			return err
		}
		return size(ctx, *repo, filepath.Join(*dist, "handler"), os.Stdout)
	case "token":
		role := flags.String("role", "deployer", "who the token is for: reader, author, deployer, owner (members of the sample workspace) or operator")
		hours := flags.Int("hours", 8, "how long it is valid")
		if err := flags.Parse(args); err != nil {
			return err
		}
		k, err := openKeys(*data)
		if err != nil {
			return err
		}
		t, err := k.token(*role, time.Duration(*hours)*time.Hour)
		if err == nil {
			fmt.Println(t)
		}
		return err
	}
	return fmt.Errorf("there is no command %q: run, stage, token, size", name)
}

func walkNames() string {
	var names []string
	for _, w := range samples.Walks() {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}

// walksOf is the tour of the walks of those names, one after the other.
func walksOf(names string) (tour, error) {
	var walks []samples.Walk
	for _, name := range strings.Split(names, ",") {
		n := len(walks)
		for _, w := range samples.Walks() {
			if name == w.Name || name == "all" {
				walks = append(walks, w)
			}
		}
		if len(walks) == n {
			return nil, fmt.Errorf("there is no walk %q: %s, all", name, walkNames())
		}
	}
	return func(ctx context.Context, base string, token func(role string) (string, error), out io.Writer) error {
		for _, w := range walks {
			if err := w.Run(ctx, base, token, out); err != nil {
				return fmt.Errorf("%s: %w", w.Name, err)
			}
		}
		return nil
	}, nil
}

// people are the subjects of local tokens: one per role, so that requester and
// approver differ as they must.
var people = []string{"reader", "author", "deployer", "owner", "operator"}

// token returns a token of the person who has the role. The role itself comes
// from the members of a workspace, except the operator's.
func (k *keys) token(role string, valid time.Duration) (string, error) {
	if !slices.Contains(people, role) {
		return "", fmt.Errorf("there is no role %q: %v", role, people)
	}
	c := auth.Claims{Subject: "local-" + role, Name: "Local " + role}
	if role == "operator" {
		c.Roles = []string{auth.LocalOperatorRole}
	}
	return k.issuer.Sign(c, valid)
}

// build stages the script root and shows how far it is.
func build(ctx context.Context, o stage.Options) error {
	p := stage.NewProgress(os.Stderr, "building the handler")
	o.Progress = p.Set
	err := stage.Build(ctx, o)
	p.End(err == nil)
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(o.Out, "handler"))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "staged %s: handler %.1f MB\n", o.Out, float64(info.Size())/1e6)
	return nil
}

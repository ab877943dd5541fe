// Command build stages the script root, and builds the program that runs it,
// with progress. It is apart from that program because `go run` shows none: on
// a fresh machine the first build takes a minute, and this command a moment.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/portico-ml/portico/infra/stage"
	"github.com/portico-ml/portico/shared/host/layout"
)

func main() {
	repo := flag.String("repo", ".", "root of the repository")
	dist := flag.String("dist", "", "script root to make; empty: none")
	local := flag.String("local", "", "where to put the program that runs it; empty: nowhere")
	goos := flag.String("goos", "", "operating system of the handler")
	goarch := flag.String("goarch", "", "processor of the handler")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := stage.NewProgress(os.Stderr, "building")
	err := build(ctx, p, *repo, *dist, *local, *goos, *goarch)
	p.End(err == nil)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "build:", err)
	}
	if err != nil {
		os.Exit(1)
	}
	if *dist != "" {
		if info, err := os.Stat(filepath.Join(*dist, layout.Executable)); err == nil {
			fmt.Fprintf(os.Stderr, "staged %s: handler %.1f MB\n", *dist, float64(info.Size())/1e6)
		}
	}
}

func build(ctx context.Context, p *stage.Progress, repo, dist, local, goos, goarch string) error {
	done := 0
	count := func(packages int) { p.Set(done + packages) }
	if dist != "" {
		last := 0
		err := stage.Build(ctx, stage.Options{Repo: repo, Out: dist, GOOS: goos, GOARCH: goarch, Progress: func(n int) { last = n; count(n) }})
		if err != nil {
			return err
		}
		done += last
	}
	if local == "" {
		return nil
	}
	out, err := filepath.Abs(local)
	if err != nil {
		return err
	}
	return stage.Compile(ctx, repo, "./infra/local", out, count, nil)
}

// Package stage builds the script root of the Functions host out of the
// sources: host.json, the handler, and {function}/function.json. The host reads
// function.json from first-level folders only, so the source tree cannot be
// the script root itself.
package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/portico-ml/portico/shared/host/layout"
)

// Options of Build.
type Options struct {
	Repo string // the repository's root
	Out  string // the script root to make
	// GOOS and GOARCH of the handler; empty = this machine's.
	GOOS, GOARCH string
	// Progress, where set, is told how many packages have been compiled so
	// far; none are where all are in the build cache.
	Progress func(packages int)
}

// Build makes or refreshes a script root and judges it. Running processes keep
// the handler they were started from.
func Build(ctx context.Context, o Options) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(o.Repo, "host.json"), filepath.Join(o.Out, "host.json")); err != nil {
		return err
	}
	names, err := functions(o.Repo)
	if err != nil {
		return err
	}
	for name := range names {
		if err := os.MkdirAll(filepath.Join(o.Out, name), 0o755); err != nil {
			return err
		}
		if err := copyFile(filepath.Join(o.Repo, "functions", name, "function.json"), filepath.Join(o.Out, name, "function.json")); err != nil {
			return err
		}
	}
	if err := removeStale(o.Out, names); err != nil {
		return err
	}
	// Judged before it is compiled: this takes a millisecond.
	if _, err := layout.Read(os.DirFS(o.Out)); err != nil {
		return err
	}
	return compile(ctx, o)
}

// functions returns the names of the folders that hold a function.json.
func functions(repo string) (map[string]bool, error) {
	files, err := fs.Glob(os.DirFS(repo), "functions/*/function.json")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s is not the root of the repository: it has no functions", repo)
	}
	names := map[string]bool{}
	for _, f := range files {
		names[strings.Split(f, "/")[1]] = true
	}
	return names, nil
}

// removeStale removes the folders of functions that are no more.
func removeStale(out string, names map[string]bool) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(out, e.Name(), "function.json")); err != nil || names[e.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(out, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(to); err == nil && string(old) == string(b) {
		return nil
	}
	tmp := to + ".tmp"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// compile builds the handler: static, without paths of this machine, without
// the RPC mode of Lambda that no runtime uses any more.
func compile(ctx context.Context, o Options) error {
	out, err := filepath.Abs(filepath.Join(o.Out, layout.Executable))
	if err != nil {
		return err
	}
	var env []string
	if o.GOOS != "" {
		env = append(env, "GOOS="+o.GOOS)
	}
	if o.GOARCH != "" {
		env = append(env, "GOARCH="+o.GOARCH)
	}
	return Compile(ctx, o.Repo, "./functions", out, o.Progress, env, "-tags", "lambda.norpc", "-ldflags", "-s -w")
}

// Compile builds a program of the repository without cgo. -trimpath is part of
// what a compiled package is cached by: two programs share their packages only
// if both are built alike.
func Compile(ctx context.Context, repo, pkg, out string, progress func(packages int), env []string, flags ...string) error {
	args := append([]string{"build", "-v", "-trimpath", "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = repo
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go: %w", err)
	}
	var said []string // what is no package path is the compiler speaking
	packages := 0
	for sc := bufio.NewScanner(stderr); sc.Scan(); {
		if line := sc.Text(); strings.ContainsAny(line, " \t:") {
			said = append(said, line)
			continue
		}
		packages++
		if progress != nil {
			progress(packages)
		}
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.New("go build " + pkg + " failed:\n" + strings.Join(said, "\n"))
	}
	return nil
}

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// size prints what the handler is made of: bytes of code and constants per
// module, by the symbols of an unstripped build of the same sources. The rest
// of the file is variables, and what describes code to the runtime: line
// tables, types, stack maps.
func size(ctx context.Context, repo, handler string, out io.Writer) error {
	info, err := os.Stat(handler)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "portico-size-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	full := filepath.Join(dir, "handler")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", full, "./functions")
	build.Dir, build.Stderr = repo, os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return err
	}
	bi, err := buildinfo.ReadFile(full)
	if err != nil {
		return err
	}
	modules := []string{bi.Main.Path}
	for _, m := range bi.Deps {
		modules = append(modules, m.Path)
	}
	// The longest module path that fits is a symbol's own.
	slices.SortFunc(modules, func(a, b string) int { return cmp.Compare(len(b), len(a)) })

	nm, err := exec.CommandContext(ctx, "go", "tool", "nm", "-size", full).Output()
	if err != nil {
		return err
	}
	const std = "the Go runtime and standard library"
	bytesOf, sum := map[string]int64{}, int64(0)
	for sc := bufio.NewScanner(bytes.NewReader(nm)); sc.Scan(); {
		f := strings.Fields(sc.Text()) // address, size, kind, name
		if len(f) < 4 || !strings.Contains("TtRr", f[2]) || isSpan(f[3]) {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			continue
		}
		name := strings.ReplaceAll(f[3], "%2e", ".")
		key := std
		if i := slices.IndexFunc(modules, func(m string) bool { return strings.Contains(name, m) }); i >= 0 {
			key = modules[i]
		}
		bytesOf[key] += n
		sum += n
	}
	names := make([]string, 0, len(bytesOf))
	for k := range bytesOf {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(bytesOf[b], bytesOf[a]) })
	fmt.Fprintf(out, "%s: %.1f MB\n\n", handler, float64(info.Size())/1e6)
	for _, k := range names {
		fmt.Fprintf(out, "%8.2f MB  %s\n", float64(bytesOf[k])/1e6, k)
	}
	fmt.Fprintf(out, "%8.2f MB  variables, line tables, types and other description\n", float64(info.Size()-sum)/1e6)
	return nil
}

// isSpan reports symbols that only mark where a region begins or ends, and
// those whose region is description.
func isSpan(name string) bool {
	switch name {
	case "runtime.text", "runtime.etext", "runtime.rodata", "runtime.erodata", "runtime.types", "runtime.etypes",
		"runtime.pclntab", "runtime.epclntab", "runtime.findfunctab", "runtime.itablink", "runtime.eitablink",
		"runtime.symtab", "runtime.esymtab", "runtime.noptrdata", "runtime.enoptrdata", "runtime.data", "runtime.edata":
		return true
	}
	return false
}

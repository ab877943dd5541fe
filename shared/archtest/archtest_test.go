package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/portico-ml/portico/"

// imports is one rule about imports. Folders are relative to the root; one
// that ends in "/..." stands for itself and everything below.
type imports struct {
	in     []string // the rule binds these
	but    []string // and not these
	never  []string // folders of ours or import paths that they may not import
	only   []string // where set: the folders of ours that they may import
	tests  bool     // binds test files too
	reason string
}

var importRules = []imports{
	{
		in: []string{"shared/..."}, never: []string{"functions/...", "infra/..."}, tests: true,
		reason: "shared is below the functions: a cycle of meaning comes before a cycle of imports",
	},
	{
		in: []string{"functions/..."}, but: []string{"functions"}, never: []string{"functions/...", "infra/..."},
		reason: "a function that needs another needs something that belongs in shared",
	},
	{
		in: []string{"functions/..."}, but: []string{"functions"}, never: []string{"shared/host/azfunc", "shared/host/lambda/...", "shared/host/local", "shared/telemetry", "shared/storage/sqlite", "shared/storage/azure"},
		reason: "a function must not know which host runs it or which driver stores for it; main.go does",
	},
	{
		in:    []string{"shared/...", "functions/..."},
		but:   []string{"shared/storage/azure", "shared/storage/azure/...", "shared/connect/...", "shared/host/lambda/..."},
		never: []string{"github.com/Azure/...", "github.com/aws/..."},
		reason: "cloud SDKs stay behind ports: two clouds and a machine without any must run the same code, " +
			"and an SDK's error becomes text in few places",
	},
	{
		in:     []string{"shared/fault", "shared/frame/...", "shared/service", "shared/model/...", "shared/learn/...", "shared/graph/..."},
		but:    []string{"shared/model/modeltest", "shared/model/trees/gen", "shared/learn/learntest"},
		never:  []string{"os", "os/exec", "net", "net/http", "database/sql", "syscall", "io/ioutil", "shared/storage/...", "shared/host/...", "shared/guard"},
		reason: "what a score is must depend on bytes handed in and on nothing else",
	},
	{
		in: []string{"shared/storage/sqlite", "shared/storage/azure"}, only: []string{"shared/storage", "shared/fault"},
		reason: "a driver knows its port and its product; anything more would be a rule that the other driver lacks",
	},
	{
		in: []string{"shared/frame/..."}, only: []string{"shared/fault", "shared/frame/..."},
		reason: "frames are the bottom: everything passes them around",
	},
	{
		in:     []string{"shared/..."},
		but:    []string{"shared/host/...", "shared/telemetry", "shared/config", "shared/archtest"},
		never:  []string{"shared/host/web", "shared/host/azfunc", "shared/host/lambda/...", "shared/host/local", "shared/host/layout", "shared/telemetry", "shared/config"},
		reason: "the domain takes what it needs as arguments; hosts, settings and telemetry are wired by main.go",
	},
	{
		in: []string{"shared/host/..."}, never: []string{"shared/registry", "shared/batch", "shared/runs", "shared/catalog", "shared/scoring"},
		reason: "hosts and adapters carry any program; a third host must cost one more adapter",
	},
	{
		in: []string{"shared/...", "functions/...", "infra/..."}, tests: true,
		never:  []string{"github.com/stretchr/...", "github.com/onsi/...", "gopkg.in/check.v1"},
		reason: "plain testing and go-cmp say what failed; an assertion language hides it",
	},
	{
		in: []string{"shared/...", "functions/..."}, never: []string{"io/ioutil", "math/rand", "log"},
		reason: "os and io, math/rand/v2 and log/slog replace them",
	},
}

// uses is one rule about names of other packages.
type uses struct {
	in, but []string
	never   []string // "import/path.Name"
	reason  string
}

var useRules = []uses{
	{
		in: []string{"shared/...", "functions/..."}, but: []string{"shared/config", "shared/host/local"},
		never:  []string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "os.Setenv", "syscall.Getenv", "syscall.Environ"},
		reason: "config documents every setting because nothing else can read one (host/local makes the environment of the handler)",
	},
	{
		in: []string{"shared/...", "functions/..."}, but: []string{"shared/guard", "shared/storage/azure", "shared/host/local"},
		never: []string{
			"net/http.DefaultClient", "net/http.DefaultTransport", "net/http.Get", "net/http.Post", "net/http.Head", "net/http.PostForm",
			"net/http.Transport", "net.Dial", "net.DialTimeout", "net.DialTCP", "net.DialUDP", "net.DialIP", "net.Dialer", "crypto/tls.Dial", "crypto/tls.Dialer",
		},
		reason: "addresses come from callers: only guard's dialler looks at where a connection really goes (host/local is no part of the program)",
	},
	{
		in: []string{"shared/...", "functions/..."}, but: []string{"functions", "shared/host/local"},
		never:  []string{"os.Exit"},
		reason: "a process that exits with 0 is never started again, and one that exits otherwise takes its neighbours with it",
	},
}

type file struct {
	path string // relative to the root
	dir  string
	test bool
	ast  *ast.File
}

// sources parses every Go file of the repository.
func sources(t *testing.T) (*token.FileSet, []file) {
	t.Helper()
	const root = "../.."
	fset := token.NewFileSet()
	var files []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "node_modules" || name == "dist" || strings.HasPrefix(name, ".") && p != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		a, err := parser.ParseFile(fset, rel, text, parser.ParseComments)
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(text), "//go:build ignore") {
			return nil // a generator, run by hand
		}
		files = append(files, file{rel, path.Dir(rel), strings.HasSuffix(name, "_test.go"), a})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files: this is not the repository", len(files))
	}
	return fset, files
}

// within reports whether a folder or import path is one of the patterns.
func within(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if base, ok := strings.CutSuffix(p, "/..."); ok {
			return name == base || strings.HasPrefix(name, base+"/")
		}
		return name == p
	})
}

// imported returns f's imports: of ours as folders, others as they are.
func (f file) imported() map[string]*ast.ImportSpec {
	m := map[string]*ast.ImportSpec{}
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		m[strings.TrimPrefix(p, module)] = spec
	}
	return m
}

func isOurs(spec *ast.ImportSpec) bool { return strings.HasPrefix(spec.Path.Value, `"`+module) }

func TestImports(t *testing.T) {
	fset, files := sources(t)
	for _, rule := range importRules {
		bound := 0
		for _, f := range files {
			if !within(f.dir, rule.in) || within(f.dir, rule.but) || f.test && !rule.tests {
				continue
			}
			bound++
			for name, spec := range f.imported() {
				bad := within(name, rule.never) && name != f.dir
				if len(rule.only) > 0 && isOurs(spec) && !within(name, rule.only) {
					bad = true
				}
				if bad {
					t.Errorf("%s imports %s: %s", fset.Position(spec.Pos()), name, rule.reason)
				}
			}
		}
		if bound == 0 {
			t.Errorf("a rule binds nothing: %v: %s", rule.in, rule.reason)
		}
	}
}

func TestUses(t *testing.T) {
	fset, files := sources(t)
	for _, f := range files {
		if f.test || strings.HasSuffix(path.Base(f.dir), "test") && path.Base(f.dir) != "archtest" {
			continue
		}
		names := map[string]string{} // as written in the file -> import path
		for p, spec := range f.imported() {
			name := path.Base(p)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = p
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok && isName(lit.Type, names, "net/http.Client") && !hasField(lit, "Transport") && within(f.dir, []string{"shared/...", "functions/..."}) {
				t.Errorf("%s: an http.Client without a Transport dials by the default one, unguarded", fset.Position(lit.Pos()))
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || x.Obj != nil { // a local variable of that name
				return true
			}
			full := names[x.Name] + "." + sel.Sel.Name
			for _, rule := range useRules {
				if slices.Contains(rule.never, full) && within(f.dir, rule.in) && !within(f.dir, rule.but) {
					t.Errorf("%s uses %s: %s", fset.Position(sel.Pos()), full, rule.reason)
				}
			}
			return true
		})
	}
}

// isName reports whether e is the name "import/path.Name".
func isName(e ast.Expr, names map[string]string, want string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && names[x.Name]+"."+sel.Sel.Name == want
}

func hasField(lit *ast.CompositeLit, name string) bool {
	return slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		id, ok := kv.Key.(*ast.Ident)
		return ok && id.Name == name
	})
}

// TestTesting: testing is for tests and for the packages that help them, and
// those are for tests only.
func TestTesting(t *testing.T) {
	fset, files := sources(t)
	for _, f := range files {
		helper := strings.HasSuffix(path.Base(f.dir), "test")
		if f.test || helper {
			continue
		}
		for name, spec := range f.imported() {
			if name == "testing" || strings.HasPrefix(name, "testing/") {
				t.Errorf("%s imports %s: it registers flags and weighs on the shipped binary", fset.Position(spec.Pos()), name)
			}
			if isOurs(spec) && strings.HasSuffix(path.Base(name), "test") {
				t.Errorf("%s imports %s: …test packages are for tests", fset.Position(spec.Pos()), name)
			}
		}
	}
}

// TestNoInit: what a program does before main cannot be read in main.
func TestNoInit(t *testing.T) {
	fset, files := sources(t)
	for _, f := range files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.test {
				t.Errorf("%s: func init: registries are map literals, wired by hand", fset.Position(fn.Pos()))
			}
		}
	}
}

// TestPackageComments: every package says what it is, once.
func TestPackageComments(t *testing.T) {
	_, files := sources(t)
	comments, packages := map[string][]string{}, map[string]string{}
	for _, f := range files {
		if f.test {
			continue
		}
		packages[f.dir] = f.ast.Name.Name
		if f.ast.Doc != nil && !strings.HasPrefix(f.ast.Doc.Text(), "Code generated") {
			comments[f.dir] = append(comments[f.dir], f.ast.Doc.Text())
		}
	}
	for dir, name := range packages {
		c := comments[dir]
		if len(c) != 1 {
			t.Errorf("%s has %d package comments, not one", dir, len(c))
			continue
		}
		want := "Package " + name + " "
		if name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(c[0], want) {
			t.Errorf("the package comment of %s does not begin with %q", dir, want)
		}
	}
}

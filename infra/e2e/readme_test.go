package e2e

import (
	"bytes"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme types what the README says under "A first call" at a running
// system, where it holds for the reader's machine: address and folder aside.
func TestReadme(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "make", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the README's commands need %s", tool)
		}
	}
	text, err := os.ReadFile(filepath.Join(repo, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## A first call\n")
	section, _, _ = strings.Cut(section, "\n## ")
	shell, python := block(section, "sh"), block(section, "python")
	if !ok || shell == "" || python == "" {
		t.Fatal("the README has no first call in shell and in Python")
	}
	s := newSite(t)
	const address = "API=http://127.0.0.1:7071\n"
	if !strings.Contains(shell, address) {
		t.Fatalf("the README does not say %s", address)
	}
	shell = strings.Replace(shell, address, "API="+s.base+"\n", 1)

	// What both calls are about comes from the shell's variables.
	out := s.shell(t, shell+"\nprintf '\\n%s\\n%s\\n%s\\n' \"$WS\" \"$EP\" \"$KEY\"\n")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 {
		t.Fatalf("%q", lines)
	}
	answer, ws, ep, key := lines[0], lines[1], lines[2], lines[3]
	e := s.endpoints["churn"]["default"]
	if ws != s.ws || ep != e.id || key != e.primary {
		t.Errorf("workspace %s, endpoint %s, want %s, %s", ws, ep, s.ws, e.id)
	}
	row := values(t, answer)[0]
	if got := row[len(row)-2:]; got[0] != "no" || got[1] != scoredA || !strings.Contains(answer, `"ColumnTypes"`) {
		t.Errorf("the first call is answered %s", answer)
	}

	if _, err := exec.LookPath("python3"); err != nil {
		t.Log("without python3, the second call was not made")
		return
	}
	customer := map[string]string{}
	for i, name := range s.columns {
		customer[name] = s.may[0][i]
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", python+"\nimport sys\nprint(leaves(*sys.argv[1:5], json.loads(sys.argv[5])))\n",
		s.base, ws, ep, key, encode(customer))
	got, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(got)) != scoredA {
		t.Errorf("from Python: %v %s", err, got)
	}
	s.helpSample(t)
}

// helpSample runs the job that a help page shows in Python, as it stands there.
func (s *site) helpSample(t *testing.T) {
	e := s.endpoints["churn"]["default"]
	status, page := s.call("GET", "/apihelp/workspaces/"+s.ws+"/webservices/"+s.services["churn"]+"/endpoints/"+e.id+"/jobs", "", "")
	_, script, ok := strings.Cut(page, "<h2>All of it in Python</h2>")
	_, script, _ = strings.Cut(script, "<pre>")
	script, _, _ = strings.Cut(script, "</pre>")
	if status != 200 || !ok || script == "" {
		t.Fatalf("%d: the help page shows no job in Python", status)
	}
	in := s.upload("customers_may.csv", string(sampleFile(t, "customers_may.csv")))
	cmd := exec.CommandContext(t.Context(), "python3", "-c", html.UnescapeString(script))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "KEY="+e.primary, "INPUT0="+in.BaseLocation+in.RelativeLocation+in.SasBlobToken)
	got, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(got)) != "output1.csv" {
		t.Fatalf("%v %s", err, got)
	}
	scored, err := os.ReadFile(filepath.Join(cmd.Dir, "output1.csv"))
	if err != nil || len(records(t, string(scored))) != len(s.may) {
		t.Errorf("%v: %d rows, not %d", err, len(records(t, string(scored))), len(s.may))
	}
}

// TestReadmeCommands types what the README says under "Command line", where it
// holds for the reader's machine.
func TestReadmeCommands(t *testing.T) {
	for _, tool := range []string{"bash", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the README's commands need %s", tool)
		}
	}
	text, err := os.ReadFile(filepath.Join(repo, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Command line\n")
	script := block(section, "sh")
	s := newSite(t)
	bin, out := t.TempDir(), t.TempDir()
	if err := os.Symlink(filepath.Join(s.dist, "handler"), filepath.Join(bin, "portico")); err != nil {
		t.Fatal(err)
	}
	here := []string{"make cli\n", "", "$PWD/.data/bin", bin, "http://127.0.0.1:7071", s.base, "/tmp/", out + "/"}
	for i := 0; i < len(here); i += 2 {
		if !strings.Contains(script, here[i]) {
			t.Fatalf("the README does not say %s", here[i])
		}
	}
	script = strings.NewReplacer(here...).Replace(script)
	shown := s.shell(t, script)
	for _, want := range []string{"state     Finished", "promotion.approved", "ok       server ready"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the commands do not show %q:\n%s", want, shown)
		}
	}
	if a, b := readFile(t, out+"/may.csv"), readFile(t, out+"/job.csv"); a != b || len(records(t, a)) != len(s.may) {
		t.Error("scored at once and as a batch, May is not the same")
	}
}

// shell runs commands at the root of the repository as the README's reader:
// make finds the tokens of this system.
func (s *site) shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "DATA="+s.data, "MAKEFLAGS=", "MAKELEVEL=", "CGO_ENABLED=0")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), complaints.String())
	}
	return out.String()
}

// block returns the first fenced block of a language.
func block(markdown, language string) string {
	_, rest, _ := strings.Cut(markdown, "```"+language+"\n")
	code, _, ok := strings.Cut(rest, "```")
	if !ok {
		return ""
	}
	return code
}

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadClient(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", "# mine\n\nPORTICO_SERVER = http://file:1\r\nPORTICO_KEY=abc==\n")
	none := func(string) string { return "" }

	c, err := LoadClient(none, good)
	if err != nil || c.Server != "http://file:1" || c.Key.Reveal() != "abc==" || !c.Token.Empty() {
		t.Errorf("%+v, %v", c, err)
	}
	env := map[string]string{"PORTICO_CLIENT_FILE": good, "PORTICO_SERVER": "http://env:2", "PORTICO_TOKEN": "t"}
	c, err = LoadClient(func(name string) string { return env[name] }, "")
	if err != nil || c.Server != "http://env:2" || c.Key.Reveal() != "abc==" || c.Token.Reveal() != "t" {
		t.Errorf("the environment goes before the file: %+v, %v", c, err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):                       "no such file",
		write("line", "PORTICO_SERVER=x\nsecret\n"):        "line 2: it is not NAME=VALUE",
		write("name", "PORTICO_SERVRE=http://secret.test"): `line 1: there is no setting "PORTICO_SERVRE"`,
	} {
		if _, err := LoadClient(none, path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", filepath.Base(path), err, want)
		}
	}
}

// Without a file of one's own, the one in the user's folder need not be there.
func TestLoadClient_noFile(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	c, err := LoadClient(func(string) string { return "" }, "")
	if err != nil || c != (Client{}) {
		t.Errorf("%+v, %v", c, err)
	}
}

// Every setting sets something of its own.
func TestClientSettings(t *testing.T) {
	seen := map[Client]string{}
	for _, s := range ClientSettings() {
		var c Client
		s.set(&c, "x")
		if other := seen[c]; other != "" || c == (Client{}) {
			t.Errorf("%s sets what %q sets", s.Name, other)
		}
		seen[c] = s.Name
		if s.Meaning == "" || s.Example == "" {
			t.Errorf("%s is not documented", s.Name)
		}
	}
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The hosts start the program without arguments, and whatever somebody passes
// that is no command is passed over as ever. Under its own name a mistyped
// command is one.
func TestIsCommand(t *testing.T) {
	for line, want := range map[string]bool{
		"/home/site/wwwroot/handler":  false,
		"/var/task/bootstrap":         false,
		"handler x":                   false,
		"handler -port 80":            false,
		"handler job list":            true,
		"handler.exe doctor":          true,
		"bootstrap help":              true,
		"portico":                     false,
		"/usr/local/bin/portico jobs": true,
		"portico.exe --json":          true,
	} {
		if isCommand(strings.Fields(line)) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// What the doctor looks at is what the settings make, in the environment or in
// a file; where nothing is set there is nothing.
func TestMachine(t *testing.T) {
	for _, name := range []string{"PORTICO_STORE", "PORTICO_MASTER_KEYS", "PORTICO_MAX_ROWS", "AzureWebJobsStorage", "AzureWebJobsStorage__accountName"} {
		t.Setenv(name, "")
	}
	if m, end, err := machine(""); m != nil || err != nil {
		t.Errorf("%+v, %v", m, err)
	} else {
		end()
	}
	t.Setenv("PORTICO_MAX_ROWS", "many")
	m, end, err := machine("")
	if err != nil || m == nil || m.Store != nil || len(m.Problems) != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	end()
	t.Setenv("PORTICO_MAX_ROWS", "")

	// A store whose name is wrong is not made, and so found well.
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("PORTICO_STORE", missing)
	if m, end, err = machine(""); err != nil || m.Store != nil || !strings.Contains(strings.Join(m.Problems, "\n"), "PORTICO_STORE: there is no folder") {
		t.Errorf("%+v, %v", m, err)
	}
	end()
	if _, err := os.Stat(missing); err == nil {
		t.Error("the store was made")
	}
	t.Setenv("PORTICO_STORE", "")

	values, err := json.Marshal(map[string]any{"Values": environment(t)})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(file, values, 0o600); err != nil {
		t.Fatal(err)
	}
	m, end, err = machine(file)
	if err != nil || len(m.Problems) != 0 || m.Store == nil || len(m.Keys) != 1 || m.Dir == "" || len(m.Queues) != 5 {
		t.Fatalf("%+v, %v", m, err)
	}
	defer end()
	for _, c := range m.Check(t.Context()) {
		if c.State == "failed" {
			t.Errorf("%+v", c)
		}
	}
	if _, _, err := machine("/nowhere"); err == nil {
		t.Error("a file that is not there was read")
	}
}

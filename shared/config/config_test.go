package config

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var ring = "k2:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 32))) + ",k1:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("b", 48)))

func load(env map[string]string) (Config, []Problem) {
	return Load(func(name string) string { return env[name] })
}

func TestLoad(t *testing.T) {
	c, problems := load(map[string]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT": "40527",
		"PORTICO_STORE":                "data",
		"PORTICO_MASTER_KEYS":          ring,
		"PORTICO_ISSUERS":              `[{"issuer":"https://i","audiences":["a"],"jwks":"file:/k","operatorRole":"op"}]`,
		"PORTICO_PUBLIC_URL":           "https://ml.example.org/",
		"PORTICO_CORS_ORIGINS":         "https://a.example, https://b.example",
		"PORTICO_ALLOW_NETWORKS":       "10.1.2.3/16:443, fd00::/8, fd00:1::/32:9000",
		"PORTICO_MAX_BODY_BYTES":       "2 MiB",
		"PORTICO_SCORE_TIMEOUT":        "1m30s",
		"PORTICO_FOUR_EYES":            "False",
	})
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]Issuer{{"https://i", []string{"a"}, "file:/k", "op"}}, c.Issuers); diff != "" {
		t.Error(diff)
	}
	if c.Host != AzureFunctions || c.Listen != "127.0.0.1:40527" || c.Cloud {
		t.Errorf("host %v, listen %v, cloud %v", c.Host, c.Listen, c.Cloud)
	}
	if c.PublicURL != "https://ml.example.org" || c.MaxBodyBytes != 2<<20 || c.ScoreTimeout != 90*time.Second || c.FourEyes || !c.RequireEvidence || c.MaxRows != 10000 {
		t.Errorf("%+v", c)
	}
	if !filepath.IsAbs(c.StoreDir) {
		t.Errorf("store %q is not absolute: it would move with the working directory", c.StoreDir)
	}
	if len(c.MasterKeys) != 2 || c.MasterKeys[0].Name != "k2" || c.MasterKeys[1].Key.Reveal() != strings.Repeat("b", 48) {
		t.Errorf("ring %v", c.MasterKeys)
	}
	if got, want := fmt.Sprint(c.AllowNetworks), "[10.1.0.0/16:443 fd00::/8 fd00:1::/32:9000]"; got != want {
		t.Errorf("networks %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"https://a.example", "https://b.example"}, c.CORS); diff != "" {
		t.Error(diff)
	}
}

func TestBadSettingsAreNamedAndHarmless(t *testing.T) {
	good := map[string]string{"PORTICO_STORE": "data", "PORTICO_MASTER_KEYS": ring}
	tests := []struct{ name, value, want string }{
		{"PORTICO_MASTER_KEYS", "k1:short", "base64"},
		{"PORTICO_MASTER_KEYS", "k1:c2hvcnQ=", "shorter than 32"},
		{"PORTICO_MASTER_KEYS", strings.Replace(ring, "k1", "k2", 1), "twice"},
		{"PORTICO_MASTER_KEYS", " ", "no master key"},
		{"PORTICO_STORE", " ", ""}, // reported under AzureWebJobsStorage
		{"PORTICO_ISSUERS", `[{"issuer":"x"}]`, "lacks"},
		{"PORTICO_ISSUERS", `[{"issuer":"x","audience":"a","jwks":"https://x"}]`, "not a JSON list"},
		{"PORTICO_ISSUERS", `[]x`, "after"},
		{"PORTICO_PUBLIC_URL", "ml.example.org", "not an http"},
		{"PORTICO_PUBLIC_URL", "https://ml.example.org/api", "more than"},
		{"PORTICO_CORS_ORIGINS", "example", "not scheme"},
		{"PORTICO_ALLOW_NETWORKS", "10.0.0.0", "CIDR"},
		{"PORTICO_ALLOW_NETWORKS", "10.0.0.0/8:0", "port"},
		{"PORTICO_MAX_BODY_BYTES", "16 MB", "size"},
		{"PORTICO_MAX_BODY_BYTES", "9999999999GiB", "size"},
		{"PORTICO_MAX_ROWS", "-1", "number"},
		{"PORTICO_SCORE_TIMEOUT", "60", "duration"},
		{"PORTICO_STALE_FOR", "0s", "duration from 1s"}, // which would mean the default
		{"PORTICO_FOUR_EYES", "yes", "true nor false"},
		{"PORTICO_LOG_LEVEL", "loud", "none of"},
		{"PORTICO_LISTEN", "8080", "host:port"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "address"},
		{"AzureWebJobsStorage", "nonsense", "connection string"},
		{"FUNCTIONS_CUSTOMHANDLER_PORT", "http", "port"},
	}
	defaults, _ := load(good)
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			env := map[string]string{}
			for k, v := range good {
				env[k] = v
			}
			env[tt.name] = tt.value
			c, problems := load(env)
			if len(problems) == 0 {
				t.Fatal("accepted")
			}
			p := problems[0]
			if tt.want != "" && (p.Setting != tt.name || !strings.Contains(p.Reason, tt.want)) {
				t.Errorf("problem %q, want %q", p, tt.want)
			}
			if v := strings.TrimSpace(tt.value); v != "" && (len(v) > 6 && strings.Contains(p.String(), v) || len(p.Fingerprint) != 8) {
				t.Errorf("problem %q shows the value or has no fingerprint", p)
			}
			if c.MaxBodyBytes != defaults.MaxBodyBytes || c.ScoreTimeout != defaults.ScoreTimeout || len(c.AllowNetworks) != 0 || len(c.CORS) != 0 {
				t.Errorf("a refused value left a trace: %+v", c)
			}
		})
	}
}

func TestBothStoresIsAProblem(t *testing.T) {
	_, problems := load(map[string]string{"PORTICO_STORE": "x", "AzureWebJobsStorage": "UseDevelopmentStorage=true", "PORTICO_MASTER_KEYS": ring})
	if len(problems) != 1 || problems[0].Setting != "PORTICO_STORE" {
		t.Error(problems)
	}
}

func TestSecretsRedactThemselves(t *testing.T) {
	const value = "hunter2"
	s := NewSecret(value)
	type holder struct {
		Key  Secret
		List []Secret
	}
	h := holder{s, []Secret{s}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "holder", h)
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q %x %d", s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", h, h, h), fmt.Sprintf("%v", &h), string(j), log.String(),
	} {
		if strings.Contains(text, value) || strings.Contains(text, fmt.Sprintf("%x", value)) || !strings.Contains(text, redacted) {
			t.Errorf("shows itself: %s", text)
		}
	}
	if s.Reveal() != value {
		t.Error("Reveal")
	}
}

// TestExampleInStep holds local.settings.json.example and the table together.
func TestExampleInStep(t *testing.T) {
	raw, err := os.ReadFile("../../local.settings.json.example")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		IsEncrypted bool
		Values      map[string]string
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	// Read by the Functions host, not by us.
	hosts := map[string]bool{"FUNCTIONS_WORKER_RUNTIME": true, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": true}
	known := map[string]bool{}
	for _, s := range Settings() {
		known[s.Name] = true
		if s.Meaning == "" || s.Unit == "" || s.Example == "" {
			t.Errorf("%s lacks meaning, unit or example", s.Name)
		}
		v, ok := file.Values[s.Name]
		if !s.Host && !ok {
			t.Errorf("%s is not in the example", s.Name)
		}
		if s.Default != "" && ok && v != s.Default {
			t.Errorf("%s is %q in the example, its default is %q", s.Name, v, s.Default)
		}
	}
	for name := range file.Values {
		if !known[name] && !hosts[name] {
			t.Errorf("%s is in the example, but there is no such setting", name)
		}
	}
	_, problems := load(file.Values)
	if len(problems) != 1 || problems[0].Setting != "PORTICO_MASTER_KEYS" {
		t.Errorf("the example should lack nothing but master keys: %v", problems)
	}
}

func TestExamplesAreValues(t *testing.T) {
	for _, s := range Settings() {
		var c Config
		if err := s.set(&c, s.Example); err != nil {
			t.Errorf("the example of %s %v", s.Name, err)
		}
	}
}

func TestFromFile(t *testing.T) {
	t.Setenv("PORTICO_STORE", "")
	t.Setenv("AzureWebJobsStorage", "")
	t.Setenv("PORTICO_MAX_ROWS", "7")
	file := filepath.Join(t.TempDir(), "settings.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"IsEncrypted":false,"Values":{"PORTICO_STORE":"/x","PORTICO_MAX_ROWS":"9","PORTICO_JOB_WINDOW":"none"}}`)
	c, problems, err := FromFile(file)
	if err != nil || c.StoreDir != "/x" || c.MaxRows != 7 {
		t.Errorf("%+v, %v", c, err)
	}
	if len(problems) != 2 || problems[0].Setting != "PORTICO_JOB_WINDOW" || problems[1].Setting != "PORTICO_MASTER_KEYS" {
		t.Errorf("every problem at once: %v", problems)
	}
	for _, bad := range []string{"", "{", `{"Values":[]}`, "{}"} {
		write(bad)
		if _, _, err := FromFile(file); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if _, _, err := FromFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

// Package config is the only reader of the environment.
//
// Every setting is one row of the table in settings.go: name, meaning, unit,
// default and example; local.settings.json.example is held in step with it by
// a test. Load never fails. A setting that is wrong keeps its default and is
// reported as a Problem, with which the process goes on listening and answers
// 503 to everything but the liveness probe: a process that exits over its
// configuration is restarted for ever, or never, depending on the host.
package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Host is what runs the process.
type Host string

// The hosts.
const (
	AzureFunctions Host = "azure-functions" // custom handler behind the Functions host or the local host
	Lambda         Host = "lambda"          // behind an AWS Lambda Function URL
	Process        Host = "process"         // a plain HTTP server
)

// Config is the configuration of a process. Each field names its setting.
type Config struct {
	Host       Host   // from what the host sets
	Cloud      bool   // a cloud host runs us, not a developer's machine
	Listen     string // FUNCTIONS_CUSTOMHANDLER_PORT, PORTICO_LISTEN
	RuntimeAPI string // AWS_LAMBDA_RUNTIME_API
	PublicURL  string // PORTICO_PUBLIC_URL
	CORS       []string

	StoreDir string // PORTICO_STORE; empty = Azure Storage
	Azure    Azure

	MasterKeys []MasterKey // PORTICO_MASTER_KEYS, newest first
	Issuers    []Issuer    // PORTICO_ISSUERS

	FourEyes        bool // PORTICO_FOUR_EYES
	RequireEvidence bool // PORTICO_REQUIRE_EVIDENCE

	AllowNetworks []Network // PORTICO_ALLOW_NETWORKS
	Connections   Secret    // PORTICO_CONNECTIONS

	MaxBodyBytes int64         // PORTICO_MAX_BODY_BYTES
	MaxRows      int           // PORTICO_MAX_ROWS
	ScoreTimeout time.Duration // PORTICO_SCORE_TIMEOUT
	MemoryBytes  int64         // PORTICO_MEMORY_BYTES
	CacheBytes   int64         // PORTICO_CACHE_BYTES
	StaleFor     time.Duration // PORTICO_STALE_FOR
	GlobalLimits bool          // PORTICO_GLOBAL_LIMITS
	ChunkBytes   int64         // PORTICO_CHUNK_BYTES
	RecordBytes  int64         // PORTICO_RECORD_BYTES
	JobWindow    int           // PORTICO_JOB_WINDOW
	ResultDays   int           // PORTICO_RESULT_DAYS
	RecordDays   int           // PORTICO_RECORD_DAYS
	DropDays     int           // PORTICO_DROP_DAYS
	UploadDays   int           // PORTICO_UPLOAD_DAYS

	RunDays       int           // PORTICO_RUN_DAYS
	RunCacheBytes int64         // PORTICO_RUN_CACHE_BYTES
	GarbageGrace  time.Duration // PORTICO_GARBAGE_GRACE

	LogLevel     string        // PORTICO_LOG_LEVEL
	OTLPEndpoint string        // OTEL_EXPORTER_OTLP_ENDPOINT
	OTLPHeaders  Secret        // OTEL_EXPORTER_OTLP_HEADERS
	OTLPInterval time.Duration // OTEL_METRIC_EXPORT_INTERVAL
	ServiceName  string        // OTEL_SERVICE_NAME
}

// Azure names the storage account as a Functions app does: by a connection
// string, or by account or service addresses and an identity.
type Azure struct {
	Connection      Secret // AzureWebJobsStorage
	AccountName     string // AzureWebJobsStorage__accountName
	BlobServiceURI  string // AzureWebJobsStorage__blobServiceUri
	QueueServiceURI string // AzureWebJobsStorage__queueServiceUri
	TableServiceURI string // AzureWebJobsStorage__tableServiceUri
	Credential      string // AzureWebJobsStorage__credential
	ClientID        string // AzureWebJobsStorage__clientId
}

// Set reports whether any of a is given.
func (a Azure) Set() bool {
	return !a.Connection.Empty() || a.AccountName != "" || a.BlobServiceURI != ""
}

// MasterKey is one entry of the ring from which keys are derived.
type MasterKey struct {
	Name string
	Key  Secret // the raw bytes
}

// Issuer is a token issuer that is trusted.
type Issuer struct {
	Issuer       string   `json:"issuer"`       // the exact iss
	Audiences    []string `json:"audiences"`    // one of them is in aud
	JWKS         string   `json:"jwks"`         // https: address or file: path of the key set
	OperatorRole string   `json:"operatorRole"` // in roles: operator of the app; empty = nobody
}

// Network is an address range that guarded dialling may reach although it is
// not public.
type Network struct {
	Prefix netip.Prefix
	Port   uint16 // 0 = any
}

func (n Network) String() string {
	if n.Port == 0 {
		return n.Prefix.String()
	}
	return fmt.Sprintf("%s:%d", n.Prefix, n.Port)
}

// Problem is a setting that cannot be used.
type Problem struct {
	Setting string
	Reason  string // names the rule, never the value
	// Fingerprint tells one wrong value from another without showing it: the
	// first 8 hex digits of its SHA-256, empty where it is not set.
	Fingerprint string
}

func (p Problem) String() string {
	s := p.Setting + ": " + p.Reason
	if p.Fingerprint != "" {
		s += " (value " + p.Fingerprint + ")"
	}
	return s
}

// NewProblem returns the problem of a setting whose value another package has
// refused.
func NewProblem(name, value, format string, args ...any) Problem {
	p := Problem{Setting: name, Reason: fmt.Sprintf(format, args...)}
	if value != "" {
		sum := sha256.Sum256([]byte(value))
		p.Fingerprint = hex.EncodeToString(sum[:4])
	}
	return p
}

// Load reads every setting through getenv, which is os.Getenv but in tests.
func Load(getenv func(string) string) (Config, []Problem) {
	var c Config
	var problems []Problem
	for _, s := range settings {
		if s.Default != "" {
			if err := s.set(&c, s.Default); err != nil {
				panic("config: the default of " + s.Name + " " + err.Error())
			}
		}
		value := strings.TrimSpace(getenv(s.Name))
		if value == "" {
			continue
		}
		before := c
		if err := s.set(&c, value); err != nil {
			c = before
			problems = append(problems, NewProblem(s.Name, value, "%v", err))
		}
	}
	c.detect(getenv)
	return c, append(problems, c.check()...)
}

// detect finds out what runs us.
func (c *Config) detect(getenv func(string) string) {
	c.Host = Process
	switch port := getenv("FUNCTIONS_CUSTOMHANDLER_PORT"); {
	case c.RuntimeAPI != "":
		c.Host = Lambda
	case port != "":
		c.Host = AzureFunctions
		c.Listen = "127.0.0.1:" + port
	}
	for _, name := range cloudMarks {
		c.Cloud = c.Cloud || getenv(name) != ""
	}
}

// cloudMarks are set by the clouds alone.
var cloudMarks = []string{"WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "AWS_LAMBDA_FUNCTION_NAME"}

// check holds the settings against each other.
func (c *Config) check() (problems []Problem) {
	switch {
	case c.StoreDir == "" && !c.Azure.Set():
		problems = append(problems, NewProblem("AzureWebJobsStorage", "", "no storage is named: set AzureWebJobsStorage (or AzureWebJobsStorage__accountName), or PORTICO_STORE for the embedded store"))
	case c.StoreDir != "" && c.Azure.Set():
		problems = append(problems, NewProblem("PORTICO_STORE", "", "both the embedded store and AzureWebJobsStorage are set; one must go"))
	}
	if len(c.MasterKeys) == 0 {
		problems = append(problems, NewProblem("PORTICO_MASTER_KEYS", "", "no master key: keys of endpoints cannot be derived"))
	}
	return problems
}

// FromFile loads the settings of an app from a file like local.settings.json;
// the environment goes before it, as for the Functions host.
func FromFile(name string) (Config, []Problem, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return Config{}, nil, err
	}
	var file struct{ Values map[string]string }
	if err := json.Unmarshal(text, &file); err != nil || file.Values == nil {
		return Config{}, nil, fmt.Errorf(`%s is not of the form {"Values": {name: text}}`, name)
	}
	c, problems := Load(func(setting string) string { return cmp.Or(os.Getenv(setting), file.Values[setting]) })
	return c, problems, nil
}

// FromEnvironment loads the settings of this process.
func FromEnvironment() (Config, []Problem) { return Load(os.Getenv) }

package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Setting documents one setting of the environment.
type Setting struct {
	Name    string
	Meaning string
	Unit    string // of the value; empty where it has none
	Default string
	Example string
	// Host marks what the host sets and nobody writes by hand.
	Host bool

	set func(c *Config, value string) error
}

// Settings lists every setting there is.
func Settings() []Setting { return append([]Setting(nil), settings...) }

var settings = []Setting{
	{
		Name: "FUNCTIONS_CUSTOMHANDLER_PORT", Host: true, Unit: "port", Example: "40527",
		Meaning: "Set by the Functions host: listen here, on 127.0.0.1.",
		set: func(_ *Config, v string) error {
			if n, err := strconv.Atoi(v); err != nil || n < 1 || n > 65535 {
				return errors.New("is not a port")
			}
			return nil
		},
	},
	{
		Name: "AWS_LAMBDA_RUNTIME_API", Host: true, Unit: "host:port", Example: "127.0.0.1:9001",
		Meaning: "Set by AWS Lambda: serve Function URL events from here.",
		set:     func(c *Config, v string) error { c.RuntimeAPI = v; return nil },
	},
	{
		Name: "PORTICO_LISTEN", Unit: "host:port", Default: "127.0.0.1:8080", Example: "0.0.0.0:8080",
		Meaning: "Where to listen as a plain process. Under a host it decides.",
		set: func(c *Config, v string) error {
			if _, _, err := net.SplitHostPort(v); err != nil {
				return errors.New("is not host:port")
			}
			c.Listen = v
			return nil
		},
	},
	{
		Name: "PORTICO_PUBLIC_URL", Unit: "URL", Example: "https://ml.example.org",
		Meaning: "Scheme, host and port under which callers reach us; used in every address we hand out. Empty: taken from the request.",
		set: func(c *Config, v string) error {
			u, err := url.Parse(v)
			if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
				return errors.New("is not an http or https address")
			}
			if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
				return errors.New("has more than scheme, host and port")
			}
			c.PublicURL = u.Scheme + "://" + u.Host
			return nil
		},
	},
	{
		Name: "PORTICO_CORS_ORIGINS", Unit: "origins, comma-separated", Example: "https://app.example.org",
		Meaning: "Origins whose pages may call us from a browser; * for all. Empty: none.",
		set: func(c *Config, v string) error {
			for _, o := range list(v) {
				if u, err := url.Parse(o); o != "*" && (err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "") {
					return errors.New("holds something that is not scheme://host[:port] or *")
				}
				c.CORS = append(c.CORS, o)
			}
			return nil
		},
	},
	{
		Name: "PORTICO_STORE", Unit: "directory", Example: ".data/store",
		Meaning: "Directory of the embedded store. Empty: Azure Storage, named by AzureWebJobsStorage.",
		set: func(c *Config, v string) error {
			abs, err := filepath.Abs(v)
			c.StoreDir = abs
			return err
		},
	},
	{
		Name: "AzureWebJobsStorage", Unit: "connection string", Example: "UseDevelopmentStorage=true",
		Meaning: "Storage account, as the Functions host reads it. UseDevelopmentStorage=true is Azurite.",
		set: func(c *Config, v string) error {
			if !strings.Contains(v, "=") {
				return errors.New("is not a connection string")
			}
			c.Azure.Connection = NewSecret(v)
			return nil
		},
	},
	{
		Name: "AzureWebJobsStorage__accountName", Unit: "name", Example: "porticostore",
		Meaning: "Storage account by name, reached with the app's identity.",
		set:     func(c *Config, v string) error { c.Azure.AccountName = v; return nil },
	},
	{
		Name: "AzureWebJobsStorage__blobServiceUri", Unit: "URL", Example: "https://porticostore.blob.core.windows.net",
		Meaning: "Blob service, reached with the app's identity.",
		set:     serviceURI(func(c *Config) *string { return &c.Azure.BlobServiceURI }),
	},
	{
		Name: "AzureWebJobsStorage__queueServiceUri", Unit: "URL", Example: "https://porticostore.queue.core.windows.net",
		Meaning: "Queue service, reached with the app's identity.",
		set:     serviceURI(func(c *Config) *string { return &c.Azure.QueueServiceURI }),
	},
	{
		Name: "AzureWebJobsStorage__tableServiceUri", Unit: "URL", Example: "https://porticostore.table.core.windows.net",
		Meaning: "Table service, reached with the app's identity.",
		set:     serviceURI(func(c *Config) *string { return &c.Azure.TableServiceURI }),
	},
	{
		Name: "AzureWebJobsStorage__credential", Unit: "managedidentity", Example: "managedidentity",
		Meaning: "Use the app's managed identity and look for no other. Empty: the usual chain.",
		set: func(c *Config, v string) error {
			if !strings.EqualFold(v, "managedidentity") {
				return errors.New("is not managedidentity")
			}
			c.Azure.Credential = "managedidentity"
			return nil
		},
	},
	{
		Name: "AzureWebJobsStorage__clientId", Unit: "GUID", Example: "00000000-0000-0000-0000-000000000000",
		Meaning: "Client id of a user-assigned identity. Empty: the app's own.",
		set:     func(c *Config, v string) error { c.Azure.ClientID = v; return nil },
	},
	{
		Name: "PORTICO_MASTER_KEYS", Unit: "name:base64 of 32 bytes or more, comma-separated, newest first", Example: "k1:bWFrZSAzMiByYW5kb20gYnl0ZXMgb2YgeW91ciBvd24=",
		Meaning: "The ring of master keys from which keys of endpoints and workspaces are derived. Add in front; remove only what no row names.",
		set:     setMasterKeys,
	},
	{
		Name: "PORTICO_ISSUERS", Unit: "JSON list of {issuer, audiences, jwks, operatorRole}", Example: `[{"issuer":"https://login.microsoftonline.com/{tenant}/v2.0","audiences":["api://portico"],"operatorRole":"operator","jwks":"https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys"}]`,
		Meaning: "Token issuers that are trusted for /manage and /workbench. jwks is an https address, or file: where only this machine can call us.",
		set:     setIssuers,
	},
	{
		Name: "PORTICO_FOUR_EYES", Unit: "true or false", Default: "true", Example: "true",
		Meaning: "Whoever asks for a promotion may not approve it.",
		set:     boolean(func(c *Config) *bool { return &c.FourEyes }),
	},
	{
		Name: "PORTICO_REQUIRE_EVIDENCE", Unit: "true or false", Default: "true", Example: "true",
		Meaning: "A promotion needs a successful call or job on staging with the very deployment.",
		set:     boolean(func(c *Config) *bool { return &c.RequireEvidence }),
	},
	{
		Name: "PORTICO_ALLOW_NETWORKS", Unit: "CIDR or CIDR:port, comma-separated", Example: "10.1.0.0/16:443",
		Meaning: "Networks that are not public and that callers' addresses may yet lead to: private endpoints, Azurite.",
		set:     setNetworks,
	},
	{
		Name: "PORTICO_CONNECTIONS", Unit: "JSON object of places by name",
		Example: `{"warehouse":{"Source":"PostgreSql","Server":"db.example.org","Database":"dw","User":"portico","Password":"…","Workspaces":["*"]}}`,
		Meaning: "Places that jobs and experiments may name as Connection, with the credentials to reach them; Source is Blob, Table, SqlServer, PostgreSql, MySql, Hive, Http or OData, Workspaces the ids of those that may use it, or *.",
		set:     func(c *Config, v string) error { c.Connections = NewSecret(v); return nil },
	},
	{
		Name: "PORTICO_MAX_BODY_BYTES", Unit: "bytes, or with KiB, MiB, GiB", Default: "16MiB", Example: "16MiB",
		Meaning: "Longest body of a request that is answered at once.",
		set:     size(1<<10, 1<<30, func(c *Config) *int64 { return &c.MaxBodyBytes }),
	},
	{
		Name: "PORTICO_MAX_ROWS", Unit: "rows", Default: "10000", Example: "10000",
		Meaning: "Most rows of one execute call.",
		set:     number(1, 10_000_000, func(c *Config) *int { return &c.MaxRows }),
	},
	{
		Name: "PORTICO_SCORE_TIMEOUT", Unit: "duration", Default: "60s", Example: "60s",
		Meaning: "Deadline of one execute call.",
		set:     duration(10*time.Millisecond, 200*time.Second, func(c *Config) *time.Duration { return &c.ScoreTimeout }),
	},
	{
		Name: "PORTICO_MEMORY_BYTES", Unit: "bytes, or with KiB, MiB, GiB", Default: "512MiB", Example: "512MiB",
		Meaning: "Memory that execute calls in flight may take in all; a call past it gets 503.",
		set:     size(1<<20, 1<<42, func(c *Config) *int64 { return &c.MemoryBytes }),
	},
	{
		Name: "PORTICO_CACHE_BYTES", Unit: "bytes, or with KiB, MiB, GiB", Default: "512MiB", Example: "512MiB",
		Meaning: "Memory for loaded deployments that no call is using.",
		set:     size(1<<20, 1<<42, func(c *Config) *int64 { return &c.CacheBytes }),
	},
	{
		Name: "PORTICO_STALE_FOR", Unit: "duration", Default: "5m", Example: "5m",
		Meaning: "How long an endpoint is served from memory while storage cannot be reached.",
		set:     duration(time.Second, 24*time.Hour, func(c *Config) *time.Duration { return &c.StaleFor }),
	},
	{
		Name: "PORTICO_GLOBAL_LIMITS", Unit: "true or false", Default: "false", Example: "false",
		Meaning: "Share an endpoint's concurrency limit between the processes that are alive, instead of giving it to each.",
		set:     boolean(func(c *Config) *bool { return &c.GlobalLimits }),
	},
	{
		Name: "PORTICO_CHUNK_BYTES", Unit: "bytes, or with KiB, MiB, GiB", Default: "8MiB", Example: "8MiB",
		Meaning: "Size of the pieces a batch job is split into.",
		set:     size(64<<10, 64<<20, func(c *Config) *int64 { return &c.ChunkBytes }),
	},
	{
		Name: "PORTICO_RECORD_BYTES", Unit: "bytes, or with KiB, MiB, GiB", Default: "4MiB", Example: "4MiB",
		Meaning: "Longest record of a batch input; a longer one is a row error.",
		set:     size(1<<10, 64<<20, func(c *Config) *int64 { return &c.RecordBytes }),
	},
	{
		Name: "PORTICO_JOB_WINDOW", Unit: "messages", Default: "256", Example: "256",
		Meaning: "Most chunks of one job on the queue at a time.",
		set:     number(1, 1024, func(c *Config) *int { return &c.JobWindow }),
	},
	{
		Name: "PORTICO_RESULT_DAYS", Unit: "days", Default: "7", Example: "7",
		Meaning: "How long results of batch jobs are kept, and links to them work.",
		set:     number(1, 7, func(c *Config) *int { return &c.ResultDays }),
	},
	{
		Name: "PORTICO_RECORD_DAYS", Unit: "days", Default: "90", Example: "90",
		Meaning: "How long batch jobs and runs can be asked about after their end; the last successful run of an experiment stays.",
		set:     number(7, 3650, func(c *Config) *int { return &c.RecordDays }),
	},
	{
		Name: "PORTICO_DROP_DAYS", Unit: "days", Default: "30", Example: "30",
		Meaning: "How long dropped files and their results and receipts are kept after they were answered.",
		set:     number(1, 3650, func(c *Config) *int { return &c.DropDays }),
	},
	{
		Name: "PORTICO_UPLOAD_DAYS", Unit: "days", Default: "7", Example: "7",
		Meaning: "How long uploaded files are kept; a dataset or model that was made of one does not need it.",
		set:     number(2, 3650, func(c *Config) *int { return &c.UploadDays }),
	},
	{
		Name: "PORTICO_RUN_DAYS", Unit: "days", Default: "90", Example: "90",
		Meaning: "How long results of runs of experiments are kept; those of an experiment's last successful run are kept longer.",
		set:     number(1, 3650, func(c *Config) *int { return &c.RunDays }),
	},
	{
		Name: "PORTICO_RUN_CACHE_BYTES", Unit: "bytes, or with KiB, MiB, GiB", Default: "10GiB", Example: "10GiB",
		Meaning: "Results that each workspace keeps for later runs to use again; those not used for longest go first.",
		set:     size(0, 1<<50, func(c *Config) *int64 { return &c.RunCacheBytes }),
	},
	{
		Name: "PORTICO_GARBAGE_GRACE", Unit: "duration", Default: "168h", Example: "168h",
		Meaning: "How long a stored model, table or deployment that nothing refers to is left alone.",
		set:     duration(24*time.Hour, 10*365*24*time.Hour, func(c *Config) *time.Duration { return &c.GarbageGrace }),
	},
	{
		Name: "PORTICO_LOG_LEVEL", Unit: "debug, info, warn or error", Default: "info", Example: "info",
		Meaning: "Least level of the lines that are logged.",
		set: func(c *Config, v string) error {
			switch v = strings.ToLower(v); v {
			case "debug", "info", "warn", "error":
				c.LogLevel = v
				return nil
			}
			return errors.New("is none of debug, info, warn, error")
		},
	},
	{
		Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Unit: "URL", Example: "http://127.0.0.1:4318",
		Meaning: "Where to send metrics, as OTLP over HTTP. Empty: nowhere.",
		set:     serviceURI(func(c *Config) *string { return &c.OTLPEndpoint }),
	},
	{
		Name: "OTEL_EXPORTER_OTLP_HEADERS", Unit: "name=value, comma-separated", Example: "api-key=…",
		Meaning: "Headers sent with metrics.",
		set: func(c *Config, v string) error {
			for _, h := range list(v) {
				if name, _, ok := strings.Cut(h, "="); !ok || name == "" {
					return errors.New("holds something that is not name=value")
				}
			}
			c.OTLPHeaders = NewSecret(v)
			return nil
		},
	},
	{
		Name: "OTEL_METRIC_EXPORT_INTERVAL", Unit: "milliseconds", Default: "60000", Example: "60000",
		Meaning: "How often metrics are sent.",
		set: func(c *Config, v string) error {
			ms, err := strconv.Atoi(v)
			if err != nil || ms < 100 || ms > 3_600_000 {
				return errors.New("is not a number from 100 to 3600000")
			}
			c.OTLPInterval = time.Duration(ms) * time.Millisecond
			return nil
		},
	},
	{
		Name: "OTEL_SERVICE_NAME", Unit: "name", Default: "portico", Example: "portico",
		Meaning: "Name of this app in metrics.",
		set:     func(c *Config, v string) error { c.ServiceName = v; return nil },
	},
}

func list(v string) []string {
	var out []string
	for s := range strings.SplitSeq(v, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func serviceURI(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("is not an http or https address")
		}
		*field(c) = strings.TrimRight(v, "/")
		return nil
	}
}

func boolean(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		switch strings.ToLower(v) {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return errors.New("is neither true nor false")
		}
		return nil
	}
}

func number(least, most int, field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("is not a number from %d to %d", least, most)
		}
		*field(c) = n
		return nil
	}
}

func size(least, most int64, field func(*Config) *int64) func(*Config, string) error {
	return func(c *Config, v string) error {
		digits, unit := v, int64(1)
		for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if d, ok := strings.CutSuffix(v, suffix); ok {
				digits, unit = strings.TrimSpace(d), u
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > most/unit || n*unit < least {
			return fmt.Errorf("is not a size from %d to %d bytes", least, most)
		}
		*field(c) = n * unit
		return nil
	}
}

func duration(least, most time.Duration, field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < least || d > most {
			return fmt.Errorf("is not a duration from %v to %v, such as 1m30s", least, most)
		}
		*field(c) = d
		return nil
	}
}

func setMasterKeys(c *Config, v string) error {
	seen := map[string]bool{}
	var keys []MasterKey
	for _, entry := range list(v) {
		name, text, ok := strings.Cut(entry, ":")
		if !ok || name == "" || len(name) > 32 {
			return errors.New("holds an entry that is not name:base64")
		}
		for _, r := range name {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
				return errors.New("holds a name with something else than a-z and 0-9")
			}
		}
		if seen[name] {
			return fmt.Errorf("names %s twice", name)
		}
		seen[name] = true
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("the key of %s is not base64", name)
		}
		if len(key) < 32 {
			return fmt.Errorf("the key of %s is shorter than 32 bytes", name)
		}
		keys = append(keys, MasterKey{Name: name, Key: NewSecret(string(key))})
	}
	c.MasterKeys = keys
	return nil
}

func setIssuers(c *Config, v string) error {
	dec := json.NewDecoder(bytes.NewReader([]byte(v)))
	dec.DisallowUnknownFields()
	var issuers []Issuer
	if err := dec.Decode(&issuers); err != nil {
		return errors.New("is not a JSON list of {issuer, audiences, jwks, operatorRole}")
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("has something after the JSON list")
	}
	for i, is := range issuers {
		if is.Issuer == "" || len(is.Audiences) == 0 || is.JWKS == "" {
			return fmt.Errorf("entry %d lacks issuer, audiences or jwks", i+1)
		}
	}
	c.Issuers = issuers
	return nil
}

func setNetworks(c *Config, v string) error {
	for _, entry := range list(v) {
		n := Network{}
		cidr, port := entry, ""
		// CIDR:port; an IPv6 prefix has colons of its own, but none after its slash.
		if slash := strings.LastIndexByte(entry, '/'); slash >= 0 {
			if i := strings.IndexByte(entry[slash:], ':'); i >= 0 {
				cidr, port = entry[:slash+i], entry[slash+i+1:]
			}
		}
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return errors.New("holds something that is not CIDR or CIDR:port")
		}
		n.Prefix = p.Masked()
		if port != "" {
			num, err := strconv.ParseUint(port, 10, 16)
			if err != nil || num == 0 {
				return errors.New("holds a port that is not one")
			}
			n.Port = uint16(num)
		}
		c.AllowNetworks = append(c.AllowNetworks, n)
	}
	return nil
}

// Package layout reads and judges a script root of the Functions host:
// host.json and the function.json of each first-level folder.
//
// The host accepts much that cannot work here, and most of that in silence: a
// misspelt key, a second binding that turns proxied HTTP into envelopes, a
// route that swallows another function's calls. Read refuses all of it, each
// with the rule it breaks. The local host routes by what Read returns.
package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// App is a script root.
type App struct {
	Host      Host
	Functions []Function // in alphabetical order, as the host adds their routes
}

// Function is one function.
type Function struct {
	Name    string
	Trigger Binding
	Route   Route // of an httpTrigger
}

// Types of bindings that are used.
const (
	HTTPTrigger  = "httpTrigger"
	HTTPOut      = "http"
	QueueTrigger = "queueTrigger"
	TimerTrigger = "timerTrigger"
)

// Host is host.json, as far as it may be used.
type Host struct {
	Version         string `json:"version"`
	FunctionTimeout string `json:"functionTimeout"`
	TelemetryMode   string `json:"telemetryMode,omitempty"`
	Logging         struct {
		LogLevel map[string]string `json:"logLevel"`
	} `json:"logging"`
	ExtensionBundle struct {
		ID      string `json:"id"`
		Version string `json:"version"`
	} `json:"extensionBundle"`
	Extensions struct {
		HTTP struct {
			RoutePrefix *string `json:"routePrefix"`
		} `json:"http"`
		Queues Queues `json:"queues"`
	} `json:"extensions"`
	CustomHandler struct {
		Description struct {
			DefaultExecutablePath string   `json:"defaultExecutablePath"`
			WorkingDirectory      string   `json:"workingDirectory"`
			Arguments             []string `json:"arguments"`
		} `json:"description"`
		EnableProxyingHTTPRequest bool `json:"enableProxyingHttpRequest"`
	} `json:"customHandler"`
}

// Queues are the settings of all queue triggers of the app.
type Queues struct {
	BatchSize          int    `json:"batchSize"`
	NewBatchThreshold  int    `json:"newBatchThreshold"`
	MaxDequeueCount    int    `json:"maxDequeueCount"`
	VisibilityTimeout  string `json:"visibilityTimeout"`
	MaxPollingInterval string `json:"maxPollingInterval"`
	MessageEncoding    string `json:"messageEncoding"`
}

// Binding is one binding of a function.json.
type Binding struct {
	Type      string   `json:"type"`
	Direction string   `json:"direction"`
	Name      string   `json:"name"`
	AuthLevel string   `json:"authLevel,omitempty"`
	Methods   []string `json:"methods,omitempty"`
	Route     *string  `json:"route,omitempty"`

	QueueName  string `json:"queueName,omitempty"`
	Connection string `json:"connection,omitempty"`

	Schedule     string `json:"schedule,omitempty"`
	RunOnStartup bool   `json:"runOnStartup,omitempty"`
	UseMonitor   *bool  `json:"useMonitor,omitempty"`
}

// Connection is the setting that names the storage account of every trigger.
const Connection = "AzureWebJobsStorage"

// Executable is the name of the handler in a script root.
const Executable = "handler"

// Read reads and judges a script root. Folders without a function.json are no
// functions. The error lists every problem.
func Read(root fs.FS) (*App, error) {
	var app App
	var problems []error
	if err := decode(root, "host.json", &app.Host); err != nil {
		problems = append(problems, err)
	} else {
		problems = append(problems, app.Host.check()...)
	}
	folders, err := fs.ReadDir(root, ".") // sorted by name
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		file := folder.Name() + "/function.json"
		if _, err := fs.Stat(root, file); !folder.IsDir() || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		f, errs := readFunction(root, folder.Name())
		for _, err := range errs {
			problems = append(problems, fmt.Errorf("%s: %w", file, err))
		}
		if len(errs) == 0 {
			app.Functions = append(app.Functions, f)
		}
	}
	problems = append(problems, app.check()...)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &app, nil
}

// decode reads a JSON file and refuses what v has no field for.
func decode(root fs.FS, name string, v any) error {
	raw, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%s: something follows the JSON value", name)
	}
	return nil
}

func (h *Host) check() (problems []error) {
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("host.json: "+format, args...))
	}
	if h.Version != "2.0" {
		refuse("version is %q, not 2.0", h.Version)
	}
	if h.Extensions.HTTP.RoutePrefix == nil || *h.Extensions.HTTP.RoutePrefix != "" {
		refuse(`extensions.http.routePrefix is not "": classic addresses have no prefix`)
	}
	if !h.CustomHandler.EnableProxyingHTTPRequest {
		refuse("customHandler.enableProxyingHttpRequest is not true: requests would arrive as envelopes")
	}
	if d := h.CustomHandler.Description; d.DefaultExecutablePath != Executable || d.WorkingDirectory != "" || len(d.Arguments) != 0 {
		refuse("customHandler.description names something else than %s, run in the script root", Executable)
	}
	if d, err := TimeSpan(h.FunctionTimeout); err != nil || d != time.Hour {
		refuse("functionTimeout is %q, not 01:00:00: the deadlines of jobs are set below it", h.FunctionTimeout)
	}
	q := h.Extensions.Queues
	if q.BatchSize < 1 || q.BatchSize > 32 || q.NewBatchThreshold < 0 {
		refuse("extensions.queues: batchSize is %d, newBatchThreshold %d; the host takes 1 to 32, and 0 or more", q.BatchSize, q.NewBatchThreshold)
	}
	if q.MaxDequeueCount < 5 {
		refuse("extensions.queues.maxDequeueCount is %d: messages are given up by their own count, the host's is the backstop behind it", q.MaxDequeueCount)
	}
	if d, err := TimeSpan(q.VisibilityTimeout); err != nil || d < 10*time.Second {
		refuse("extensions.queues.visibilityTimeout is %q: below 10 s an outage burns all tries of a message", q.VisibilityTimeout)
	}
	if _, err := TimeSpan(q.MaxPollingInterval); err != nil {
		refuse("extensions.queues.maxPollingInterval: %v", err)
	}
	if q.MessageEncoding != "base64" {
		refuse("extensions.queues.messageEncoding is %q, not base64: Event Grid writes base64", q.MessageEncoding)
	}
	return problems
}

var (
	folderName  = regexp.MustCompile(`^[a-z][a-z0-9]{0,127}$`)
	bindingName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9]{0,127}$`)
	queueName   = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)
	httpMethods = []string{"get", "head", "post", "put", "patch", "delete", "options"}
)

func readFunction(root fs.FS, name string) (f Function, problems []error) {
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	var file struct {
		Bindings []Binding `json:"bindings"`
	}
	if err := decode(root, name+"/function.json", &file); err != nil {
		return f, []error{err}
	}
	f.Name = name
	if !folderName.MatchString(name) || name == "host" {
		refuse("the folder's name is not a function name of ours: lower-case letters and digits, not host")
	}
	triggers := 0
	for _, b := range file.Bindings {
		if !bindingName.MatchString(b.Name) {
			refuse("binding name %q is not letters and digits", b.Name)
		}
		switch b.Type {
		case HTTPTrigger, QueueTrigger, TimerTrigger:
			f.Trigger = b
			if triggers++; b.Direction != "in" {
				refuse("%s has direction %q", b.Type, b.Direction)
			}
		case HTTPOut:
			if b.Direction != "out" {
				refuse("http has direction %q", b.Direction)
			}
		default:
			refuse("binding type %q is not used here: only httpTrigger with http, queueTrigger, timerTrigger", b.Type)
		}
	}
	if triggers != 1 {
		refuse("has %d triggers", triggers)
		return f, problems
	}
	switch f.Trigger.Type {
	case HTTPTrigger:
		problems = append(problems, f.checkHTTP(file.Bindings)...)
	case QueueTrigger:
		q := f.Trigger.QueueName
		if !queueName.MatchString(q) || len(q) < 3 || len(q) > 63 {
			refuse("queue name %q is not legal", q)
		}
		if q != name {
			refuse("queue name %q is not the function's name", q)
		}
		if f.Trigger.Connection != Connection {
			refuse("connection is %q, not %s", f.Trigger.Connection, Connection)
		}
	case TimerTrigger:
		if _, err := ParseSchedule(f.Trigger.Schedule); err != nil {
			refuse("%w", err)
		}
		if f.Trigger.RunOnStartup {
			refuse("runOnStartup would run at every scale-out")
		}
	}
	if f.Trigger.Type != HTTPTrigger && len(file.Bindings) != 1 {
		refuse("has %d bindings besides its trigger; messages go through our own queue port", len(file.Bindings)-1)
	}
	return f, problems
}

func (f *Function) checkHTTP(bindings []Binding) (problems []error) {
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if len(bindings) != 2 || (bindings[0].Type != HTTPOut && bindings[1].Type != HTTPOut) {
		refuse("is not exactly one httpTrigger and one http: the host would send envelopes")
	}
	t := f.Trigger
	if t.AuthLevel != "anonymous" {
		refuse("authLevel is %q, not anonymous: the keys are ours, and the default is function", t.AuthLevel)
	}
	if len(t.Methods) == 0 {
		refuse("lists no methods: HEAD and OPTIONS are 404 unless listed")
	}
	for i, m := range t.Methods {
		if !slices.Contains(httpMethods, m) || slices.Contains(t.Methods[:i], m) {
			refuse("method %q is unknown, not in lower case, or listed twice", m)
		}
	}
	if t.Route == nil {
		refuse("has no route")
		return problems
	}
	r, err := parseRoute(*t.Route)
	if err != nil {
		refuse("%w", err)
		return problems
	}
	f.Route = r
	first := r.segments[0].literal
	if strings.HasPrefix(first, "admin") || strings.HasPrefix(first, "runtime") {
		refuse("route %q begins with admin or runtime, which the host refuses", *t.Route)
	}
	if r.open() {
		refuse("route %q matches anything at the root", *t.Route)
	}
	return problems
}

// check holds the functions against each other.
func (a *App) check() (problems []error) {
	for i, f := range a.Functions {
		if f.Trigger.Type != HTTPTrigger {
			continue
		}
		for _, g := range a.Functions {
			if g.Trigger.Type == HTTPTrigger {
				continue
			}
			if f.Route.Match(&url.URL{Path: "/" + g.Name}) {
				problems = append(problems, fmt.Errorf("route %q of %s matches /%s, where the host delivers envelopes", f.Route.Template, f.Name, g.Name))
			}
		}
		for _, g := range a.Functions[i+1:] {
			if g.Trigger.Type == HTTPTrigger && f.Route.Overlap(g.Route) {
				problems = append(problems, fmt.Errorf("routes %q of %s and %q of %s can match one URL: the host would take %s", f.Route.Template, f.Name, g.Route.Template, g.Name, f.Name))
			}
		}
	}
	return problems
}

// Find returns the function whose route is the first to match u, as the host
// looks for it. Its methods are not considered: the host answers 404 to a
// method that the first match does not list.
func (a *App) Find(u *url.URL) (Function, bool) {
	for _, f := range a.Functions {
		if f.Trigger.Type == HTTPTrigger && f.Route.Match(u) {
			return f, true
		}
	}
	return Function{}, false
}

// TimeSpan reads a .NET time span: [d.]hh:mm:ss.
func TimeSpan(s string) (time.Duration, error) {
	clock, days := s, 0
	if d, rest, ok := strings.Cut(s, "."); ok && strings.Contains(rest, ":") {
		n, err := strconv.Atoi(d)
		if err != nil {
			return 0, fmt.Errorf("%q is not a time span [d.]hh:mm:ss", s)
		}
		days, clock = n, rest
	}
	t, err := time.Parse("15:04:05", clock)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time span [d.]hh:mm:ss", s)
	}
	return time.Duration(days)*24*time.Hour + time.Duration(t.Hour())*time.Hour +
		time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second, nil
}

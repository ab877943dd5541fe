package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// options are the values of all flags; a command knows some of them.
type options struct {
	// of every command
	json, quiet bool
	config      string
	server      string
	patience    time.Duration

	workspace, tokenFile string

	service, endpoint, keyFile string

	// of jobs and scores
	inputs, outputs, parameters assignments
	parametersFile              string
	rowErrors, extraColumns     string
	maxBadRows                  int64
	maxBadPercent               float64
	idempotencyKey              string
	wait                        bool
	out                         string
	limit                       int
	state                       string
	format, inputFormat         string
	output                      string
	batch                       int

	// of publishing and promoting
	name, note, reason, acknowledge string
	expect                          expectation
	request                         bool
	to                              int64

	// of models and runs
	binding, schemaFrom, check string
	version                    string
	original                   bool
	credentials                string
	follow                     string

	settings string // of doctor
}

func (o *options) common(f *flag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON document")
	f.BoolVar(&o.quiet, "quiet", false, "show no progress and no remarks")
	f.StringVar(&o.config, "config", "", "read settings from this `file` of lines NAME=VALUE")
	f.StringVar(&o.server, "server", "", "`address` of the server (PORTICO_SERVER)")
	f.DurationVar(&o.patience, "patience", 2*time.Minute, "how long to wait for a server that is busy or away")
}

func (o *options) member(f *flag.FlagSet) {
	f.StringVar(&o.workspace, "workspace", "", "name or id of the `workspace` (PORTICO_WORKSPACE)")
	f.StringVar(&o.tokenFile, "token-file", "", "read the token from this `file` (else PORTICO_TOKEN)")
}

func (o *options) caller(f *flag.FlagSet) {
	o.member(f)
	f.StringVar(&o.service, "service", "", "name or id of the `service` (PORTICO_SERVICE)")
	f.StringVar(&o.endpoint, "endpoint", "", "name of the `endpoint`, default where none is given, or its address (PORTICO_ENDPOINT)")
	f.StringVar(&o.keyFile, "key-file", "", "read the key from this `file` (else PORTICO_KEY, else the token fetches it)")
}

func (o *options) globals(f *flag.FlagSet) {
	f.Var(&o.parameters, "parameter", "a global parameter, `NAME=VALUE`; may be given several times")
	f.StringVar(&o.parametersFile, "parameters", "", "read global parameters from this `file`, a JSON object; for passwords")
}

func (o *options) waiting(f *flag.FlagSet) {
	f.StringVar(&o.out, "out", "", "save the results: a `file`, a folder, or - for the standard output")
}

func (o *options) deciding(f *flag.FlagSet) {
	o.member(f)
	f.StringVar(&o.reason, "reason", "", "why; kept in the history")
}

func (o *options) expecting(f *flag.FlagSet) {
	f.Var(&o.expect, "expect", "the `digest` that production is believed to serve, or none; the command is refused where it serves another (default: what it serves now)")
}

// assignments is a flag NAME=VALUE that may be given several times.
type assignments []assignment

type assignment struct{ name, value string }

func (a *assignments) String() string { return "" }

// Set adds one.
func (a *assignments) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return errors.New("it is not NAME=VALUE")
	}
	for _, known := range *a {
		if known.name == name {
			return fmt.Errorf("%s is given twice", name)
		}
	}
	*a = append(*a, assignment{name, value})
	return nil
}

// expectation is a digest, or that there is none.
type expectation struct {
	given  bool
	digest string
}

func (e *expectation) String() string { return e.digest }

// Set takes a digest.
func (e *expectation) Set(text string) error {
	e.given, e.digest = true, text
	if text == "none" {
		e.digest = ""
	}
	return nil
}

// or returns what was given, else what is there now.
func (e *expectation) or(now string) string {
	if e.given {
		return e.digest
	}
	return now
}

// globalParameters are the global parameters of the flags.
func (s *session) globalParameters() (map[string]any, error) {
	p := map[string]any{}
	if s.opt.parametersFile != "" {
		if err := readJSON(s.opt.parametersFile, &p); err != nil {
			return nil, err
		}
	}
	for _, a := range s.opt.parameters {
		p[a.name] = a.value
	}
	return p, nil
}

// readJSON reads a file of JSON. The error tells no value.
func readJSON(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return usage("%v", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			return usage("%s is not JSON: at byte %d", file, e.Offset)
		}
		return usage("%s is JSON of another kind than is needed", file)
	}
	return nil
}

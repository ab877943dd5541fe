package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBadInput makes every mistake that users make. Each gets a classic error
// document that names the place, the rule and the value; nothing of it is
// worth an error in the log, and no secret is kept.
func TestBadInput(t *testing.T) {
	s := newSite(t)
	t.Run("execute", func(t *testing.T) { s.refuses(t, s.badRows()) })
	t.Run("body", func(t *testing.T) { s.refuses(t, s.badBodies()) })
	t.Run("parameters", func(t *testing.T) { s.refuses(t, s.badParameters()) })
	t.Run("score", func(t *testing.T) { s.refuses(t, s.badVectors()) })
	t.Run("callers", func(t *testing.T) { s.refuses(t, s.badCallers()) })
	t.Run("tokens", func(t *testing.T) { s.refuses(t, s.badTokens(t)) })
	t.Run("jobs", func(t *testing.T) { s.refuses(t, s.badJobs()) })
	t.Run("job states", s.jobStates)
	t.Run("job files", s.badFiles)
	t.Run("drops", s.badDrops)
	t.Run("models", func(t *testing.T) { s.refuses(t, s.badModels(t)) })
	t.Run("experiments", s.badExperiments)
	t.Run("promotions", s.badPromotions)
	t.Run("log", s.quietLog)
	t.Run("secrets", s.keptSecrets)
}

// changed is the first row of May with other cells: name, value, …
func (s *site) changed(pairs ...string) []string {
	row := slices.Clone(s.may[0])
	for p := range slices.Chunk(pairs, 2) {
		row[slices.Index(s.columns, p[0])] = p[1]
	}
	return row
}

// good is a request that is answered.
func (s *site) good() string { return table(s.columns, s.may[0]) }

// badRows are requests whose rows do not fit the service.
func (s *site) badRows() []refusal {
	a := s.may[0]
	last := len(a) - 1
	mismatch := func(name, body string, says ...string) refusal {
		return refusal{name: name, body: body, status: 400, class: "BadUserArgument", code: "InputMismatchError", says: says}
	}
	parse := func(name, body string, says ...string) refusal {
		return refusal{name: name, body: body, status: 400, class: "BadUserArgument", code: "InputParseError", says: says}
	}
	minutes := func(cell string) string {
		return strings.Replace(s.good(), `"70.9"`, cell, 1)
	}
	with := func(pairs ...string) string { return table(s.columns, a, a, s.changed(pairs...)) }
	all := []refusal{
		mismatch("unknown column", table(append(slices.Clone(s.columns), "totl_day_minutes"), append(slices.Clone(a), "1")),
			"input1", "totl_day_minutes", `did you mean "total_day_minutes"`),
		mismatch("unknown column in a row", `{"Inputs":{"input1":[{"stat":"HI"}]}}`, "input1", `"stat"`, `did you mean "state"`),
		mismatch("missing required column", table(s.columns[:last], a[:last]), "input1", "number_customer_service_calls", "needs"),
		mismatch("column twice", table(append(slices.Clone(s.columns), "state"), append(slices.Clone(a), "HI")), `"state" twice`),
		mismatch("column twice in a row", `{"Inputs":{"input1":[{"state":"HI","state":"KS"}]}}`, `"state" twice`),
		parse("wrong type in row 3", with("total_day_minutes", "12O"), "input1", "row 3", "total_day_minutes", "Double", `"12O"`, "not a number"),
		parse("fraction of an integer in row 3", with("account_length", "25.5"), "row 3", "account_length", "Int32", `"25.5"`, "not a whole number"),
		parse("wrong type in a row object", `{"Inputs":{"input1":[{},{"total_day_minutes":"abc"}]}}`, "row 2", "total_day_minutes", `"abc"`),
		parse("too short a row", table(s.columns, a, a[:18]), "row 2", "18 cells", "20 names"),
		parse("too long a row", table(s.columns, a, append(slices.Clone(a), "x")), "row 2", "21 cells", "20 names"),
		parse("overflow", minutes("1e999"), "row 1", "Error 0033", "total_day_minutes", "1e999"),
		parse("infinity", minutes("Infinity"), "Error 0033", "total_day_minutes", "Infinity"),
		parse("infinity in quotes", minutes(`"Infinity"`), "Error 0033"),
		parse("beyond 32 bits", with("account_length", "3000000000"), "row 3", "Error 0033", "account_length", "3000000000"),
		parse("thousands separator", minutes(`"1,000"`), `"1,000"`, "not a number"),
		parse("hexadecimal", minutes(`"0x1p3"`), `"0x1p3"`),
		parse("boolean for a number", minutes("true"), "total_day_minutes", `"true"`),
		parse("object in a cell", minutes(`{"a":1}`), "row 1", "total_day_minutes", "not an array or object"),
		parse("array in a cell", minutes(`[1]`), "row 1", "total_day_minutes", "not an array or object"),
		{
			name: "10,001 rows", body: table(s.columns, slices.Repeat([][]string{a}, 10_001)...),
			status: 413, class: "MemoryQuotaViolation", code: "OutOfMemoryLimit", says: []string{"limit of 10000", "batch job"},
		},
	}
	return s.execute(all, "")
}

// badBodies are requests that are no request.
func (s *site) badBodies() []refusal {
	bad := func(name, body string, says ...string) refusal {
		return refusal{name: name, body: body, status: 400, class: "BadArgument", code: "RequestBodyInvalid", says: says}
	}
	missing := func(name, body string) refusal {
		return refusal{name: name, body: body, status: 400, class: "BadArgument", code: "MissingRequestInput", says: []string{`"input1"`}}
	}
	names := func(name, body string, says ...string) refusal {
		return refusal{name: name, body: body, status: 400, class: "BadArgument", code: "InvalidInputNames", says: append(says, "The service has: input1")}
	}
	all := []refusal{
		bad("none", "", "no body"),
		bad("blank", " \n", "no body"),
		bad("text", "hello", "not valid JSON", "line 1, column 1"),
		bad("array", "[]", "must be a JSON object"),
		bad("null", "null", "must be a JSON object"),
		bad("number", "7", "must be a JSON object"),
		bad("two documents", s.good()+"{}", "not valid JSON", "something after"),
		bad("nan in lower case", strings.Replace(s.good(), `"70.9"`, "nan", 1), "not valid JSON", "column"),
		bad("control character", strings.Replace(s.good(), `"HI"`, "\"H\x01\"", 1), "control character"),
		bad("not UTF-8", strings.Replace(s.good(), `"HI"`, "\"\xff\xfe\"", 1), "not UTF-8", "0xFF", "offset"),
		bad("a column's name not UTF-8", strings.Replace(s.good(), `"state"`, "\"st\xc3\"", 1), "not UTF-8", "0xC3"),
		bad("deep", `{"Inputs":`+strings.Repeat("[", 100_000), "deeper than the limit of 64"),
		bad("deep in a cell", strings.Replace(s.good(), `"70.9"`, strings.Repeat("[", 1000)+strings.Repeat("]", 1000), 1), "deeper than the limit of 64"),
		bad("deep in an unknown member", `{"more":`+strings.Repeat(`{"a":`, 100_000), "deeper than the limit of 64"),
		bad("cut short", s.good()[:300], "not valid JSON"),
		bad("Inputs is an array", `{"Inputs":[]}`, "Inputs must be a JSON object"),
		bad("an input is a text", `{"Inputs":{"input1":"x"}}`, "input1", "ColumnNames and Values"),
		bad("no Values", `{"Inputs":{"input1":{"ColumnNames":`+encode(s.columns)+`}}}`, "input1", "ColumnNames and Values"),
		bad("no ColumnNames", `{"Inputs":{"input1":{"Values":[]}}}`, "input1", "ColumnNames and Values"),
		bad("Values is null", `{"Inputs":{"input1":{"ColumnNames":`+encode(s.columns)+`,"Values":null}}}`, "input1", "Values must be an array"),
		bad("GlobalParameters is an array", strings.Replace(s.good(), `"GlobalParameters":{}`, `"GlobalParameters":[]`, 1), "GlobalParameters must be a JSON object"),
		missing("empty object", "{}"),
		missing("no input", `{"Inputs":{}}`),
		missing("Inputs is null", `{"Inputs":null}`),
		missing("an input is null", `{"Inputs":{"input1":null}}`),
		names("another input", `{"Inputs":{"data":[]}}`, "data"),
		names("an input in another case", `{"Inputs":{"Input1":[]}}`, "Input1"),
		names("one input more", `{"Inputs":{"input1":[],"input2":[]}}`, "input2"),
	}
	all = s.execute(all, "")
	version := func(query string) refusal {
		return refusal{
			name: "query " + query, path: s.at("churn", "execute") + "?" + query, bearer: s.key("churn"), body: s.good(),
			status: 400, class: "BadArgument", code: "BadVersionCall", says: []string{"api-version", "use 2.0"},
		}
	}
	return append(all, version("api-version=1.0"), version("api-version=3.0&details=true"), version("format=swagger&API-Version=2"), refusal{
		name: "unknown format", path: s.at("churn", "execute") + "?format=xml", bearer: s.key("churn"), body: s.good(),
		status: 400, class: "BadArgument", code: "InvalidQueryParameter", says: []string{"format", `"xml"`, "swagger"},
	})
}

// execute sends refusals without a path to the churn service's execute.
func (s *site) execute(all []refusal, query string) []refusal {
	for i := range all {
		all[i].path, all[i].bearer = s.at("churn", "execute")+query, s.key("churn")
	}
	return all
}

// minutes is a row of the tariff with global parameters, in JSON.
func minutes(parameters string) string {
	return `{"Inputs":{"input1":[{"total_day_minutes":10,"total_eve_minutes":10,"total_night_minutes":10,"total_intl_minutes":10}]},"GlobalParameters":` + parameters + `}`
}

// badParameters are global parameters that the tariff, or the service with a
// required one, does not take. Jobs refuse them with the same words.
func (s *site) badParameters() []refusal {
	required := s.requiring()
	input := s.upload("minutes.csv", "total_day_minutes,total_eve_minutes,total_night_minutes,total_intl_minutes\n1,2,3,4\n")
	var all []refusal
	for _, c := range []struct{ name, parameters, code, target, says string }{
		{"text", `{"day rate":"abc"}`, "UserParameterInvalid", "day rate", `(Double): "abc" is not`},
		{"comma", `{"day rate":"0,2"}`, "UserParameterInvalid", "day rate", `"0,2" is not`},
		{"boolean", `{"day rate":true}`, "UserParameterInvalid", "day rate", `"true" is not`},
		{"array", `{"day rate":[1]}`, "UserParameterInvalid", "day rate", `"[1]" is not`},
		{"empty", `{"day rate":""}`, "UserParameterInvalid", "day rate", `"" is not`},
		{"infinite", `{"day rate":"1e999"}`, "UserParameterInvalid", "day rate", "finite"},
		{"not a number", `{"day rate":"NaN"}`, "UserParameterInvalid", "day rate", "finite"},
		{"unknown", `{"month rate":"1"}`, "UnexpectedParameter", "month rate", "day rate, evening rate"},
		{"other case", `{"Day Rate":"1"}`, "UnexpectedParameter", "Day Rate", "day rate"},
	} {
		r := refusal{status: 400, class: "BadArgument", code: c.code, says: []string{c.target, c.says}}
		rrs, bes := r, r
		rrs.name, rrs.path, rrs.bearer, rrs.body = c.name, s.at("tariff", "execute"), s.key("tariff"), minutes(c.parameters)
		bes.name, bes.path, bes.bearer = c.name+" in a job", s.at("tariff", "jobs"), s.key("tariff")
		bes.body = `{"Input":` + encode(input) + `,"GlobalParameters":` + c.parameters + `}`
		all = append(all, rrs, bes)
	}
	all = append(all, refusal{
		name: "of a service without any", path: s.at("churn", "execute"), bearer: s.key("churn"),
		body:   strings.Replace(s.good(), `"GlobalParameters":{}`, `"GlobalParameters":{"x":1}`, 1),
		status: 400, class: "BadArgument", code: "UnexpectedParameter", says: []string{`"x"`, "none"},
	})
	for _, parameters := range []string{`{}`, `null`, `{"day rate":null}`} {
		r := refusal{status: 400, class: "BadArgument", code: "MissingRequiredGlobalParameters", says: []string{"day rate"}}
		rrs, bes := r, r
		rrs.name, rrs.path, rrs.bearer, rrs.body = "required, "+parameters, required.path("execute"), required.primary, minutes(parameters)
		bes.name, bes.path, bes.bearer = "required in a job, "+parameters, required.path("jobs"), required.primary
		bes.body = `{"Input":` + encode(input) + `,"GlobalParameters":` + parameters + `}`
		all = append(all, rrs, bes)
	}
	return all
}

// address is an endpoint in its workspace.
type address struct {
	ws string
	endpoint
}

func (a address) path(verb string) string {
	return "/workspaces/" + a.ws + "/services/" + a.id + "/" + verb
}

// requiring publishes a tariff whose day rate has no default, to staging.
func (s *site) requiring() address {
	s.t.Helper()
	doc := string(sampleFile(s.t, "tariff.json"))
	without := strings.Replace(doc, `"default": "0.17", `, "", 1)
	if without == doc {
		s.t.Fatal("the tariff's day rate has no default to take away")
	}
	x := s.experiment("tariff without a day rate", without)
	s.run(x)
	return address{s.ws, s.publish(x, "required").endpoints["staging"]}
}

// badVectors are requests of the 2014 form.
func (s *site) badVectors() []refusal {
	vector := func(members string) string {
		return `{"Id":"score00001","Instance":{"FeatureVector":{` + members + `},"GlobalParameters":{}}}`
	}
	all := []refusal{
		{name: "unknown column", body: vector(`"stat":"HI"`), status: 400, class: "BadUserArgument", code: "InputMismatchError", says: []string{`"stat"`, `"state"`}},
		{name: "wrong type", body: vector(`"total_day_minutes":"12O"`), status: 400, class: "BadUserArgument", code: "InputParseError", says: []string{"total_day_minutes", "12O"}},
		{name: "no vector", body: `{"Id":"1"}`, status: 400, class: "BadArgument", code: "MissingRequestInput", says: []string{"Instance.FeatureVector"}},
		{name: "a body of execute", body: s.good(), status: 400, class: "BadArgument", code: "MissingRequestInput", says: []string{"Instance.FeatureVector"}},
		{name: "vector is an array", body: `{"Instance":{"FeatureVector":["HI"]}}`, status: 400, class: "BadArgument", code: "RequestBodyInvalid", says: []string{"must be an object"}},
	}
	for i := range all {
		all[i].path, all[i].bearer = s.at("churn", "score"), s.key("churn")
	}
	return all
}

// quietLog reads the handler's log: mistakes of callers are no errors of ours,
// and nothing panicked.
func (s *site) quietLog(t *testing.T) {
	log, err := os.ReadFile(filepath.Join(s.data, "portico.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte(`"status":400`)) {
		t.Error("the log has none of the calls")
	}
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte("panic")) || bytes.Contains(line, []byte(`"level":"ERROR"`)) || bytes.Contains(line, []byte(`"status":500`)) {
			t.Errorf("%s", line)
		}
	}
}

// planted are the secrets that callers send in vain attempts.
var planted = []string{"UExBTlRFREtFWTE=", "PLANTEDSIGNATURE2", "planted-key-3=="}

// keptSecrets looks for the secrets of callers, and for every key and token
// given out, in the log and in every stored byte.
func (s *site) keptSecrets(t *testing.T) {
	// A job that was accepted keeps the caller's storage key, sealed: it is not
	// started, and so nothing has been read of the folder.
	job := s.submit("churn", `{"Inputs":{"input1":{"ConnectionString":"DefaultEndpointsProtocol=https;AccountName=account;AccountKey=`+planted[0]+
		`;BlobEndpoint=https://account.invalid","RelativeLocation":"container/in/"}}}`)
	defer s.do("DELETE", job, s.key("churn"), "", nil)
	secrets := slices.Clone(planted)
	for _, endpoints := range s.endpoints {
		for _, e := range endpoints {
			secrets = append(secrets, e.primary, e.secondary)
		}
	}
	for _, token := range s.tokens {
		secrets = append(secrets, token)
	}
	files := 0
	err := filepath.WalkDir(s.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // one that was being replaced
		}
		if err != nil {
			return err
		}
		files++
		for i, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds secret %d", path, i)
			}
		}
		if filepath.Base(path) == "portico.log" && (bytes.Contains(content, []byte("sig=")) || bytes.Contains(content, []byte("12O"))) {
			t.Errorf("%s holds a signature or a cell", path)
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Fatal(fmt.Sprint(files, " files, "), err)
	}
}

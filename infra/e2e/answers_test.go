package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAnswers makes the calls that clients of every age make, and holds the
// answers to the byte where clients read bytes.
func TestAnswers(t *testing.T) {
	s := newSite(t)
	t.Run("forms", s.forms)
	t.Run("cells", s.cells)
	t.Run("parameters", s.parameters)
	t.Run("keys", s.keys)
	t.Run("methods", s.methods)
	t.Run("unknown levels", s.unknownLevels)
	t.Run("throttled", s.throttled)
	t.Run("a body of 1 GB", s.huge)
}

// scoredA is what the churn service says of the first customer of May.
const scoredA = "0.011628756253813585"

// forms asks in both forms on the address of either, with details and without.
func (s *site) forms(t *testing.T) {
	a := s.may[0]
	member := map[string]string{}
	for i, name := range s.columns {
		member[name] = a[i]
	}
	rows := encode(map[string]any{"Inputs": map[string]any{"input1": []any{member}}})
	names := encode(append(slices.Clone(s.columns), "Scored Labels", "Scored Probabilities"))
	cells := strings.Replace(encode(append(slices.Clone(a), "no", scoredA)), `"236.0"`, `"236"`, 1)
	types := `["String","String","Int32","String","String","String","Int32","Double","Int32","Double","Double","Int32","Double","Double","Int32","Double","Double","Int32","Double","Int32","String","Double"]`
	plain := `{"Results":{"output1":{"type":"table","value":{"ColumnNames":` + names + `,"Values":[` + cells + `]}}}}`
	details := `{"Results":{"output1":{"type":"table","value":{"ColumnNames":` + names + `,"ColumnTypes":` + types + `,"Values":[` + cells + `]}}}}`
	var pairs []string
	var n, c []string
	if err := json.Unmarshal([]byte(names), &n); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(cells), &c); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		pairs = append(pairs, encode(n[i])+":"+encode(c[i]))
	}
	objects := `{"Results":{"output1":[{` + strings.Join(pairs, ",") + `}]}}`
	vector := encode(map[string]any{"Id": "score00001", "Instance": map[string]any{"FeatureVector": member, "GlobalParameters": map[string]any{}}})
	for _, c := range []struct{ name, verb, body, want string }{
		{"table", "execute?api-version=2.0&details=true", s.good(), details},
		{"table, no version", "execute?details=true", s.good(), details},
		{"details in capitals", "execute?api-version=2.0&details=True", s.good(), details},
		{"details false", "execute?api-version=2.0&details=false", s.good(), plain},
		{"no details", "execute?api-version=2.0", s.good(), plain},
		{"rows", "execute?api-version=2.0&format=swagger", rows, objects},
		{"rows, other order of the query", "execute?format=swagger&api-version=2.0&details=true", rows, objects},
		{"table to the address of rows", "execute?api-version=2.0&format=swagger", s.good(), objects},
		{"rows to the address of the table", "execute?api-version=2.0", rows, plain},
		{"the form of 2014", "score", vector, cells},
		{"byte order mark", "execute?api-version=2.0", "\ufeff" + s.good(), plain},
		{"no rows", "execute?api-version=2.0", table(s.columns), `{"Results":{"output1":{"type":"table","value":{"ColumnNames":` + names + `,"Values":[]}}}}`},
		{"no row objects", "execute?format=swagger", `{"Inputs":{"input1":[]}}`, `{"Results":{"output1":[]}}`},
	} {
		status, got := s.call("POST", s.at("churn", c.verb), s.key("churn"), c.body)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", c.name, status, got)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	// The scope of services published from 2016 on, and any case of the words.
	for _, path := range []string{
		strings.Replace(s.at("churn", "execute"), "/workspaces/", "/subscriptions/", 1),
		strings.NewReplacer("/workspaces/", "/Workspaces/", "/services/", "/Services/", "/execute", "/Execute").Replace(s.at("churn", "execute")),
	} {
		if status, got := s.call("POST", path, s.key("churn"), s.good()); got != plain {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
	// Whatever clients say of their body is not held against them.
	for _, h := range [][]string{
		{"Content-Type", ""},
		{"Content-Type", "text/json"},
		{"Content-Type", "applicaton/json"},
		{"Content-Type", "application/json;charset=UTF8"},
		{"Content-Encoding", "UTF-8"},
		{"Accept", "text/xml"},
	} {
		if status, got := s.call("POST", s.at("churn", "execute"), s.key("churn"), s.good(), h...); got != plain {
			t.Errorf("%v: %d %s", h, status, got)
		}
	}
	var many [][]string
	for range 10_000 {
		many = append(many, a)
	}
	status, got := s.call("POST", s.at("churn", "execute"), s.key("churn"), table(s.columns, many...))
	if status != http.StatusOK {
		t.Fatalf("10,000 rows: %d %.300s", status, got)
	}
	if answered := values(t, got); len(answered) != 10_000 || answered[9_999][len(answered[0])-1] != scoredA {
		t.Errorf("10,000 rows: %d answered, the last %v", len(answered), answered[len(answered)-1])
	}
}

// cells sends what stands in cells in the field, and looks at what comes back:
// the cell, and the score.
func (s *site) cells(t *testing.T) {
	for _, c := range []struct{ name, column, cell, want, scored string }{
		{"text", "state", `"HI"`, "HI", scoredA},
		{"escaped", "state", `"\u0048\u0049"`, "HI", scoredA},
		{"unknown level", "state", `"ZZ"`, "ZZ", missingState},
		{"other case is another level", "state", `"hi"`, "hi", missingState},
		{"letters of the world", "state", `"Ñandú – 日本 🙂"`, "Ñandú – 日本 🙂", missingState},
		{"null", "state", `null`, "", missingState},
		{"empty", "state", `""`, "", missingState},
		{"markup", "customer_id", `"<b>&\"\\/` + "\u2028" + `"`, "<b>&\"\\/\u2028", scoredA},
		{"line break", "customer_id", `"a\nb"`, "a\nb", scoredA},
		{"number for a text", "customer_id", `0007`, "", ""}, // no JSON
		{"whole number", "account_length", `101`, "101", scoredA},
		{"integral text", "account_length", `"101.0"`, "101", scoredA},
		{"exponent", "account_length", `1.01E2`, "101", scoredA},
		{"sign and blanks", "total_day_minutes", `" +70.9 "`, "70.9", scoredA},
		{"NaN", "total_day_minutes", `NaN`, "", "?"},
		{"NaN in quotes", "total_day_minutes", `"NaN"`, "", "?"},
		{"NaN in an integer", "account_length", `NaN`, "", "?"},
		{"missing", "total_day_minutes", `null`, "", "?"},
	} {
		i := slices.Index(s.columns, c.column)
		parts := make([]string, len(s.columns))
		for k, cell := range s.may[0] {
			parts[k] = encode(cell)
		}
		parts[i] = c.cell
		body := `{"Inputs":{"input1":{"ColumnNames":` + encode(s.columns) + `,"Values":[[` + strings.Join(parts, ",") + `]]}}}`
		status, answer := s.call("POST", s.at("churn", "execute"), s.key("churn"), body)
		if c.scored == "" {
			if status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", c.name, status, answer)
			}
			continue
		}
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", c.name, status, answer)
			continue
		}
		row := values(t, answer)[0]
		if row[i] != c.want || c.scored != "?" && row[len(row)-1] != c.scored {
			t.Errorf("%s: %q scored %s, want %q scored %s", c.name, row[i], row[len(row)-1], c.want, c.scored)
		}
		if c.want == "" && !strings.Contains(answer, "null") {
			t.Errorf("%s: a missing cell is not null: %s", c.name, answer)
		}
	}
}

// missingState is the score of the first customer of May with no state.
const missingState = "0.01953392333201773"

// parameters asks the tariff for other prices.
func (s *site) parameters(t *testing.T) {
	for _, c := range []struct{ parameters, day string }{
		{`{}`, "1.7"},
		{`null`, "1.7"},
		{`{"day rate":null}`, "1.7"},
		{`{"day rate":"0.2"}`, "2"},
		{`{"day rate":0.2}`, "2"},
		{`{"day rate":"2E-1"}`, "2"},
		{`{"night rate":"9"}`, "1.7"},
	} {
		status, answer := s.call("POST", s.at("tariff", "execute"), s.key("tariff"), minutes(c.parameters))
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", c.parameters, status, answer)
			continue
		}
		if got := values(t, answer)[0][1]; got != c.day {
			t.Errorf("%s: %s, want %s", c.parameters, got, c.day)
		}
	}
	file := s.upload("minutes.csv", "total_day_minutes,total_eve_minutes,total_night_minutes,total_intl_minutes\n10,10,10,10\n")
	for parameters, want := range map[string]string{`{}`: ",1.7,0.85,0.45,2.7\n", `{"day rate":0.2}`: ",2,0.85,0.45,2.7\n"} {
		if got := s.result(s.job("tariff", `{"Input":`+encode(file)+`,"GlobalParameters":`+parameters+`}`)); !strings.HasSuffix(strings.ReplaceAll(got, "\r", ""), want) {
			t.Errorf("a job with %s: %s", parameters, got)
		}
	}
	// A result that overflows is the row's mistake, with the module's code.
	status, answer := s.call("POST", s.at("tariff", "execute"), s.key("tariff"), strings.Replace(minutes(`{"day rate":"1e300"}`), `"total_day_minutes":10`, `"total_day_minutes":1e300`, 1))
	if status != http.StatusBadRequest || !strings.Contains(answer, `"code":"Error0033"`) || !strings.Contains(answer, "row 1") || !strings.Contains(answer, "total_day_minutes") {
		t.Errorf("overflow: %d %s", status, answer)
	}
}

// keys are sent in all ways of the field.
func (s *site) keys(t *testing.T) {
	e := s.endpoints["churn"]["default"]
	for _, authorization := range []string{
		"Bearer " + e.primary, "bearer " + e.primary, "bearer  " + e.primary, "BEARER   " + e.secondary, "Bearer\t" + e.primary, "Bearer " + e.secondary + "  ",
	} {
		status, answer := s.call("POST", s.at("churn", "execute"), "", s.good(), "Authorization", authorization)
		if status != http.StatusOK {
			t.Errorf("%.12q…: %d %s", authorization, status, answer)
		}
	}
}

// methods asks without asking anything. Pages of other origins get no
// permission unless the operator gave it.
func (s *site) methods(t *testing.T) {
	execute, swagger := s.at("churn", "execute"), s.at("churn", "swagger.json")
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"OPTIONS", execute, http.StatusNoContent, "POST, OPTIONS"},
		{"OPTIONS", s.at("churn", "score"), http.StatusNoContent, "POST, OPTIONS"},
		{"OPTIONS", swagger, http.StatusNoContent, "GET, HEAD, OPTIONS"},
		{"GET", swagger, http.StatusOK, ""}, // without a key
		{"HEAD", swagger, http.StatusOK, ""},
		{"HEAD", execute, http.StatusNotFound, ""},
	} {
		resp, body := s.exchange(t, refusal{method: c.method, path: c.path, headers: []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}})
		if resp.StatusCode != c.status || resp.Header.Get("Allow") != c.allow || c.method == "HEAD" && body != "" {
			t.Errorf("%s %s: %s, Allow %q: %.100s", c.method, c.path, resp.Status, resp.Header.Get("Allow"), body)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s: %s: %s", c.method, c.path, name, resp.Header.Get(name))
			}
		}
	}
}

// unknownLevels imports the model with the other policy: a level that it does
// not know is a mistake, which names column and value.
func (s *site) unknownLevels(t *testing.T) {
	binding := strings.Replace(string(sampleFile(t, "churn_onehot.binding.json")), "{", `{"unknownLevel": "error", `, 1)
	contentType, body := form(t, map[string]string{"name": "strict model", "file/churn.ubj": string(sampleFile(t, "churn_onehot.ubj")), "binding": binding})
	s.do("POST", s.workbench("/models"), s.tokens["author"], body, nil, "Content-Type", contentType)
	x := s.experiment("strict churn", strings.Replace(string(sampleFile(t, "churn.json")), `"name": "churn model"`, `"name": "strict model"`, 1))
	s.run(x)
	e := address{s.ws, s.publish(x, "strict").endpoints["staging"]}
	if _, answer := s.call("POST", e.path("execute"), e.primary, s.good()); values(t, answer)[0][21] != scoredA {
		t.Errorf("a known level: %s", answer)
	}
	zz := s.changed("state", "ZZ")
	s.refuses(t, []refusal{{
		name: "ZZ in row 2", path: e.path("execute"), bearer: e.primary, body: table(s.columns, s.may[0], zz),
		status: 400, class: "BadUserArgument", code: "InputMismatchError", says: []string{"input1", "row 2", `"state"`, `"ZZ"`},
	}})
}

// throttled calls endpoints of a few places with many calls at once.
func (s *site) throttled(t *testing.T) {
	at := s.manage("/services/" + s.services["churn"])
	heavy := table(s.columns, slices.Repeat(s.may, 6)[:10_000]...)
	for _, c := range []struct {
		name, settings string
		limit          int
	}{
		{"narrow", `{"throttleLevel":"High","maxConcurrentCalls":1}`, 1},
		{"low", `{"throttleLevel":"Low"}`, 4},
	} {
		s.do("POST", at+"/endpoints", s.tokens["deployer"], `{"name":"`+c.name+`","settings":`+c.settings+`}`, nil)
		e := address{s.ws, s.endpointsOf(s.services["churn"])[c.name]}
		refused := refusal{
			path: e.path("execute"), bearer: e.primary, body: heavy,
			status: 503, class: "ServiceUnavailable", code: "RequestThrottled",
			says: []string{fmt.Sprintf("Request was throttled for %s endpoint. The maximum concurrency for the endpoint is %d.", c.name, c.limit)},
		}
		seen := 0
		for deadline := time.Now().Add(patience); seen == 0 && time.Now().Before(deadline); {
			var wg sync.WaitGroup
			var mu sync.Mutex
			for range 6 * c.limit {
				wg.Go(func() {
					resp, body := s.exchange(t, refused)
					mu.Lock()
					defer mu.Unlock()
					if resp.StatusCode == http.StatusOK {
						return
					}
					seen++
					refused.check(t, resp, body)
					if resp.Header.Get("Retry-After") != "1" {
						t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
					}
				})
			}
			wg.Wait()
		}
		if seen == 0 {
			t.Errorf("%s: no call was throttled", c.name)
		}
		if status, answer := s.call("POST", e.path("execute"), e.primary, s.good()); status != http.StatusOK {
			t.Errorf("%s, alone: %d %s", c.name, status, answer)
		}
	}
}

// huge declares a body of 1 GB: the refusal comes without reading it.
func (s *site) huge(t *testing.T) {
	for _, path := range []string{s.at("churn", "execute"), s.at("churn", "score"), s.at("churn", "jobs")} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // a hang must not last
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000000\r\n\r\n", path, s.addr, s.key("churn"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		var doc errorDocument
		err = json.NewDecoder(resp.Body).Decode(&doc)
		if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || doc.Error.Code != "MemoryQuotaViolation" || !strings.Contains(doc.Error.Details[0].Message, "16777216") {
			t.Errorf("%s: %s %+v %v", path, resp.Status, doc, err)
		}
	}
}

package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/dbtest"
	"github.com/portico-ml/portico/shared/connect/sql"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
)

// TestOutside reads of a database and a web server and writes to the database:
// in a run, in calls and in jobs; and looks for what was secret in every stored
// byte.
func TestOutside(t *testing.T) {
	db := dbtest.Postgres(t)
	var factor atomic.Int64
	factor.Store(2)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/may.csv":
			w.Write(sampleFile(t, "customers_may.csv"))
		case "/line.ilearner":
			w.Write(line(t, factor.Load()))
		case "/moved.csv":
			http.Redirect(w, r, "/may.csv", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer web.Close()
	warehouse := map[string]any{
		"Source": db.Source, "Server": db.Server, "Database": db.Database, "User": db.User, "Password": db.Password, "Unencrypted": true,
		"Workspaces": []string{"*"},
	}
	_, port, _ := net.SplitHostPort(db.Server)
	_, webPort, _ := net.SplitHostPort(web.Listener.Addr().String())
	s := newSite(t,
		"PORTICO_ALLOW_NETWORKS=127.0.0.1/32:"+port+",127.0.0.1/32:"+webPort,
		"PORTICO_CONNECTIONS="+encode(map[string]any{"warehouse": warehouse, "others": with(warehouse, "Workspaces", []string{"0123456789abcdef0123456789abcdef"})}),
	)
	b := &base{t, db}
	b.write("customers", string(sampleFile(t, "customers_may.csv")))
	b.write("amounts", "id,amount\n1,0.5\n2,\n3,-7\n")

	t.Run("a service without ports", func(t *testing.T) { s.withoutPorts(t, b) })
	t.Run("a model that is loaded", func(t *testing.T) { s.loadedModel(t, web.URL, &factor) })
	t.Run("jobs", func(t *testing.T) { s.outsideJobs(t, b, web.URL) })
	t.Run("refusals", func(t *testing.T) { s.outsideRefusals(t, db, web.URL) })
	s.noSecretsOf(t, db)
}

func with(m map[string]any, name string, v any) map[string]any {
	n := map[string]any{name: v}
	for k, old := range m {
		if k != name {
			n[k] = old
		}
	}
	return n
}

// base is the database of a test.
type base struct {
	t  *testing.T
	db connect.Place
}

var direct net.Dialer

// write makes a table of a CSV.
func (b *base) write(name, text string) {
	b.t.Helper()
	f, err := connect.Parse([]byte(text), format.Lookup("csv"), false, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	p := b.db
	p.Table = name
	sink, err := sql.New(direct.DialContext).Sink(p)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := connect.Write(b.t.Context(), sink, f, ""); err != nil {
		b.t.Fatal(err)
	}
}

// read gives a query's rows as CSV.
func (b *base) read(query string) string {
	b.t.Helper()
	p := b.db
	p.Query = query
	src, err := sql.New(direct.DialContext).Source(p)
	if err != nil {
		b.t.Fatal(err)
	}
	f, err := connect.ReadAll(b.t.Context(), src, nil, 16<<20)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(frame.AppendCSV(nil, f, ','))
}

// doubling reads amounts, doubles them, and writes them to a table: the
// password of the database is a global parameter.
func doubling(db connect.Place) string {
	return encode(map[string]any{
		"nodes": map[string]any{
			"in": map[string]any{"module": "Import Data", "parameters": map[string]string{
				"Data source": "PostgreSQL", "Named connection": "warehouse", "Database query": "SELECT id, amount FROM amounts ORDER BY id",
			}},
			"twice": map[string]any{"module": "Apply Math Operation", "parameters": map[string]any{
				"Category": "Operations", "Arithmetic operation": "Multiply", "Operation argument type": "Constant", "Constant operation argument": "2",
				"Column set": map[string]any{"isFilter": true, "rules": []any{map[string]any{"ruleType": "ColumnNames", "columns": []string{"amount"}, "exclude": false}}}, "Output mode": "Inplace",
			}},
			"out": map[string]any{"module": "Writer", "parameters": map[string]string{
				"Data destination": "PostgreSQL", "Database server name": db.Server, "Database name": db.Database,
				"Server user account name": db.User, "Encrypt connection": "false", "Data table name": "doubled",
			}},
		},
		"edges": []any{
			map[string]string{"sourceNodeId": "in", "targetNodeId": "twice"},
			map[string]string{"sourceNodeId": "twice", "targetNodeId": "out"},
		},
		"graphParameters": map[string]any{"Password": map[string]any{"type": "Credential", "links": []any{map[string]string{"nodeId": "out", "parameterKey": "Server user account password"}}}},
	})
}

// withoutPorts runs and publishes Import Data → Export Data and calls it in
// both ways.
func (s *site) withoutPorts(t *testing.T, b *base) {
	id := s.experiment("doubling", doubling(b.db))
	var run struct {
		ID, State string
		Error     json.RawMessage
	}
	s.do("POST", s.workbench("/experiments/"+id+"/runs"), s.tokens["author"], encode(map[string]any{"credentials": map[string]string{"Password": b.db.Password}}), &run)
	s.awaitRun(t, run.ID)
	const once = "id,amount,n\n1,1,1\n2,,1\n3,-14,1\n"
	count := func() string {
		return b.read("SELECT id, amount, count(*)::int AS n FROM doubled GROUP BY id, amount ORDER BY id")
	}
	if got := count(); got != once {
		t.Errorf("after the run: %q", got)
	}
	p := s.publish(id, "doubling")
	staging := p.endpoints["staging"]
	at := "/workspaces/" + s.ws + "/services/" + staging.id
	body := encode(map[string]any{"Inputs": map[string]any{}, "GlobalParameters": map[string]string{"Password": b.db.Password}})
	var answer struct{ Results map[string]any }
	s.do("POST", at+"/execute?api-version=2.0", staging.primary, body, &answer)
	if len(answer.Results) != 0 {
		t.Errorf("results %v", answer.Results)
	}
	if got := count(); got != strings.ReplaceAll(once, ",1\n", ",2\n") {
		t.Errorf("after the call: %q", got)
	}
	var job string
	s.do("POST", at+"/jobs?api-version=2.0", staging.primary, body, &job)
	s.do("POST", at+"/jobs/"+job+"/start?api-version=2.0", staging.primary, "", nil)
	s.endpoints["doubling"] = map[string]endpoint{"default": staging}
	if st := s.ended("doubling", at+"/jobs/"+job); st.StatusCode != "Finished" {
		t.Errorf("job %s: %s", st.StatusCode, deref(st.Details))
	}
	if got := count(); got != strings.ReplaceAll(once, ",1\n", ",3\n") {
		t.Errorf("after the job: %q", got)
	}
	status, text := s.call("POST", at+"/execute?api-version=2.0", staging.primary, `{"Inputs":{},"GlobalParameters":{}}`)
	if status != http.StatusBadRequest || !strings.Contains(text, "MissingRequiredGlobalParameters") {
		t.Errorf("without the password: %d %s", status, text)
	}
	status, text = s.call("POST", at+"/execute?api-version=2.0", staging.primary, `{"Inputs":{},"GlobalParameters":{"Password":"not the password"}}`)
	if status != http.StatusBadRequest || !strings.Contains(text, "Error0015") || strings.Contains(text, "not the password") {
		t.Errorf("with another password: %d %s", status, text)
	}
}

// line is the file of a model: y = factor · x.
func line(t *testing.T, factor int64) []byte {
	t.Helper()
	body, err := (&linear.Weights{Features: 1, Outputs: 1, Base: []float64{0}, Coefficients: []float64{float64(factor)}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	scoring, err := model.Encode(model.Header{
		Engine: model.EngineLinear, Learner: "line", Kind: model.Regression, Transform: model.Transform{Name: model.Identity},
		Features: []model.Feature{{Name: "x", Column: "x", Type: frame.Double, Encoding: model.Number}},
	}, body)
	if err != nil {
		t.Fatal(err)
	}
	return scoring
}

// loadedModel publishes a service that loads its model in each call, and
// replaces the model where it lies.
func (s *site) loadedModel(t *testing.T, web string, factor *atomic.Int64) {
	doc := func(rrs string) string {
		return encode(map[string]any{
			"nodes": map[string]any{
				"rows":  map[string]any{"module": "Enter Data Manually", "parameters": map[string]string{"Data": "x\n1.5\n2.5\n"}},
				"model": map[string]any{"module": "Load Trained Model", "parameters": map[string]string{"Data source": "Web URL via HTTP", "URL of trained model": web + "/line.ilearner", "Allow to use in RRS": rrs}},
				"score": map[string]any{"module": "Score Model"},
				"in":    map[string]any{"inputId": "input1"},
				"out":   map[string]any{"outputId": "output1"},
			},
			"edges": []any{
				map[string]string{"sourceNodeId": "model", "targetNodeId": "score", "targetPortId": "Trained model"},
				map[string]string{"sourceNodeId": "rows", "targetNodeId": "score", "targetPortId": "Dataset"},
				map[string]string{"sourceNodeId": "in", "targetNodeId": "score", "targetPortId": "Dataset"},
				map[string]string{"sourceNodeId": "score", "targetNodeId": "out"},
			},
		})
	}
	id := s.experiment("line", doc("true"))
	s.run(id)
	at := s.publish(id, "line").endpoints["staging"]
	call := func() (int, string) {
		return s.call("POST", "/workspaces/"+s.ws+"/services/"+at.id+"/execute?api-version=2.0", at.primary, table([]string{"x"}, []string{"3"}))
	}
	for _, want := range []string{"6", "15"} {
		status, answer := call()
		if rows := values(t, answer); status != http.StatusOK || len(rows) != 1 || rows[0][1] != want {
			t.Errorf("%d %s, want %s", status, answer, want)
		}
		factor.Store(5)
	}
	id = s.experiment("line for jobs", doc("false"))
	s.run(id)
	at = s.publish(id, "line for jobs").endpoints["staging"]
	if status, answer := call(); status != http.StatusBadRequest || !strings.Contains(answer, "batch jobs only") {
		t.Errorf("a service for jobs: %d %s", status, answer)
	}
}

func (s *site) awaitRun(t *testing.T, id string) {
	t.Helper()
	var run struct {
		State string
		Error json.RawMessage
	}
	for ; run.State != "Finished"; time.Sleep(50 * time.Millisecond) {
		s.get("author", s.workbench("/runs/"+id), &run)
		if run.State == "Failed" || run.State == "Cancelled" {
			t.Fatalf("run %s is %s: %s", id, run.State, run.Error)
		}
	}
}

// outsideJobs scores customers from a database and from the web, and puts the
// scores into the database: the same as of a file.
func (s *site) outsideJobs(t *testing.T, b *base, web string) {
	want := sorted(t, s.result(s.job("churn", `{"Input":`+encode(s.upload("may.csv", string(sampleFile(t, "customers_may.csv"))))+`}`)))
	query := map[string]string{"Source": "PostgreSql", "Server": b.db.Server, "Database": b.db.Database, "User": b.db.User, "Password": b.db.Password, "Query": "SELECT * FROM customers"}
	plain := map[string]any{"Unencrypted": true}
	for k, v := range query {
		plain[k] = v
	}
	for name, input := range map[string]any{
		"database":         plain,
		"named connection": map[string]string{"Connection": "warehouse", "Query": "SELECT * FROM customers"},
		"web":              map[string]string{"Source": "Http", "Url": web + "/may.csv"},
	} {
		if got := sorted(t, s.result(s.job("churn", encode(map[string]any{"Input": input})))); !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, not the %d of the file", name, len(got), len(want))
		}
	}
	st := s.job("churn", encode(map[string]any{
		"Input":   map[string]string{"Connection": "warehouse", "Query": "SELECT * FROM customers"},
		"Outputs": map[string]any{"output1": map[string]string{"Connection": "warehouse", "Table": "scored"}},
	}))
	if st.StatusCode != "Finished" {
		t.Fatalf("%s: %s", st.StatusCode, deref(st.Details))
	}
	if got := sorted(t, b.read("SELECT * FROM scored")); !slices.Equal(got, want) {
		t.Errorf("the table has %d rows, not the %d of the file", len(got), len(want))
	}
}

func sorted(t *testing.T, text string) []string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows[1:] {
		out = append(out, strings.Join(r, "|"))
	}
	slices.Sort(out)
	return out
}

// outsideRefusals are places that nobody may reach, or not so.
func (s *site) outsideRefusals(t *testing.T, db connect.Place, web string) {
	place := func(pairs ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	server := func(at string) map[string]any {
		return place("Source", "MySql", "Server", at, "Database", "d", "User", "u", "Password", "PLANTEDSIGNATURE2", "Query", "SELECT 1")
	}
	for name, tt := range map[string]struct {
		input map[string]any
		says  string
	}{
		"metadata service":           {place("Source", "Http", "Url", "http://169.254.169.254/latest/x.csv"), "link-local"},
		"this program":               {place("Source", "Http", "Url", s.base+"/x.csv"), "may not be reached"},
		"a private address":          {place("Source", "OData", "Url", "https://10.0.0.1/feed"), "private"},
		"a database here":            {server("127.0.0.1:22"), "loopback"},
		"a database in a shared net": {server("100.64.0.1"), "carrier"},
		"a redirect":                 {place("Source", "Http", "Url", web+"/moved.csv"), "Error 0078"},
		"absent":                     {place("Source", "Http", "Url", web+"/absent.csv"), "Error 0030"},
		"hive":                       {place("Source", "Hive", "Url", "hive2://[::1]:10000", "Query", "SELECT 1"), "may not be reached"},
		"a table service":            {place("Source", "Table", "Url", "http://192.168.0.1/acct", "AccountName", "acct", "AccountKey", "UExBTlRFREtFWTE=", "Table", "tab"), "private"},
		"a wildcard of blobs here":   {place("ConnectionString", "AccountName=a;AccountKey=UExBTlRFREtFWTE=;BlobEndpoint=http://127.0.0.1:9/a", "RelativeLocation", "c/*.csv"), "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			st := s.job("churn", encode(map[string]any{"Input": tt.input}))
			if st.StatusCode != "Failed" || !strings.Contains(deref(st.Details), tt.says) {
				t.Errorf("%s: %s", st.StatusCode, deref(st.Details))
			}
			for _, secret := range planted {
				if strings.Contains(deref(st.Details), secret) {
					t.Errorf("a secret is in %s", deref(st.Details))
				}
			}
		})
	}
	for name, tt := range map[string]struct{ body, says string }{
		"another workspace's connection": {encode(map[string]any{"Input": place("Connection", "others", "Query", "SELECT 1")}), "has no connection"},
		"a connection led elsewhere":     {encode(map[string]any{"Input": place("Connection", "warehouse", "Server", "evil.example", "Query", "SELECT 1")}), "the connection's to say"},
		"file":                           {encode(map[string]any{"Input": place("Source", "Http", "Url", "file:///etc/passwd")}), "http or https"},
		"an unknown kind":                {encode(map[string]any{"Input": place("Source", "Ftp")}), "not known"},
		"an output nobody may reach":     {encode(map[string]any{"Input": place("Connection", "warehouse", "Query", "SELECT 1"), "Outputs": map[string]any{"output1": place("Source", "MySql", "Server", "127.0.0.1:22", "Database", "d", "User", "u", "Password", "p", "Table", "t")}}), "loopback"},
		"an output that is for reading":  {encode(map[string]any{"Input": place("Connection", "warehouse", "Query", "SELECT 1"), "Outputs": map[string]any{"output1": place("Source", "Http", "Url", web)}}), "for reading alone"},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := s.call("POST", s.at("churn", "jobs"), s.key("churn"), tt.body)
			if status != http.StatusBadRequest || !strings.Contains(text, tt.says) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	doc := strings.Replace(doubling(db), `"Data destination"`, `"Server user account password":"PLANTEDSIGNATURE2","Data destination"`, 1)
	status, text := s.call("POST", s.workbench("/experiments"), s.tokens["author"], encode(map[string]any{"name": "leaky", "document": json.RawMessage(doc)}))
	if status != http.StatusBadRequest || !strings.Contains(text, "is a credential") {
		t.Errorf("a draft with a password: %d %s", status, text)
	}
}

// noSecretsOf looks for the database's password, in any writing, and for what
// was planted, in every stored byte and in the log.
func (s *site) noSecretsOf(t *testing.T, db connect.Place) {
	t.Helper()
	core := "o rd;=" // of the password, which JSON leaves as it is
	if !strings.Contains(db.Password, core) || !strings.Contains(encode(db.Password), core) {
		t.Fatal("the password has changed")
	}
	secrets := append(slices.Clone(planted), core, "not the password")
	s.kill()
	files := 0
	err := filepath.WalkDir(s.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "bin" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		content, err := io.ReadAll(f)
		files++
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatal(files, err)
	}
}

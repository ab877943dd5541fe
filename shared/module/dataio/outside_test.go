package dataio

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// beyond is an Outside that notes what it is asked for.
type beyond struct {
	place  connect.Place
	node   string
	pinned frame.Schema
	wrote  string
	file   []byte
}

func (b *beyond) Import(_ context.Context, p connect.Place, pinned frame.Schema) (*frame.Frame, error) {
	b.place, b.pinned = p, pinned
	return frame.CSV{}.Read([]byte("a\n1\n"), layout())
}

func (b *beyond) Export(_ context.Context, node string, p connect.Place, f *frame.Frame) error {
	b.place, b.node, b.wrote = p, node, string(frame.AppendCSV(nil, f, ','))
	return nil
}

func (b *beyond) Fetch(_ context.Context, p connect.Place, limit int64) ([]byte, error) {
	b.place = p
	if int64(len(b.file)) > limit {
		return nil, fault.New(fault.TooLarge, "", "too long")
	}
	return b.file, nil
}

func layout() *frame.Layout {
	l, err := frame.NewLayout(frame.Schema{{Name: "a", Type: frame.Int32}})
	if err != nil {
		panic(err)
	}
	return l
}

// call runs a module with parameters that are checked as an experiment's are.
func call(t *testing.T, m *module.Module, params map[string]string, out module.Outside, inputs ...module.Value) ([]module.Value, error) {
	t.Helper()
	values, problems := m.Resolve(params)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m.Execute(t.Context(), &module.Call{Params: values, Inputs: inputs, Log: t.Logf, Node: "n1", Outside: out})
}

// places are what parameters come to: each case sets one more or another than
// those before, and its place differs.
type places []struct {
	name   string
	params map[string]string
	want   connect.Place
	code   string
}

func (all places) run(t *testing.T, m *module.Module, inputs ...module.Value) {
	seen := map[string]string{}
	used := map[string]bool{}
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			b := &beyond{}
			_, err := call(t, m, tt.params, b, inputs...)
			for name := range tt.params {
				used[name] = true
			}
			if tt.code != "" {
				if !fault.HasCode(err, tt.code) {
					t.Errorf("err = %v, want %s", err, tt.code)
				}
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("a secret is in %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, want := text(t, b.place), text(t, tt.want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if other, same := seen[got]; same {
				t.Errorf("the place is that of %q", other)
			}
			seen[got] = tt.name
		})
	}
	for i := range m.Params {
		if p := &m.Params[i]; !used[p.Name] && p.Name != useCached {
			t.Errorf("no case sets parameter %q", p.Name)
		}
	}
}

const useCached = "Use cached results" // is for runs, which see it

func text(t *testing.T, p connect.Place) string {
	t.Helper()
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// params makes parameters of pairs.
func params(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

const key = "aHVudGVyMg=="

func TestImportData(t *testing.T) {
	server := func(source string, more ...string) map[string]string {
		return params(append([]string{
			"Data source", source, "Database server name", "db.example", "Database name", "d", "Server user account name", "u",
			"Server user account password", "hunter2", "Database query", "SELECT 1",
		}, more...)...)
	}
	db := connect.Place{Source: connect.SQLServer, Server: "db.example", Database: "d", User: "u", Password: "hunter2", Query: "SELECT 1"}
	change := func(p connect.Place, f func(*connect.Place)) connect.Place { f(&p); return p }
	account := "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + key
	blob := func(more ...string) map[string]string {
		return params(append([]string{"Account name", "acct", "Account key", key, "Path to container, directory, or blob", "c/in/a.csv"}, more...)...)
	}
	file := connect.Place{Source: connect.Blob, ConnectionString: account, RelativeLocation: "c/in/a.csv", FileFormat: "CSV"}
	table := func(more ...string) map[string]string {
		return params(append([]string{"Data source", "Azure Table", "Account name", "acct", "Account key", key, "Table name", "tab"}, more...)...)
	}
	entities := connect.Place{Source: connect.Table, Account: "acct", Key: key, Table: "tab", ScanRows: 1000}
	web := func(more ...string) map[string]string {
		return params(append([]string{"Data source", "Web URL via HTTP", "URL", "https://x.example/a"}, more...)...)
	}
	page := connect.Place{Source: connect.HTTP, URL: "https://x.example/a", FileFormat: "CSV", NoHeader: true}
	uri := func(more ...string) map[string]string {
		return params(append([]string{"Authentication type", "PublicOrSas", "URI", "https://acct.blob.example/c/b"}, more...)...)
	}
	public := connect.Place{Source: connect.HTTP, URL: "https://acct.blob.example/c/b", FileFormat: "CSV", NoHeader: true}
	hive := params("Data source", "Hive Query", "HCatalog server URI", "https://h.example", "Hadoop user account name", "u", "Hadoop user account password", "hunter2", "Hive database query", "SELECT 1")
	all := places{
		{name: "blob", params: blob(), want: file},
		{name: "blob without header", params: blob("File has header row", "false"), want: change(file, func(p *connect.Place) { p.NoHeader = true })},
		{name: "named blob", params: params("Named connection", "lake", "Path to container, directory, or blob", "c/in/"), want: connect.Place{Source: connect.Blob, Connection: "lake", RelativeLocation: "c/in/", FileFormat: "CSV"}},
		{name: "URI", params: uri(), want: public},
		{name: "URI with header", params: uri("URI has header row", "true"), want: change(public, func(p *connect.Place) { p.NoHeader = false })},
		{name: "URI with signature", params: uri("Shared access signature", "?sv=1&sig=hunter2"), want: change(public, func(p *connect.Place) { p.URL += "?sv=1&sig=hunter2" })},
		{name: "table", params: table(), want: entities},
		{name: "table, some rows", params: table("Rows count for TopN", "7"), want: change(entities, func(p *connect.Place) { p.ScanRows = 7 })},
		{name: "table, all rows", params: table("Rows to scan for property names", "ScanAll"), want: change(entities, func(p *connect.Place) { p.ScanRows = 0 })},
		{name: "table by URI", params: table("Authentication type", "PublicOrSas", "Table URI", "https://acct.table.example/tab", "Shared access signature", "sig=hunter2"), want: connect.Place{Source: connect.Table, URL: "https://acct.table.example/tab?sig=hunter2", ScanRows: 1000}},
		{name: "web", params: web(), want: page},
		{name: "web with header", params: web("CSV or TSV has header row", "true"), want: change(page, func(p *connect.Place) { p.NoHeader = false })},
		{name: "feed", params: params("Data source", "Data Feed Provider", "Data content type", "OData", "Source URL", "https://x.example/feed"), want: connect.Place{Source: connect.OData, URL: "https://x.example/feed"}},
		{name: "hive", params: hive, want: connect.Place{Source: connect.Hive, URL: "https://h.example", User: "u", Password: "hunter2", Query: "SELECT 1"}},
		{name: "SQL Server", params: server("Azure SQL Database"), want: db},
		{name: "PostgreSQL", params: server("PostgreSQL"), want: change(db, func(p *connect.Place) { p.Source = connect.PostgreSQL })},
		{name: "MySQL", params: server("MySQL"), want: change(db, func(p *connect.Place) { p.Source = connect.MySQL })},
		{name: "any certificate", params: server("MySQL", "Accept any server certificate (insecure)", "true"), want: change(db, func(p *connect.Place) { p.Source, p.AnyCertificate = connect.MySQL, true })},
		{name: "in the clear", params: server("MySQL", "Encrypt connection", "false"), want: change(db, func(p *connect.Place) { p.Source, p.Unencrypted = connect.MySQL, true })},
		{name: "named", params: params("Data source", "MySQL", "Named connection", "wh", "Encrypt connection", "false", "Database query", "SELECT 1"), want: connect.Place{Source: connect.MySQL, Connection: "wh", Query: "SELECT 1"}},

		{name: "no key", params: params("Path to container, directory, or blob", "c/a.csv"), code: "Error0003"},
		{name: "a key that is none", params: blob("Account key", "hunter2; x"), code: "Error0052"},
		{name: "an account that is none", params: blob("Account name", "a;BlobEndpoint=http://evil"), code: "Error0064"},
		{name: "a signature in the URI", params: uri("URI", "https://a.example/c/b?sig=hunter2"), code: "Error0002"},
		{name: "a signature in the URL", params: web("URL", "https://a.example/c/b?sig=hunter2"), code: "Error0002"},
		{name: "no URI", params: params("Authentication type", "PublicOrSas"), code: "Error0003"},
	}
	for _, f := range fileFormats[1:] {
		bare := f == "TSV"
		all = append(all, places{
			{name: "web " + f, params: web("Data format", f), want: change(page, func(p *connect.Place) { p.FileFormat, p.NoHeader = f, bare })},
			{name: "URI " + f, params: uri("File format", f), want: change(public, func(p *connect.Place) { p.FileFormat, p.NoHeader = f, bare })},
			{name: "blob " + f, params: blob("Blob file format", f), want: change(file, func(p *connect.Place) { p.FileFormat = f })},
		}...)
	}
	all.run(t, ImportData())
}

func TestImportData_pinned(t *testing.T) {
	m, b := ImportData(), &beyond{}
	values, _ := m.Resolve(params("Data source", "Web URL via HTTP", "URL", "https://x.example/a"))
	pinned := frame.Schema{{Name: "a", Type: frame.Int32}}
	out, err := m.Execute(t.Context(), &module.Call{Params: values, Log: t.Logf, Outside: b, Pinned: []frame.Schema{pinned}})
	if err != nil || out[0].Frame.Rows() != 1 || !cmp.Equal(b.pinned, pinned) {
		t.Errorf("%v, read by %v", err, b.pinned)
	}
	if _, err := m.Execute(t.Context(), &module.Call{Params: values, Log: t.Logf}); !fault.HasCode(err, "Error1000") {
		t.Errorf("without an outside: %v", err)
	}
}

func TestExportData(t *testing.T) {
	in := module.Table(layout().New(0))
	account := "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + key
	blob := func(more ...string) map[string]string {
		return params(append([]string{"Azure account name", "acct", "Azure account key", key, "Path to blob beginning with container", "c/out"}, more...)...)
	}
	file := connect.Place{Source: connect.Blob, ConnectionString: account, RelativeLocation: "c/out", FileFormat: "CSV", NoHeader: true, KeepExisting: true}
	change := func(p connect.Place, f func(*connect.Place)) connect.Place { f(&p); return p }
	server := func(to string, more ...string) map[string]string {
		return params(append([]string{
			"Data destination", to, "Database server name", "db.example", "Database name", "d", "Server user account name", "u",
			"Server user account password", "hunter2", "Data table name", "dbo.t",
		}, more...)...)
	}
	db := connect.Place{Source: connect.SQLServer, Server: "db.example", Database: "d", User: "u", Password: "hunter2", Table: "dbo.t", BatchRows: 50}
	table := func(more ...string) map[string]string {
		return params(append([]string{"Data destination", "Azure Table", "Azure table account name", "acct", "Azure storage key", key, "Azure table name", "tab"}, more...)...)
	}
	entities := connect.Place{Source: connect.Table, Account: "acct", Key: key, Table: "tab"}
	all := places{
		{name: "blob", params: blob(), want: file},
		{name: "blob with header", params: blob("Write blob header row", "true"), want: change(file, func(p *connect.Place) { p.NoHeader = false })},
		{name: "overwrite", params: blob("Azure blob storage write mode", "Overwrite"), want: change(file, func(p *connect.Place) { p.KeepExisting = false })},
		{name: "signed blob", params: params("Authentication type", "SAS", "SAS URI for blob", "https://a.example/c/x/b.csv?sv=1&sig=hunter2"), want: connect.Place{
			Source: connect.Blob, BaseLocation: "https://a.example/", RelativeLocation: "c/x/b.csv", SasBlobToken: "?sv=1&sig=hunter2", FileFormat: "CSV", NoHeader: true, KeepExisting: true,
		}},
		{name: "named blob", params: params("Named connection", "lake", "Path to blob beginning with container", "c/out"), want: connect.Place{Source: connect.Blob, Connection: "lake", RelativeLocation: "c/out", FileFormat: "CSV", NoHeader: true, KeepExisting: true}},
		{name: "SQL Server", params: server("Azure SQL Database"), want: db},
		{name: "rows at once", params: server("Azure SQL Database", "Number of rows written per SQL Azure operation", "7"), want: change(db, func(p *connect.Place) { p.BatchRows = 7 })},
		{name: "PostgreSQL", params: server("PostgreSQL"), want: change(db, func(p *connect.Place) { p.Source, p.BatchRows = connect.PostgreSQL, 0 })},
		{name: "MySQL", params: server("MySQL"), want: change(db, func(p *connect.Place) { p.Source = connect.MySQL })},
		{name: "any certificate", params: server("MySQL", "Accept any server certificate (insecure)", "true"), want: change(db, func(p *connect.Place) { p.Source, p.AnyCertificate = connect.MySQL, true })},
		{name: "in the clear", params: server("MySQL", "Encrypt connection", "false"), want: change(db, func(p *connect.Place) { p.Source, p.Unencrypted = connect.MySQL, true })},
		{name: "columns", params: server("MySQL", "Comma separated list of columns to be saved", `a, "b, c"`, "Comma separated list of datatable columns", "x,y"), want: change(db, func(p *connect.Place) {
			p.Source, p.Columns, p.TableColumns = connect.MySQL, []string{"a", "b, c"}, []string{"x", "y"}
		})},
		{name: "table", params: table(), want: entities},
		{name: "keys", params: table("Azure table partition key", "p", "Azure table row key", "r"), want: change(entities, func(p *connect.Place) { p.PartitionKey, p.RowKey = "p", "r" })},
		{name: "table columns", params: table("Azure Table origin columns", "a,b", "Azure Table destination columns", "x,y"), want: change(entities, func(p *connect.Place) {
			p.Columns, p.TableColumns = []string{"a", "b"}, []string{"x", "y"}
		})},
		{name: "hive", params: params("Data destination", "Hive Query", "HCatalog server URI", "hive2://h", "Hadoop user account name", "u", "Hadoop user account password", "hunter2", "Hive table name", "t"), want: connect.Place{Source: connect.Hive, URL: "hive2://h", User: "u", Password: "hunter2", Table: "t"}},

		{name: "no signature", params: params("Authentication type", "SAS", "SAS URI for blob", "https://a.example/c/b.csv"), code: "Error0029"},
		{name: "an empty name", params: server("MySQL", "Comma separated list of columns to be saved", "a,,b"), code: "Error0002"},
		{name: "a lone quote", params: server("MySQL", "Comma separated list of columns to be saved", `a,"b`), code: "Error0002"},
	}
	for _, f := range fileFormats[1:] {
		all = append(all, places{
			{name: "blob " + f, params: blob("File format for blob file", f), want: change(file, func(p *connect.Place) { p.FileFormat, p.NoHeader = f, f == "TSV" })},
		}...)
	}
	all.run(t, ExportData(), in)
	b := &beyond{}
	if _, err := call(t, ExportData(), blob(), b, in); err != nil || b.node != "n1" || b.wrote != "a\n" {
		t.Errorf("%v: node %q wrote %q", err, b.node, b.wrote)
	}
}

// line is the file of a model: y = 2 x.
func line(t *testing.T) []byte {
	t.Helper()
	body, err := (&linear.Weights{Features: 1, Outputs: 1, Base: []float64{0}, Coefficients: []float64{2}}).Encode()
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
	return model.Join(scoring, []byte(`{}`))
}

func TestLoadTrainedModel(t *testing.T) {
	m := LoadTrainedModel()
	account := "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + key
	for name, tt := range map[string]struct {
		params map[string]string
		want   connect.Place
	}{
		"blob":        {params("Azure account name", "acct", "Azure account key", key, "Path to trained model", "c/m.ilearner"), connect.Place{Source: connect.Blob, ConnectionString: account, RelativeLocation: "c/m.ilearner"}},
		"signed":      {params("Authentication type", "PublicOrSas", "URI", "https://a.example/c/m", "Shared access signature", "sig=x"), connect.Place{Source: connect.HTTP, URL: "https://a.example/c/m?sig=x"}},
		"web":         {params("Data source", "Web URL via HTTP", "URL of trained model", "https://a.example/m"), connect.Place{Source: connect.HTTP, URL: "https://a.example/m"}},
		"named":       {params("Named connection", "lake", "Path to trained model", "c/m.ilearner"), connect.Place{Source: connect.Blob, Connection: "lake", RelativeLocation: "c/m.ilearner"}},
		"used in RRS": {params("Data source", "Web URL via HTTP", "URL of trained model", "https://a.example/m", "Allow to use in RRS", "true"), connect.Place{Source: connect.HTTP, URL: "https://a.example/m"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &beyond{file: line(t)}
			out, err := call(t, m, tt.params, b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text(t, tt.want), text(t, b.place)); diff != "" {
				t.Error(diff)
			}
			if out[0].Kind != service.TrainedModel {
				t.Errorf("it gives a %s", out[0].Kind)
			}
			if _, err := model.Open(out[0].Artifact); err != nil {
				t.Error(err)
			}
			b.file = []byte("no model")
			if _, err := call(t, m, tt.params, b); !fault.HasCode(err, "Error0082") {
				t.Errorf("no model: %v", err)
			}
		})
	}
}

package table

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

var tables int // made so far

// azurite is a table that is not there yet.
func azurite(t *testing.T, table string) connect.Place {
	a := azuritetest.Shared(t)
	tables++
	return connect.Place{Source: connect.Table, URL: a.Table, Account: azuritetest.AccountName, Key: azuritetest.AccountKey, Table: fmt.Sprint(table, tables)}
}

func connector() *Connector { return New(Config{Transport: http.DefaultTransport}) }

func write(t *testing.T, p connect.Place, csv string, s frame.Schema, delivery string) error {
	t.Helper()
	f, err := connect.Parse([]byte(csv), format.Lookup("csv"), false, s)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := connector().Sink(p)
	if err != nil {
		return err
	}
	if err := sink.Check(t.Context(), s); err != nil {
		return err
	}
	return connect.Write(t.Context(), sink, f, delivery)
}

// read returns the types and cells of a table, its Timestamp aside.
func read(t *testing.T, p connect.Place) (string, error) {
	t.Helper()
	src, err := connector().Source(p)
	if err != nil {
		return "", err
	}
	f, err := connect.ReadAll(t.Context(), src, nil, 1<<20)
	if err != nil {
		return "", err
	}
	var heads []string
	kept := &frame.Frame{}
	for _, c := range f.Cols {
		if c.Field.Name == "Timestamp" {
			if c.Field.Type != frame.DateTime || c.Nulls() > 0 {
				t.Errorf("Timestamp is %s with %d nulls", c.Field.Type, c.Nulls())
			}
			continue
		}
		heads = append(heads, c.Field.Name+" "+c.Field.Type.String())
		kept.Cols = append(kept.Cols, c)
	}
	_, rows, _ := strings.Cut(string(frame.AppendCSV(nil, kept, ',')), "\n")
	return strings.Join(heads, ",") + "\n" + rows, nil
}

var every = frame.Schema{
	{Name: "group", Type: frame.String},
	{Name: "id", Type: frame.Int32},
	{Name: "big", Type: frame.Int64, Nullable: true},
	{Name: "amount", Type: frame.Double, Nullable: true},
	{Name: "yes", Type: frame.Boolean, Nullable: true},
	{Name: "at", Type: frame.DateTime, Nullable: true},
	{Name: "text", Type: frame.String, Nullable: true},
}

const cells = "group,id,big,amount,yes,at,text\n" +
	"a,1,9007199254740993,5,True,2020-02-29T01:02:03.5,\"x, \"\"é\"\"\"\n" +
	"b,2,,,,,\n" +
	"a,3,-1,1.5E-05,False,1999-12-31T23:59:59,y\n"

func TestTable(t *testing.T) {
	p := azurite(t, "everytype")
	p.PartitionKey, p.RowKey = "group", "id"
	for range 2 { // again it is the same entities
		if err := write(t, p, cells, every, ""); err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(t, p)
	if err != nil {
		t.Fatal(err)
	}
	want := "PartitionKey String,RowKey String,amount Double,at DateTime,big Int64,text String,yes Boolean\n" +
		"a,1,5,2020-02-29T01:02:03.5,9007199254740993,\"x, \"\"é\"\"\",True\n" +
		"a,3,1.5E-05,1999-12-31T23:59:59,-1,y,False\n" +
		"b,2,,,,,\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestScan: what is not among the entities that were looked at is no column,
// and a type that they have not is refused.
func TestScan(t *testing.T) {
	p := azurite(t, "scanned")
	p.PartitionKey, p.RowKey = "pk", "rk"
	s := func(third frame.Field) frame.Schema {
		return frame.Schema{{Name: "pk", Type: frame.String}, {Name: "rk", Type: frame.String}, third}
	}
	for _, w := range []struct {
		csv   string
		third frame.Field
	}{
		{"pk,rk,n\na,1,5\na,2,6\n", frame.Field{Name: "n", Type: frame.Int32}},
		{"pk,rk,later\na,3,z\n", frame.Field{Name: "later", Type: frame.String}},
	} {
		if err := write(t, p, w.csv, s(w.third), ""); err != nil {
			t.Fatal(err)
		}
	}
	p.ScanRows = 2
	got, err := read(t, p)
	if want := "PartitionKey String,RowKey String,n Int32\na,1,5\na,2,6\na,3,\n"; err != nil || got != want {
		t.Errorf("TopN: %q, %v", got, err)
	}
	p.ScanRows = 0
	got, err = read(t, p)
	if want := "PartitionKey String,RowKey String,n Int32,later String\na,1,5,\na,2,6,\na,3,,z\n"; err != nil || got != want {
		t.Errorf("ScanAll: %q, %v", got, err)
	}
	if err := write(t, p, "pk,rk,n\na,4,many\n", s(frame.Field{Name: "n", Type: frame.String}), ""); err != nil {
		t.Fatal(err)
	}
	if got, err = read(t, p); err != nil || !strings.Contains(got, "n String") || !strings.HasSuffix(got, "a,4,many,\n") {
		t.Errorf("mixed types: %q, %v", got, err)
	}
	p.ScanRows = 2
	if _, err := read(t, p); !fault.HasCode(err, "Error0018") || !strings.Contains(err.Error(), `entity 4: property "n"`) {
		t.Errorf("a type that was not seen: %v", err)
	}
}

// TestDelivery writes more rows than one transaction takes, under keys that
// the delivery and the row give, twice.
func TestDelivery(t *testing.T) {
	p := azurite(t, "delivered")
	var csv strings.Builder
	csv.WriteString("n,label\n")
	for i := range 250 {
		fmt.Fprintf(&csv, "%d,x\n", i)
	}
	p.Columns, p.TableColumns = []string{"n"}, []string{"number"}
	s := frame.Schema{{Name: "n", Type: frame.Int32}, {Name: "label", Type: frame.String}}
	for range 2 {
		if err := write(t, p, csv.String(), s, "job1/output1"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(t, p)
	lines := strings.Split(got, "\n")
	if err != nil || len(lines) != 252 || lines[1] != "job1-output1,0000000001,0" || lines[250] != "job1-output1,0000000250,249" {
		t.Errorf("%d lines, %v: %.200q", len(lines), err, got)
	}
}

func TestRefusals(t *testing.T) {
	p := azurite(t, "refused")
	if err := write(t, p, "n\n1\n", frame.Schema{{Name: "n", Type: frame.Int32}}, "d"); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*connect.Place)) connect.Place {
		q := p
		change(&q)
		return q
	}
	for name, tt := range map[string]struct {
		place connect.Place
		code  string
	}{
		"no such table":       {with(func(q *connect.Place) { q.Table = "absent" }), "Error0030"},
		"a name that is none": {with(func(q *connect.Place) { q.Table = "a b" }), "Error0002"},
		"wrong key":           {with(func(q *connect.Place) { q.Key = "c2VjcmV0LWtleQ==" }), "Error0052"},
		"a key of no base64":  {with(func(q *connect.Place) { q.Key = "secret-key" }), "Error0052"},
		"no key":              {with(func(q *connect.Place) { q.Key = "" }), "Error0003"},
		"no account":          {connect.Place{Source: connect.Table, Table: "refused"}, "Error0003"},
		"file":                {with(func(q *connect.Place) { q.URL = "file:///etc/passwd" }), "Error0029"},
		"a query without sig": {with(func(q *connect.Place) { q.URL += "/refused?a=b" }), "Error0029"},
		"emulator":            {connect.Place{Table: "refused", ConnectionString: "UseDevelopmentStorage=true"}, "Error0064"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, tt.place)
			if !fault.HasCode(err, tt.code) {
				t.Errorf("err = %v, want %s", err, tt.code)
			}
			if err != nil && (strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "secret-key")) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	own := New(Config{Transport: http.DefaultTransport, Accounts: []string{"ours.blob.core.windows.net"}})
	if _, err := own.Source(connect.Place{Account: "ours", Key: "a2V5", Table: "portico"}); !fault.HasCode(err, "Error0064") {
		t.Errorf("our own account: %v", err)
	}
	for name, tt := range map[string]struct {
		place connect.Place
		csv   string
		code  string
	}{
		"a key with a slash": {with(func(q *connect.Place) { q.PartitionKey = "a" }), "a,b\nx/y,1\n", "Error0002"},
		"a missing key":      {with(func(q *connect.Place) { q.RowKey = "a" }), "a,b\n,1\n", "Error0003"},
		"no such key column": {with(func(q *connect.Place) { q.RowKey = "c" }), "a,b\nx,1\n", "Error0001"},
		"no such column":     {with(func(q *connect.Place) { q.Columns = []string{"c"} }), "a,b\nx,1\n", "Error0001"},
		"a name with blanks": {p, "a,Scored Labels\nx,1\n", "Error0002"},
	} {
		t.Run(name, func(t *testing.T) {
			header, _, _ := strings.Cut(tt.csv, "\n")
			var s frame.Schema
			for _, n := range strings.Split(header, ",") {
				s = append(s, frame.Field{Name: n, Type: frame.String, Nullable: true})
			}
			if err := write(t, tt.place, tt.csv, s, ""); !fault.HasCode(err, tt.code) {
				t.Errorf("err = %v, want %s", err, tt.code)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	const sig = "sv=2020&sig=c2ln"
	for _, tt := range []struct {
		place connect.Place
		want  string // base, table, "sas" or account
	}{
		{connect.Place{Account: "acct", Key: "a2V5", Table: "tab"}, "https://acct.table.core.windows.net/ tab acct"},
		{connect.Place{URL: "https://acct.table.core.windows.net/tab?" + sig}, "https://acct.table.core.windows.net/ tab sas"},
		{connect.Place{URL: "https://acct.table.core.windows.net/?" + sig, Table: "tab"}, "https://acct.table.core.windows.net/ tab sas"},
		{connect.Place{ConnectionString: "AccountName=acct;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn", Table: "tab"}, "https://acct.table.core.chinacloudapi.cn/ tab acct"},
		{connect.Place{ConnectionString: "TableEndpoint=http://127.0.0.1:1/dev;SharedAccessSignature=" + sig, Table: "tab"}, "http://127.0.0.1:1/dev/ tab sas"},
		{connect.Place{Account: "acct.evil.example/", Key: "a2V5", Table: "tab"}, ""},
		{connect.Place{ConnectionString: "secretpastedalone", Table: "tab"}, ""},
	} {
		tab := &table{Place: tt.place, name: tt.place.Table}
		a, err := tab.address()
		got := ""
		if err == nil {
			how := a.account
			if a.sas != "" {
				how = "sas"
			}
			got = a.base + " " + tab.name + " " + how
		} else if strings.Contains(err.Error(), "secretpastedalone") {
			t.Errorf("a secret is in %v", err)
		}
		if got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.place.String(), got, err, tt.want)
		}
	}
}

// FuzzEntity: no entity may panic, and an entity read twice is the same.
func FuzzEntity(f *testing.F) {
	f.Add([]byte(`{"odata.etag":"x","PartitionKey":"a","n":1,"n@odata.type":"Edm.Double"}`))
	f.Add([]byte(`{"a":null,"b":true,"c":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var e entity
		if e.read(body) != nil {
			return
		}
		first := slices.Clone(e.properties)
		if err := e.read(body); err != nil || !slices.Equal(first, e.properties) {
			t.Errorf("%v, then %v, %v", first, e.properties, err)
		}
	})
}

package outside

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/guard"
)

const secret = "c2VjcmV0LXBsYW50ZWQ="

// guarded opens places as the program does, with rules of its own.
func guarded(rules guard.Rules, connections map[string]Connection) *Outside {
	g := guard.New(rules)
	return New(Config{
		Blobs: blob.New(blob.Config{Transport: g.Transport(), Accounts: []string{"ours.blob.core.windows.net"}}),
		Dial:  g.DialContext, Transport: g.Transport(), Accounts: []string{"ours.blob.core.windows.net"}, Connections: connections,
	})
}

// at are the places of every kind at an address.
func at(host string) map[string]connect.Place {
	account := "AccountName=a;AccountKey=" + secret
	return map[string]connect.Place{
		"blob":          {Source: connect.Blob, ConnectionString: account + ";BlobEndpoint=http://" + host + "/a", RelativeLocation: "c/a.csv"},
		"folder":        {Source: connect.Blob, ConnectionString: account + ";BlobEndpoint=https://" + host + "/a", RelativeLocation: "c/in/"},
		"signed blob":   {Source: connect.Blob, BaseLocation: "https://" + host + "/", RelativeLocation: "c/a.csv", SasBlobToken: "?sig=" + secret},
		"table":         {Source: connect.Table, ConnectionString: account + ";TableEndpoint=http://" + host + "/a", Table: "tab"},
		"signed table":  {Source: connect.Table, URL: "https://" + host + "/tab?sig=" + secret},
		"sql server":    {Source: connect.SQLServer, Server: host, Database: "d", User: "u", Password: secret, Query: "SELECT 1"},
		"postgres":      {Source: connect.PostgreSQL, Server: host, Database: "d", User: "u", Password: secret, Query: "SELECT 1"},
		"mysql":         {Source: connect.MySQL, Server: host, Database: "d", User: "u", Password: secret, Query: "SELECT 1"},
		"hive":          {Source: connect.Hive, URL: "hive2://" + host, User: "u", Password: secret, Query: "SELECT 1"},
		"hive over web": {Source: connect.Hive, URL: "https://" + host + "/hive2", User: "u", Password: secret, Query: "SELECT 1"},
		"http":          {Source: connect.HTTP, URL: "http://" + host + "/a.csv"},
		"odata":         {Source: connect.OData, URL: "https://" + host + "/feed"},
	}
}

// TestRefused: no kind of place is reached at an address inside, whether it is
// written as one or a name resolves to it.
func TestRefused(t *testing.T) {
	o := guarded(guard.Rules{}, nil)
	for _, host := range []string{
		"127.0.0.1:9", "localhost:9", "169.254.169.254:80", "168.63.129.16:80", "10.0.0.1:443", "172.16.0.1:1433", "192.168.1.1:5432",
		"100.64.0.1:3306", "198.18.0.1:80", "0.0.0.0:9", "[::1]:9", "[::ffff:127.0.0.1]:9", "[64:ff9b::7f00:1]:80", "[fd00::1]:80", "[fe80::1]:80",
	} {
		for kind, p := range at(host) {
			t.Run(kind+" at "+host, func(t *testing.T) {
				src, err := o.Source("ws", p)
				if err == nil {
					_, err = src.Open(t.Context())
				}
				if !fault.HasCode(err, guard.CodeRefused) {
					t.Errorf("err = %v", err)
				}
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is in %v", err)
				}
			})
		}
	}
}

// TestRefused_written is about addresses that are none of the Internet, and
// our own storage.
func TestRefused_written(t *testing.T) {
	o := guarded(guard.Rules{}, nil)
	for name, p := range map[string]connect.Place{
		"file":               {Source: connect.HTTP, URL: "file:///etc/passwd"},
		"file feed":          {Source: connect.OData, URL: "file:///etc/passwd"},
		"file hive":          {Source: connect.Hive, URL: "file:///etc/passwd", Query: "x"},
		"file table":         {Source: connect.Table, URL: "file:///etc/passwd?sig=x", Table: "tab"},
		"file blob":          {Source: connect.Blob, BaseLocation: "file:///", RelativeLocation: "etc/passwd.csv", SasBlobToken: "?sig=x"},
		"a socket":           {Source: connect.PostgreSQL, Server: "/var/run/postgresql", Database: "d", User: "u", Query: "x"},
		"a named pipe":       {Source: connect.SQLServer, Server: `np:\\.\pipe\sql`, Database: "d", User: "u", Query: "x"},
		"emulator":           {Source: connect.Blob, ConnectionString: "UseDevelopmentStorage=true", RelativeLocation: "c/a.csv"},
		"emulator's tables":  {Source: connect.Table, ConnectionString: "UseDevelopmentStorage=true", Table: "tab"},
		"our own blobs":      {Source: connect.Blob, ConnectionString: "AccountName=ours;AccountKey=" + secret, RelativeLocation: "c/a.csv"},
		"our own tables":     {Source: connect.Table, Account: "ours", Key: secret, Table: "jobs"},
		"a kind that is not": {Source: "Ftp"},
		"no kind":            {},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := o.Source("ws", p)
			if err == nil {
				_, err = src.Open(t.Context())
			}
			if err == nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Internal) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// TestAllowed: what the settings allow is dialled, on its port only.
func TestAllowed(t *testing.T) {
	o := guarded(guard.Rules{Allow: []guard.Network{{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Port: 9}}}, nil)
	for host, refused := range map[string]bool{"127.0.0.1:9": false, "127.0.0.1:10": true} {
		src, err := o.Source("ws", connect.Place{Source: connect.HTTP, URL: "http://" + host + "/a.csv"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = src.Open(t.Context()); fault.HasCode(err, guard.CodeRefused) != refused {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestConnections(t *testing.T) {
	connections, err := ParseConnections(`{
		"wh": {"Source":"PostgreSql","Server":"db.example","Database":"dw","User":"u","Password":"` + secret + `","Workspaces":["ws1","ws2"]},
		"all": {"Source":"Http","Url":"https://x.example/a.csv","Workspaces":["*"]}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	o := guarded(guard.Rules{}, connections)
	for name, tt := range map[string]struct {
		ws    string
		place connect.Place
		want  connect.Place
		says  string
	}{
		"of the workspace": {ws: "ws2", place: connect.Place{Connection: "wh", Query: "SELECT 1"}, want: connect.Place{
			Source: connect.PostgreSQL, Connection: "wh", Server: "db.example", Database: "dw", User: "u", Password: secret, Query: "SELECT 1",
		}},
		"of the same kind":     {ws: "ws1", place: connect.Place{Source: connect.PostgreSQL, Connection: "wh"}, want: connect.Place{Source: connect.PostgreSQL, Connection: "wh", Server: "db.example", Database: "dw", User: "u", Password: secret}},
		"of all":               {ws: "ws3", place: connect.Place{Connection: "all"}, want: connect.Place{Source: connect.HTTP, Connection: "all", URL: "https://x.example/a.csv"}},
		"none":                 {ws: "ws3", place: connect.Place{Source: connect.OData, URL: "u"}, want: connect.Place{Source: connect.OData, URL: "u"}},
		"of another workspace": {ws: "ws3", place: connect.Place{Connection: "wh"}, says: "has no connection"},
		"absent":               {ws: "ws1", place: connect.Place{Connection: "x"}, says: "has no connection"},
		"of another kind":      {ws: "ws1", place: connect.Place{Source: connect.MySQL, Connection: "wh"}, says: "of kind PostgreSql, not MySql"},
		"led elsewhere":        {ws: "ws1", place: connect.Place{Connection: "wh", Server: "evil.example"}, says: "Server is the connection's to say"},
		"another user":         {ws: "ws1", place: connect.Place{Connection: "wh", User: "root"}, says: "User is the connection's to say"},
		"rows below none":      {ws: "ws1", place: connect.Place{Connection: "wh", BatchRows: -1}, says: "BatchRows is -1"},
		"entities below none":  {ws: "ws1", place: connect.Place{Connection: "wh", ScanRows: -5}, says: "ScanRows is -5"},
		"in the clear":         {ws: "ws1", place: connect.Place{Connection: "wh", Unencrypted: true}, says: "how the server is reached"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := o.resolve(tt.ws, tt.place)
			if tt.says != "" {
				if !fault.Is(err, fault.LibraryExecution) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestParseConnections_refusals(t *testing.T) {
	for text, says := range map[string]string{
		`[]`:    "not a JSON object",
		`{`:     "not a JSON object",
		`null`:  "not a JSON object",
		`{} {}`: "behind its end",
		`{"a b":{"Source":"Http","Workspaces":["*"]}}`:                             "the name of connection 1",
		`{"a":{"Source":"Ftp","Workspaces":["*"]}}`:                                "Source is not one of",
		`{"a":{"Source":"Http"}}`:                                                  "Workspaces is not given",
		`{"a":{"Source":"Http","Workspaces":["*"],"Connection":"b"}}`:              "names another",
		`{"a":{"Source":"Http","Workspaces":["*"],"Pasword":"` + secret + `"}}`:    "a member that is not known",
		`{"a":{"Source":"Http","Workspaces":["*"],"Password":["` + secret + `"]}}`: `connection "a" is no place`,
	} {
		_, err := ParseConnections(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("a secret is in %v", err)
		}
	}
	if c, err := ParseConnections(""); c != nil || err != nil {
		t.Errorf("none: %v, %v", c, err)
	}
}

// TestFor: a table that is imported is bounded, and a sink is no source.
func TestFor(t *testing.T) {
	o := guarded(guard.Rules{}, nil)
	w := o.For("ws", "job")
	f := frame.NewColumn(frame.Field{Name: "a"}, 0)
	if err := w.Export(t.Context(), "n", connect.Place{Source: connect.HTTP, URL: "https://x.example/a.csv"}, &frame.Frame{Cols: []*frame.Column{f}}); !fault.HasCode(err, "Error0002") {
		t.Errorf("export to the web: %v", err)
	}
	if _, err := w.Fetch(t.Context(), connect.Place{Source: connect.MySQL}, 1); !fault.HasCode(err, "Error0002") {
		t.Errorf("a file of a database: %v", err)
	}
	if _, err := w.Fetch(t.Context(), connect.Place{Source: connect.HTTP, URL: "http://127.0.0.1:9/m.ilearner"}, 1); !fault.HasCode(err, guard.CodeRefused) {
		t.Errorf("a model here: %v", err)
	}
	if _, err := w.Import(t.Context(), connect.Place{Source: connect.HTTP, URL: "http://127.0.0.1:9/a.csv"}, nil); !fault.HasCode(err, guard.CodeRefused) {
		t.Errorf("a table here: %v", err)
	}
}

package dataio

import (
	"context"
	"slices"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Data sources and destinations, as the Studio called them; the last two are
// ours.
const (
	fromWeb      = "Web URL via HTTP"
	fromHive     = "Hive Query"
	fromSQL      = "Azure SQL Database"
	fromTable    = "Azure Table"
	fromBlob     = "Azure Blob Storage"
	fromFeed     = "Data Feed Provider"
	fromPostgres = "PostgreSQL"
	fromMySQL    = "MySQL"
)

const (
	byAccount = "Account"
	bySAS     = "PublicOrSas"
)

// when is the condition that param has one of the values.
func when(param string, is ...string) *module.When { return &module.When{Param: param, Is: is} }

// kinds are the kinds of places that the sources are.
var kinds = map[string]connect.Kind{
	fromWeb: connect.HTTP, fromHive: connect.Hive, fromSQL: connect.SQLServer, fromTable: connect.Table,
	fromBlob: connect.Blob, fromFeed: connect.OData, fromPostgres: connect.PostgreSQL, fromMySQL: connect.MySQL,
}

var fileFormats = []string{"CSV", "TSV", "ARFF", "SvmLight", "JSONL", "Parquet"}

// named is the parameter by which both modules name a connection.
func named() module.Param {
	return module.Param{
		Name: "Named connection", Type: module.String,
		Doc: "A connection of the service's settings, which fixes server, database, account and credentials; leave those out here. It cannot be seen or led elsewhere.",
	}
}

// serverParams are those of a database server, shown while on has one of the
// databases.
func serverParams(on string) []module.Param {
	sql := when(on, fromSQL, fromPostgres, fromMySQL)
	return []module.Param{
		{Name: "Database server name", Type: module.String, When: sql, Doc: "Host, or host:port, of the database server, as in myserver.database.windows.net."},
		{Name: "Database name", Type: module.String, When: sql, Doc: "The database on the server."},
		{Name: "Server user account name", Type: module.String, When: sql, Doc: "The user to log in as."},
		{Name: "Server user account password", Type: module.Credential, When: sql, Doc: "The user's password: a global parameter of type Credential fills it."},
		{Name: "Accept any server certificate (insecure)", Type: module.Boolean, Default: "false", When: sql, Doc: "Encrypt without asking who the server is."},
		{Name: "Encrypt connection", Type: module.Boolean, Default: "true", When: when(on, fromSQL, fromPostgres, fromMySQL, fromHive), Doc: "Refuse to talk to the server in the clear. A Hive address that begins with http: or https: says it itself."},
	}
}

// hiveParams are those of a HiveServer2.
func hiveParams(on string) []module.Param {
	hive := when(on, fromHive)
	return []module.Param{
		{Name: "HCatalog server URI", Type: module.String, When: hive, Doc: "Address of HiveServer2: https://mycluster.azurehdinsight.net, or hive2://host:10000."},
		{Name: "Hadoop user account name", Type: module.String, When: hive, Doc: "The user to log in as."},
		{Name: "Hadoop user account password", Type: module.Credential, When: hive, Doc: "The user's password: a global parameter of type Credential fills it."},
	}
}

// ImportData reads a table from outside.
func ImportData() *module.Module {
	const source = "Data source"
	web, table, blob := when(source, fromWeb), when(source, fromTable), when(source, fromBlob)
	account, sas := when("Authentication type", byAccount), when("Authentication type", bySAS)
	params := slices.Concat([]module.Param{
		{
			Name: source, Type: module.Enumerated, Default: fromBlob, Schema: true,
			Options: []string{fromWeb, fromHive, fromSQL, fromTable, fromBlob, fromFeed, fromPostgres, fromMySQL}, Doc: "Where the table is.",
		},
		named(),
		{Name: "Use cached results", Type: module.Boolean, Default: "false", Doc: "Read again only when a parameter has changed; otherwise every run reads."},

		{Name: "URL", Type: module.String, When: web, Doc: "Full http or https address of a file that anybody may read. A redirect is refused."},
		{Name: "Data format", Type: module.Enumerated, Default: "CSV", Options: fileFormats, When: web, Schema: true, Doc: "How the file is written."},
		{Name: "CSV or TSV has header row", Type: module.Boolean, Default: "false", When: web, Schema: true, Doc: "The first row names the columns; otherwise they are called Col1, Col2, …"},
	}, hiveParams(source), []module.Param{
		{Name: "Hive database query", Type: module.Script, When: when(source, fromHive), Schema: true, Doc: "The query whose rows are read."},
	}, serverParams(source), []module.Param{
		{Name: "Database query", Type: module.Script, When: when(source, fromSQL, fromPostgres, fromMySQL), Schema: true, Doc: "The query whose rows are read."},

		{
			Name: "Authentication type", Type: module.Enumerated, Default: byAccount, Options: []string{bySAS, byAccount},
			When: when(source, fromTable, fromBlob), Doc: "By the account's key, or by an address that is public or carries a shared access signature.",
		},
		{Name: "Account name", Type: module.String, When: account, Doc: "The storage account."},
		{Name: "Account key", Type: module.Credential, When: account, Doc: "The account's key: a global parameter of type Credential fills it."},
		{Name: "Shared access signature", Type: module.Credential, When: sas, Doc: "The part of the address behind the question mark, where it is not public: a global parameter of type Credential fills it."},

		{Name: "Table URI", Type: module.String, When: table, Doc: "Address of the table, without a signature (PublicOrSas)."},
		{Name: "Table name", Type: module.String, When: table, Doc: "The table (Account)."},
		{Name: "Rows to scan for property names", Type: module.Enumerated, Default: "TopN", Options: []string{"TopN", "ScanAll"}, When: table, Schema: true, Doc: "How many entities are looked at for the columns that there are."},
		{Name: "Rows count for TopN", Type: module.Int, Default: "1000", Range: &module.Range{Min: 1, Max: 1e9}, When: when("Rows to scan for property names", "TopN"), Schema: true, Doc: "So many entities, the first."},

		{Name: "URI", Type: module.String, When: blob, Doc: "Address of the blob, without a signature (PublicOrSas)."},
		{Name: "File format", Type: module.Enumerated, Default: "CSV", Options: fileFormats, When: blob, Schema: true, Doc: "How the file at the URI is written."},
		{Name: "URI has header row", Type: module.Boolean, Default: "false", When: blob, Schema: true, Doc: "The first row of the file at the URI names the columns."},
		{Name: "Path to container, directory, or blob", Type: module.String, When: blob, Doc: "container/path of a blob; of a folder, with / at the end; or with * and ? for the blobs that match, which are read as one (Account)."},
		{Name: "Blob file format", Type: module.Enumerated, Default: "CSV", Options: fileFormats, When: blob, Schema: true, Doc: "How the blobs are written."},
		{Name: "File has header row", Type: module.Boolean, Default: "true", When: blob, Schema: true, Doc: "The first row of each blob names the columns."},

		{Name: "Data content type", Type: module.Enumerated, Default: "OData", Options: []string{"OData"}, When: when(source, fromFeed), Doc: "The protocol of the feed."},
		{Name: "Source URL", Type: module.String, When: when(source, fromFeed), Doc: "Address of the feed: JSON of OData 2 to 4, or Atom. Further pages are read on the same host."},
	})
	return &module.Module{
		Spec: module.Spec{
			Name: "Import Data", Aliases: []string{"Reader"}, Group: group, CodeVersion: 1, Nature: module.WholeTable, Outside: true,
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table."}},
			Params:  params,
			Doc:     "Reads a table from a web address, a blob, an Azure table, a SQL database, Hive or a data feed. In a published service it reads anew in each call, with the columns that it had when the experiment was run.",
		},
		Run: func(ctx context.Context, c *module.Call) ([]module.Value, error) {
			out, err := c.Beyond()
			if err != nil {
				return nil, err
			}
			p, err := importPlace(c.Params)
			if err != nil {
				return nil, err
			}
			var pinned frame.Schema
			if len(c.Pinned) > 0 {
				pinned = c.Pinned[0]
			}
			f, err := out.Import(ctx, p, pinned)
			if err != nil {
				return nil, err
			}
			c.Log("read %d rows of %d columns from %s", f.Rows(), len(f.Cols), p.String())
			return []module.Value{module.Table(f)}, nil
		},
	}
}

// importPlace is the place that the parameters name.
func importPlace(v module.Values) (connect.Place, error) {
	source := v.Text("Data source")
	p := connect.Place{Source: kinds[source], Connection: v.Text("Named connection")}
	switch source {
	case fromWeb:
		p.URL, p.FileFormat = v.Text("URL"), v.Text("Data format")
		p.NoHeader = headless(p.FileFormat, v.Bool("CSV or TSV has header row"))
		if err := unsigned("URL", p.URL); err != nil {
			return p, err
		}
	case fromHive:
		p.Query = v.Text("Hive database query")
		return p, hivePlace(&p, v)
	case fromSQL, fromPostgres, fromMySQL:
		p.Query = v.Text("Database query")
		return p, serverPlace(&p, v)
	case fromFeed:
		p.URL = v.Text("Source URL")
		if err := unsigned("Source URL", p.URL); err != nil {
			return p, err
		}
	case fromTable:
		if v.Text("Rows to scan for property names") == "TopN" {
			p.ScanRows = int(v.Int("Rows count for TopN"))
		}
		if v.Text("Authentication type") == byAccount || p.Connection != "" {
			p.Account, p.Key, p.Table = v.Text("Account name"), v.Text("Account key"), v.Text("Table name")
			return p, needed(&p, v, "Account name", "Account key")
		}
		var err error
		p.URL, err = signed("Table URI", v.Text("Table URI"), v.Text("Shared access signature"))
		return p, err
	case fromBlob:
		if v.Text("Authentication type") == byAccount || p.Connection != "" {
			p.RelativeLocation, p.FileFormat = v.Text("Path to container, directory, or blob"), v.Text("Blob file format")
			p.NoHeader = headless(p.FileFormat, v.Bool("File has header row"))
			return p, accountOf(&p, v, "Account name", "Account key")
		}
		p.FileFormat = v.Text("File format")
		p.NoHeader = headless(p.FileFormat, v.Bool("URI has header row"))
		// One blob, by its address: public ones have no reference of the classic
		// form.
		var err error
		p.Source = connect.HTTP
		p.URL, err = signed("URI", v.Text("URI"), v.Text("Shared access signature"))
		return p, err
	}
	return p, nil
}

package dataio

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// ExportData writes a table to somewhere outside.
func ExportData() *module.Module {
	const to = "Data destination"
	sql, table, blob := when(to, fromSQL, fromPostgres, fromMySQL), when(to, fromTable), when(to, fromBlob)
	account, sas := when("Authentication type", byAccount), when("Authentication type", "SAS")
	params := slices.Concat([]module.Param{
		{
			Name: to, Type: module.Enumerated, Default: fromBlob, Options: []string{fromHive, fromSQL, fromTable, fromBlob, fromPostgres, fromMySQL},
			Doc: "Where the table goes.",
		},
		named(),

		{Name: "Authentication type", Type: module.Enumerated, Default: byAccount, Options: []string{"SAS", byAccount}, When: blob, Doc: "By the account's key, or by the address of a blob with a shared access signature."},
		{Name: "SAS URI for blob", Type: module.Credential, When: sas, Doc: "Address of the blob with its signature: a global parameter of type Credential fills it."},
		{Name: "Azure account name", Type: module.String, When: account, Doc: "The storage account."},
		{Name: "Azure account key", Type: module.Credential, When: account, Doc: "The account's key: a global parameter of type Credential fills it."},
		{Name: "Path to blob beginning with container", Type: module.String, When: account, Doc: "container/path/file.csv."},
		{Name: "Azure blob storage write mode", Type: module.Enumerated, Default: "Error", Options: []string{"Error", "Overwrite"}, When: blob, Doc: "What to do where the blob exists already."},
		{Name: "File format for blob file", Type: module.Enumerated, Default: "CSV", Options: fileFormats, When: blob, Doc: "How the blob is written."},
		{Name: "Write blob header row", Type: module.Boolean, Default: "false", When: when("File format for blob file", "CSV", "TSV"), Doc: "Begin the blob with the names of the columns."},

		{Name: "Azure table account name", Type: module.String, When: table, Doc: "The storage account."},
		{Name: "Azure storage key", Type: module.Credential, When: table, Doc: "The account's key: a global parameter of type Credential fills it."},
		{Name: "Azure table name", Type: module.String, When: table, Doc: "The table, which is made where it does not exist."},
		{Name: "Azure table partition key", Type: module.String, When: table, Doc: "The column whose value is the partition key; empty: one partition for each export."},
		{Name: "Azure table row key", Type: module.String, When: table, Doc: "The column whose value is the row key; empty: the number of the row. A row of the same keys is written over."},
		{Name: "Azure Table origin columns", Type: module.String, When: table, Doc: "Comma-separated columns to be saved; empty: all."},
		{Name: "Azure Table destination columns", Type: module.String, When: table, Doc: "Their names in the table, in the same order; empty: the same."},
	}, serverParams(to), []module.Param{
		{Name: "Comma separated list of columns to be saved", Type: module.String, When: sql, Doc: "Columns to be saved; empty: all."},
		{Name: "Data table name", Type: module.String, When: sql, Doc: "The table, or schema.table, which is made where it does not exist."},
		{Name: "Comma separated list of datatable columns", Type: module.String, When: sql, Doc: "The columns' names in the table, in the same order; empty: the same."},
		{Name: "Number of rows written per SQL Azure operation", Type: module.Int, Default: "50", Range: &module.Range{Min: 1, Max: 100_000}, When: when(to, fromSQL, fromMySQL), Doc: "Rows of one operation. All operations of an export are one transaction."},
	}, hiveParams(to), []module.Param{
		{Name: "Hive table name", Type: module.String, When: when(to, fromHive), Doc: "The table, or database.table, which is made, partitioned by portico_job, where it does not exist."},
	})
	return &module.Module{
		Spec: module.Spec{
			Name: "Export Data", Aliases: []string{"Writer"}, Group: group, CodeVersion: 1, Nature: module.WholeTable, Outside: true,
			Inputs: []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The table to be written."}},
			Params: params,
			Doc:    "Writes a table to a blob, an Azure table, a SQL database or Hive. In a published service it writes in each call; in a batch job when the job's output is delivered, once.",
		},
		Run: func(ctx context.Context, c *module.Call) ([]module.Value, error) {
			out, err := c.Beyond()
			if err != nil {
				return nil, err
			}
			p, err := exportPlace(c.Params)
			if err != nil {
				return nil, err
			}
			f := c.Inputs[0].Frame
			if err := out.Export(ctx, c.Node, p, f); err != nil {
				return nil, err
			}
			c.Log("wrote %d rows to %s", f.Rows(), p.String())
			return nil, nil
		},
	}
}

// exportPlace is the place that the parameters name.
func exportPlace(v module.Values) (p connect.Place, err error) {
	to := v.Text("Data destination")
	p = connect.Place{Source: kinds[to], Connection: v.Text("Named connection")}
	columns := func(from, names string) error {
		if p.Columns, err = list(from, v.Text(from)); err == nil {
			p.TableColumns, err = list(names, v.Text(names))
		}
		return err
	}
	switch to {
	case fromHive:
		if err := hivePlace(&p, v); err != nil {
			return p, err
		}
		p.Table = v.Text("Hive table name")
	case fromSQL, fromPostgres, fromMySQL:
		if err := serverPlace(&p, v); err != nil {
			return p, err
		}
		p.Table = v.Text("Data table name")
		if to != fromPostgres {
			p.BatchRows = int(v.Int("Number of rows written per SQL Azure operation"))
		}
		err = columns("Comma separated list of columns to be saved", "Comma separated list of datatable columns")
	case fromTable:
		if err := needed(&p, v, "Azure table account name", "Azure storage key"); err != nil {
			return p, err
		}
		p.Account, p.Key, p.Table = v.Text("Azure table account name"), v.Text("Azure storage key"), v.Text("Azure table name")
		p.PartitionKey, p.RowKey = v.Text("Azure table partition key"), v.Text("Azure table row key")
		err = columns("Azure Table origin columns", "Azure Table destination columns")
	case fromBlob:
		p.FileFormat = v.Text("File format for blob file")
		p.NoHeader = headless(p.FileFormat, v.Bool("Write blob header row"))
		p.KeepExisting = v.Text("Azure blob storage write mode") == "Error"
		if v.Text("Authentication type") == byAccount || p.Connection != "" {
			p.RelativeLocation = v.Text("Path to blob beginning with container")
			return p, accountOf(&p, v, "Azure account name", "Azure account key")
		}
		err = blobOf(&p, v.Text("SAS URI for blob"))
	}
	return p, err
}

// blobOf takes the address of a blob with a signature apart.
func blobOf(p *connect.Place, address string) error {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || !u.Query().Has("sig") {
		return module.Errorf(29, "SAS URI for blob is not the address of a blob with a shared access signature").At("SAS URI for blob")
	}
	p.BaseLocation, p.RelativeLocation, p.SasBlobToken = u.Scheme+"://"+u.Host+"/", strings.TrimPrefix(u.Path, "/"), "?"+u.RawQuery
	return nil
}

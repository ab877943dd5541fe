package connect

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
)

// Kind is a kind of place. Kinds are stored and spoken on the wire.
type Kind string

// The kinds.
const (
	Blob       Kind = "Blob"       // a blob, a folder of blobs, or a pattern
	Table      Kind = "Table"      // Azure Table
	SQLServer  Kind = "SqlServer"  // SQL Server and Azure SQL Database
	PostgreSQL Kind = "PostgreSql" // PostgreSQL
	MySQL      Kind = "MySql"      // MySQL and MariaDB
	Hive       Kind = "Hive"       // HiveServer2
	HTTP       Kind = "Http"       // a file at a public address
	OData      Kind = "OData"      // a data feed
)

// Kinds lists the kinds there are.
func Kinds() []Kind {
	return []Kind{Blob, Table, SQLServer, PostgreSQL, MySQL, Hive, HTTP, OData}
}

// Place says where records are. In a batch request it is the value of an input
// or output; each kind reads the fields that its package names, and refuses a
// place that lacks one. It prints without its secrets.
type Place struct {
	Source Kind `json:"Source,omitempty"`
	// Connection is a connection of the settings: it fixes everything but what
	// is read or written there.
	Connection string `json:"Connection,omitempty"`

	// Blob, as in a classic reference; a RelativeLocation that ends in "/" is a
	// folder, one with * or ? a pattern.
	ConnectionString string `json:"ConnectionString,omitempty"`
	RelativeLocation string `json:"RelativeLocation,omitempty"`
	BaseLocation     string `json:"BaseLocation,omitempty"`
	SasBlobToken     string `json:"SasBlobToken,omitempty"`
	// KeepExisting refuses to write over a blob that is there.
	KeepExisting bool `json:"KeepExisting,omitempty"`

	// FileFormat is that of a file (Blob, Http); empty: by its extension. NoHeader
	// says that its first record is data.
	FileFormat string `json:"Format,omitempty"`
	NoHeader   bool   `json:"NoHeader,omitempty"`

	// URL is the address of a file, a feed, a table service or a HiveServer2.
	URL string `json:"Url,omitempty"`

	// Server is host or host:port.
	Server   string `json:"Server,omitempty"`
	Database string `json:"Database,omitempty"`
	User     string `json:"User,omitempty"`
	Password string `json:"Password,omitempty"`
	// Unencrypted talks to the server in the clear; AnyCertificate encrypts
	// without asking who the server is.
	Unencrypted    bool `json:"Unencrypted,omitempty"`
	AnyCertificate bool `json:"AnyCertificate,omitempty"`

	// Query is what is read of a database.
	Query string `json:"Query,omitempty"`
	// Table is what is written, and for Azure Table what is read.
	Table string `json:"Table,omitempty"`
	// Columns are the columns that are written; empty: all. TableColumns are
	// their names there; empty: the same.
	Columns      []string `json:"Columns,omitempty"`
	TableColumns []string `json:"TableColumns,omitempty"`
	// BatchRows is how many rows one operation writes; 0: as suits the place.
	BatchRows int `json:"BatchRows,omitempty"`

	// Account and Key are those of an Azure Table.
	Account string `json:"AccountName,omitempty"`
	Key     string `json:"AccountKey,omitempty"`
	// ScanRows is how many entities are looked at for the names of properties;
	// 0: all.
	ScanRows int `json:"ScanRows,omitempty"`
	// PartitionKey and RowKey are the columns that hold an entity's keys.
	PartitionKey string `json:"PartitionKey,omitempty"`
	RowKey       string `json:"RowKey,omitempty"`
}

// Secrets returns the parts of the place that must never be shown.
func (p *Place) Secrets() []string {
	var s []string
	for _, v := range []string{p.Password, p.Key, p.ConnectionString, p.SasBlobToken} {
		if v != "" {
			s = append(s, v)
		}
	}
	if _, query, ok := strings.Cut(p.URL, "?"); ok && query != "" {
		s = append(s, query) // a signature, as often as not
	}
	return s
}

// String names the place without its secrets.
func (p *Place) String() string {
	where := ""
	switch p.Source {
	case Blob:
		where = p.BaseLocation + p.RelativeLocation
	case HTTP, OData, Hive:
		where, _, _ = strings.Cut(p.URL, "?")
	case Table:
		where = p.Table
	default:
		where = p.Server + "/" + p.Database
	}
	if p.Connection != "" {
		where = "connection " + p.Connection
	}
	return string(p.Source) + " " + where
}

// Format keeps every verb from showing a secret.
func (p Place) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }

// LogValue redacts in logs.
func (p Place) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Need refuses a place without one of the fields: pairs of name and value.
func (p *Place) Need(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if strings.TrimSpace(pairs[i+1]) == "" {
			return fault.Module(3, "%s: %s is not given", p.Source, pairs[i]).At(pairs[i])
		}
	}
	return nil
}

// Over returns the place with everything that connection c fixes. What c fixes
// must not be given by p, which would lead c's password to another server.
func (p Place) Over(c Place) (Place, error) {
	if p.Source != "" && p.Source != c.Source {
		return p, fault.Module(2, "connection %q is of kind %s, not %s", p.Connection, c.Source, p.Source).At("Connection")
	}
	p.Source = c.Source
	fixed := []struct {
		name   string
		mine   *string
		theirs string
	}{
		{"ConnectionString", &p.ConnectionString, c.ConnectionString},
		{"BaseLocation", &p.BaseLocation, c.BaseLocation},
		{"SasBlobToken", &p.SasBlobToken, c.SasBlobToken},
		{"Url", &p.URL, c.URL},
		{"Server", &p.Server, c.Server},
		{"Database", &p.Database, c.Database},
		{"User", &p.User, c.User},
		{"Password", &p.Password, c.Password},
		{"AccountName", &p.Account, c.Account},
		{"AccountKey", &p.Key, c.Key},
	}
	for _, f := range fixed {
		if *f.mine != "" {
			return p, fault.Module(2, "%s is the connection's to say: leave it out where connection %q is used", f.name, p.Connection).At(f.name)
		}
		*f.mine = f.theirs
	}
	if p.Unencrypted || p.AnyCertificate {
		return p, fault.Module(2, "how the server is reached is the connection's to say: leave Unencrypted and AnyCertificate out where connection %q is used", p.Connection).At("Connection")
	}
	p.Unencrypted, p.AnyCertificate = c.Unencrypted, c.AnyCertificate
	return p, nil
}

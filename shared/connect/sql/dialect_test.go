package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/frame"
)

// TestCreate is what a table is made of, in each database.
func TestCreate(t *testing.T) {
	for kind, want := range map[connect.Kind]string{
		connect.SQLServer:  "CREATE TABLE [s].[t]]x] ([id] int NULL, [big] bigint NULL, [amount] float NULL, [yes] bit NULL, [when] datetime2 NULL, [te\"x] nvarchar(max) NULL, [level] nvarchar(max) NULL)",
		connect.PostgreSQL: `CREATE TABLE "s"."t]x" ("id" integer NULL, "big" bigint NULL, "amount" double precision NULL, "yes" boolean NULL, "when" timestamp NULL, "te""x" text NULL, "level" text NULL)`,
		connect.MySQL:      "CREATE TABLE `s`.`t]x` (`id` int NULL, `big` bigint NULL, `amount` double NULL, `yes` boolean NULL, `when` datetime(6) NULL, `te\"x` longtext NULL, `level` longtext NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
	} {
		s := &sink{&server{connect.Place{Source: kind}, dialects[kind], nil}, name{"s", "t]x"}}
		from, names, err := s.columns(everyType)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.create(everyType, from, names); got != want {
			t.Errorf("%s\n%s", got, want)
		}
	}
}

// TestSQLServer_types: every type that SQL Server has is read, or is refused by
// name.
func TestSQLServer_types(t *testing.T) {
	read := dialects[connect.SQLServer].read
	for kind, want := range map[string]frame.Type{
		"BIT": frame.Boolean, "TINYINT": frame.Int32, "SMALLINT": frame.Int32, "INT": frame.Int32, "BIGINT": frame.Int64,
		"REAL": frame.Double, "FLOAT": frame.Double, "DECIMAL": frame.Double, "MONEY": frame.Double, "SMALLMONEY": frame.Double,
		"DATE": frame.DateTime, "DATETIME": frame.DateTime, "DATETIME2": frame.DateTime, "SMALLDATETIME": frame.DateTime, "DATETIMEOFFSET": frame.DateTime,
		"CHAR": frame.String, "NCHAR": frame.String, "VARCHAR": frame.String, "NVARCHAR": frame.String, "TEXT": frame.String, "NTEXT": frame.String,
		"XML": frame.String, "TIME": frame.String, "UNIQUEIDENTIFIER": frame.String,
	} {
		if got, ok := read[kind]; !ok || got != want {
			t.Errorf("%s: %s, %v", kind, got, ok)
		}
	}
	for _, kind := range []string{"BINARY", "VARBINARY", "IMAGE", "SQL_VARIANT", "UDT"} {
		if got, ok := read[kind]; ok {
			t.Errorf("%s is read as %s", kind, got)
		}
	}
}

func TestParseName(t *testing.T) {
	pg, ms, my := dialects[connect.PostgreSQL], dialects[connect.SQLServer], dialects[connect.MySQL]
	for _, tt := range []struct {
		d    dialect
		text string
		want string // "" = refused
	}{
		{pg, "scores", `"scores"`},
		{pg, " s.scores ", `"s"."scores"`},
		{pg, `"a.b"."c""d"`, `"a.b"."c""d"`},
		{pg, `x"; DROP TABLE y; --`, `"x""; DROP TABLE y; --"`},
		{ms, "dbo.scores", "[dbo].[scores]"},
		{ms, "[d]]bo].[sc ores]", "[d]]bo].[sc ores]"},
		{my, "`a``b`", "`a``b`"},
		{my, "a`b", "`a``b`"},
		{pg, "", ""},
		{pg, "a.b.c", ""},
		{pg, "a.", ""},
		{pg, ".a", ""},
		{ms, "[a", ""},
		{ms, "[a]b", ""},
		{pg, strings.Repeat("x", 129), ""},
	} {
		n, err := parseName(tt.text, tt.d)
		got := ""
		if err == nil {
			got = tt.d.full(n)
		}
		if got != tt.want {
			t.Errorf("%s %q: %s, %v, want %s", tt.d.name, tt.text, got, err, tt.want)
		}
	}
}

func TestServer_address(t *testing.T) {
	for _, tt := range []struct {
		kind connect.Kind
		text string
		want string // "" = refused
	}{
		{connect.PostgreSQL, "db.example", "db.example:5432"},
		{connect.MySQL, "db.example:3307", "db.example:3307"},
		{connect.SQLServer, "tcp:x.database.windows.net,1433", "x.database.windows.net:1433"},
		{connect.SQLServer, "x.database.windows.net", "x.database.windows.net:1433"},
		{connect.PostgreSQL, "[::1]:5433", "::1:5433"},
		{connect.MySQL, "[::1]", "::1:3306"},
		{connect.PostgreSQL, "::1", "::1:5432"},
		{connect.SQLServer, `db.example\sales`, ""},
		{connect.PostgreSQL, `db.example\sales`, ""},
		{connect.PostgreSQL, "host=db.example", ""},
		{connect.PostgreSQL, "/var/run/postgresql", ""},
		{connect.PostgreSQL, "db.example:0", ""},
		{connect.PostgreSQL, "db.example:port", ""},
		{connect.MySQL, "u@db.example", ""},
		{connect.MySQL, "db.example?x=y", ""},
	} {
		s := &server{connect.Place{Source: tt.kind, Server: tt.text}, dialects[tt.kind], nil}
		host, port, err := s.address()
		got := ""
		if err == nil {
			got = fmt.Sprintf("%s:%d", host, port)
		}
		if got != tt.want {
			t.Errorf("%s %q: %q, %v, want %q", tt.kind, tt.text, got, err, tt.want)
		}
	}
}

package sql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// dialect is what sets a kind of database apart.
type dialect struct {
	name      string
	port      uint16
	open, end byte // of quoted names
	// types are the names of columns of a table that we make, by cell type.
	types map[frame.Type]string
	// read are the types of columns of a query's result, by what the driver
	// calls them; what is not there cannot be read, but where unnamed says so:
	// types that the driver knows by number alone come as text, as enumerations
	// and those of extensions do.
	read    map[string]frame.Type
	unnamed bool
	// zeroDate says that a date may be 0000-00-00, which is none.
	zeroDate bool
	// exists is a query that gives a row where table (schema, name) exists;
	// a schema of "" is the connection's own.
	exists string
	// ledger makes the table of deliveries, unless it is there: their names are
	// told apart by case. enter enters one, and known looks for one.
	ledger, enter, known string
	// ddlCommits says that making a table ends a transaction.
	ddlCommits bool
	// made stands behind the columns of a table that we make. engine, where a
	// database has several, is a query like exists for the engine of a table that
	// has no transactions.
	made, engine string

	connector func(*server) (driver.Connector, error)
	// reason is what the server said, without cells; final that saying it again
	// would not help.
	reason func(err error) (text string, final, ok bool)
	// bulk writes rows within a transaction.
	bulk func(*writer) (bulk, error)
}

// ledgerTable is the table in which a database remembers what was delivered.
const ledgerTable = "portico_delivered"

var dialects = map[connect.Kind]dialect{
	connect.SQLServer: {
		name: "SQL Server", port: 1433, open: '[', end: ']',
		types: map[frame.Type]string{
			frame.Double: "float", frame.Int32: "int", frame.Int64: "bigint",
			frame.Boolean: "bit", frame.DateTime: "datetime2", frame.String: "nvarchar(max)",
		},
		read: types(
			frame.Boolean, "BIT", frame.Int32, "TINYINT SMALLINT INT", frame.Int64, "BIGINT",
			frame.Double, "REAL FLOAT DECIMAL NUMERIC MONEY SMALLMONEY",
			frame.DateTime, "DATE DATETIME DATETIME2 SMALLDATETIME DATETIMEOFFSET",
			frame.String, "CHAR NCHAR VARCHAR NVARCHAR TEXT NTEXT XML JSON TIME UNIQUEIDENTIFIER"),
		exists: `SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = @p2 AND TABLE_SCHEMA = COALESCE(NULLIF(@p1, ''), SCHEMA_NAME())`,
		ledger: `IF OBJECT_ID(N'portico_delivered') IS NULL CREATE TABLE portico_delivered (delivery nvarchar(200) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY, at datetime2 NOT NULL DEFAULT SYSUTCDATETIME())`,
		enter:  `INSERT INTO portico_delivered (delivery) VALUES (@p1)`,
		known:  `SELECT 1 FROM portico_delivered WHERE delivery = @p1`,

		connector: sqlServer, reason: sqlServerReason, bulk: sqlServerBulk,
	},
	connect.PostgreSQL: {
		name: "PostgreSQL", port: 5432, open: '"', end: '"',
		types: map[frame.Type]string{
			frame.Double: "double precision", frame.Int32: "integer", frame.Int64: "bigint",
			frame.Boolean: "boolean", frame.DateTime: "timestamp", frame.String: "text",
		},
		read: types(
			frame.Boolean, "BOOL", frame.Int32, "INT2 INT4", frame.Int64, "INT8 OID",
			frame.Double, "FLOAT4 FLOAT8 NUMERIC",
			frame.DateTime, "DATE TIMESTAMP TIMESTAMPTZ",
			frame.String, "TEXT VARCHAR BPCHAR CHAR NAME UUID JSON JSONB TIME INTERVAL INET CIDR XML MACADDR UNKNOWN"),
		unnamed: true,
		exists:  `SELECT 1 FROM information_schema.tables WHERE table_name = $2 AND table_schema = COALESCE(NULLIF($1, ''), current_schema())`,
		ledger:  `CREATE TABLE IF NOT EXISTS portico_delivered (delivery varchar(200) PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`,
		enter:   `INSERT INTO portico_delivered (delivery) VALUES ($1)`,
		known:   `SELECT 1 FROM portico_delivered WHERE delivery = $1`,

		connector: postgres, reason: postgresReason, bulk: postgresBulk,
	},
	connect.MySQL: {
		name: "MySQL", port: 3306, open: '`', end: '`', ddlCommits: true,
		types: map[frame.Type]string{
			frame.Double: "double", frame.Int32: "int", frame.Int64: "bigint",
			frame.Boolean: "boolean", frame.DateTime: "datetime(6)", frame.String: "longtext",
		},
		read: types(
			frame.Int32, "TINYINT SMALLINT MEDIUMINT INT YEAR",
			frame.Int32, "|UNSIGNED TINYINT|UNSIGNED SMALLINT|UNSIGNED MEDIUMINT",
			frame.Int64, "BIGINT BIT", frame.Int64, "|UNSIGNED INT|UNSIGNED BIGINT",
			frame.Double, "FLOAT DOUBLE DECIMAL",
			frame.DateTime, "DATE DATETIME TIMESTAMP",
			frame.String, "CHAR VARCHAR TEXT TINYTEXT MEDIUMTEXT LONGTEXT ENUM SET JSON TIME NULL"),
		zeroDate: true,
		exists:   `SELECT 1 FROM information_schema.tables WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?`,
		engine: `SELECT t.ENGINE FROM information_schema.tables t JOIN information_schema.engines e ON e.ENGINE = t.ENGINE
			WHERE t.table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND t.table_name = ? AND e.TRANSACTIONS = 'NO'`,
		// Whatever the server's own engine and characters are.
		made:   " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
		ledger: `CREATE TABLE IF NOT EXISTS portico_delivered (delivery varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB`,
		enter:  `INSERT INTO portico_delivered (delivery) VALUES (?)`,
		known:  `SELECT 1 FROM portico_delivered WHERE delivery = ?`,

		connector: mySQL, reason: mySQLReason, bulk: mySQLBulk,
	},
}

// types makes a table of pairs of a type and the names that have it: apart by
// blanks or, for names with blanks, behind bars.
func types(pairs ...any) map[string]frame.Type {
	m := make(map[string]frame.Type)
	for i := 0; i < len(pairs); i += 2 {
		sep := " "
		names := pairs[i+1].(string)
		if names[0] == '|' {
			names, sep = names[1:], "|"
		}
		for _, n := range strings.Split(names, sep) {
			m[n] = pairs[i].(frame.Type)
		}
	}
	return m
}

// typeOf is the type of a column that the driver calls kind.
func (d *dialect) typeOf(kind string) (frame.Type, bool) {
	t, ok := d.read[kind]
	if _, err := strconv.ParseUint(kind, 10, 32); !ok && d.unnamed && err == nil {
		return frame.String, true
	}
	return t, ok
}

// address is the server's host and port.
func (s *server) address() (host string, port uint16, err error) {
	host, port = strings.TrimSpace(s.Server), s.dialect.port
	host = strings.TrimPrefix(host, "tcp:") // as Azure shows it
	if h, p, ok := strings.Cut(host, ","); ok {
		host = h + ":" + strings.TrimSpace(p) // as SQL Server writes it
	}
	if h, p, serr := net.SplitHostPort(host); serr == nil {
		n, perr := strconv.ParseUint(p, 10, 16)
		if perr != nil || n == 0 {
			return "", 0, fault.Module(2, "the server's port is not one").At("Server")
		}
		host, port = h, uint16(n)
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	if s.Source == connect.SQLServer && strings.Contains(host, `\`) {
		return "", 0, fault.Module(2, "a named instance is found through UDP, which is not dialled from here: name the server as host:port").At("Server")
	}
	if host == "" || strings.ContainsAny(host, `/\@?;=, `) {
		return "", 0, fault.Module(2, "the server is named host, or host:port").At("Server")
	}
	return host, port, nil
}

// tls is how the server is asked who it is; nil for a connection in the clear.
func (s *server) tls(host string) *tls.Config {
	if s.Unencrypted {
		return nil
	}
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.AnyCertificate}
}

func sqlServer(s *server) (driver.Connector, error) {
	host, port, err := s.address()
	if err != nil {
		return nil, err
	}
	conf := msdsn.Config{
		Host: host, Port: uint64(port), Database: s.Database, User: s.User, Password: s.Password,
		Encryption: msdsn.EncryptionRequired, TLSConfig: s.tls(host), DialTimeout: connectWithin, ConnTimeout: 0,
		PacketSize: 4096, Protocols: []string{"tcp"}, DisableRetry: true, AppName: "portico", Workstation: "portico",
		TrustServerCertificate: s.AnyCertificate, Encoding: msdsn.EncodeParameters{}, ProtocolParameters: map[string]any{},
		Parameters: map[string]string{},
	}
	if s.Unencrypted {
		conf.Encryption = msdsn.EncryptionDisabled
	}
	c := mssql.NewConnectorConfig(conf)
	c.Dialer = dialer(s.dial)
	c.SessionInitSQL = "SET LOCK_TIMEOUT " + strconv.FormatInt(lockWithin.Milliseconds(), 10)
	return c, nil
}

// dialer is a Dial as go-mssqldb wants it. It takes names as well as
// addresses, so that the guarded dialler resolves them.
type dialer Dial

func (d dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d(ctx, network, addr)
}

func (dialer) HostName() string { return "" }

func sqlServerReason(err error) (string, bool, bool) {
	e, ok := errors.AsType[mssql.Error](err)
	switch {
	case !ok:
		return "", false, false
	case e.Number == 1205 || e.Number == 1222 || e.Number == 40501 || e.Number == 40197 || e.Number == 40613 || e.Number == 10928 || e.Number == 10929:
		return e.Message, false, true // a deadlock, a lock, or Azure that is busy or moving
	}
	return values().ReplaceAllString(e.Message, "value"), true, true
}

// values are cells in a message of SQL Server or MySQL.
var values = sync.OnceValue(func() *regexp.Regexp { // not before one is needed: the program starts in milliseconds
	return regexp.MustCompile(`(?i)\b(?:values?|entry)(?: is)?:? (?:'(?:[^']|'')*'|\(.*?\)\.?)`)
})

func postgres(s *server) (driver.Connector, error) {
	host, port, err := s.address()
	if err != nil {
		return nil, err
	}
	// Parsed only because pgx demands it: everything that files or the
	// environment could say is set after.
	conf, err := pgx.ParseConfig("host=portico.invalid user=portico sslmode=disable")
	if err != nil {
		return nil, fault.New(fault.Internal, "", "configure the driver").Because(err)
	}
	conf.Host, conf.Port, conf.Database, conf.User, conf.Password = host, port, s.Database, s.User, s.Password
	conf.TLSConfig, conf.Fallbacks = s.tls(host), nil
	conf.ConnectTimeout = connectWithin
	conf.RuntimeParams = map[string]string{"application_name": "portico", "timezone": "UTC", "lock_timeout": strconv.FormatInt(lockWithin.Milliseconds(), 10)}
	conf.KerberosSrvName, conf.KerberosSpn, conf.SSLNegotiation, conf.SSLCertMode = "", "", "postgres", ""
	conf.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	conf.ValidateConnect, conf.AfterConnect = nil, nil
	conf.DialFunc = s.dial2
	conf.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return stdlib.GetConnector(*conf), nil
}

func (s *server) dial2(ctx context.Context, network, addr string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		network = "tcp" // a host that looks like a path is no socket of ours
	}
	return s.dial(ctx, network, addr)
}

func postgresReason(err error) (string, bool, bool) {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return "", false, false
	}
	msg, class := e.Message, e.Code[:min(2, len(e.Code))]
	if class == "22" { // data: the value stands behind the colon
		msg, _, _ = strings.Cut(msg, `: "`)
	}
	if _, at, ok := strings.Cut(e.Where, ", column "); ok && e.ColumnName == "" && strings.HasPrefix(e.Where, "COPY ") {
		column, _, _ := strings.Cut(at, ": ") // behind which the value stands
		msg += fmt.Sprintf(" (column %q)", column)
	}
	switch class {
	case "08", "40", "53", "55", "57", "58": // connection, rollback, resources, in use, shutdown, system
		return msg, e.Code == "57014", true
	}
	return msg, true, true
}

func mySQL(s *server) (driver.Connector, error) {
	host, port, err := s.address()
	if err != nil {
		return nil, err
	}
	conf := mysql.NewConfig()
	conf.User, conf.Passwd, conf.DBName = s.User, s.Password, s.Database
	conf.Net, conf.Addr = "tcp", net.JoinHostPort(host, strconv.Itoa(int(port)))
	conf.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) { return s.dial(ctx, network, addr) }
	conf.TLS = s.tls(host)
	conf.AllowNativePasswords, conf.CheckConnLiveness = true, false
	conf.AllowCleartextPasswords = conf.TLS != nil && !s.AnyCertificate
	conf.ParseTime, conf.InterpolateParams = true, true
	wait := strconv.Itoa(int(lockWithin.Seconds()))
	conf.Params = map[string]string{"time_zone": "'+00:00'", "sql_mode": "'TRADITIONAL'", "lock_wait_timeout": wait, "innodb_lock_wait_timeout": wait}
	conf.Timeout = connectWithin
	conf.Logger = silent{}
	return mysql.NewConnector(conf)
}

// silent keeps the driver from writing to the program's standard error.
type silent struct{}

func (silent) Print(...any) {}

func mySQLReason(err error) (string, bool, bool) {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return "", false, false
	}
	switch e.Number {
	case 1040, 1053, 1205, 1213: // connections, shutdown, lock wait, deadlock
		return e.Message, false, true
	}
	return values().ReplaceAllString(e.Message, "value"), true, true
}

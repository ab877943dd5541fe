package sql

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/dbtest"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

var direct net.Dialer

// sqlServerPlace is a SQL Server to test with, which no machine has of itself: a
// place as a batch request has it, {"Server":…,"Database":…,"User":…,"Password":…}.
var sqlServerPlace = flag.String("sqlserver", "", "place of a SQL Server, JSON")

// servers are the databases that this machine can run.
func servers(t *testing.T, do func(t *testing.T, p connect.Place)) {
	if *sqlServerPlace != "" {
		p := connect.Place{Source: connect.SQLServer}
		if err := json.Unmarshal([]byte(*sqlServerPlace), &p); err != nil {
			t.Fatal("-sqlserver is no place")
		}
		t.Run("sqlserver", func(t *testing.T) { do(t, p) })
	}
	for name, start := range map[string]func(testing.TB) connect.Place{"postgres": dbtest.Postgres, "mariadb": dbtest.MariaDB} {
		t.Run(name, func(t *testing.T) { do(t, start(t)) })
	}
}

func connector() *Connector { return New(direct.DialContext) }

// rows runs a query and returns its schema and its cells as CSV.
func rows(t *testing.T, p connect.Place, query string) (frame.Schema, string, error) {
	t.Helper()
	p.Query = query
	src, err := connector().Source(p)
	if err != nil {
		return nil, "", err
	}
	f, err := connect.ReadAll(t.Context(), src, nil, 1<<20)
	if err != nil {
		return nil, "", err
	}
	return f.Schema(), string(frame.AppendCSV(nil, f, ',')), nil
}

// do runs statements through a query that gives nothing.
func do(t *testing.T, p connect.Place, statements ...string) {
	t.Helper()
	s, err := connector().server(p)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, q := range statements {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func table(t *testing.T, csv string, s frame.Schema) *frame.Frame {
	t.Helper()
	f, err := connect.Parse([]byte(csv), format.Lookup("csv"), false, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func typeNames(s frame.Schema) (names []string) {
	for _, f := range s {
		names = append(names, f.Name+" "+f.Type.String())
	}
	return names
}

func TestSource_types(t *testing.T) {
	queries := map[connect.Kind]string{
		connect.PostgreSQL: `SELECT 1::smallint AS "a", 2 AS "b", 9007199254740993::bigint AS "c", 0.1::real AS "d", 1.5::float8 AS "e", 12.25::numeric(8,2) AS "f",
			true AS "g", 'é, "x"'::text AS "h", '2020-02-29 01:02:03.5'::timestamp AS "i", '2020-02-29T02:02:03+01'::timestamptz AS "j", DATE '1969-12-31' AS "k",
			'12:30'::time AS "l", '11111111-2222-3333-4444-555555555555'::uuid AS "m", '{"a":1}'::json AS "n", 1 AS "b"
			UNION ALL SELECT null,null,null,null,'NaN'::float8,null,null,'',null,null,null,null,null,null,null`,
		connect.SQLServer: `SELECT CAST(1 AS tinyint) AS a, 2 AS b, CAST(9007199254740993 AS bigint) AS c, CAST(0.5 AS real) AS d, CAST(1.5 AS float) AS e, CAST(12.25 AS decimal(8,2)) AS f,
			CAST(1 AS bit) AS g, N'é, "x"' AS h, CAST('2020-02-29T01:02:03.5' AS datetime2) AS i, CAST('2020-02-29T02:02:03+01:00' AS datetimeoffset) AS j, CAST('1969-12-31' AS date) AS k,
			CAST('12:30' AS time) AS l, CAST('11111111-2222-3333-4444-555555555555' AS uniqueidentifier) AS m, CAST(1.25 AS money) AS n, 1 AS b`,
		connect.MySQL: `SELECT CAST(1 AS SIGNED INT) AS a, small AS b, big AS c, f AS d, d AS e, n AS f, g, h, dt AS i, ts AS j, dd AS k, tt AS l, u AS m, un AS n, small AS b FROM kinds ORDER BY small`,
	}
	want := map[connect.Kind]string{
		connect.PostgreSQL: "a Int32,b Int32,c Int64,d Double,e Double,f Double,g Boolean,h String,i DateTime,j DateTime,k DateTime,l String,m String,n String,b (2) Int32\n" +
			`1,2,9007199254740993,0.10000000149011612,1.5,12.25,True,"é, ""x""",2020-02-29T01:02:03.5,2020-02-29T01:02:03,1969-12-31T00:00:00,12:30:00,11111111-2222-3333-4444-555555555555,"{""a"":1}",1` + "\n" +
			",,,,,,,,,,,,,,\n",
		connect.SQLServer: "a Int32,b Int32,c Int64,d Double,e Double,f Double,g Boolean,h String,i DateTime,j DateTime,k DateTime,l String,m String,n Double,b (2) Int32\n" +
			`1,2,9007199254740993,0.5,1.5,12.25,True,"é, ""x""",2020-02-29T01:02:03.5,2020-02-29T01:02:03,1969-12-31T00:00:00,12:30:00,11111111-2222-3333-4444-555555555555,1.25,1` + "\n",
		connect.MySQL: "a Int32,b Int32,c Int64,d Double,e Double,f Double,g Int32,h String,i DateTime,j DateTime,k DateTime,l String,m Int64,n String,b (2) Int32\n" +
			`1,2,9007199254740993,0.1,1.5,12.25,1,"é, ""x""",2020-02-29T01:02:03.5,2020-02-29T01:02:03,1969-12-31T00:00:00,12:30:00,4000000000,[1],2` + "\n",
	}
	servers(t, func(t *testing.T, p connect.Place) {
		if p.Source == connect.MySQL {
			do(t, p, "DROP TABLE IF EXISTS kinds", `CREATE TABLE kinds (small smallint, big bigint, f float, d double, n decimal(8,2), g boolean, h text, dt datetime(6), ts timestamp NULL, dd date, tt time, u int unsigned, un json)`,
				`INSERT INTO kinds VALUES (2, 9007199254740993, 0.1, 1.5, 12.25, true, 'é, "x"', '2020-02-29 01:02:03.5', '2020-02-29 01:02:03', '1969-12-31', '12:30', 4000000000, '[1]')`)
		}
		s, csv, err := rows(t, p, queries[p.Source])
		if err != nil {
			t.Fatal(err)
		}
		_, csv, _ = strings.Cut(csv, "\n")
		if diff := cmp.Diff(want[p.Source], strings.Join(typeNames(s), ",")+"\n"+csv); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSource_odd reads what tables of other people have.
func TestSource_odd(t *testing.T) {
	pg, my := dbtest.Postgres(t), dbtest.MariaDB(t)
	do(t, pg, "DROP TYPE IF EXISTS mood CASCADE", "CREATE TYPE mood AS ENUM ('sad', 'ok')")
	do(t, my, "DROP TABLE IF EXISTS odd", "SET sql_mode = ''", "CREATE TABLE odd (none datetime, bits bit(9), yes bit(1))", "INSERT INTO odd VALUES ('0000-00-00', b'100000001', b'1'), ('2020-02-29', NULL, b'0')")
	for _, tt := range []struct {
		place connect.Place
		query string
		want  string // types and rows, or a part of the error
	}{
		{pg, `SELECT 'sad'::mood AS a, '10:11:12+01'::timetz AS b, '-infinity'::float8 > 0 AS c, NULL AS d`, "a String,b String,c Boolean,d String\nsad,10:11:12+01,False,\n"},
		{pg, `SELECT 1 AS a, '0044-03-15 BC'::date AS b`, "a Int32,b DateTime\n1,-0043-03-15T00:00:00\n"},
		{pg, `SELECT 1 AS a, 'infinity'::timestamp AS "till when"`, `row 1 of the query: column "till when" (TIMESTAMP in the database) has a value that no cell of type DateTime can have`},
		{pg, `SET application_name = 'x'`, "the query gives no table"},
		{my, `SELECT none, bits, yes, NULL AS nothing FROM odd ORDER BY none`, "none DateTime,bits Int64,yes Int64,nothing String\n,257,1,\n2020-02-29T00:00:00,,0,\n"},
		{my, `SELECT CAST(18446744073709551615 AS UNSIGNED) AS huge`, `column "huge" (UNSIGNED BIGINT in the database) has a value`},
		{my, `SET @x = 1`, "the query gives no table"},
		{my, `LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE odd`, "a file of this machine"},
	} {
		s, csv, err := rows(t, tt.place, tt.query)
		if err != nil {
			if !strings.Contains(err.Error(), tt.want) || !fault.Is(err, fault.LibraryExecution) {
				t.Errorf("%s: %v, want %s", tt.query, err, tt.want)
			}
			continue
		}
		_, csv, _ = strings.Cut(csv, "\n")
		if got := strings.Join(typeNames(s), ",") + "\n" + csv; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestSource_refusals(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		wrong := p
		wrong.Password = "another secret"
		nowhere := p
		nowhere.Server = "nowhere.invalid"
		binary := map[connect.Kind]string{connect.SQLServer: `SELECT CAST('a' AS varbinary(9)) AS photo`, connect.PostgreSQL: `SELECT 'a'::bytea AS photo`, connect.MySQL: `SELECT CAST('a' AS BINARY) AS photo`}[p.Source]
		for name, tt := range map[string]struct {
			place connect.Place
			query string
			want  string
		}{
			"no query":         {p, "", "Error 0003: " + string(p.Source) + ": Query is not given"},
			"wrong password":   {wrong, "SELECT 1", "Error 0015"},
			"no host":          {nowhere, "SELECT 1", "Error 0015"},
			"no such column":   {p, "SELECT absent FROM information_schema.tables", "absent"},
			"syntax":           {p, "SELEKT 1", "Error 0069"},
			"a column of bits": {p, binary, `column "photo" is of the type`},
		} {
			t.Run(name, func(t *testing.T) {
				_, _, err := rows(t, tt.place, tt.query)
				if err == nil || !strings.Contains(err.Error(), tt.want) || !fault.Is(err, fault.LibraryExecution) {
					t.Errorf("err = %v, want %s", err, tt.want)
				}
				for _, secret := range []string{tt.place.Password} {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("the password is in %q", err)
					}
				}
			})
		}
	})
}

// TestTLS: a server is asked who it is, unless the place says otherwise.
func TestTLS(t *testing.T) {
	p := dbtest.Postgres(t)
	p.Unencrypted = false
	if _, _, err := rows(t, p, "SELECT 1"); !fault.Is(err, fault.LibraryExecution) || !strings.Contains(err.Error(), "certificate is not trusted") {
		t.Errorf("a certificate nobody trusts: %v", err)
	}
	p.AnyCertificate = true
	if _, csv, err := rows(t, p, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); err != nil || csv != "ssl\nTrue\n" {
		t.Errorf("any certificate: %q, %v", csv, err)
	}
	m := dbtest.MariaDB(t)
	m.Unencrypted = false
	if _, _, err := rows(t, m, "SELECT 1"); !fault.Is(err, fault.LibraryExecution) || !strings.Contains(err.Error(), "does not encrypt") {
		t.Errorf("a server in the clear: %v", err)
	}
}

var everyType = frame.Schema{
	{Name: "id", Type: frame.Int32},
	{Name: "big", Type: frame.Int64, Nullable: true},
	{Name: "amount", Type: frame.Double, Nullable: true},
	{Name: "yes", Type: frame.Boolean, Nullable: true},
	{Name: "when", Type: frame.DateTime, Nullable: true},
	{Name: `te"x`, Type: frame.String, Nullable: true},
	{Name: "level", Type: frame.String, Levels: []string{"low", "high"}, Nullable: true},
}

const everyCell = "id,big,amount,yes,when,\"te\"\"x\",level\n" +
	"1,9007199254740993,1.5E-05,True,2020-02-29T01:02:03.5,\"tab\t, back\\slash, quote ' \"\" and\r\nline é\",low\n" +
	"2,,,,,,\n" +
	"3,-1,1E+300,False,1969-12-31T23:59:59,\\N,high\n"

func TestSink(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		ctx := t.Context()
		p.Table = "every"
		d := dialects[p.Source]
		do(t, p, "DROP TABLE IF EXISTS "+d.quote("every"))
		f := table(t, everyCell, everyType)
		sink, err := connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Check(ctx, everyType); err != nil {
			t.Fatal(err)
		}
		if err := connect.Write(ctx, sink, f, ""); err != nil {
			t.Fatal(err)
		}
		_, csv, err := rows(t, p, "SELECT * FROM "+d.quote("every")+" ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		want := everyCell
		if p.Source == connect.MySQL { // a boolean is a number there
			want = strings.NewReplacer("True", "1", "False", "0").Replace(want)
		}
		if diff := cmp.Diff(want, csv); diff != "" {
			t.Error(diff)
		}
		if err := sink.Check(ctx, everyType); err != nil {
			t.Errorf("a table that fits: %v", err)
		}
		other := append(frame.Schema{}, everyType...)
		other[1].Name = "bigger"
		if err := sink.Check(ctx, other); err == nil || !strings.Contains(err.Error(), "bigger") || !fault.HasCode(err, "Error0001") {
			t.Errorf("a table that lacks a column: %v", err)
		}
	})
}

// TestSink_check: that a table cannot be made is known before there is
// anything to write, and finding out makes none.
func TestSink_check(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		do(t, p, "DROP TABLE IF EXISTS later")
		p.Table = "later"
		sink, err := connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Check(t.Context(), everyType); err != nil {
			t.Fatal(err)
		}
		if _, csv, err := rows(t, p, "SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_name = 'later'"); err != nil || csv != "n\n0\n" {
			t.Errorf("after a check: %q, %v", csv, err)
		}
		if p.Source == connect.MySQL {
			return // making a table there cannot be taken back
		}
		p.Table = "nowhere.later"
		if sink, err = connector().Sink(p); err != nil {
			t.Fatal(err)
		}
		if err := sink.Check(t.Context(), everyType); !fault.HasCode(err, "Error0015") || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("a schema that is not there: %v", err)
		}
	})
}

// TestSink_locked: who waits for a lock on the table is sent away, to come
// again.
func TestSink_locked(t *testing.T) {
	p := dbtest.Postgres(t)
	do(t, p, "DROP TABLE IF EXISTS locked", "CREATE TABLE locked (id int)")
	s, err := connector().server(p)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, q := range []string{"BEGIN", "LOCK TABLE locked IN ACCESS EXCLUSIVE MODE"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	waiting, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	var within string
	if err := waiting.QueryRowContext(t.Context(), "SHOW lock_timeout").Scan(&within); err != nil || within != lockWithin.String() {
		t.Errorf("a lock is waited for %s, %v", within, err)
	}
	if _, err := waiting.ExecContext(t.Context(), "SET lock_timeout = '10ms'"); err != nil {
		t.Fatal(err)
	}
	_, err = waiting.ExecContext(t.Context(), "INSERT INTO locked VALUES (1)")
	if err := s.fail(t.Context(), 69, "write", err); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("a locked table: %v", err)
	}
}

// TestSink_columns writes some columns under other names.
func TestSink_columns(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		d := dialects[p.Source]
		do(t, p, "DROP TABLE IF EXISTS "+d.quote("so me"))
		p.Table = d.quote("so me")
		p.Columns, p.TableColumns, p.BatchRows = []string{"level", "id"}, []string{"Le vel", "Id"}, 2
		sink, err := connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := connect.Write(t.Context(), sink, table(t, everyCell, everyType), ""); err != nil {
			t.Fatal(err)
		}
		_, csv, err := rows(t, p, "SELECT * FROM "+p.Table+" ORDER BY 2")
		if want := "Le vel,Id\nlow,1\n,2\nhigh,3\n"; err != nil || csv != want {
			t.Errorf("got %q, %v, want %q", csv, err, want)
		}
		p.Columns = []string{"absent", "id"}
		sink, err = connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := connect.Write(t.Context(), sink, table(t, everyCell, everyType), ""); !fault.HasCode(err, "Error0001") {
			t.Errorf("a column that is not there: %v", err)
		}
		p.Columns, p.TableColumns = []string{"id", "level"}, []string{"Id", "Id"}
		if sink, err = connector().Sink(p); err != nil {
			t.Fatal(err)
		}
		if err := sink.Check(t.Context(), everyType); !fault.HasCode(err, "Error0017") || !strings.Contains(err.Error(), `"Id"`) {
			t.Errorf("a column that is written twice: %v", err)
		}
	})
}

// TestSink_mySQL: a table that we make takes any text, also where the server's
// own take few; one that could not take rows back is refused.
func TestSink_mySQL(t *testing.T) {
	p := dbtest.MariaDB(t)
	do(t, p, "DROP TABLE IF EXISTS texts, loose, portico_delivered", "CREATE TABLE loose (id int, level text) ENGINE=MyISAM", "ALTER DATABASE portico CHARACTER SET latin1")
	defer do(t, p, "ALTER DATABASE portico CHARACTER SET utf8mb4")
	p.Table = "texts"
	some := frame.Schema{{Name: "level", Type: frame.String, Nullable: true}}
	sink, err := connector().Sink(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Check(t.Context(), some); err != nil {
		t.Fatal(err)
	}
	const texts = "level\nÄ 漢 😀\n"
	if err := connect.Write(t.Context(), sink, table(t, texts, some), "job/texts"); err != nil {
		t.Fatal(err)
	}
	if _, csv, err := rows(t, p, "SELECT * FROM texts"); err != nil || csv != texts {
		t.Errorf("got %q, %v", csv, err)
	}
	if err := connect.Write(t.Context(), sink, table(t, texts, some), "job/Texts"); err != nil {
		t.Fatal(err)
	}
	if _, csv, err := rows(t, p, "SELECT COUNT(*) AS n FROM texts"); err != nil || csv != "n\n2\n" {
		t.Errorf("a delivery of another name: %q, %v", csv, err)
	}
	p.Table = "loose"
	if sink, err = connector().Sink(p); err != nil {
		t.Fatal(err)
	}
	checked := sink.Check(t.Context(), some)
	_, opened := sink.Open(t.Context(), some, "")
	for _, err := range []error{checked, opened} {
		if !fault.HasCode(err, "Error0015") || !strings.Contains(err.Error(), "MyISAM") {
			t.Errorf("a table without transactions: %v", err)
		}
	}
}

// counted is a connection that is counted while it is open.
type counted struct {
	net.Conn
	once sync.Once
	open *atomic.Int64
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// TestLeaves: what was read or written leaves no connection behind, whatever
// became of it.
func TestLeaves(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		do(t, p, "DROP TABLE IF EXISTS leaves", "CREATE TABLE leaves (id int NOT NULL)")
		var open, dialled atomic.Int64
		c := New(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := direct.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			dialled.Add(1)
			open.Add(1)
			return &counted{Conn: conn, open: &open}, nil
		})
		p.Table, p.Columns = "leaves", []string{"id"}
		sink, err := c.Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		read := func(query string) error {
			p := p
			p.Query = query
			src, err := c.Source(p)
			if err != nil {
				return err
			}
			_, err = connect.ReadAll(t.Context(), src, nil, 1<<20)
			return err
		}
		for _, step := range []struct {
			name string
			do   func() error
			ok   bool
		}{
			{"check", func() error { return sink.Check(t.Context(), everyType) }, true},
			{"check of a column that is not there", func() error {
				return sink.Check(t.Context(), frame.Schema{{Name: "other"}})
			}, false},
			{"write", func() error { return connect.Write(t.Context(), sink, table(t, everyCell, everyType), "leaves") }, true},
			{"write again", func() error { return connect.Write(t.Context(), sink, table(t, everyCell, everyType), "leaves") }, true},
			{"abort", func() error {
				w, err := sink.Open(t.Context(), everyType, "")
				if err == nil {
					w.Abort()
				}
				return err
			}, true},
			{"read", func() error { return read("SELECT id FROM leaves") }, true},
			{"read what is not there", func() error { return read("SELECT absent FROM leaves") }, false},
		} {
			before := dialled.Load()
			if err := step.do(); (err == nil) != step.ok {
				t.Errorf("%s: %v", step.name, err)
			}
			if dialled.Load() == before && step.name != "check of a column that is not there" {
				t.Errorf("%s: dialled nothing", step.name)
			}
			if n := open.Load(); n != 0 {
				t.Fatalf("%s: %d connections are left open", step.name, n)
			}
		}
	})
}

// TestSink_unfit: of a cell that its column does not take, the column is named
// and the cell is not.
func TestSink_unfit(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		do(t, p, "DROP TABLE IF EXISTS whole", "CREATE TABLE whole (id int, level int)")
		p.Table, p.Columns = "whole", []string{"id", "level"}
		sink, err := connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		err = connect.Write(t.Context(), sink, table(t, everyCell, everyType), "")
		if !fault.HasCode(err, "Error0069") || !strings.Contains(err.Error(), "level") || strings.Contains(err.Error(), "low") {
			t.Errorf("a text in a column of numbers: %v", err)
		}
	})
}

// TestSink_once makes one delivery many times, at once and again, and finds
// each row once.
func TestSink_once(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		d := dialects[p.Source]
		do(t, p, "DROP TABLE IF EXISTS once", "CREATE TABLE once (id int)", "DROP TABLE IF EXISTS portico_delivered")
		p.Table, p.Columns = "once", []string{"id"}
		sink, err := connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Check(t.Context(), everyType); err != nil {
			t.Fatal(err)
		}
		f := table(t, everyCell, everyType)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := connect.Write(t.Context(), sink, f, "job/output1"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := sink.Open(t.Context(), everyType, "job/output1"); !errors.Is(err, connect.ErrDelivered) {
			t.Errorf("again: %v", err)
		}
		if err := connect.Write(t.Context(), sink, f, "job/output2"); err != nil {
			t.Fatal(err)
		}
		_, csv, err := rows(t, p, "SELECT id, COUNT(*) AS n FROM "+d.quote("once")+" GROUP BY id ORDER BY id")
		if want := "id,n\n1,2\n2,2\n3,2\n"; err != nil || csv != want {
			t.Errorf("got %q, %v, want %q", csv, err, want)
		}
	})
}

// TestSink_whole: a delivery that fails in the middle leaves nothing behind,
// and can be made later.
func TestSink_whole(t *testing.T) {
	servers(t, func(t *testing.T, p connect.Place) {
		do(t, p, "DROP TABLE IF EXISTS narrow", "CREATE TABLE narrow (id int NOT NULL, level varchar(3))")
		p.Table, p.Columns, p.BatchRows = "narrow", []string{"id", "level"}, 1
		sink, err := connector().Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		err = connect.Write(t.Context(), sink, table(t, everyCell, everyType), "whole")
		if !fault.Is(err, fault.LibraryExecution) {
			t.Errorf("a text that is too long: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "high") {
			t.Errorf("a cell is in %q", err)
		}
		w, err := sink.Open(t.Context(), everyType, "whole")
		if err != nil {
			t.Fatalf("after a delivery that failed: %v", err)
		}
		if err := w.Append(t.Context(), table(t, everyCell, everyType).Slice(0, 1)); err != nil {
			t.Error(err)
		}
		w.Abort()
		_, csv, err := rows(t, p, "SELECT COUNT(*) AS n FROM narrow")
		if err != nil || csv != "n\n0\n" {
			t.Errorf("got %q, %v", csv, err)
		}
	})
}

// TestDial: every driver connects through the dialler it was given, and
// through nothing else.
func TestDial(t *testing.T) {
	refusal := fault.New(fault.BadArgument, "AddressRefused", "not from here")
	for _, kind := range []connect.Kind{connect.SQLServer, connect.PostgreSQL, connect.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			var dialled []string
			c := New(func(_ context.Context, network, address string) (net.Conn, error) {
				dialled = append(dialled, network+" "+address)
				return nil, refusal
			})
			src, err := c.Source(connect.Place{Source: kind, Server: "metadata.internal:99", Database: "d", User: "u", Password: "p", Query: "SELECT 1"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = src.Open(t.Context())
			if !fault.HasCode(err, "AddressRefused") {
				t.Errorf("err = %v", err)
			}
			if len(dialled) == 0 || dialled[0] != "tcp metadata.internal:99" {
				t.Errorf("dialled %q", dialled)
			}
		})
	}
}

func TestCell_infinite(t *testing.T) {
	c := frame.NewColumn(frame.Field{Name: "x", Type: frame.Double}, 1)
	v := cell{}
	v.num.Valid, v.num.Float64 = true, math.Inf(-1)
	if err := v.appendTo(c); err == nil {
		t.Error("an infinite number became a cell")
	}
}

func TestCopyText(t *testing.T) {
	f := table(t, everyCell, everyType)
	got, err := io.ReadAll(&copyText{from: []int{5, 0}, f: f})
	if err != nil {
		t.Fatal(err)
	}
	want := `tab\t, back\\slash, quote ' " and\r\nline é` + "\t1\n" + `\N` + "\t2\n" + `\\N` + "\t3\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValues(t *testing.T) {
	for msg, want := range map[string]string{
		"Duplicate entry '5-a''b' for key 'PRIMARY'":                                   "Duplicate value for key 'PRIMARY'",
		"Incorrect integer value: 'abc' for column 'id' at row 1":                      "Incorrect integer value for column 'id' at row 1",
		"Conversion failed when converting the varchar value 'abc' to data type int.":  "Conversion failed when converting the varchar value to data type int.",
		"Violation of PRIMARY KEY constraint 'pk'. The duplicate key value is (5, a).": "Violation of PRIMARY KEY constraint 'pk'. The duplicate key value",
		"Unknown column 'absent' in 'SELECT'":                                          "Unknown column 'absent' in 'SELECT'",
	} {
		if got := values().ReplaceAllString(msg, "value"); got != want {
			t.Errorf("%q: %q, want %q", msg, got, want)
		}
	}
}

package sql

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
)

// shop is a SQL Server as far as a source and a sink see it: tables,
// transactions one after the other, and answers to the queries that a test
// makes.
type shop struct {
	mu      sync.Mutex // held from the beginning of a transaction to its end
	in      atomic.Pointer[tdsSession]
	before  map[string]tdsResult // of the transaction
	tables  map[string]tdsResult // by quoted name
	answers map[string]*tdsResult
	refuse  map[string]tdsError // by a part of the statement
	said    []string
	opts    string // of the last bulk copy
}

func newShop() *shop {
	return &shop{tables: map[string]tdsResult{}, answers: map[string]*tdsResult{}, refuse: map[string]tdsError{}}
}

func (*shop) login(user, password, database string) bool {
	return user == "portico" && password == tdsPassword && database == "sales"
}

func (b *shop) begin(s *tdsSession) {
	b.mu.Lock()
	b.before = maps.Clone(b.tables)
	b.in.Store(s)
}

func (b *shop) end(s *tdsSession, commit bool) {
	if b.in.Load() != s {
		return
	}
	if !commit {
		b.tables = b.before
	}
	b.in.Store(nil)
	b.mu.Unlock()
}

// alone runs f within the session's transaction, or one for itself.
func (b *shop) alone(s *tdsSession, f func()) {
	if b.in.Load() != s {
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	f()
}

var (
	createText = regexp.MustCompile(`^CREATE TABLE (\S+) \((.*)\)$`)
	columnText = regexp.MustCompile(`\[((?:[^\]]|\]\])*)\] (\S+) NULL`)
	lookText   = regexp.MustCompile(`^SELECT (.*) FROM (\S+) WHERE 1 = 0$`)
	nameText   = regexp.MustCompile(`\[((?:[^\]]|\]\])*)\]`)
	bulkText   = regexp.MustCompile(`^INSERT BULK (\S+) \(.*\) WITH \((.*)\)$`)

	one     = &tdsResult{[]tdsColumn{{name: "one", kind: typeInt, size: 4}}, [][][]byte{{{1, 0, 0, 0}}}}
	nothing = &tdsResult{columns: one.columns}

	made = map[string]tdsColumn{
		"int": {kind: typeInt, size: 4}, "bigint": {kind: typeInt, size: 8}, "float": {kind: typeFloat, size: 8}, "bit": {kind: typeBit, size: 1},
		"datetime2": {kind: typeDateTime2, dec: 7}, "nvarchar(max)": {kind: typeNVarChar, size: unbounded},
	}
)

func (b *shop) run(s *tdsSession, text string, args []string) (result *tdsResult, refused *tdsError) {
	b.alone(s, func() { result, refused = b.perform(s, text, args) })
	return result, refused
}

func (b *shop) perform(s *tdsSession, text string, args []string) (*tdsResult, *tdsError) {
	b.said = append(b.said, text)
	for part, e := range b.refuse {
		if strings.Contains(text, part) {
			return nil, &e
		}
	}
	d := dialects[connect.SQLServer]
	yes := func(is bool) (*tdsResult, *tdsError) {
		if is {
			return one, nil
		}
		return nothing, nil
	}
	table := func(name string) (tdsResult, *tdsError) {
		t, ok := b.tables[name]
		if !ok {
			return t, &tdsError{208, "Invalid object name '" + name + "'."}
		}
		return t, nil
	}
	text = strings.TrimRight(strings.TrimSpace(text), ";")
	lower := strings.ToLower(text)
	switch {
	case b.answers[text] != nil:
		return b.answers[text], nil
	case strings.HasPrefix(lower, "set "):
		return nil, nil
	case lower == "select 1":
		return one, nil
	case strings.HasPrefix(lower, "select * from ") && strings.HasSuffix(lower, " set fmtonly off"):
		t, refused := table(text[len("select * from ") : len(text)-len(" set fmtonly off")])
		return &tdsResult{columns: t.columns}, refused
	case strings.HasPrefix(lower, "select * from "):
		t, refused := table(text[len("select * from "):])
		return &t, refused
	case strings.Contains(text, "INFORMATION_SCHEMA.TABLES"):
		_, ok := b.tables[d.full(name{args[0], args[1]})]
		return yes(ok)
	case strings.HasPrefix(text, "IF OBJECT_ID(N'portico_delivered') IS NULL CREATE TABLE portico_delivered "):
		if _, ok := b.tables["[portico_delivered]"]; !ok {
			b.tables["[portico_delivered]"] = tdsResult{columns: []tdsColumn{{name: "delivery", kind: typeNVarChar, size: 400}}}
		}
		return nil, nil
	case text == d.enter, text == d.known:
		ledger, refused := table("[portico_delivered]")
		if refused != nil {
			return nil, refused
		}
		there := slices.ContainsFunc(ledger.rows, func(r [][]byte) bool { return fromUTF16(r[0]) == args[0] })
		if text == d.known {
			return yes(there)
		}
		if there {
			return nil, &tdsError{2627, "Violation of PRIMARY KEY constraint 'pk'. Cannot insert duplicate key in object 'dbo.portico_delivered'. The duplicate key value is (" + args[0] + ")."}
		}
		ledger.rows = append(slices.Clip(ledger.rows), [][]byte{toUTF16(args[0])})
		b.tables["[portico_delivered]"] = ledger
		return nil, nil
	}
	if m := createText.FindStringSubmatch(text); m != nil {
		var t tdsResult
		for _, c := range columnText.FindAllStringSubmatch(m[2], -1) {
			kind, ok := made[c[2]]
			if !ok {
				return nil, &tdsError{2715, "Cannot find data type " + c[2] + "."}
			}
			kind.name = strings.ReplaceAll(c[1], "]]", "]")
			t.columns = append(t.columns, kind)
		}
		b.tables[m[1]] = t
		return nil, nil
	}
	if m := lookText.FindStringSubmatch(text); m != nil {
		t, refused := table(m[2])
		if refused != nil {
			return nil, refused
		}
		for _, c := range nameText.FindAllStringSubmatch(m[1], -1) {
			if !slices.ContainsFunc(t.columns, func(have tdsColumn) bool { return have.name == strings.ReplaceAll(c[1], "]]", "]") }) {
				return nil, &tdsError{207, "Invalid column name '" + c[1] + "'."}
			}
		}
		return &tdsResult{columns: t.columns}, nil
	}
	if m := bulkText.FindStringSubmatch(text); m != nil {
		s.into, b.opts = m[1], m[2]
		return nil, nil
	}
	return nil, &tdsError{102, "Incorrect syntax near '" + text + "'."}
}

// insert puts each cell where its column is; columns that are not sent are
// NULL.
func (b *shop) insert(s *tdsSession, into string, rows *tdsResult) (refused *tdsError) {
	b.alone(s, func() {
		if e, ok := b.refuse["bulk copy"]; ok {
			refused = &e
			return
		}
		t := b.tables[into]
		t.rows = slices.Clip(t.rows)
		for _, row := range rows.rows {
			cells := make([][]byte, len(t.columns))
			for i, c := range rows.columns {
				at := slices.IndexFunc(t.columns, func(have tdsColumn) bool { return have.name == c.name })
				if at < 0 || t.columns[at].kind != c.kind {
					refused = &tdsError{4816, fmt.Sprintf("Invalid column type from bcp client for colid %d.", i+1)}
					return
				}
				cells[at] = row[i]
			}
			t.rows = append(t.rows, cells)
		}
		b.tables[into] = t
	})
	return refused
}

// TestSQLServer_source reads a column of every type through the driver.
func TestSQLServer_source(t *testing.T) {
	b := newShop()
	var all tdsResult
	row, none := [][]byte{}, [][]byte{}
	add := func(name string, kind byte, size int, prec, dec byte, cell []byte) {
		all.columns = append(all.columns, tdsColumn{name, kind, size, prec, dec})
		row, none = append(row, cell), append(none, nil)
	}
	add("tinyint", typeInt, 1, 0, 0, []byte{200})
	add("smallint", typeInt, 2, 0, 0, []byte{0xFE, 0xFF})
	add("int", typeInt, 4, 0, 0, []byte{7, 0, 0, 0x80})
	add("bigint", typeInt, 8, 0, 0, []byte{1, 0, 0, 0, 0, 0, 0x20, 0})
	add("bit", typeBit, 1, 0, 0, []byte{1})
	add("real", typeFloat, 4, 0, 0, []byte{0, 0, 0, 0x3F})
	add("float", typeFloat, 8, 0, 0, []byte{0, 0, 0, 0, 0, 0, 0xF8, 0x3F})
	add("decimal", typeDecimal, 9, 18, 2, []byte{1, 0xC9, 4, 0, 0, 0, 0, 0, 0}) // 12.25
	add("numeric", typeNumeric, 5, 9, 0, []byte{0, 5, 0, 0, 0})
	add("money", typeMoney, 8, 0, 0, []byte{0, 0, 0, 0, 0xD4, 0x30, 0, 0}) // 1.25
	add("date", typeDate, 0, 0, 0, []byte{0x39, 0xF9, 0x0A})               // 1969-12-31
	add("time", typeTime, 0, 0, 0, []byte{0xC8, 0xAF, 0})                  // 12:30
	add("datetime", typeDateTime, 8, 0, 0, []byte{0, 0, 0, 0, 150, 0, 0, 0})
	add("smalldatetime", typeDateTime, 4, 0, 0, []byte{1, 0, 61, 0})
	add("datetime2", typeDateTime2, 0, 0, 0, []byte{0x0B, 0x0E, 0, 0x3A, 0xF9, 0x0A})
	add("datetimeoffset", typeDateTimeOffset, 0, 0, 0, []byte{0x0B, 0x0E, 0, 0x3A, 0xF9, 0x0A, 60, 0}) // in UTC, and an hour ahead of it
	add("uniqueidentifier", typeGUID, 16, 0, 0, []byte{0x67, 0x45, 0x23, 0x01, 0xAB, 0x89, 0xEF, 0xCD, 1, 2, 3, 4, 5, 6, 7, 8})
	add("varchar", typeVarChar, 20, 0, 0, []byte("a, \"b\""))
	add("char", typeChar, 3, 0, 0, []byte("c  "))
	add("nvarchar", typeNVarChar, 40, 0, 0, toUTF16("é☃𝄞"))
	add("nchar", typeNChar, 4, 0, 0, toUTF16("n "))
	add("nvarchar(max)", typeNVarChar, unbounded, 0, 0, toUTF16(strings.Repeat("long ", 2000)))
	add("xml", typeXML, 0, 0, 0, toUTF16("<a/>"))
	add("int", typeInt, 4, 0, 0, []byte{1, 0, 0, 0}) // again
	all.rows = [][][]byte{row, none}
	b.answers["SELECT everything"] = &all
	p := tdsServer(t, b)
	s, csv, err := rows(t, p, "SELECT everything")
	if err != nil {
		t.Fatal(err)
	}
	want := "tinyint Int32,smallint Int32,int Int32,bigint Int64,bit Boolean,real Double,float Double,decimal Double,numeric Double,money Double,date DateTime,time String," +
		"datetime DateTime,smalldatetime DateTime,datetime2 DateTime,datetimeoffset DateTime,uniqueidentifier String,varchar String,char String,nvarchar String,nchar String," +
		"nvarchar(max) String,xml String,int (2) Int32\n" +
		"200,-2,-2147483641,9007199254740993,True,0.5,1.5,12.25,-5,1.25,1969-12-31T00:00:00,12:30:00," +
		"1900-01-01T00:00:00.5,1900-01-02T01:01:00,1970-01-01T00:59:55,1970-01-01T00:59:55,01234567-89AB-CDEF-0102-030405060708,\"a, \"\"b\"\"\",c  ,é☃𝄞,n ," +
		strings.Repeat("long ", 2000) + ",<a/>,1\n" + strings.Repeat(",", len(none)-1) + "\n"
	_, csv, _ = strings.Cut(csv, "\n")
	if diff := gocmp.Diff(want, strings.Join(typeNames(s), ",")+"\n"+csv); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(b.said, fmt.Sprintf("SET LOCK_TIMEOUT %d", lockWithin.Milliseconds())) {
		t.Errorf("no lock timeout in %q", b.said)
	}
}

func TestSQLServer_refusals(t *testing.T) {
	b := newShop()
	b.answers["SELECT photo"] = &tdsResult{columns: []tdsColumn{{name: "photo", kind: typeVarBinary, size: 10}}}
	b.refuse["locked"] = tdsError{1222, "Lock request time out period exceeded."}
	b.refuse["deadlock"] = tdsError{1205, "Transaction (Process ID 52) was deadlocked."}
	b.refuse["convert"] = tdsError{245, "Conversion failed when converting the varchar value 'private' to data type int."}
	p := tdsServer(t, b)
	wrong, other, encrypted := p, p, p
	wrong.Password, other.Database, encrypted.Unencrypted = "another secret", "others", false
	for name, tt := range map[string]struct {
		place connect.Place
		query string
		kind  fault.Kind
		want  string
	}{
		"wrong password":  {wrong, "SELECT 1", fault.LibraryExecution, "Error 0015: SQL Server " + p.Server + ": connect to the database: login error: Login failed"},
		"wrong database":  {other, "SELECT 1", fault.LibraryExecution, "Error 0015"},
		"not encrypted":   {encrypted, "SELECT 1", fault.LibraryExecution, "does not encrypt connections"},
		"bits":            {p, "SELECT photo", fault.LibraryExecution, `column "photo" is of the type VARBINARY`},
		"syntax":          {p, "SELEKT 1", fault.LibraryExecution, "Error 0069: SQL Server " + p.Server + ": query: Incorrect syntax"},
		"gives no table":  {p, "SET NOCOUNT ON", fault.LibraryExecution, "the query gives no table"},
		"a cell in it":    {p, "SELECT convert", fault.LibraryExecution, "converting the varchar value to data type int"},
		"a lock":          {p, "SELECT locked", fault.Unavailable, "Lock request time out"},
		"a deadlock":      {p, "SELECT deadlock", fault.Unavailable, "deadlocked"},
		"a server's port": {connect.Place{Source: connect.SQLServer, Server: "127.0.0.1:1", Database: "d", User: "u"}, "SELECT 1", fault.Unavailable, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := rows(t, tt.place, tt.query)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "private") {
				t.Errorf("err = %v, want %s", err, tt.want)
			}
		})
	}
}

// TestSQLServer_sink makes a delivery by bulk copy, many times and at once, and
// reads what is there.
func TestSQLServer_sink(t *testing.T) {
	b := newShop()
	p := tdsServer(t, b)
	p.Table, p.BatchRows = "dbo.[every]]thing]", 2
	sink, err := connector().Sink(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Check(t.Context(), everyType); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.tables["[dbo].[every]]thing]"]; ok || len(b.tables) != 1 {
		t.Errorf("a check left tables %v", slices.Sorted(maps.Keys(b.tables)))
	}
	f := table(t, everyCell, everyType)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := connect.Write(t.Context(), sink, f, "job/output1"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, err := sink.Open(t.Context(), everyType, "job/output1"); err != connect.ErrDelivered {
		t.Errorf("again: %v", err)
	}
	if !strings.Contains(b.opts, "KEEP_NULLS") || !strings.Contains(b.opts, "ROWS_PER_BATCH = 2") {
		t.Errorf("bulk copy with %s", b.opts)
	}
	_, csv, err := rows(t, p, "SELECT * FROM [dbo].[every]]thing]")
	if diff := gocmp.Diff(everyCell, csv); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := sink.Check(t.Context(), everyType); err != nil {
		t.Errorf("a table that fits: %v", err)
	}
	p.Columns, p.TableColumns = []string{"level", "id"}, []string{`te"x`, "absent"}
	if sink, err = connector().Sink(p); err != nil {
		t.Fatal(err)
	}
	if err := sink.Check(t.Context(), everyType); !fault.HasCode(err, "Error0001") || !strings.Contains(err.Error(), "absent") {
		t.Errorf("a column that is not there: %v", err)
	}
	p.TableColumns = []string{`te"x`, "id"}
	if sink, err = connector().Sink(p); err != nil {
		t.Fatal(err)
	}
	if err := connect.Write(t.Context(), sink, f.Slice(0, 1), ""); err != nil {
		t.Fatal(err)
	}
	if _, csv, err = rows(t, p, "SELECT * FROM [dbo].[every]]thing]"); err != nil || !strings.HasSuffix(csv, "\n1,,,,,low,\n") {
		t.Errorf("%q, %v", csv, err)
	}
}

// TestSQLServer_whole: what the server refuses leaves nothing behind, and shows
// no cell.
func TestSQLServer_whole(t *testing.T) {
	for what, e := range map[string]tdsError{
		"bulk copy":         {2628, "String or binary data would be truncated in table 'sales.dbo.t', column 'level'. Truncated value: 'hi'."},
		"CREATE TABLE [t]":  {262, "CREATE TABLE permission denied in database 'sales'."},
		"INSERT BULK":       {229, "The INSERT permission was denied on the object 't'."},
		"select * from [t]": {229, "The SELECT permission was denied on the object 't'."},
	} {
		t.Run(what, func(t *testing.T) {
			b := newShop()
			p := tdsServer(t, b)
			p.Table = "t"
			sink, err := connector().Sink(p)
			if err != nil {
				t.Fatal(err)
			}
			b.refuse[what] = e
			f := table(t, everyCell, everyType)
			err = connect.Write(t.Context(), sink, f, "whole")
			if !fault.Is(err, fault.LibraryExecution) || strings.Contains(err.Error(), "'hi'") || !strings.Contains(err.Error(), cmp.Or(map[bool]string{true: "permission"}[e.number != 2628], "truncated")) {
				t.Errorf("err = %v", err)
			}
			b.mu.Lock()
			delete(b.refuse, what)
			left := slices.Sorted(maps.Keys(b.tables))
			b.mu.Unlock()
			if len(left) != 1 || len(b.tables["[portico_delivered]"].rows) != 0 {
				t.Errorf("left: %v", left)
			}
			if err := connect.Write(t.Context(), sink, f, "whole"); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	}
}

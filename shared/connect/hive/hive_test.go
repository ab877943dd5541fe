package hive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

// live names a HiveServer2, as in hive2://127.0.0.1:10000, to talk to instead
// of replaying what one said; with -record, what it says is kept. See
// infra/e2e/hiveserver.sh for one.
var (
	live     = flag.String("hive", "", "address of a HiveServer2")
	liveHTTP = flag.String("hive-http", "", "address of a HiveServer2 that speaks HTTP")
	record   = flag.Bool("record", false, "keep what the servers of -hive and -hive-http say")
)

// tape is a conversation: lines "> hex" of the client, "< hex" of the server.
type tape struct {
	mu    sync.Mutex
	lines []string
}

func (t *tape) add(who byte, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.lines); n > 0 && t.lines[n-1][0] == who {
		t.lines[n-1] += hex.EncodeToString(b)
		return
	}
	t.lines = append(t.lines, string(who)+" "+hex.EncodeToString(b))
}

// taped notes what a connection carries.
type taped struct {
	net.Conn
	tape *tape
}

func (c taped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.tape.add('<', p[:n])
	}
	return n, err
}

func (c taped) Write(p []byte) (int, error) {
	c.tape.add('>', p)
	return c.Conn.Write(p)
}

// tapedHTTP notes what requests and answers carry.
type tapedHTTP struct{ tape *tape }

func (t tapedHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	t.tape.add('>', body)
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := http.DefaultTransport.RoundTrip(again)
	if err != nil {
		return nil, err
	}
	said, _ := io.ReadAll(resp.Body)
	t.tape.add('<', said)
	resp.Body = io.NopCloser(bytes.NewReader(said))
	return resp, nil
}

// replay plays the server's part of a tape, and holds the client to its own.
type replay struct {
	t     *testing.T
	lines []string
	in    bytes.Buffer // what the server has said
}

func load(t *testing.T, name string) *replay {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".tape"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &replay{t: t}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		if line := s.Text(); line != "" && line[0] != '#' {
			r.lines = append(r.lines, line)
		}
	}
	return r
}

// say takes what the client sends, and makes the server answer.
func (r *replay) say(p []byte) error {
	for len(p) > 0 {
		if len(r.lines) == 0 || r.lines[0][0] != '>' {
			return errors.New("the client speaks out of turn")
		}
		want, err := hex.DecodeString(r.lines[0][2:])
		if err != nil {
			return err
		}
		n := min(len(want), len(p))
		if !bytes.Equal(want[:n], p[:n]) {
			r.t.Errorf("the client says\n%q, the tape\n%q", p[:n], want[:n])
			return errors.New("not as on the tape")
		}
		p = p[n:]
		if n < len(want) {
			r.lines[0] = "> " + hex.EncodeToString(want[n:])
			return nil
		}
		r.lines = r.lines[1:]
		if len(r.lines) > 0 && r.lines[0][0] == '<' {
			said, err := hex.DecodeString(r.lines[0][2:])
			if err != nil {
				return err
			}
			r.in.Write(said)
			r.lines = r.lines[1:]
		}
	}
	return nil
}

type replayConn struct {
	net.Conn // nil: what is not below is not used
	*replay
}

func (c replayConn) Write(p []byte) (int, error) { return len(p), c.say(p) }
func (c replayConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c replayConn) Close() error                { return nil }

func (r *replay) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	if user, _, ok := req.BasicAuth(); !ok || user != "admin" {
		r.t.Errorf("the client does not say who it is")
	}
	if err := r.say(body); err != nil {
		return nil, err
	}
	said := bytes.Clone(r.in.Bytes())
	r.in.Reset()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(said))}, nil
}

// talk runs do with a connector whose server is live, or on tape.
func talk(t *testing.T, name string, overHTTP bool, do func(c *Connector, p connect.Place)) {
	t.Helper()
	p := connect.Place{Source: connect.Hive, URL: "hive2://127.0.0.1:10000", User: "admin", Password: "secret", Unencrypted: true}
	at := *live
	if overHTTP {
		p.URL, at = "http://127.0.0.1:10001/cliservice", *liveHTTP
	}
	if at == "" {
		r := load(t, name)
		do(New(Config{Transport: r, Dial: func(context.Context, string, string) (net.Conn, error) { return replayConn{replay: r}, nil }}), p)
		if len(r.lines) > 0 {
			t.Errorf("%d lines of the tape were not played", len(r.lines))
		}
		return
	}
	p.URL = at
	tape := &tape{}
	do(New(Config{Transport: tapedHTTP{tape}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		return taped{conn, tape}, err
	}}), p)
	if *record && !t.Failed() {
		text := "# What a HiveServer2 (the Thrift server of Apache Spark 3.5.3) and the client said; infra/e2e/hiveserver.sh\n" + strings.Join(tape.lines, "\n") + "\n"
		if err := os.WriteFile(filepath.Join("testdata", name+".tape"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, c *Connector, p connect.Place, query string) (string, error) {
	t.Helper()
	p.Query = query
	src, err := c.Source(p)
	if err != nil {
		return "", err
	}
	f, err := connect.ReadAll(t.Context(), src, nil, 1<<20)
	if err != nil {
		return "", err
	}
	var heads []string
	for _, f := range f.Schema() {
		heads = append(heads, f.Name+" "+f.Type.String())
	}
	_, rows, _ := strings.Cut(string(frame.AppendCSV(nil, f, ',')), "\n")
	return strings.Join(heads, ",") + "\n" + rows, nil
}

const everyType = `SELECT CAST(1 AS tinyint) AS a, CAST(2 AS smallint) AS b, 3 AS c, 9007199254740993 AS d, CAST(0.5 AS float) AS e, 1.5D AS f, CAST(12.25 AS decimal(8,2)) AS g,
true AS h, 'é, "x"' AS i, TIMESTAMP '2020-02-29 01:02:03.5' AS j, DATE '1969-12-31' AS k, array(1, 2) AS l, 4 AS c
UNION ALL SELECT null, null, null, null, null, CAST('NaN' AS double), null, null, '', null, null, null, null ORDER BY a NULLS LAST;`

func TestSource(t *testing.T) {
	for _, overHTTP := range []bool{false, true} {
		name := map[bool]string{false: "source", true: "source-http"}[overHTTP]
		t.Run(name, func(t *testing.T) {
			talk(t, name, overHTTP, func(c *Connector, p connect.Place) {
				got, err := read(t, c, p, everyType)
				if err != nil {
					t.Fatal(err)
				}
				want := "a Int32,b Int32,c Int32,d Int64,e Double,f Double,g Double,h Boolean,i String,j DateTime,k DateTime,l String,c (2) Int32\n" +
					`1,2,3,9007199254740993,0.5,1.5,12.25,True,"é, ""x""",2020-02-29T01:02:03.5,1969-12-31T00:00:00,"[1,2]",4` + "\n,,,,,,,,,,,,\n"
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestSource_pages reads more rows than one answer has.
func TestSource_pages(t *testing.T) {
	talk(t, "pages", false, func(c *Connector, p connect.Place) {
		got, err := read(t, c, p, "SELECT CAST(id % 2 AS boolean) AS odd FROM range(12001)")
		if err != nil || strings.Count(got, "\n") != 12002 || !strings.HasPrefix(got, "odd Boolean\nFalse\nTrue\n") {
			t.Errorf("%d lines, %v", strings.Count(got, "\n"), err)
		}
	})
}

func TestSource_refusals(t *testing.T) {
	for name, query := range map[string]string{"absent": "SELECT * FROM absent", "syntax": "SELEKT 1"} {
		t.Run(name, func(t *testing.T) {
			talk(t, "refusal-"+name, false, func(c *Connector, p connect.Place) {
				if _, err := read(t, c, p, query); !fault.HasCode(err, "Error0068") || strings.Contains(err.Error(), "\n") {
					t.Errorf("err = %v", err)
				}
			})
		})
	}
	t.Run("binary", func(t *testing.T) {
		talk(t, "refusal-binary", false, func(c *Connector, p connect.Place) {
			if _, err := read(t, c, p, "SELECT CAST('a' AS binary) AS photo"); !fault.HasCode(err, "Error0017") {
				t.Errorf("err = %v", err)
			}
		})
	})
}

var schema = frame.Schema{
	{Name: "id", Type: frame.Int32},
	{Name: "big", Type: frame.Int64, Nullable: true},
	{Name: "amount", Type: frame.Double, Nullable: true},
	{Name: "yes", Type: frame.Boolean, Nullable: true},
	{Name: "at", Type: frame.DateTime, Nullable: true},
	{Name: "te xt", Type: frame.String, Nullable: true},
}

const cells = "id,big,amount,yes,at,te xt\n" +
	"1,9007199254740993,1.5E-05,True,2020-02-29T01:02:03.5,\"quote ' back\\slash \"\" and\nline é\"\n" +
	"2,,,,,\n" +
	"3,-1,5,False,1999-12-31T23:59:59,y\n"

// TestSink makes a delivery twice and finds each row once.
func TestSink(t *testing.T) {
	f, err := connect.Parse([]byte(cells), format.Lookup("csv"), false, schema)
	if err != nil {
		t.Fatal(err)
	}
	talk(t, "sink", false, func(c *Connector, p connect.Place) {
		s, err := c.server(p)
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := x.do(t.Context(), "DROP TABLE IF EXISTS delivered"); err != nil {
			t.Fatal(err)
		}
		x.close(t.Context())
		p.Table, p.BatchRows = "delivered", 2
		sink, err := c.Sink(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Check(t.Context(), schema); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := connect.Write(t.Context(), sink, f, "job's/output1"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := read(t, c, p, "SELECT * FROM delivered ORDER BY id")
		want := "id Int32,big Int64,amount Double,yes Boolean,at DateTime,te xt String,portico_job String\n" +
			"1,9007199254740993,1.5E-05,True,2020-02-29T01:02:03.5,\"quote ' back\\slash \"\" and\nline é\",job's/output1\n" +
			"2,,,,,,job's/output1\n" +
			"3,-1,5,False,1999-12-31T23:59:59,y,job's/output1\n"
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"Error while compiling statement: FAILED: ParseException line 1:0 cannot recognize input near 'selec' '1'": "FAILED: ParseException line 1:0 cannot recognize input near 'selec' '1'",
		"org.apache.hive.service.cli.HiveSQLException: Error running query: [PARSE_SYNTAX_ERROR] org.apache.spark.sql.catalyst.parser.ParseException: \n" +
			"[PARSE_SYNTAX_ERROR] Syntax error at or near 'selec'.(line 1, pos 0)\n\n== SQL ==\nselec 1\n^^^\n\n\tat org.apache.spark.X.y(Z.scala:1)": "[PARSE_SYNTAX_ERROR] Syntax error at or near 'selec'.(line 1, pos 0)",
		"org.apache.hive.service.cli.HiveSQLException: Error running query: [CAST_INVALID_INPUT] org.apache.spark.SparkNumberFormatException: " +
			"[CAST_INVALID_INPUT] The value 'it''s mine' of the type \"STRING\" cannot be cast": "[CAST_INVALID_INPUT] The value of the type \"STRING\" cannot be cast",
		strings.Repeat("é", 200): strings.Repeat("é", 150) + "…",
		"":                       "",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://c.azurehdinsight.net":       "https://c.azurehdinsight.net/hive2",
		"https://c.azurehdinsight.net:443/x": "https://c.azurehdinsight.net:443/x",
		"http://h:10001":                     "http://h:10001/cliservice",
		"hive2://h":                          "h:10000 plain",
		"jdbc:hive2://h:10001/;auth=noSasl":  "h:10001",
		"hive2://[::1]:5":                    "[::1]:5 plain",
		"hive2://h/default":                  "",
		"hive2://u:p@h":                      "",
		"https://h/x?a=b":                    "",
		"file:///etc/passwd":                 "",
		"h:10000":                            "",
		"":                                   "",
	} {
		e, err := parseURL(text)
		got := ""
		if err == nil {
			if got = e.address; e.url != nil {
				got = e.url.String()
			}
			if e.plain {
				got += " plain"
			}
		} else if !fault.HasCode(err, "Error0029") {
			t.Errorf("%q: %v", text, err)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestHTTP_refusals are answers that are no HiveServer2's.
func TestHTTP_refusals(t *testing.T) {
	status := http.StatusOK
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == http.StatusFound {
			http.Redirect(w, r, "http://169.254.169.254/", status)
			return
		}
		w.WriteHeader(status)
		w.Write(body)
	}))
	defer s.Close()
	p := connect.Place{Source: connect.Hive, URL: s.URL, User: "u", Password: "hunter2", Query: "SELECT 1"}
	for _, tt := range []struct {
		status int
		body   string
		kind   fault.Kind
		code   string
	}{
		{401, "", fault.LibraryExecution, "Error0071"},
		{302, "", fault.LibraryExecution, "Error0078"},
		{404, "", fault.LibraryExecution, "Error0029"},
		{502, "", fault.Unavailable, ""},
		{200, "<html>hello</html>", fault.LibraryExecution, "Error0068"},
		{200, "", fault.Unavailable, ""},
	} {
		status, body = tt.status, []byte(tt.body)
		src, err := New(Config{Transport: http.DefaultTransport}).Source(p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.Open(t.Context())
		if !fault.Is(err, tt.kind) || tt.code != "" && !fault.HasCode(err, tt.code) {
			t.Errorf("%d %q: %v", tt.status, tt.body, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in %v", err)
		}
	}
}

// TestLogin is a SASL handshake that is refused.
func TestLogin(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		want := "\x01\x00\x00\x00\x05PLAIN\x02\x00\x00\x00\x0a\x00u\x00hunter2"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(server, got); err != nil || string(got) != want {
			fmt.Fprint(server, "?")
			return
		}
		fmt.Fprint(server, "\x03\x00\x00\x00\x02no")
	}()
	c := New(Config{Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
	src, err := c.Source(connect.Place{Source: connect.Hive, URL: "hive2://h", User: "u", Password: "hunter2", Query: "SELECT 1", Unencrypted: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Open(t.Context()); !fault.HasCode(err, "Error0071") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v", err)
	}
}

// FuzzMessage: no answer may panic or take memory that has not come.
func FuzzMessage(f *testing.F) {
	tapes, _ := filepath.Glob("testdata/*.tape")
	for _, name := range tapes {
		text, _ := os.ReadFile(name)
		for _, line := range strings.Split(string(text), "\n") {
			if said, ok := strings.CutPrefix(line, "< "); ok && len(said) < 4096 {
				b, _ := hex.DecodeString(said)
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, method := range []string{"OpenSession", "FetchResults"} {
			m, err := newReader(bytes.NewReader(b)).message(method)
			if err != nil {
				continue
			}
			s, err := schemaOf(m.child(2))
			if err != nil || len(s) == 0 {
				continue
			}
			r := &rows{}
			for _, c := range m.child(3).children(3) {
				_ = r.column(frame.NewColumn(s[0], 0), c)
			}
		}
	})
}

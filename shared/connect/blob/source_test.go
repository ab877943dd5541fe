package blob

import (
	"net/http"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/storage"
)

func azuritePlace(t *testing.T, name string) connect.Place {
	r := azuriteRef(t, name)
	return connect.Place{Source: connect.Blob, ConnectionString: r.ConnectionString, RelativeLocation: r.RelativeLocation}
}

func readPlace(t *testing.T, p connect.Place) (string, error) {
	t.Helper()
	src, err := New(Config{Transport: http.DefaultTransport}).Source(p)
	if err != nil {
		return "", err
	}
	f, err := connect.ReadAll(t.Context(), src, nil, 1<<20)
	if err != nil {
		return "", err
	}
	return string(frame.AppendCSV(nil, f, ',')), nil
}

func TestSource(t *testing.T) {
	for name, body := range map[string]string{
		"src/one.csv":       "\ufeffa,b\r\n1,\"x\ny\"\r\n",
		"src/in/a.csv":      "a,b\n1,x",
		"src/in/b.csv":      "\ufeffa,b\n2,y\n",
		"src/in/c.csv":      "",
		"src/in/d/deep.csv": "a,b\n3,z\n",
		"src/in/_SUCCESS":   "",
		"src/in/e.tsv":      "a\tb\n9\tq\n",
		"src/mixed/a.csv":   "a,b\n1,x\n",
		"src/mixed/b.csv":   "a,c\n1,x\n",
		"src/bare/1.data":   "1,x",
		"src/bare/2.data":   "2,y\n",
		"src/br[a]ce/1.csv": "a\n5\n",
		"src/header/1.csv":  "\"a\nb\",c\n1,2\n",
		"src/header/2.csv":  "\"a\nb\",c\n3,4\n",
	} {
		if err := azuriteBlob(t, name).Write(t.Context(), content(body), nil, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		place connect.Place
		want  string // or a code
	}{
		"one":                     {azuritePlace(t, "src/one.csv"), "a,b\n1,\"x\ny\"\n"},
		"a folder":                {azuritePlace(t, "src/in/"), "a,b\n1,x\n2,y\n3,z\n"},
		"a pattern":               {azuritePlace(t, "src/in/*.csv"), "a,b\n1,x\n2,y\n"},
		"one character":           {azuritePlace(t, "src/in/?.csv"), "a,b\n1,x\n2,y\n"},
		"folders":                 {azuritePlace(t, "src/in/*/*.csv"), "a,b\n3,z\n"},
		"a pattern of tsv":        {azuritePlace(t, "src/in/*.tsv"), "a,b\n9,q\n"},
		"brackets are no classes": {azuritePlace(t, "src/br[a]ce/*.csv"), "a\n5\n"},
		"a header of two lines":   {azuritePlace(t, "src/header/"), "\"a\nb\",c\n1,2\n3,4\n"},
		"without headers": {func() connect.Place {
			p := azuritePlace(t, "src/bare/")
			p.FileFormat, p.NoHeader = "CSV", true
			return p
		}(), "Col1,Col2\n1,x\n2,y\n"},
		"other columns":    {azuritePlace(t, "src/mixed/"), "Error0010"},
		"nothing there":    {azuritePlace(t, "src/none/"), "Error0065"},
		"absent":           {azuritePlace(t, "src/none.csv"), "Error0065"},
		"no format":        {azuritePlace(t, "src/one"), "Error0002"},
		"no container":     {connect.Place{ConnectionString: "AccountName=a;AccountKey=a2V5", RelativeLocation: "*.csv"}, "Error0079"},
		"a key of another": {connect.Place{ConnectionString: strings.Replace(azuriteRef(t, "x").ConnectionString, "AccountKey=", "AccountKey=AAAA", 1), RelativeLocation: "callers/src/in/*.csv"}, "Error0052"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readPlace(t, tt.place)
			if strings.HasPrefix(tt.want, "Error") {
				if !fault.HasCode(err, tt.want) {
					t.Errorf("err = %v, want %s", err, tt.want)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestSink(t *testing.T) {
	s := frame.Schema{{Name: "a", Type: frame.Int32}, {Name: "b", Type: frame.String}}
	f, err := connect.Parse([]byte("a,b\n1,\"x,y\"\n2,z\n"), format.Lookup("csv"), false, s)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{Transport: http.DefaultTransport})
	write := func(p connect.Place, delivery string) error {
		sink, err := c.Sink(p)
		if err != nil {
			return err
		}
		if err := sink.Check(t.Context(), s); err != nil {
			return err
		}
		return connect.Write(t.Context(), sink, f, delivery)
	}
	text := func(name string) string {
		b := azuriteBlob(t, name)
		info, err := b.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(t, b, info.ETag, 0, info.Size)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	p := azuritePlace(t, "sink/a.csv")
	for range 2 {
		if err := write(p, ""); err != nil || text("sink/a.csv") != "a,b\n1,\"x,y\"\n2,z\n" {
			t.Errorf("overwrite: %v", err)
		}
	}
	p.KeepExisting = true
	if err := write(p, ""); !fault.HasCode(err, "Error0057") {
		t.Errorf("keep: %v", err)
	}
	bare := azuritePlace(t, "sink/b.tsv")
	bare.NoHeader, bare.KeepExisting = true, true
	sink, err := c.Sink(bare)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds that it was made
		if err := connect.Write(t.Context(), sink, f, "job/output1"); err != nil || text("sink/b.tsv") != "1\tx,y\n2\tz\n" {
			t.Errorf("a delivery: %v", err)
		}
	}
	if err := connect.Write(t.Context(), sink, f, "job/output2"); !fault.HasCode(err, "Error0057") {
		t.Errorf("another delivery over what is to be kept: %v", err)
	}
	nobox := azuritePlace(t, "x.csv")
	nobox.RelativeLocation = "no-such-container/x.csv"
	if err := write(nobox, ""); !fault.HasCode(err, "Error0079") {
		t.Errorf("no container: %v", err)
	}
}

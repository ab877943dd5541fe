package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

const customers = "customer_id,state,minutes,calls,churn,note\n" +
	"C00001,KS,265.1,1,False,\"a, b\"\n" +
	"C00002,OH,,2,False,\"two\nlines\"\n" +
	"C00003,KS,299.4,3,True,?\n"

func ptr[T any](v T) *T { return &v }

func TestDataset(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	n := catalog.NewDataset{
		Name: "customers", Content: []byte(customers), Format: format.CSV,
		Columns: map[string]catalog.Override{
			"customer_id": {Role: ptr(frame.ID)},
			"state":       {Categorical: ptr(true)},
			"calls":       {Type: ptr(frame.Double), Nullable: ptr(true)},
			"churn":       {Role: ptr(frame.Label)},
			"note":        {Missing: []string{"?"}},
		},
	}
	v, err := c.SaveDataset(ctx, ws, n, ada)
	ok(t, err)
	if v.Number != 1 || v.Rows != 3 || v.Cols != 6 || v.Original != artifact.Digest([]byte(customers)) || v.Digest == v.Original {
		t.Errorf("version %+v", v)
	}
	d, err := c.Dataset(ctx, ws, "customers", 0)
	ok(t, err)
	want1 := frame.Schema{
		{Name: "customer_id", Role: frame.ID},
		{Name: "state", Levels: []string{"KS", "OH"}},
		{Name: "minutes", Type: frame.Double, Nullable: true},
		{Name: "calls", Type: frame.Double, Nullable: true},
		{Name: "churn", Type: frame.Boolean, Role: frame.Label},
		{Name: "note", Nullable: true, Missing: []string{"?"}},
	}
	if diff := cmp.Diff(want1, d.Schema); diff != "" {
		t.Error(diff)
	}
	f, err := c.Table(ctx, ws, "customers", 1)
	ok(t, err)
	got := string(frame.AppendCSV(nil, f, ','))
	if w := strings.Replace(customers, ",?\n", ",\n", 1); strings.ReplaceAll(got, "\r\n", "\n") != w {
		t.Errorf("reads back as\n%s", got)
	}
	original, err := c.Artifact(ctx, ws, v.Original)
	if string(original) != customers || err != nil {
		t.Errorf("original %q, %v", original, err)
	}

	// The same again is no new version; the same bytes with another meaning are.
	again, err := c.SaveDataset(ctx, ws, n, ben)
	ok(t, err)
	if again.Number != 1 {
		t.Errorf("saved twice: version %d", again.Number)
	}
	n.Columns = nil
	other, err := c.SaveDataset(ctx, ws, n, ada)
	ok(t, err)
	if other.Number != 2 || other.Digest == v.Digest || other.Original != v.Original {
		t.Errorf("another schema: %+v", other)
	}
	// Old versions stay as they are.
	if d, err := c.Dataset(ctx, ws, "customers", 1); err != nil || cmp.Diff(want1, d.Schema) != "" {
		t.Errorf("version 1 is now %+v, %v", d, err)
	}
}

func TestDatasetOptions(t *testing.T) {
	c, ws := testCatalog(t)
	save := func(n catalog.NewDataset) (frame.Schema, error) {
		n.Name = "d"
		if n.Format == "" {
			n.Format = format.CSV
		}
		if _, err := c.SaveDataset(t.Context(), ws, n, ada); err != nil {
			return nil, err
		}
		d, err := c.Dataset(t.Context(), ws, "d", 0)
		if err != nil {
			return nil, err
		}
		return d.Schema, nil
	}
	many := "v\n"
	for i := range 1001 {
		many += fmt.Sprintf("x%d\n", i)
	}
	for _, tt := range []struct {
		name string
		n    catalog.NewDataset
		want frame.Schema
	}{
		{"tsv", catalog.NewDataset{Content: []byte("a\tb\n1\tx,y\n"), Format: format.TSV}, frame.Schema{{Name: "a", Type: frame.Int32}, {Name: "b"}}},
		{"no header", catalog.NewDataset{Content: []byte("1,x\n2,y\n"), NoHeader: true}, frame.Schema{{Name: "Col1", Type: frame.Int32}, {Name: "Col2"}}},
		{"missing texts", catalog.NewDataset{Content: []byte("a\n1\nNA\n"), Missing: []string{"NA"}}, frame.Schema{{Name: "a", Type: frame.Int32, Nullable: true, Missing: []string{"NA"}}}},
		{"no rows", catalog.NewDataset{Content: []byte("a,b\n")}, frame.Schema{{Name: "a"}, {Name: "b"}}},
		{
			"all categorical but one",
			catalog.NewDataset{Content: []byte("a,b,n\ny,q,1\nx,q,2\n"), Categorical: true, Columns: map[string]catalog.Override{"b": {Categorical: ptr(false)}}},
			frame.Schema{{Name: "a", Levels: []string{"x", "y"}}, {Name: "b"}, {Name: "n", Type: frame.Int32}},
		},
		{"too many values to be categorical unasked", catalog.NewDataset{Content: []byte(many), Categorical: true}, frame.Schema{{Name: "v"}}},
		{
			"a number made categorical text",
			catalog.NewDataset{Content: []byte("area\n415\n408\n"), Columns: map[string]catalog.Override{"area": {Type: ptr(frame.String), Categorical: ptr(true)}}},
			frame.Schema{{Name: "area", Levels: []string{"408", "415"}}},
		},
		{
			"levels in an order of one's own",
			catalog.NewDataset{Content: []byte("size\nS\nL\n"), Columns: map[string]catalog.Override{"size": {Levels: []string{"S", "M", "L"}}}},
			frame.Schema{{Name: "size", Levels: []string{"S", "M", "L"}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := save(tt.n)
			ok(t, err)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	// What is asked for column by column may have more values.
	s, err := save(catalog.NewDataset{Content: []byte(many), Columns: map[string]catalog.Override{"v": {Categorical: ptr(true)}}})
	if err != nil || len(s[0].Levels) != 1001 {
		t.Errorf("asked for: %d levels, %v", len(s[0].Levels), err)
	}
}

func TestDatasetRefusals(t *testing.T) {
	c, ws := testCatalog(t)
	one := func(name string, o catalog.Override) map[string]catalog.Override {
		return map[string]catalog.Override{name: o}
	}
	const body = "a,b\n1,x\n,y\n"
	for _, tt := range []struct {
		name    string
		content string
		format  string
		columns map[string]catalog.Override
		kind    fault.Kind
		text    string
	}{
		{"xml", body, "xml", nil, fault.BadArgument, "one of csv, tsv, arff"},
		{"ragged", "a,b\n1,x\n2\n", "", nil, fault.BadUserArgument, "record 2 (line 3)"},
		{"open quote", "a,b\n1,\"x\n", "", nil, fault.BadUserArgument, "record 1 (line 2)"},
		{"column twice", "a,a\n1,2\n", "", nil, fault.BadUserArgument, `"a" twice`},
		{"not UTF-8", "a,b\n1,\xff\n", "", nil, fault.BadUserArgument, "UTF-8"},
		{"unknown column", body, "", one("A", catalog.Override{}), fault.BadArgument, `did you mean "a"?`},
		{"type that does not fit", body, "", one("b", catalog.Override{Type: ptr(frame.Double)}), fault.BadUserArgument, "record 1 (line 2)"},
		{"role", body, "", one("a", catalog.Override{Role: ptr(frame.Role("key"))}), fault.BadArgument, `role "key"`},
		{"not nullable", body, "", one("a", catalog.Override{Nullable: ptr(false)}), fault.BadUserArgument, `column "a" must not be nullable, but 1`},
		{"categorical number", body, "", one("a", catalog.Override{Categorical: ptr(true)}), fault.BadArgument, "only String columns"},
		{"levels and not categorical", body, "", one("b", catalog.Override{Levels: []string{"x"}, Categorical: ptr(false)}), fault.BadArgument, "has levels and is not"},
		{"value outside the levels", body, "", one("b", catalog.Override{Levels: []string{"x"}}), fault.BadUserArgument, `row 2, column "b": the value "y"`},
		{"level twice", body, "", one("b", catalog.Override{Levels: []string{"x", "x", "y"}}), fault.BadArgument, `level "x" twice`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.format == "" {
				tt.format = format.CSV
			}
			_, err := c.SaveDataset(t.Context(), ws, catalog.NewDataset{Name: "d", Content: []byte(tt.content), Format: tt.format, Columns: tt.columns}, ada)
			e := fault.Of(err)
			if e == nil || e.Kind != tt.kind || !strings.Contains(e.Msg, tt.text) {
				t.Errorf("err = %v, want %v saying %q", err, tt.kind, tt.text)
			}
		})
	}
	_, err := c.Dataset(t.Context(), ws, "d", 0)
	want(t, err, fault.NotFound, "DatasetNotFound", `no dataset is called "d"`)
}

func TestHead(t *testing.T) {
	c, ws := testCatalog(t)
	var b strings.Builder
	b.WriteString("id,text\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "%d,\"line\none of %d\"\n", i, i)
	}
	_, err := c.SaveDataset(t.Context(), ws, catalog.NewDataset{Name: "d", Content: []byte(b.String()), Format: format.CSV}, ada)
	ok(t, err)
	for _, limit := range []int{0, 1, 100, 7000, 49_999, 50_000, 60_000} {
		d, f, err := c.Head(t.Context(), ws, "d", 0, limit)
		ok(t, err)
		if f.Rows() != min(limit, 50_000) || d.Rows != 50_000 {
			t.Errorf("limit %d: %d rows of %d", limit, f.Rows(), d.Rows)
			continue
		}
		if n := f.Rows(); n > 0 {
			if got, w := string(f.Col("text").Print(nil, n-1)), fmt.Sprintf("line\none of %d", n-1); got != w {
				t.Errorf("limit %d: last row %q, want %q", limit, got, w)
			}
		}
	}
}

// TestDatasetFormats saves files that say their own types, compressed or not.
func TestDatasetFormats(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	arff := "@relation r\n@attribute n integer\n@attribute s {b,a}\n@attribute d date\n@data\n1,a,?\n?,b,2001-04-03T12:12:12\n3,b,?\n"
	plain, err := frame.NewLayout(frame.Schema{{Name: "n", Type: frame.Int64, Nullable: true}, {Name: "s", Levels: []string{"b", "a"}}, {Name: "d", Type: frame.DateTime, Nullable: true}})
	ok(t, err)
	f, err := frame.ARFF{}.Read([]byte(arff), plain)
	ok(t, err)
	parquet, err := format.Lookup(format.Parquet).Append(nil, f)
	ok(t, err)
	gz, err := format.Gzip.Compress(nil, []byte(arff))
	ok(t, err)
	const rows = "n,s,d\n1,a,\n,b,2001-04-03T12:12:12\n3,b,\n"
	zst, err := format.Zstd.Compress(nil, []byte(rows))
	ok(t, err)
	for _, tt := range []struct {
		name, format, saved string
		content             []byte
		schema              frame.Schema // as declared, without overrides
	}{
		{"arff", "arff", "arff", []byte(arff), plain.Schema},
		{"arff.gz", "arff", "arff.gz", gz, plain.Schema},
		{"parquet", "Parquet", "parquet", parquet, plain.Schema},
		{"csv.zst", "csv", "csv.zst", zst, frame.Schema{{Name: "n", Type: frame.Int32, Nullable: true}, {Name: "s"}, {Name: "d", Type: frame.DateTime, Nullable: true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := c.SaveDataset(ctx, ws, catalog.NewDataset{Name: tt.name, Content: tt.content, Format: tt.format}, ada)
			ok(t, err)
			d, err := c.Dataset(ctx, ws, tt.name, 0)
			ok(t, err)
			if diff := cmp.Diff(tt.schema, d.Schema); diff != "" || v.Format != tt.saved || v.Rows != 3 {
				t.Errorf("%+v %s", v, diff)
			}
			f, err := c.Table(ctx, ws, tt.name, 0)
			ok(t, err)
			if got := string(frame.AppendCSV(nil, f, ',')); got != rows {
				t.Errorf("reads as\n%s", got)
			}
			_, h, err := c.Head(ctx, ws, tt.name, 0, 2)
			ok(t, err)
			if h.Rows() != 2 {
				t.Errorf("head of %d rows", h.Rows())
			}
			// The types of the file may be overridden.
			_, err = c.SaveDataset(ctx, ws, catalog.NewDataset{Name: tt.name, Content: tt.content, Format: tt.format, Columns: map[string]catalog.Override{
				"n": {Type: ptr(frame.String), Categorical: ptr(true)}, "s": {Categorical: ptr(false), Role: ptr(frame.Label)}, "d": {Type: ptr(frame.String)},
			}}, ada)
			ok(t, err)
			d, err = c.Dataset(ctx, ws, tt.name, 0)
			ok(t, err)
			want := frame.Schema{{Name: "n", Levels: []string{"1", "3"}, Nullable: true}, {Name: "s", Role: frame.Label}, {Name: "d", Nullable: true}}
			if diff := cmp.Diff(want, d.Schema); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err = c.SaveDataset(ctx, ws, catalog.NewDataset{Name: "x", Content: []byte(arff), Format: "arff", NoHeader: true}, ada)
	want(t, err, fault.BadArgument, "BadParameterValue", "no header row")
	_, err = c.SaveDataset(ctx, ws, catalog.NewDataset{Name: "x", Content: gz[:len(gz)-4], Format: "arff"}, ada)
	want(t, err, fault.BadUserArgument, "InputParseError", "cut off")
}

// A description belongs to its version, and a name that must be new is not
// taken over.
func TestDatasetNewName(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	n := catalog.NewDataset{Name: "rates", Description: "per tariff", New: true, Content: []byte("1,2\n3,4\n"), Format: format.CSV, NoHeader: true}
	v, err := c.SaveDataset(ctx, ws, n, ada)
	ok(t, err)
	saved, err := c.Saved(ctx, ws, v.Kind, "rates", 0)
	ok(t, err)
	if !saved.NoHeader || saved.Description != "per tariff" || saved.Number != 1 || saved.Rows != 2 {
		t.Errorf("saved %+v", saved)
	}
	_, err = c.SaveDataset(ctx, ws, n, ada)
	want(t, err, fault.Conflict, catalog.CodeNameTaken, `"rates" already`)
	_, err = c.SaveDataset(ctx, ws, catalog.NewDataset{Name: "rates", New: true, Content: []byte("a\n1,2\n"), Format: format.CSV}, ada)
	want(t, err, fault.Conflict, catalog.CodeNameTaken, "") // said before the file is read
	n.New = false
	v, err = c.SaveDataset(ctx, ws, n, ada)
	ok(t, err)
	if v.Number != 1 {
		t.Errorf("the same again is version %d", v.Number)
	}
	n.Description = "per tariff, corrected"
	v, err = c.SaveDataset(ctx, ws, n, ada)
	ok(t, err)
	if v.Number != 2 || v.Description != n.Description {
		t.Errorf("with another description: %+v", v)
	}
	n.Description = strings.Repeat("x", 4001)
	_, err = c.SaveDataset(ctx, ws, n, ada)
	want(t, err, fault.BadArgument, "BadParameterValue", "4001")
}

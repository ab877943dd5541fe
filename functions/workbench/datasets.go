package workbench

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/summary"
)

// getDataset: a version with its schema.
func (f *Function) getDataset(w http.ResponseWriter, c call) error {
	n, err := catalog.ParseNumber(c.PathValue("version"))
	if err != nil {
		return err
	}
	d, err := f.catalog.Dataset(c.Context(), c.ws, c.PathValue("name"), n)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, d)
}

// datasetRows: the first rows, cells as text.
func (f *Function) datasetRows(w http.ResponseWriter, c call) error {
	n, err := catalog.ParseNumber(c.PathValue("version"))
	if err != nil {
		return err
	}
	rows, err := c.number("rows", someRows, maxRows)
	if err != nil {
		return err
	}
	d, head, err := f.catalog.Head(c.Context(), c.ws, c.PathValue("name"), n, rows)
	if err != nil {
		return err
	}
	var cells summary.Cells
	return web.JSON(w, http.StatusOK, struct {
		Rows    int64        `json:"rows"` // of the whole dataset
		Columns frame.Schema `json:"columns"`
		Values  [][]*string  `json:"values"`
	}{d.Rows, d.Schema, cells.Rows(head, rows)})
}

// datasetOptions say how a dataset's file is read.
type datasetOptions struct {
	Name        string                      `json:"name"`
	Format      string                      `json:"format"` // one of package format's; empty = by type and name
	Header      *bool                       `json:"header"` // false: the file has no header row
	Missing     []string                    `json:"missing"`
	Categorical bool                        `json:"categorical"`
	Columns     map[string]catalog.Override `json:"columns"`
}

// saveDataset makes a version of a dataset. The body is
//   - the file itself, with the options in the query (columns as JSON), or
//   - multipart/form-data with the parts file and options (JSON), or
//   - JSON: the options and "file", a source.
func (f *Function) saveDataset(w http.ResponseWriter, c call) error {
	o, content, hint, err := f.readDataset(c)
	if err != nil {
		return err
	}
	name, err := c.name(o.Name)
	if err != nil {
		return err
	}
	n := catalog.NewDataset{
		Name: name, Content: content, Format: o.Format, NoHeader: o.Header != nil && !*o.Header,
		Missing: o.Missing, Categorical: o.Categorical, Columns: o.Columns,
	}
	if n.Format == "" {
		n.Format = guessFormat(c.mediaType(), hint, name)
		if err := mistaken(n.Format, content); err != nil {
			return err
		}
	}
	v, err := f.catalog.SaveDataset(c.Context(), c.ws, n, c.id)
	if err != nil {
		return err
	}
	d, err := f.catalog.Dataset(c.Context(), c.ws, v.Name, v.Number)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, d)
}

func (f *Function) readDataset(c call) (o datasetOptions, content []byte, filename string, err error) {
	switch c.mediaType() {
	case "multipart/form-data":
		parts, filename, err := c.form("name", "file", "options")
		if err != nil {
			return o, nil, "", err
		}
		if body := parts["options"]; len(body) > 0 {
			if err := web.DecodeJSON(body, &o); err != nil {
				return o, nil, "", inOptions(err)
			}
		}
		if o.Name == "" {
			o.Name = string(parts["name"])
		}
		if len(parts["file"]) == 0 {
			return o, nil, "", fault.New(fault.BadArgument, "RequestBodyInvalid", "the body has no part file, or it is empty").At("file")
		}
		return o, parts["file"], filename, nil
	case "application/json":
		var in struct {
			datasetOptions
			File *source `json:"file"`
		}
		if err := web.ReadJSON(c.Request, &in, maxUpload); err != nil {
			return o, nil, "", err
		}
		if !in.File.given() {
			return o, nil, "", fault.New(fault.BadArgument, "RequestBodyInvalid", "the body names no file").At("file")
		}
		content, err := f.bytes(c, "file", in.File)
		return in.datasetOptions, content, in.File.file(), err
	}
	q := c.URL.Query()
	for name := range q {
		if !slices.Contains(queryOptions, name) {
			return o, nil, "", fault.New(fault.BadArgument, "InvalidQueryParameter", "%.80q is no option of a dataset: %s", name, strings.Join(queryOptions, ", ")).At(name)
		}
	}
	o.Format, o.Missing = q.Get("format"), q["missing"]
	header, err := flag("header", q.Get("header"), true)
	if err != nil {
		return o, nil, "", err
	}
	o.Header = &header
	if o.Categorical, err = flag("categorical", q.Get("categorical"), false); err != nil {
		return o, nil, "", err
	}
	if columns := q.Get("columns"); columns != "" {
		if err := web.DecodeJSON([]byte(columns), &o.Columns); err != nil {
			return o, nil, "", inOptions(err)
		}
	}
	content, err = c.raw()
	return o, content, "", err
}

// queryOptions are the options of a dataset that a query may give.
var queryOptions = []string{"name", "format", "header", "missing", "categorical", "columns"}

// inOptions tells an error in the options from one in the body around them.
func inOptions(err error) error {
	e := *fault.Of(err)
	e.Target = "options"
	return &e
}

// vague are media types that say less than a file's name: browsers send text/csv
// for anything, and what is inside of gzip is seldom an archive.
var vague = []string{"text/plain", "text/csv", "application/gzip"}

// guessFormat guesses a file's format by its media type and then by its name.
func guessFormat(mediaType string, names ...string) string {
	for _, f := range format.All() {
		if base, _, _ := strings.Cut(f.MediaType, ";"); base == mediaType && !slices.Contains(vague, mediaType) {
			return f.Name
		}
	}
	for _, n := range names {
		if f, _ := format.OfFile(n); f != nil {
			return f.Name
		}
	}
	return format.CSV
}

// mistaken refuses a file that was taken for separated values, for want of a
// name that says more, and begins as something else does.
func mistaken(as string, content []byte) error {
	if as != format.CSV && as != format.TSV {
		return nil
	}
	for _, k := range []struct{ begin, what, how string }{
		{"PAR1", "a Parquet file", "give format=parquet"},
		{"@relation", "an ARFF file", "give format=arff"},
		{"PK\x03\x04", "a zip archive or an Excel workbook", "give format=zip for an archive of files, or save the sheet as CSV"},
		{"\xD0\xCF\x11\xE0", "an old Excel workbook", "save the sheet as CSV"},
		{"%PDF-", "a PDF document", "a table is needed"},
		{"\x89PNG", "an image", "a table is needed"},
		{"\x80\x04", "a Python pickle", "write it with DataFrame.to_csv or to_parquet"},
		{"ARROW1", "an Arrow file", "write it as Parquet"},
		{"SQLite format 3", "an SQLite database", "export the table as CSV"},
	} {
		if len(content) >= len(k.begin) && strings.EqualFold(string(content[:len(k.begin)]), k.begin) {
			return fault.New(fault.BadUserArgument, "InputParseError", "the file was taken for %s and begins as %s does: %s", as, k.what, k.how).At("format")
		}
	}
	return nil
}

// datasetFile: a version as a file. Without a format it is the one that was
// uploaded; with one, and a compression for text, the table is written as that.
func (k kindOf) datasetFile(w http.ResponseWriter, c call) error {
	if c.URL.Query().Get("format") == "" {
		return k.original(w, c)
	}
	v, err := k.here(c)
	if err != nil {
		return err
	}
	f, err := k.catalog.Table(c.Context(), c.ws, v.Name, v.Number)
	if err != nil {
		return err
	}
	return table(w, c, v.Name, "", f)
}

// table answers a table as a file in the format and compression of the query;
// where it names none, in its own format, and CSV where that is empty.
func table(w http.ResponseWriter, c call, name, own string, f *frame.Frame) error {
	q := c.URL.Query()
	ft := format.Lookup(cmp.Or(q.Get("format"), own, format.CSV))
	if ft == nil || !slices.Contains(format.Written(), ft.Name) {
		return fault.New(fault.BadArgument, "InvalidQueryParameter", "format=%.40s: one of %s is needed", q.Get("format"), strings.Join(format.Written(), ", ")).At("format")
	}
	compression, err := format.ParseCompression(q.Get("compression"))
	if err != nil {
		return err
	}
	if compression != format.None && !ft.Text() {
		return fault.New(fault.BadArgument, "InvalidQueryParameter", "format %s is compressed in itself", ft.Name).At("compression")
	}
	body, err := ft.Append(nil, f)
	if err != nil {
		return err
	}
	file, contentType := name+"."+ft.Extensions[0], ft.MediaType
	if compression != format.None {
		if body, err = compression.Compress(nil, body); err != nil {
			return err
		}
		file, contentType = file+"."+compression.Extension(), "application/"+string(compression)
	}
	return attachment(w, file, contentType, body)
}

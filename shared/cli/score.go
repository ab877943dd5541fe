package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/client"
)

// A call carries at most so many rows and about so many bytes; less where the
// server says that its limits are lower.
const (
	callRows  = 5_000
	callBytes = 4 << 20
)

func scoreCommands() []command {
	return []command{{
		name: "score", args: "[FILE]", short: "score the records of a file, or of the standard input, at once", most: 1,
		long: `Records are separated values with a header, or JSON: row objects in an array or one
after the other, or a whole request as the service takes it ({"Inputs": …}), which is
sent as it is. They are sent in as many calls as it takes; a service that looks at
all rows together (one that sorts, joins or samples) sees the rows of one call: score
its files by portico job submit. Cells are printed as the server gives them.`,
		flags: func(f *flag.FlagSet, o *options) {
			o.caller(f)
			o.globals(f)
			f.StringVar(&o.inputFormat, "input-format", "", "`csv, tsv or json` (default: by the file's name, csv where it has none)")
			f.StringVar(&o.format, "format", "csv", "what to print, `csv or json`; -json is -format json")
			f.StringVar(&o.output, "output", "", "`name` of the output to print, of a service that has several")
			f.IntVar(&o.batch, "batch", callRows, "most `rows` of a call")
		},
		run: score,
	}}
}

func score(ctx context.Context, s *session, args []string) error {
	if s.opt.json {
		s.opt.format = "json"
	}
	if s.opt.format != "csv" && s.opt.format != "json" {
		return usage("-format is csv or json")
	}
	if s.opt.batch < 1 {
		return usage("-batch is a number of rows from 1")
	}
	in, format, of := s.env.Stdin, "csv", int64(0)
	if len(args) > 0 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return usage("%v", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			of = info.Size()
		}
		in, format = f, formatOf(args[0])
	}
	if s.opt.inputFormat != "" {
		format = s.opt.inputFormat
	}
	read := &counted{r: in}
	b := bufio.NewReaderSize(read, 64<<10)
	var src source
	var whole []byte
	var err error
	switch format {
	case "csv":
		src, err = newCSV(b, ',')
	case "tsv":
		src, err = newCSV(b, '\t')
	case "json":
		src, whole, err = openJSON(b)
	default:
		return usage("-input-format is csv, tsv or json")
	}
	if err != nil {
		return err
	}
	parameters, err := s.globalParameters()
	if err != nil {
		return err
	}
	t, err := s.target(ctx)
	if err != nil {
		return err
	}
	sc := &scorer{s: s, t: t, parameters: parameters, rows: s.opt.batch, out: newPrinter(s.env.Stdout, s.opt.format), read: read, of: of}
	if whole != nil {
		err = sc.request(ctx, whole, len(parameters) > 0)
	} else {
		err = sc.all(ctx, src)
	}
	s.screen.clear()
	return errors.Join(err, sc.out.close(err == nil))
}

func formatOf(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".tsv", ".tab":
		return "tsv"
	case ".json", ".jsonl", ".ndjson":
		return "json"
	}
	return "csv"
}

// openJSON tells rows from a whole request, which it returns.
func openJSON(b *bufio.Reader) (source, []byte, error) {
	s, err := newJSON(b)
	if err != nil || s.array {
		return s, nil, err
	}
	columns, cells, err := s.next()
	if err != nil {
		return nil, nil, err
	}
	for i, name := range columns {
		if strings.EqualFold(name, "Inputs") && bytes.HasPrefix(bytes.TrimSpace(cells[i]), []byte("{")) {
			body := map[string]json.RawMessage{}
			for i, name := range columns {
				body[name] = cells[i]
			}
			whole, err := json.Marshal(body)
			return nil, whole, err
		}
	}
	return &pushedBack{s, columns, cells}, nil, nil
}

// pushedBack is a source whose first record was looked at.
type pushedBack struct {
	source
	columns []string
	cells   []json.RawMessage
}

func (p *pushedBack) next() ([]string, []json.RawMessage, error) {
	if p.columns != nil {
		columns := p.columns
		p.columns = nil
		return columns, p.cells, nil
	}
	return p.source.next()
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// scorer scores records call by call.
type scorer struct {
	s          *session
	t          *target
	parameters map[string]any
	rows       int // of a call
	out        *printer
	input      string // name of the service's input

	read  *counted
	of    int64
	done  int64
	speed meter
}

func (sc *scorer) all(ctx context.Context, src source) error {
	var err error
	if sc.input, err = sc.inputName(ctx); err != nil {
		return err
	}
	for {
		records, err := gather(src, sc.rows, callBytes)
		if err != nil {
			return err
		}
		if len(records.Values) == 0 {
			if sc.done > 0 {
				return nil
			}
			if c, ok := src.(*csvSource); ok {
				records.ColumnNames = c.header
			}
			return sc.score(ctx, records) // a header alone: what is answered has one too
		}
		if err := sc.score(ctx, records); err != nil {
			return err
		}
	}
}

// inputName asks the service what its input is called.
func (sc *scorer) inputName(ctx context.Context) (string, error) {
	var doc struct {
		Definitions struct {
			ExecutionInputs struct{ Properties map[string]json.RawMessage }
		}
	}
	if _, err := sc.t.Get(ctx, sc.t.path("/swagger.json"), "", &doc); err != nil {
		return "", err
	}
	names := doc.Definitions.ExecutionInputs.Properties
	if len(names) != 1 {
		return "", usage(`the service has %d inputs: records are for one; give a whole request, {"Inputs": …}`, len(names))
	}
	for name := range names {
		return name, nil
	}
	return "", nil
}

// score scores records in one call, or in halves where they are too many for
// the server.
func (sc *scorer) score(ctx context.Context, records *table) error {
	body, err := json.Marshal(map[string]any{"Inputs": map[string]*table{sc.input: records}, "GlobalParameters": sc.parameters})
	if err != nil {
		return err
	}
	n := len(records.Values)
	answer, err := sc.post(ctx, body)
	if client.HasStatus(err, http.StatusRequestEntityTooLarge) && n > 1 {
		half := n / 2
		sc.rows = min(sc.rows, max(half, 1))
		if err := sc.score(ctx, &table{records.ColumnNames, records.Values[:half]}); err != nil {
			return err
		}
		return sc.score(ctx, &table{records.ColumnNames, records.Values[half:]})
	}
	if err != nil {
		if sc.done > 0 {
			err = fmt.Errorf("in rows %s to %s: %w", count(sc.done+1), count(sc.done+int64(n)), err)
		}
		return err
	}
	if err := sc.print(answer); err != nil {
		return err
	}
	sc.done += int64(n)
	sc.speed.see(float64(sc.done), time.Now())
	rate := ""
	if r := sc.speed.rate(); r > 0 {
		rate = count(int64(r)) + " rows/s"
	}
	sc.s.screen.show("scoring " + bar(float64(sc.read.n), float64(sc.of), plural(sc.done, "row"), rate))
	return nil
}

// request sends a whole request.
func (sc *scorer) request(ctx context.Context, body []byte, parameters bool) error {
	if parameters {
		return usage("the request has its own GlobalParameters: put the parameters there")
	}
	answer, err := sc.post(ctx, body)
	if err != nil {
		return err
	}
	return sc.print(answer)
}

type answer struct {
	Results map[string]struct {
		Value struct {
			ColumnNames []string
			Values      [][]*string
		}
	}
}

func (sc *scorer) post(ctx context.Context, body []byte) (a answer, err error) {
	_, err = sc.t.Do(ctx, client.Call{
		Method: http.MethodPost, Path: sc.t.path("/execute?api-version=2.0&details=true"), Bearer: sc.t.key, Body: client.Bytes(body), Again: true,
	}, &a)
	return a, err
}

func (sc *scorer) print(a answer) error {
	name := sc.s.opt.output
	if name == "" && len(a.Results) == 1 {
		for name = range a.Results {
		}
	}
	r, ok := a.Results[name]
	if !ok {
		return usage("the service has %s: name one by -output; %s", plural(len(a.Results), "output"), strings.Join(sorted(a.Results), ", "))
	}
	return sc.out.print(r.Value.ColumnNames, r.Value.Values)
}

// printer prints tables as one.
type printer struct {
	w       *bufio.Writer
	csv     *csv.Writer // nil for JSON
	columns []string    // printed
	rows    int64
}

func newPrinter(w io.Writer, format string) *printer {
	p := &printer{w: bufio.NewWriterSize(w, 64<<10)}
	if format == "csv" {
		p.csv = csv.NewWriter(p.w)
	}
	return p
}

func (p *printer) print(columns []string, rows [][]*string) error {
	if p.csv == nil {
		return p.objects(columns, rows)
	}
	if p.columns == nil {
		p.columns = columns
		if err := p.csv.Write(columns); err != nil {
			return err
		}
	}
	record := make([]string, len(columns))
	for _, row := range rows {
		if len(row) != len(columns) {
			return fmt.Errorf("the server answered a row of %d cells under %d columns", len(row), len(columns))
		}
		for i, cell := range row {
			record[i] = ""
			if cell != nil {
				record[i] = *cell
			}
		}
		if err := p.csv.Write(record); err != nil {
			return err
		}
	}
	p.csv.Flush()
	return errors.Join(p.csv.Error(), p.w.Flush())
}

func (p *printer) objects(columns []string, rows [][]*string) error {
	var b []byte
	for _, row := range rows {
		if len(row) != len(columns) {
			return fmt.Errorf("the server answered a row of %d cells under %d columns", len(row), len(columns))
		}
		b = append(b, "[,"[min(p.rows, 1)], '\n')
		p.rows++
		for i, cell := range row {
			b = append(appendText(append(b, "{,"[min(i, 1)]), columns[i]), ':')
			if cell == nil {
				b = append(b, null...)
			} else {
				b = appendText(b, *cell)
			}
		}
		b = append(b, '}')
	}
	_, err := p.w.Write(b)
	return errors.Join(err, p.w.Flush())
}

// close ends the document; of rows that are not all, it is left open.
func (p *printer) close(all bool) error {
	if p.csv == nil && all {
		if p.rows == 0 {
			p.w.WriteByte('[')
		}
		p.w.WriteString("\n]\n")
	}
	return p.w.Flush()
}

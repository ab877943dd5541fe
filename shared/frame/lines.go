package frame

import (
	"bytes"
	"fmt"

	"github.com/portico-ml/portico/shared/fault"
)

// Lines is how a file is read in which every record is a line: JSONL, ARFF
// after its header, SVMLight. Blank lines are no records.
type Lines struct {
	// RefuseExtra makes a column that the layout does not have an error;
	// otherwise it is ignored.
	RefuseExtra bool
	// MaxRecord is the size in bytes above which a record is bad; 0 = 4 MiB.
	MaxRecord int
	// OnBad is as in CSV.
	OnBad func(BadRecord) error
}

// refusal is why a record is bad.
type refusal struct {
	column string
	code   string // "" = CodeCell
	reason string
}

func refused(format string, args ...any) *refusal {
	return &refusal{reason: fmt.Sprintf(format, args...)}
}

// cell makes a refusal of what AppendText returned.
func cell(err error) *refusal {
	if err == nil {
		return nil
	}
	e := err.(*CellError)
	return &refusal{e.Column, e.Code, e.Error()}
}

// A file may say little and mean much: a sparse row of ten bytes can have a
// thousand cells. maxDense is the number of cells that size bytes may become.
func maxDense(size int) int64 {
	return min(int64(size)*64+1<<16, 1<<28)
}

func checkDense(rows, cols int64, size int) error {
	if limit := maxDense(size); cols > 0 && rows > limit/cols {
		return fault.New(fault.TooLarge, "", "the %d bytes hold %d rows of %d columns, most of them absent: at most %d cells are allowed for so many bytes", size, rows, cols, limit)
	}
	return nil
}

// append reads the records of data into f by parse, which appends one cell to
// every column or says why not, having appended to some. A comment is no
// record.
func (o Lines) append(f *Frame, data []byte, at Start, comment byte, parse func(line []byte) *refusal) (Counts, error) {
	limit := o.MaxRecord
	if limit <= 0 {
		limit = defaultMaxRecord
	}
	size := len(data)
	good := data[:validUTF8(data)]
	broken := len(good) < len(data)
	whole := data
	if broken { // the records before are read
		good = good[:bytes.LastIndexByte(good, '\n')+1]
	}
	data = good
	var n Counts
	record, line, rows := max(1, at.Record), at.Line, f.Rows()
	for len(data) > 0 {
		raw, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		raw = bytes.TrimSuffix(raw, []byte{'\r'})
		here := line
		if line > 0 {
			line++
		}
		if t := trim(raw); len(t) == 0 || comment != 0 && t[0] == comment {
			continue
		}
		if n.Records&1023 == 0 {
			if err := checkDense(int64(rows), int64(len(f.Cols)), size); err != nil {
				return n, err
			}
		}
		var bad *refusal
		if len(raw) > limit {
			bad = refused("the record is longer than the limit of %d bytes", limit)
		} else {
			bad = parse(raw)
		}
		n.Records++
		if bad == nil {
			rows++
			record++
			continue
		}
		truncate(f.Cols, rows)
		n.Bad++
		b := BadRecord{Record: record, Line: here, Column: bad.column, Code: bad.code, Reason: bad.reason, Raw: raw}
		if b.Code == "" {
			b.Code = CodeCell
		}
		record++
		if o.OnBad == nil {
			return n, b.Fault()
		}
		if err := o.OnBad(b); err != nil {
			return n, err
		}
	}
	if broken {
		return n, checkUTF8(whole, at.Line)
	}
	return n, checkDense(int64(rows), int64(len(f.Cols)), size)
}

// notText are how files begin that are taken for text, and what they are. None of
// them is the beginning of one.
var notText = []struct{ begin, what string }{
	{"\x1f\x8b", "compressed with gzip: its name, or its format, has to end in .gz"},
	{"\x28\xb5\x2f\xfd", "compressed with Zstandard: its name, or its format, has to end in .zst"},
	{"PK\x03\x04", "a ZIP archive, as workbooks of Excel are: unpack it, or save it as csv"},
	{"PAR1\x15", "a Parquet file: its name, or its format, has to say so"},
}

// TextStart returns the size of the byte order mark that a text file may begin
// with, and refuses UTF-16 and files of other kinds.
func TextStart(data []byte) (int, error) {
	for _, n := range notText {
		if bytes.HasPrefix(data, []byte(n.begin)) {
			return 0, unreadable("the file is no text: it is %s", n.what)
		}
	}
	if bytes.HasPrefix(data, []byte("\xFF\xFE")) || bytes.HasPrefix(data, []byte("\xFE\xFF")) {
		return 0, unreadable("the file is UTF-16; it must be UTF-8")
	}
	if bytes.HasPrefix(data, []byte(bom)) {
		return len(bom), nil
	}
	return 0, nil
}

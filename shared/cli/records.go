package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// separators of the text files whose records can be sent within a request.
var separators = map[string]rune{".csv": ',', ".tsv": '\t', ".tab": '\t'}

// table is records as a request has them: cells are JSON.
type table struct {
	ColumnNames []string            `json:"ColumnNames"`
	Values      [][]json.RawMessage `json:"Values"`
}

// source gives records, one after the other.
type source interface {
	// next returns the next record and the columns of its cells; io.EOF at
	// the end.
	next() (columns []string, cells []json.RawMessage, err error)
}

var null = json.RawMessage("null")

// csvSource reads separated values with a header.
type csvSource struct {
	r      *csv.Reader
	header []string
}

func newCSV(r io.Reader, comma rune) (*csvSource, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\ufeff" {
		b.Discard(3)
	}
	s := &csvSource{r: csv.NewReader(b)}
	s.r.Comma = comma
	header, err := s.r.Read()
	if err == io.EOF {
		return nil, errors.New("the input is empty: its first line names the columns")
	}
	s.header = slices.Clone(header)
	s.r.ReuseRecord = true
	return s, err
}

func (s *csvSource) next() ([]string, []json.RawMessage, error) {
	record, err := s.r.Read()
	if err != nil {
		return nil, nil, err
	}
	cells := make([]json.RawMessage, len(record))
	for i, text := range record {
		if text == "" {
			cells[i] = null
			continue
		}
		cells[i] = appendText(nil, text)
	}
	return s.header, cells, nil
}

// appendText appends a text as a JSON string.
func appendText(dst []byte, text string) []byte {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.Encode(text) //nolint:errcheck // a text into memory
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// jsonSource reads row objects: an array of them, or one after the other.
type jsonSource struct {
	d     *json.Decoder
	array bool
	ended bool
	row   int64
}

func newJSON(r io.Reader) (*jsonSource, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	for {
		c, err := b.ReadByte()
		if err != nil {
			return nil, errors.New("the input is empty")
		}
		if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			continue
		}
		b.UnreadByte()
		s := &jsonSource{d: json.NewDecoder(b), array: c == '['}
		if s.array {
			_, err = s.d.Token()
		}
		return s, err
	}
}

func (s *jsonSource) next() ([]string, []json.RawMessage, error) {
	if s.ended {
		return nil, nil, io.EOF
	}
	if s.array && !s.d.More() {
		if _, err := s.d.Token(); err != nil {
			return nil, nil, fmt.Errorf("the input ends within its array, after row %d", s.row)
		}
		s.ended = true
		if _, err := s.d.Token(); err != io.EOF {
			return nil, nil, fmt.Errorf("the input goes on behind its array, after row %d", s.row)
		}
		return nil, nil, io.EOF
	}
	s.row++
	var row json.RawMessage
	if err := s.d.Decode(&row); err == io.EOF && !s.array {
		return nil, nil, io.EOF
	} else if err == io.EOF {
		return nil, nil, fmt.Errorf("the input ends within its array, after row %d", s.row-1)
	} else if err != nil {
		return nil, nil, fmt.Errorf("row %d: %w", s.row, err)
	}
	columns, cells, err := members(row)
	if err != nil {
		return nil, nil, fmt.Errorf("row %d is not a JSON object of columns", s.row)
	}
	return columns, cells, nil
}

// members takes an object apart, in its order.
func members(object json.RawMessage) (names []string, values []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("no object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, nil, err
		}
		text, _ := name.(string) // the name of a member
		names, values = append(names, text), append(values, value)
	}
	return names, values, nil
}

// gather reads up to rows records, or about bytes of them, into one table. A
// column that a record lacks is missing there. There are none at the end.
func gather(s source, rows, size int) (*table, error) {
	t := &table{Values: [][]json.RawMessage{}}
	at := map[string]int{}
	for taken := 0; len(t.Values) < rows && taken < size; {
		columns, cells, err := s.next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		values := cells
		if len(columns) == 0 || len(columns) != len(t.ColumnNames) || &columns[0] != &t.ColumnNames[0] {
			values = t.arrange(at, columns, cells)
		}
		t.Values = append(t.Values, values)
		for _, c := range values {
			taken += len(c) + 1
		}
	}
	return t, nil
}

// arrange puts cells under the table's columns, and adds those it lacks.
func (t *table) arrange(at map[string]int, columns []string, cells []json.RawMessage) []json.RawMessage {
	if len(t.ColumnNames) == 0 && len(t.Values) == 0 {
		// Names that come twice are the server's to refuse.
		t.ColumnNames = columns
		for i, name := range columns {
			at[name] = i
		}
		return cells
	}
	values := slices.Repeat([]json.RawMessage{null}, len(t.ColumnNames))
	for i, name := range columns {
		n, ok := at[name]
		if !ok {
			n = len(t.ColumnNames)
			at[name] = n
			t.ColumnNames = append(slices.Clip(t.ColumnNames), name)
			for r := range t.Values {
				t.Values[r] = append(slices.Clip(t.Values[r]), null)
			}
			values = append(values, null)
		}
		values[n] = cells[i]
	}
	return values
}

// inline reads a whole file of separated values.
func inline(r io.Reader, comma rune) (*table, error) {
	s, err := newCSV(r, comma)
	if err != nil {
		return nil, err
	}
	t, err := gather(s, int(^uint(0)>>1), int(^uint(0)>>1))
	if err == nil && len(t.Values) == 0 {
		t.ColumnNames = s.header
	}
	return t, err
}

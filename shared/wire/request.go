package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// DefaultMaxRows is how many rows a request may have in all its inputs.
const DefaultMaxRows = 10_000

// Classic codes of requests.
const (
	codeMismatch     = "InputMismatchError"
	codeParse        = "InputParseError"
	codeBody         = "RequestBodyInvalid"
	codeMissingInput = "MissingRequestInput"
	codeInputNames   = "InvalidInputNames"
)

// Decoder reads requests. It is reused from call to call, and in the steady
// state reads one without allocating; it is not for concurrent use.
//
// What real clients send is accepted: both forms of execute on either URL,
// members of the envelope in any case and order, unknown ones among them,
// unquoted numbers and booleans, null, NaN without quotes, and in row objects
// left-out members, which are missing cells. Columns are matched by exact
// name, in any order. In the table form a required column must be named.
type Decoder struct {
	MaxRows int // 0 = DefaultMaxRows

	s      scanner
	params map[string]string
	ports  *Ports
	frames []*frame.Frame
	given  []bool // per input
	rows   int    // read so far, in all inputs
	cols   []int  // table form: per cell of a row, its column
	colsOf *input // of which cols are, by the names of colsIn; nil for none
	colsIn []byte // as they stood in the request
	seen   []int  // row objects: per column, the last row that had it, from 1
	order  []int  // row objects: the columns of the row before, as they came
}

// Parameters returns the global parameters of the request read last, as text,
// those that are null left out; nil where there are none. They are valid until
// the next request is read.
func (d *Decoder) Parameters() map[string]string {
	if len(d.params) == 0 {
		return nil
	}
	return d.params
}

// Execute reads the body of an execute call in either form, and appends its
// rows to frames: one per input of p, in its schema, empty.
func (d *Decoder) Execute(p *Ports, body []byte, frames []*frame.Frame) error {
	if err := d.begin(p, body, frames); err != nil {
		return err
	}
	if err := d.members(d.executeMember); err != nil {
		return err
	}
	for i := range p.inputs {
		if !d.given[i] {
			return fault.New(fault.BadArgument, codeMissingInput, "the request has no data for input %q; the service needs: %s", p.inputs[i].name, p.inputNames()).At(p.inputs[i].name)
		}
	}
	return nil
}

func (d *Decoder) executeMember(name []byte) error {
	switch {
	case fold(name, "Inputs"):
		return d.inputs()
	case fold(name, "GlobalParameters"):
		return d.parameters()
	}
	_, err := d.s.skip()
	return err
}

// Score reads the body of a 2014 score call, one feature vector, and appends
// it to f. The service must have one input.
func (d *Decoder) Score(p *Ports, body []byte, f *frame.Frame) error {
	if len(p.inputs) != 1 {
		return fault.New(fault.InvalidOperation, "IncompatibleModel", "the service has %d inputs; a score request carries one: use execute", len(p.inputs))
	}
	if err := d.begin(p, body, []*frame.Frame{f}); err != nil {
		return err
	}
	if err := d.members(d.scoreMember); err != nil {
		return err
	}
	if !d.given[0] {
		return fault.New(fault.BadArgument, codeMissingInput, "the request has no Instance.FeatureVector")
	}
	return nil
}

func (d *Decoder) scoreMember(name []byte) error {
	switch {
	case fold(name, "Instance"):
		return d.object(d.instanceMember, "Instance")
	case fold(name, "GlobalParameters"):
		return d.parameters()
	}
	_, err := d.s.skip()
	return err
}

func (d *Decoder) instanceMember(name []byte) error {
	switch {
	case fold(name, "FeatureVector"):
		if d.given[0] {
			return refuse("FeatureVector is given twice")
		}
		d.given[0] = true
		in := &d.ports.inputs[0]
		d.startRows(in)
		return d.row(in, d.frames[0], 0)
	case fold(name, "GlobalParameters"):
		return d.parameters()
	}
	_, err := d.s.skip()
	return err
}

func (d *Decoder) begin(p *Ports, body []byte, frames []*frame.Frame) error {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // some .NET writers begin with it
	d.s.b, d.s.i = body, 0
	d.ports, d.frames, d.rows = p, frames, 0
	clear(d.params)
	d.given = zeroed(d.given, len(p.inputs))
	if len(bytes.TrimSpace(body)) == 0 {
		return refuse("the request has no body")
	}
	if !utf8.Valid(body) {
		n := 0
		for {
			if r, size := utf8.DecodeRune(body[n:]); r == utf8.RuneError && size <= 1 {
				return refuse("the request body is not UTF-8: byte 0x%02X at offset %d", body[n], n)
			} else {
				n += size
			}
		}
	}
	return nil
}

// zeroed returns n zero values, in the memory of s where they fit.
func zeroed[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

func refuse(format string, args ...any) *fault.Error {
	return fault.New(fault.BadArgument, codeBody, format, args...)
}

// members reads the whole body, an object.
func (d *Decoder) members(member func(name []byte) error) error {
	if err := d.object(member, "the request body"); err != nil {
		return err
	}
	return d.s.end()
}

// object reads an object and calls member for every member's value.
func (d *Decoder) object(member func(name []byte) error, what string) error {
	if c := d.s.peek(); c != '{' {
		if _, err := d.s.skip(); err != nil {
			return err
		}
		return refuse("%s must be a JSON object", what)
	}
	empty, err := d.s.open('{')
	for more := !empty; more && err == nil; {
		var name []byte
		if name, err = d.s.key(); err != nil {
			break
		}
		if err = member(name); err != nil {
			break
		}
		more, err = d.s.more('{')
	}
	return err
}

// null reads a null, if one is next.
func (d *Decoder) null() bool {
	d.s.peek()
	return d.s.literal("null")
}

// parameters reads GlobalParameters. A value of any type is taken as text: a
// string as it is, any other as its JSON.
func (d *Decoder) parameters() error {
	if d.null() {
		return nil
	}
	return d.object(d.parameter, "GlobalParameters")
}

func (d *Decoder) parameter(name []byte) error {
	key := string(name)
	var text []byte
	var err error
	if c := d.s.peek(); c == '{' || c == '[' {
		text, err = d.s.skip()
	} else {
		text, err = d.s.scalar()
	}
	if err != nil || text == nil {
		return err
	}
	if _, twice := d.params[key]; twice {
		return refuse("global parameter %q is given twice", frame.Clip([]byte(key))).At(frame.Clip([]byte(key)))
	}
	if d.params == nil {
		d.params = make(map[string]string)
	}
	d.params[key] = string(text)
	return nil
}

func (d *Decoder) inputs() error {
	if d.null() {
		return nil
	}
	return d.object(d.input, "Inputs")
}

func (d *Decoder) input(name []byte) error {
	p := d.ports
	for i := range p.inputs {
		in := &p.inputs[i]
		if in.name != string(name) {
			continue
		}
		if d.null() {
			return nil // as if left out
		}
		if d.given[i] {
			return refuse("input %q is given twice", in.name).At(in.name)
		}
		d.given[i] = true
		switch d.s.peek() {
		case '{':
			return d.table(in, d.frames[i])
		case '[':
			return d.objects(in, d.frames[i])
		}
		if _, err := d.s.skip(); err != nil {
			return err
		}
		return refuse("input %q must be an object with ColumnNames and Values, or an array of row objects", in.name).At(in.name)
	}
	valid := "The service has no inputs."
	if len(p.inputs) > 0 {
		valid = "The service has: " + p.inputNames() + "."
	}
	return fault.New(fault.BadArgument, codeInputNames, "Invalid service input name(s) specified in the request: %s. "+
		"Please map the input data to the correct service inputs and try again. %s", frame.Clip(name), valid).At(frame.Clip(name))
}

// table reads {"ColumnNames":[…],"Values":[[…],…]}. Values may come first:
// they are then passed over, and read when the names are known.
func (d *Decoder) table(in *input, f *frame.Frame) error {
	named, valued, later := false, false, -1
	empty, err := d.s.open('{')
	for more := !empty; more && err == nil; {
		name, err := d.s.key()
		if err != nil {
			return err
		}
		switch {
		case fold(name, "ColumnNames"):
			if named {
				return refuse("input %q has ColumnNames twice", in.name).At(in.name)
			}
			named = true
			err = d.names(in)
		case fold(name, "Values"):
			if valued {
				return refuse("input %q has Values twice", in.name).At(in.name)
			}
			valued = true
			if named {
				err = d.values(in, f)
				break
			}
			d.s.peek()
			later = d.s.i
			_, err = d.s.skip()
		default:
			_, err = d.s.skip()
		}
		if err != nil {
			return err
		}
		if more, err = d.s.more('{'); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return err
	case !named || !valued:
		return refuse("input %q needs ColumnNames and Values, or to be an array of row objects", in.name).At(in.name)
	case later >= 0:
		end := d.s.i
		d.s.i = later
		err = d.values(in, f)
		d.s.i = end
	}
	return err
}

// names reads ColumnNames into d.cols. Callers send the same ones each time, to
// the byte: those that were read last are not read again.
func (d *Decoder) names(in *input) error {
	first := d.s.peek()
	start := d.s.i
	if d.colsOf == in && bytes.HasPrefix(d.s.b[start:], d.colsIn) {
		d.s.i += len(d.colsIn)
		return nil
	}
	d.colsOf, d.cols = nil, d.cols[:0]
	if first != '[' {
		if _, err := d.s.skip(); err != nil {
			return err
		}
		return refuse("input %q: ColumnNames must be an array of names", in.name).At(in.name)
	}
	empty, err := d.s.open('[')
	for more := !empty; more && err == nil; more, err = d.s.more('[') {
		if d.s.peek() != '"' {
			if _, err := d.s.skip(); err != nil {
				return err
			}
			return refuse("input %q: ColumnNames must be an array of names", in.name).At(in.name)
		}
		name, err := d.s.string()
		if err != nil {
			return err
		}
		k, ok := in.column(name, len(d.cols))
		if !ok {
			return in.unknown(name)
		}
		d.cols = append(d.cols, k)
	}
	if err != nil {
		return err
	}
	if err := d.checkNames(in); err != nil {
		return err
	}
	if read := d.s.b[start:d.s.i]; len(read) <= maxColsIn {
		d.colsOf, d.colsIn = in, append(d.colsIn[:0], read...)
	}
	return nil
}

// maxColsIn bounds what is kept of a request.
const maxColsIn = 64 << 10

// checkNames refuses a column given twice, and a required one left out.
func (d *Decoder) checkNames(in *input) error {
	d.seen = zeroed(d.seen, len(in.schema))
	for _, k := range d.cols {
		if d.seen[k]++; d.seen[k] > 1 {
			return in.twice(k)
		}
	}
	if len(d.cols) == len(in.schema) {
		return nil
	}
	var missing []string
	for k := range in.schema {
		if d.seen[k] == 0 && !in.schema[k].Optional {
			missing = append(missing, in.schema[k].Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.BadUserArgument, codeMismatch, "input %q lacks %s", in.name, quoted(missing)).At(in.name)
}

// quoted lists columns that are missing, a few of them by name.
func quoted(names []string) string {
	const most = 10
	word := "column"
	if len(names) > 1 {
		word = "columns"
	}
	var b strings.Builder
	for i, n := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %q", n)
	}
	return word + b.String() + ", which the service needs"
}

func (in *input) unknown(name []byte) error {
	hint := ""
	if near := in.schema.Nearest(string(name)); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fault.New(fault.BadUserArgument, codeMismatch, "input %q has no column %q%s", in.name, frame.Clip(name), hint).At(in.name)
}

func (in *input) twice(k int) error {
	return fault.New(fault.BadUserArgument, codeMismatch, "input %q has column %q twice", in.name, in.schema[k].Name).At(in.name)
}

// values reads Values: an array of rows, each an array of cells in the order
// of d.cols.
func (d *Decoder) values(in *input, f *frame.Frame) error {
	if d.s.peek() != '[' {
		if _, err := d.s.skip(); err != nil {
			return err
		}
		return refuse("input %q: Values must be an array of rows", in.name).At(in.name)
	}
	empty, err := d.s.open('[')
	row := 0
	for more := !empty; more && err == nil; more, err = d.s.more('[') {
		if err := d.count(in); err != nil {
			return err
		}
		if d.s.peek() != '[' {
			if _, err := d.s.skip(); err != nil {
				return err
			}
			return refuse("%s must be an array of cells", in.at(row)).At(in.name)
		}
		none, err := d.s.open('[')
		n := 0
		for next := !none; next && err == nil; next, err = d.s.more('[') {
			if n < len(d.cols) {
				if err := d.cell(in, f.Cols[d.cols[n]], row); err != nil {
					return err
				}
			} else if _, err := d.s.skip(); err != nil {
				return err
			}
			n++
		}
		if err != nil {
			return err
		}
		if n != len(d.cols) {
			return fault.New(fault.BadUserArgument, codeParse, "%s has %d cells, ColumnNames has %d names", in.at(row), n, len(d.cols)).At(in.name)
		}
		row++
	}
	if err != nil {
		return err
	}
	if len(d.cols) < len(in.schema) { // optional columns left out
		for _, c := range f.Cols {
			for c.Len() < row {
				c.AppendNull()
			}
		}
	}
	return nil
}

// cell reads a value into a column.
func (d *Decoder) cell(in *input, c *frame.Column, row int) error {
	if b := d.s.peek(); b == '{' || b == '[' {
		if _, err := d.s.skip(); err != nil {
			return err
		}
		return fault.New(fault.BadUserArgument, codeParse, "%s: column %q must be a string, a number, true, false or null, not an array or object", in.at(row), c.Field.Name).At(in.name)
	}
	text, err := d.s.scalar()
	if err != nil {
		return err
	}
	if err := c.AppendText(text); err != nil { // null is the empty text
		return fault.New(fault.BadUserArgument, frame.CodeCell, "%s: %v", in.at(row), err).At(in.name)
	}
	return nil
}

// objects reads an array of row objects.
func (d *Decoder) objects(in *input, f *frame.Frame) error {
	d.startRows(in)
	empty, err := d.s.open('[')
	row := 0
	for more := !empty; more && err == nil; more, err = d.s.more('[') {
		if err := d.count(in); err != nil {
			return err
		}
		if err := d.row(in, f, row); err != nil {
			return err
		}
		row++
	}
	return err
}

func (d *Decoder) startRows(in *input) {
	d.order = d.order[:0]
	d.seen = zeroed(d.seen, len(in.schema))
}

// row reads one row object. A column that it does not have is missing.
func (d *Decoder) row(in *input, f *frame.Frame, row int) error {
	if d.s.peek() != '{' {
		if _, err := d.s.skip(); err != nil {
			return err
		}
		return refuse("%s must be an object of column names and cells", in.at(row)).At(in.name)
	}
	empty, err := d.s.open('{')
	n := 0
	for more := !empty; more && err == nil; more, err = d.s.more('{') {
		name, err := d.s.key()
		if err != nil {
			return err
		}
		guess := n
		if n < len(d.order) {
			guess = d.order[n] // rows mostly have one order
		}
		k, ok := in.column(name, guess)
		if !ok {
			return in.unknown(name)
		}
		if d.seen[k] == row+1 {
			return in.twice(k)
		}
		d.seen[k] = row + 1
		if n == len(d.order) {
			d.order = append(d.order, k)
		} else {
			d.order[n] = k
		}
		if err := d.cell(in, f.Cols[k], row); err != nil {
			return err
		}
		n++
	}
	if err != nil {
		return err
	}
	if n < len(in.schema) {
		for k, c := range f.Cols {
			if d.seen[k] != row+1 {
				c.AppendNull()
			}
		}
	}
	return nil
}

// count counts a row against the limit.
func (d *Decoder) count(in *input) error {
	limit := d.MaxRows
	if limit == 0 {
		limit = DefaultMaxRows
	}
	if d.rows++; d.rows > limit {
		return fault.New(fault.TooLarge, "", "the request has more rows than the limit of %d; use a batch job for more", limit).At(in.name)
	}
	return nil
}

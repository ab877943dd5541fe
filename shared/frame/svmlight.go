package frame

import (
	"bytes"
	"math"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
)

// SVMLight is a file of sparse numeric rows, "target index:value …  # comment",
// one a line, as SVM-light and LIBSVM read it. Indexes begin with 1 and grow
// along the line; a feature that a line leaves out is 0. The file has no
// names: its target is the layout's label column (its first, where no column
// is the label), and feature i the i-th of the other columns.
type SVMLight struct{ Lines }

// maxSVMColumns bounds the feature index that a file may name.
const maxSVMColumns = 100_000

// svmTarget returns the position of the target's column.
func svmTarget(s Schema) int {
	for i := range s {
		if s[i].Role == Label {
			return i
		}
	}
	return 0
}

// Read reads a whole file.
func (o SVMLight) Read(data []byte, l *Layout) (*Frame, error) {
	start, err := TextStart(data)
	if err != nil {
		return nil, err
	}
	f := l.New(0)
	if _, err := o.Append(f, l, data[start:], Start{Record: 1, Line: 1}); err != nil {
		return nil, err
	}
	return f, nil
}

// Append appends the records of data to f, a frame of layout l. The data must
// begin at a line and end after one. After an error f holds some of the rows.
func (o SVMLight) Append(f *Frame, l *Layout, data []byte, at Start) (Counts, error) {
	if len(l.Schema) == 0 {
		return Counts{}, unreadable("an SVMLight file has a target column, and the layout has none")
	}
	target := svmTarget(l.Schema)
	var features []*Column
	for i, c := range f.Cols {
		if i != target {
			features = append(features, c)
		}
	}
	zero := []byte{'0'}
	return o.append(f, data, at, '#', func(line []byte) *refusal {
		next := 0
		var bad *refusal
		reason := svmRecord(line, func(label []byte) {
			bad = cell(f.Cols[target].AppendText(label))
		}, func(index int, value []byte) bool {
			if index > len(features) {
				if !o.RefuseExtra {
					return true
				}
				bad = &refusal{code: codeMismatch, reason: "feature " + strconv.Itoa(index) + " is more than the " + strconv.Itoa(len(features)) + " of the service"}
			}
			for ; bad == nil && next < index-1; next++ {
				bad = cell(features[next].AppendText(zero))
			}
			if bad == nil {
				bad = cell(features[next].AppendText(value))
				next++
			}
			return bad == nil
		})
		if bad == nil && reason != "" {
			bad = refused("%s", reason)
		}
		for ; bad == nil && next < len(features); next++ {
			bad = cell(features[next].AppendText(zero))
		}
		return bad
	})
}

// svmRecord reads one line and returns what is wrong with it, "" for nothing.
func svmRecord(line []byte, label func([]byte), feature func(index int, value []byte) bool) string {
	line, _, _ = bytes.Cut(line, []byte{'#'})
	word := func() []byte {
		line = trim(line)
		n := 0
		for n < len(line) && !blank(line[n]) {
			n++
		}
		w := line[:n]
		line = line[n:]
		return w
	}
	first := word()
	if bytes.IndexByte(first, ':') >= 0 {
		return "the line has no target before its features"
	}
	label(first)
	last := 0
	for w := word(); len(w) > 0; w = word() {
		name, value, ok := bytes.Cut(w, []byte{':'})
		if !ok || len(value) == 0 {
			return "\"" + Clip(w) + "\" is no index:value"
		}
		if string(name) == "qid" {
			return "query ids (qid) are not supported"
		}
		index, err := strconv.ParseUint(string(name), 10, 32)
		switch {
		case err != nil:
			return "\"" + Clip(w) + "\" is no index:value"
		case index == 0:
			return "feature indexes begin with 1, and this is 0 (scikit-learn: zero_based=False)"
		case int(index) <= last:
			return "feature " + string(name) + " comes after feature " + strconv.Itoa(last) + ": indexes must grow along a line"
		case index > maxSVMColumns:
			return "feature index " + string(name) + ": at most " + strconv.Itoa(maxSVMColumns) + " columns are supported"
		}
		last = int(index)
		if !feature(last, value) {
			return ""
		}
	}
	return ""
}

// Infer returns the schema of a file of which data is the whole: Label, then
// Col1 and so on up to the largest index. The features are Double; the label
// is Int32 or Int64 where all targets are whole numbers, else Double.
func (o SVMLight) Infer(data []byte, missing []string) (Schema, error) {
	start, err := TextStart(data)
	if err != nil {
		return nil, err
	}
	var (
		width   int
		records int64
		nulls   []bool
		target  guess
		tokens  = Field{Missing: missing}
	)
	null := func(v []byte) bool { return string(v) == "NaN" || string(v) == "nan" || tokens.missing(v) }
	o.OnBad = nil
	_, err = o.append(&Frame{}, data[start:], Start{Record: 1, Line: 1}, '#', func(line []byte) *refusal {
		records++
		reason := svmRecord(line, func(label []byte) {
			if null(label) {
				target.nulls = true
			} else {
				target.see(bytes.TrimPrefix(label, []byte{'+'}))
			}
		}, func(index int, value []byte) bool {
			width = max(width, index)
			for len(nulls) < width {
				nulls = append(nulls, false)
			}
			nulls[index-1] = nulls[index-1] || null(value)
			return true
		})
		if reason != "" {
			return refused("%s", reason)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if records == 0 {
		return nil, unreadable("the file has no record: its columns are not known")
	}
	if err := checkDense(records, int64(width)+1, len(data)); err != nil {
		return nil, err
	}
	schema := make(Schema, width+1)
	schema[0] = target.field("Label")
	if !schema[0].Type.Numeric() {
		schema[0].Type = Double // a target that is no number is told with its line
	}
	schema[0].Role = Label
	for i := range width {
		schema[i+1] = Field{Name: numbered(i), Type: Double, Nullable: nulls[i]}
	}
	for i := range schema {
		schema[i].Missing = append([]string(nil), missing...)
	}
	return schema, nil
}

// CheckSVMLight reports a column that the format cannot hold: features must be
// numbers or truth values, the label those or categorical.
func CheckSVMLight(s Schema) error {
	for i := range s {
		f := &s[i]
		ok := f.Type.Numeric() || f.Type == Boolean
		if f.Role == Label && f.Categorical() {
			ok = true
		}
		if !ok && (f.Role == Feature || f.Role == Label) {
			return fault.New(fault.BadUserArgument, codeMismatch, "column %q is %s: SVMLight holds numbers only", f.Name, f.Type).At(f.Name)
		}
	}
	return nil
}

// AppendSVMLightRows appends the rows of f from lo to hi (exclusive); its
// schema passes CheckSVMLight. The target is the label column, 0 where there
// is none; one that is Boolean or has two levels becomes -1 and 1, of more
// levels their position from 0. The columns that are neither label nor feature
// are left out, as are cells of 0; a missing cell is NaN.
func AppendSVMLightRows(dst []byte, f *Frame, lo, hi int) []byte {
	var target *Column
	var features []*Column
	for _, c := range f.Cols {
		switch {
		case c.Field.Role == Label && target == nil:
			target = c
		case c.Field.Role == Feature:
			features = append(features, c)
		}
	}
	for r := lo; r < hi; r++ {
		switch {
		case target == nil:
			dst = append(dst, '0')
		case target.Field.Type.Integer() && !target.IsNull(r): // above 2^53 a float64 would round it
			dst = target.Print(dst, r)
		default:
			dst = appendSVMNumber(dst, svmLabel(target, r))
		}
		for i, c := range features {
			v := c.Float(r)
			if v == 0 {
				continue
			}
			dst = append(dst, ' ')
			dst = strconv.AppendInt(dst, int64(i+1), 10)
			dst = append(dst, ':')
			if c.Field.Type.Integer() && !c.IsNull(r) {
				dst = c.Print(dst, r)
			} else {
				dst = appendSVMNumber(dst, v)
			}
		}
		dst = append(dst, '\n')
	}
	return dst
}

func svmLabel(c *Column, r int) float64 {
	two := c.Field.Type == Boolean || len(c.Field.Levels) == 2
	switch {
	case c.IsNull(r):
		return math.NaN()
	case c.Field.Categorical() && c.Unknown(r):
		return math.NaN()
	case c.Field.Categorical() && two:
		return float64(2*c.Codes[r] - 1)
	case c.Field.Categorical():
		return float64(c.Codes[r])
	case two:
		return 2*c.Float(r) - 1
	}
	return c.Float(r)
}

func appendSVMNumber(dst []byte, v float64) []byte {
	if v != v {
		return append(dst, "NaN"...)
	}
	return AppendDouble(dst, v)
}

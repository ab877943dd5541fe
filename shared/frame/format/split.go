package format

import (
	"github.com/portico-ml/portico/shared/frame"
)

// Reading is how the records of a file are read that comes in pieces.
type Reading struct {
	NoHeader bool // csv, tsv: no header row; the columns are the layout's, in its order
	// RefuseExtra makes a column that the layout does not have an error;
	// otherwise it is ignored.
	RefuseExtra bool
	MaxRecord   int // size in bytes above which a record is bad; 0 = 4 MiB
	Workers     int // goroutines that parse csv and tsv; 0 = GOMAXPROCS
	// OnBad is as in frame.CSV.
	OnBad func(frame.BadRecord) error
}

func (o Reading) lines() frame.Lines {
	return frame.Lines{RefuseExtra: o.RefuseExtra, MaxRecord: o.MaxRecord, OnBad: o.OnBad}
}

// Head is the beginning of a file, matched to a layout: what every piece of
// the file is read by. It is immutable and for concurrent use.
type Head struct {
	Size  int // bytes before the first record
	Extra int // columns that the layout does not have, of a file that declares its columns

	append func(f *frame.Frame, data []byte, at frame.Start) (frame.Counts, error)
}

// Append appends the records of data to f, a frame of the layout. The data
// must begin at a record and end after one. After an error f holds some of the
// rows.
func (h *Head) Append(f *frame.Frame, data []byte, at frame.Start) (frame.Counts, error) {
	return h.append(f, data, at)
}

// Begin reads the beginning of a file, of which data is at least the header
// and the first record; only of a format of text.
func (f *Format) Begin(data []byte, l *frame.Layout, o Reading) (*Head, error) {
	return f.begin(data, l, o)
}

// Scanner returns what finds the ends of records behind the head of a file;
// only of a format of text.
func (f *Format) Scanner(from frame.ScanState) *frame.Scanner { return f.scan(from) }

func beginDelimited(comma byte) func([]byte, *frame.Layout, Reading) (*Head, error) {
	return func(data []byte, l *frame.Layout, o Reading) (*Head, error) {
		h, err := frame.CSV{
			Comma: comma, NoHeader: o.NoHeader, RefuseExtra: o.RefuseExtra, MaxRecord: o.MaxRecord, Workers: o.Workers, OnBad: o.OnBad,
		}.Header(data, l)
		if err != nil {
			return nil, err
		}
		return &Head{Size: h.Size, Extra: len(h.Extra), append: h.Append}, nil
	}
}

func beginARFF(data []byte, l *frame.Layout, o Reading) (*Head, error) {
	h, err := frame.ARFF{Lines: o.lines()}.Header(data, l)
	if err != nil {
		return nil, err
	}
	return &Head{Size: h.Size, Extra: len(h.Extra), append: h.Append}, nil
}

func beginJSONL(data []byte, l *frame.Layout, o Reading) (*Head, error) {
	size, err := frame.TextStart(data)
	return &Head{Size: size, append: func(f *frame.Frame, data []byte, at frame.Start) (frame.Counts, error) {
		return frame.JSONL{Lines: o.lines()}.Append(f, l, data, at)
	}}, err
}

func beginSVMLight(data []byte, l *frame.Layout, o Reading) (*Head, error) {
	size, err := frame.TextStart(data)
	return &Head{Size: size, append: func(f *frame.Frame, data []byte, at frame.Start) (frame.Counts, error) {
		return frame.SVMLight{Lines: o.lines()}.Append(f, l, data, at)
	}}, err
}

func scanDelimited(comma byte) func(frame.ScanState) *frame.Scanner {
	return func(from frame.ScanState) *frame.Scanner { return frame.NewCSVScanner(comma, from) }
}

func scanLines(comment byte) func(frame.ScanState) *frame.Scanner {
	return func(from frame.ScanState) *frame.Scanner { return frame.NewLineScanner(comment, from) }
}

package batch

import (
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/service"
)

// tables are the formats that a job reads and writes; those of text may be
// compressed. The first is the usual one.
var tables = []string{format.CSV, format.TSV, format.JSONL, format.ARFF, format.Parquet, format.SVMLight}

// compressions are those that a job reads and writes.
var compressions = []format.Compression{format.Gzip, format.Zstd}

// fileKind takes the format of a job's file apart, as it stands in a row: csv,
// jsonl.gz. The format is nil for what is no table.
func fileKind(name string) (*format.Format, format.Compression) { return format.OfFile("." + name) }

// kindName is what a row says of a file: the extension that tells it.
func kindName(f *format.Format, c format.Compression) string {
	if c == format.None {
		return f.Name
	}
	return f.Name + "." + c.Extension()
}

// ofTable returns the format of a table's file: as it is given, else by the end
// of its name. ok is false for what a job does not read or write.
func ofTable(given, file string) (name string, ok bool) {
	f, c, err := connect.FileFormat(given, file)
	if err != nil || !slices.Contains(tables, f.Name) {
		return "", false
	}
	return kindName(f, c), true
}

// tableFormat is ofTable for the file of an input or output, which must have a
// format.
func tableFormat(port, given string, ref *blob.Reference) (string, error) {
	name, ok := ofTable(given, ref.RelativeLocation)
	if ok {
		return name, nil
	}
	var packed []string
	for _, c := range compressions {
		packed = append(packed, "."+c.Extension())
	}
	known := "." + strings.Join(tables, ", .") + ", and all but .parquet with " + strings.Join(packed, " or ") + " behind it"
	if given != "" {
		return "", fault.New(fault.BadArgument, "InvalidBlobExtension", "%s: the format is %q; supported are %s", port, frame.Clip([]byte(given)), known).At(port)
	}
	return "", extensionFault(port, ref, known)
}

// artifactFormat is the format of an output that is no table.
func artifactFormat(kind service.PortKind) string {
	switch kind {
	case service.TrainedModel:
		return "ilearner"
	case service.Transformation:
		return "transform"
	}
	return ""
}

// outputFormat returns the format of an output at a place.
func outputFormat(p service.Port, given string, ref *blob.Reference) (string, error) {
	want := artifactFormat(p.Kind)
	switch {
	case want == "":
		return tableFormat(p.Name, given, ref)
	case ref.Ext() != want:
		return "", extensionFault(p.Name, ref, "."+want)
	}
	return want, nil
}

func extensionFault(port string, ref *blob.Reference, known string) error {
	what := "no extension"
	if ext := ref.Ext(); ext != "" {
		what = `the extension ".` + ext + `"`
	}
	return fault.New(fault.BadArgument, "InvalidBlobExtension", "%s: the file has %s; supported are %s", port, what, known).At(port)
}

// comma is the separator of a format.
func comma(name string) byte {
	if name == format.TSV {
		return '\t'
	}
	return ','
}

// maxTailColumns is the most columns of a Parquet output: what its footer needs
// of a chunk must fit the chunk's row.
const maxTailColumns = 2000

// holds reports why a table of schema s cannot be a file of a kind.
func holds(kind string, s frame.Schema) error {
	f, _ := fileKind(kind)
	if f.Name == format.Parquet && len(s) > maxTailColumns {
		return fault.New(fault.BadArgument, "DataTypeNotSupported", "the output has %d columns; a job writes Parquet files of at most %d", len(s), maxTailColumns)
	}
	return f.Check(s)
}

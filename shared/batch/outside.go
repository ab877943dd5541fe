package batch

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// A job reads immutable blobs and stages into blobs of ours, whatever it is
// asked to read and write. Databases, feeds, addresses, several blobs at once
// and what is compressed are copied into one blob before the job is planned;
// what goes to a database is delivered from the committed blob, once.

// oneBlob reports whether a place is a single blob, which a job reads and
// writes as it is.
func oneBlob(p *connect.Place) bool {
	if p.Source != "" && p.Source != connect.Blob || p.Connection != "" {
		return false
	}
	return !strings.ContainsAny(p.RelativeLocation, "*?") && !strings.HasSuffix(p.RelativeLocation, "/")
}

// kindOf is the kind of a place that is not blank: a connection's is the
// settings' to say.
func kindOf(p connect.Place) connect.Kind {
	if p.Source == "" {
		return "Connection"
	}
	return p.Source
}

// outside returns what opens other places than blobs.
func (b *Batch) outside(kind connect.Kind) (Outside, error) {
	if b.Outside == nil {
		return nil, fault.New(fault.Unsupported, "", "jobs read and write blobs only, not places of kind %q", kind)
	}
	return b.Outside, nil
}

// filed is a source that is a file: a job reads a copy of it as it is, and of
// other sources one as csv.
type filed interface{ FileFormat() *format.Format }

// describeSource checks the place of an input that is to be copied first. It
// is reached when the copy is made.
func (b *Batch) describeSource(j *job, s *source, p connect.Place, sec *secrets) error {
	if p.Source == "" && p.Connection == "" {
		p.Source = connect.Blob
	}
	out, err := b.outside(p.Source)
	if err != nil {
		return err
	}
	from, err := out.Source(j.Workspace, p)
	if err != nil {
		return err
	}
	s.Outside, s.Format = kindOf(p), format.CSV
	if f, ok := from.(filed); ok {
		if f := f.FileFormat(); slices.Contains(tables, f.Name) {
			s.Format, s.NoHeader = f.Name, p.NoHeader
		} else {
			return fault.New(fault.Unsupported, "DataTypeNotSupported", "files of format %s are no input of a job: it is one of %s", f.Name, strings.Join(tables, ", "))
		}
	}
	s.Key = inputKey(j.Workspace, j.ID, s.Name, j.ID, s.Format)
	sec.Sources[s.Name] = p
	return nil
}

// blobSink is a sink that is one blob: an output is staged in its format and
// copied to it as it is.
type blobSink interface {
	FileFormat() (*format.Format, format.Compression)
	Target(ctx context.Context) (*blob.Blob, error)
}

// describeSink checks the place of an output that is no blob, or one that a
// connection leads to, and that it can be written.
func (b *Batch) describeSink(ctx context.Context, j *job, o *sink, p service.Port, to connect.Place, sec *secrets) error {
	out, err := b.outside(to.Source)
	if err != nil {
		return err
	}
	if p.Kind != "" && p.Kind != service.Dataset {
		return fault.New(fault.Unsupported, "DataTypeNotSupported", "output %s is a %s, which goes to a blob only", p.Name, p.Kind)
	}
	if to.Source == "" && to.Connection == "" { // a classic reference, and not of one blob
		return fault.New(fault.BadArgument, "InputBlobRelativeLocationInvalid", "RelativeLocation %q is a folder or a pattern: an output is one file, container/path/file.csv", to.RelativeLocation)
	}
	target, err := out.Sink(j.Workspace, to)
	if err == nil {
		err = target.Check(ctx, p.Schema)
	}
	if err != nil {
		return err
	}
	o.Outside = kindOf(to)
	o.Place = &place{Base: to.Server, Path: strings.TrimPrefix(to.Database+"/"+to.Table, "/")}
	if t, ok := target.(blobSink); ok {
		o.Format, o.NoHeader = kindName(t.FileFormat()), to.NoHeader
		o.Place = &place{Path: strings.TrimPrefix(to.RelativeLocation, "/")}
	}
	sec.Sinks[p.Name] = to
	return nil
}

// deliveryBytes is how much is read of a committed file at once.
const deliveryBytes = 4 << 20

// deliverTable writes a committed output to a place that describeSink has
// checked.
func (b *Batch) deliverTable(ctx context.Context, j *job, f file, schema frame.Schema, to connect.Place) error {
	out, err := b.outside(to.Source)
	if err != nil {
		return err
	}
	target, err := out.Sink(j.Workspace, to)
	if err != nil {
		return err
	}
	if t, ok := target.(blobSink); ok && kindName(t.FileFormat()) == f.Format {
		one, err := t.Target(ctx)
		if err != nil {
			return err
		}
		return b.deliverTo(ctx, j, f, one, to.KeepExisting)
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		return fmt.Errorf("layout of %s: %w", f.Name, err)
	}
	w, err := target.Open(ctx, schema, j.ID+"/"+f.Name)
	if err == connect.ErrDelivered {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := b.feed(ctx, f, l, w); err != nil {
		return err
	}
	if err := w.Commit(ctx); err != nil && err != connect.ErrDelivered {
		return err
	}
	return nil
}

// feed reads a committed file of ours, piece by piece, into a writer.
func (b *Batch) feed(ctx context.Context, f file, l *frame.Layout, w connect.Writer) error {
	_, r, err := b.store.Blobs.Get(ctx, f.Key, storage.ReadOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	var header *frame.CSVHeader
	rows := l.New(0)
	scan := frame.NewCSVScanner(comma(f.Format), frame.ScanState{})
	buf, seen := make([]byte, 0, 2*deliveryBytes), 0 // seen of buf were scanned
	for ended := false; !ended; {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, cap(buf)) // one record fills it
		}
		n, err := io.ReadFull(r, buf[len(buf):min(cap(buf), len(buf)+deliveryBytes)])
		if ended = err == io.EOF || err == io.ErrUnexpectedEOF; err != nil && !ended {
			return fault.Wrap(err, fault.Unavailable, "read what is to be delivered")
		}
		buf = buf[:len(buf)+n]
		cut := 0
		for seen < len(buf) {
			at := scan.State.Offset
			k, end := scan.Advance(buf[seen:], at)
			if seen += k; end {
				cut = seen
			}
		}
		if ended {
			cut = len(buf)
		}
		piece := buf[:cut]
		if header == nil && cut > 0 {
			if header, err = (frame.CSV{Comma: comma(f.Format), Workers: 1}).Header(piece, l); err != nil {
				return err
			}
			piece = piece[header.Size:]
		}
		if len(piece) > 0 {
			rows.Reset()
			if _, err := header.Append(rows, piece, frame.Start{Record: 1, Line: 1}); err != nil {
				return err
			}
			if err := w.Append(ctx, rows); err != nil {
				return err
			}
		}
		buf, seen = append(buf[:0], buf[cut:]...), seen-cut
	}
	return nil
}

// exports are what the modules of a whole job write outside: they are staged
// with its outputs and delivered as those are, when the job can no longer
// fail.
type exports struct {
	module.Outside
	nodes  []string
	places map[string]connect.Place
	tables []*frame.Frame
}

// Export keeps a table for later.
func (e *exports) Export(_ context.Context, node string, p connect.Place, f *frame.Frame) error {
	if e.places == nil {
		e.places = make(map[string]connect.Place)
	}
	e.nodes, e.tables = append(e.nodes, node), append(e.tables, f)
	e.places[node] = p
	return nil
}

// exportHead begins the staged file of an export: a file cannot be without.
const exportHead = "portico-export/1\n"

func exportFile(j *job, n int) file {
	name := fmt.Sprintf("_export%d", n)
	return file{name, "table", jobPrefix(j.Workspace, j.ID) + j.staging() + "/" + name + ".table"}
}

// deliverExport writes the n-th export of a job where its node says.
func (b *Batch) deliverExport(ctx context.Context, j *job, n int, to connect.Place) error {
	body, err := b.readBlob(ctx, exportFile(j, n).Key)
	if err != nil {
		return err
	}
	f, err := frame.Decode(body[min(len(exportHead), len(body)):])
	if err != nil {
		return err
	}
	out, err := b.outside(to.Source)
	if err != nil {
		return err
	}
	target, err := out.Sink(j.Workspace, to)
	if err != nil {
		return err
	}
	return connect.Write(ctx, target, f, j.ID+"/"+j.Exports[n])
}

// reseal adds the places of exports to the secrets of a job.
func (b *Batch) reseal(j *job, places map[string]connect.Place) error {
	var sec secrets
	if err := b.unseal(j, &sec); err != nil {
		return err
	}
	sec.Exports = places
	return b.seal(j, sec)
}

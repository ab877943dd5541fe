package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/portico-ml/portico/shared/fault"
)

// The scoring part of an artifact, little-endian:
//
//	 0  magic "ilearner"
//	 8  uint32 format version
//	12  uint32 length of the header
//	16  uint64 length of the whole part
//	24  header, JSON
//	 …  zeros to the next multiple of 64
//	 …  the engine's bytes, to the end
//
// A downloaded .ilearner file is a scoring part and behind it a record part:
// magic "irecord\n" and JSON to the end of the file. The two are artifacts of
// their own in storage, so that a digest covers what decides a score and
// nothing else.
const (
	magic       = "ilearner"
	recordMagic = "irecord\n"
	format      = 1
	prefix      = 24
	alignment   = 64
)

// Encode returns the scoring part of a model: its header and its engine's
// canonical bytes, checked as Open checks them.
func Encode(h Header, engine []byte) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&h); err != nil {
		return nil, fault.Wrap(err, fault.Package, "encode model header")
	}
	header := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	start := align(prefix + len(header))
	b := make([]byte, 0, start+len(engine))
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = binary.LittleEndian.AppendUint64(b, uint64(start+len(engine)))
	b = append(b, header...)
	b = append(b[:start], engine...)
	if _, err := Open(b); err != nil {
		return nil, err
	}
	return b, nil
}

func align(n int) int { return (n + alignment - 1) &^ (alignment - 1) }

// IsArtifact reports whether file begins as an .ilearner file does.
func IsArtifact(file []byte) bool { return bytes.HasPrefix(file, []byte(magic)) }

// Join puts a scoring part and its record together as one .ilearner file.
func Join(scoring, record []byte) []byte {
	file := make([]byte, 0, len(scoring)+len(recordMagic)+len(record))
	file = append(file, scoring...)
	file = append(file, recordMagic...)
	return append(file, record...)
}

// Split takes an .ilearner file apart. Record is nil where the file is a
// scoring part alone.
func Split(file []byte) (scoring, record []byte, err error) {
	if !IsArtifact(file) || len(file) < prefix {
		return nil, nil, broken("it does not begin as an .ilearner file")
	}
	if v := binary.LittleEndian.Uint32(file[8:]); v != format {
		return nil, nil, broken("format version %d: this program reads version %d", v, format)
	}
	size := binary.LittleEndian.Uint64(file[16:])
	if size < prefix || size > uint64(len(file)) {
		return nil, nil, broken("it says %d bytes and has %d", size, len(file))
	}
	scoring, rest := file[:size], file[size:]
	if len(rest) == 0 {
		return scoring, nil, nil
	}
	if !bytes.HasPrefix(rest, []byte(recordMagic)) {
		return nil, nil, broken("%d bytes behind the scoring part are no record", len(rest))
	}
	return scoring, rest[len(recordMagic):], nil
}

// parse returns the header and the engine's bytes of a scoring part.
func parse(scoring []byte) (*Header, []byte, error) {
	part, record, err := Split(scoring)
	if err != nil {
		return nil, nil, err
	}
	if record != nil {
		return nil, nil, broken("a record follows the scoring part: split them first")
	}
	length := uint64(binary.LittleEndian.Uint32(part[12:]))
	if length > uint64(len(part)-prefix) {
		return nil, nil, broken("its header of %d bytes does not fit %d", length, len(part))
	}
	start := align(prefix + int(length))
	if start > len(part) {
		return nil, nil, broken("its header of %d bytes does not fit %d", length, len(part))
	}
	h := new(Header)
	dec := json.NewDecoder(bytes.NewReader(part[prefix : prefix+length]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(h); err != nil {
		return nil, nil, broken("header: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, nil, broken("header: text follows the JSON")
	}
	return h, part[start:], nil
}

func broken(text string, args ...any) error {
	return fault.New(fault.Package, "", "the model file cannot be used: "+text, args...)
}

package parquet

import (
	"encoding/binary"
	"fmt"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// blockRows is how many cells of a column are decoded at a time.
const blockRows = 4096

// maxHeld bounds the pages, decompressed, that the columns of a row group hold
// at once.
const maxHeld = 256 << 20

// column reads the cells of a column in a row group, page by page, and the
// pages in blocks.
type column struct {
	element *element
	field   *frame.Field // as the file has it
	chunk   *chunk
	rows    int64 // of the row group
	budget  *Budget
	held    *int64 // of all columns

	pages []byte // not read yet
	done  int64  // rows of the pages before
	dict  *values

	// The page that is being read, as far as it has not been decoded.
	left     int // rows
	size     int // bytes held
	levels   hybrid
	coded    bool // codes are indexes of dict, or truth values where there is none
	codes    hybrid
	encoding int32
	plain    []byte
	bit      int    // of plain truth values
	whole    values // of an encoding that is decoded at once
	taken    int    // of those

	// The block: its cells from at on, of which the present ones are those of
	// cells from next on.
	n, at, next int
	present     []uint32 // 1 or 0; nil where none can be missing
	cells       values
	indexes     []uint32

	to   *frame.Column // scratch of append
	text []byte
}

func (c *column) bad(format string, args ...any) error {
	return bad("column %q: %s", c.field.Name, fmt.Sprintf(format, args...))
}

// ready decodes the next block, unless the last one has cells left.
func (c *column) ready() error {
	if c.at < c.n {
		return nil
	}
	for c.left == 0 {
		if c.done == c.rows {
			return c.bad("its pages have fewer values than the row group")
		}
		if err := c.page(); err != nil {
			return err
		}
	}
	return c.block(min(c.left, blockRows))
}

// page begins the next data page.
func (c *column) page() error {
	h, rest, err := c.header(c.pages)
	if err != nil {
		return err
	}
	body := rest[:h.compressed]
	c.pages = rest[h.compressed:]
	switch h.kind {
	case dictionaryPage:
		return c.dictionary(h, body)
	case dataPage, dataPageV2:
	default:
		return nil // an index
	}
	if int64(h.values) > c.rows-c.done {
		return c.bad("its pages hold %d values and more, the row group has %d", c.done+int64(h.values), c.rows)
	}
	*c.held -= int64(c.size)
	c.size = 0
	if err := c.hold(int(h.uncompressed)); err != nil {
		return err
	}
	c.size = int(h.uncompressed)
	optional := c.element.repetition == 1
	var b, defs []byte
	if h.kind == dataPageV2 {
		defs = body[h.repBytes : h.repBytes+h.defBytes]
		b = body[h.repBytes+h.defBytes:]
		if !h.bare {
			b, err = c.decompress(b, int(h.uncompressed-h.repBytes-h.defBytes))
		}
	} else {
		b, err = c.decompress(body, int(h.uncompressed))
		if err == nil && optional {
			switch {
			case h.defEncoding == bitPacked:
				return c.bad("definition levels are packed in the deprecated way")
			case len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4):
				return c.bad("a page is cut off")
			}
			size := binary.LittleEndian.Uint32(b)
			defs, b = b[4:4+size], b[4+size:]
		}
	}
	if err != nil {
		return err
	}
	n := int(h.values)
	c.left, c.done = n, c.done+int64(n)
	c.levels = hybrid{b: defs, width: 1}
	return c.values(h.encoding, b, n, defs, optional)
}

// values prepares the values of a page.
func (c *column) values(encoding int32, b []byte, n int, defs []byte, optional bool) error {
	c.encoding, c.coded, c.plain, c.bit = encoding, false, nil, 0
	c.whole, c.taken = values{}, 0
	switch {
	case encoding == plain:
		c.plain = b
		return nil
	case encoding == plainDictionary || encoding == rleDictionary:
		c.coded = true
		if len(b) > 0 { // else every cell is missing
			if c.dict == nil || b[0] > 32 {
				return c.bad("a page refers to a dictionary that is not there")
			}
			c.codes = hybrid{b: b[1:], width: int(b[0])}
		} else {
			c.codes = hybrid{}
		}
		return nil
	case encoding == rle && c.element.physical == boolean && len(b) >= 4:
		c.coded, c.codes = true, hybrid{b: b[4:], width: 1}
		return nil
	}
	if optional {
		levels := hybrid{b: defs, width: 1}
		all := n
		for n = 0; all > 0; {
			k := min(all, blockRows)
			var ok bool
			if c.indexes, ok = levels.read(c.indexes[:0], k); !ok {
				return c.bad("the definition levels of a page cannot be read")
			}
			n += count(c.indexes)
			all -= k
		}
	}
	var ok bool
	if c.whole, ok = decodePage(b, c.element.physical, encoding, int(c.element.length), n); !ok && n > 0 {
		return c.bad("the values of a page cannot be read (encoding %d)", encoding)
	}
	more := 24 * n // what refers to a text
	if encoding == deltaBytes {
		for _, t := range c.whole.texts {
			more += len(t)
		}
	}
	c.size += more
	return c.hold(more)
}

// count is how many of some definition levels say that a cell is there.
func count(levels []uint32) (n int) {
	for _, d := range levels {
		n += int(d)
	}
	return n
}

// hold counts bytes that a column holds.
func (c *column) hold(n int) error {
	if *c.held += int64(n); *c.held > maxHeld {
		return fault.New(fault.TooLarge, "OutOfMemoryLimit", "the Parquet file: the pages that are read at once have more than %d bytes: write it with smaller pages", maxHeld)
	}
	return nil
}

func (c *column) dictionary(h header, body []byte) error {
	if c.dict != nil {
		return c.bad("it has two dictionaries")
	}
	if c.element.physical == byteArrays || c.element.physical == fixedArrays {
		if err := c.hold(24 * int(h.values)); err != nil { // what refers to a text
			return err
		}
	}
	if err := c.hold(int(h.uncompressed)); err != nil {
		return err
	}
	b, err := c.decompress(body, int(h.uncompressed))
	if err != nil {
		return err
	}
	if int(h.values) > len(b) {
		return c.bad("a dictionary of %d bytes says that it has %d values", len(b), h.values)
	}
	var v values
	if _, ok := v.plain(b, c.element.physical, int(c.element.length), int(h.values)); !ok || h.encoding != plain && h.encoding != plainDictionary {
		return c.bad("its dictionary cannot be read")
	}
	c.dict = &v
	return nil
}

// block decodes the next n cells of the page.
func (c *column) block(n int) error {
	c.n, c.at, c.next = n, 0, 0
	c.left -= n
	c.cells.reset()
	there, ok := n, true
	if c.element.repetition == 1 {
		if c.present, ok = c.levels.read(c.present[:0], n); !ok {
			return c.bad("the definition levels of a page cannot be read")
		}
		there = count(c.present)
	}
	switch {
	case there == 0:
	case c.coded:
		if c.indexes, ok = c.codes.read(c.indexes[:0], there); !ok {
			break
		}
		if c.encoding != rle {
			ok = c.dict != nil && c.cells.pick(c.dict, c.indexes)
			break
		}
		for _, x := range c.indexes {
			c.cells.ints = append(c.cells.ints, int64(x))
		}
	case c.encoding != plain:
		c.cells.part(&c.whole, c.taken, c.taken+there)
		c.taken += there
	case c.element.physical == boolean:
		ok = c.cells.truths(c.plain, c.bit, there)
		c.bit += there
	default:
		c.plain, ok = c.cells.plain(c.plain, c.element.physical, int(c.element.length), there)
	}
	if !ok {
		return c.bad("the values of a page cannot be read (encoding %d)", c.encoding)
	}
	return nil
}

// sizes adds the bytes of the next cells' texts to those of their rows.
func (c *column) sizes(rows []int64) {
	if c.field.Type != frame.String {
		return
	}
	next := c.next
	for i := range rows {
		if c.element.repetition == 1 && c.present[c.at+i] == 0 {
			continue
		}
		if c.cells.texts != nil && next < len(c.cells.texts) {
			rows[i] += int64(len(c.cells.texts[next]))
		}
		next++
	}
}

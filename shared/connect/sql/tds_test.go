package sql

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"testing"
	"unicode/utf16"

	"github.com/portico-ml/portico/shared/connect"
)

// What a SQL Server says on the wire, as far as this package has to do with it
// (MS-TDS 7.4): logins, batches, sp_executesql, transactions, results of all
// types, and bulk copy. What it knows and does is a tdsBase's.

// Packets, tokens and types have Microsoft's numbers.
const (
	packBatch, packRPC, packReply, packAttention, packBulk, packTransaction, packLogin, packPrelogin = 1, 3, 4, 6, 7, 14, 16, 18

	tokenColumns, tokenError, tokenLoginAck, tokenRow, tokenChange, tokenDone = 0x81, 0xAA, 0xAD, 0xD1, 0xE3, 0xFD

	typeGUID, typeInt, typeDate, typeTime, typeDateTime2, typeDateTimeOffset          = 0x24, 0x26, 0x28, 0x29, 0x2A, 0x2B
	typeBit, typeDecimal, typeNumeric, typeFloat, typeMoney, typeDateTime             = 0x68, 0x6A, 0x6C, 0x6D, 0x6E, 0x6F
	typeVarBinary, typeVarChar, typeChar, typeNVarChar, typeNChar, typeXML, unbounded = 0xA5, 0xA7, 0xAF, 0xE7, 0xEF, 0xF1, 0xFFFF
)

var le = binary.LittleEndian

// tdsColumn is a column of a table or a result: its type, and what the type has
// besides (a length, or precision and scale).
type tdsColumn struct {
	name string
	kind byte
	size int
	prec byte
	dec  byte
}

// tdsResult is a table: cells in the bytes of their type, without a length;
// nil is NULL.
type tdsResult struct {
	columns []tdsColumn
	rows    [][][]byte
}

// tdsError is what a server refuses a statement with.
type tdsError struct {
	number int32
	text   string
}

// tdsBase is what is behind a server.
type tdsBase interface {
	// login refuses a user with false.
	login(user, password, database string) bool
	// run runs a statement of a session.
	run(s *tdsSession, statement string, args []string) (*tdsResult, *tdsError)
	// insert takes the rows of a bulk copy.
	insert(s *tdsSession, into string, rows *tdsResult) *tdsError
	begin(s *tdsSession)
	end(s *tdsSession, commit bool)
}

// tdsSession is a connection, and the table that a bulk copy announced.
type tdsSession struct {
	conn net.Conn
	base tdsBase
	into string
}

// tdsServer serves base on an address of this machine for as long as the test
// runs.
func tdsServer(t *testing.T, base tdsBase) connect.Place {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go (&tdsSession{conn: c, base: base}).serve()
		}
	}()
	return connect.Place{Source: connect.SQLServer, Server: l.Addr().String(), Database: "sales", User: "portico", Password: tdsPassword, Unencrypted: true}
}

const tdsPassword = `pass'w"o rd;=\%&?`

// message reads a message: one or more packets.
func (s *tdsSession) message() (kind byte, body []byte, err error) {
	var head [8]byte
	for {
		if _, err := io.ReadFull(s.conn, head[:]); err != nil {
			return 0, nil, err
		}
		part := make([]byte, binary.BigEndian.Uint16(head[2:])-8)
		if _, err := io.ReadFull(s.conn, part); err != nil {
			return 0, nil, err
		}
		if body = append(body, part...); head[1]&1 != 0 {
			return head[0], body, nil
		}
	}
}

// reply writes a message in packets.
func (s *tdsSession) reply(body []byte) error {
	const most = 4096 - 8
	for id := byte(1); ; id++ {
		n, last := min(len(body), most), byte(0)
		if n == len(body) {
			last = 1
		}
		head := binary.BigEndian.AppendUint16([]byte{packReply, last}, uint16(n+8))
		if _, err := s.conn.Write(append(append(head, 0, 0, id, 0), body[:n]...)); err != nil || last == 1 {
			return err
		}
		body = body[n:]
	}
}

func (s *tdsSession) serve() {
	defer s.conn.Close()
	defer s.base.end(s, false)
	for {
		kind, body, err := s.message()
		if err != nil {
			return
		}
		answer, stay := s.answer(kind, body)
		if s.reply(answer) != nil || !stay {
			return
		}
	}
}

// answer is the answer to a message; false ends the connection behind it.
func (s *tdsSession) answer(kind byte, body []byte) (answer []byte, stay bool) {
	switch kind {
	case packPrelogin: // version, and that nothing is encrypted
		return append([]byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF}, 16, 0, 0, 0, 0, 0, 2), true
	case packLogin:
		field := func(n int) string { // offset and length of the n-th of the variable part
			at := 36 + 4*n
			off, size := le.Uint16(body[at:]), le.Uint16(body[at+2:])
			return string(body[off : off+2*size])
		}
		password := []byte(field(2))
		for i, b := range password {
			b ^= 0xA5
			password[i] = b<<4 | b>>4
		}
		if !s.base.login(fromUTF16([]byte(field(1))), fromUTF16(password), fromUTF16([]byte(field(8)))) {
			return done(refusal(tdsError{18456, "Login failed for user 'portico'."}), 0), false
		}
		ack := append([]byte{1, 0x74, 0, 0, 4, 4}, toUTF16("test")...)
		return done(sized(nil, tokenLoginAck, append(ack, 16, 0, 0, 0)), 0), true
	case packBatch:
		return s.statement(fromUTF16(body[le.Uint32(body):]), nil), true
	case packRPC: // sp_executesql: the statement, its declarations, its arguments
		texts, err := rpcTexts(body[le.Uint32(body):])
		if err != nil {
			return done(refusal(tdsError{8000, err.Error()}), 0), true
		}
		return s.statement(texts[0], texts[min(2, len(texts)):]), true
	case packTransaction:
		switch le.Uint16(body[le.Uint32(body):]) {
		case 5:
			s.base.begin(s)
			return done(sized(nil, tokenChange, []byte{8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}), 0), true
		case 7:
			s.base.end(s, true)
			return done(sized(nil, tokenChange, []byte{9, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}), 0), true
		}
		s.base.end(s, false)
		return done(sized(nil, tokenChange, []byte{10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}), 0), true
	case packAttention: // whoever asked is not interested any more: say that this was heard
		return le.AppendUint64([]byte{tokenDone, 0x20, 0, 0, 0}, 0), true
	case packBulk:
		rows, err := bulkRows(body)
		if err != nil {
			return done(refusal(tdsError{4804, err.Error()}), 0), true
		}
		if refused := s.base.insert(s, s.into, rows); refused != nil {
			return done(refusal(*refused), 0), true
		}
		return done(nil, len(rows.rows)), true
	}
	return done(refusal(tdsError{8000, fmt.Sprintf("a message of kind %d", kind)}), 0), true
}

func (s *tdsSession) statement(text string, args []string) []byte {
	result, refused := s.base.run(s, text, args)
	switch {
	case refused != nil:
		return done(refusal(*refused), 0)
	case result == nil:
		return done(nil, 0)
	}
	b := le.AppendUint16([]byte{tokenColumns}, uint16(len(result.columns)))
	for _, c := range result.columns {
		b = append(le.AppendUint32(b, 0), 9, 0, c.kind) // user type; nullable, may be written
		switch c.kind {
		case typeDate:
		case typeTime, typeDateTime2, typeDateTimeOffset:
			b = append(b, c.dec)
		case typeDecimal, typeNumeric:
			b = append(b, byte(c.size), c.prec, c.dec)
		case typeXML:
			b = append(b, 0)
		case typeVarBinary:
			b = le.AppendUint16(b, uint16(c.size))
		case typeVarChar, typeChar, typeNVarChar, typeNChar:
			b = append(le.AppendUint16(b, uint16(c.size)), 0x09, 0x04, 0xD0, 0, 0x34) // and a collation
		default:
			b = append(b, byte(c.size))
		}
		b = append(append(b, byte(len(utf16.Encode([]rune(c.name))))), toUTF16(c.name)...)
	}
	for _, row := range result.rows {
		b = append(b, tokenRow)
		for i, cell := range row {
			b = appendTDSCell(b, result.columns[i], cell)
		}
	}
	return done(b, len(result.rows))
}

// appendTDSCell writes a cell with the length that its type has before it.
func appendTDSCell(b []byte, c tdsColumn, cell []byte) []byte {
	switch {
	case c.kind == typeXML || c.size == unbounded: // in pieces
		if cell == nil {
			return le.AppendUint64(b, math.MaxUint64)
		}
		b = le.AppendUint32(le.AppendUint64(b, uint64(len(cell))), uint32(len(cell)))
		if len(cell) == 0 {
			return b
		}
		return le.AppendUint32(append(b, cell...), 0)
	case c.kind >= typeVarBinary:
		if cell == nil {
			return le.AppendUint16(b, unbounded)
		}
		return append(le.AppendUint16(b, uint16(len(cell))), cell...)
	}
	return append(append(b, byte(len(cell))), cell...)
}

// done ends an answer.
func done(b []byte, rows int) []byte {
	flags := uint16(0)
	switch {
	case len(b) > 0 && b[0] == tokenError:
		flags = 2
	case rows > 0:
		flags = 0x10
	}
	return le.AppendUint64(le.AppendUint16(le.AppendUint16(append(b, tokenDone), flags), 0), uint64(rows))
}

func sized(b []byte, token byte, body []byte) []byte {
	return append(le.AppendUint16(append(b, token), uint16(len(body))), body...)
}

func refusal(e tdsError) []byte {
	body := append(le.AppendUint32(nil, uint32(e.number)), 1, 16)
	body = append(le.AppendUint16(body, uint16(len(utf16.Encode([]rune(e.text))))), toUTF16(e.text)...)
	return sized(nil, tokenError, append(body, 0, 0, 1, 0, 0, 0)) // no server, no procedure, line 1
}

func toUTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return b
}

func fromUTF16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = le.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// rpcTexts are the parameters of a call, all of them texts.
func rpcTexts(b []byte) (texts []string, err error) {
	if len(b) < 6 || le.Uint16(b) != 0xFFFF || le.Uint16(b[2:]) != 10 {
		return nil, fmt.Errorf("a call of another procedure than sp_executesql")
	}
	r := bytes.NewReader(b[6:])
	for r.Len() > 0 {
		n, _ := r.ReadByte()
		if _, err := r.Seek(2*int64(n)+1, io.SeekCurrent); err != nil { // name and status
			return nil, err
		}
		c, err := readTDSType(r)
		if err != nil {
			return nil, err
		}
		if c.kind != typeNVarChar {
			return nil, fmt.Errorf("a parameter of type %#x", c.kind)
		}
		cell, err := readTDSCell(r, c)
		if err != nil {
			return nil, err
		}
		texts = append(texts, fromUTF16(cell))
	}
	return texts, nil
}

// readTDSType reads the type of what a client sends.
func readTDSType(r *bytes.Reader) (c tdsColumn, err error) {
	if c.kind, err = r.ReadByte(); err != nil {
		return c, err
	}
	switch c.kind {
	case typeNVarChar:
		var head [7]byte
		_, err = io.ReadFull(r, head[:])
		c.size = int(le.Uint16(head[:]))
	case typeDateTime2:
		c.dec, err = r.ReadByte()
	case typeInt, typeFloat, typeBit:
		var n byte
		n, err = r.ReadByte()
		c.size = int(n)
	default:
		err = fmt.Errorf("a value of type %#x", c.kind)
	}
	return c, err
}

// readTDSCell reads what appendTDSCell writes.
func readTDSCell(r *bytes.Reader, c tdsColumn) (cell []byte, err error) {
	switch {
	case c.size == unbounded:
		var size uint64
		if err := binary.Read(r, le, &size); err != nil || size == math.MaxUint64 {
			return nil, err
		}
		cell = []byte{}
		for {
			var n uint32
			if err := binary.Read(r, le, &n); err != nil || n == 0 {
				return cell, err
			}
			part := make([]byte, min(int64(n), int64(r.Len())))
			if _, err := io.ReadFull(r, part); err != nil {
				return nil, err
			}
			cell = append(cell, part...)
		}
	case c.kind == typeNVarChar:
		var n uint16
		if err := binary.Read(r, le, &n); err != nil || n == unbounded {
			return nil, err
		}
		cell = make([]byte, n)
	default:
		n, err := r.ReadByte()
		if err != nil || n == 0 {
			return nil, err
		}
		cell = make([]byte, n)
	}
	_, err = io.ReadFull(r, cell)
	return cell, err
}

// bulkRows reads the rows of a bulk copy.
func bulkRows(b []byte) (*tdsResult, error) {
	r := bytes.NewReader(b)
	token, _ := r.ReadByte()
	var n uint16
	if err := binary.Read(r, le, &n); err != nil || token != tokenColumns {
		return nil, fmt.Errorf("a bulk copy without columns")
	}
	out := &tdsResult{}
	for range n {
		if _, err := r.Seek(6, io.SeekCurrent); err != nil { // user type and flags
			return nil, err
		}
		c, err := readTDSType(r)
		if err != nil {
			return nil, err
		}
		size, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		name := make([]byte, 2*int(size))
		if _, err := io.ReadFull(r, name); err != nil {
			return nil, err
		}
		c.name = fromUTF16(name)
		out.columns = append(out.columns, c)
	}
	for {
		switch token, err := r.ReadByte(); {
		case err != nil:
			return nil, err
		case token == tokenDone:
			return out, nil
		case token != tokenRow:
			return nil, fmt.Errorf("token %#x in a bulk copy", token)
		}
		var row [][]byte
		for _, c := range out.columns {
			cell, err := readTDSCell(r, c)
			if err != nil {
				return nil, err
			}
			row = append(row, cell)
		}
		out.rows = append(out.rows, row)
	}
}

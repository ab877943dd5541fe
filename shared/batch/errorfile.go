package batch

import (
	"strconv"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/frame"
)

// errorHeader is the header row of an error file.
const errorHeader = "row,input,column,code,reason,raw\n"

// rawMax is how much of a bad record the error file keeps.
const rawMax = 4 << 10

// appendError appends a bad row to an error file.
func appendError(dst []byte, input string, r frame.BadRecord) []byte {
	dst = strconv.AppendInt(dst, r.Record, 10)
	for _, cell := range []string{input, r.Column, r.Code, r.Reason, clip(r.Raw)} {
		dst = append(dst, ',')
		dst = frame.AppendCSVField(dst, cell, ',')
	}
	return append(dst, '\n')
}

// clip cuts a record at rawMax bytes, between characters.
func clip(raw []byte) string {
	if len(raw) <= rawMax {
		return string(raw)
	}
	n := rawMax
	for n > rawMax-utf8.UTFMax && !utf8.RuneStart(raw[n]) {
		n--
	}
	return string(raw[:n])
}

package frame

// AppendCSV appends f as CSV to dst: a header row and the rows, each ended by
// LF. Cells are printed as Column.Print does; a missing cell is an empty
// field. A comma of 0 is ','.
func AppendCSV(dst []byte, f *Frame, comma byte) []byte {
	names := make([]string, len(f.Cols))
	for i, c := range f.Cols {
		names[i] = c.Field.Name
	}
	return AppendCSVRows(AppendCSVHeader(dst, names, comma), f, 0, f.Rows(), comma)
}

// AppendCSVHeader appends a header row.
func AppendCSVHeader(dst []byte, names []string, comma byte) []byte {
	comma = CSV{Comma: comma}.comma()
	for i, name := range names {
		if i > 0 {
			dst = append(dst, comma)
		}
		dst = AppendCSVField(dst, name, comma)
	}
	if len(names) == 1 && names[0] == "" {
		dst = append(dst, `""`...)
	}
	return append(dst, '\n')
}

// AppendCSVRows appends the rows of f from lo to hi (exclusive).
func AppendCSVRows(dst []byte, f *Frame, lo, hi int, comma byte) []byte {
	comma = CSV{Comma: comma}.comma()
	for r := lo; r < hi; r++ {
		start := len(dst)
		for i, c := range f.Cols {
			if i > 0 {
				dst = append(dst, comma)
			}
			if c.IsNull(r) {
				continue
			}
			switch c.Field.Type {
			case Double:
				dst = AppendDouble(dst, c.Floats[r])
			case Int32, Int64:
				dst = appendInt(dst, c.Ints[r])
			case String:
				if c.Field.Levels != nil {
					dst = AppendCSVField(dst, c.Level(r), comma)
				} else {
					dst = AppendCSVField(dst, c.bytes[c.textStart(r):c.ends[r]], comma)
				}
			default:
				dst = c.Print(dst, r)
			}
		}
		if len(dst) == start {
			dst = append(dst, `""`...) // a blank line would be no record
		}
		dst = append(dst, '\n')
	}
	return dst
}

// AppendCSVField appends one field, quoted where it must be.
func AppendCSVField[T string | []byte](dst []byte, s T, comma byte) []byte {
	special := false
	for i := range len(s) {
		if c := s[i]; c == comma || c == '"' || c == '\n' || c == '\r' {
			special = true
			break
		}
	}
	if !special {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

package binned

// Octet returns the bins of features 8·g to 8·g+7, one row a word, the first
// feature in its lowest byte: what Add reads. Read only.
func (m *Matrix) Octet(g int) []uint64 { return m.octets[g] }

// Octets is the number of octets.
func (m *Matrix) Octets() int { return len(m.octets) }

// Sums are what the rows of each bin add up to, for the features of an octet.
type Sums [8][256]uint64

// Add adds values[i] to the bins of row rows[i], for all features of an octet.
// A value may be several numbers side by side in a word, as long as no sum of
// one runs over into the next.
func (s *Sums) Add(octet []uint64, rows []uint32, values []uint64) {
	values = values[:len(rows)]
	for i, r := range rows {
		b, v := octet[r], values[i]
		s[0][uint8(b)] += v
		s[1][uint8(b>>8)] += v
		s[2][uint8(b>>16)] += v
		s[3][uint8(b>>24)] += v
		s[4][uint8(b>>32)] += v
		s[5][uint8(b>>40)] += v
		s[6][uint8(b>>48)] += v
		s[7][uint8(b>>56)] += v
	}
}

// interleave makes an octet of up to eight columns.
func interleave(columns [][]uint8, rows int) []uint64 {
	out := make([]uint64, rows)
	for k, c := range columns {
		for r, b := range c {
			out[r] |= uint64(b) << (8 * k)
		}
	}
	return out
}

package binned

// Sums are what the rows of each bin add up to, for the features of an octet:
// eight features that stand side by side. Those of a feature that is not there,
// in the last octet, mean nothing.
type Sums [8][256]uint64

// Octets is the number of octets: features 8·g to 8·g+7 are octet g.
func (m *Matrix) Octets() int { return m.octets }

// addRows is how many rows are added for one octet after the other: few enough
// that their bins stay in a core's cache.
const addRows = 1 << 10

// Add adds values[i] to the bins of row rows[i], for the octets from first on,
// one an element of sums. A value may be several numbers side by side in a
// word, as long as no sum of one runs over into the next.
func (m *Matrix) Add(sums []Sums, first int, rows []uint32, values []uint64) {
	for len(rows) > 0 {
		n := min(addRows, len(rows))
		for k := range sums {
			if len(m.Features)-8*(first+k) <= 4 {
				sums[k].addHalf(m.words[first+k:], m.octets, rows[:n], values[:n])
			} else {
				sums[k].add(m.words[first+k:], m.octets, rows[:n], values[:n])
			}
		}
		rows, values = rows[n:], values[n:]
	}
}

// add adds for one octet, whose bins for row r are the bytes of
// words[r·stride], the first feature's the lowest.
func (s *Sums) add(words []uint64, stride int, rows []uint32, values []uint64) {
	values = values[:len(rows)]
	for i, r := range rows {
		b, v := words[int(r)*stride], values[i]
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

// addHalf is add for an octet of no more than four features: half the work.
func (s *Sums) addHalf(words []uint64, stride int, rows []uint32, values []uint64) {
	values = values[:len(rows)]
	for i, r := range rows {
		b, v := words[int(r)*stride], values[i]
		s[0][uint8(b)] += v
		s[1][uint8(b>>8)] += v
		s[2][uint8(b>>16)] += v
		s[3][uint8(b>>24)] += v
	}
}

// interleave writes the bins of rows[from:to] row by row.
func (m *Matrix) interleave(from, to int) {
	for f, c := range m.columns {
		g, shift := f/8, 8*(f%8)
		for r := from; r < to; r++ {
			m.words[r*m.octets+g] |= uint64(c[r]) << shift
		}
	}
}

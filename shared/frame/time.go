package frame

import "time"

const (
	microsPerSecond = 1_000_000
	secondsPerDay   = 86_400
)

// parseTime reads an ISO 8601 date, or date and time, as microseconds since
// 1970 in UTC: 2015-10-09, 2015-10-09T08:30, 2015-10-09 08:30:00.25,
// 2015-10-09T08:30:00Z, 2015-10-09T08:30:00+02:00. Digits past the
// microsecond are cut off.
func parseTime(b []byte) (int64, verdict) {
	y, ok1 := fixed(b, 0, 4)
	mo, ok2 := fixed(b, 5, 2)
	d, ok3 := fixed(b, 8, 2)
	if !ok1 || !ok2 || !ok3 || b[4] != '-' || b[7] != '-' || y == 0 || mo < 1 || mo > 12 || d < 1 || d > daysIn(y, mo) {
		return 0, notDateTime
	}
	t := daysSince1970(y, mo, d) * secondsPerDay
	if len(b) == 10 {
		return t * microsPerSecond, okCell
	}
	h, ok1 := fixed(b, 11, 2)
	mi, ok2 := fixed(b, 14, 2)
	if !ok1 || !ok2 || b[10] != 'T' && b[10] != 't' && b[10] != ' ' || b[13] != ':' || h > 23 || mi > 59 {
		return 0, notDateTime
	}
	t += int64(h*3600 + mi*60)
	b = b[16:]
	micros := int64(0)
	if len(b) > 0 && b[0] == ':' {
		s, ok := fixed(b, 1, 2)
		if !ok || s > 59 {
			return 0, notDateTime
		}
		t += int64(s)
		b = b[3:]
		if len(b) > 1 && b[0] == '.' {
			i, unit := 1, int64(microsPerSecond/10)
			for ; i < len(b) && b[i]-'0' <= 9; i++ {
				micros += int64(b[i]-'0') * unit
				unit /= 10
			}
			if i == 1 {
				return 0, notDateTime
			}
			b = b[i:]
		}
	}
	switch {
	case len(b) == 0 || len(b) == 1 && b[0]|0x20 == 'z':
	case b[0] == '+' || b[0] == '-':
		oh, ok1 := fixed(b, 1, 2)
		om, ok2 := 0, len(b) == 3
		if len(b) == 6 && b[3] == ':' {
			om, ok2 = fixed(b, 4, 2)
		} else if len(b) == 5 {
			om, ok2 = fixed(b, 3, 2)
		}
		if !ok1 || !ok2 || oh > 14 || om > 59 {
			return 0, notDateTime
		}
		if off := int64(oh*3600 + om*60); b[0] == '+' {
			t -= off
		} else {
			t += off
		}
	default:
		return 0, notDateTime
	}
	return t*microsPerSecond + micros, okCell
}

// fixed reads n digits at b[i:].
func fixed(b []byte, i, n int) (int, bool) {
	if len(b) < i+n {
		return 0, false
	}
	v := 0
	for _, c := range b[i : i+n] {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + int(d)
	}
	return v, true
}

func daysIn(y, m int) int {
	switch {
	case m == 2 && (y%4 == 0 && y%100 != 0 || y%400 == 0):
		return 29
	case m == 2:
		return 28
	case m == 4 || m == 6 || m == 9 || m == 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days in the proleptic Gregorian calendar, with years
// that begin in March so that the leap day comes last.
func daysSince1970(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era, yoe := y/400, y%400
	doy := (153*(m-3)+2)/5 + d - 1
	return int64(era*146097+yoe*365+yoe/4-yoe/100+doy) - 719468
}

// appendTime prints a DateTime cell: 2015-10-09T08:30:00, with a fraction
// where there is one. It is UTC and says so by having no zone, as a DateTime
// of the classic service did; it reads back to itself.
func appendTime(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999")
}

package layout

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule is a six-field NCRONTAB expression: second, minute, hour, day,
// month, day of the week.
type Schedule struct {
	fields [6]uint64 // bit n: the value n is in
}

var scheduleRange = [6][2]int{{0, 59}, {0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}

// ParseSchedule reads an expression of *, n, a-b, */n, a-b/n and lists of them.
// Names of months and days and the host's %SETTING% form are not used here.
func ParseSchedule(s string) (Schedule, error) {
	var sc Schedule
	parts := strings.Fields(s)
	if len(parts) != 6 {
		return sc, fmt.Errorf("schedule %q has %d fields, not 6", s, len(parts))
	}
	for i, part := range parts {
		for item := range strings.SplitSeq(part, ",") {
			bits, err := scheduleItem(item, scheduleRange[i][0], scheduleRange[i][1])
			if err != nil {
				return sc, fmt.Errorf("schedule %q: field %d: %w", s, i+1, err)
			}
			sc.fields[i] |= bits
		}
	}
	return sc, nil
}

func scheduleItem(item string, least, most int) (uint64, error) {
	span, step, stepped := strings.Cut(item, "/")
	from, to, by := least, most, 1
	var err error
	if stepped {
		if by, err = strconv.Atoi(step); err != nil || by < 1 {
			return 0, fmt.Errorf("%q has no step", item)
		}
	}
	if span != "*" {
		a, b, ranged := strings.Cut(span, "-")
		if from, err = strconv.Atoi(a); err != nil {
			return 0, fmt.Errorf("%q is not a number", item)
		}
		switch {
		case ranged:
			if to, err = strconv.Atoi(b); err != nil {
				return 0, fmt.Errorf("%q is not a range", item)
			}
		case !stepped:
			to = from
		}
	}
	if from < least || to > most || from > to {
		return 0, fmt.Errorf("%q is not between %d and %d", item, least, most)
	}
	var bits uint64
	for n := from; n <= to; n += by {
		bits |= 1 << n
	}
	return bits, nil
}

// Next returns the first time after t, to the second, at which the schedule
// fires; zero where there is none within four years.
func (s Schedule) Next(t time.Time) time.Time {
	has := func(field, n int) bool { return s.fields[field]&(1<<n) != 0 }
	at := t.Truncate(time.Second).Add(time.Second)
	for limit := at.AddDate(4, 0, 0); at.Before(limit); {
		switch {
		case !has(4, int(at.Month())):
			at = time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, at.Location())
		case !has(3, at.Day()) || !has(5, int(at.Weekday())):
			at = time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, at.Location())
		case !has(2, at.Hour()):
			at = at.Truncate(time.Hour).Add(time.Hour)
		case !has(1, at.Minute()):
			at = at.Truncate(time.Minute).Add(time.Minute)
		case !has(0, at.Second()):
			at = at.Add(time.Second)
		default:
			return at
		}
	}
	return time.Time{}
}

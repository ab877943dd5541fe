package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// screen is a terminal with at most one line that changes.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	on    bool // somebody looks at it
	shown int  // width of the line that stands there
	at    time.Time
}

// show puts a line in the place of the one before, ten times a second at most.
func (s *screen) show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on || s.shown > 0 && time.Since(s.at) < 100*time.Millisecond {
		return
	}
	s.at = time.Now()
	width := len([]rune(line))
	fmt.Fprintf(s.w, "\r%s%s", line, strings.Repeat(" ", max(0, s.shown-width)))
	s.shown = width
}

// clear removes the line.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown > 0 {
		fmt.Fprintf(s.w, "\r%s\r", strings.Repeat(" ", s.shown))
		s.shown = 0
	}
}

// print writes a line that stays.
func (s *screen) print(format string, args ...any) {
	s.clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format+"\n", args...)
}

const barWidth = 24

// bar draws how much of something is done, and then says it.
func bar(done, of float64, parts ...string) string {
	full := 0
	share := "  ? %"
	if of > 0 {
		f := min(max(done/of, 0), 1)
		full, share = int(f*barWidth), fmt.Sprintf("%3.0f %%", f*100)
	}
	line := "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] " + share
	for _, p := range parts {
		if p != "" {
			line += "  " + p
		}
	}
	return line
}

// meter measures how fast something grows.
type meter struct {
	from  float64
	since time.Time
	value float64
	now   time.Time
}

// see takes what there is now.
func (m *meter) see(value float64, now time.Time) {
	if m.since.IsZero() || value < m.from {
		m.from, m.since = value, now
	}
	m.value, m.now = value, now
}

// rate is per second; 0 where that is not known yet.
func (m *meter) rate() float64 {
	passed := m.now.Sub(m.since).Seconds()
	if passed <= 0 || m.value <= m.from {
		return 0
	}
	return (m.value - m.from) / passed
}

// left is how long it takes to grow to of, in words; empty where that is not
// known.
func (m *meter) left(of float64) string {
	r := m.rate()
	if r <= 0 || of <= m.value {
		return ""
	}
	return duration(time.Duration((of-m.value)/r*float64(time.Second))) + " left"
}

// duration is a time to wait as people write it.
func duration(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d:%02d", d/time.Minute, d%time.Minute/time.Second)
}

// count is a whole number with commas.
func count[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes as people write it.
func size(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 999.5 {
			if unit == "B" || n >= 99.5 {
				return fmt.Sprintf("%.0f %s", n, unit)
			}
			return fmt.Sprintf("%.1f %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.1f TB", n)
}

func plural[T int | int64](n T, one string) string {
	if n == 1 {
		return count(n) + " " + one
	}
	return count(n) + " " + one + "s"
}

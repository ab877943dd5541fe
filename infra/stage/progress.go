package stage

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Progress shows how far a build is: a line that is rewritten on a terminal, a
// line every five seconds elsewhere, nothing where it is done before that.
type Progress struct {
	out      *os.File
	what     string
	terminal bool
	start    time.Time

	mu    sync.Mutex
	count int
	drawn bool
	stop  chan struct{}
	done  sync.WaitGroup
}

// NewProgress begins to show what is being done.
func NewProgress(out *os.File, what string) *Progress {
	p := &Progress{out: out, what: what, start: time.Now(), stop: make(chan struct{})}
	if info, err := out.Stat(); err == nil {
		p.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	every := 5 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	p.done.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.draw()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// Set says how many packages are done.
func (p *Progress) Set(n int) {
	p.mu.Lock()
	p.count = n
	p.mu.Unlock()
}

func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drawn = true
	text := fmt.Sprintf("%s: %d packages, %d s", p.what, p.count, int(time.Since(p.start).Seconds()))
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", text)
	} else {
		fmt.Fprintln(p.out, text)
	}
}

// End ends it.
func (p *Progress) End(ok bool) {
	close(p.stop)
	p.done.Wait()
	if !p.drawn {
		return
	}
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
	if ok {
		fmt.Fprintf(p.out, "%s: done in %.0f s\n", p.what, time.Since(p.start).Seconds())
	}
}

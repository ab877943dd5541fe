package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/portico-ml/portico/shared/client"
)

// Server looks at a server from outside.
func Server(ctx context.Context, s *client.Client) []Check {
	var c checkup
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	before := time.Now()
	status, header, _, err := s.Probe(ctx, "/health/live")
	after := time.Now()
	switch {
	case err != nil:
		c.add("server", Failed, "%s", err)
		return c
	case status != http.StatusOK:
		c.add("server", Failed, "/health/live answers %d: it is no Portico, or it does not run", status)
		return c
	}
	c.add("server", OK, "%s lives, answered in %v", s.Base(), after.Sub(before).Round(time.Millisecond))
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		c.clock("server clock", beyond(date, before, after))
	} else {
		c.add("server clock", Skipped, "the server does not say what time it is")
	}
	status, _, body, err := s.Probe(ctx, "/health/ready")
	if err != nil {
		c.add("server ready", Failed, "%s", err)
		return c
	}
	c.ready(status, body)
	return c
}

// ready reads what /health/ready says.
func (c *checkup) ready(status int, body []byte) {
	var r struct {
		Status, Storage string
		Settings        []struct{ Name, Reason string }
	}
	if json.Unmarshal(body, &r) != nil || r.Status == "" {
		c.add("server ready", Failed, "/health/ready answers %d and no report", status)
		return
	}
	for _, s := range r.Settings {
		c.add("server setting", Failed, "%s: %s", s.Name, s.Reason)
	}
	state := OK
	if status != http.StatusOK {
		state = Failed
	}
	c.add("server ready", state, "%s; storage: %s", r.Status, r.Storage)
}

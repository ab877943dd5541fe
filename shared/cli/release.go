package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
)

func releaseCommands() []command {
	member := func(f *flag.FlagSet, o *options) { o.member(f) }
	deciding := func(f *flag.FlagSet, o *options) { o.deciding(f) }
	which := "PROMOTION is a number; without one it is the service's pending promotion."
	return []command{
		{
			name: "publish", args: "EXPERIMENT", short: "publish an experiment's last run to staging", least: 1, most: 1,
			long: "EXPERIMENT is a name or an id. What its last successful run used goes to the staging\nendpoint of its web service.",
			flags: func(f *flag.FlagSet, o *options) {
				o.member(f)
				f.StringVar(&o.name, "name", "", "`name` of the web service (default: as it is, or the experiment's)")
				f.BoolVar(&o.request, "request", false, "request its promotion, too")
				f.StringVar(&o.note, "note", "", "of the request, for the deployer")
			},
			run: publish,
		},
		{
			name: "promote request", args: "SERVICE", short: "ask to put what staging serves into production", least: 1, most: 1,
			flags: func(f *flag.FlagSet, o *options) {
				o.member(f)
				f.StringVar(&o.note, "note", "", "for the deployer")
			},
			run: request,
		},
		{
			name: "promote show", args: "SERVICE [PROMOTION]", short: "show what a deployer must know of a promotion", least: 1, most: 2,
			long: which, flags: member, run: showPromotion,
		},
		{
			name: "promote approve", args: "SERVICE [PROMOTION]", short: "put a requested deployment into production", least: 1, most: 2, long: which,
			flags: func(f *flag.FlagSet, o *options) {
				o.deciding(f)
				o.expecting(f)
				f.StringVar(&o.acknowledge, "acknowledge", "", "`breaking`: approve although callers have to change")
			},
			run: decide("approve"),
		},
		{
			name: "promote reject", args: "SERVICE [PROMOTION]", short: "refuse a promotion, with a -reason", least: 1, most: 2, long: which,
			flags: deciding, run: decide("reject"),
		},
		{
			name: "promote withdraw", args: "SERVICE [PROMOTION]", short: "take a request of one's own back", least: 1, most: 2, long: which,
			flags: deciding, run: decide("withdraw"),
		},
		{
			name: "promote rollback", args: "SERVICE", short: "put production back to what it served before", least: 1, most: 1,
			flags: func(f *flag.FlagSet, o *options) {
				o.deciding(f)
				o.expecting(f)
				f.Int64Var(&o.to, "to", 0, "`number` of the entry of the history to go back to (default: the deployment before)")
				f.StringVar(&o.endpoint, "endpoint", "", "`name` of the endpoint (default: default)")
			},
			run: rollback,
		},
		{
			name: "promote history", args: "SERVICE", short: "list what production served, the newest first", least: 1, most: 1,
			flags: func(f *flag.FlagSet, o *options) {
				o.member(f)
				f.StringVar(&o.endpoint, "endpoint", "", "`name` of the endpoint (default: default)")
				f.IntVar(&o.limit, "limit", 20, "at most so `many`")
			},
			run: history,
		},
	}
}

// post makes a call with a body and answers a document.
func (s *session) post(ctx context.Context, c *client.Client, token, path string, body any, again bool, out any) (json.RawMessage, error) {
	return c.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Bearer: token, Body: client.JSON(body), Again: again}, out)
}

func publish(ctx context.Context, s *session, args []string) error {
	c, token, err := s.member(ctx, "publishing")
	if err != nil {
		return err
	}
	x, err := c.Experiment(ctx, s.ws, args[0], token)
	if err != nil {
		return err
	}
	body := map[string]any{"experimentId": x.ID}
	if s.opt.name != "" {
		body["name"] = s.opt.name
	}
	if s.opt.request {
		body["requestPromotion"], body["note"] = true, s.opt.note
	} else if s.opt.note != "" {
		return usage("-note is a note of the request: give -request, too")
	}
	var p struct {
		Name, Digest string
		Created      bool
		Moved        bool
		Warnings     []string
		Staging      struct {
			API string `json:"apiLocation"`
		}
		Promotion *registry.Promotion
	}
	doc, err := s.post(ctx, c, token, client.Manage(s.ws, "services"), body, true, &p)
	if err != nil {
		return err
	}
	if s.opt.json {
		return s.printJSON(doc)
	}
	w := s.env.Stdout
	what := "staging serves it already"
	if p.Moved {
		what = "published to staging"
	}
	if p.Created {
		what = "a new web service, published to staging"
	}
	fmt.Fprintf(w, "%s: %s\ndeployment %s\nstaging    %s\n", p.Name, what, p.Digest, p.Staging.API)
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "warning    %s\n", text)
	}
	if p.Promotion != nil {
		promotionText(w, p.Promotion)
	}
	return nil
}

// service finds the service of a command, and what one of its endpoints
// serves.
func (s *session) service(ctx context.Context, c *client.Client, token, name, endpoint string) (svc client.Service, digest string, err error) {
	if svc, err = c.Service(ctx, s.ws, name, token); err != nil || endpoint == "" {
		return svc, "", err
	}
	e, err := c.Endpoint(ctx, s.ws, svc.ID, endpoint, token)
	return svc, e.Digest, err
}

func request(ctx context.Context, s *session, args []string) error {
	c, token, err := s.member(ctx, "promoting")
	if err != nil {
		return err
	}
	svc, digest, err := s.service(ctx, c, token, args[0], service.Staging)
	if err != nil {
		return err
	}
	var p registry.Promotion
	doc, err := s.post(ctx, c, token, client.Manage(s.ws, "services", svc.ID, "promotions"), registry.Request{Digest: digest, Note: s.opt.note}, true, &p)
	return s.tellPromotion(doc, &p, err)
}

// number is the promotion that the arguments name, or the pending one.
func number(svc client.Service, args []string) (string, error) {
	if len(args) == 2 {
		if n, err := strconv.ParseInt(args[1], 10, 64); err != nil || n < 1 {
			return "", usage("%q is not the number of a promotion", args[1])
		}
		return args[1], nil
	}
	if svc.PendingPromotion == 0 {
		return "", fmt.Errorf("no promotion of %s is pending", svc.Name)
	}
	return strconv.FormatInt(svc.PendingPromotion, 10), nil
}

func showPromotion(ctx context.Context, s *session, args []string) error {
	c, token, err := s.member(ctx, "promotions")
	if err != nil {
		return err
	}
	svc, _, err := s.service(ctx, c, token, args[0], "")
	if err != nil {
		return err
	}
	n, err := number(svc, args)
	if err != nil {
		return err
	}
	var p registry.Promotion
	doc, err := c.Get(ctx, client.Manage(s.ws, "services", svc.ID, "promotions", n), token, &p)
	return s.tellPromotion(doc, &p, err)
}

// decide approves, rejects or withdraws.
func decide(decision string) func(context.Context, *session, []string) error {
	return func(ctx context.Context, s *session, args []string) error {
		c, token, err := s.member(ctx, "promoting")
		if err != nil {
			return err
		}
		svc, serves, err := s.service(ctx, c, token, args[0], service.Default)
		if err != nil {
			return err
		}
		n, err := number(svc, args)
		if err != nil {
			return err
		}
		d := registry.Decision{Reason: s.opt.reason}
		if decision == "approve" {
			expect := s.opt.expect.or(serves)
			d.Expect, d.Acknowledge = &expect, s.opt.acknowledge
		}
		var p registry.Promotion
		doc, err := s.post(ctx, c, token, client.Manage(s.ws, "services", svc.ID, "promotions", n, decision), d, false, &p)
		return s.tellPromotion(doc, &p, err)
	}
}

func (s *session) tellPromotion(doc json.RawMessage, p *registry.Promotion, err error) error {
	if err != nil {
		return err
	}
	if s.opt.json {
		return s.printJSON(doc)
	}
	promotionText(s.env.Stdout, p)
	return nil
}

// promotionText is a promotion in words: all that a deployer must know.
func promotionText(w io.Writer, p *registry.Promotion) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("promotion", "%d, %s", p.Number, p.State)
	line("requested", "by %s, %s", p.Requester, p.Requested.UTC().Format(time.RFC3339))
	if p.Note != "" {
		line("note", "%s", p.Note)
	}
	line("deployment", "%s", p.Digest)
	line("published", "by %s, %s; run by %s", p.Deployment.Published, p.Deployment.At.UTC().Format(time.RFC3339), p.Deployment.Ran)
	against := p.Against
	if against == "" {
		against = "nothing"
	}
	line("against", "%s", against)
	line("callers", "%s", p.Difference.Verdict)
	for _, change := range p.Difference.Changes {
		mark := ""
		if change.Breaking {
			mark = " (breaking)"
		}
		line("", "%s: %s%s", change.Place, change.What, mark)
	}
	if p.Difference.More > 0 {
		line("", "and %d more", p.Difference.More)
	}
	for _, m := range p.Deployment.Models {
		text := m.Name
		if m.Version > 0 {
			text += fmt.Sprintf(", version %d", m.Version)
		}
		if !m.Verified {
			text += ", not verified"
		}
		if m.Newer > 0 {
			text += fmt.Sprintf(" (there is a version %d)", m.Newer)
		}
		line("model", "%s", text)
	}
	for _, text := range p.Deployment.Warnings {
		line("warning", "%s", text)
	}
	tested := "not on staging"
	if p.Evidence.First != nil {
		tested = fmt.Sprintf("on staging since %s, about %s", p.Evidence.First.UTC().Format(time.RFC3339), plural(p.Evidence.Calls, "call"))
	}
	line("tested", "%s", tested)
	if p.Decider != nil && p.Decided != nil {
		line("decided", "by %s, %s", *p.Decider, p.Decided.UTC().Format(time.RFC3339))
	}
	if p.Reason != "" {
		line("reason", "%s", p.Reason)
	}
}

func rollback(ctx context.Context, s *session, args []string) error {
	c, token, err := s.member(ctx, "rolling back")
	if err != nil {
		return err
	}
	name := s.endpointName()
	svc, serves, err := s.service(ctx, c, token, args[0], name)
	if err != nil {
		return err
	}
	expect := s.opt.expect.or(serves)
	var m registry.Move
	body := registry.Rollback{Endpoint: name, To: s.opt.to, Expect: &expect, Reason: s.opt.reason}
	doc, err := s.post(ctx, c, token, client.Manage(s.ws, "services", svc.ID, "rollback"), body, false, &m)
	if err != nil {
		return err
	}
	if s.opt.json {
		return s.printJSON(doc)
	}
	fmt.Fprintf(s.env.Stdout, "%s of %s is back at entry %d\nserved     %s\nserves     %s\n", name, svc.Name, m.To, m.From, m.Digest)
	return nil
}

// endpointName is the endpoint of a flag, which is production where none is
// given: a setting is for those who call it.
func (s *session) endpointName() string {
	if s.opt.endpoint != "" {
		return s.opt.endpoint
	}
	return service.Default
}

func history(ctx context.Context, s *session, args []string) error {
	if s.opt.limit < 1 {
		return usage("-limit is a number from 1")
	}
	c, token, err := s.member(ctx, "the history")
	if err != nil {
		return err
	}
	svc, _, err := s.service(ctx, c, token, args[0], "")
	if err != nil {
		return err
	}
	h := registry.History{Moves: []registry.Move{}}
	for before := int64(0); len(h.Moves) < s.opt.limit; before = h.Next {
		var page registry.History
		path := client.Manage(s.ws, "services", svc.ID, "endpoints", s.endpointName(), "history")
		if _, err := c.Get(ctx, fmt.Sprintf("%s?before=%d&limit=%d", path, before, s.opt.limit-len(h.Moves)), token, &page); err != nil {
			return err
		}
		page.Moves = append(h.Moves, page.Moves...)
		if h = page; h.Next == 0 {
			break
		}
	}
	if s.opt.json {
		return s.printJSON(h)
	}
	w := tabwriter.NewWriter(s.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTRY\tDEPLOYMENT\tACT\tAT\tBY\tREASON")
	for _, m := range h.Moves {
		now := ""
		if m.Seq == h.Position {
			now = " *"
		}
		fmt.Fprintf(w, "%d%s\t%.12s\t%s\t%s\t%s\t%s\n", m.Seq, now, m.Digest, m.Act, m.At.UTC().Format(time.RFC3339), m.By, m.Reason)
	}
	return w.Flush()
}

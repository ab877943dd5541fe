package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// Codes of refusals.
const (
	CodeUntested     = "NotTestedOnStaging"
	CodeExpectation  = "ExpectationFailed" // default or staging serves something else than the caller saw
	CodeDecided      = "PromotionDecided"
	CodeSelfApproval = "RequesterCannotApprove"
	CodeBreaking     = "BreakingChange"
	CodeUnchanged    = "AlreadyServed"
)

// Request asks for a promotion.
type Request struct {
	Digest string `json:"digest"` // what staging serves
	Note   string `json:"note,omitempty"`
}

// RequestPromotion marks staging's deployment ready for production. It deploys
// nothing. A pending promotion is superseded; asking again for the same one
// gives the pending one.
func (r *Registry) RequestPromotion(ctx context.Context, ws, svc string, by Actor, q Request) (*Promotion, error) {
	if err := by.May(ActRequest, service.Endpoint{Name: service.Staging}); err != nil {
		return nil, err
	}
	if err := checkText("note", q.Note); err != nil {
		return nil, err
	}
	var out *Promotion
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		staging, err := a.endpoint(ctx, service.Staging)
		if err != nil {
			return err
		}
		if q.Digest == "" {
			return fault.New(fault.BadArgument, "BadParameterValue", "digest is required: the deployment you tested; staging serves %s", staging.Digest).At("digest")
		}
		if staging.Digest != q.Digest {
			return fault.New(fault.Conflict, CodeExpectation, "staging serves %s now, not %s", staging.Digest, cut(q.Digest)).At("digest")
		}
		production, err := a.endpoint(ctx, service.Default)
		if err != nil {
			return err
		}
		out, err = a.file(ctx, q, staging, production, true)
		return err
	})
	return out, err
}

// file adds to a the promotion of what staging serves, or finds the pending
// one that asks for just that. tested says whether a call on staging must have
// been seen by now; approval asks for it in any case.
func (a *act) file(ctx context.Context, q Request, staging, production *endpointState, tested bool) (p *Promotion, err error) {
	r, ws, svc := a.r, a.svc.Workspace, a.svc.ID
	if production.Digest == q.Digest {
		return nil, fault.New(fault.Conflict, CodeUnchanged, "default already serves %s", q.Digest)
	}
	var pending *Promotion
	if a.svc.Pending != 0 {
		if pending, err = r.promotion(ctx, ws, svc, a.svc.Pending); err != nil {
			return nil, err
		}
		if pending.Digest == q.Digest && pending.Requester.ID == a.by.ID && pending.Note == q.Note {
			return pending, nil
		}
	}
	p = &Promotion{
		Number: a.svc.Promotions + 1, State: service.Requested, Digest: q.Digest, Kind: Update,
		Requested: a.now, Requester: a.by.who(), Note: q.Note, Against: production.Digest,
	}
	if production.Digest == "" {
		p.Kind = Add
	}
	if p.Evidence, err = r.evidenceOf(ctx, staging, q.Digest); err != nil {
		return nil, err
	}
	if tested && p.Evidence.First == nil && !r.opt.AllowUntested {
		return nil, untested(staging, q.Digest)
	}
	if a.fresh.Digest == q.Digest {
		p.Deployment = a.fresh
	} else if p.Deployment, err = r.deployment(ctx, ws, svc, q.Digest); err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if p.Difference, err = r.difference(ctx, ws, production.Digest, q.Digest); err != nil {
		return nil, err
	}
	event := Event{Type: EventRequested, Endpoint: service.Default, Digest: q.Digest, From: production.Digest, Promotion: p.Number, Reason: q.Note, Detail: p.Difference.String()}
	if pending != nil {
		pending.State, pending.Decided, pending.Decider = service.Superseded, &a.now, new(a.by.who())
		pending.Reason = fmt.Sprintf("promotion %d was filed", p.Number)
		props, err := pending.props()
		if err != nil {
			return nil, err
		}
		a.replace(promotionRow(pending.Number), pending.etag, props)
		event.Superseded = pending.Number
	}
	props, err := p.props()
	if err != nil {
		return nil, err
	}
	a.insert(promotionRow(p.Number), props)
	a.svc.Promotions, a.svc.Pending = p.Number, p.Number
	a.record(event)
	return p, nil
}

func untested(staging *endpointState, digest string) error {
	return fault.New(fault.Conflict, CodeUntested, "deployment %s was not called on staging yet: call endpoint %s once, or run a job on it, then ask again", digest, staging.ID)
}

// Decision is a deployer's, or the withdrawal of the author.
type Decision struct {
	// Expect is the digest that default served when the deployer looked; ""
	// = nothing. Required for approval.
	Expect *string `json:"expect"`
	// Acknowledge must be "breaking" to approve a breaking change.
	Acknowledge string `json:"acknowledge,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

// Approve points default at the promotion's deployment: Add the first time,
// Update after.
func (r *Registry) Approve(ctx context.Context, ws, svc string, n int64, by Actor, d Decision) (*Promotion, error) {
	if err := by.May(ActApprove, service.Endpoint{Name: service.Default}); err != nil {
		return nil, err
	}
	var production *endpointState
	p, err := r.decide(ctx, ws, svc, n, by, d, func(ctx context.Context, a *act, p *Promotion) error {
		if p.Requester.ID == by.ID && !r.opt.AllowSelfApproval {
			return fault.New(fault.Forbidden, CodeSelfApproval, "promotion %d was requested by %s: somebody else has to approve it", n, p.Requester)
		}
		if d.Expect == nil {
			return fault.New(fault.BadArgument, "BadParameterValue", `expect is required: the digest that default serves ("" for none)`).At("expect")
		}
		var err error
		if production, err = a.endpoint(ctx, service.Default); err != nil {
			return err
		}
		if production.Digest != *d.Expect {
			return expectation(production, *d.Expect)
		}
		if !r.opt.AllowUntested {
			staging, err := a.endpoint(ctx, service.Staging)
			if err != nil {
				return err
			}
			if p.Evidence, err = r.evidenceOf(ctx, staging, p.Digest); err != nil {
				return err
			}
			if p.Evidence.First == nil {
				return untested(staging, p.Digest)
			}
		}
		if p.Against != production.Digest {
			// Default has moved since: what counts is the difference to now.
			p.Against = production.Digest
			if p.Difference, err = r.difference(ctx, ws, production.Digest, p.Digest); err != nil {
				return err
			}
		}
		p.Kind = Update
		if production.Digest == "" {
			p.Kind = Add
		}
		if p.Difference.Verdict == Breaking && d.Acknowledge != string(Breaking) {
			return fault.New(fault.Conflict, CodeBreaking, `callers of default will break: %s; to approve all the same, send "acknowledge": "breaking"`, p.Difference).At("acknowledge")
		}
		// It has to load before it serves; and it serves from memory at once.
		_, release, err := r.Deployment(ctx, ws, p.Digest)
		if err != nil {
			return err
		}
		release()
		from := production.Digest
		if err := a.move(production, p.Digest, Move{Act: EventApproved, Promotion: n, Reason: d.Reason}); err != nil {
			return err
		}
		p.State = service.Approved
		a.record(Event{Type: EventApproved, Endpoint: service.Default, Digest: p.Digest, From: from, Promotion: n, Reason: d.Reason, Detail: string(p.Kind)})
		return nil
	})
	if err == nil {
		r.pointers.forget(ws, production.ID)
	}
	return p, err
}

// Reject refuses a promotion; the reason is required.
func (r *Registry) Reject(ctx context.Context, ws, svc string, n int64, by Actor, d Decision) (*Promotion, error) {
	if err := by.May(ActReject, service.Endpoint{Name: service.Default}); err != nil {
		return nil, err
	}
	if strings.TrimSpace(d.Reason) == "" {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "reason is required: the author has to know what to change").At("reason")
	}
	return r.decide(ctx, ws, svc, n, by, d, func(_ context.Context, a *act, p *Promotion) error {
		p.State = service.Rejected
		a.record(Event{Type: EventRejected, Endpoint: service.Default, Digest: p.Digest, Promotion: n, Reason: d.Reason})
		return nil
	})
}

// Withdraw takes a promotion back: its requester may, and an owner.
func (r *Registry) Withdraw(ctx context.Context, ws, svc string, n int64, by Actor, d Decision) (*Promotion, error) {
	if err := by.May(ActWithdraw, service.Endpoint{Name: service.Default}); err != nil {
		return nil, err
	}
	return r.decide(ctx, ws, svc, n, by, d, func(_ context.Context, a *act, p *Promotion) error {
		if p.Requester.ID != by.ID && by.Role < auth.Owner {
			return fault.New(fault.Forbidden, "RoleRequired", "promotion %d was requested by %s: only they, or an owner, can withdraw it", n, p.Requester)
		}
		p.State = service.Withdrawn
		a.record(Event{Type: EventWithdrawn, Endpoint: service.Default, Digest: p.Digest, Promotion: n, Reason: d.Reason})
		return nil
	})
}

// decide ends a pending promotion; how sets its state and records the event.
func (r *Registry) decide(ctx context.Context, ws, svc string, n int64, by Actor, d Decision, how func(ctx context.Context, a *act, p *Promotion) error) (*Promotion, error) {
	if err := checkText("reason", d.Reason); err != nil {
		return nil, err
	}
	var out *Promotion
	err := r.perform(ctx, ws, svc, by, nil, func(ctx context.Context, a *act) error {
		if a.svc.State != live {
			return noService(svc)
		}
		p, err := r.promotion(ctx, ws, svc, n)
		if err != nil {
			return err
		}
		if p.State != service.Requested {
			return decided(p)
		}
		if err := how(ctx, a, p); err != nil {
			return err
		}
		p.Decided, p.Decider, p.Reason = &a.now, new(by.who()), d.Reason
		props, err := p.props()
		if err != nil {
			return err
		}
		a.replace(promotionRow(n), p.etag, props)
		if a.svc.Pending == n {
			a.svc.Pending = 0
		}
		out = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func decided(p *Promotion) error {
	by, at := "", ""
	if p.Decider != nil {
		by = " by " + p.Decider.String()
	}
	if p.Decided != nil {
		at = " at " + p.Decided.Format(time.RFC3339)
	}
	return fault.New(fault.Conflict, CodeDecided, "promotion %d is %s already%s%s", p.Number, p.State, by, at)
}

func expectation(e *endpointState, saw string) error {
	now := e.Digest
	if now == "" {
		now = "nothing"
	}
	if saw == "" {
		saw = "nothing"
	}
	return fault.New(fault.Conflict, CodeExpectation, "endpoint %q serves %s now, not %s: look again", e.Name, now, cut(saw)).At("expect")
}

package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// Verdict sums up what a change of deployment means to callers.
type Verdict string

// The verdicts, mildest first.
const (
	Same       Verdict = "same"       // the same ports, columns and parameters
	Compatible Verdict = "compatible" // a request that worked still works, and its answer has what it had
	Breaking   Verdict = "breaking"   // some caller has to change
)

// Difference is what callers of an endpoint will notice besides other scores.
type Difference struct {
	Verdict Verdict  `json:"verdict"`
	Changes []Change `json:"changes,omitempty"`
	More    int      `json:"more,omitempty"` // changes beyond those listed
}

// Change is one difference.
type Change struct {
	Place    string `json:"place"` // "input1", "input1.age", "output1.Scored Labels", "parameter rate"
	What     string `json:"what"`
	Breaking bool   `json:"breaking"`
}

// String lists the breaking changes, or the verdict where there is none.
func (d Difference) String() string {
	var s []string
	for _, c := range d.Changes {
		if c.Breaking {
			s = append(s, c.Place+": "+c.What)
		}
	}
	if len(s) == 0 {
		return string(d.Verdict)
	}
	if n := len(s) - 10; n > 0 {
		s = append(s[:10], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(s, "; ")
}

// difference compares two deployments of a workspace; against nothing every
// deployment is the same.
func (r *Registry) difference(ctx context.Context, ws, before, after string) (Difference, error) {
	if before == "" || before == after {
		return Difference{Verdict: Same}, nil
	}
	old, err := r.Manifest(ctx, ws, before)
	if err != nil {
		return Difference{}, fault.Wrap(err, fault.Unavailable, "compare deployments")
	}
	now, err := r.Manifest(ctx, ws, after)
	if err != nil {
		return Difference{}, fault.Wrap(err, fault.Unavailable, "compare deployments")
	}
	return compare(old, now), nil
}

// compare tells what callers of old will notice of now.
func compare(old, now *service.Manifest) Difference {
	var d Difference
	d.inputs(old.Inputs, now.Inputs)
	d.outputs(old.Outputs, now.Outputs)
	d.parameters(old.Parameters, now.Parameters)
	if old.BatchOnly != now.BatchOnly {
		d.add("service", now.BatchOnly, "%s", pick(now.BatchOnly, "answers batch jobs only", "answers single calls too"))
	}
	if old.Whole != now.Whole {
		d.add("service", false, "%s", pick(now.Whole, "all rows of a request or job are scored together", "rows are scored each by itself"))
	}
	d.Verdict = Same
	for _, c := range d.Changes {
		if c.Breaking {
			d.Verdict = Breaking
			return d
		}
		d.Verdict = Compatible
	}
	return d
}

func (d *Difference) add(place string, breaking bool, format string, args ...any) {
	d.Changes = append(d.Changes, Change{Place: place, What: fmt.Sprintf(format, args...), Breaking: breaking})
}

func pick(c bool, yes, no string) string {
	if c {
		return yes
	}
	return no
}

func portNamed(ports []service.Port, name string) *service.Port {
	if i := slices.IndexFunc(ports, func(p service.Port) bool { return p.Name == name }); i >= 0 {
		return &ports[i]
	}
	return nil
}

func (d *Difference) inputs(old, now []service.Port) {
	for _, o := range old {
		n := portNamed(now, o.Name)
		if n == nil {
			d.add(o.Name, true, "input removed")
			continue
		}
		d.inputColumns(o.Name, o.Schema, n.Schema)
	}
	for _, n := range now {
		if portNamed(old, n.Name) == nil {
			d.add(n.Name, true, "input added: every request needs it")
		}
	}
}

func (d *Difference) inputColumns(port string, old, now frame.Schema) {
	for _, o := range old {
		place := port + "." + o.Name
		i := now.Index(o.Name)
		if i < 0 {
			d.add(place, true, "column removed: requests that send it are refused")
			continue
		}
		n := now[i]
		switch {
		case o.Type == n.Type:
		case widens(o.Type, n.Type):
			d.add(place, false, "type %s, was %s", n.Type, o.Type)
		default:
			d.add(place, true, "type %s, was %s", n.Type, o.Type)
		}
		if o.Optional && !n.Optional {
			d.add(place, true, "required now")
		} else if !o.Optional && n.Optional {
			d.add(place, false, "optional now")
		}
		if o.Nullable && !n.Nullable {
			d.add(place, true, "missing cells are refused now")
		} else if !o.Nullable && n.Nullable {
			d.add(place, false, "missing cells are allowed now")
		}
		d.levels(place, o.Levels, n.Levels)
	}
	for _, n := range now {
		if old.Index(n.Name) < 0 {
			d.add(port+"."+n.Name, !n.Optional, "%s column added", pick(n.Optional, "optional", "required"))
		}
	}
}

// widens reports that any text of type o is one of type n.
func widens(o, n frame.Type) bool {
	return n == frame.String || o == frame.Int32 && n == frame.Int64 || o == frame.Int32 && n == frame.Double
}

// levels compares the values of a categorical column. A level gone scores as
// unknown, which no error tells: that breaks.
func (d *Difference) levels(place string, old, now []string) {
	if old == nil || now == nil {
		if (old == nil) != (now == nil) {
			d.add(place, false, "%s", pick(now == nil, "free text, had levels", "levels, was free text"))
		}
		return
	}
	gone, added := missing(old, now), missing(now, old)
	if len(gone) > 0 {
		d.add(place, true, "%s gone: %s", plural(len(gone), "level"), few(gone))
	}
	if len(added) > 0 {
		d.add(place, false, "%s added: %s", plural(len(added), "level"), few(added))
	}
}

func (d *Difference) outputs(old, now []service.Port) {
	for _, o := range old {
		n := portNamed(now, o.Name)
		switch {
		case n == nil:
			d.add(o.Name, true, "output removed")
		case kind(o) != kind(*n):
			d.add(o.Name, true, "a %s, was a %s", kind(*n), kind(o))
		default:
			d.outputColumns(o.Name, o.Schema, n.Schema)
		}
	}
	for _, n := range now {
		if portNamed(old, n.Name) == nil {
			d.add(n.Name, false, "output added")
		}
	}
}

func kind(p service.Port) service.PortKind {
	if p.Kind == "" {
		return service.Dataset
	}
	return p.Kind
}

func (d *Difference) outputColumns(port string, old, now frame.Schema) {
	kept := true
	for _, o := range old {
		i := now.Index(o.Name)
		if i < 0 {
			d.add(port+"."+o.Name, true, "column removed")
			kept = false
		} else if n := now[i]; n.Type != o.Type {
			d.add(port+"."+o.Name, true, "type %s, was %s", n.Type, o.Type)
		}
	}
	for _, n := range now {
		if old.Index(n.Name) < 0 {
			d.add(port+"."+n.Name, false, "column added")
		}
	}
	// Table-form answers are arrays: callers count positions.
	if kept && !slices.Equal(old.Names(), now.Names()[:len(old)]) {
		d.add(port, true, "the columns stand in another order")
	}
}

func (d *Difference) parameters(old, now []service.Parameter) {
	find := func(ps []service.Parameter, name string) *service.Parameter {
		if i := slices.IndexFunc(ps, func(p service.Parameter) bool { return p.Name == name }); i >= 0 {
			return &ps[i]
		}
		return nil
	}
	for _, o := range old {
		place := "parameter " + o.Name
		n := find(now, o.Name)
		if n == nil {
			d.add(place, true, "removed: requests that send it are refused")
			continue
		}
		if o.Type != n.Type {
			d.add(place, true, "type %s, was %s", n.Type, o.Type)
		}
		switch {
		case o.Default != nil && n.Default == nil:
			d.add(place, true, "required now")
		case o.Default == nil && n.Default != nil:
			d.add(place, false, "optional now")
		case o.Default != nil && *o.Default != *n.Default:
			d.add(place, false, "default %q, was %q", *n.Default, *o.Default)
		}
		if o.Type == service.ParamEnum && n.Type == service.ParamEnum {
			if gone := missing(o.Options, n.Options); len(gone) > 0 {
				d.add(place, true, "%s gone: %s", plural(len(gone), "option"), few(gone))
			}
			if added := missing(n.Options, o.Options); len(added) > 0 {
				d.add(place, false, "%s added: %s", plural(len(added), "option"), few(added))
			}
		}
	}
	for _, n := range now {
		if find(old, n.Name) == nil {
			d.add("parameter "+n.Name, n.Default == nil, "%s parameter added", pick(n.Default == nil, "required", "optional"))
		}
	}
}

// missing returns the elements of a that b lacks, in order.
func missing(a, b []string) []string {
	has := make(map[string]bool, len(b))
	for _, s := range b {
		has[s] = true
	}
	var out []string
	for _, s := range a {
		if !has[s] {
			out = append(out, s)
		}
	}
	return out
}

func plural(n int, s string) string {
	if n == 1 {
		return "1 " + s
	}
	return fmt.Sprintf("%d %ss", n, s)
}

func few(s []string) string {
	q := make([]string, 0, 5)
	for i, v := range s {
		if i == 5 {
			return strings.Join(q, ", ") + ", …"
		}
		q = append(q, fmt.Sprintf("%q", cut(v)))
	}
	return strings.Join(q, ", ")
}

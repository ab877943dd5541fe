package scoring

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/service"
)

// Classic codes of global parameters.
const (
	codeUnexpected = "UnexpectedParameter"
	codeInvalid    = "UserParameterInvalid"
	codeMissing    = "MissingRequiredGlobalParameters"
)

// defaults returns the parameters that have one, and the names of those that
// have none.
func (d *Deployment) defaults() (values map[string]string, missing []string) {
	values = make(map[string]string, len(d.Manifest.Parameters))
	for _, p := range d.Manifest.Parameters {
		if p.Default != nil {
			values[p.Name] = *p.Default
		} else {
			missing = append(missing, p.Name)
		}
	}
	return values, missing
}

// resolve completes and checks the parameters of a call. same says that they
// are the defaults, secret that a secret one is given.
func (d *Deployment) resolve(given map[string]string) (values map[string]string, same, secret bool, err error) {
	for name := range given {
		if !slices.ContainsFunc(d.Manifest.Parameters, func(p service.Parameter) bool { return p.Name == name }) {
			name = frame.Clip([]byte(name))
			return nil, false, false, fault.New(fault.BadArgument, codeUnexpected, "there is no global parameter %q; the service has %s", name, d.parameterNames()).At(name)
		}
	}
	values, same = make(map[string]string, len(d.Manifest.Parameters)), true
	var missing []string
	for i := range d.Manifest.Parameters {
		p := &d.Manifest.Parameters[i]
		text, ok := given[p.Name]
		if !ok {
			if p.Default == nil {
				missing = append(missing, p.Name)
				continue
			}
			text = *p.Default
		}
		canon, err := graph.ParseParameter(p, text)
		if err != nil {
			return nil, false, false, fault.New(fault.BadArgument, codeInvalid, "global parameter %q (%s): %v", p.Name, p.Type, err).At(p.Name)
		}
		values[p.Name] = canon
		if p.Default != nil {
			def, _ := graph.ParseParameter(p, *p.Default) // checked at publish
			same = same && def == canon
		} else {
			same = false
		}
		secret = secret || p.Type == service.ParamSecret
	}
	if len(missing) > 0 {
		return nil, false, false, missingParameters(missing)
	}
	return values, same, secret, nil
}

func missingParameters(names []string) error {
	return fault.New(fault.BadArgument, codeMissing, "required global parameters are missing: %s", strings.Join(names, ", ")).At(names[0])
}

func (d *Deployment) parameterNames() string {
	if len(d.Manifest.Parameters) == 0 {
		return "none"
	}
	names := make([]string, len(d.Manifest.Parameters))
	for i, p := range d.Manifest.Parameters {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// plan returns the plan for the parameters of a call.
func (d *Deployment) plan(given map[string]string) (*plan, error) {
	if len(given) == 0 && d.base != nil {
		return d.base, nil
	}
	values, same, secret, err := d.resolve(given)
	if err != nil {
		return nil, err
	}
	if same && d.base != nil {
		return d.base, nil
	}
	key := variantKey(d.Manifest.Parameters, values)
	if !secret {
		if p := d.variants.get(key); p != nil {
			return p, nil
		}
	}
	p, err := d.compile(d.base, values)
	if err != nil {
		return nil, invalidValue(err)
	}
	if !secret {
		d.variants.put(key, p)
	}
	return p, nil
}

// invalidValue makes a caller's error of a value that a module refuses: a
// value that would change a schema among them.
func invalidValue(err error) error {
	e := fault.Of(err)
	if e.Kind == fault.Internal || e.Kind == fault.Unavailable {
		return err
	}
	return fault.New(fault.BadArgument, codeInvalid, "the service cannot work with these global parameters: %s", e.Msg).At(e.Target)
}

// maxVariants bounds the plans kept for other than the default parameters.
const maxVariants = 32

// variants keeps the plans used last, by their parameters.
type variants struct {
	mu    sync.Mutex
	plans []variant // the last used at the end
}

type variant struct {
	key  [sha256.Size]byte
	plan *plan
}

// variantKey identifies a set of values. It is never made of a secret.
func variantKey(params []service.Parameter, values map[string]string) [sha256.Size]byte {
	var b []byte
	for _, p := range params {
		if p.Type == service.ParamSecret {
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(values[p.Name])))
		b = append(b, values[p.Name]...)
	}
	return sha256.Sum256(b)
}

func (c *variants) get(key [sha256.Size]byte) *plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.plans, func(v variant) bool { return v.key == key })
	if i < 0 {
		return nil
	}
	v := c.plans[i]
	copy(c.plans[i:], c.plans[i+1:])
	c.plans[len(c.plans)-1] = v
	return v.plan
}

func (c *variants) put(key [sha256.Size]byte, p *plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.plans, func(v variant) bool { return v.key == key }) {
		return
	}
	if len(c.plans) == maxVariants {
		c.plans = slices.Delete(c.plans, 0, 1)
	}
	c.plans = append(c.plans, variant{key, p})
}

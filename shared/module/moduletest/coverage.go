package moduletest

import (
	"context"
	"maps"

	"github.com/portico-ml/portico/shared/module"
)

// Counts are numbers of cases by module, parameter and value.
type Counts map[string]map[string]map[string]int

// add counts n cases, n being 0 for a case that proves nothing.
func (c Counts) add(mod, param, value string, n int) {
	if c[mod] == nil {
		c[mod] = make(map[string]map[string]int)
	}
	if c[mod][param] == nil {
		c[mod][param] = make(map[string]int)
	}
	c[mod][param][value] += n
}

// Coverage counts, for the cases under dirs, those that prove a parameter's
// value: the expected result changes when this one value is put back to its
// default, all others staying. A case that gives the default itself by name
// proves it where the expected result changes for at least one of the other
// options; a default that is not given is not counted. Module and value are in
// their canonical spelling. A value that no case proves has count 0.
func Coverage(ctx context.Context, p *module.Palette, dirs ...string) (Counts, error) {
	counts := make(Counts)
	for _, dir := range dirs {
		cases, err := load(dir)
		if err != nil {
			return nil, err
		}
		for _, g := range cases {
			m := p.Lookup(g.Module)
			if m == nil {
				continue // Run says so
			}
			for i := range m.Params {
				g.cover(ctx, p, m, &m.Params[i], counts)
			}
		}
	}
	return counts, nil
}

func (g *golden) cover(ctx context.Context, p *module.Palette, m *module.Module, param *module.Param, counts Counts) {
	text, given := g.Parameters[param.Name]
	if !given {
		return
	}
	value := canonical(param, text)
	others := []string{param.Default}
	if value == canonical(param, param.Default) {
		switch param.Type {
		case module.Boolean:
			others = []string{"true", "false"}
		case module.Enumerated:
			others = param.Options
		default:
			return
		}
	}
	n := 0
	for _, other := range others {
		if canonical(param, other) == value {
			continue
		}
		params := maps.Clone(g.Parameters)
		if params[param.Name] = other; other == "" {
			delete(params, param.Name)
		}
		_, out, err := g.execute(ctx, p, params)
		if g.compare(p, out, err) != nil {
			n = 1
			break
		}
	}
	counts.add(m.Name, param.Name, value, n)
}

// canonical is a value's one spelling; a text that is no value stays as it is.
func canonical(param *module.Param, text string) string {
	if c, err := param.Parse(text); err == nil {
		return c
	}
	return text
}

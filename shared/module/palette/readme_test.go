package palette_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/palette"
)

var update = flag.Bool("update", false, "write the files that are generated from the palette")

// The README of the modules is generated: it cannot say what is not there.
func TestReadme(t *testing.T) {
	const file = "../README.md"
	want := readme(palette.New())
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the palette says: go test ./shared/module/palette -run TestReadme -update", file)
	}
}

func readme(p *module.Palette) []byte {
	var b bytes.Buffer
	b.WriteString(`# Modules

What experiments are made of. The package comment of ` + "`module`" + ` says how a module is written; each palette group is a sub-package,
and ` + "`palette`" + ` lists them all. The tables below are generated from the specifications
(` + "`go test ./shared/module/palette -run TestReadme -update`" + `), and a test holds them to it.

Natures: *row-wise* works on each row by itself; *fitted* learns from its input, and a published service applies what was learned;
*whole-table* needs all rows together. A dash stands for modules that work in experiments only: sources, trainers, evaluations.
Parameters are given with their defaults; **bold** ones are required, some only where another parameter has a certain value.
`)
	var groups []string
	byGroup := make(map[string][]*module.Module)
	for m := range p.All() {
		if byGroup[m.Group] == nil {
			groups = append(groups, m.Group)
		}
		byGroup[m.Group] = append(byGroup[m.Group], m)
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| module | ports | nature | parameters |\n|---|---|---|---|\n", g)
		for _, m := range byGroup[g] {
			fmt.Fprintf(&b, "| %s | %s → %s | %s | %s |\n", title(m), ports(m.Inputs), ports(m.Outputs), nature(m), parameters(m))
		}
	}
	b.WriteString(differences)
	b.WriteString("\n## Left out by design\n\n| module of the Studio | instead |\n|---|---|\n")
	for _, r := range module.AllRefused() {
		fmt.Fprintf(&b, "| %s | %s |\n", r.Name, r.Instead)
	}
	return b.Bytes()
}

// differences are what the tables cannot show: what the Studio's modules had and
// these have not, and the other way round.
const differences = `
## Differences from the Studio

| module | difference |
|---|---|
| Convert to Dataset | no choice of sparse output: tables have one form |
| Build Counting Transform | counts the table it is given; no counts from blobs by MapReduce. Export and Import Count Table carry counts on |
| Import Data | no on-premises gateway and no Cosmos DB. Hive is asked through HiveServer2, which needs no place for its result. Blobs are UTF-8; Excel is not read. Besides: PostgreSQL, MySQL, JSON lines, Parquet, named connections |
| Export Data | Hive tables are written through HiveServer2. Besides: PostgreSQL, MySQL, JSON lines, Parquet, named connections |
| Preprocess Text | English only |
| Assign Data to Clusters, Train Clustering Model | clusters are numbered from 0 |
| Train Model, Cross-Validate Model, Tune Model Hyperparameters | Positive class, besides: the Studio always took true, 1 or the last in order |
| Score Model | Append contributions, besides: what each column adds to a score |
| Multiclass Boosted Decision Tree | besides |
`

func title(m *module.Module) string {
	if len(m.Aliases) == 0 {
		return m.Name
	}
	return m.Name + " (" + strings.Join(m.Aliases, ", ") + ")"
}

func nature(m *module.Module) string {
	if m.Bind == nil && m.Fit == nil {
		return "–"
	}
	return string(m.Nature)
}

func ports(ps []module.Port) string {
	var names []string
	for _, p := range ps {
		name := p.ID
		if p.Optional {
			name += "?"
		}
		names = append(names, name)
	}
	if names == nil {
		return "()"
	}
	return strings.Join(names, ", ")
}

func parameters(m *module.Module) string {
	var out []string
	for i := range m.Params {
		p := &m.Params[i]
		switch {
		case p.Required:
			out = append(out, "**"+p.Name+"**")
		case p.Default == "":
			out = append(out, p.Name)
		default:
			out = append(out, p.Name+" = "+strings.ReplaceAll(p.Default, "|", `\|`))
		}
	}
	return strings.Join(out, "; ")
}

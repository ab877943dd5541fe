// Package samples is a month at a telecom, walked through over HTTP as the
// people of it would: an author brings a model and publishes it to staging, a
// deployer approves it into production, an application asks it about one
// customer, and a batch asks it about a month of them.
//
// Run is what `make run` performs; the other walks are experiments of each
// kind, trained, published and scored. All can be repeated: what is already
// there is used.
package samples

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"
)

//go:embed churn kinds
var files embed.FS

// byHand is what a reader types to do it all again.
//
//go:embed byhand.sh.tmpl
var byHand string

// read returns a file of the churn sample, or one of another kind by its path.
// The files are part of the program.
func read(name string) []byte {
	if !strings.Contains(name, "/") {
		name = "churn/" + name
	}
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return b
}

// Workspace is the name of the sample's workspace.
const Workspace = "telecom"

// Token gives a token of the person who has a role.
type Token = func(role string) (string, error)

// Run walks through the sample on the server at base; out hears what happens.
func Run(ctx context.Context, base string, token Token, out io.Writer) error {
	w, err := begin(ctx, base, token, out)
	if err != nil {
		return err
	}
	churn, err := w.release(ctx, "churn", "churn.json", customerA())
	if err != nil {
		return err
	}
	if err := w.retentionList(ctx, churn); err != nil {
		return err
	}
	if err := w.dirtyFile(ctx, churn); err != nil {
		return err
	}
	tariff, err := w.release(ctx, "tariff", "tariff.json", minutesOfA())
	if err != nil {
		return err
	}
	if err := w.otherRate(ctx, tariff); err != nil {
		return err
	}
	return w.byHand(churn)
}

// Call is an RRS call of the sample's churn service in production.
type Call struct {
	Path   string
	Key    string
	Bodies [][]byte // each asks about another customer, in the table form
}

// Churn takes the churn service to production and returns how to call it.
func Churn(ctx context.Context, base string, token Token, out io.Writer) (Call, error) {
	w, err := begin(ctx, base, token, out)
	if err != nil {
		return Call{}, err
	}
	p, err := w.release(ctx, "churn", "churn.json", customerA())
	if err != nil {
		return Call{}, err
	}
	c := Call{Path: "/workspaces/" + w.ws + "/services/" + p.production.ID + "/execute?api-version=2.0&details=true", Key: p.production.Key}
	all, err := csv.NewReader(bytes.NewReader(read("customers_may.csv"))).ReadAll()
	if err != nil {
		return Call{}, err
	}
	for _, row := range all[1:] {
		type table struct {
			ColumnNames []string
			Values      [][]string
		}
		body, err := json.Marshal(map[string]any{
			"Inputs":           map[string]any{"input1": table{all[0][1:], [][]string{row[1:]}}}, // without the id
			"GlobalParameters": map[string]string{},
		})
		if err != nil {
			return Call{}, err
		}
		c.Bodies = append(c.Bodies, body)
	}
	return c, nil
}

// begin makes what every walk needs: the workspace, the data, the models.
func begin(ctx context.Context, base string, token Token, out io.Writer) (*walk, error) {
	w := &walk{base: base, out: out}
	for role, c := range map[string]*client{"operator": &w.operator, "author": &w.author, "deployer": &w.deployer} {
		t, err := token(role)
		if err != nil {
			return nil, err
		}
		*c = client{base, t}
	}
	if err := w.workspace(ctx); err != nil {
		return nil, err
	}
	return w, w.bring(ctx)
}

// walk is one walk through the sample.
type walk struct {
	base                       string
	out                        io.Writer
	operator, author, deployer client
	ws                         string // id of the workspace
}

func (w *walk) say(format string, args ...any) { fmt.Fprintf(w.out, format+"\n", args...) }

// published is a service that is in production.
type published struct {
	id, name, experiment string
	staging, production  endpoint
}

// endpoint is an address and its key.
type endpoint struct{ ID, Key string }

// execute is the address of RRS.
func (w *walk) execute(e endpoint) string {
	return "/workspaces/" + w.ws + "/services/" + e.ID + "/execute?api-version=2.0&format=swagger"
}

// request is an RRS body in the row-object form.
type request struct {
	Inputs           map[string][]map[string]any
	GlobalParameters map[string]string
}

// answer is what such a request is answered.
type answer struct {
	Results map[string][]map[string]*string
}

// row returns the only row of the answer's only output.
func (a answer) row() (map[string]*string, error) {
	for _, rows := range a.Results {
		if len(a.Results) == 1 && len(rows) == 1 {
			return rows[0], nil
		}
	}
	return nil, fmt.Errorf("expected one row of one output, got %+v", a.Results)
}

func (w *walk) score(ctx context.Context, e endpoint, row map[string]any, parameters map[string]string) (map[string]*string, error) {
	var a answer
	body := request{map[string][]map[string]any{"input1": {row}}, parameters}
	if body.GlobalParameters == nil {
		body.GlobalParameters = map[string]string{}
	}
	if err := (client{w.base, e.Key}).do(ctx, "POST", w.execute(e), body, &a); err != nil {
		return nil, err
	}
	return a.row()
}

// customerA is the first customer of May: all 19 features, the four text
// columns as text.
func customerA() map[string]any {
	return map[string]any{
		"customer_id": "C03334", "state": "HI", "account_length": 101, "area_code": "area_code_510",
		"international_plan": "no", "voice_mail_plan": "no", "number_vmail_messages": 0,
		"total_day_minutes": 70.9, "total_day_calls": 123, "total_day_charge": 12.05,
		"total_eve_minutes": 211.9, "total_eve_calls": 73, "total_eve_charge": 18.01,
		"total_night_minutes": 236, "total_night_calls": 73, "total_night_charge": 10.62,
		"total_intl_minutes": 10.6, "total_intl_calls": 3, "total_intl_charge": 2.86,
		"number_customer_service_calls": 3,
	}
}

// minutesOfA is what the tariff asks about customer A.
func minutesOfA() map[string]any {
	a := customerA()
	row := map[string]any{}
	for _, name := range []string{"customer_id", "total_day_minutes", "total_eve_minutes", "total_night_minutes", "total_intl_minutes"} {
		row[name] = a[name]
	}
	return row
}

// byHand prints how to do it all again, with another version of the model.
func (w *walk) byHand(p *published) error {
	t, err := template.New("byhand").Parse(byHand)
	if err != nil {
		return err
	}
	body, err := json.Marshal(request{map[string][]map[string]any{"input1": {customerA()}}, map[string]string{}})
	if err != nil {
		return err
	}
	w.say("\n%s\n", ByHand)
	return t.Execute(w.out, map[string]any{
		"API": w.base, "Workspace": w.ws, "Service": p.id, "Experiment": p.experiment,
		"Staging": p.staging, "Production": p.production, "Request": string(body),
	})
}

// ByHand is the line after which a walk prints the commands to do it again.
const ByHand = "All of it again, by hand, in the root of the repository:"

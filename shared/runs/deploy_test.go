package runs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/scoring"
)

func TestDeployableRefuses(t *testing.T) {
	b, id := smallBench(t)
	_, err := b.runs.Deployable(t.Context(), b.ws, id)
	refused(t, err, fault.InvalidOperation, runs.CodeNeverRun)

	if _, err := b.runs.Start(t.Context(), b.ws, id, "ada"); err != nil {
		t.Fatal(err)
	}
	_, err = b.runs.Deployable(t.Context(), b.ws, id)
	refused(t, err, fault.InvalidOperation, runs.CodeRunning)
	b.drain()
	first := b.deployable(id)

	b.edit(id, []byte(strings.Replace(small, `"clean":{`, `"clean":{"comment":"moved","position":{"x":1,"y":2},`, 1)))
	if moved := b.deployable(id); !bytes.Equal(moved.Manifest, first.Manifest) {
		t.Error("a comment makes another deployment")
	}
	b.edit(id, []byte(strings.Replace(small, `"Constant operation argument":2`, `"Constant operation argument":4`, 1)))
	_, err = b.runs.Deployable(t.Context(), b.ws, id)
	refused(t, err, fault.InvalidOperation, runs.CodeEdited)
	b.edit(id, []byte(small))
	b.deployable(id)

	for what, c := range map[string]struct{ old, new, code string }{
		"no output":                  {`,"o":{"outputId":"output1"}`, ``, "Error0003"},
		"an output that is no table": {`"sourceNodeId":"twice","targetNodeId":"o"`, `"sourceNodeId":"clean","sourcePortId":"Cleaning transformation","targetNodeId":"o"`, "NotSupported"},
	} {
		doc := strings.Replace(small, c.old, c.new, 1)
		if what == "no output" {
			doc = strings.Replace(doc, `,{"sourceNodeId":"twice","targetNodeId":"o"}`, "", 1)
		}
		doc = strings.NewReplacer(",\n \"i\":{\"inputId\":\"input1\"}", "", `{"sourceNodeId":"i","targetNodeId":"clean"},`, "").Replace(doc)
		x := b.experiment(what, []byte(doc))
		finished(t, b.run(x))
		_, err := b.runs.Deployable(t.Context(), b.ws, x)
		if err == nil || fault.Of(err).Details()[0].Code != c.code {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFrozen publishes a fitted node between input and output: it applies what
// its run learned, whatever the request holds.
func TestFrozen(t *testing.T) {
	b, id := smallBench(t)
	finished(t, b.run(id))
	made := b.deployable(id)
	contains(t, made.Warnings, `node "clean" (Clean Missing Data) is frozen`)
	d := b.load(made)
	in := d.Input(0).Schema
	if a, bcol := in[in.Index("a")], in[in.Index("b")]; a.Optional || !bcol.Optional {
		t.Errorf("a is read and required, b is passed through and optional: %+v", in)
	}
	s := d.Session()
	f := rows(t, d, []byte("a,b\n100,p\n,q\n"))
	got := strings.Join(score(t, s, f, 0, 2), "")
	if want := "200,p\r\n4,q\r\n"; strings.ReplaceAll(got, "\r", "") != strings.ReplaceAll(want, "\r", "") {
		t.Errorf("got %q, want %q: the mean is the run's, 2", got, want)
	}
	if err := d.Doctor(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestApart publishes a table that has nothing to do with the rows: a call of
// many blocks gives it once, and no batch may split it.
func TestApart(t *testing.T) {
	b, _ := smallBench(t)
	doc := strings.NewReplacer(`"o":{"outputId":"output1"}`, `"o":{"outputId":"output1"},"e":{"module":"Enter Data Manually","parameters":{"Data":"k\n7\n8"}},"p":{"outputId":"rates"}`,
		`{"sourceNodeId":"twice","targetNodeId":"o"}`, `{"sourceNodeId":"twice","targetNodeId":"o"},{"sourceNodeId":"e","targetNodeId":"p"}`).Replace(small)
	id := b.experiment("apart", []byte(doc))
	finished(t, b.run(id))
	made := b.deployable(id)
	contains(t, made.Warnings, `web service output "rates" does not depend on the service's inputs`)
	d := b.load(made)
	if !d.Whole() {
		t.Error("a batch would give the table once a chunk")
	}
	s := d.Session()
	const n = 3 * scoring.BlockRows
	for range n {
		s.Inputs[0].Cols[0].AppendInt(1)
		s.Inputs[0].Cols[1].AppendString([]byte("x"))
	}
	out, err := s.Score(t.Context())
	if err != nil || out[0].Rows() != n || out[1].Rows() != 2 {
		t.Errorf("%d and %d rows, want %d and 2; %v", out[0].Rows(), out[1].Rows(), n, err)
	}
}

// TestLearnedTable publishes what a fitted node learned: beside its rows it is
// the run's, as they are; alone it is learned of the rows of the call, all of
// them together.
func TestLearnedTable(t *testing.T) {
	b, _ := smallBench(t)
	const filter = `{"nodes":{"e":{"module":"Enter Data Manually","parameters":{"Data":"x,z,y\n1,5,1\n2,1,2\n3,4,3\n4,4,5"}},"i":{"inputId":"input1"},
		"f":{"module":"Filter Based Feature Selection","parameters":{"Target column":"y"}},"o":{"outputId":"rows"},"p":{"outputId":"features"}},
		"edges":[{"sourceNodeId":"e","targetNodeId":"f"},{"sourceNodeId":"i","targetNodeId":"f"},%s
		{"sourceNodeId":"f","sourcePortId":"Features","targetNodeId":"p"}]}`
	const toRows = `{"sourceNodeId":"f","sourcePortId":"Filtered dataset","targetNodeId":"o"},`
	for _, c := range []struct {
		name, doc, want string
		warns           []string
	}{
		{
			"beside its rows", fmt.Sprintf(filter, toRows), "x,z\n0.9827076298239907,0.0563436169819011\ny,x\n1,1\n2,2\n",
			[]string{`node "f" (Filter Based Feature Selection) is frozen`, `web service output "features" does not depend on the service's inputs`},
		},
		{
			"alone", fmt.Sprintf(strings.Replace(filter, `"o":{"outputId":"rows"},`, "", 1), ""), "x,z\n0.9999999999999999,0\n",
			[]string{`node "f" (Filter Based Feature Selection) needs all rows together`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := b.experiment("features "+c.name, []byte(c.doc))
			finished(t, b.run(id))
			made := b.deployable(id)
			if len(made.Warnings) != len(c.warns) {
				t.Errorf("warnings %q, want %q", made.Warnings, c.warns)
			}
			for _, w := range c.warns {
				contains(t, made.Warnings, w)
			}
			d := b.load(made)
			if !d.Whole() {
				t.Error("a batch would give the table once a chunk")
			}
			s := d.Session()
			for i, cells := range [][]int64{{1, 2}, {3, 3}, {1, 2}} { // x, z, y
				for _, v := range cells {
					s.Inputs[0].Cols[i].AppendInt(v)
				}
			}
			out, err := s.Execute(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, v := range out {
				got.Write(frame.AppendCSV(nil, v.Frame, ','))
			}
			if text := strings.ReplaceAll(got.String(), "\r", ""); text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestDoctorFindsAnotherAnswer(t *testing.T) {
	b, id := smallBench(t)
	finished(t, b.run(id))
	made := b.deployable(id)
	at := bytes.Index(made.Manifest, []byte(`"answer"`))
	tampered := append(bytes.Clone(made.Manifest[:at]), bytes.Replace(made.Manifest[at:], []byte(`"4"`), []byte(`"5"`), 1)...)
	if bytes.Equal(tampered, made.Manifest) {
		t.Fatal("nothing to tamper with")
	}
	made.Manifest = tampered
	if err := b.load(made).Doctor(t.Context()); err == nil || !strings.Contains(err.Error(), "another answer") {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	b, id := smallBench(t)
	finished(t, b.run(id))
	made := b.deployable(id)
	store := artifact.New(b.store.Blobs)
	load := func(manifest []byte) error {
		_, err := scoring.Load(t.Context(), artifact.Digest(manifest), manifest, func(ctx context.Context, digest string) ([]byte, error) {
			return store.Get(ctx, b.ws, digest)
		})
		return err
	}
	for what, c := range map[string]struct {
		old, new string
		kind     fault.Kind
		text     string
	}{
		"a code version of another release":  {`"codeVersion":1`, `"codeVersion":9`, fault.Unavailable, "publish again"},
		"a format of another release":        {`{"format":1,`, `{"format":2,`, fault.Unavailable, "publish again"},
		"a graph that is none":               {`"nodes":{`, `"knots":{`, fault.BadArgument, "knots"},
		"pins that the plan does not give":   {`"type":"Double","nullable":true}`, `"type":"Int32","nullable":true}`, fault.Package, "instead"},
		"an input that the graph has not":    {`"inputs":[{"name":"input1"`, `"inputs":[{"name":"input2"`, fault.Package, "input"},
		"an asset that the manifest has not": {`{"name":"clean.1"`, `{"name":"clean.2"`, fault.Package, "clean.1"},
	} {
		changed := bytes.Replace(made.Manifest, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(changed, made.Manifest) {
			t.Errorf("%s: %s is not in %s", what, c.old, made.Manifest)
			continue
		}
		if err := load(changed); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v (%s)", what, err, fault.KindOf(err))
		}
	}
	if _, err := scoring.Load(t.Context(), strings.Repeat("0", 64), made.Manifest, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("a manifest that is not its digest's: %v", err)
	}
}

// TestRequiredParameter publishes a parameter without a default: a call must
// bring it, and the plan exists only then.
func TestRequiredParameter(t *testing.T) {
	b, _ := smallBench(t)
	doc := strings.TrimSuffix(small, "}") + `,"graphParameters":{"factor":{"type":"Double","links":[{"nodeId":"twice","parameterKey":"Constant operation argument"}]}}}`
	id := b.experiment("required", []byte(doc))
	finished(t, b.run(id))
	d := b.load(b.deployable(id))
	s := d.Session()
	fill := func() {
		s.Reset()
		f := rows(t, d, []byte("a,b\n10,p\n"))
		for i, c := range s.Inputs[0].Cols {
			c.AppendRange(f.Cols[i], 0, 1)
		}
	}
	fill()
	_, err := s.Score(t.Context())
	refused(t, err, fault.BadArgument, "MissingRequiredGlobalParameters")
	refused(t, s.SetParameters(nil), fault.BadArgument, "MissingRequiredGlobalParameters")
	for given, want := range map[string]float64{"3": 30, "2": 20, "0.5": 5} {
		if err := s.SetParameters(map[string]string{"factor": given}); err != nil {
			t.Fatal(err)
		}
		fill()
		out, err := s.Score(t.Context())
		if err != nil || out[0].Cols[0].Floats[0] != want {
			t.Errorf("factor %s: %v, %v", given, out, err)
		}
	}
	if err := d.Doctor(t.Context()); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("x", 1<<20)
	for _, given := range []map[string]string{{"factor": long}, {long: "1"}} {
		if err := s.SetParameters(given); err == nil || len(err.Error())+len(fault.Of(err).Target) > 1000 {
			t.Errorf("the refusal of a megabyte has %d bytes", len(fmt.Sprint(err)))
		}
	}
	s.Release()
	if _, err := d.Session().Score(t.Context()); !fault.HasCode(err, "MissingRequiredGlobalParameters") {
		t.Errorf("a parameter of another call is used: %v", err)
	}
}

// TestRowError names the row of the call, whatever block it was scored in.
func TestRowError(t *testing.T) {
	b := newBench(t)
	b.dataset("pairs", []byte("a,c\n1,2\n3,4\n"))
	id := b.experiment("divide", []byte(`{"nodes":{"d":{"assetId":"d"},
	 "x":{"module":"Apply Math Operation","parameters":{"Category":"Operations","Arithmetic operation":"Divide","Operation argument type":"ColumnSet","Operation argument":"c","Column set":"a"}},
	 "i":{"inputId":"input1"},"o":{"outputId":"output1"}},
	"edges":[{"sourceNodeId":"d","targetNodeId":"x"},{"sourceNodeId":"i","targetNodeId":"x"},{"sourceNodeId":"x","targetNodeId":"o"}],
	"assets":{"d":{"kind":"Dataset","name":"pairs"}}}`))
	finished(t, b.run(id))
	d := b.load(b.deployable(id))
	s := d.Session()
	for _, bad := range []int{0, 1023, 1024, 2999} {
		s.Reset()
		for r := range 3000 {
			s.Inputs[0].Cols[0].AppendInt(1)
			s.Inputs[0].Cols[1].AppendInt(int64(max(r-bad, bad-r)))
		}
		_, err := s.Score(t.Context())
		row, ok := errors.AsType[*scoring.RowError](err)
		if !ok || row.Row != bad || !fault.HasCode(err, "Error0033") {
			t.Errorf("a bad row %d gives %v", bad, err)
		}
	}
}

// TestRowError_dropped has a row dropped before the one at fault: its number in
// what is left would name another row of the call, so none is named.
func TestRowError_dropped(t *testing.T) {
	b := newBench(t)
	b.dataset("pairs", []byte("a,c\n1,2\n,4\n"))
	id := b.experiment("divide", []byte(`{"nodes":{"d":{"assetId":"d"},
	 "clean":{"module":"Clean Missing Data","parameters":{"Cleaning mode":"Remove entire row"}},
	 "x":{"module":"Apply Math Operation","parameters":{"Category":"Operations","Arithmetic operation":"Divide","Operation argument type":"ColumnSet","Operation argument":"c","Column set":"a"}},
	 "i":{"inputId":"input1"},"o":{"outputId":"output1"}},
	"edges":[{"sourceNodeId":"d","targetNodeId":"clean"},{"sourceNodeId":"i","targetNodeId":"clean"},
	 {"sourceNodeId":"clean","sourcePortId":"Cleaned dataset","targetNodeId":"x"},{"sourceNodeId":"x","targetNodeId":"o"}],
	"assets":{"d":{"kind":"Dataset","name":"pairs"}}}`))
	finished(t, b.run(id))
	d := b.load(b.deployable(id))
	for csv, named := range map[string]bool{"a,c\n1,2\n1,0\n": true, "a,c\n,2\n1,0\n": false} {
		s := d.Session()
		f := rows(t, d, []byte(csv))
		for i, c := range s.Inputs[0].Cols {
			c.AppendRange(f.Cols[i], 0, 2)
		}
		_, err := s.Score(t.Context())
		row, ok := errors.AsType[*scoring.RowError](err)
		if ok != named || ok && row.Row != 1 || !fault.HasCode(err, "Error0033") {
			t.Errorf("%q: %v, row %v", csv, err, row)
		}
	}
}

// TestRowError_noInput has a parameter that the rows of the service's own data
// do not bear.
func TestRowError_noInput(t *testing.T) {
	b := newBench(t)
	id := b.experiment("own rows", []byte(`{"nodes":{"e":{"module":"Enter Data Manually","parameters":{"Data":"a\n10"}},
	 "x":{"module":"Apply Math Operation","parameters":{"Category":"Operations","Arithmetic operation":"Multiply","Constant operation argument":"2","Column set":"a","Output mode":"Inplace"}},
	 "o":{"outputId":"output1"}},
	"edges":[{"sourceNodeId":"e","targetNodeId":"x"},{"sourceNodeId":"x","targetNodeId":"o"}],
	"graphParameters":{"rate":{"type":"Double","default":"2","links":[{"nodeId":"x","parameterKey":"Constant operation argument"}]}}}`))
	finished(t, b.run(id))
	s := b.load(b.deployable(id)).Session()
	if err := s.SetParameters(map[string]string{"rate": "1e308"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Score(t.Context()); !fault.HasCode(err, "Error0033") {
		t.Errorf("got %v", err)
	}
}

func TestDeadline(t *testing.T) {
	b, id := smallBench(t)
	finished(t, b.run(id))
	d := b.load(b.deployable(id))
	s := d.Session()
	f := rows(t, d, []byte("a,b\n1,x\n"))
	for i, c := range s.Inputs[0].Cols {
		c.AppendRange(f.Cols[i], 0, 1)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := s.Score(ctx)
	refused(t, err, fault.Timeout, "ScoreRequestTimeout")
}

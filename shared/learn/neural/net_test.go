package neural_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/learn/neural"
	engine "github.com/portico-ml/portico/shared/model/neural"
)

func TestConnected(t *testing.T) {
	got, err := neural.Connected(" 100, 50")
	want := neural.Net{Hidden: []neural.Hidden{{100, engine.Sigmoid}, {50, engine.Sigmoid}}}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "-3", "ten", "10,,5", "1.5"} {
		if _, err := neural.Connected(bad); err == nil || !strings.Contains(err.Error(), "Error 0002") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestScript(t *testing.T) {
	for _, c := range []struct {
		script string
		want   neural.Net
	}{
		{"input In auto;\noutput Out auto from In all;", neural.Net{}},
		{
			"// a picture\ninput Image [28, 28];\nhidden H1 [100] from Image all; /* two\nlines */ hidden H_2 [10,5]\ttanh from H1 all;\r\noutput Digit [10] softmax from H_2 all;",
			neural.Net{Inputs: 784, Hidden: []neural.Hidden{{100, engine.Sigmoid}, {50, engine.Tanh}}, Outputs: 10, Output: neural.Softmax},
		},
		{
			"input D [4]; hidden A [1] sigmoid from D all; hidden B [2] linear from A all; hidden C [3] rlinear from B all; hidden E [4] srlinear from C all;" +
				"hidden F [5] brlinear from E all; hidden G [6] square from F all; hidden H [7] abs from G all; output O [1] linear from H all;",
			neural.Net{Inputs: 4, Hidden: []neural.Hidden{
				{1, engine.Sigmoid}, {2, engine.Linear}, {3, engine.Rectify}, {4, engine.Soft}, {5, engine.Bounded}, {6, engine.Square}, {7, engine.Absolute},
			}, Outputs: 1, Output: neural.Linear},
		},
	} {
		got, err := neural.Script(c.script)
		if err != nil {
			t.Errorf("%s: %v", c.script, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.script, diff)
		}
	}
}

func TestScriptRefusals(t *testing.T) {
	for script, want := range map[string]string{
		"":                             "no output layer",
		"const N = 3;":                 "constants",
		"hidden H [3] from In all;":    "first layer is the input",
		"input A auto; input B auto;":  "there is one",
		"input A auto;\nhidden A [3]":  "line 2 of the network definition: there are two layers \"A\"",
		"input A;":                     "a number of nodes in brackets",
		"input A [x];":                 "no number of nodes",
		"input A [0];":                 "no number of nodes",
		"input A [99999999999999999];": "no number of nodes",
		"input A [1000,1000,1000];":    "no number of nodes",
		"input A [3 4];":               "a comma or a closing bracket",
		"input A auto; hidden H auto from A all; output O auto from H all;":    "needs its number of nodes",
		"input A auto; hidden H [3] sqrt from A all;":                          "the activation sqrt",
		"input A auto; hidden H [3] softmax from A all;":                       "no activation \"softmax\"",
		"input A auto; hidden H [3] from B all;":                               "comes from \"B\"",
		"input A auto; hidden H [3] from { A all; }":                           "connections from several sources",
		"input A auto; hidden H [3] from A where (s,d) => s == d;":             "filtered connections",
		"input A [9]; hidden H [3] from A convolve { InputShape = [9]; }":      "convolutional connections",
		"input A [9]; hidden H [3] from A max pool { InputShape = [9]; }":      "pooling connections",
		"input A [9]; hidden H [9] from A response norm { InputShape = [9]; }": "response normalization",
		"input A auto; output O auto tanh from A all;":                         "no activation \"tanh\"",
		"input A auto; output O auto from A all; hidden H [3] from O all;":     "follows the output",
		"input A auto; /* ":                      "not closed",
		"input A auto; output O auto from A all": "the end where ;",
		"input A auto; hidden H [3] from A all; hidden I [3] from A all; output O auto from I all;": "declared before it, \"H\"",
	} {
		if _, err := neural.Script(script); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Error 0002") {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
}

func FuzzScript(f *testing.F) {
	f.Add("input In auto; hidden H [100] sigmoid from In all; output Out [2,1] softmax from H all; // end")
	f.Add("input A [9]; /* x */ hidden H [3] from A convolve { InputShape = [9]; }")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := neural.Script(text)
		if err != nil {
			if !strings.Contains(err.Error(), "Error 0002") {
				t.Fatal(err)
			}
			return
		}
		for _, h := range n.Hidden {
			if h.Nodes < 1 {
				t.Fatalf("a layer of %d nodes", h.Nodes)
			}
		}
	})
}

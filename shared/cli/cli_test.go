package cli

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestKnown(t *testing.T) {
	for name, want := range map[string]bool{
		"job": true, "score": true, "doctor": true, "promote": true, "help": true, "--help": true,
		"": false, "serve": false, "Job": false, "submit": false, "-json": false,
	} {
		if Known(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// Flags may stand anywhere; behind -- nothing is one.
func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"":                              "0 []",
		"a -n 3 b":                      "3 [a b]",
		"-n=3 a b":                      "3 [a b]",
		"a b --n 3":                     "3 [a b]",
		"a -- -n 3":                     "0 [a -n 3]",
		"-n 3 -- -n b":                  "3 [-n b]",
		"- -n 3":                        "3 [-]",
		"a -m":                          "flag provided but not defined: -m",
		"a -n":                          "flag needs an argument: -n",
		"a -n x":                        `invalid value "x" for flag -n: parse error`,
		"-parameter a=b=c":              "0 []",
		"-parameter a -n 3":             `invalid value "a" for flag -parameter: it is not NAME=VALUE`,
		"-parameter a=1 -parameter a=2": `invalid value "a=2" for flag -parameter: a is given twice`,
	} {
		f := flag.NewFlagSet("x", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		n := f.Int("n", 0, "")
		var a assignments
		f.Var(&a, "parameter", "")
		got, err := parse(f, strings.Fields(line))
		text := fmt.Sprintf("%d %v", *n, got)
		if err != nil {
			text = err.Error()
		}
		if text != want {
			t.Errorf("%q: %s, want %s", line, text, want)
		}
		if line == "-parameter a=b=c" && (len(a) != 1 || a[0] != assignment{"a", "b=c"}) {
			t.Errorf("%v", a)
		}
	}
}

// Every flag of every command is one that some command reads, and every
// command says what it does.
func TestCommands(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range commands() {
		if c.short == "" || c.flags == nil || c.run == nil || seen[c.name] || c.most < c.least {
			t.Errorf("%+v", c)
		}
		seen[c.name] = true
		f := flag.NewFlagSet(c.name, flag.ContinueOnError)
		var o options
		c.flags(f, &o)
		o.common(f) // panics where two flags have one name
		f.VisitAll(func(f *flag.Flag) {
			if f.Usage == "" || strings.Contains(f.Name, "key") && f.Name != "key-file" && f.Name != "idempotency-key" {
				t.Errorf("%s -%s: %q", c.name, f.Name, f.Usage)
			}
		})
	}
}

func TestParseAddress(t *testing.T) {
	const endpoint = "https://ml.test:8443/workspaces/" + ws + "/services/" + prod
	for text, want := range map[string]address{
		endpoint:                              {"https://ml.test:8443", ws, prod, ""},
		endpoint + "/":                        {"https://ml.test:8443", ws, prod, ""},
		endpoint + "/execute?api-version=2.0": {"https://ml.test:8443", ws, prod, ""},
		endpoint + "/jobs":                    {"https://ml.test:8443", ws, prod, ""},
		endpoint + "/jobs/" + job + "/start":  {"https://ml.test:8443", ws, prod, job},
		strings.Replace(endpoint, "workspaces", "subscriptions", 1): {"https://ml.test:8443", ws, prod, ""},
		"default":                   {},
		"https://ml.test":           {},
		"ftp" + endpoint[5:]:        {},
		endpoint[:len(endpoint)-1]:  {},
		"https://ml.test/a/b/c/d/e": {},
	} {
		got, ok := parseAddress(text)
		if ok != (want != address{}) || ok && got != want {
			t.Errorf("%s: %+v, %v", text, got, ok)
		}
	}
}

// What deciding sends: the digest that production serves, unless told.
func TestDecide(t *testing.T) {
	const at = "POST /manage/workspaces/" + ws + "/services/" + svc
	for line, want := range map[string]string{
		"promote request churn -note x":                                   `/promotions {"digest":"` + digestB + `","note":"x"}`,
		"promote approve churn -reason y":                                 `/promotions/7/approve {"expect":"` + digestA + `","reason":"y"}`,
		"promote approve churn 3 -expect none -acknowledge breaking":      `/promotions/3/approve {"expect":"","acknowledge":"breaking"}`,
		"promote reject churn -reason z":                                  `/promotions/7/reject {"expect":null,"reason":"z"}`,
		"promote withdraw " + svc:                                         `/promotions/7/withdraw {"expect":null}`,
		"promote rollback churn -to 2 -reason r":                          `/rollback {"endpoint":"default","to":2,"expect":"` + digestA + `","reason":"r"}`,
		"promote rollback churn -endpoint staging -expect " + digestA[:4]: `/rollback {"endpoint":"staging","expect":"aaaa"}`,
	} {
		f := newFake(t)
		path, body, _ := strings.Cut(want, " ")
		f.say(at+path, 200, "{}")
		code, _, stderr := f.perform(call{args: strings.Fields(line)})
		if sent := f.sent(at + path + " "); code != 0 || !slices.Equal(f.sent(at+path), []string{body}) {
			t.Errorf("%s: %d, %s, sent %q", line, code, stderr, sent)
		}
	}
	if code, _, stderr := newFake(t).perform(call{args: []string{"promote", "approve", "churn", "x"}}); code != Usage || !strings.Contains(stderr, "not the number") {
		t.Errorf("%d, %s", code, stderr)
	}
	// A refusal for what is asked, and a lost race, are no usage and no denial.
	f := newFake(t)
	f.say(at+"/promotions/7/approve", 409, `{"error":{"details":[{"code":"ConditionNotMet","message":"default serves something else"}]}}`)
	if code, _, stderr := f.perform(call{args: []string{"promote", "approve", "churn"}}); code != Failed || !strings.Contains(stderr, "something else") {
		t.Errorf("%d, %s", code, stderr)
	}
}

// The key and the token may come from files, and an address may name all.
func TestKeyFile(t *testing.T) {
	f := newFake(t)
	f.say("GET "+jobPath, 200, statusOf("Running", ""))
	line := []string{"job", "status", address1, "-key-file", write(t, "key", "the-key==\n")}
	if code, _, stderr := f.perform(call{args: line, settings: &Settings{}}); code != 0 || len(f.requests) != 1 {
		t.Errorf("%d, %s, %v", code, stderr, f.requests)
	}
	line = []string{"job", "status", address1, "-token-file", write(t, "token", "the-token\n")}
	if code, _, stderr := f.perform(call{args: line, settings: &Settings{}}); code != 0 {
		t.Errorf("a token finds the key of an address: %d, %s", code, stderr)
	}
	if code, _, _ := f.perform(call{args: []string{"job", "status", address1, "-key-file", "/nowhere"}}); code != Usage {
		t.Errorf("%d", code)
	}
}

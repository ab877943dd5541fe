package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portico-ml/portico/infra/samples"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

// TestSample walks through the month twice: the second walk finds everything
// and answers the same.
func TestSample(t *testing.T) {
	s := newSystem(t)
	s.start()
	var first, second bytes.Buffer
	if err := samples.Run(t.Context(), s.base, s.token, &first); err != nil {
		t.Fatalf("%v\n%s", err, first.String())
	}
	checkWalk(t, first.String())
	if err := samples.Run(t.Context(), s.base, s.token, &second); err != nil {
		t.Fatalf("again: %v\n%s", err, second.String())
	}
	checkWalk(t, second.String())
}

// TestWalks takes every other walk twice on one system: training again, and an
// experiment of each kind.
func TestWalks(t *testing.T) {
	s := newSystem(t)
	s.start()
	for _, w := range samples.Walks()[1:] {
		for _, time := range []string{"first", "second"} {
			var out bytes.Buffer
			if err := w.Run(t.Context(), s.base, s.token, &out); err != nil {
				t.Fatalf("%s, the %s time: %v\n%s", w.Name, time, err, out.String())
			}
		}
	}
}

// TestRetraining puts the model that a batch job trained behind an added
// endpoint: it answers as the new model's run does, staging and production stay
// as they are, and the audit has both digests.
func TestRetraining(t *testing.T) {
	s := newSystem(t)
	s.start()
	var out bytes.Buffer
	if err := samples.Retrain(t.Context(), s.base, s.token, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	author, err := s.token("author")
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, to any) {
		t.Helper()
		status, body := s.call("GET", path, author, "")
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		if err := json.Unmarshal([]byte(body), to); err != nil {
			t.Fatal(err)
		}
	}
	var spaces, services []struct{ ID, Name string }
	get("/manage/workspaces", &spaces)
	at := "/manage/workspaces/" + spaces[0].ID + "/services"
	get(at, &services)
	at += "/" + services[slices.IndexFunc(services, func(x struct{ ID, Name string }) bool { return x.Name == "churn" })].ID
	var endpoints []struct{ Name, Digest string }
	get(at+"/endpoints", &endpoints)
	serves := map[string]string{}
	for _, e := range endpoints {
		serves[e.Name] = e.Digest
	}
	type act struct{ Type, Endpoint, From, Digest string }
	var audit struct{ Events []act }
	get(at+"/audit?limit=200", &audit)
	if !slices.ContainsFunc(audit.Events, func(a act) bool {
		return a.Endpoint == "ep2" && a.From == serves["default"] && a.Digest == serves["ep2"]
	}) {
		t.Errorf("no act in the audit took ep2 from what production serves, %.12s, to %.12s: %+v", serves["default"], serves["ep2"], audit.Events)
	}
	if serves["ep2"] == serves["default"] || serves["staging"] == serves["default"] {
		t.Errorf("endpoints serve %v", serves)
	}
}

// TestAzurite walks through the month with everything stored in Azurite: the
// same program over the other driver.
func TestAzurite(t *testing.T) {
	azuritetest.Installed(t)
	for port := 10_000; port <= 10_002; port++ { // where people's emulators are
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Skipf("somebody else's emulator runs: %v", err)
		}
		l.Close()
	}
	s := newSystem(t)
	cmd := exec.CommandContext(t.Context(), s.local, "run", "-once", "-azurite", "-staged", "-data", s.data, "-dist", s.dist, "-addr", s.addr)
	cmd.Dir = repo
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkWalk(t, string(out))
}

// TestByHand types what a walk prints: another version of the model goes through
// staging into production and comes back.
func TestByHand(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the commands need %s", tool)
		}
	}
	s := newSystem(t)
	s.start()
	var out bytes.Buffer
	if err := samples.Run(t.Context(), s.base, s.token, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	_, script, ok := strings.Cut(out.String(), samples.ByHand)
	if !ok {
		t.Fatalf("the walk prints no commands:\n%s", out.String())
	}
	script = strings.ReplaceAll(script, "make -s token ROLE=", s.local+" token -data "+s.data+" -role ")
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-c", script)
	cmd.Dir = repo
	typed, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, typed)
	}
	scored := regexp.MustCompile(`"Scored Probabilities":"([0-9.]+)"`).FindAllStringSubmatch(string(typed), -1)
	if len(scored) != 3 {
		t.Fatalf("staging and twice production: %d answers\n%s", len(scored), typed)
	}
	staging, before, after := scored[0][1], scored[1][1], scored[2][1]
	if staging == before || staging != after {
		t.Errorf("staging %s, production before %s and after approval %s", staging, before, after)
	}
	for _, want := range []string{"C03334,HI,101,", `"badRows":3`, `"act":"endpoint.rolledBack"`} {
		if !strings.Contains(string(typed), want) {
			t.Errorf("the commands do not show %q:\n%s", want, typed)
		}
	}
}

var retention = regexp.MustCompile(`1667 customers scored; of the 200 customers with the highest score, (\d+) of the 224 who left`)

// checkWalk looks for what a walk must have shown.
func checkWalk(t *testing.T, out string) {
	t.Helper()
	m := retention.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no retention list:\n%s", out)
	}
	if n, _ := strconv.Atoi(m[1]); n < 170 {
		t.Errorf("the retention list finds %d of those who left; the model finds about 176", n)
	}
	for _, want := range []string{
		"staging    answers Scored Labels no, Scored Probabilities 0.",
		"production answers Scored Labels no, Scored Probabilities 0.",
		"receipt    Finished: 9 rows read, 6 scored, 3 bad",
		"total_day_minutes", "12O", // the letter O
		"number_customer_service_calls", "2.5",
		"C03337,", "moved in April",
		"day_charge 12.053", // 70.9 minutes at 0.17
		"day_charge 14.18",  // and at 0.20
		"curl -s",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk does not show %q:\n%s", want, out)
		}
	}
}

// TestKilled walks through the month while the handler is killed at random
// moments, and once the whole host. Nothing may be lost, half written or half
// done: the walk, begun again as often as it takes, ends as it would have.
func TestKilled(t *testing.T) {
	s := newSystem(t)
	s.start()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var out bytes.Buffer
	kills := 0
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		out.Reset()
		go func() { done <- samples.Run(ctx, s.base, s.token, &out) }()
		var err error
		if attempt < 6 {
			within := 2500 // about as long as a walk takes
			if attempt == 0 {
				within = 500 // the first is not to escape
			}
			select {
			case err = <-done:
			case <-time.After(time.Duration(200+rng.IntN(within)) * time.Millisecond):
				kills++
				if attempt%2 == 0 {
					s.killHandler()
				} else {
					s.kill()
					s.start()
				}
				err = <-done
			}
		} else {
			err = <-done
		}
		cancel()
		if err == nil {
			break
		}
		if attempt > 12 {
			t.Fatalf("after %d kills, attempt %d: %v\n%s", kills, attempt, err, out.String())
		}
		t.Logf("attempt %d: %v", attempt, err)
		if attempt%2 == 0 {
			// Three crashes in half an hour stop a host; the platform starts
			// another.
			s.kill()
			s.start()
		}
	}
	if kills == 0 {
		t.Fatal("nothing was killed")
	}
	checkWalk(t, out.String())
}

// TestForgedEnvelopes posts to the paths on which the host delivers queue
// messages, from outside, with and without the host's own headers: nobody is
// there, and no stored byte changes.
func TestForgedEnvelopes(t *testing.T) {
	s := newSystem(t)
	s.start()
	if _, err := samples.Churn(t.Context(), s.base, s.token, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	before := settled(t, s)
	names, err := filepath.Glob(filepath.Join(s.dist, "*", "function.json"))
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	triggers := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("httpTrigger")) {
			continue
		}
		triggers++
		function := filepath.Base(filepath.Dir(name))
		body := `{"Data":{"msg":"\"{\\\"v\\\":1,\\\"m\\\":{\\\"job\\\":\\\"00000000000000000000000000000000\\\",\\\"step\\\":\\\"plan\\\"}}\""},"Metadata":{"DequeueCount":"1"}}`
		for _, headers := range [][]string{
			nil,
			{"X-Azure-Functions-InvocationId", "11111111-1111-1111-1111-111111111111"},
			{"X-Azure-Functions-InvocationId", "1", "X-Ms-Invocation-Id", "", "X-Forwarded-For", "", "X-Forwarded-Host", "", "X-Forwarded-Proto", ""},
			{"X-Azure-Functions-InvocationId", "1", "X-Azure-Functions-HostVersion", "4.1045.200.25556", "User-Agent", "Azure-Functions-Host/4.1045.200.25556"},
		} {
			for _, path := range []string{"/" + function, "/" + strings.ToUpper(function), "/" + function + "/", "//" + function} {
				if status, answer := s.call("POST", path, "", body, headers...); status != 404 {
					t.Errorf("POST %s with %v: %d %s", path, headers, status, answer)
				}
			}
		}
	}
	if triggers < 5 {
		t.Fatalf("only %d trigger functions", triggers)
	}
	if after := stored(t, s); after != before {
		t.Errorf("the store changed:\n%s\n%s", before, after)
	}
}

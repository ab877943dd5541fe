package lambda

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/portico-ml/portico/shared/host/lambda/lambdatest"
	"github.com/portico-ml/portico/shared/host/web"
)

// TestMain lets the test binary be the bootstrap that it tests.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		bootstrap()
	}
	os.Exit(m.Run())
}

func bootstrap() {
	rt := web.NewRouter(web.Options{TrustForwarded: true})
	rt.Handle("POST /echo/{id}", func(w http.ResponseWriter, r *http.Request) error {
		body, err := web.ReadBody(r, 1<<20, nil)
		if err != nil {
			return err
		}
		return web.JSON(w, 201, []string{r.PathValue("id"), r.URL.RawQuery, string(body), web.BaseURL(r)})
	})
	rt.Handle("GET /late", func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "half")
		return io.ErrUnexpectedEOF
	})
	Serve(rt, nil)
}

func TestServe(t *testing.T) {
	rt := lambdatest.New(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+rt.Addr())
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()

	a := rt.Do(t, "POST", "/Echo/A1", "a=1&a=2", "\x00binary\xff", map[string]string{"x-forwarded-host": "evil.example"})
	want := `["A1","a=1&a=2","\u0000binary\ufffd","https://abc.lambda-url.eu-west-1.on.aws"]`
	if a.Status != 201 || a.Body != want || a.Header["Content-Type"] != "application/json; charset=utf-8" {
		t.Errorf("%+v", a)
	}
	if id := a.Header["X-Ms-Request-Id"]; id != "00000000-0000-0000-0000-000000000001" {
		t.Errorf("request id %q", id)
	}
	// A panic of the server's kind must not end the process.
	if a = rt.Do(t, "GET", "/late", "", "", nil); a.Body != "half" {
		t.Errorf("%+v", a)
	}
	// Neither a queue event nor an envelope reaches anything.
	if a = rt.Raw(t, []byte(`{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}`)); a.Status != 404 {
		t.Errorf("%+v", a)
	}
	if a = rt.Do(t, "POST", "/besjob", "", `{"Data":{"m":"x"}}`, map[string]string{"X-Azure-Functions-InvocationId": "x"}); a.Status != 404 {
		t.Errorf("%+v", a)
	}
}

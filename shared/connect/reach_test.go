package connect

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestUnreachable(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 not the web\r\n") //nolint:errcheck // whoever asks finds out
			c.Close()
		}
	}()
	for url, want := range map[string]string{
		"https://" + plain.Listener.Addr().String(): "does not speak https",
		"https://" + l.Addr().String():              "does not speak https",
		secure.URL:                                  "is not trusted",
		"http://absent.invalid":                     "there is no host",
		plain.URL:                                   "",
		"http://127.0.0.1:1":                        "",
	} {
		t.Run(url, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
			if err == nil {
				resp.Body.Close()
			}
			if got := Unreachable(r.URL.Host, err); want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%q of %v, want %q", got, err, want)
			}
		})
	}
	if got := Unreachable("h", errors.New("connection reset")); got != "" {
		t.Errorf("%q", got)
	}
}

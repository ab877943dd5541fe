package connect

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c) // what is left unread would reset the connection
			c.Close()
		}
	}()
	for address, want := range map[string]string{
		"https://" + plain.Listener.Addr().String(): "does not speak https",
		"https://" + l.Addr().String():              "does not speak https",
		secure.URL:                                  "is not trusted",
		plain.URL:                                   "",
		"http://127.0.0.1:1":                        "",
	} {
		t.Run(address, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
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
	absent := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}}
	for err, want := range map[error]string{absent: "there is no host h", errors.New("connection reset"): ""} {
		if got := Unreachable("h", &url.Error{Op: "Get", URL: "http://h", Err: err}); got != want {
			t.Errorf("%q of %v, want %q", got, err, want)
		}
	}
}

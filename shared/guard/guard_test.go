package guard

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

func TestCheck(t *testing.T) {
	d := New(Rules{})
	public := []string{
		"1.1.1.1:443", "8.8.8.8:1", "20.60.1.2:443", "100.63.255.255:443", "100.128.0.0:443", "168.63.129.15:80", "168.63.129.17:80",
		"172.15.255.255:80", "172.32.0.0:80", "192.0.1.0:80", "192.167.255.255:80", "198.17.255.255:80", "198.20.0.0:80", "223.255.255.255:80",
		"[2606:4700:4700::1111]:443", "[2001:4860:4860::8888]:443", "[2a01:111::1]:443", "[::ffff:8.8.8.8]:443",
	}
	refused := []string{
		"0.0.0.0:80", "0.1.2.3:80", "10.0.0.1:80", "10.255.255.255:80", "100.64.0.0:80", "100.127.255.255:80", "100.100.100.200:80",
		"127.0.0.1:80", "127.255.255.254:80", "168.63.129.16:80", "168.63.129.16:32526", "169.254.169.254:80", "169.254.0.1:80",
		"172.16.0.0:80", "172.31.255.255:80", "192.0.0.192:80", "192.0.2.1:80", "192.31.196.1:80", "192.52.193.1:80", "192.88.99.1:80",
		"192.168.0.1:80", "192.175.48.1:80", "198.18.0.0:80", "198.19.255.255:80", "198.51.100.1:80", "203.0.113.1:80",
		"224.0.0.1:80", "239.255.255.255:80", "240.0.0.0:80", "255.255.255.255:80",
		"[::]:80", "[::1]:80", "[::2]:80", "[::127.0.0.1]:80", "[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80", "[::ffff:169.254.169.254]:80",
		"[::ffff:168.63.129.16]:80", "[::ffff:0:127.0.0.1]:80", "[64:ff9b::7f00:1]:80", "[64:ff9b::808:808]:80", "[64:ff9b:1::1]:80",
		"[100::1]:80", "[100:0:0:1::1]:80", "[2001::1]:80", "[2001:1ff:ffff::1]:80", "[2001:db8::1]:80", "[2002:7f00:1::1]:80", "[2620:4f:8000::1]:80",
		"[3fff::1]:80", "[5f00::1]:80", "[fc00::1]:80", "[fd00:ec2::254]:80", "[fdff:ffff::1]:80", "[fe80::1]:80", "[fe80::1%eth0]:80", "[febf::1]:80",
		"[fec0::1]:80", "[ff02::1]:80", "[ff0e::1]:80",
	}
	for _, a := range public {
		if err := d.control("tcp", a, nil); err != nil {
			t.Errorf("%s is refused: %v", a, err)
		}
	}
	for _, a := range refused {
		err := d.control("tcp", a, nil)
		e := fault.Of(err)
		if e == nil || e.Kind != fault.BadArgument || e.Code != CodeRefused {
			t.Errorf("%s: err %v, want BadArgument/%s", a, err, CodeRefused)
			continue
		}
		host := netip.MustParseAddrPort(a).Addr().Unmap().WithZone("").String()
		if strings.Contains(e.Msg, host) {
			t.Errorf("%s: the caller learns the address: %s", a, e.Msg)
		}
		if !strings.Contains(err.Error(), host) {
			t.Errorf("%s: the log does not learn the address: %v", a, err)
		}
	}
	for _, a := range []string{"", "localhost:80", "1.1.1.1", "/run/x.sock"} {
		if err := d.control("tcp", a, nil); err == nil {
			t.Errorf("%q was let through", a)
		}
	}
}

func network(prefix string, port uint16) Network {
	return Network{Prefix: netip.MustParsePrefix(prefix), Port: port}
}

func TestRules(t *testing.T) {
	d := New(Rules{
		Allow: []Network{network("10.1.0.0/16", 443), network("127.0.0.1/32", 0), network("fd00::/8", 5432), network("20.1.1.1/32", 443)},
		Deny:  []Network{network("20.0.0.0/8", 0), network("2606:4700::/32", 22)},
	})
	d.Own(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7071})
	for _, tt := range []struct {
		address string
		ok      bool
	}{
		{"10.1.2.3:443", true},
		{"[::ffff:10.1.2.3]:443", true},
		{"10.1.2.3:80", false},
		{"10.2.2.3:443", false},
		{"127.0.0.1:10000", true},
		{"127.0.0.2:10000", false},
		{"[fd12::1]:5432", true},
		{"[fd12::1]:5433", false},
		{"127.0.0.1:7071", false}, // our own listener, though its network is allowed
		{"[::ffff:127.0.0.1]:7071", false},
		{"20.2.2.2:443", false}, // denied
		{"20.1.1.1:443", true},  // allowed before denied
		{"20.1.1.1:80", false},
		{"[2606:4700::1]:443", true},
		{"[2606:4700::1]:22", false},
	} {
		if err := d.control("tcp", tt.address, nil); (err == nil) != tt.ok {
			t.Errorf("%s: err %v, want ok %v", tt.address, err, tt.ok)
		}
	}
}

// A listener on every address is our own at each of them.
func TestOwnUnspecified(t *testing.T) {
	var mine netip.Addr
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			mine = p.Addr()
		}
	}
	for _, listen := range []string{"0.0.0.0:7071", "[::]:7071"} {
		d := New(Rules{Allow: []Network{network("0.0.0.0/0", 0), network("::/0", 0)}})
		d.Own(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listen)))
		for _, tt := range []struct {
			address netip.AddrPort
			ok      bool
		}{
			{netip.MustParseAddrPort("127.0.0.1:7071"), false},
			{netip.MustParseAddrPort("0.0.0.0:7071"), false}, // connects to ourselves
			{netip.MustParseAddrPort("[::1]:7071"), false},
			{netip.AddrPortFrom(mine, 7071), false},
			{netip.MustParseAddrPort("127.0.0.1:7072"), true},
			{netip.MustParseAddrPort("192.0.2.77:7071"), true},
		} {
			if err := d.check(tt.address); (err == nil) != tt.ok {
				t.Errorf("listening on %s: %s: err %v, want ok %v", listen, tt.address, err, tt.ok)
			}
		}
	}
	New(Rules{}).Own(&net.UnixAddr{Name: "/run/x"}) // must not panic
}

func testServer(t *testing.T, h http.HandlerFunc) (url string, allow Network) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	a := srv.Listener.Addr().(*net.TCPAddr)
	return srv.URL, network("127.0.0.1/32", uint16(a.Port))
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err == nil {
		t.Cleanup(func() { res.Body.Close() })
	}
	return res, err
}

func TestClientRefuses(t *testing.T) {
	reached := false
	url, _ := testServer(t, func(http.ResponseWriter, *http.Request) { reached = true })
	d := New(Rules{})
	for _, u := range []string{url + "?sig=secret", strings.Replace(url, "127.0.0.1", "localhost", 1)} {
		_, err := get(t, d.Client(), u)
		if !fault.Is(err, fault.BadArgument) || !fault.HasCode(err, CodeRefused) {
			t.Errorf("%s: err %v, want refusal", u, err)
		}
	}
	if reached {
		t.Error("the server was reached")
	}
	for _, n := range []string{"unix", "udp", "ip4:icmp"} {
		if _, err := d.DialContext(t.Context(), n, "1.1.1.1:53"); !fault.HasCode(err, CodeRefused) {
			t.Errorf("network %s: err %v", n, err)
		}
	}
}

func TestClientIgnoresProxyAndRedirects(t *testing.T) {
	proxied := false
	proxy, _ := testServer(t, func(http.ResponseWriter, *http.Request) { proxied = true })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	url, allow := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://169.254.169.254/metadata", http.StatusFound)
			return
		}
		io.WriteString(w, "here")
	})
	d := New(Rules{Allow: []Network{allow}})
	c := d.Client()
	res, err := get(t, c, url)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(res.Body); string(body) != "here" {
		t.Errorf("body %q", body)
	}
	res, err = get(t, c, url+"/away")
	if err != nil || res.StatusCode != http.StatusFound {
		t.Errorf("redirect: %v, %v; want the 302 itself", res, err)
	}
	if proxied {
		t.Error("a proxy of the environment was used")
	}
	if d.Transport().Proxy != nil {
		t.Error("the transport has a proxy")
	}
}

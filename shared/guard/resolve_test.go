package guard

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/portico-ml/portico/shared/fault"
)

// answers is a name server that gives one address after the other for every
// name, and nothing to those who ask for IPv6.
func answers(t *testing.T, addresses ...string) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var asked atomic.Int64
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RecursionAvailable = true, true
			m.Additionals = nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				i := min(int(asked.Add(1)), len(addresses)) - 1
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[i]).As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestDial_nameThatChanges: a name that led to an address that may be dialled
// leads to another the next time it is asked for, and that is looked at, too.
func TestDial_nameThatChanges(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("this machine has no 127.0.0.2")
	}
	defer l.Close()
	d := New(Rules{Allow: []Network{{Prefix: netip.MustParsePrefix("127.0.0.2/32")}}})
	d.dialer.Resolver = answers(t, "127.0.0.2", "127.0.0.1", "10.0.0.1", "169.254.169.254")
	_, port, _ := net.SplitHostPort(l.Addr().String())
	at := net.JoinHostPort("changing.example", port)
	c, err := d.DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatalf("the first time: %v", err)
	}
	c.Close()
	for range 3 {
		if c, err := d.DialContext(t.Context(), "tcp", at); err == nil {
			c.Close()
			t.Error("it led inside, and was dialled")
		} else if !fault.HasCode(err, CodeRefused) {
			t.Errorf("err = %v", err)
		}
	}
}

// Package guard is the one way out: it dials the addresses that callers give,
// and only those that are public.
//
// The check is made on the address of the connection itself, after name
// resolution, so a name that resolves differently the second time gains
// nothing. Proxies of the environment are ignored and redirects are not
// followed, for both would dial in the caller's stead.
package guard

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// CodeRefused is the code of the fault.BadArgument for an address that may not
// be dialled.
const CodeRefused = "AddressRefused"

// Network is a range of addresses, and a port of them.
type Network struct {
	Prefix netip.Prefix
	Port   uint16 // 0 = any
}

func (n Network) contains(a netip.AddrPort) bool {
	return (n.Port == 0 || n.Port == a.Port()) && n.Prefix.Contains(a.Addr())
}

// Rules change what is public.
type Rules struct {
	// Allow are networks that may be dialled although they are not public:
	// private endpoints, Azurite, test servers. Prefixes are of unmapped
	// addresses.
	Allow []Network
	// Deny are public networks that may not be dialled.
	Deny []Network
}

// Dialer dials what the rules allow. It is safe for concurrent use.
type Dialer struct {
	rules     Rules
	dialer    net.Dialer
	transport *http.Transport

	mu  sync.RWMutex
	own []netip.AddrPort
}

// New returns a dialer of the rules.
func New(rules Rules) *Dialer {
	d := &Dialer{rules: rules}
	d.dialer = net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: d.control}
	d.transport = &http.Transport{
		Proxy:                  nil, // a proxy of the environment would dial for us, unguarded
		DialContext:            d.DialContext,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // bytes as stored: no bomb unpacks behind a limit
	}
	return d
}

// Own adds an address on which this process listens: it is never dialled,
// whatever the rules allow. An unspecified address stands for every address of
// this machine.
func (d *Dialer) Own(listener net.Addr) {
	a, err := netip.ParseAddrPort(listener.String())
	if err != nil {
		return // not TCP: cannot be dialled here either
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = append(d.own, netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()))
}

// DialContext connects to a TCP address.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, fault.New(fault.BadArgument, CodeRefused, "network %q may not be dialled: only TCP may", network)
	}
	return d.dialer.DialContext(ctx, network, address)
}

// control runs on the socket, with the resolved address, before it connects.
func (d *Dialer) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return refused("an address that cannot be read", address)
	}
	return d.check(a)
}

func (d *Dialer) check(a netip.AddrPort) error {
	// A zone is part of link-local addresses only; Contains is false with one.
	a = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	if d.isOwn(a) {
		return refused("this program's own address", a.String())
	}
	for _, n := range d.rules.Allow {
		if n.contains(a) {
			return nil
		}
	}
	for _, n := range d.rules.Deny {
		if n.contains(a) {
			return refused("an address that the settings deny", a.String())
		}
	}
	if why := special(a.Addr()); why != "" {
		return refused(why, a.String())
	}
	return nil
}

func (d *Dialer) isOwn(a netip.AddrPort) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, o := range d.own {
		if o == a || o.Port() == a.Port() && o.Addr().IsUnspecified() && ofThisMachine(a.Addr()) {
			return true
		}
	}
	return false
}

// ofThisMachine reports whether one of our interfaces has the address; if they
// cannot be listed, it says yes.
func ofThisMachine(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, i := range addrs {
		if p, err := netip.ParsePrefix(i.String()); err == nil && p.Addr().Unmap().WithZone("") == a {
			return true
		}
	}
	return false
}

// refused tells the caller the rule, and the log the address: what a name of
// our network resolves to is not the caller's to learn.
func refused(what, address string) error {
	return fault.New(fault.BadArgument, CodeRefused, "the address leads to %s: it may not be reached from here", what).Because(errors.New("dial " + address))
}

// Transport returns the guarded transport; there is one per Dialer, so that
// its users share connections.
func (d *Dialer) Transport() *http.Transport { return d.transport }

// Client returns a client for streams: it has no deadline of its own. It
// follows no redirect: the answer is the 3xx itself.
func (d *Dialer) Client() *http.Client {
	return &http.Client{Transport: d.transport, CheckRedirect: noRedirect}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

package guard

import "net/netip"

// reserved are the ranges that are not the public Internet: the IANA
// special-purpose registries (RFC 6890 and later), and what clouds put at
// public-looking addresses. The standard library's classes miss many of them.
var reserved = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a shared (carrier) address"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the cloud's own address"}, // Azure's host
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},      // metadata services
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a protocol address"},
	{netip.MustParsePrefix("192.0.2.0/24"), "a documentation address"},
	{netip.MustParsePrefix("192.31.196.0/24"), "an AS112 address"},
	{netip.MustParsePrefix("192.52.193.0/24"), "an AMT address"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay address"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
	{netip.MustParsePrefix("192.175.48.0/24"), "an AS112 address"},
	{netip.MustParsePrefix("198.18.0.0/15"), "a benchmarking address"},
	{netip.MustParsePrefix("198.51.100.0/24"), "a documentation address"},
	{netip.MustParsePrefix("203.0.113.0/24"), "a documentation address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},

	{netip.MustParsePrefix("::/96"), "a local address"},                // unspecified, loopback, IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0/96"), "an IPv4-mapped address"}, // met only if not unmapped
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "a translated address"}, // SIIT
	{netip.MustParsePrefix("64:ff9b::/96"), "a translated address"},    // NAT64: any IPv4 address behind it
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a translated address"},  // NAT64, local
	{netip.MustParsePrefix("100::/64"), "a discard address"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "a dummy address"},
	{netip.MustParsePrefix("2001::/23"), "a protocol address"}, // Teredo and others
	{netip.MustParsePrefix("2001:db8::/32"), "a documentation address"},
	{netip.MustParsePrefix("2002::/16"), "a 6to4 address"}, // any IPv4 address inside
	{netip.MustParsePrefix("2620:4f:8000::/48"), "an AS112 address"},
	{netip.MustParsePrefix("3fff::/20"), "a documentation address"},
	{netip.MustParsePrefix("5f00::/16"), "a segment-routing address"},
	{netip.MustParsePrefix("fc00::/7"), "a private address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("fec0::/10"), "a site-local address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
}

// special says what keeps an unmapped address from being public; "" if it is.
func special(a netip.Addr) string {
	for i := range reserved {
		if reserved[i].prefix.Contains(a) {
			return reserved[i].what
		}
	}
	if !a.IsGlobalUnicast() {
		return "an address that is not global unicast"
	}
	return ""
}

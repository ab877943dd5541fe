package connect

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
)

// Unreachable says what keeps a host from being reached that trying again
// would not change; "" where nothing is known to.
func Unreachable(host string, err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host " + host
	case errors.As(err, &cert):
		return "the certificate of " + host + " is not trusted, or is another host's"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return host + " does not speak https"
	}
	return ""
}

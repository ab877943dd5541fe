package sql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
)

// fail makes an error of what a driver gave: module error number where another
// try would not help, fault.Unavailable otherwise. It says what the server
// said, without cells, and nothing of what the driver adds.
func (s *server) fail(ctx context.Context, number int, doing string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(e, fault.Unavailable, doing) // guard's refusal, or one of ours
	}
	if cerr := ctx.Err(); cerr != nil {
		return fault.Wrap(cerr, fault.Unavailable, doing)
	}
	where := s.name + " " + s.Server
	if text, final, ok := s.reason(err); ok {
		text = s.clean(text)
		if final {
			return fault.Module(number, "%s: %s: %s", where, doing, text)
		}
		return fault.New(fault.Unavailable, "", "%s: %s: %s", where, doing, text)
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var host x509.HostnameError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.Module(15, "%s: there is no such host", where).At("Server")
	case errors.As(err, &cert), errors.As(err, &host):
		return fault.Module(15, "%s: its certificate is not trusted or is another server's: use its own name, or accept any certificate", where).At("Server")
	case strings.Contains(err.Error(), "refused TLS") || strings.Contains(err.Error(), "does not support encryption") || strings.Contains(err.Error(), "TLS requested but server does not support TLS"):
		return fault.Module(15, "%s: it does not encrypt connections: say so where it is meant to be so", where).At("Server")
	}
	if strings.HasPrefix(err.Error(), "local file ") { // which the driver was not given
		return fault.Module(number, "%s: %s: the query asks for a file of this machine", where, doing)
	}
	e := fault.New(fault.Unavailable, "", "%s: %s: it does not answer as it should", where, doing)
	return e.Because(errors.New(s.clean(err.Error())))
}

// clean keeps a text that holds a secret from being shown.
func (s *server) clean(text string) string {
	for _, secret := range s.Secrets() {
		if strings.Contains(text, secret) {
			return "the message quotes a secret and is withheld"
		}
	}
	return text
}

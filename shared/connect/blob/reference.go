// Package blob reaches the blobs that callers name: by connection string, by
// signed URL, or by a signed address of our own embedded store.
//
// A caller's address is dialled through the transport given to New, which is
// guarded, and through nothing else. No error, String method or log attribute
// of this package holds an account key or a signature.
package blob

import (
	"encoding/base64"
	"log/slog"
	"net/url"
	"path"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
)

// Reference is a classic blob reference: a connection string and a location,
// or a base, a location and a SAS token. It prints without its secrets.
type Reference struct {
	ConnectionString string
	RelativeLocation string // container/path/file.csv, a leading "/" allowed
	BaseLocation     string // https://account.blob.core.windows.net/
	SasBlobToken     string // ?sv=…&sig=…, the "?" may be missing
}

// String names the blob without its secrets.
func (r Reference) String() string { return r.RelativeLocation }

// GoString is String: %#v shows no secret either.
func (r Reference) GoString() string { return r.RelativeLocation }

// LogValue logs the blob without its secrets.
func (r Reference) LogValue() slog.Value { return slog.StringValue(r.RelativeLocation) }

// IsZero reports whether nothing of the reference is given.
func (r Reference) IsZero() bool { return r == Reference{} }

// Ext is the extension of the file, lower case, without the dot.
func (r Reference) Ext() string {
	return strings.ToLower(strings.TrimPrefix(path.Ext(r.RelativeLocation), "."))
}

// address is a reference taken apart.
type address struct {
	base            string // service URL, with "/" at the end
	container, name string
	account         string // with key: shared key
	key             string
	sas             string // without "?"
}

// url is the blob's address without a signature.
func (a *address) url() string { return a.base + a.path() }

func (a *address) path() string {
	return url.PathEscape(a.container) + "/" + strings.ReplaceAll(url.PathEscape(a.name), "%2F", "/")
}

// quoted reports whether text has a secret of a in it.
func (a *address) quoted(text string) bool {
	if a.key != "" && strings.Contains(text, a.key) {
		return true
	}
	q, err := url.ParseQuery(a.sas)
	for _, sig := range q["sig"] {
		if sig != "" && (strings.Contains(text, sig) || strings.Contains(text, url.QueryEscape(sig))) {
			return true
		}
	}
	return err != nil
}

func invalid(code, format string, args ...any) *fault.Error {
	return fault.New(fault.BadArgument, code, format, args...)
}

// parse takes r apart. Its errors name what is wrong, never the value of a
// secret part.
func parse(r Reference) (*address, error) {
	a := &address{}
	loc := strings.TrimPrefix(r.RelativeLocation, "/")
	var ok bool
	if a.container, a.name, ok = strings.Cut(loc, "/"); !ok || a.container == "" || a.name == "" || strings.HasSuffix(a.name, "/") {
		return nil, invalid("InputBlobRelativeLocationInvalid", "RelativeLocation %q does not name a blob: it has the form container/path/file.csv", r.RelativeLocation)
	}
	switch {
	case r.ConnectionString != "":
		if err := a.connection(r.ConnectionString); err != nil {
			return nil, err
		}
	case r.BaseLocation == "" || r.SasBlobToken == "":
		return nil, invalid("InvalidBlob", "a blob reference needs ConnectionString and RelativeLocation, or BaseLocation, RelativeLocation and SasBlobToken")
	default:
		base, err := endpoint(r.BaseLocation)
		if err != nil {
			return nil, invalid("InvalidBlob", "BaseLocation %s", err.Error())
		}
		a.base, a.sas = base, strings.TrimPrefix(r.SasBlobToken, "?")
		if err := checkSAS(a.sas); err != "" {
			return nil, invalid("InvalidBlob", "SasBlobToken %s", err)
		}
	}
	return a, nil
}

type badEndpoint string

func (b badEndpoint) Error() string { return string(b) }

// endpoint checks a service address and gives it a slash at the end.
func endpoint(s string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil:
		return "", badEndpoint("is not an address") // url.Parse would quote it, and what may be in it
	case u.Scheme != "http" && u.Scheme != "https":
		return "", badEndpoint("is not an http or https address")
	case u.Host == "":
		return "", badEndpoint("has no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", badEndpoint("has more than scheme, host and path")
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/") + "/", nil
}

func checkSAS(sas string) string {
	q, err := url.ParseQuery(sas)
	if err != nil || !q.Has("sig") {
		return "is not a shared access signature: it has no sig parameter"
	}
	return ""
}

func (a *address) connection(cs string) error {
	const code = "InvalidBlobConnectionString"
	var protocol, suffix, blobEndpoint string
	for n, part := range strings.Split(cs, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return invalid(code, "part %d of the connection string has no \"=\"", n+1)
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "defaultendpointsprotocol":
			protocol = value
		case "accountname":
			a.account = value
		case "accountkey":
			a.key = value
		case "endpointsuffix":
			suffix = value
		case "blobendpoint":
			blobEndpoint = value
		case "sharedaccesssignature":
			a.sas = strings.TrimPrefix(value, "?")
		case "usedevelopmentstorage", "developmentstorageproxyuri":
			return invalid(code, "UseDevelopmentStorage is the storage emulator of the machine this service runs on, and is not for callers: give BlobEndpoint, AccountName and AccountKey")
		case "tableendpoint", "queueendpoint", "fileendpoint":
		default:
			// Not its name, which may be a key pasted without one.
			return invalid(code, "part %d of the connection string is not known", n+1)
		}
	}
	if blobEndpoint == "" {
		if a.account == "" {
			return invalid(code, "the connection string has neither BlobEndpoint nor AccountName")
		}
		if protocol == "" {
			protocol = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		blobEndpoint = protocol + "://" + a.account + ".blob." + suffix
	}
	base, err := endpoint(blobEndpoint)
	if err != nil {
		return invalid(code, "the connection string's blob endpoint %s", err.Error())
	}
	a.base = base
	switch {
	case a.sas != "":
		if err := checkSAS(a.sas); err != "" {
			return invalid(code, "the connection string's SharedAccessSignature %s", err)
		}
		a.key = ""
	case a.key == "" || a.account == "":
		return invalid(code, "the connection string has no AccountName with AccountKey, and no SharedAccessSignature")
	default:
		if _, err := base64.StdEncoding.DecodeString(a.key); err != nil {
			return invalid(code, "the connection string's AccountKey is not base64")
		}
	}
	return nil
}

// Package table reads from and writes to Azure tables that callers name: by
// account and key, by connection string, or by the address of a table with a
// shared access signature.
//
// A table's entities have no schema: its columns are the properties of the
// entities that are looked at first, and reading goes over the table a second
// time. A sink cannot write whole: it writes each row under a key of its own,
// so that a delivery that is repeated writes the same entities again.
//
// Addresses are dialled through the transport given to New, which is guarded.
// No error of this package holds a key or a signature.
package table

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
)

// Config is what a Connector works with.
type Config struct {
	// Transport dials callers' addresses: guard's.
	Transport http.RoundTripper
	// Accounts are the hosts of our own storage accounts; they are refused.
	Accounts []string
}

// Connector opens tables. It is safe for concurrent use.
type Connector struct {
	client   *http.Client
	accounts []string
}

// New returns a connector.
func New(c Config) *Connector {
	return &Connector{accounts: c.Accounts, client: &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Source returns the source of the place's table.
func (c *Connector) Source(p connect.Place) (connect.Source, error) {
	t, err := c.open(p)
	if err != nil {
		return nil, err
	}
	return &source{t}, nil
}

// Sink returns the sink of the place's table, which is made where it does not
// exist and the key allows it.
func (c *Connector) Sink(p connect.Place) (connect.Sink, error) {
	t, err := c.open(p)
	if err != nil {
		return nil, err
	}
	if len(p.TableColumns) > 0 && len(p.Columns) != len(p.TableColumns) {
		return nil, fault.Module(20, "%d columns are to be saved and %d columns of the table are named: name one for each", len(p.Columns), len(p.TableColumns)).At("TableColumns")
	}
	return &sink{t}, nil
}

// table is one table of a caller's.
type table struct {
	connect.Place
	name   string
	host   string
	secret string // the signature or key, to be looked for in texts
	client *aztables.Client
}

func (c *Connector) open(p connect.Place) (*table, error) {
	t := &table{Place: p, name: p.Table}
	a, err := t.address()
	if err != nil {
		return nil, err
	}
	t.host = a.host
	if err := c.checkHost(a.host); err != nil {
		return nil, err
	}
	if err := checkName(t.name); err != nil {
		return nil, err
	}
	opts := &aztables.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: transport{c.client},
		Retry:     policy.RetryOptions{MaxRetries: 2, TryTimeout: 2 * time.Minute, RetryDelay: 500 * time.Millisecond, MaxRetryDelay: 5 * time.Second},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}}
	var service *aztables.ServiceClient
	if a.sas != "" {
		t.secret = a.sas
		service, err = aztables.NewServiceClientWithNoCredential(a.base+"?"+a.sas, opts)
	} else {
		t.secret = a.key
		var cred *aztables.SharedKeyCredential
		if cred, err = aztables.NewSharedKeyCredential(a.account, a.key); err == nil {
			service, err = aztables.NewServiceClientWithSharedKey(a.base, cred, opts)
		}
	}
	if err != nil {
		return nil, fault.Module(64, "the account's name or key cannot be used").At("AccountName")
	}
	t.client = service.NewClient(t.name)
	return t, nil
}

func (c *Connector) checkHost(host string) error {
	for _, own := range c.accounts {
		if h := strings.ToLower(host); h == own || h == strings.Replace(own, ".blob.", ".table.", 1) {
			return fault.Module(64, "host %s is this service's own storage, whose tables are nobody's source", host).At("AccountName")
		}
	}
	return nil
}

// address is where a table service is, and how it is asked.
type address struct {
	base, host    string
	account, key  string
	sas           string
	protocol, end string
}

func (t *table) address() (*address, error) {
	a := &address{account: t.Account, key: t.Key, protocol: "https", end: "core.windows.net"}
	at := t.URL
	if t.ConnectionString != "" {
		var err error
		if at, err = a.connection(t.ConnectionString); err != nil {
			return nil, err
		}
	}
	if at == "" {
		if a.account == "" {
			return nil, fault.Module(3, "the table's account is not given: give AccountName and AccountKey, or Url with a shared access signature").At("AccountName")
		}
		if strings.ContainsAny(a.account, "./:@?#\\ ") {
			return nil, fault.Module(64, "AccountName is the account's name alone").At("AccountName")
		}
		at = a.protocol + "://" + a.account + ".table." + a.end
	}
	u, err := url.Parse(at)
	switch {
	case err != nil:
		return nil, fault.Module(29, "the address of the table service is not one").At("Url")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fault.Module(29, "the address of the table service is not an http or https address").At("Url")
	case u.User != nil || u.Fragment != "":
		return nil, fault.Module(29, "the address of the table service has a user or a fragment in it").At("Url")
	}
	if u.RawQuery != "" {
		if a.sas = u.RawQuery; !u.Query().Has("sig") {
			return nil, fault.Module(29, "the address has a query that is no shared access signature").At("Url")
		}
		// …/table?sv=…&sig=…, as it is handed out.
		if dir, last, ok := cutLast(strings.TrimSuffix(u.EscapedPath(), "/")); ok && (t.name == "" || strings.EqualFold(last, t.name)) {
			t.name = last
			u.Path, u.RawPath = dir, ""
		}
	}
	a.base, a.host = u.Scheme+"://"+u.Host+strings.TrimSuffix(u.EscapedPath(), "/")+"/", u.Hostname()
	if a.sas != "" {
		return a, nil
	}
	if a.account == "" || a.key == "" {
		return nil, fault.Module(3, "the table's AccountName or AccountKey is not given").At("AccountKey")
	}
	if _, err := base64.StdEncoding.DecodeString(a.key); err != nil {
		return nil, fault.Module(52, "AccountKey is not base64").At("AccountKey")
	}
	return a, nil
}

func cutLast(path string) (dir, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || path[i+1:] == "" {
		return path, "", false
	}
	return path[:i], path[i+1:], true
}

// connection reads a connection string and returns its table endpoint.
func (a *address) connection(text string) (endpoint string, err error) {
	bad := func(format string, args ...any) (string, error) {
		return "", fault.Module(64, format, args...).At("ConnectionString")
	}
	var sas string
	for n, part := range strings.Split(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return bad("part %d of the connection string has no \"=\"", n+1)
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "defaultendpointsprotocol":
			a.protocol = value
		case "accountname":
			a.account = value
		case "accountkey":
			a.key = value
		case "endpointsuffix":
			a.end = value
		case "tableendpoint":
			endpoint = value
		case "sharedaccesssignature":
			sas = strings.TrimPrefix(value, "?")
		case "blobendpoint", "queueendpoint", "fileendpoint":
		case "usedevelopmentstorage", "developmentstorageproxyuri":
			return bad("UseDevelopmentStorage is the storage emulator of the machine this service runs on, and is not for callers")
		default: // not its name, which may be a key pasted without one
			return bad("part %d of the connection string is not known", n+1)
		}
	}
	if endpoint == "" && a.account == "" {
		return bad("the connection string has neither TableEndpoint nor AccountName")
	}
	if endpoint == "" {
		endpoint = a.protocol + "://" + a.account + ".table." + a.end
	}
	if sas != "" {
		endpoint += "?" + sas
	}
	return endpoint, nil
}

// checkName holds a table's name to the service's rule.
func checkName(name string) error {
	ok := len(name) >= 3 && len(name) <= 63
	for i := 0; ok && i < len(name); i++ {
		c := name[i] | 0x20
		ok = 'a' <= c && c <= 'z' || i > 0 && '0' <= name[i] && name[i] <= '9'
	}
	if !ok {
		return fault.Module(2, "%q is not the name of a table: 3 to 63 letters and digits, a letter first", name).At("Table")
	}
	return nil
}

// transport keeps the SDK from asking guard again for what guard refused.
type transport struct{ client *http.Client }

func (t transport) Do(r *http.Request) (*http.Response, error) {
	resp, err := t.client.Do(r)
	if e, ok := errors.AsType[*fault.Error](err); ok && !e.Kind.Traits().Retry {
		err = final{err}
	}
	return resp, err
}

// final is an error that the SDK's retries leave alone.
type final struct{ error }

func (final) NonRetriable()   {}
func (f final) Unwrap() error { return f.error }

// fail gives an error its kind and a text that says what the service said.
func (t *table) fail(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	where := "table " + t.name + " of " + t.host
	resp, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		if e, ours := errors.AsType[*fault.Error](err); ours {
			return fault.Wrap(e, fault.Unavailable, doing)
		}
		if cerr := ctx.Err(); cerr != nil {
			return fault.Wrap(cerr, fault.Unavailable, doing)
		}
		if why := connect.Unreachable(t.host, err); why != "" {
			return fault.Module(64, "%s", why).At("AccountName")
		}
		e := fault.New(fault.Unavailable, "", "%s could not be reached", where).Because(err)
		if strings.Contains(e.Error(), t.secret) {
			e.Err = errors.New("the cause quotes a secret and is withheld")
		}
		return e
	}
	said := func(number int) error {
		return fault.Module(number, "%s: %s: the service answered %d %s", where, doing, resp.StatusCode, resp.ErrorCode)
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return said(52)
	case http.StatusNotFound:
		return said(30)
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "", "%s: the service answered %d %s", where, resp.StatusCode, resp.ErrorCode)
	}
	if resp.StatusCode >= 500 {
		return fault.New(fault.Unavailable, "", "%s: the service answered %d %s", where, resp.StatusCode, resp.ErrorCode)
	}
	return said(151)
}

// hidden are members of an entity that are no properties.
func hidden(name string) bool {
	return strings.HasPrefix(name, "odata.") || strings.HasPrefix(name, "@odata.")
}

package azure

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/portico-ml/portico/shared/fault"
)

// Settings name a storage account as the settings of a Functions app do. Each
// field is the value of AzureWebJobsStorage (or another connection's name)
// with the suffix given; the caller reads the environment.
type Settings struct {
	// ConnectionString is the setting itself: an account key, a shared access
	// signature, or UseDevelopmentStorage=true. It excludes all the others.
	ConnectionString string

	AccountName     string // __accountName: the services are those of this account
	BlobServiceURI  string // __blobServiceUri: instead of what the name gives
	QueueServiceURI string // __queueServiceUri
	TableServiceURI string // __tableServiceUri
	Credential      string // __credential: "managedidentity", or empty for the default chain
	ClientID        string // __clientId: of a user-assigned identity
}

// String tells which account is meant and never a secret.
func (s Settings) String() string {
	if s.ConnectionString != "" {
		c, err := parseConnectionString(s.ConnectionString)
		if err != nil {
			return "a connection string that cannot be read"
		}
		return "connection string of account " + c.name
	}
	account := s.AccountName
	if u, err := url.Parse(s.BlobServiceURI); account == "" && err == nil {
		account = u.Host
	}
	return "identity on account " + account
}

// GoString keeps the secret out of %#v as well.
func (s Settings) GoString() string { return s.String() }

// endpoints is a storage account with the means to get in: key, sas or token.
type endpoints struct {
	name               string
	blob, queue, table string // no slash at the end
	key                string
	sas                string // without "?"
	token              azcore.TokenCredential
}

// developmentStorage is what UseDevelopmentStorage=true stands for. The account
// and its key are public knowledge, the same in every emulator.
const developmentStorage = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=%[1]s:10000/devstoreaccount1;QueueEndpoint=%[1]s:10001/devstoreaccount1;TableEndpoint=%[1]s:10002/devstoreaccount1"

func badSetting(format string, args ...any) error {
	return fault.New(fault.Unavailable, "", "storage settings: "+format, args...)
}

func (s Settings) endpoints() (endpoints, error) {
	if s.ConnectionString != "" {
		return parseConnectionString(s.ConnectionString)
	}
	e := endpoints{name: s.AccountName}
	for _, svc := range []struct {
		to        *string
		uri, name string
	}{{&e.blob, s.BlobServiceURI, "blob"}, {&e.queue, s.QueueServiceURI, "queue"}, {&e.table, s.TableServiceURI, "table"}} {
		uri := svc.uri
		if uri == "" && s.AccountName != "" {
			uri = "https://" + s.AccountName + "." + svc.name + ".core.windows.net"
		}
		if uri == "" {
			return endpoints{}, badSetting("neither __accountName nor __%sServiceUri is set", svc.name)
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
			return endpoints{}, badSetting("__%sServiceUri is not an https address without a query", svc.name)
		}
		*svc.to = strings.TrimRight(uri, "/")
	}
	var err error
	e.token, err = s.token()
	return e, err
}

func (s Settings) token() (azcore.TokenCredential, error) {
	switch s.Credential {
	case "managedidentity":
		o := &azidentity.ManagedIdentityCredentialOptions{}
		if s.ClientID != "" {
			o.ID = azidentity.ClientID(s.ClientID)
		}
		c, err := azidentity.NewManagedIdentityCredential(o)
		return c, fault.Wrap(err, fault.Unavailable, "make the managed identity credential")
	case "":
		c, err := azidentity.NewDefaultAzureCredential(nil)
		return c, fault.Wrap(err, fault.Unavailable, "make the default credential")
	}
	return nil, badSetting(`__credential %q is not "managedidentity" or empty`, s.Credential)
}

// parseConnectionString reads the connection strings of Azure Storage. Names
// match without regard to case, as they do in the other SDKs.
func parseConnectionString(text string) (endpoints, error) {
	p := make(map[string]string)
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return endpoints{}, badSetting("the connection string is not a list of name=value")
		}
		p[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	if strings.EqualFold(p["usedevelopmentstorage"], "true") {
		host := strings.TrimRight(p["developmentstorageproxyuri"], "/")
		if host == "" {
			host = "http://127.0.0.1"
		}
		return parseConnectionString(fmt.Sprintf(developmentStorage, host))
	}
	e := endpoints{name: p["accountname"], key: p["accountkey"], sas: strings.TrimPrefix(p["sharedaccesssignature"], "?")}
	protocol, suffix := p["defaultendpointsprotocol"], p["endpointsuffix"]
	if protocol == "" {
		protocol = "https"
	}
	if suffix == "" {
		suffix = "core.windows.net"
	}
	for _, svc := range []struct {
		to   *string
		name string
	}{{&e.blob, "blob"}, {&e.queue, "queue"}, {&e.table, "table"}} {
		uri := p[svc.name+"endpoint"]
		if uri == "" && e.name != "" {
			uri = protocol + "://" + e.name + "." + svc.name + "." + suffix
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return endpoints{}, badSetting("the connection string gives no address of the %s service", svc.name)
		}
		*svc.to = strings.TrimRight(uri, "/")
	}
	switch {
	case e.key == "" && e.sas == "":
		return endpoints{}, badSetting("the connection string has neither AccountKey nor SharedAccessSignature")
	case e.key != "" && e.name == "":
		return endpoints{}, badSetting("the connection string has an AccountKey but no AccountName")
	}
	return e, nil
}

// BlobHost returns the host name of the account's blob service, in lower case:
// what tells a caller's address from one of our own.
func (s Settings) BlobHost() string {
	uri := s.BlobServiceURI
	switch {
	case s.ConnectionString != "":
		e, err := parseConnectionString(s.ConnectionString)
		if err != nil {
			return ""
		}
		uri = e.blob
	case uri == "":
		uri = "https://" + s.AccountName + ".blob.core.windows.net"
	}
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

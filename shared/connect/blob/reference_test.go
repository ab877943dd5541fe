package blob

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

const (
	key = "c2VjcmV0LWtleQ=="
	sig = "se=2030-01-01&sig=c2VjcmV0LXNpZw"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		ref  Reference
		url  string
		code string
	}{
		{
			name: "connection string", ref: Reference{ConnectionString: "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + key, RelativeLocation: "c/in/data.csv"},
			url: "https://acct.blob.core.windows.net/c/in/data.csv",
		},
		{
			name: "with a suffix and blanks", ref: Reference{ConnectionString: "AccountName=acct; AccountKey=" + key + "; EndpointSuffix=core.chinacloudapi.cn;", RelativeLocation: "/c/a b#?.csv"},
			url: "https://acct.blob.core.chinacloudapi.cn/c/a%20b%23%3F.csv",
		},
		{
			name: "with endpoints", ref: Reference{ConnectionString: "AccountName=acct;AccountKey=" + key + ";BlobEndpoint=http://127.0.0.1:10000/acct;TableEndpoint=x;QueueEndpoint=y;FileEndpoint=z", RelativeLocation: "c/d.csv"},
			url: "http://127.0.0.1:10000/acct/c/d.csv",
		},
		{
			name: "with a signature", ref: Reference{ConnectionString: "BlobEndpoint=https://h.example/blobs/;SharedAccessSignature=?" + sig, RelativeLocation: "c/d.csv"},
			url: "https://h.example/blobs/c/d.csv",
		},
		{
			name: "base and token", ref: Reference{BaseLocation: "https://acct.blob.core.windows.net/", RelativeLocation: "c/d/e.csv", SasBlobToken: "?" + sig},
			url: "https://acct.blob.core.windows.net/c/d/e.csv",
		},
		{name: "nothing", ref: Reference{RelativeLocation: "c/d.csv"}, code: "InvalidBlob"},
		{name: "no token", ref: Reference{BaseLocation: "https://a.example/", RelativeLocation: "c/d.csv"}, code: "InvalidBlob"},
		{name: "token without a signature", ref: Reference{BaseLocation: "https://a.example/", RelativeLocation: "c/d.csv", SasBlobToken: "?sp=r"}, code: "InvalidBlob"},
		{name: "file address", ref: Reference{BaseLocation: "file:///etc/", RelativeLocation: "c/d.csv", SasBlobToken: sig}, code: "InvalidBlob"},
		{name: "address with a password", ref: Reference{BaseLocation: "https://u:p@a.example/", RelativeLocation: "c/d.csv", SasBlobToken: sig}, code: "InvalidBlob"},
		{name: "address with a query", ref: Reference{BaseLocation: "https://a.example/?" + sig, RelativeLocation: "c/d.csv", SasBlobToken: sig}, code: "InvalidBlob"},
		{name: "no container", ref: Reference{BaseLocation: "https://a.example/", RelativeLocation: "d.csv", SasBlobToken: sig}, code: "InputBlobRelativeLocationInvalid"},
		{name: "no blob", ref: Reference{BaseLocation: "https://a.example/", RelativeLocation: "c/", SasBlobToken: sig}, code: "InputBlobRelativeLocationInvalid"},
		{name: "a folder", ref: Reference{BaseLocation: "https://a.example/", RelativeLocation: "c/d/", SasBlobToken: sig}, code: "InputBlobRelativeLocationInvalid"},
		{name: "emulator", ref: Reference{ConnectionString: "UseDevelopmentStorage=true", RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
		{name: "emulator in other case", ref: Reference{ConnectionString: "usedevelopmentstorage=TRUE", RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
		{name: "no account", ref: Reference{ConnectionString: "AccountKey=" + key, RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
		{name: "no key", ref: Reference{ConnectionString: "AccountName=acct", RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
		{name: "key is no base64", ref: Reference{ConnectionString: "AccountName=acct;AccountKey=" + key + "!", RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
		{name: "a key alone", ref: Reference{ConnectionString: key, RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
		{name: "no pairs", ref: Reference{ConnectionString: strings.TrimRight(key, "="), RelativeLocation: "c/d.csv"}, code: "InvalidBlobConnectionString"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := parse(tt.ref)
			if tt.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				if a.url() != tt.url {
					t.Errorf("url %s, want %s", a.url(), tt.url)
				}
				return
			}
			if !fault.HasCode(err, tt.code) || !fault.Is(err, fault.BadArgument) {
				t.Errorf("err = %v, want code %s", err, tt.code)
			}
			noSecret(t, err.Error())
		})
	}
}

func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, s := range []string{strings.TrimRight(key, "="), "c2VjcmV0LXNpZw", "u:p@"} {
		if strings.Contains(text, s) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

func TestReference_printsNoSecret(t *testing.T) {
	r := Reference{ConnectionString: "AccountName=a;AccountKey=" + key, SasBlobToken: sig, RelativeLocation: "c/d.csv"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		noSecret(t, fmt.Sprintf(format, r))
		noSecret(t, fmt.Sprintf(format, &r))
	}
	noSecret(t, r.LogValue().String())
}

func TestReference_Ext(t *testing.T) {
	for loc, want := range map[string]string{"c/d.CSV": "csv", "c/d": "", "c.d/e": "", "c/d.tar.gz": "gz", "": ""} {
		if got := (Reference{RelativeLocation: loc}).Ext(); got != want {
			t.Errorf("%q: %q, want %q", loc, got, want)
		}
	}
}

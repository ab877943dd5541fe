package azure

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portico-ml/portico/shared/fault"
)

func TestEndpoints(t *testing.T) {
	account := func(e endpoints) endpoints {
		e.blob, e.queue, e.table = "https://acc.blob.core.windows.net", "https://acc.queue.core.windows.net", "https://acc.table.core.windows.net"
		return e
	}
	emulator := endpoints{
		name: "devstoreaccount1", key: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
		blob: "http://127.0.0.1:10000/devstoreaccount1", queue: "http://127.0.0.1:10001/devstoreaccount1", table: "http://127.0.0.1:10002/devstoreaccount1",
	}
	proxied := emulator
	proxied.blob, proxied.queue, proxied.table = "http://azurite:10000/devstoreaccount1", "http://azurite:10001/devstoreaccount1", "http://azurite:10002/devstoreaccount1"
	for name, tt := range map[string]struct {
		s    Settings
		want endpoints
	}{
		"account key":           {Settings{ConnectionString: "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net"}, account(endpoints{name: "acc", key: "a2V5"})},
		"any case and spaces":   {Settings{ConnectionString: " accountname = acc ; ACCOUNTKEY=a2V5== ; "}, account(endpoints{name: "acc", key: "a2V5=="})},
		"emulator":              {Settings{ConnectionString: "UseDevelopmentStorage=true"}, emulator},
		"emulator, spelt else":  {Settings{ConnectionString: "usedevelopmentstorage=True;"}, emulator},
		"emulator behind proxy": {Settings{ConnectionString: "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite/"}, proxied},
		"endpoints": {
			Settings{ConnectionString: "AccountName=acc;AccountKey=a2V5;BlobEndpoint=http://h:1/acc/;QueueEndpoint=http://h:2/acc;TableEndpoint=http://h:3/acc"},
			endpoints{name: "acc", key: "a2V5", blob: "http://h:1/acc", queue: "http://h:2/acc", table: "http://h:3/acc"},
		},
		"shared access signature": {
			Settings{ConnectionString: "BlobEndpoint=https://b;QueueEndpoint=https://q;TableEndpoint=https://t;SharedAccessSignature=?sv=1&sig=a%3D"},
			endpoints{blob: "https://b", queue: "https://q", table: "https://t", sas: "sv=1&sig=a%3D"},
		},
		"identity":               {Settings{AccountName: "acc"}, account(endpoints{name: "acc"})},
		"managed identity":       {Settings{AccountName: "acc", Credential: "managedidentity", ClientID: "id"}, account(endpoints{name: "acc"})},
		"identity and addresses": {Settings{BlobServiceURI: "https://b/", QueueServiceURI: "https://q", TableServiceURI: "https://t"}, endpoints{blob: "https://b", queue: "https://q", table: "https://t"}},
		"name and one address":   {Settings{AccountName: "acc", BlobServiceURI: "https://b"}, endpoints{name: "acc", blob: "https://b", queue: "https://acc.queue.core.windows.net", table: "https://acc.table.core.windows.net"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.s.endpoints()
			if err != nil {
				t.Fatal(err)
			}
			if (got.token != nil) != (tt.s.ConnectionString == "") {
				t.Errorf("token %v", got.token)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(endpoints{}), cmpopts.IgnoreFields(endpoints{}, "token")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadSettings(t *testing.T) {
	const secret = "c2VjcmV0"
	for name, s := range map[string]Settings{
		"nothing":             {},
		"no name=value":       {ConnectionString: secret},
		"no credentials":      {ConnectionString: "AccountName=acc"},
		"no name":             {ConnectionString: "AccountKey=" + secret},
		"key without a name":  {ConnectionString: "BlobEndpoint=https://b;QueueEndpoint=https://q;TableEndpoint=https://t;AccountKey=" + secret},
		"key is not base64":   {ConnectionString: "AccountName=acc;AccountKey=" + secret + "!"},
		"no address":          {ConnectionString: "BlobEndpoint=ftp://b;AccountName=acc;AccountKey=" + secret},
		"no queue address":    {ConnectionString: "BlobEndpoint=https://b;SharedAccessSignature=sig=" + secret},
		"one address":         {BlobServiceURI: "https://b"},
		"address not https":   {AccountName: "acc", BlobServiceURI: "http://b"},
		"address with a SAS":  {AccountName: "acc", BlobServiceURI: "https://b?sig=" + secret},
		"unknown credential":  {AccountName: "acc", Credential: "password"},
		"address unparseable": {ConnectionString: "AccountName=acc;AccountKey=" + secret + ";BlobEndpoint=https://[" + secret},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(s)
			if !fault.Is(err, fault.Unavailable) {
				t.Fatalf("%v", err)
			}
			for _, text := range []string{err.Error(), fmt.Sprint(s), fmt.Sprintf("%#v", s), fmt.Sprintf("%+v", s)} {
				if strings.Contains(text, secret) {
					t.Errorf("the text holds the secret: %s", text)
				}
			}
		})
	}
}

func FuzzConnectionString(f *testing.F) {
	f.Add("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net")
	f.Add("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=UseDevelopmentStorage=true")
	f.Add("=;;=x")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseConnectionString(text)
		if err == nil && (e.blob == "" || e.queue == "" || e.table == "" || e.key == "" && e.sas == "") {
			t.Errorf("%q gives %+v", text, e)
		}
	})
}

package azure_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

// testLinks follows the links of a store.
func testLinks(t *testing.T, s storage.Store, client *http.Client) {
	t.Helper()
	ctx := t.Context()
	key := fmt.Sprintf("links/%d/a.csv", time.Now().UnixNano())
	until := time.Now().Add(time.Hour)
	do := func(method string, u storage.SignedURL, query, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, u.String()+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPut && query == "" {
			req.Header.Set("x-ms-blob-type", "BlockBlob")
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	write, err := s.Blobs.SignWrite(ctx, key, until)
	if err != nil {
		t.Fatal(err)
	}
	read, err := s.Blobs.SignRead(ctx, key, until)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(read.Base, "/") || read.Path != storage.Container+"/"+key || !strings.HasPrefix(read.Query, "?") {
		t.Errorf("link %+v", read)
	}
	if status, body := do("PUT", write, "", "by a link"); status != 201 {
		t.Errorf("put blob: %d %s", status, body)
	}
	if status, body := do("GET", read, "", ""); status != 200 || body != "by a link" {
		t.Errorf("get: %d %q", status, body)
	}
	if status, body := do("PUT", write, "&comp=block&blockid=YQ%3D%3D", "by blocks"); status != 201 {
		t.Errorf("put block: %d %s", status, body)
	}
	if status, body := do("PUT", write, "&comp=blocklist", "<BlockList><Latest>YQ==</Latest></BlockList>"); status != 201 {
		t.Errorf("put block list: %d %s", status, body)
	}
	if status, body := do("GET", read, "", ""); status != 200 || body != "by blocks" {
		t.Errorf("get: %d %q", status, body)
	}
	if status, _ := do("PUT", read, "", "x"); status != 403 {
		t.Errorf("write by a read link: %d", status)
	}
	if status, _ := do("GET", write, "", ""); status != 403 {
		t.Errorf("read by a write link: %d", status)
	}
	other := read
	other.Path += "x"
	if status, _ := do("GET", other, "", ""); status != 403 {
		t.Errorf("read of another blob: %d", status)
	}
	if q, err := url.ParseQuery(read.Query[1:]); err != nil || q.Get("sp") != "r" {
		t.Errorf("a read link has sp=%s", q.Get("sp"))
	}
}

func TestLinksByKey(t *testing.T) {
	testLinks(t, open(t, azuritetest.Shared(t)), http.DefaultClient)
}

// An account entered by a shared access signature works, but cannot sign.
func TestSharedAccessSignature(t *testing.T) {
	a := azuritetest.Shared(t)
	cred, err := service.NewSharedKeyCredential(azuritetest.AccountName, azuritetest.AccountKey)
	if err != nil {
		t.Fatal(err)
	}
	q, err := sas.AccountSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour).UTC(),
		Permissions: (&sas.AccountPermissions{Read: true, Write: true, Create: true, List: true, Delete: true, Add: true, Update: true, Process: true}).String(), ResourceTypes: "sco",
	}.SignWithSharedKey(cred)
	if err != nil {
		t.Fatal(err)
	}
	// The SDK of blobs signs for its own service alone: tables and queues are
	// out of reach.
	s, err := azure.Open(azure.Settings{ConnectionString: fmt.Sprintf("BlobEndpoint=%s;QueueEndpoint=%s;TableEndpoint=%s;SharedAccessSignature=%s", a.Blob, a.Queue, a.Table, q.Encode())})
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("sas/%d", time.Now().UnixNano())
	if _, err := s.Blobs.Put(t.Context(), key, []byte("x"), nil, storage.Condition{}); err != nil {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Blobs.Head(t.Context(), key); err != nil {
		t.Errorf("head: %v", err)
	}
	if _, err := s.Blobs.SignRead(t.Context(), key, time.Now().Add(time.Hour)); !fault.Is(err, fault.Unsupported) {
		t.Errorf("sign: %v", err)
	}
}

// token is a credential that Azurite takes: a token it does not check.
type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	text := part(map[string]any{"alg": "none", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/", "aud": "https://storage.azure.com",
		"tid": "11111111-1111-1111-1111-111111111111", "oid": "22222222-2222-2222-2222-222222222222",
		"iat": now.Unix(), "nbf": now.Unix() - 60, "exp": now.Add(time.Hour).Unix(),
	}) + "." + base64.RawURLEncoding.EncodeToString([]byte("x"))
	return azcore.AccessToken{Token: text, ExpiresOn: now.Add(time.Hour)}, nil
}

// With an identity, links are signed by a user delegation key.
func TestLinksByIdentity(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	a := azuritetest.Start(t, "--oauth", "basic", "--cert", certFile, "--key", keyFile)
	u, err := url.Parse(a.Blob)
	if err != nil {
		t.Fatal(err)
	}
	// The account is in the host's name here, as on Azure; all names are the
	// emulator's.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, u.Host)
		},
	}}
	address := "https://" + azuritetest.AccountName + ".blob.localhost:" + u.Port()
	s, err := azure.Open(azure.Settings{AccountName: azuritetest.AccountName, BlobServiceURI: address},
		azure.WithTransport(client), azure.WithToken(token{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs.Put(t.Context(), "identity/a", []byte("x"), nil, storage.Condition{}); err != nil {
		t.Fatalf("put by identity: %v", err)
	}
	testLinks(t, s.Store, client)
	// A link for the longest time that is allowed.
	if _, err := s.Blobs.SignRead(t.Context(), "identity/a", time.Now().Add(storage.MaxSigned)); err != nil {
		t.Errorf("sign for a week: %v", err)
	}
}

// certificate makes a certificate for *.blob.localhost and returns it in files
// and as a pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{azuritetest.AccountName + ".blob.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

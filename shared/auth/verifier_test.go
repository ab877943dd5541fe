package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
)

// Keys are made once: RSA keys are slow to make.
var (
	rsaKey    = sync.OnceValue(func() *rsa.PrivateKey { return mustKey(rsa.GenerateKey(rand.Reader, 2048)) })
	rsaOther  = sync.OnceValue(func() *rsa.PrivateKey { return mustKey(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key   = sync.OnceValue(func() *ecdsa.PrivateKey { return mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384Key   = sync.OnceValue(func() *ecdsa.PrivateKey { return mustKey(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521Key   = sync.OnceValue(func() *ecdsa.PrivateKey { return mustKey(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	ed25519ID = sync.OnceValue(func() ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(rand.Reader); return k })
)

func mustKey[K any](k K, err error) K {
	if err != nil {
		panic(err)
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rsaJWK(kid string, k *rsa.PublicKey) jwk {
	return jwk{Kty: "RSA", Kid: kid, Use: "sig", N: b64(k.N.Bytes()), E: b64(big.NewInt(int64(k.E)).Bytes())}
}

func ecJWK(kid, crv string, k *ecdsa.PublicKey) jwk {
	p := mustKey(k.Bytes())
	half := (len(p) - 1) / 2
	return jwk{Kty: "EC", Kid: kid, Crv: crv, X: b64(p[1 : 1+half]), Y: b64(p[1+half:])}
}

func setOf(keys ...jwk) []byte { return mustKey(json.Marshal(jwks{keys})) }

// issuerStub serves key sets by URL and counts the fetches.
type issuerStub struct {
	mu      sync.Mutex
	sets    map[string][]byte
	fetches int
	down    error
	delay   time.Duration
}

func (s *issuerStub) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.fetches++
	body, down, delay := s.sets[r.URL.String()], s.down, s.delay
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if down != nil {
		return nil, down
	}
	rec := httptest.NewRecorder()
	if body == nil {
		rec.WriteHeader(http.StatusNotFound)
	}
	rec.Write(body)
	return rec.Result(), nil
}

func (s *issuerStub) set(url string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets[url] = body
}

func (s *issuerStub) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

const (
	issA, setA = "https://a.example/", "https://a.example/keys"
	issB, setB = "https://b.example/", "https://b.example/keys"
)

func testVerifier(t testing.TB) (*Verifier, *issuerStub) {
	t.Helper()
	stub := &issuerStub{sets: map[string][]byte{
		setA: setOf(rsaJWK("rsa", &rsaKey().PublicKey), ecJWK("p256", "P-256", &p256Key().PublicKey), ecJWK("p384", "P-384", &p384Key().PublicKey)),
		setB: setOf(rsaJWK("rsa-b", &rsaOther().PublicKey)),
	}}
	v, err := NewVerifier(Options{
		Issuers: []Issuer{
			{Name: issA, Audiences: []string{"portico", "api://portico"}, JWKS: setA, OperatorRole: "operator"},
			{Name: issB, Audiences: []string{"portico"}, JWKS: setB},
		},
		Client: &http.Client{Transport: stub},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, stub
}

func goodClaims() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{"iss": issA, "aud": "portico", "sub": "ada", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
}

func with(kv ...any) jwt.MapClaims {
	c := goodClaims()
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] == nil {
			delete(c, kv[i].(string))
		} else {
			c[kv[i].(string)] = kv[i+1]
		}
	}
	return c
}

func sign(t testing.TB, m jwt.SigningMethod, key any, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, c)
	maps.Copy(tok.Header, header)
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func kid(k string) map[string]any { return map[string]any{"kid": k} }

func TestVerifyAccepts(t *testing.T) {
	v, _ := testVerifier(t)
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, tt := range []struct {
		name   string
		method jwt.SigningMethod
		key    any
		kid    string
		claims jwt.MapClaims
		want   Identity
	}{
		{"RS256", jwt.SigningMethodRS256, rsaKey(), "rsa", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"RS384", jwt.SigningMethodRS384, rsaKey(), "rsa", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"RS512", jwt.SigningMethodRS512, rsaKey(), "rsa", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"PS256", jwt.SigningMethodPS256, rsaKey(), "rsa", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"PS512", jwt.SigningMethodPS512, rsaKey(), "rsa", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"ES256", jwt.SigningMethodES256, p256Key(), "p256", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"ES384", jwt.SigningMethodES384, p384Key(), "p384", goodClaims(), Identity{Issuer: issA, Subject: "ada"}},
		{"other issuer", jwt.SigningMethodRS256, rsaOther(), "rsa-b", with("iss", issB), Identity{Issuer: issB, Subject: "ada"}},
		{"second audience in a list", jwt.SigningMethodES256, p256Key(), "p256", with("aud", []string{"x", "api://portico"}), Identity{Issuer: issA, Subject: "ada"}},
		{"expired within the skew", jwt.SigningMethodES256, p256Key(), "p256", with("exp", at(-time.Minute)), Identity{Issuer: issA, Subject: "ada"}},
		{"early within the skew", jwt.SigningMethodES256, p256Key(), "p256", with("nbf", at(time.Minute), "iat", at(time.Minute)), Identity{Issuer: issA, Subject: "ada"}},
		{"no nbf, no iat", jwt.SigningMethodES256, p256Key(), "p256", with("nbf", nil, "iat", nil), Identity{Issuer: issA, Subject: "ada"}},
		{
			"described", jwt.SigningMethodES256, p256Key(), "p256",
			with("name", "Ada L", "preferred_username", "ada@example", "groups", []string{"g1", "g2"}, "roles", []string{"x", "operator"}),
			Identity{Issuer: issA, Subject: "ada", Name: "Ada L", Email: "ada@example", Groups: []string{"g1", "g2"}, Operator: true},
		},
		{
			"operator only from an issuer that may grant it", jwt.SigningMethodRS256, rsaOther(), "rsa-b", with("iss", issB, "roles", "operator"),
			Identity{Issuer: issB, Subject: "ada"},
		},
		{
			"claims are read by exact name", jwt.SigningMethodES256, p256Key(), "p256", with("Sub", "eve", "SUB", "eve", "Roles", "operator", "gROUPS", "owners"),
			Identity{Issuer: issA, Subject: "ada"},
		},
		{
			"workspace roles in a token mean nothing", jwt.SigningMethodES256, p256Key(), "p256", with("role", "operator", "roles", []string{"owner", "deployer"}),
			Identity{Issuer: issA, Subject: "ada"},
		},
		{
			"tid and oid of an issuer that is not Entra", jwt.SigningMethodES256, p256Key(), "p256", with("tid", "t", "oid", "eve"),
			Identity{Issuer: issA, Subject: "ada"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), sign(t, tt.method, tt.key, kid(tt.kid), tt.claims))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Both token versions of Entra and all its applications name one person.
func TestVerifyEntra(t *testing.T) {
	const tid = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	v1, v2 := "https://sts.windows.net/"+tid+"/", "https://login.microsoftonline.com/"+tid+"/v2.0"
	stub := &issuerStub{sets: map[string][]byte{setA: setOf(ecJWK("k", "P-256", &p256Key().PublicKey))}}
	v, err := NewVerifier(Options{
		Issuers: []Issuer{{Name: v1, Audiences: []string{"portico"}, JWKS: setA}, {Name: v2, Audiences: []string{"portico"}, JWKS: setA}},
		Client:  &http.Client{Transport: stub},
	})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for i, iss := range []string{v1, v2} {
		c := with("iss", iss, "tid", tid, "oid", "person", "sub", "pairwise-"+iss)
		id, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, p256Key(), kid("k"), c))
		if err != nil {
			t.Fatal(i, err)
		}
		keys = append(keys, id.Key())
	}
	if keys[0] != v2+"|person" || keys[1] != keys[0] {
		t.Errorf("keys %q", keys)
	}
	id, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, p256Key(), kid("k"), with("iss", v1, "tid", "another tenant", "oid", "person")))
	if err != nil || id.Subject != "ada" || id.Issuer != v1 {
		t.Errorf("a tid that is not the issuer's: %+v, %v", id, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	v, stub := testVerifier(t)
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustKey(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))})
	good := sign(t, jwt.SigningMethodRS256, rsaKey(), kid("rsa"), goodClaims())
	parts := strings.Split(good, ".")
	es := func(h map[string]any, c jwt.MapClaims) string {
		return sign(t, jwt.SigningMethodES256, p256Key(), h, c)
	}
	eve := mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	raw := func(header, claims string) string {
		return b64([]byte(header)) + "." + b64([]byte(claims)) + "." + parts[2]
	}
	for _, tt := range []struct{ name, token, want string }{
		{"none at all", "", "carries no token"},
		{"not a token", "abc", "not a JSON Web Token"},
		{"two parts", parts[0] + "." + parts[1], "not a JSON Web Token"},
		{"four parts", good + ".x", "not a JSON Web Token"},
		{"five parts (encrypted)", good + ".x.y", "not a JSON Web Token"},
		{"header not JSON", "e30x." + parts[1] + "." + parts[2], "not a JSON Web Token"},
		{"header null", raw("null", "{}"), "signature is not valid"},
		{"claims not an object", raw(`{"alg":"RS256","kid":"rsa"}`, `[]`), "not a JSON Web Token"},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid("rsa"), goodClaims()), "signature is not valid"},
		{"alg none, signature kept", raw(`{"alg":"none","kid":"rsa"}`, mustString(parts[1])), "signature is not valid"},
		{"alg nOnE", raw(`{"alg":"nOnE","kid":"rsa"}`, mustString(parts[1])), "signature is not valid"},
		{"alg missing", raw(`{"kid":"rsa"}`, mustString(parts[1])), "signature is not valid"},
		{"alg a number", raw(`{"alg":256,"kid":"rsa"}`, mustString(parts[1])), "signature is not valid"},
		{"HS256 with the public key as PEM", sign(t, jwt.SigningMethodHS256, rsaPEM, kid("rsa"), goodClaims()), "signature is not valid"},
		{"HS256 with the modulus", sign(t, jwt.SigningMethodHS256, rsaKey().N.Bytes(), kid("rsa"), goodClaims()), "signature is not valid"},
		{"HS512 with nothing", sign(t, jwt.SigningMethodHS512, []byte{}, kid("rsa"), goodClaims()), "signature is not valid"},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, ed25519ID(), kid("rsa"), goodClaims()), "signature is not valid"},
		{"ES512", sign(t, jwt.SigningMethodES512, p521Key(), kid("p256"), goodClaims()), "signature is not valid"},
		{"ES256 under an RSA kid", es(kid("rsa"), goodClaims()), "not one of its issuer's keys for ES256"},
		{"RS256 under an EC kid", sign(t, jwt.SigningMethodRS256, rsaKey(), kid("p256"), goodClaims()), "not one of its issuer's keys for RS256"},
		{"unknown kid", es(kid("p257"), goodClaims()), "not one of its issuer's keys"},
		{"no kid", es(nil, goodClaims()), "does not name its key"},
		{"kid a number", es(map[string]any{"kid": 1}, goodClaims()), "does not name its key"},
		{"kid a path", es(kid("../../../dev/null"), goodClaims()), "not one of its issuer's keys"},
		{"kid of another issuer", sign(t, jwt.SigningMethodRS256, rsaOther(), kid("rsa-b"), goodClaims()), "not one of its issuer's keys"},
		{"signed by another key", sign(t, jwt.SigningMethodES256, eve, kid("p256"), goodClaims()), "signature is not valid"},
		{"own key in jwk", sign(t, jwt.SigningMethodES256, eve, map[string]any{"kid": "p256", "jwk": ecJWK("p256", "P-256", &eve.PublicKey)}, goodClaims()), "signature is not valid"},
		{"own key in jku", sign(t, jwt.SigningMethodES256, eve, map[string]any{"kid": "eve", "jku": "https://eve.example/keys"}, goodClaims()), "not one of its issuer's keys"},
		{"own key in x5u", sign(t, jwt.SigningMethodES256, eve, map[string]any{"kid": "eve", "x5u": "https://eve.example/cert"}, goodClaims()), "not one of its issuer's keys"},
		{"critical extension", es(map[string]any{"kid": "p256", "crit": []string{"b64"}, "b64": false}, goodClaims()), "critical extensions"},
		{"claims changed", parts[0] + "." + b64([]byte(strings.Replace(mustString(parts[1]), "ada", "eve", 1))) + "." + parts[2], "signature is not valid"},
		{"signature cut", good[:len(good)-8], "signature is not valid"},
		{"signature empty", parts[0] + "." + parts[1] + ".", "signature is not valid"},
		{"expired", es(kid("p256"), with("exp", at(-3*time.Minute))), "has expired"},
		{"no expiry", es(kid("p256"), with("exp", nil)), "when it expires"},
		{"expiry a word", es(kid("p256"), with("exp", "never")), "no valid form"},
		{"not yet valid", es(kid("p256"), with("nbf", at(3*time.Minute))), "not valid yet"},
		{"issued in the future", es(kid("p256"), with("iat", at(3*time.Minute))), "not valid yet"},
		{"wrong audience", es(kid("p256"), with("aud", "another")), "its audience is another"},
		{"audience of another case", es(kid("p256"), with("aud", "Portico")), "its audience is another"},
		{"no audience", es(kid("p256"), with("aud", nil)), "its audience is another"},
		{"audience empty", es(kid("p256"), with("aud", []string{})), "its audience is another"},
		{"audience of the other issuer's list", sign(t, jwt.SigningMethodRS256, rsaOther(), kid("rsa-b"), with("iss", issB, "aud", "api://portico")), "its audience is another"},
		{"wrong issuer", es(kid("p256"), with("iss", "https://c.example/")), "issuer is not trusted"},
		{"issuer without its slash", es(kid("p256"), with("iss", strings.TrimSuffix(issA, "/"))), "issuer is not trusted"},
		{"no issuer", es(kid("p256"), with("iss", nil)), "issuer is not trusted"},
		{"issuer a list", es(kid("p256"), with("iss", []string{issA})), "issuer is not trusted"},
		{"no subject", es(kid("p256"), with("sub", nil)), "names no subject"},
		{"subject empty", es(kid("p256"), with("sub", "")), "names no subject"},
		{"huge", es(kid("p256"), with("pad", strings.Repeat("x", maxToken))), "longer than 16384 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := v.Verify(t.Context(), tt.token)
			if err == nil {
				t.Fatalf("accepted as %+v", id)
			}
			e := fault.Of(err)
			if e.Kind != fault.Unauthorized || e.Code != "ManagementRequestUnauthorized" || !strings.Contains(e.Msg, tt.want) {
				t.Errorf("err = %v (%v), want Unauthorized saying %q", err, e.Kind, tt.want)
			}
			if id.Subject != "" || id.Operator {
				t.Errorf("a refused token gave %+v", id)
			}
			for _, p := range strings.Split(tt.token, ".") {
				if len(p) > 8 && strings.Contains(err.Error(), p) {
					t.Errorf("the error repeats the token: %v", err)
				}
			}
		})
	}
	if n := stub.count(); n > 2 {
		t.Errorf("%d fetches for hostile tokens, want one per issuer", n)
	}
}

func mustString(segment string) string {
	return string(mustKey(base64.RawURLEncoding.DecodeString(segment)))
}

func TestNewVerifier(t *testing.T) {
	ok := Issuer{Name: issA, Audiences: []string{"a"}, JWKS: setA}
	file := Issuer{Name: issA, Audiences: []string{"a"}, JWKS: "file:/x/keys.json"}
	edit := func(f func(*Issuer)) Issuer { is := ok; f(&is); return is }
	for _, tt := range []struct {
		name string
		o    Options
		want string // "" = accepted
	}{
		{"nothing trusted", Options{}, ""},
		{"https", Options{Issuers: []Issuer{ok}}, ""},
		{"file on loopback", Options{Issuers: []Issuer{file}, Listen: "127.0.0.1:7071"}, ""},
		{"file on IPv6 loopback", Options{Issuers: []Issuer{file}, Listen: "[::1]:7071"}, ""},
		{"file on localhost", Options{Issuers: []Issuer{file}, Listen: "localhost:0"}, ""},
		{"file in a cloud", Options{Issuers: []Issuer{file}, Listen: "127.0.0.1:7071", Cloud: true}, "runs in a cloud"},
		{"file on all addresses", Options{Issuers: []Issuer{file}, Listen: ":7071"}, "not on loopback"},
		{"file on 0.0.0.0", Options{Issuers: []Issuer{file}, Listen: "0.0.0.0:7071"}, "not on loopback"},
		{"file on a network", Options{Issuers: []Issuer{file}, Listen: "10.0.0.1:7071"}, "not on loopback"},
		{"file, no listener", Options{Issuers: []Issuer{file}}, "not on loopback"},
		{"file without path", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.JWKS = "file:" })}, Listen: "127.0.0.1:0"}, "no path"},
		{"http", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.JWKS = "http://a.example/keys" })}}, "https URL"},
		{"with a password", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.JWKS = "https://u:p@a.example/keys" })}}, "https URL"},
		{"no key set", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.JWKS = "" })}}, "https URL"},
		{"no name", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.Name = "" })}}, "no name"},
		{"no audience", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.Audiences = nil })}}, "no audience"},
		{"empty audience", Options{Issuers: []Issuer{edit(func(is *Issuer) { is.Audiences = []string{""} })}}, "audience is empty"},
		{"twice", Options{Issuers: []Issuer{ok, ok}}, "configured twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Client = &http.Client{}
			_, err := NewVerifier(tt.o)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("err = %v, want Unavailable saying %q", err, tt.want)
			}
		})
	}
	if _, err := NewVerifier(Options{Issuers: []Issuer{ok}}); err == nil {
		t.Error("an https key set without a client was accepted")
	}
}

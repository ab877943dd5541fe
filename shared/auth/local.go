package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Names of the local issuer: what its tokens say and what trusts them.
const (
	LocalIssuerName   = "https://portico.invalid/local"
	LocalAudience     = "portico"
	LocalOperatorRole = "operator"
)

// LocalIssuer makes the tokens of an installation on one machine: a key pair
// in a folder, trusted through its key set file by the same rules as any
// issuer.
type LocalIssuer struct {
	key  *ecdsa.PrivateKey
	kid  string
	jwks string
}

// NewLocalIssuer returns the issuer of dir, making its ES256 key pair and key
// set where there are none. Both files are readable by their owner only. It is
// safe to call from several processes at once.
func NewLocalIssuer(dir string) (*LocalIssuer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	keyFile := filepath.Join(dir, "issuer.key.pem")
	key, err := readKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(dir, keyFile)
	}
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	l := &LocalIssuer{key: key, kid: hex.EncodeToString(sum[:8]), jwks: filepath.Join(dir, "issuer.jwks.json")}
	half := (len(point) - 1) / 2
	b64 := base64.RawURLEncoding.EncodeToString
	set, err := json.Marshal(jwks{[]jwk{{Kty: "EC", Kid: l.kid, Use: "sig", Alg: "ES256", Crv: "P-256", X: b64(point[1 : 1+half]), Y: b64(point[1+half:])}}})
	if err != nil {
		return nil, err
	}
	if old, err := os.ReadFile(l.jwks); err == nil && string(old) == string(set) {
		return l, nil
	}
	tmp, err := writeTemp(dir, set)
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp)
	return l, os.Rename(tmp, l.jwks)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM: delete it to make a new key pair", path)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key: delete it to make a new key pair", path)
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s holds no P-256 key: delete it to make a new key pair", path)
	}
	return key, nil
}

// makeKey makes the key pair, or reads the one another process made first.
func makeKey(dir, path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	tmp, err := writeTemp(dir, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp)
	// A link appears whole or not at all, and never replaces.
	if err := os.Link(tmp, path); errors.Is(err, fs.ErrExist) {
		return readKey(path)
	} else if err != nil {
		return nil, err
	}
	return key, nil
}

// writeTemp writes a new file of mode 0600 in dir.
func writeTemp(dir string, body []byte) (string, error) {
	f, err := os.CreateTemp(dir, ".issuer-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// Issuer is the setting that trusts this issuer.
func (l *LocalIssuer) Issuer() Issuer {
	return Issuer{Name: LocalIssuerName, Audiences: []string{LocalAudience}, JWKS: "file:" + l.jwks, OperatorRole: LocalOperatorRole}
}

// Claims are what a local token says about its bearer.
type Claims struct {
	Subject string
	Name    string
	Email   string
	Groups  []string // a workspace's members give roles to groups
	Roles   []string // LocalOperatorRole makes an operator
}

// Sign makes a token that is valid for ttl from now.
func (l *LocalIssuer) Sign(c Claims, ttl time.Duration) (string, error) {
	if c.Subject == "" {
		return "", errors.New("a token needs a subject")
	}
	now := time.Now()
	m := jwt.MapClaims{
		"iss": LocalIssuerName, "aud": LocalAudience, "sub": c.Subject,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(ttl).Unix(),
	}
	for name, v := range map[string]string{"name": c.Name, "email": c.Email} {
		if v != "" {
			m[name] = v
		}
	}
	if len(c.Groups) > 0 {
		m["groups"] = c.Groups
	}
	if len(c.Roles) > 0 {
		m["roles"] = c.Roles
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, m)
	t.Header["kid"] = l.kid
	return t.SignedString(l.key)
}

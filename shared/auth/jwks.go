package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

const (
	maxJWKSBytes = 1 << 20
	maxJWKSKeys  = 200
	minRSABits   = 2048
	maxRSABits   = 8192

	// keysFresh is how long keys are used without asking again, so that a key
	// the issuer has withdrawn stops working.
	keysFresh = time.Hour
	// keysStale is how long keys are used while the issuer cannot be reached.
	keysStale = 24 * time.Hour
	// keysPause is the least time between two fetches: tokens that name
	// unknown keys cannot make us hammer the issuer.
	keysPause = 10 * time.Second
	// keysTimeout bounds one fetch.
	keysTimeout = 10 * time.Second
)

// keySet is the cached keys of one issuer.
type keySet struct {
	location string // https URL or file:path
	client   *http.Client

	mu      sync.Mutex
	keys    []publicKey
	fetched time.Time // of keys; zero = never
	tried   time.Time // last start of a fetch
	failure error     // of the last fetch
	flight  chan struct{}
}

// publicKey is one verification key. Its family fixes the algorithms it may
// verify, so that a token cannot choose how its key is used.
type publicKey struct {
	kid string
	alg string // "" = any of the family
	key crypto.PublicKey
}

func (k publicKey) fits(alg string) bool {
	if k.alg != "" {
		return k.alg == alg
	}
	switch p := k.key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == "ES256" && p.Curve == elliptic.P256() || alg == "ES384" && p.Curve == elliptic.P384()
	}
	return false
}

// find returns the issuer's key called kid for alg. It fetches when the keys
// are old or the key is unknown, once at a time and not more often than every
// keysPause. A key that is not there is (nil, nil); keys that cannot be had
// are fault.Unavailable.
func (s *keySet) find(ctx context.Context, kid, alg string) (crypto.PublicKey, error) {
	for waited := false; ; waited = true {
		s.mu.Lock()
		now := time.Now()
		key, age := s.lookup(kid, alg), now.Sub(s.fetched)
		done := s.flight
		switch {
		case key != nil && age < keysFresh:
			s.mu.Unlock()
			return key, nil
		case done == nil && (waited || now.Sub(s.tried) < keysPause):
			failure := s.failure
			s.mu.Unlock()
			switch {
			case key != nil && age < keysStale:
				return key, nil
			case failure != nil:
				return nil, fault.New(fault.Unavailable, "ServiceUnavailable", "the keys of the token's issuer cannot be read at present").Because(failure)
			}
			return nil, nil
		case done == nil:
			done = make(chan struct{})
			s.flight, s.tried = done, now
			go s.refresh(done)
		}
		s.mu.Unlock()
		if key != nil && age < keysStale {
			return key, nil // refreshed behind the caller's back
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, fault.Wrap(ctx.Err(), fault.Timeout, "wait for the issuer's keys")
		}
	}
}

func (s *keySet) lookup(kid, alg string) crypto.PublicKey {
	for _, k := range s.keys {
		if k.kid == kid && k.fits(alg) {
			return k.key
		}
	}
	return nil
}

// refresh fetches the keys. It belongs to no caller: one that goes away does
// not spoil the fetch for the others.
func (s *keySet) refresh(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.keys, s.fetched = keys, time.Now()
	}
	s.failure, s.flight = err, nil
	close(done)
}

func (s *keySet) fetch(ctx context.Context) ([]publicKey, error) {
	if path, ok := strings.CutPrefix(s.location, "file:"); ok {
		body, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return parseJWKS(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set at %s answered %s", req.URL.Host, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, err
	}
	return parseJWKS(body)
}

// jwk is one key of a JSON Web Key Set (RFC 7517).
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Use string `json:"use,omitempty"`
	Alg string `json:"alg,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

type jwks struct {
	Keys []jwk `json:"keys"`
}

// parseJWKS reads a key set. Keys of kinds we do not verify with are skipped,
// as the standard asks; a set without one usable key is an error.
func parseJWKS(body []byte) ([]publicKey, error) {
	if len(body) > maxJWKSBytes {
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxJWKSBytes)
	}
	var set jwks
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the key set is not JSON: %w", err)
	}
	if len(set.Keys) > maxJWKSKeys {
		return nil, fmt.Errorf("the key set has %d keys: at most %d are read", len(set.Keys), maxJWKSKeys)
	}
	var keys []publicKey
	var skipped error
	for i, k := range set.Keys {
		if k.Kid == "" || k.Use != "" && k.Use != "sig" || k.Kty != "RSA" && k.Kty != "EC" {
			continue
		}
		key, err := k.public()
		if err != nil {
			skipped = fmt.Errorf("key %d: %w", i+1, err)
			continue
		}
		keys = append(keys, publicKey{k.Kid, k.Alg, key})
	}
	if len(keys) == 0 {
		if skipped != nil {
			return nil, fmt.Errorf("the key set has no usable key: %w", skipped)
		}
		return nil, fmt.Errorf("the key set has no usable key")
	}
	return keys, nil
}

func (k *jwk) public() (crypto.PublicKey, error) {
	num := func(name, s string) ([]byte, error) {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(b) == 0 {
			return nil, fmt.Errorf("%s is not base64url", name)
		}
		return b, nil
	}
	if k.Kty == "RSA" {
		n, err := num("n", k.N)
		if err != nil {
			return nil, err
		}
		e, err := num("e", k.E)
		if err != nil {
			return nil, err
		}
		mod, exp := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
		if b := mod.BitLen(); b < minRSABits || b > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits: %d to %d are accepted", b, minRSABits, maxRSABits)
		}
		if exp.BitLen() > 31 || exp.Int64() < 3 || exp.Bit(0) == 0 {
			return nil, fmt.Errorf("an RSA exponent that is even, or out of 3 to 2^31-1")
		}
		return &rsa.PublicKey{N: mod, E: int(exp.Int64())}, nil
	}
	var curve elliptic.Curve
	switch k.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	default:
		return nil, fmt.Errorf("curve %q: P-256 and P-384 are accepted", k.Crv)
	}
	x, err := num("x", k.X)
	if err != nil {
		return nil, err
	}
	y, err := num("y", k.Y)
	if err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) > size || len(y) > size {
		return nil, fmt.Errorf("a coordinate longer than the curve's %d bytes", size)
	}
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	return ecdsa.ParseUncompressedPublicKey(curve, point) // checks that it is on the curve
}

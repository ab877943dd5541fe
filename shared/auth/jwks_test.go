package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/portico-ml/portico/shared/fault"
)

func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, stub := testVerifier(t)
		verify := func(k *ecdsa.PrivateKey, id string) error {
			_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, k, kid(id), goodClaims()))
			return err
		}
		next := mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		if err := verify(p256Key(), "p256"); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := verify(next, "next"); !fault.Is(err, fault.Unauthorized) {
				t.Fatalf("unknown key: %v", err)
			}
		}
		if n := stub.count(); n != 1 {
			t.Fatalf("%d fetches for 100 unknown keys, want 1", n)
		}

		// The issuer adds the key: seen once the pause is over, not before.
		stub.set(setA, setOf(ecJWK("p256", "P-256", &p256Key().PublicKey), ecJWK("next", "P-256", &next.PublicKey)))
		time.Sleep(keysPause)
		if err := verify(next, "next"); err != nil {
			t.Fatalf("after rotation: %v", err)
		}
		if n := stub.count(); n != 2 {
			t.Fatalf("%d fetches, want 2", n)
		}

		// The issuer withdraws the old key: it dies within the hour, and the
		// call that finds the keys old does not wait for the new ones.
		stub.set(setA, setOf(ecJWK("next", "P-256", &next.PublicKey)))
		time.Sleep(keysFresh)
		if err := verify(p256Key(), "p256"); err != nil {
			t.Fatalf("the call that refreshes: %v", err)
		}
		synctest.Wait()
		if err := verify(p256Key(), "p256"); !fault.Is(err, fault.Unauthorized) {
			t.Fatalf("withdrawn key: %v", err)
		}

		// The issuer is down: known keys serve for a day, then nothing does.
		stub.mu.Lock()
		stub.down = errors.New("connection refused")
		stub.mu.Unlock()
		time.Sleep(keysStale - time.Minute)
		if err := verify(next, "next"); err != nil {
			t.Fatalf("issuer down: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if err := verify(next, "next"); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("issuer down for a day: %v", err)
		}
		stub.mu.Lock()
		stub.down = nil
		stub.mu.Unlock()
		time.Sleep(keysPause)
		if err := verify(next, "next"); err != nil {
			t.Fatalf("issuer back: %v", err)
		}
	})
}

func TestKeysSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, stub := testVerifier(t)
		stub.delay = time.Second
		token := sign(t, jwt.SigningMethodES256, p256Key(), kid("p256"), goodClaims())
		gone, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		errs := make([]error, 50)
		wg.Go(func() {
			if _, err := v.Verify(gone, token); !fault.Is(err, fault.Canceled) {
				t.Errorf("a caller who went away: %v", err)
			}
		})
		synctest.Wait()
		cancel() // the first caller leaves; the others still get their keys
		for i := range errs {
			wg.Go(func() { _, errs[i] = v.Verify(t.Context(), token) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if n := stub.count(); n != 1 {
			t.Errorf("%d fetches at once, want 1", n)
		}
	})
}

func TestKeysUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, stub := testVerifier(t)
		token := sign(t, jwt.SigningMethodES256, p256Key(), kid("p256"), goodClaims())
		for name, body := range map[string][]byte{
			"missing": nil, "not JSON": []byte("<html>"), "empty": []byte("{}"),
			"huge":           []byte(`{"keys":[` + strings.Repeat(" ", maxJWKSBytes) + `]}`),
			"many":           setOf(make([]jwk, maxJWKSKeys+1)...),
			"symmetric only": []byte(`{"keys":[{"kty":"oct","kid":"p256","k":"c2VjcmV0"}]}`),
		} {
			stub.set(setA, body)
			time.Sleep(keysPause)
			if _, err := v.Verify(t.Context(), token); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: err %v, want Unavailable", name, err)
			}
		}
		stub.set(setA, setOf(ecJWK("p256", "P-256", &p256Key().PublicKey)))
		stub.delay = time.Hour // answers never
		time.Sleep(keysPause)
		start := time.Now()
		if _, err := v.Verify(t.Context(), token); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a key set that never comes: %v", err)
		}
		if d := time.Since(start); d != keysTimeout {
			t.Errorf("waited %v for a key set that never comes, want %v", d, keysTimeout)
		}
	})
}

func TestParseJWKS(t *testing.T) {
	small := mustKey(rsa.GenerateKey(rand.Reader, 2048)).PublicKey
	small.N = new(big.Int).Rsh(small.N, 1024)
	offCurve := ecJWK("k", "P-256", &p256Key().PublicKey)
	offCurve.Y = offCurve.X
	encrypt := rsaJWK("k", &rsaKey().PublicKey)
	encrypt.Use = "enc"
	even := rsaJWK("k", &rsaKey().PublicKey)
	even.E = b64([]byte{4})
	padded := ecJWK("k", "P-256", &p256Key().PublicKey)
	padded.X += "="
	for _, tt := range []struct {
		name string
		key  jwk
	}{
		{"RSA of 1024 bits", rsaJWK("k", &small)},
		{"even exponent", even},
		{"point off the curve", offCurve},
		{"padded base64", padded},
		{"curve P-521", ecJWK("k", "P-521", &p521Key().PublicKey)},
		{"curve named wrongly", ecJWK("k", "P-384", &p256Key().PublicKey)},
		{"for encryption", encrypt},
		{"without kid", ecJWK("", "P-256", &p256Key().PublicKey)},
	} {
		if keys, err := parseJWKS(setOf(tt.key)); err == nil {
			t.Errorf("%s: accepted as %v", tt.name, keys)
		}
	}
	// A bad key does not spoil the others.
	keys, err := parseJWKS(setOf(offCurve, rsaJWK("good", &rsaKey().PublicKey)))
	if err != nil || len(keys) != 1 || keys[0].kid != "good" {
		t.Errorf("keys %v, %v", keys, err)
	}
	pub := keys[0].key
	if !rsaKey().PublicKey.Equal(pub) {
		t.Error("the key read is another")
	}
	// alg pins the algorithm.
	pinned := rsaJWK("k", &rsaKey().PublicKey)
	pinned.Alg = "RS512"
	keys, err = parseJWKS(setOf(pinned))
	if err != nil || keys[0].fits("RS256") || !keys[0].fits("RS512") {
		t.Errorf("a key for RS512: %v, %v", keys, err)
	}
}

func FuzzParseJWKS(f *testing.F) {
	f.Add(setOf(ecJWK("k", "P-256", &p256Key().PublicKey)))
	f.Add(setOf(rsaJWK("k", &rsaKey().PublicKey)))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseJWKS(body)
		if err == nil && len(keys) == 0 {
			t.Error("no key and no error")
		}
	})
}

package auth

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
)

func TestLocalIssuer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "auth")
	// Two processes of one installation may start at once.
	issuers := make([]*LocalIssuer, 8)
	var wg sync.WaitGroup
	for i := range issuers {
		wg.Go(func() {
			l, err := NewLocalIssuer(dir)
			if err != nil {
				t.Error(err)
			}
			issuers[i] = l
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	v, err := NewVerifier(Options{Issuers: []Issuer{issuers[0].Issuer()}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range issuers {
		tok, err := l.Sign(Claims{Subject: "ada", Name: "Ada", Groups: []string{"deployers"}, Roles: []string{LocalOperatorRole}}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), tok)
		want := Identity{Issuer: LocalIssuerName, Subject: "ada", Name: "Ada", Groups: []string{"deployers"}, Operator: true}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(err, d)
		}
	}
	if _, err := issuers[0].Sign(Claims{}, time.Hour); err == nil {
		t.Error("signed a token without subject")
	}
	short, _ := issuers[0].Sign(Claims{Subject: "ada"}, -time.Hour)
	if _, err := v.Verify(t.Context(), short); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("expired local token: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if want := []string{"issuer.jwks.json", "issuer.key.pem"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	// The public file holds no private part; another installation's tokens fail.
	f, err := os.Open(filepath.Join(dir, "issuer.jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if body, _ := io.ReadAll(f); strings.Contains(string(body), `"d"`) {
		t.Error("the key set holds the private key")
	}
	other, err := NewLocalIssuer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tok, _ := other.Sign(Claims{Subject: "ada"}, time.Hour)
	if _, err := v.Verify(t.Context(), tok); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("token of another installation: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "issuer.key.pem"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewLocalIssuer(dir); err == nil || !strings.Contains(err.Error(), "issuer.key.pem") {
		t.Errorf("a damaged key file: %v", err)
	}
}

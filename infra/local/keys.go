package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/config"
)

// keys are the secrets of a local installation.
type keys struct {
	master string // value of PORTICO_MASTER_KEYS
	issuer *auth.LocalIssuer
}

// openKeys reads the keys of a data folder, making what is missing.
func openKeys(data string) (*keys, error) {
	dir, err := filepath.Abs(filepath.Join(data, "keys"))
	if err != nil {
		return nil, err
	}
	issuer, err := auth.NewLocalIssuer(dir)
	if err != nil {
		return nil, err
	}
	master, err := masterKeys(filepath.Join(dir, "master"))
	if err != nil {
		return nil, err
	}
	return &keys{master: master, issuer: issuer}, nil
}

// masterKeys reads the ring, or makes one of a single key. Two processes that
// start at once end up with the same.
func masterKeys(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var key [32]byte
	rand.Read(key[:])
	tmp, err := os.CreateTemp(filepath.Dir(path), "master-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = fmt.Fprintf(tmp, "k1:%s\n", base64.StdEncoding.EncodeToString(key[:]))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	b, err = os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// settings are the app settings of a local installation, without its storage.
func (k *keys) settings(publicURL string) (map[string]string, error) {
	is := k.issuer.Issuer()
	issuers, err := json.Marshal([]config.Issuer{{Issuer: is.Name, Audiences: is.Audiences, JWKS: is.JWKS, OperatorRole: is.OperatorRole}})
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"PORTICO_MASTER_KEYS": k.master,
		"PORTICO_ISSUERS":     string(issuers),
		"PORTICO_PUBLIC_URL":  publicURL,
		// Above our own limit, so that the refusal is ours.
		"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1073741824",
	}, nil
}

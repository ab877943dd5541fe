package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"

	"github.com/portico-ml/portico/shared/fault"
)

// A sealed text is
//
//	version 1 | length of entry name | entry name | 32 bytes of salt | AES-256-GCM
//
// Its key is HKDF-SHA512(master key, salt, "portico/1\0job-seal"), used once, so
// the nonce is zero and the number of texts sealed under a ring has no bound.
// What stands before the ciphertext is authenticated with the caller's data.
const (
	sealVersion = 1
	sealSalt    = 32
	sealInfo    = "portico/1\x00job-seal"
)

// Seal encrypts plaintext under the ring's current entry. Open gives it back
// only to who presents the same ad, which should name where the sealed text is
// kept: then it is of no use anywhere else.
func (r *Ring) Seal(plaintext, ad []byte) []byte {
	e := &r.entries[0]
	head := append([]byte{sealVersion, byte(len(e.Name))}, e.Name...)
	head = append(head, make([]byte, sealSalt)...)
	salt := head[len(head)-sealSalt:]
	rand.Read(salt)
	g := sealer(e.Key, salt)
	return g.Seal(head, make([]byte, g.NonceSize()), plaintext, append(append([]byte{}, head...), ad...))
}

// Open decrypts what Seal made. A text that was changed, or sealed for another
// place, is fault.Internal; one whose ring entry is gone is fault.Unavailable.
func (r *Ring) Open(sealed, ad []byte) ([]byte, error) {
	name, ok := sealedBy(sealed)
	if !ok {
		return nil, fault.New(fault.Internal, "", "a sealed text has no valid head")
	}
	e := r.find(name)
	if e == nil {
		return nil, r.Missing(name)
	}
	n := 2 + len(name) + sealSalt
	head := sealed[:n:n]
	g := sealer(e.Key, head[n-sealSalt:])
	plain, err := g.Open(nil, make([]byte, g.NonceSize()), sealed[n:], append(append([]byte{}, head...), ad...))
	if err != nil {
		return nil, fault.New(fault.Internal, "", "a sealed text does not open: it was changed, or sealed for another place")
	}
	return plain, nil
}

// sealedBy names the ring entry that sealed a text.
func sealedBy(sealed []byte) (entry string, ok bool) {
	if len(sealed) < 2 || sealed[0] != sealVersion {
		return "", false
	}
	n := int(sealed[1])
	if len(sealed) < 2+n+sealSalt {
		return "", false
	}
	return string(sealed[2 : 2+n]), true
}

func sealer(master, salt []byte) cipher.AEAD {
	key, err := hkdf.Key(sha512.New, master, salt, sealInfo, 32)
	if err != nil {
		panic("auth: hkdf: " + err.Error()) // only for a length beyond HKDF's limit
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("auth: aes: " + err.Error()) // only for a wrong key length
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		panic("auth: gcm: " + err.Error()) // only for another block size
	}
	return g
}

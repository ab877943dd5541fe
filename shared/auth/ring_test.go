package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

const setting = "PORTICO_TEST_RING"

func testRing(t testing.TB, names ...string) *Ring {
	t.Helper()
	var keys []MasterKey
	for i, n := range names {
		keys = append(keys, MasterKey{n, bytes.Repeat([]byte{byte(i + 1), 7}, 32)})
	}
	r, err := NewRing(setting, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDerive(t *testing.T) {
	r := testRing(t, "k2", "k1")
	base := func() (string, string, string, string, string, int64) {
		return "k2", EndpointKey, "ws", "ep", Primary, 1_700_000_000
	}
	key := r.Derive(base())
	if len(key) != 88 || !strings.HasSuffix(key, "==") {
		t.Errorf("key %q is not 88 characters ending in ==", key)
	}
	if again := r.Derive(base()); again != key {
		t.Error("the same arguments gave another key")
	}
	// The formula is a promise: a change of it kills every client's key.
	m := hmac.New(sha512.New, bytes.Repeat([]byte{1, 7}, 32))
	m.Write([]byte("portico/1\x00endpoint-key\x00ws\x00ep\x00primary\x001700000000"))
	if want := base64.StdEncoding.EncodeToString(m.Sum(nil)); key != want {
		t.Errorf("key = %s, want %s", key, want)
	}

	seen := map[string]string{key: "base"}
	for name, k := range map[string]string{
		"entry":      r.Derive("k1", EndpointKey, "ws", "ep", Primary, 1_700_000_000),
		"kind":       r.Derive("k2", WorkspaceToken, "ws", "ep", Primary, 1_700_000_000),
		"workspace":  r.Derive("k2", EndpointKey, "ws2", "ep", Primary, 1_700_000_000),
		"id":         r.Derive("k2", EndpointKey, "ws", "ep2", Primary, 1_700_000_000),
		"slot":       r.Derive("k2", EndpointKey, "ws", "ep", Secondary, 1_700_000_000),
		"generation": r.Derive("k2", EndpointKey, "ws", "ep", Primary, 1_700_000_001),
		"shifted":    r.Derive("k2", EndpointKey, "wse", "p", Primary, 1_700_000_000),
	} {
		if other, dup := seen[k]; dup {
			t.Errorf("%s gives the key of %s", name, other)
		}
		seen[k] = name
	}

	for _, k := range []string{
		r.Derive("gone", EndpointKey, "ws", "ep", Primary, 1),
		r.Derive("", EndpointKey, "ws", "ep", Primary, 1),
		r.Derive("k1", EndpointKey, "ws\x00ep", "", Primary, 1), // would be the key of ("ws", "ep", "", …)
	} {
		if k != "" {
			t.Errorf("derived %q from nothing", k)
		}
	}
}

func TestNewRing(t *testing.T) {
	good, short, same := bytes.Repeat([]byte{1, 2}, 16), bytes.Repeat([]byte{1, 2}, 15), make([]byte, 64)
	for _, tt := range []struct {
		name string
		keys []MasterKey
		want string
	}{
		{"empty", nil, "holds no master key"},
		{"no name", []MasterKey{{"", good}}, "the name of key 1"},
		{"bad name", []MasterKey{{"k1", good}, {"K_1", good}}, "the name of key 2"},
		{"long name", []MasterKey{{strings.Repeat("a", 33), good}}, "the name of key 1"},
		{"too short", []MasterKey{{"k1", short}}, `key "k1" (fingerprint ` + fingerprint(short) + `) has 30 bytes`},
		{"constant", []MasterKey{{"k1", same}}, `key "k1" (fingerprint ` + fingerprint(same) + `) repeats one byte`},
		{"twice", []MasterKey{{"k1", good}, {"k1", good}}, `two keys are called "k1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewRing(setting, tt.keys...)
			if err == nil {
				t.Fatalf("accepted as %v", r)
			}
			e := fault.Of(err)
			if e.Kind != fault.Unavailable || !strings.Contains(e.Msg, tt.want) || !strings.Contains(e.Msg, setting) {
				t.Errorf("err = %v, want it to name %s and say %q", err, setting, tt.want)
			}
		})
	}

	r := testRing(t, "new", "old")
	if got := r.Names(); !slices.Equal(got, []string{"new", "old"}) || r.Current() != "new" {
		t.Errorf("names %v, current %s", got, r.Current())
	}
	for _, f := range []string{"%v", "%+v", "%s", "%#v"} {
		if s := fmt.Sprintf(f, r); s != "ring(new, old)" {
			t.Errorf("%s prints %s", f, s)
		}
	}
	if fingerprint(good) == fingerprint(short) {
		t.Error("two keys have one fingerprint")
	}
}

func TestMarks(t *testing.T) {
	a, b := testRing(t, "k1", "k2").Marks(), testRing(t, "k2", "k1").Marks() // testRing's keys go by position
	if len(a) != 2 || len(a["k1"]) != 16 || a["k1"] == a["k2"] {
		t.Errorf("marks %v", a)
	}
	if a["k1"] == b["k1"] || a["k2"] == b["k2"] {
		t.Error("another key has the same mark")
	}
	if c := testRing(t, "k1", "k2", "k3").Marks(); c["k1"] != a["k1"] || c["k2"] != a["k2"] {
		t.Error("a mark changes with the ring around it")
	}
}

func TestNextSlot(t *testing.T) {
	r := testRing(t, "k2", "k1")
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	if got, want := r.NewSlot(at(100)), (Slot{"k2", 100}); got != want {
		t.Errorf("NewSlot = %v, want %v", got, want)
	}
	for _, tt := range []struct{ gen, now, want int64 }{
		{100, 100, 101}, // twice within a second
		{101, 100, 102}, // the clock stands
		{100, 50, 101},  // the clock went back
		{100, 500, 500},
	} {
		if got, want := r.Next(Slot{"k1", tt.gen}, at(tt.now)), (Slot{"k2", tt.want}); got != want {
			t.Errorf("Next(%d) at %d = %v, want %v", tt.gen, tt.now, got, want)
		}
	}
}

func TestMatchToken(t *testing.T) {
	r := testRing(t, "k1")
	tokens := Tokens{r.NewSlot(time.Unix(10, 0)), r.NewSlot(time.Unix(20, 0))}
	p, s, err := r.WorkspaceTokens("w1", tokens)
	if err != nil {
		t.Fatal(err)
	}
	otherP, _, _ := r.WorkspaceTokens("w2", tokens)
	if p == s || p == otherP {
		t.Fatal("two tokens are equal")
	}
	for _, tt := range []struct{ token, key string }{
		{p, "token:w1:primary"},
		{s, "token:w1:secondary"},
		{otherP, ""},
		{"", ""},
		{p + "=", ""},
		{p[:len(p)-1], ""},
	} {
		id, err := r.MatchToken("w1", tt.token, tokens)
		if tt.key == "" {
			if !fault.Is(err, fault.Unauthorized) {
				t.Errorf("token %.8s…: err %v, want Unauthorized", tt.token, err)
			}
			continue
		}
		if err != nil || id.Key() != tt.key {
			t.Errorf("identity %q, %v; want %q", id.Key(), err, tt.key)
		}
		if ws, ok := id.TokenWorkspace(); ws != "w1" || !ok {
			t.Errorf("TokenWorkspace = %q, %v", ws, ok)
		}
	}
	tokens.Primary.Entry = "gone"
	if _, err := r.MatchToken("w1", s, tokens); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a ring without the entry: err %v, want Unavailable", err)
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		got, want string
		equal     bool
	}{{"a", "a", true}, {"a", "b", false}, {"", "", false}, {"a", "", false}, {"", "a", false}} {
		if equal(tt.got, tt.want) != tt.equal {
			t.Errorf("equal(%q, %q) = %v", tt.got, tt.want, !tt.equal)
		}
	}
}

func TestSeal(t *testing.T) {
	r := testRing(t, "k2", "k1")
	secret, ad := []byte("sv=2024&sig=hunter2"), []byte("ws/job/input1")
	sealed := r.Seal(secret, ad)
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Fatal("the sealed text shows the secret")
	}
	if bytes.Equal(sealed, r.Seal(secret, ad)) {
		t.Error("sealing twice gives the same text")
	}
	if by, ok := sealedBy(sealed); by != "k2" || !ok {
		t.Errorf("sealedBy = %q, %v", by, ok)
	}
	if got, err := r.Open(sealed, ad); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("Open = %q, %v", got, err)
	}
	if got, err := testRing(t, "k2", "x", "y").Open(sealed, ad); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("with entries added: %q, %v", got, err)
	}
	if _, err := r.Open(sealed, []byte("ws/job/input2")); !fault.Is(err, fault.Internal) {
		t.Errorf("opened at another place: %v", err)
	}
	if _, err := testRing(t, "new").Open(sealed, ad); !fault.Is(err, fault.Unavailable) {
		t.Errorf("opened without its ring entry: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := r.Open(bad, ad); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
		if _, err := r.Open(sealed[:i], ad); err == nil {
			t.Errorf("opened the first %d bytes", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := testRing(f, "k1")
	f.Add(r.Seal([]byte("x"), nil))
	f.Add([]byte{sealVersion, 255})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := r.Open(sealed, []byte("elsewhere"))
		if err == nil {
			t.Errorf("forged %q", plain)
		}
	})
}

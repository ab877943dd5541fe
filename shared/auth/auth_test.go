package auth

import (
	"net/http"
	"testing"
)

func TestRoleText(t *testing.T) {
	for _, r := range []Role{None, Reader, Author, Deployer, Owner} {
		b, err := r.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Role
		if err := back.UnmarshalText(b); err != nil || back != r {
			t.Errorf("%s reads back as %v, %v", b, back, err)
		}
	}
	if !(None < Reader && Reader < Author && Author < Deployer && Deployer < Owner) {
		t.Error("roles are out of order")
	}
	var r Role
	for _, bad := range []string{"", "Owner", "admin"} {
		if err := r.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("role %q was accepted", bad)
		}
	}
	if got := Role(200).String(); got != "none" {
		t.Errorf("Role(200) = %s", got)
	}
}

func TestBearerToken(t *testing.T) {
	for _, tt := range []struct{ header, want string }{
		{"Bearer abc==", "abc=="},
		{"bearer abc==", "abc=="},
		{"BEARER abc==", "abc=="},
		{"  Bearer    abc==  ", "abc=="},
		{"Bearer\tabc==", "abc=="},
		{"Bearer", ""},
		{"Bearer ", ""},
		{"Bearerabc", ""},
		{"Basic abc", ""},
		{"abc==", ""},
		{"", ""},
	} {
		r := &http.Request{Header: http.Header{"Authorization": {tt.header}}}
		if got := BearerToken(r); got != tt.want {
			t.Errorf("BearerToken(%q) = %q, want %q", tt.header, got, tt.want)
		}
	}
	r := &http.Request{Header: http.Header{"Authorization": {"bearer  abc=="}}}
	if n := testing.AllocsPerRun(100, func() { BearerToken(r) }); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

func TestIdentityKey(t *testing.T) {
	a := Identity{Issuer: "https://i", Subject: "s"}
	if a.Key() != "https://i|s" {
		t.Errorf("Key = %q", a.Key())
	}
	if _, ok := a.TokenWorkspace(); ok {
		t.Error("an issuer's identity passes for a workspace token")
	}
	// An issuer may call a subject whatever it likes.
	forged := Identity{Issuer: "https://i", Subject: "token:ws:primary"}
	if _, ok := forged.TokenWorkspace(); ok || forged.Key() == TokenIdentity("ws", Primary).Key() {
		t.Error("a subject passes for a workspace token")
	}
	for _, tt := range []struct {
		id   Identity
		want string
	}{
		{Identity{Subject: "s", Name: "Ada", Email: "a@x"}, "Ada"},
		{Identity{Subject: "s", Email: "a@x"}, "a@x"},
		{Identity{Subject: "s"}, "s"},
	} {
		if got := tt.id.Display(); got != tt.want {
			t.Errorf("Display(%+v) = %q", tt.id, got)
		}
	}
}

package links_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/links"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func signer(secrets ...string) *links.Signer {
	return &links.Signer{
		Base: func() string { return "https://portico.example.com/" },
		Secrets: func(context.Context) ([][]byte, error) {
			var out [][]byte
			for _, s := range secrets {
				out = append(out, []byte(s))
			}
			return out, nil
		},
	}
}

func sign(t *testing.T, s *links.Signer, container, key, perm string) *url.URL {
	t.Helper()
	u, err := s.Sign(t.Context(), container, key, perm, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if u.Base != "https://portico.example.com/blobs/" || u.Path != container+"/"+key || !strings.HasPrefix(u.Query, "?") {
		t.Errorf("link %+v", u)
	}
	parsed, err := url.Parse(u.String())
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestSecretsRotate(t *testing.T) {
	u := sign(t, signer("old"), "portico", "w1/a", links.Read)
	for name, tt := range map[string]struct {
		s    *links.Signer
		good bool
	}{
		"the same":               {signer("old"), true},
		"a new one before it":    {signer("new", "old"), true},
		"after it is retired":    {signer("new"), false},
		"without any secret yet": {signer(), false},
	} {
		err := tt.s.Verify(t.Context(), "portico", "w1/a", u.Query(), links.Read)
		if (err == nil) != tt.good || err != nil && !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsMayFail(t *testing.T) {
	if _, err := signer().Sign(t.Context(), "portico", "w1/a", links.Read, time.Now()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("sign without a secret: %v", err)
	}
	down := fault.New(fault.Unavailable, "", "the ring cannot be read")
	s := &links.Signer{Base: func() string { return "https://h" }, Secrets: func(context.Context) ([][]byte, error) { return nil, down }}
	if _, err := s.Sign(t.Context(), "portico", "w1/a", links.Read, time.Now()); !errors.Is(err, down) {
		t.Errorf("sign: %v", err)
	}
	if err := s.Verify(t.Context(), "portico", "w1/a", nil, links.Read); !errors.Is(err, down) {
		t.Errorf("verify: %v", err)
	}
}

func TestOwn(t *testing.T) {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s := signer("secret")
	read := sign(t, s, "portico", "w1/in/a.csv", links.Read)
	write := sign(t, s, "dropdone", "w1/out.csv", links.Write)
	with := func(u *url.URL, change func(*url.URL)) *url.URL {
		c := *u
		change(&c)
		return &c
	}
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, tt := range map[string]struct {
		u     *url.URL
		write bool
		own   bool
		kind  fault.Kind // of the error of what is own; Internal for none
		blobs storage.Blobs
		key   string
	}{
		"read":                {read, false, true, fault.Internal, st.Blobs, "w1/in/a.csv"},
		"write":               {write, true, true, fault.Internal, st.DropDone, "w1/out.csv"},
		"escaped slashes":     {parse(strings.Replace(read.String(), "w1/in/", "w1%2Fin%2F", 1)), false, true, fault.Internal, st.Blobs, "w1/in/a.csv"},
		"under another name":  {with(read, func(u *url.URL) { u.Host = "127.0.0.1:7071" }), false, true, fault.Internal, st.Blobs, "w1/in/a.csv"},
		"write by a read one": {read, true, true, fault.Forbidden, nil, ""},
		"another blob":        {with(read, func(u *url.URL) { u.Path += "x" }), false, true, fault.Forbidden, nil, ""},
		"no signature":        {with(read, func(u *url.URL) { u.RawQuery = "" }), false, true, fault.Forbidden, nil, ""},
		"our other addresses": {parse("https://PORTICO.example.com/manage/workspaces"), false, true, fault.BadArgument, nil, ""},
		"no such container":   {parse("https://portico.example.com/blobs/other/a?sig=x"), false, true, fault.BadArgument, nil, ""},
		"a container alone":   {parse("https://portico.example.com/blobs/portico"), false, true, fault.BadArgument, nil, ""},
		"Azure":               {parse("https://account.blob.core.windows.net/data/in.csv?sv=1&sp=r&sig=x"), false, false, 0, nil, ""},
		"Azure, looks alike":  {parse("https://account.blob.core.windows.net/blobs/portico/in.csv?sv=1&sp=r&sig=eA%3D%3D"), false, false, 0, nil, ""},
		"Azure, no signature": {parse("https://account.blob.core.windows.net/blobs/portico/in.csv"), false, false, 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, key, own, err := s.Own(t.Context(), st.Store, tt.u, tt.write)
			if own != tt.own {
				t.Fatalf("own %v, %v", own, err)
			}
			if tt.kind == fault.Internal {
				if err != nil || b != tt.blobs || key != tt.key {
					t.Errorf("%v %q %v", b, key, err)
				}
				return
			}
			if !fault.Is(err, tt.kind) || strings.Contains(err.Error(), "sig=") {
				t.Errorf("%v, want %v", err, tt.kind)
			}
		})
	}
}

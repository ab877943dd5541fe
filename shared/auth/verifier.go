package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/portico-ml/portico/shared/fault"
)

const (
	// maxToken bounds a token before anything of it is decoded.
	maxToken = 16 << 10
	// clockSkew is how far an issuer's clock may differ from ours.
	clockSkew = 2 * time.Minute
)

// algorithms are those accepted: asymmetric ones only. A shared secret is
// never a key here, so a public key cannot be used as one.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"}

// Issuer is a trusted maker of tokens.
type Issuer struct {
	// Name is the exact value of the claim iss.
	Name string
	// Audiences are the values of the claim aud that mean us; one must be in
	// the token.
	Audiences []string
	// JWKS is where the issuer's keys are: an https URL, or file:path for a
	// process that serves this machine only.
	JWKS string
	// OperatorRole is the value of the claim roles that grants the operator
	// role; empty = no token of this issuer does.
	OperatorRole string
}

// Options are the parts of a Verifier.
type Options struct {
	Issuers []Issuer
	// Client fetches key sets; required where an issuer has an https one.
	Client *http.Client
	// Cloud says that a cloud runs this process; Listen is the address on
	// which it does. A file: key set is refused in a cloud, and unless Listen
	// is a loopback address.
	Cloud  bool
	Listen string
}

// Verifier checks bearer tokens of the issuers it trusts.
type Verifier struct {
	issuers map[string]*issuer
	parser  *jwt.Parser
}

type issuer struct {
	Issuer
	keys *keySet
}

// NewVerifier returns a verifier; it fetches nothing yet. An error is
// fault.Unavailable and names the issuer and what is wrong with it.
func NewVerifier(o Options) (*Verifier, error) {
	v := &Verifier{
		issuers: make(map[string]*issuer, len(o.Issuers)),
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithLeeway(clockSkew),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt()),
	}
	for _, is := range o.Issuers {
		if err := is.check(o); err != nil {
			return nil, fault.New(fault.Unavailable, "ServiceUnavailable", "token issuer %q cannot be used: %v", is.Name, err)
		}
		if v.issuers[is.Name] != nil {
			return nil, fault.New(fault.Unavailable, "ServiceUnavailable", "token issuer %q is configured twice", is.Name)
		}
		v.issuers[is.Name] = &issuer{is, &keySet{location: is.JWKS, client: o.Client}}
	}
	return v, nil
}

func (is *Issuer) check(o Options) error {
	if is.Name == "" {
		return errors.New("it has no name")
	}
	if len(is.Audiences) == 0 {
		return errors.New("it has no audience")
	}
	for _, a := range is.Audiences {
		if a == "" {
			return errors.New("an audience is empty")
		}
	}
	if path, ok := strings.CutPrefix(is.JWKS, "file:"); ok {
		switch {
		case path == "":
			return errors.New("its key set file: has no path")
		case o.Cloud:
			return errors.New("a file: key set is for one machine only, and this process runs in a cloud")
		case !loopback(o.Listen):
			return fmt.Errorf("a file: key set is for one machine only, and the listener (%s) is not on loopback", o.Listen)
		}
		return nil
	}
	u, err := url.Parse(is.JWKS)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("its key set must be an https URL or file:path")
	}
	if o.Client == nil {
		return errors.New("there is no client to fetch its key set with")
	}
	return nil
}

// loopback reports whether only this machine can reach a listener on address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Verify checks a bearer token and says who presents it. A token that is not
// valid is fault.Unauthorized and says why, without repeating any of it; keys
// that cannot be fetched are fault.Unavailable.
func (v *Verifier) Verify(ctx context.Context, bearer string) (Identity, error) {
	switch {
	case bearer == "":
		return Identity{}, refuse("the call carries no token: send Authorization: Bearer and a token")
	case len(bearer) > maxToken:
		return Identity{}, refuse("the token is longer than %d bytes", maxToken)
	}
	claims := jwt.MapClaims{} // read by exact name: encoding/json would fold case
	var from *issuer
	_, err := v.parser.ParseWithClaims(bearer, claims, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, refuse("the token's header names critical extensions: none is known here")
		}
		name, _ := claims["iss"].(string)
		is := v.issuers[name]
		if is == nil {
			return nil, refuse("the token's issuer is not trusted here")
		}
		kid, _ := t.Header["kid"].(string)
		if kid == "" {
			return nil, refuse("the token does not name its key (kid)")
		}
		key, err := is.keys.find(ctx, kid, t.Method.Alg())
		if err != nil {
			return nil, err
		}
		if key == nil {
			return nil, refuse("the token's key is not one of its issuer's keys for %s", t.Method.Alg())
		}
		from = is
		return key, nil
	})
	if err != nil {
		return Identity{}, explain(err)
	}
	meant := func(aud string) bool { return slices.Contains(from.Audiences, aud) }
	if !slices.ContainsFunc(list(claims, "aud"), meant) {
		return Identity{}, refuse("the token is not for this application: its audience is another")
	}
	id := from.identity(claims)
	if id.Subject == "" {
		return Identity{}, refuse("the token names no subject (sub)")
	}
	return id, nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", format, args...)
}

// explain turns the parser's error into ours. The parser's own text is not
// shown: it may quote parts of the token.
func explain(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the token has expired: get a new one")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("the token is not valid yet: compare the clocks of the issuer and this server")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuse("the token does not say when it expires (exp)")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse("the token is not a JSON Web Token")
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return refuse("a claim of the token has no valid form")
	}
	return refuse("the token's signature is not valid, or its algorithm is none of %s", strings.Join(algorithms, ", "))
}

// identity reads who is meant from verified claims.
func (is *issuer) identity(c jwt.MapClaims) Identity {
	id := Identity{
		Issuer:  is.Name,
		Subject: text(c, "sub"),
		Name:    text(c, "name"),
		Email:   cmp.Or(text(c, "email"), text(c, "preferred_username"), text(c, "upn")),
		Groups:  list(c, "groups"),
	}
	// Entra's sub differs from application to application, and its two token
	// versions name two issuers. tid and oid name the person in both, and oid
	// is what its portal shows.
	if tid, oid := text(c, "tid"), text(c, "oid"); oid != "" && entraIssuer(is.Name, tid) {
		id.Issuer, id.Subject = "https://login.microsoftonline.com/"+tid+"/v2.0", oid
	}
	id.Operator = is.OperatorRole != "" && slices.Contains(list(c, "roles"), is.OperatorRole)
	return id
}

func entraIssuer(name, tid string) bool {
	return tid != "" && (name == "https://login.microsoftonline.com/"+tid+"/v2.0" || name == "https://sts.windows.net/"+tid+"/")
}

func text(c jwt.MapClaims, name string) string { s, _ := c[name].(string); return s }

// list reads a claim that is a string or an array of strings.
func list(c jwt.MapClaims, name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

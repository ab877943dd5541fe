package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/portico-ml/portico/functions/health"
	"github.com/portico-ml/portico/functions/home"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/connect/outside"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/guard"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/model/trees"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/links"
	"github.com/portico-ml/portico/shared/storage/sqlite"
	"github.com/portico-ml/portico/shared/telemetry"
)

// app is the wired program.
type app struct {
	telemetry *telemetry.Telemetry
	router    *web.Router
	triggers  map[string]azfunc.Trigger

	registry *registry.Registry // nil where the settings leave nothing to run
	closers  []func() error
}

// newApp wires everything. It reads and calls nothing outside the process:
// storage is opened when it is first used. own is where the process listens,
// if it does: an address that it must never be made to dial.
func newApp(cfg config.Config, problems []config.Problem, tel *telemetry.Telemetry, own net.Addr) *app {
	a := &app{telemetry: tel, triggers: map[string]azfunc.Trigger{}}
	a.router = web.NewRouter(web.Options{
		Observe:        tel.Call,
		PublicURL:      cfg.PublicURL,
		TrustForwarded: cfg.Host != config.Process,
		CORS:           cfg.CORS,
	})
	p := &parts{cfg: cfg, problems: problems}
	p.open(a)
	if own != nil {
		p.guard.Own(own)
	}
	for _, p := range p.problems {
		tel.Log.Error("a setting cannot be used", "setting", p.Setting, "reason", p.Reason, "fingerprint", p.Fingerprint)
	}
	home.New(p.problems).Register(a.router)
	health.New(p.problems, p.ping(), trees.Path()).Register(a.router)
	if len(p.problems) > 0 {
		a.refuse(p.problems[0])
		return a
	}
	a.wire(p)
	return a
}

// parts are what the functions are made of, as the settings give them.
type parts struct {
	cfg      config.Config
	problems []config.Problem

	store    *storage.Store
	ring     *auth.Ring
	guard    *guard.Dialer
	verifier *auth.Verifier
	links    *links.Signer // of the embedded store; nil with Azure Storage
	accounts []string      // hosts of our own storage accounts
	// connections are the places of the settings, by name.
	connections map[string]outside.Connection
}

// open makes the parts whose settings may turn out to be of no use.
func (p *parts) open(a *app) {
	var allow []guard.Network
	for _, n := range p.cfg.AllowNetworks {
		allow = append(allow, guard.Network{Prefix: n.Prefix, Port: n.Port})
	}
	p.guard = guard.New(guard.Rules{Allow: allow})
	var err error
	p.connections, err = outside.ParseConnections(p.cfg.Connections.Reveal())
	p.report("PORTICO_CONNECTIONS", err)
	var keys []auth.MasterKey
	for _, k := range p.cfg.MasterKeys {
		keys = append(keys, auth.MasterKey{Name: k.Name, Key: []byte(k.Key.Reveal())})
	}
	if len(keys) > 0 {
		p.ring, err = auth.NewRing("PORTICO_MASTER_KEYS", keys...)
		p.report("PORTICO_MASTER_KEYS", err)
	}
	var issuers []auth.Issuer
	for _, is := range p.cfg.Issuers {
		issuers = append(issuers, auth.Issuer{Name: is.Issuer, Audiences: is.Audiences, JWKS: is.JWKS, OperatorRole: is.OperatorRole})
	}
	p.verifier, err = auth.NewVerifier(auth.Options{
		Issuers: issuers, Client: p.guard.Client(), Cloud: p.cfg.Cloud, Listen: p.cfg.Listen,
	})
	p.report("PORTICO_ISSUERS", err)
	switch {
	case p.cfg.StoreDir != "":
		p.links = &links.Signer{Base: p.base, Secrets: p.linkSecrets}
		s, err := sqlite.Open(p.cfg.StoreDir, sqlite.Options{Sign: p.links.Sign})
		if err != nil {
			p.report("PORTICO_STORE", err)
			return
		}
		p.store = &s.Store
		a.closers = append(a.closers, s.Close)
	case p.cfg.Azure.Set():
		settings := azure.Settings{
			ConnectionString: p.cfg.Azure.Connection.Reveal(),
			AccountName:      p.cfg.Azure.AccountName,
			BlobServiceURI:   p.cfg.Azure.BlobServiceURI,
			QueueServiceURI:  p.cfg.Azure.QueueServiceURI,
			TableServiceURI:  p.cfg.Azure.TableServiceURI,
			Credential:       p.cfg.Azure.Credential,
			ClientID:         p.cfg.Azure.ClientID,
		}
		s, err := azure.Open(settings)
		if err != nil {
			p.report("AzureWebJobsStorage", err)
			return
		}
		p.store = &s.Store
		p.accounts = []string{settings.BlobHost()}
	}
	if p.store != nil && p.ring != nil {
		st := *p.store
		st.Tables = catalog.Checked(st.Tables, p.ring)
		p.store = &st
	}
}

// base is the address under which callers reach us, where no request says so.
func (p *parts) base() string {
	if p.cfg.PublicURL != "" {
		return p.cfg.PublicURL
	}
	return "http://" + p.cfg.Listen
}

// linkSecrets are the secrets of links to blobs, one per master key, so that a
// link outlives a new key.
func (p *parts) linkSecrets(context.Context) ([][]byte, error) {
	var secrets [][]byte
	for _, entry := range p.ring.Names() {
		secrets = append(secrets, []byte(p.ring.Derive(entry, auth.BlobURL, "", "", "", 0)))
	}
	return secrets, nil
}

// report notes that a setting cannot be used; the errors of what takes a
// setting name the rule and never the value.
func (p *parts) report(setting string, err error) {
	if err != nil {
		p.problems = append(p.problems, config.NewProblem(setting, "", "%s", fault.Of(err).Details()[0].Message))
	}
}

// ping returns what readiness asks of storage: one point read.
func (p *parts) ping() func(context.Context) error {
	if p.store == nil {
		return nil
	}
	return func(ctx context.Context) error {
		_, err := p.store.Tables.Get(ctx, "catalog", "health", "ping")
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
}

// metrics returns the metrics that the settings ask for; nil for none.
func metrics(cfg config.Config) *telemetry.Metrics {
	if cfg.OTLPEndpoint == "" {
		return nil
	}
	// The collector is the operator's choice and not a caller's: it usually
	// sits on this machine or in a private network.
	return telemetry.NewMetrics(telemetry.NewExporter(everywhere().Client(), cfg.OTLPEndpoint, cfg.OTLPHeaders.Reveal()), cfg.ServiceName, cfg.OTLPInterval)
}

// everywhere dials all addresses, private ones too.
func everywhere() *guard.Dialer {
	all := []guard.Network{{Prefix: netip.MustParsePrefix("0.0.0.0/0")}, {Prefix: netip.MustParsePrefix("::/0")}}
	return guard.New(guard.Rules{Allow: all})
}

// refuse answers every call but home and health with the setting to put right.
func (a *app) refuse(p config.Problem) {
	a.router.Otherwise(func(http.ResponseWriter, *http.Request) error {
		return &fault.Error{
			Kind: fault.Unavailable, Code: "ServiceUnavailable", Target: p.Setting, RetryAfter: 30 * time.Second,
			Msg: "the service cannot work because of its setting " + p.String(),
		}
	})
}

package registry

import (
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// Actor is who acts, and by what right: a member of the workspace, one of its
// two workspace tokens, or the holder of an endpoint's own scoring key.
type Actor struct {
	ID   string    // "iss|sub", "token:{ws}:{slot}" or "key:{endpoint id}"
	Name string    // to show to people
	Role auth.Role // in the workspace the act is on; None for a key
	// Token says that the actor is a workspace token: a shared secret of
	// scripts. It decides nothing that needs a person.
	Token bool
	// Key is the id of the endpoint whose scoring key was given.
	Key string
}

// Member is the actor of an identity with its role in the workspace.
func Member(id auth.Identity, role auth.Role) Actor {
	_, token := id.TokenWorkspace()
	return Actor{ID: id.Key(), Name: id.Display(), Role: role, Token: token}
}

// KeyHolder is the actor who showed one of endpoint's own keys.
func KeyHolder(endpoint string) Actor {
	return Actor{ID: "key:" + endpoint, Name: "scoring key", Key: endpoint}
}

func (a Actor) who() auth.Who { return auth.Who{ID: a.ID, Name: a.Name} }

// Act is something that can be done to a service. Each has one row in rules.
type Act string

// The acts.
const (
	ActRead           Act = "read"
	ActPublish        Act = "publish"
	ActRequest        Act = "request a promotion"
	ActApprove        Act = "approve a promotion"
	ActReject         Act = "reject a promotion"
	ActWithdraw       Act = "withdraw a promotion"
	ActRollback       Act = "roll back"
	ActCreateEndpoint Act = "create an endpoint"
	ActDeleteEndpoint Act = "delete an endpoint"
	ActRefresh        Act = "refresh an endpoint"
	ActSettings       Act = "change an endpoint's settings"
	ActResources      Act = "replace a resource"
	ActSeeKeys        Act = "see keys"
	ActNewKey         Act = "regenerate a key"
	ActService        Act = "change a service"
	ActDeleteService  Act = "delete a service"
	ActAudit          Act = "read the audit"
	ActWebhook        Act = "set the webhook"
)

// never is above every role: nobody may.
const never = auth.Owner + 1

// rule is who may do an act, by the endpoint it would move or show. Acts that
// concern no endpoint use the column of staging.
type rule struct {
	staging, added, production auth.Role
	person                     bool // a member: no token, no key, anywhere
	personOnDefault            bool // ... on default
	key                        bool // an added endpoint's own key suffices there, where its settings allow
}

// rules is the one place that says who may do what. production is the endpoint
// default, or a service whose default serves something.
var rules = map[Act]rule{
	ActRead:           {staging: auth.Reader, added: auth.Reader, production: auth.Reader},
	ActPublish:        {staging: auth.Author, added: never, production: never},
	ActRequest:        {staging: auth.Author, added: never, production: auth.Author},
	ActApprove:        {staging: never, added: never, production: auth.Deployer, person: true},
	ActReject:         {staging: never, added: never, production: auth.Deployer, person: true},
	ActWithdraw:       {staging: never, added: never, production: auth.Author}, // and only the requester, or an owner
	ActRollback:       {staging: auth.Author, added: auth.Author, production: auth.Deployer, person: true},
	ActCreateEndpoint: {staging: never, added: auth.Author, production: never},
	ActDeleteEndpoint: {staging: never, added: auth.Author, production: never},
	ActRefresh:        {staging: never, added: auth.Author, production: never},
	ActSettings:       {staging: auth.Author, added: auth.Author, production: auth.Deployer, personOnDefault: true},
	ActResources:      {staging: auth.Author, added: auth.Author, production: auth.Author, key: true}, // on default: files a promotion
	ActSeeKeys:        {staging: auth.Author, added: auth.Author, production: auth.Deployer, personOnDefault: true},
	ActNewKey:         {staging: auth.Author, added: auth.Author, production: auth.Deployer, personOnDefault: true},
	ActService:        {staging: auth.Author, added: auth.Author, production: auth.Author},
	ActDeleteService:  {staging: auth.Author, added: auth.Author, production: auth.Deployer, personOnDefault: true},
	ActAudit:          {staging: auth.Author, added: auth.Author, production: auth.Author},
	ActWebhook:        {staging: auth.Owner, added: auth.Owner, production: auth.Owner, person: true},
}

// onService stands for the endpoint in acts on a service or workspace as a
// whole.
var onService = service.Endpoint{Name: service.Staging}

// May reports whether a may do act on endpoint; the error says why not.
// endpoint needs only ID, Name and Settings; for acts on a service as a whole
// it is {Name: service.Staging}, or {Name: service.Default} where that serves.
func (a Actor) May(act Act, endpoint service.Endpoint) error {
	r := rules[act]
	need := r.added
	switch endpoint.Name {
	case service.Staging:
		need = r.staging
	case service.Default:
		need = r.production
	}
	if need == never {
		return fault.New(fault.InvalidOperation, "NotOnThisEndpoint", "endpoint %q: nobody can %s here; %s", endpoint.Name, act, instead(act, endpoint.Name))
	}
	if a.Key != "" {
		switch {
		case !r.key || endpoint.Name == service.Default || endpoint.Name == service.Staging:
			return fault.New(fault.Forbidden, "RoleRequired", "a scoring key cannot %s on endpoint %q: role %s is needed", act, endpoint.Name, need)
		case a.Key != endpoint.ID:
			return fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
		case endpoint.Settings.PreventUpdate:
			return fault.New(fault.Forbidden, "RoleRequired", "endpoint %q has PreventUpdate: its scoring key cannot %s", endpoint.Name, act)
		}
		return nil
	}
	if a.Role < need {
		return fault.New(fault.Forbidden, "RoleRequired", "to %s on endpoint %q, role %s is needed; %s has %s", act, endpoint.Name, need, a.Name, a.Role)
	}
	if a.Token && (r.person || r.personOnDefault && endpoint.Name == service.Default) {
		return fault.New(fault.Forbidden, "RoleRequired", "a workspace token cannot %s on endpoint %q: a member with role %s is needed", act, endpoint.Name, need)
	}
	return nil
}

func instead(act Act, endpoint string) string {
	switch {
	case act == ActCreateEndpoint:
		return "every service has it"
	case act == ActDeleteEndpoint:
		return "it lives as long as its service"
	case endpoint == service.Default:
		return "it moves by an approved promotion or a rollback"
	case endpoint == service.Staging:
		return "it moves by publishing"
	}
	return "only staging and default take part in promotions"
}

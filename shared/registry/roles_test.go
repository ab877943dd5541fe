package registry

import (
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// TestRules spells out every cell of the table of rights: for staging, an
// added endpoint and default, who may. The actors, weakest first, are
//
//	n nobody  r reader  a author  t workspace token  d deployer  o owner
//	k the endpoint's own scoring key
func TestRules(t *testing.T) {
	actors := []struct {
		letter byte
		actor  Actor
	}{
		{'n', Actor{ID: "x", Name: "X"}}, {'r', reader}, {'a', author}, {'t', token}, {'d', deployer}, {'o', owner}, {'k', KeyHolder("e1")},
	}
	want := map[Act][3]string{ // staging, added, default
		ActRead:           {"ratdo", "ratdo", "ratdo"},
		ActPublish:        {"atdo", "", ""},
		ActRequest:        {"atdo", "", "atdo"},
		ActApprove:        {"", "", "do"},
		ActReject:         {"", "", "do"},
		ActWithdraw:       {"", "", "atdo"},
		ActRollback:       {"ado", "ado", "do"},
		ActCreateEndpoint: {"", "atdo", ""},
		ActDeleteEndpoint: {"", "atdo", ""},
		ActRefresh:        {"", "atdo", ""},
		ActSettings:       {"atdo", "atdo", "do"},
		ActResources:      {"atdo", "atdok", "atdo"},
		ActSeeKeys:        {"atdo", "atdo", "do"},
		ActNewKey:         {"atdo", "atdo", "do"},
		ActService:        {"atdo", "atdo", "atdo"},
		ActDeleteService:  {"atdo", "atdo", "do"},
		ActAudit:          {"atdo", "atdo", "atdo"},
		ActWebhook:        {"o", "o", "o"},
	}
	if len(want) != len(rules) {
		t.Errorf("%d acts here, %d in the table", len(want), len(rules))
	}
	endpoints := []service.Endpoint{{ID: "e1", Name: service.Staging}, {ID: "e1", Name: "shop"}, {ID: "e1", Name: service.Default}}
	for act, cells := range want {
		for i, e := range endpoints {
			for _, a := range actors {
				may := strings.IndexByte(cells[i], a.letter) >= 0
				err := a.actor.May(act, e)
				if (err == nil) != may {
					t.Errorf("%s on %s by %c: %v", act, e.Name, a.letter, err)
				}
				if err != nil && !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.InvalidOperation) {
					t.Errorf("%s on %s by %c: %v is no refusal", act, e.Name, a.letter, err)
				}
			}
		}
	}
}

func TestScoringKeys(t *testing.T) {
	shop := service.Endpoint{ID: "e1", Name: "shop"}
	if err := KeyHolder("e2").May(ActResources, shop); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("the key of another endpoint: %v", err)
	}
	shop.Settings.PreventUpdate = true
	if err := KeyHolder("e1").May(ActResources, shop); !fault.Is(err, fault.Forbidden) {
		t.Errorf("with PreventUpdate: %v", err)
	}
	if err := author.May(ActResources, shop); err != nil {
		t.Errorf("PreventUpdate is about keys: %v", err)
	}
}

func TestMember(t *testing.T) {
	a := Member(auth.Identity{Issuer: "https://idp", Subject: "s", Name: "Ann"}, auth.Author)
	if a.ID != "https://idp|s" || a.Token || a.Name != "Ann" {
		t.Errorf("%+v", a)
	}
	if !token.Token || token.ID != "token:"+testWS+":primary" {
		t.Errorf("%+v", token)
	}
}

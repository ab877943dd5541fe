package studioapi

import (
	"cmp"
	"net/http"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/host/web"
)

// tokens are the workspace's own.
type tokens struct{ PrimaryToken, SecondaryToken string }

// workspaceView is the classic workspace object. What names a subscription or
// a storage account is null: where a workspace is stored is the operator's
// affair.
type workspaceView struct {
	WorkspaceID        string `json:"WorkspaceId"`
	FriendlyName       string
	Description        string
	AuthorizationToken *tokens // null to who may not see them
	OwnerEmail         string
	Region             string
	UserStorage        *string
	SubscriptionID     *string `json:"SubscriptionId"`
	CreatedTime        string
	WorkspaceState     string
	WorkspaceStatus    string // the same, as some clients call it
}

func (f *Function) workspace(w http.ResponseWriter, c call) error {
	ctx := c.Context()
	work, err := f.catalog.Workspace(ctx, c.ws)
	if err != nil {
		return err
	}
	members, err := f.catalog.Members(ctx, c.ws)
	if err != nil {
		return err
	}
	out := workspaceView{
		WorkspaceID: work.ID, FriendlyName: work.Name, Description: work.Description, OwnerEmail: owner(members), Region: work.Region,
		CreatedTime: date(work.Created), WorkspaceState: "Enabled", WorkspaceStatus: "Enabled",
	}
	if c.role == auth.Owner {
		out.AuthorizationToken = &tokens{}
		if out.AuthorizationToken.PrimaryToken, out.AuthorizationToken.SecondaryToken, err = f.catalog.Tokens(ctx, c.ws); err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
	}
	return web.JSON(w, http.StatusOK, out)
}

// owner names the workspace's first owner.
func owner(members []catalog.Member) string {
	for _, m := range members { // owners come first
		if m.Role == auth.Owner && m.Kind == catalog.Person {
			return cmp.Or(m.Name, m.Value)
		}
	}
	return ""
}

package auth

import "cmp"

// Who is an identity as it is recorded: its key, and the name to show.
type Who struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Who returns id as it is recorded.
func (id Identity) Who() Who { return Who{ID: id.Key(), Name: id.Display()} }

// String is what people are shown.
func (w Who) String() string { return cmp.Or(w.Name, w.ID) }

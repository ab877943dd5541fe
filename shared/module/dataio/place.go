package dataio

import (
	"encoding/csv"
	"net/url"
	"strings"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/module"
)

// headless reports that a file's first record is data. Formats other than CSV
// and TSV say themselves what their columns are.
func headless(format string, header bool) bool {
	return !header && (format == "CSV" || format == "TSV")
}

// unsigned refuses an address with a signature in it: the parameter is no
// credential, and would be kept.
func unsigned(param, address string) error {
	if u, err := url.Parse(address); err == nil && u.Query().Has("sig") {
		return module.Errorf(2, "%s has a shared access signature in it, which is a credential: give it as a parameter of its own, with Azure Blob Storage or Azure Table and PublicOrSas", param).At(param)
	}
	return nil
}

// signed is an address with the signature that goes with it.
func signed(param, address, signature string) (string, error) {
	if address == "" {
		return "", module.Errorf(3, "parameter %q is not given", param).At(param)
	}
	if err := unsigned(param, address); err != nil {
		return "", err
	}
	if signature == "" {
		return address, nil
	}
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	return address + sep + strings.TrimPrefix(signature, "?"), nil
}

// needed refuses a place without one of the parameters, where no named
// connection says it.
func needed(p *connect.Place, v module.Values, params ...string) error {
	for _, name := range params {
		if p.Connection == "" && strings.TrimSpace(v.Text(name)) == "" {
			return module.Errorf(3, "neither parameter %q nor a named connection is given", name).At(name)
		}
	}
	return nil
}

// accountOf makes the connection string of the storage account that two
// parameters give; none where a named connection says it.
func accountOf(p *connect.Place, v module.Values, accountParam, keyParam string) error {
	account, key := v.Text(accountParam), v.Text(keyParam)
	if p.Connection != "" && account == "" && key == "" {
		return nil
	}
	if err := needed(p, v, accountParam, keyParam); err != nil {
		return err
	}
	if strings.ContainsAny(account, ";=/") {
		return module.Errorf(64, "parameter %q: %q is not the name of a storage account", accountParam, account).At(accountParam)
	}
	if strings.ContainsAny(key, "; ") {
		return module.Errorf(52, "parameter %q is not base64", keyParam).At(keyParam)
	}
	p.ConnectionString = "DefaultEndpointsProtocol=https;AccountName=" + account + ";AccountKey=" + key
	return nil
}

// serverPlace fills in what serverParams ask.
func serverPlace(p *connect.Place, v module.Values) error {
	p.Server, p.Database = v.Text("Database server name"), v.Text("Database name")
	p.User, p.Password = v.Text("Server user account name"), v.Text("Server user account password")
	if p.Connection == "" { // which says it itself
		p.AnyCertificate, p.Unencrypted = v.Bool("Accept any server certificate (insecure)"), !v.Bool("Encrypt connection")
	}
	return needed(p, v, "Database server name", "Database name", "Server user account name")
}

// hivePlace fills in what hiveParams ask.
func hivePlace(p *connect.Place, v module.Values) error {
	p.URL, p.User, p.Password = v.Text("HCatalog server URI"), v.Text("Hadoop user account name"), v.Text("Hadoop user account password")
	if p.Connection == "" {
		p.Unencrypted = !v.Bool("Encrypt connection")
	}
	return needed(p, v, "HCatalog server URI")
}

// list reads a comma-separated list of names; one with a comma stands in
// quotes.
func list(param, text string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.TrimLeadingSpace = true
	names, err := r.Read()
	if err != nil {
		return nil, module.Errorf(2, "%s is not a comma-separated list of names", param).At(param)
	}
	for i, n := range names {
		if names[i] = strings.TrimSpace(n); names[i] == "" {
			return nil, module.Errorf(2, "name %d of %s is empty", i+1, param).At(param)
		}
	}
	return names, nil
}

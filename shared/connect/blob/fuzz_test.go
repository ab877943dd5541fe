package blob

import (
	"strings"
	"testing"
)

// A reference of any text is taken apart or refused, and the refusal has no
// account key in it.
func FuzzParse(f *testing.F) {
	f.Add("DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=c2VjcmV0LWtleQ==", "c/d.csv", "", "")
	f.Add("BlobEndpoint=https://h/blobs;SharedAccessSignature=?sig=c2VjcmV0", "/c/d/e.csv", "", "")
	f.Add("", "c/d.csv", "https://acct.blob.core.windows.net/", "?sp=r&sig=x%2By")
	f.Add(";;=;a=b", "c", "file:///", "%zz")
	f.Fuzz(func(t *testing.T, connection, location, base, sas string) {
		const planted = "c2VjcmV0LXBsYW50ZWQ"
		r := Reference{ConnectionString: connection + ";" + planted, RelativeLocation: location, BaseLocation: base, SasBlobToken: sas}
		a, err := parse(r)
		if err != nil {
			if strings.Contains(err.Error(), planted) && !strings.Contains(location, planted) {
				t.Errorf("a secret is in %q", err)
			}
			return
		}
		if a.container == "" || a.name == "" || !strings.HasSuffix(a.base, "/") || a.sas == "" && a.key == "" {
			t.Errorf("%+v is no address", a)
		}
	})
}

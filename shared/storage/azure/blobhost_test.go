package azure

import "testing"

func TestBlobHost(t *testing.T) {
	for _, tt := range []struct {
		s    Settings
		want string
	}{
		{Settings{ConnectionString: "UseDevelopmentStorage=true"}, "127.0.0.1"},
		{Settings{ConnectionString: "DefaultEndpointsProtocol=https;AccountName=Acct;AccountKey=a2V5;EndpointSuffix=core.windows.net"}, "acct.blob.core.windows.net"},
		{Settings{AccountName: "acct"}, "acct.blob.core.windows.net"},
		{Settings{BlobServiceURI: "https://Private.Example:8443/"}, "private.example"},
		{Settings{ConnectionString: "nonsense"}, ""},
	} {
		if got := tt.s.BlobHost(); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.s, got, tt.want)
		}
	}
}

package notify

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/guard"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/registry/registrytest"
)

// deliver receives the messages of the queue and handles each, as often as
// times says.
func deliver(t *testing.T, w *registrytest.World, f *Function, times int) {
	t.Helper()
	ms, err := w.Store.Queues.Receive(t.Context(), registry.NotifyQueue, 32, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		for n := range times {
			if err := f.Handle(t.Context(), event.Event{Function: "notify", ID: m.ID, Body: m.Body, DequeueCount: n + 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Store.Queues.Delete(t.Context(), registry.NotifyQueue, m); err != nil {
			t.Fatal(err)
		}
	}
}

func newFunction(w *registrytest.World, c Client) *Function {
	return New(w.Registry, c, event.NewPlaces(), w.Store.Queues, slog.New(slog.DiscardHandler))
}

func notifications(t *testing.T, w *registrytest.World) []registry.Notice {
	t.Helper()
	news, err := w.Registry.Notifications(t.Context(), registrytest.Workspace, w.Actor("dora"), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return news.Notices
}

func TestWebhook(t *testing.T) {
	w := registrytest.New(t)
	type call struct {
		header http.Header
		body   string
	}
	var got []call
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, call{r.Header, string(body)})
		out.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	hook, err := w.Registry.SetWebhook(t.Context(), registrytest.Workspace, w.Actor("olga"), registry.WebhookChange{URL: server.URL + "/hook?team=1"})
	if err != nil {
		t.Fatal(err)
	}
	p := w.Publish(t, "one")
	f := newFunction(w, server.Client())
	deliver(t, w, f, 3)
	if len(got) != 1 {
		t.Fatalf("%d requests for one act delivered three times", len(got))
	}
	h, body := got[0].header, got[0].body
	stamp, _, _ := strings.Cut(strings.TrimPrefix(h.Get("X-Portico-Signature"), "t="), ",")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if want := sign(hook.Secret, time.Unix(at, 0), []byte(body)); h.Get("X-Portico-Signature") != want {
		t.Errorf("signature %q, want %q", h.Get("X-Portico-Signature"), want)
	}
	if age := time.Since(time.Unix(at, 0)); age < 0 || age > time.Hour {
		t.Errorf("signed %v ago", age)
	}
	var e registry.Event
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Type != registry.EventPublished || e.Digest != p.Digest || e.ID != h.Get("X-Portico-Delivery") || h.Get("X-Portico-Event") != e.Type {
		t.Errorf("%+v, %v", e, err)
	}
	keys, err := w.Registry.Keys(t.Context(), registrytest.Workspace, p.Service.ID, "staging", w.Actor("ann"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{hook.Secret, keys.Primary, keys.Secondary} {
		if strings.Contains(body, secret) {
			t.Error("a secret is in the body")
		}
	}
	if n := notifications(t, w)[0]; n.Webhook == nil || n.Webhook.State != registry.Delivered || n.Webhook.Attempts[0].Status != http.StatusAccepted {
		t.Errorf("the notification says %+v", n.Webhook)
	}
}

func TestWebhookFails(t *testing.T) {
	hits := 0
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(out, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	for name, client := range map[string]Client{
		"redirected": guard.New(guard.Rules{Allow: []guard.Network{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}}).Client(),
		"guarded":    guard.New(guard.Rules{}).Client(),
	} {
		w := registrytest.New(t)
		if _, err := w.Registry.SetWebhook(t.Context(), registrytest.Workspace, w.Actor("olga"), registry.WebhookChange{URL: server.URL}); err != nil {
			t.Fatal(err)
		}
		w.Publish(t, "one")
		deliver(t, w, newFunction(w, client), 2)
		if n := notifications(t, w)[0]; n.Webhook == nil || n.Webhook.State != registry.Failed || len(n.Webhook.Attempts) != 1 || n.Webhook.Attempts[0].Outcome != "refused" {
			t.Errorf("%s: the notification says %+v", name, n.Webhook)
		}
	}
	if hits != 1 {
		t.Errorf("%d requests: the redirect was followed, or the guard let one through", hits)
	}
}

// A receiver that is down is tried again: a delayed copy of the message stays.
func TestWebhookLater(t *testing.T) {
	w := registrytest.New(t)
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	if _, err := w.Registry.SetWebhook(t.Context(), registrytest.Workspace, w.Actor("olga"), registry.WebhookChange{URL: url}); err != nil {
		t.Fatal(err)
	}
	w.Publish(t, "one")
	deliver(t, w, newFunction(w, &http.Client{}), 1)
	if n := notifications(t, w)[0]; n.Webhook != nil {
		t.Errorf("the notification says %+v before the end", n.Webhook)
	}
	if n, err := w.Store.Queues.Depth(t.Context(), registry.NotifyQueue); err != nil || n != 1 {
		t.Errorf("%d messages wait, %v", n, err)
	}
}

func TestWithoutWebhook(t *testing.T) {
	w := registrytest.New(t)
	w.Publish(t, "one")
	deliver(t, w, newFunction(w, &http.Client{}), 2)
	if ns := notifications(t, w); len(ns) != 1 || ns[0].Webhook != nil {
		t.Errorf("notifications %+v", ns)
	}
}

// As computed by: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s3cret
func TestSign(t *testing.T) {
	const want = "t=1700000000,v1=1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940"
	if got := sign("s3cret", time.Unix(1_700_000_000, 0), []byte(`{"a":1}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// badCallers are calls with the wrong key, or to what is not there.
func (s *site) badCallers() []refusal {
	key := s.key("churn")
	churn, tariff := s.endpoints["churn"], s.endpoints["tariff"]
	execute := s.at("churn", "execute")
	wrong := func(name, authorization string) refusal {
		r := refusal{
			name: name, path: execute, body: s.good(),
			status: 401, class: "Unauthorized", code: "ScoreRequestUnauthorized", says: []string{"Invalid credentials"},
		}
		if authorization != "" {
			r.headers = []string{"Authorization", authorization}
		}
		return r
	}
	absent := func(name, path, code string) refusal {
		return refusal{name: name, path: path, bearer: key, body: s.good(), status: 404, class: "NotFound", code: code}
	}
	nobody := strings.Repeat("0", 32)
	all := []refusal{
		wrong("no key", ""),
		wrong("wrong key", "Bearer planted-key-3=="),
		wrong("key of staging", "Bearer "+churn["staging"].primary),
		wrong("key of another service", "Bearer "+tariff["default"].primary),
		wrong("key without its padding", "Bearer "+strings.TrimRight(key, "=")),
		wrong("key in lower case", "Bearer "+strings.ToLower(key)),
		wrong("more than the key", "Bearer "+key+"A"),
		wrong("no scheme", key),
		wrong("another scheme", "Basic "+key),
		wrong("empty", "Bearer "),
		wrong("token of the owner", "Bearer "+s.tokens["owner"]),
		absent("unknown endpoint", "/workspaces/"+s.ws+"/services/"+nobody+"/execute", "WebServiceNotFound"),
		absent("unknown workspace", "/workspaces/"+nobody+"/services/"+churn["default"].id+"/execute", "WebServiceNotFound"),
		absent("no id", "/workspaces/"+s.ws+"/services/x/execute", "WebServiceNotFound"),
		absent("id of the service", "/workspaces/"+s.ws+"/services/"+s.services["churn"]+"/execute", "WebServiceNotFound"),
		absent("address with a slash too many", execute+"/", "ResourceNotFound"),
		absent("job of nobody", s.at("churn", "jobs/"+nobody+"/start"), "JobNotFound"),
		{name: "swagger of nobody", method: "GET", path: "/workspaces/" + s.ws + "/services/" + nobody + "/swagger.json", status: 404, class: "NotFound", code: "WebServiceNotFound"},
		{name: "GET", method: "GET", path: execute, bearer: key, status: 404, class: "NotFound", code: "ResourceNotFound", says: []string{"GET"}},
		{
			name: "a body of 1 GB, bad key", path: execute, bearer: "planted-key-3==", headers: []string{"Expect", "100-continue"}, body: strings.Repeat(" ", 1<<20),
			status: 401, class: "Unauthorized", code: "ScoreRequestUnauthorized",
		},
	}
	jobs := wrong("key of staging for a job", "Bearer "+churn["staging"].primary)
	jobs.path = s.at("churn", "jobs")
	return append(all, jobs)
}

// badTokens are calls of the management and workbench APIs by people who are
// not who they say.
func (s *site) badTokens(t *testing.T) []refusal {
	good := s.tokens["owner"]
	header, rest, _ := strings.Cut(good, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	expired, err := exec.Command(s.local, "token", "-data", s.data, "-role", "owner", "-hours", "-1").Output()
	if err != nil {
		t.Fatal(err)
	}
	segment := func(v map[string]any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	changed := func(part string, members map[string]any) string {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		v := map[string]any{}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		for name, value := range members {
			v[name] = value
		}
		return segment(v)
	}
	var all []refusal
	for _, c := range []struct{ name, token, says string }{
		{"expired", strings.TrimSpace(string(expired)), "expired"},
		{"alg none", changed(header, map[string]any{"alg": "none"}) + "." + claims + ".", "algorithm"},
		{"alg none with a signature", changed(header, map[string]any{"alg": "none"}) + "." + rest, "algorithm"},
		{"alg HS256", changed(header, map[string]any{"alg": "HS256"}) + "." + rest, "algorithm"},
		{"other claims", header + "." + changed(claims, map[string]any{"roles": []string{"portico-operator"}}) + "." + signature, "signature is not valid"},
		{"other issuer", header + "." + changed(claims, map[string]any{"iss": "https://evil.example"}) + "." + signature, "issuer is not trusted"},
		{"unknown key", changed(header, map[string]any{"kid": "nobody"}) + "." + rest, "not one of its issuer's keys"},
		{"no key", changed(header, map[string]any{"kid": ""}) + "." + rest, "does not name its key"},
		{"no signature", header + "." + claims + ".", "signature is not valid"},
		{"no token", "abc", "not a JSON Web Token"},
		{"only dots", "..", "not a JSON Web Token"},
		{"key of an endpoint", s.key("churn"), "not a JSON Web Token"},
		{"very long", strings.Repeat("a", 20_000), "longer than"},
	} {
		r := refusal{name: c.name, method: "GET", path: s.manage("/services"), bearer: c.token, status: 401, class: "Unauthorized", code: "ManagementRequestUnauthorized", says: []string{c.says}}
		w := r
		w.name, w.path = c.name+", workbench", s.workbench("/experiments")
		all = append(all, r, w)
	}
	forbidden := func(name, role, method, path, body string) refusal {
		return refusal{name: name, method: method, path: path, bearer: s.tokens[role], body: body, status: 403, class: "Forbidden", code: "RoleRequired", says: []string{role}}
	}
	unseen := func(name, role, method, path string) refusal {
		return refusal{name: name, method: method, path: path, bearer: s.tokens[role], body: "{}", status: 404, class: "NotFound", code: "WorkspaceNotFound"}
	}
	nobody := strings.Repeat("0", 32)
	return append(
		all,
		refusal{name: "no token at all", method: "GET", path: s.manage("/services"), status: 401, class: "Unauthorized", code: "AdminRequestUnauthorized"},
		refusal{name: "no token at all, workbench", method: "GET", path: s.workbench("/experiments"), status: 401, class: "Unauthorized", code: "ManagementRequestUnauthorized"},
		forbidden("a reader uploads", "reader", "POST", s.manage("/uploads"), `{"name":"a.csv"}`),
		forbidden("a reader saves an experiment", "reader", "POST", s.workbench("/experiments"), `{"name":"a","document":{}}`),
		forbidden("a reader publishes", "reader", "POST", s.manage("/services"), `{"experimentId":"`+nobody+`"}`),
		forbidden("an author sees the keys of production", "author", "GET", s.manage("/services/"+s.services["churn"]+"/endpoints/default/keys"), ""),
		forbidden("an author adds a member", "author", "PUT", s.manage("/members"), `{"value":"x","issuer":"y","role":"owner"}`),
		unseen("unknown workspace", "owner", "GET", "/manage/workspaces/"+nobody+"/services"),
		unseen("an operator without a role", "operator", "POST", s.manage("/services")),
		unseen("a workspace of one's own making", "owner", "PUT", "/manage/workspaces/"+nobody),
	)
}

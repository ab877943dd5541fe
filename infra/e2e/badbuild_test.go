package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// badModels are imports of files, bindings and checks that are wrong.
func (s *site) badModels(t *testing.T) []refusal {
	ubj, binding := string(sampleFile(t, "churn_onehot.ubj")), string(sampleFile(t, "churn_onehot.binding.json"))
	expected := string(sampleFile(t, "churn_onehot.expected.csv"))
	_, artifact := s.call("GET", s.workbench("/models/"+url.PathEscape("churn model")+"/versions/1/file"), s.tokens["author"], "")

	// The first length of an array in the file, made to say more than there is.
	length := func(n int64) string {
		at := strings.Index(ubj, "$d#L") + len("$d#L")
		if at < 4 {
			t.Fatal("the file has no array of floats")
		}
		return ubj[:at] + string(binary.BigEndian.AppendUint64(nil, uint64(n))) + ubj[at+8:]
	}
	// The size at the head of an .ilearner file.
	size := func(n uint64) string {
		b := []byte(artifact)
		binary.LittleEndian.PutUint64(b[16:], n)
		return string(b)
	}
	if !strings.HasPrefix(artifact, "ilearner") {
		t.Fatalf("the model's file is %.100s", artifact)
	}
	// All features but the last, which is the indicator of a level.
	forgetful := binding[:strings.LastIndex(binding, ",\n  {\"feature\"")] + "]}"
	lines := strings.SplitAfter(expected, "\n")
	row := strings.LastIndex(lines[5], ",")
	wrong := strings.Join(lines[:5], "") + lines[5][:row] + ",0.5\n"
	half := strings.LastIndex(artifact, "}") / 2 * 2

	model := func(name, file, code string, parts map[string]string, says ...string) refusal {
		all := map[string]string{"name": "bad"}
		if file != "" {
			all["file/model"] = file
		}
		for k, v := range parts {
			all[k] = v
		}
		contentType, body := form(t, all)
		r := refusal{
			name: name, path: s.workbench("/models"), bearer: s.tokens["author"], headers: []string{"Content-Type", contentType}, body: body,
			status: 400, class: "WebServicePackageError", code: code, says: says,
		}
		switch code {
		case "MissingModelPackage", "BadParameterValue", "RequestBodyInvalid":
			r.class = "BadArgument"
		case "InputMismatchError", "BindingIncomplete", "CheckFailed":
			r.class = "BadUserArgument"
		}
		return r
	}
	bound := map[string]string{"binding": binding}
	all := []refusal{
		model("a length beyond the file", length(1<<60), "ValidationError", bound, "XGBoost", "length exceeds the file", "byte"),
		model("a negative length", length(-5), "ValidationError", bound, "length exceeds the file"),
		model("cut short", ubj[:len(ubj)/2], "ValidationError", bound, "ends early", "byte"),
		model("an .ilearner that says it is longer", size(1<<40), "ValidationError", nil, "1099511627776 bytes"),
		model("an .ilearner that says it is shorter", size(30), "ValidationError", nil, "model file cannot be used"),
		model("an .ilearner cut in its record", artifact[:len(artifact)-10], "ValidationError", nil, "record", "cut short"),
		model("an .ilearner cut in its trees", artifact[:half], "ValidationError", nil, "bytes"),
		model("of no known format", "hello", "ValidationError", bound, "no format that can be imported", "XGBoost"),
		model("deep JSON", strings.Repeat("[", 1_000_000), "ValidationError", bound, "no format that can be imported"),
		model("deep JSON in a model", `{"learner":`+strings.Repeat(`{"a":`, 1_000_000), "ValidationError", bound, "cannot be used"),
		model("a pickle", "\x80\x04\x95abc", "ValidationError", bound, "pickle", "save_model"),
		model("no file", "", "MissingModelPackage", bound, "file"),
		model("no binding", ubj, "BindingIncomplete", nil, "label", "2 classes"),
		model("features that the binding does not cover", ubj, "BindingIncomplete", map[string]string{"binding": forgetful}, "voice_mail_plan_yes", "add it"),
		model("a feature that the model does not have", ubj, "InputMismatchError", map[string]string{"binding": strings.Replace(binding, `"feature": "account_length"`, `"feature": "acount_length"`, 1)}, "acount_length", `did you mean "account_length"`),
		model("a binding that is no object", ubj, "InputMismatchError", map[string]string{"binding": "[]"}, "JSON array"),
		model("a binding with an unknown member", ubj, "InputMismatchError", map[string]string{"binding": `{"lable":{}}`}, `"lable"`),
		model("a wrong score", ubj, "CheckFailed", map[string]string{"binding": binding, "check/expected.csv": wrong}, "row 5", "Scored Probabilities", "0.5", "1e-6"),
		model("a check without rows", ubj, "InputMismatchError", map[string]string{"binding": binding, "check/expected.csv": lines[0]}, "no rows"),
		model("a check without a column", ubj, "InputMismatchError", map[string]string{"binding": binding, "check/expected.csv": "state,Scored Probabilities\nKS,0.5\n"}, "account_length"),
		model("an unknown part", ubj, "RequestBodyInvalid", map[string]string{"bindings": binding}, `"bindings"`, "schemaFrom"),
		model("an empty name", ubj, "BadParameterValue", map[string]string{"binding": binding, "name": ""}, "name", "empty"),
	}
	reader := all[0]
	reader.name, reader.bearer, reader.status, reader.class, reader.code, reader.says = "of a reader", s.tokens["reader"], 403, "Forbidden", "RoleRequired", nil
	return append(all, reader)
}

// document is the churn experiment with something else in it.
func document(t *testing.T, change func(nodes map[string]any, edges []map[string]string) []map[string]string) string {
	t.Helper()
	var d struct {
		Nodes  map[string]any      `json:"nodes"`
		Edges  []map[string]string `json:"edges"`
		Assets json.RawMessage     `json:"assets"`
	}
	if err := json.Unmarshal(sampleFile(t, "churn.json"), &d); err != nil {
		t.Fatal(err)
	}
	d.Edges = change(d.Nodes, d.Edges)
	return encode(d)
}

// badExperiments runs and publishes what cannot be run or published.
func (s *site) badExperiments(t *testing.T) {
	edge := func(from, to, port string) map[string]string {
		return map[string]string{"sourceNodeId": from, "targetNodeId": to, "targetPortId": port}
	}
	runs := func(name, x, class, code string, says ...string) refusal {
		return refusal{
			name: "run " + name, path: s.workbench("/experiments/" + x + "/runs"), bearer: s.tokens["author"],
			status: 400, class: class, code: code, says: says,
		}
	}
	publish := func(name, x, class, code string, says ...string) refusal {
		return refusal{
			name: "publish " + name, path: s.manage("/services"), bearer: s.tokens["author"], body: encode(map[string]string{"experimentId": x, "name": "bad"}),
			status: 400, class: class, code: code, says: says,
		}
	}
	cycle := s.experiment("cycle", document(t, func(_ map[string]any, edges []map[string]string) []map[string]string {
		return append(edges[1:], edge("categories", "label", "")) // without customers -> label
	}))
	const pkg = "WebServicePackageError"
	s.refuses(t, []refusal{
		runs("a cycle", cycle, pkg, "Error0002", "categories", "label", "id", "cycle"),
		runs("nothing", s.experiment("empty", `{}`), pkg, "Error0003", "no nodes"),
		runs("an unknown module", s.experiment("unknown", `{"nodes":{"a":{"module":"Score Modle"}},"edges":[]}`), pkg, "Error0002", "Score Modle", `did you mean "Score Model"`),
		runs("an edge to nowhere", s.experiment("nowhere", `{"nodes":{"a":{"module":"Score Model"}},"edges":[{"sourceNodeId":"a","targetNodeId":"b"}]}`), pkg, "Error0002", `"b"`, "edges[0]"),
		runs("an unknown member", s.experiment("member", `{"nodes":{},"edges":[],"nodse":{}}`), "BadArgument", "RequestBodyInvalid", "nodse", "nodes, edges"),
		runs("a dataset that is not there", s.experiment("dataset", strings.Replace(string(sampleFile(t, "churn.json")), `"customers_train"`, `"customers_lost"`, 1)), pkg, "Error0003", "customers_lost"),
		publish("a cycle", cycle, "InvalidOperation", "ExperimentNotRun", "never run"),
	})

	// validate tells of all problems at once.
	var v struct {
		Valid    bool
		Problems []struct{ Node, Message string }
	}
	twice := s.experiment("two problems", document(t, func(nodes map[string]any, edges []map[string]string) []map[string]string {
		nodes["stray"] = map[string]any{"module": "Score Modle"}
		return append(edges, edge("score", "lost", ""))
	}))
	s.do("POST", s.workbench("/experiments/"+twice+"/validate"), s.tokens["author"], "", &v)
	var nodes []string
	for _, p := range v.Problems {
		nodes = append(nodes, p.Node)
	}
	if v.Valid || !strings.Contains(strings.Join(nodes, " "), "stray") || !strings.Contains(strings.Join(nodes, " "), "lost") {
		t.Errorf("validate: %+v", v)
	}

	// Without an output a service would answer nothing.
	mute := s.experiment("mute", document(t, func(nodes map[string]any, edges []map[string]string) []map[string]string {
		delete(nodes, "output")
		return edges[:len(edges)-1] // score -> output is the last
	}))
	s.run(mute)
	s.refuses(t, []refusal{publish("without an output", mute, pkg, "Error0003", "Web Service Output", "Export Data")})

	// What was edited since its run was not run. A comment is no edit.
	churn := string(sampleFile(t, "churn.json"))
	edited := s.experiment("edited", churn)
	s.run(edited)
	s.edit(edited, strings.Replace(churn, "echoed as it came", "it comes back", 1))
	s.publish(edited, "commented")
	s.edit(edited, strings.Replace(churn, `"Make categorical"`, `"Unchanged"`, 1))
	s.refuses(t, []refusal{
		publish("what was edited since its run", edited, "InvalidOperation", "ExperimentEdited", "edited since", "run it again"),
		{
			name: "edit without a revision", method: "PUT", path: s.workbench("/experiments/" + edited), bearer: s.tokens["author"], body: `{"document":{}}`,
			status: 400, class: "BadArgument", code: "RevisionRequired", says: []string{"If-Match"},
		},
		{
			name: "edit of an old revision", method: "PUT", path: s.workbench("/experiments/" + edited), bearer: s.tokens["author"], body: `{"document":{}}`, headers: []string{"If-Match", `"0"`},
			status: 409, class: "Conflict", code: "RevisionChanged", says: []string{"Local author"},
		},
		publish("no experiment", "x", "BadArgument", "BadParameterValue", "experimentId", "32"),
		{
			name: "an unknown member", path: s.manage("/services"), bearer: s.tokens["author"], body: `{"experimentID":"` + edited + `","extra":1}`,
			status: 400, class: "BadArgument", code: "RequestBodyInvalid", says: []string{"extra"},
		},
	})
}

// edit saves another document of an experiment.
func (s *site) edit(experiment, document string) {
	s.t.Helper()
	var x struct{ Revision string }
	s.get("author", s.workbench("/experiments/"+experiment), &x)
	s.do("PATCH", s.workbench("/experiments/"+experiment), s.tokens["author"], encode(map[string]any{"document": json.RawMessage(document)}), nil, "If-Match", x.Revision)
}

// badPromotions tries to get into production by every way but the right one.
func (s *site) badPromotions(t *testing.T) {
	x := s.experiment("another churn", string(bytes.ReplaceAll(sampleFile(t, "churn.json"), []byte("\n"), nil)))
	s.run(x)
	p := s.publish(x, "promoted")
	at := s.manage("/services/" + p.ServiceID)
	staging, production := address{s.ws, p.endpoints["staging"]}, address{s.ws, p.endpoints["default"]}
	digest := `{"digest":"` + p.Digest + `"}`
	call := func(name, role, path, body string, status int, class, code string, says ...string) refusal {
		return refusal{name: name, path: at + path, bearer: s.tokens[role], body: body, status: status, class: class, code: code, says: says}
	}
	s.refuses(t, []refusal{
		{
			name: "production before its approval", path: production.path("execute"), bearer: production.primary, body: s.good(),
			status: 404, class: "NotFound", code: "WebServiceNotFound", says: []string{"published to staging, not approved yet"},
		},
		{
			name: "a job before the approval", path: production.path("jobs"), bearer: production.primary, body: "{}",
			status: 404, class: "NotFound", code: "WebServiceNotFound", says: []string{"not approved yet"},
		},
		call("untested", "author", "/promotions", digest, 409, "Conflict", "NotTestedOnStaging", p.Digest, "not called on staging"),
		call("no digest", "author", "/promotions", "{}", 400, "BadArgument", "BadParameterValue", "digest"),
		call("another digest", "author", "/promotions", `{"digest":"`+strings.Repeat("0", 64)+`"}`, 409, "Conflict", "ExpectationFailed", "staging serves", p.Digest),
		call("by a reader", "reader", "/promotions", digest, 403, "Forbidden", "RoleRequired", "author"),
		call("nothing to roll back", "deployer", "/rollback", `{"expect":""}`, 409, "Conflict", "NothingBefore", "served nothing else before"),
	})
	s.do("POST", staging.path("execute"), staging.primary, s.good(), nil)
	// The owner may approve; but not what the owner asked for.
	var promotion struct{ Number json.Number }
	s.do("POST", at+"/promotions", s.tokens["owner"], digest, &promotion)
	decide := "/promotions/" + promotion.Number.String()
	expect := `{"expect":""}`
	s.refuses(t, []refusal{
		call("approved by the requester", "owner", decide+"/approve", expect, 403, "Forbidden", "RequesterCannotApprove", "Local owner", "somebody else"),
		call("approved by an author", "author", decide+"/approve", expect, 403, "Forbidden", "RoleRequired", "deployer"),
		call("approved by a reader", "reader", decide+"/approve", expect, 403, "Forbidden", "RoleRequired", "deployer"),
		call("approved by the operator", "operator", decide+"/approve", expect, 404, "NotFound", "WorkspaceNotFound"),
		call("approved against another state", "deployer", decide+"/approve", `{"expect":"`+strings.Repeat("f", 64)+`"}`, 409, "Conflict", "ExpectationFailed", "nothing now"),
		call("rejected without a reason", "deployer", decide+"/reject", "{}", 400, "BadArgument", "BadParameterValue", "reason"),
		call("a decision that there is not", "deployer", decide+"/bless", "{}", 404, "NotFound", "ResourceNotFound", "approved, rejected and withdrawn"),
		call("a promotion that there is not", "deployer", "/promotions/99/approve", expect, 404, "NotFound", "PromotionNotFound", "99"),
	})
	s.do("POST", at+decide+"/approve", s.tokens["deployer"], expect, nil)
	s.refuses(t, []refusal{
		call("approved twice", "deployer", decide+"/approve", expect, 409, "Conflict", "PromotionDecided", "Approved", "Local deployer"),
		call("rejected after the approval", "deployer", decide+"/reject", `{"reason":"x"}`, 409, "Conflict", "PromotionDecided", "Approved"),
		call("withdrawn after the approval", "owner", decide+"/withdraw", "{}", 409, "Conflict", "PromotionDecided", "Approved"),
		call("rolled back by an author", "author", "/rollback", `{"expect":"`+p.Digest+`"}`, 403, "Forbidden", "RoleRequired", "deployer"),
		call("rolled back to nothing", "deployer", "/rollback", `{"expect":"`+p.Digest+`"}`, 409, "Conflict", "NothingBefore", "served nothing else before"),
	})
}

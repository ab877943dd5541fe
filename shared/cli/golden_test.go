package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/doctor"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

const (
	progress = `,"StartTime":"2026-05-01T12:00:01Z","Progress":{"Chunks":12,"ChunksDone":3,"BytesDone":1,"RowsRead":1234567,"RowsWritten":1234500,"BadRows":67,"MissingCells":5,"UnknownLevels":2,"IgnoredColumns":1,"RowsPerSecond":310000.4,"SecondsLeft":75}`

	promotion = `{"number":7,"state":"Requested","digest":"` + digestB + `","kind":"Update","requestedAt":"2026-05-01T12:00:00Z","requestedBy":{"id":"idp|ann","name":"Ann"},"note":"better",` +
		`"against":"` + digestA + `","difference":{"verdict":"breaking","changes":[{"place":"input1.age","what":"column removed","breaking":true},{"place":"output1.x","what":"column added"}],"more":2},` +
		`"deployment":{"digest":"` + digestB + `","ranBy":{"id":"idp|ann","name":"Ann"},"publishedBy":{"id":"idp|bob"},"publishedAt":"2026-05-01T11:00:00Z",` +
		`"models":[{"name":"churn model","version":2,"digest":"x","newerVersion":3,"verified":false}],"warnings":["a warning"]},` +
		`"evidence":{"firstCallAt":"2026-05-01T11:30:00Z","calls":12}}`

	version = `{"kind":"TrainedModel","name":"churn model","version":2,"digest":"` + digestA + `","format":"XGBoost JSON","bytes":123456,"created":"2026-05-01T12:00:00Z","createdBy":{"id":"x"},"record":{"check":{"rows":500}},"warnings":["look here"]}`

	finishedRun = `{"id":"` + runID + `","experimentId":"` + exp + `","state":"Finished","by":"x","created":"2026-05-01T12:00:00Z","started":"2026-05-01T12:00:01Z","ended":"2026-05-01T12:00:03.5Z","nodes":[` +
		`{"id":"data","module":"Dataset","state":"Finished","cached":true,"started":"2026-05-01T12:00:01Z","ended":"2026-05-01T12:00:01Z","results":[{"port":"Dataset","kind":"Dataset","digest":"x","rows":3333,"columns":20}]},` +
		`{"id":"score","module":"Score Model","state":"Finished","started":"2026-05-01T12:00:01Z","ended":"2026-05-01T12:00:03.5Z"}]}`
	failedRun = `{"id":"` + runID + `","state":"Failed","started":"2026-05-01T12:00:01Z","ended":"2026-05-01T12:00:03.5Z","error":{"node":"score","code":"Error0013","message":"the model does not fit"},"nodes":[` +
		`{"id":"score","module":"Score Model","state":"Failed","started":"2026-05-01T12:00:01Z","ended":"2026-05-01T12:00:03.5Z","error":{"code":"Error0013","message":"the model does not fit"}}]}`
)

// TestGolden holds what commands print, on which stream, and their exit codes
// to the texts in testdata.
func TestGolden(t *testing.T) {
	const bench, service = "/workbench/workspaces/" + ws, "/manage/workspaces/" + ws + "/services/" + svc
	for name, tt := range map[string]struct {
		call
		prepare func(f *fake)
	}{
		"help":             {call: call{args: []string{"help"}}},
		"help-settings":    {call: call{args: []string{"help", "settings"}}},
		"help-job":         {call: call{args: []string{"help", "job"}}},
		"help-flag":        {call: call{args: []string{"promote", "approve", "-h"}}},
		"help-unknown":     {call: call{args: []string{"help", "jobs"}}},
		"none":             {call: call{}},
		"unknown":          {call: call{args: []string{"jobs"}}},
		"half":             {call: call{args: []string{"job", "submt"}}},
		"flag-unknown":     {call: call{args: []string{"job", "list", "-limits", "3"}}},
		"flag-bad":         {call: call{args: []string{"score", "-parameter", "rate"}}},
		"argument-missing": {call: call{args: []string{"job", "status"}}},
		"argument-extra":   {call: call{args: []string{"model", "list", "x"}}},
		"no-server":        {call: call{args: []string{"job", "list"}, settings: &Settings{}}},
		"no-token":         {call: call{args: []string{"model", "list"}, settings: &Settings{Server: "http://127.0.0.1:1"}}},
		"bad-server":       {call: call{args: []string{"model", "list"}, settings: &Settings{Server: "ml.example.org", Token: "x"}}},
		"bad-token":        {call: call{args: []string{"model", "list"}, settings: &Settings{Server: "http://x", Token: "a\nb"}}},
		"away":             {call: call{args: []string{"model", "list", "-patience", "0s"}, settings: &Settings{Server: "http://127.0.0.1:1", Token: "x", Workspace: ws}}},
		"which-service":    {call: call{args: []string{"job", "list", "-service", "chrun"}}},
		"refused": {call{args: []string{"model", "list"}}, func(f *fake) {
			f.say("GET "+bench+"/models", 403, `{"error":{"code":"Forbidden","message":"m","details":[{"code":"RoleRequired","message":"this needs the role author"}]}}`)
		}},
		"job-submit":      {call{args: []string{"job", "submit", "https://x.test/c/may.csv?sig=s"}}, nil},
		"job-submit-json": {call{args: []string{"job", "submit", "https://x.test/c/may.csv?sig=s", "-json"}}, nil},
		"job-submit-wait": {call{args: []string{"job", "submit", "https://x.test/c/may.csv?sig=s", "-wait"}}, func(f *fake) {
			f.inTurn("GET "+jobPath, statusOf("NotStarted", `,"QueuePosition":3`), statusOf("Running", progress), strings.Replace(statusOf("Finished", progress+`,"EndTime":"2026-05-01T12:00:05.25Z"`), `,"SecondsLeft":75`, "", 1))
		}},
		"job-failed": {call{args: []string{"job", "watch", address1}}, func(f *fake) {
			f.say("GET "+jobPath, 200, strings.Replace(statusOf("Failed", ""), `"Details":null`, `"Details":"InputParseError: row 2"`, 1))
		}},
		"job-status":      {call{args: []string{"job", "status", strings.ToUpper(job)}}, func(f *fake) { f.say("GET "+jobPath, 200, statusOf("Running", progress)) }},
		"job-status-json": {call{args: []string{"job", "status", address1, "-json"}}, func(f *fake) { f.say("GET "+jobPath, 200, statusOf("NotStarted", `,"QueuePosition":3`)) }},
		"job-status-bad":  {call: call{args: []string{"job", "status", "http://SERVER/jobs"}}},
		"job-cancel":      {call{args: []string{"job", "cancel", job}}, func(f *fake) { f.say("GET "+jobPath, 200, statusOf("Cancelled", "")) }},
		"job-list": {call{args: []string{"job", "list", "-limit", "3"}}, func(f *fake) {
			list := `{"JobId":"` + job + `","StatusCode":"Finished","Details":null,"CreatedAt":"2026-05-01T12:00:00Z","StartTime":"2026-05-01T12:00:01Z","EndTime":"2026-05-01T12:00:02.5Z"}`
			failed := `{"JobId":"` + job + `","StatusCode":"Failed","Details":"it broke","CreatedAt":"2026-05-01T12:00:00Z"}`
			f.inTurn("GET /workspaces/"+ws+"/services/"+prod+"/jobs", `{"Jobs":[`+list+`,`+failed+`],"Next":"n1"}`, `{"Jobs":[`+list+`]}`)
		}},
		"score":      {call: call{args: []string{"score"}, stdin: "a,b\nx y,\"1,5\"\nlonger,\n"}},
		"score-json": {call: call{args: []string{"score", "-json", "-input-format", "json"}, stdin: `[{"a":"x","b":1.5},{"b":null,"c":"<&>"}]`}},
		"score-none": {call: call{args: []string{"score", "-json"}, stdin: "a,b\n"}},
		"run": {call{args: []string{"run", "churn"}}, func(f *fake) {
			f.say("POST "+bench+"/experiments/"+exp+"/runs", 202, `{"id":"`+runID+`","state":"NotStarted"}`)
			f.inTurn("GET "+bench+"/runs/"+runID, `{"id":"`+runID+`","state":"NotStarted"}`, finishedRun)
		}},
		"run-failed": {call{args: []string{"run", "-follow", runID}}, func(f *fake) { f.say("GET "+bench+"/runs/"+runID, 200, failedRun) }},
		"run-json":   {call{args: []string{"run", "-follow", runID, "-json"}}, func(f *fake) { f.say("GET "+bench+"/runs/"+runID, 200, failedRun) }},
		"publish": {call{args: []string{"publish", "churn", "-request", "-note", "better"}}, func(f *fake) {
			f.say("POST /manage/workspaces/"+ws+"/services", 201, `{"serviceId":"`+svc+`","name":"churn","digest":"`+digestB+`","created":false,"moved":true,"staging":{"apiLocation":"http://SERVER/x"},"warnings":["scored together"],"promotion":`+promotion+`}`)
		}},
		"promote-request": {call{args: []string{"promote", "request", "churn"}}, func(f *fake) { f.say("POST "+service+"/promotions", 201, promotion) }},
		"promote-show":    {call{args: []string{"promote", "show", "churn", "-json"}}, func(f *fake) { f.say("GET "+service+"/promotions/7", 200, `{"number":7}`) }},
		"promote-reject": {call{args: []string{"promote", "reject", "churn", "-reason", "no"}}, func(f *fake) {
			f.say("POST "+service+"/promotions/7/reject", 200, strings.Replace(promotion, `"evidence"`, `"reason":"no","decidedAt":"2026-05-02T12:00:00Z","decidedBy":{"id":"d","name":"Dora"},"evidence"`, 1))
		}},
		"promote-nothing": {call{args: []string{"promote", "approve", "churn"}}, func(f *fake) {
			f.say("GET /manage/workspaces/"+ws+"/services", 200, `[{"id":"`+svc+`","name":"churn"}]`)
		}},
		"promote-rollback": {call{args: []string{"promote", "rollback", "churn"}}, func(f *fake) {
			f.say("POST "+service+"/rollback", 200, `{"seq":4,"digest":"`+digestB+`","from":"`+digestA+`","to":2}`)
		}},
		"promote-history": {call{args: []string{"promote", "history", "churn"}}, func(f *fake) {
			move := func(seq int, digest, act string) string {
				return fmt.Sprintf(`{"seq":%d,"digest":%q,"act":%q,"at":"2026-05-01T12:00:00Z","by":{"id":"d","name":"Dora"},"reason":"why %d"}`, seq, digest, act, seq)
			}
			f.inTurn("GET "+service+"/endpoints/default/history", `{"endpoint":"default","position":1,"moves":[`+move(3, digestA, "endpoint.rolledBack")+`],"next":3}`, `{"endpoint":"default","position":1,"moves":[`+move(2, digestB, "promotion.approved")+`,`+move(1, digestA, "promotion.approved")+`]}`)
		}},
		"model-list":   {call{args: []string{"model", "list"}}, func(f *fake) { f.say("GET "+bench+"/models", 200, `{"models":[`+version+`]}`) }},
		"model-get":    {call{args: []string{"model", "get", "churn model"}}, func(f *fake) { f.say("GET "+bench+"/models/churn model/versions/latest", 200, version) }},
		"model-import": {call{args: []string{"model", "import", "golden_test.go", "-name", "churn model"}}, func(f *fake) { f.say("POST "+bench+"/models", 201, version) }},
		"doctor":       {call: call{args: []string{"doctor"}, settings: &Settings{}, machine: &doctor.Machine{Problems: []string{"PORTICO_STORE: is no folder"}}}},
		"doctor-json": {call{args: []string{"doctor", "-json"}, settings: nil}, func(f *fake) {
			f.say("GET /health/live", 404, "")
		}},
		"doctor-nowhere": {call: call{args: []string{"doctor"}, settings: &Settings{}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			if tt.prepare != nil {
				tt.prepare(f)
			}
			code, stdout, stderr := f.perform(tt.call)
			got := fmt.Sprintf("$ portico %s\nexit code %d\n--- stdout\n%s--- stderr\n%s", strings.Join(tt.args, " "), code, stdout, stderr)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(read(t, file), got); diff != "" {
				t.Errorf("%s:\n%s", file, diff)
			}
			for _, secret := range []string{"the-token", "the-key", "sig=s&", "a\nb"} {
				if strings.Contains(stdout+stderr, secret) {
					t.Errorf("%q is shown", secret)
				}
			}
		})
	}
}

package e2e

import (
	"strings"
	"testing"
)

// badJobs are batch requests that are refused when they are submitted.
func (s *site) badJobs() []refusal {
	csv := strings.Join(s.columns, ",") + "\n" + strings.Join(s.may[0], ",") + "\n"
	good := s.upload("may.csv", csv)
	_, never, _ := s.place("never.csv")
	_, text, _ := s.place("text.xlsx")
	readOnly := good
	bad := func(name, body, code string, says ...string) refusal {
		return refusal{name: name, path: s.at("churn", "jobs?api-version=2.0"), bearer: s.key("churn"), body: body, status: 400, class: "BadArgument", code: code, says: says}
	}
	input := func(name string, r any, code string, says ...string) refusal {
		return bad(name, `{"Input":`+encode(r)+`}`, code, says...)
	}
	output := func(name, outputs, code string, says ...string) refusal {
		return bad(name, `{"Input":`+encode(good)+`,"Outputs":`+outputs+`}`, code, says...)
	}
	// An address that a caller gives and nobody may reach from here.
	elsewhere := func(name, base, says string) refusal {
		return input(name, reference{base, "container/a.csv", "?sv=1&sig=PLANTEDSIGNATURE2"}, "BlobNotFound", "input1", says)
	}
	connection := func(text string) map[string]string {
		return map[string]string{"ConnectionString": text, "RelativeLocation": "container/a.csv"}
	}
	all := []refusal{
		bad("no body", "", "RequestIsEmpty"),
		bad("not JSON", "{", "RequestBodyInvalid"),
		bad("array", "[]", "RequestBodyInvalid", "it is a JSON array"),
		bad("deep", strings.Repeat("[", 100_000), "RequestBodyInvalid"),
		bad("not UTF-8", "{\"GlobalParameters\":{\"\xff\":1}}", "RequestBodyInvalid", "not UTF-8"),
		bad("parameters are an array", `{"GlobalParameters":[]}`, "RequestBodyInvalid", "GlobalParameters", "array"),
		bad("no input", "{}", "BatchJobInputsNotSpecified", "input1"),
		bad("input is null", `{"Inputs":{"input1":null}}`, "MissingInputBlobInformation", "input1"),
		bad("both forms", `{"Input":`+encode(good)+`,"Inputs":{"input1":`+encode(good)+`}}`, "DuplicateInputInBatchCall", "Input and Inputs"),
		bad("unknown input", `{"Inputs":{"data":`+encode(good)+`}}`, "InvalidInputNames", "data", "inputs are: input1"),
		bad("one input more", `{"Inputs":{"input1":`+encode(good)+`,"input2":`+encode(good)+`}}`, "InvalidInputNames", "input2"),
		input("empty reference", reference{}, "MissingInputBlobInformation", "input1"),
		bad("reference is a text", `{"Input":"may.csv"}`, "InvalidBlob", "input1"),
		input("blob that is not there", never, "BlobNotFound", "input1", "never.csv", "does not exist"),
		input("signature of another blob", reference{good.BaseLocation, never.RelativeLocation, good.SasBlobToken}, "BlobNotFound", "input1", "signature"),
		input("no blob name", reference{good.BaseLocation, "", good.SasBlobToken}, "InputBlobRelativeLocationInvalid", "container/path/file.csv"),
		input("no signature", reference{good.BaseLocation, good.RelativeLocation, ""}, "InvalidBlob", "SasBlobToken"),
		input("unsupported extension", text, "InvalidBlobExtension", "input1", ".xlsx", ".csv, .tsv"),
		input("file address", reference{"file:///etc/", "a/passwd.csv", "?sig=x"}, "InvalidBlob", "http"),
		input("user in the address", reference{"https://user:PLANTEDSIGNATURE2@a.example/", "a/b.csv", "?sig=x"}, "InvalidBlob", "BaseLocation"),
		elsewhere("metadata service", "http://169.254.169.254/", "link-local"),
		elsewhere("this machine", "http://127.0.0.1:22/", "loopback"),
		elsewhere("this machine, IPv6", "http://[::1]/", "may not be reached"),
		elsewhere("private network", "https://10.0.0.1/", "private"),
		input("connection string without form", connection("hello"), "InvalidBlobConnectionString", "part 1"),
		input("key that is no base64", connection("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=%%%"), "InvalidBlobConnectionString", "AccountKey"),
		input("connection to this machine", connection("DefaultEndpointsProtocol=http;AccountName=a;AccountKey=UExBTlRFREtFWTE=;BlobEndpoint=http://127.0.0.1:10000/a"), "BlobNotFound", "loopback"),
		output("unknown output", `{"Output1":`+encode(good)+`}`, "InvalidOutputOverrideName", `"Output1"`, "case-sensitive", "outputs are: output1"),
		output("output without a blob", `{"output1":{}}`, "MissingOutputOverrideSpecification", "output1"),
		output("unsupported output", `{"output1":`+encode(reference{good.BaseLocation, "a/b.xls", "?sig=x"})+`}`, "InvalidBlobExtension", "output1", ".xls"),
		output("output that may only be read", `{"output1":`+encode(readOnly)+`}`, "InvalidBlob", "output1", "sp=r"),
	}
	inline := func(name, body, code string, says ...string) refusal {
		r := bad(name, body, code, says...)
		r.class = "BadUserArgument"
		return r
	}
	version := bad("wrong api-version", encode(map[string]any{"Input": good}), "BadVersionCall", "use 2.0")
	version.path = s.at("churn", "jobs?api-version=1.0")
	long := bad("17 MB", strings.Repeat(" ", 17<<20), "OutOfMemoryLimit", "16777216")
	long.status, long.class, long.headers = 413, "MemoryQuotaViolation", []string{"Expect", "100-continue"}
	noJob := refusal{name: "no job id", method: "GET", path: s.at("churn", "jobs"), bearer: s.key("churn"), status: 400, class: "BadArgument", code: "MissingJobId"}
	return append(
		all, version, long, noJob,
		inline("records with a bad cell", table(s.columns, s.may[0], s.changed("total_day_minutes", "12O")), "InputParseError", "row 2", "total_day_minutes", "12O"),
		inline("records with an unknown column", `{"Inputs":{"input1":[{"stat":"HI"}]}}`, "InputMismatchError", `"stat"`),
	)
}

// jobStates starts twice and cancels after the end.
func (s *site) jobStates(t *testing.T) {
	body := `{"Input":` + encode(s.upload("may.csv", strings.Join(s.columns, ",")+"\n"+strings.Join(s.may[0], ",")+"\n")) + `}`
	key := s.key("churn")
	cannot := func(name, job, state string) refusal {
		return refusal{name: name, path: job + "/start", bearer: key, status: 400, class: "InvalidOperation", code: "CannotStartJob", says: []string{state}}
	}
	job := s.submit("churn", body)
	s.do("POST", job+"/start", key, "", nil)
	again := cannot("started twice", job, "it is in state ")
	resp, answer := s.exchange(t, again)
	again.check(t, resp, answer)
	if st := s.ended("churn", job); st.StatusCode != "Finished" {
		t.Fatalf("%s: %s", st.StatusCode, deref(st.Details))
	}
	s.refuses(t, []refusal{cannot("started after the end", job, "Finished")})
	// Cancelling what has ended succeeds quietly and changes nothing.
	s.do("DELETE", job, key, "", nil)
	if st := s.ended("churn", job); st.StatusCode != "Finished" || st.Results["output1"].RelativeLocation == "" {
		t.Errorf("cancelled after its end, a job is %s", st.StatusCode)
	}
	job = s.submit("churn", body)
	s.do("DELETE", job, key, "", nil)
	s.do("DELETE", job, key, "", nil)
	if st := s.ended("churn", job); st.StatusCode != "Cancelled" || st.Results != nil {
		t.Errorf("a cancelled job: %+v", st)
	}
	_, id, _ := strings.Cut(job, "/jobs/")
	s.refuses(t, []refusal{
		cannot("started after it was cancelled", job, "Cancelled"),
		{
			name: "job of another endpoint", method: "GET", path: s.at("tariff", "jobs/"+id), bearer: s.key("tariff"),
			status: 404, class: "NotFound", code: "JobNotFound",
		},
	})
}

// badFiles are inputs that fail a job, and what it says.
func (s *site) badFiles(t *testing.T) {
	header, row := strings.Join(s.columns, ","), strings.Join(s.may[0], ",")
	last := strings.LastIndex
	for _, c := range []struct{ name, content, says string }{
		{"empty", "", "InputParseError: the file is empty"},
		{"missing column", header[:last(header, ",")] + "\n" + row[:last(row, ",")] + "\n", `InputMismatchError: the file has no column "number_customer_service_calls"`},
		{"column twice", header + ",state\n" + row + ",HI\n", `InputMismatchError: the file has column "state" twice`},
		{"wrong type in row 3", header + "\n" + row + "\n" + row + "\n" + strings.Replace(row, "70.9", "12O", 1) + "\n", `InputParseError: input1, row 3 (line 4): column "total_day_minutes" (Double): value "12O" is not a number`},
		{"wrong type after a quoted line break", header + "\n\"C0\n1\"" + row[6:] + "\n" + strings.Replace(row, ",101,", ",25.5,", 1) + "\n", `input1, row 2 (line 4): column "account_length" (Int32): value "25.5" is not a whole number`},
		{"ragged row", header + "\n" + row + "\nC1,HI,3\n", "InputParseError: input1, row 2 (line 3): the record has 3 fields, the header 20"},
		{"not UTF-8", header + "\n" + strings.Replace(row, "HI", "\xff", 1) + "\n", "InputParseError: the file is not UTF-8: byte 0xFF on line 2"},
		{"UTF-16", "\xff\xfec\x00", "the file is UTF-16"},
		{"quote left open", header + "\n\"" + row + "\n", "input1, row 1 (line 2): a quoted field is not closed"},
		{"infinite", header + "\n" + strings.Replace(row, "70.9", "1e999", 1) + "\n", `Error 0033: column "total_day_minutes"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := s.job("churn", `{"Input":`+encode(s.upload("bad.csv", c.content))+`}`)
			if st.StatusCode != "Failed" || st.Results != nil || !strings.Contains(deref(st.Details), c.says) {
				t.Errorf("%s %v: %s\nwant %s", st.StatusCode, st.Results, deref(st.Details), c.says)
			}
		})
	}
	t.Run("unknown column", func(t *testing.T) {
		content := header + ",more\n" + row + ",1\n"
		if got, want := s.result(s.job("churn", `{"Input":`+encode(s.upload("more.csv", content))+`}`)), header+",Scored Labels"; !strings.HasPrefix(got, want) {
			t.Errorf("ignored: %s", got)
		}
		st := s.job("churn", `{"Input":`+encode(s.upload("more.csv", content))+`,"Options":{"ExtraColumns":"error"}}`)
		if st.StatusCode != "Failed" || !strings.Contains(deref(st.Details), `"more"`) {
			t.Errorf("refused: %s %s", st.StatusCode, deref(st.Details))
		}
	})
}

package fault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The names are stored in job rows and the rest is the wire: a change of any
// row here is a change of contract.
func TestTable(t *testing.T) {
	want := map[Kind]struct {
		name   string
		status int
		class  string
		code   string
		retry  bool
		level  slog.Level
	}{
		Internal:         {"internal", 500, "InternalError", "UnknownError", true, slog.LevelError},
		BadArgument:      {"bad-argument", 400, "BadArgument", "RequestBodyInvalid", false, slog.LevelInfo},
		BadUserArgument:  {"bad-user-argument", 400, "BadUserArgument", "InputMismatchError", false, slog.LevelInfo},
		InvalidOperation: {"invalid-operation", 400, "InvalidOperation", "InvalidOperation", false, slog.LevelInfo},
		LibraryExecution: {"library-execution", 400, "LibraryExecutionError", "LibraryExecutionError", false, slog.LevelInfo},
		ModuleExecution:  {"module-execution", 400, "ModuleExecutionError", "ModuleExecutionError", false, slog.LevelInfo},
		Package:          {"package", 400, "WebServicePackageError", "ValidationError", false, slog.LevelInfo},
		Unauthorized:     {"unauthorized", 401, "Unauthorized", "ScoreRequestUnauthorized", false, slog.LevelInfo},
		Forbidden:        {"forbidden", 403, "Forbidden", "RoleRequired", false, slog.LevelInfo},
		NotFound:         {"not-found", 404, "NotFound", "ResourceNotFound", false, slog.LevelInfo},
		Timeout:          {"timeout", 408, "RequestTimeout", "ScoreRequestTimeout", true, slog.LevelWarn},
		Conflict:         {"conflict", 409, "Conflict", "Conflict", false, slog.LevelInfo},
		TooLarge:         {"too-large", 413, "MemoryQuotaViolation", "OutOfMemoryLimit", false, slog.LevelInfo},
		Throttled:        {"throttled", 503, "ServiceUnavailable", "RequestThrottled", true, slog.LevelWarn},
		Unavailable:      {"unavailable", 503, "ServiceUnavailable", "NoMoreResources", true, slog.LevelWarn},
		Canceled:         {"canceled", 408, "RequestTimeout", "RequestCanceled", false, slog.LevelInfo},
		Unsupported:      {"unsupported", 400, "InvalidOperation", "NotSupported", false, slog.LevelInfo},
		Damaged:          {"damaged", 500, "InternalError", "StorageDamaged", false, slog.LevelError},
	}
	if len(want) != len(table) {
		t.Fatalf("the table has %d kinds, the test %d", len(table), len(want))
	}
	seen := map[string]bool{}
	for k, w := range want {
		g := k.Traits()
		if g.Name != w.name || g.Status != w.status || g.Class != w.class || g.Code != w.code || g.Retry != w.retry || g.Level != w.level {
			t.Errorf("%s: %+v, want %+v", w.name, g, w)
		}
		if g.Message == "" || !strings.HasSuffix(g.Message, ".") {
			t.Errorf("%s: message %q is no sentence", w.name, g.Message)
		}
		if http.StatusText(g.Status) == "" {
			t.Errorf("%s: status %d", w.name, g.Status)
		}
		if seen[w.name] {
			t.Errorf("%s stands twice", w.name)
		}
		seen[w.name] = true
		// What a trigger delivers again is what may go well the next time.
		if g.Retry != (g.Status >= 500 && k != Damaged || k == Timeout) {
			t.Errorf("%s: status %d, retry %v", w.name, g.Status, g.Retry)
		}
	}
	if Kind(200).String() != "internal" {
		t.Error("an unknown kind is not internal")
	}
}

func TestOf(t *testing.T) {
	own := New(Conflict, "Taken", "name %q is taken", "a")
	for _, tt := range []struct {
		name string
		err  error
		want Kind
		code string
	}{
		{"own", own, Conflict, "Taken"},
		{"wrapped", fmt.Errorf("publish: %w", own), Conflict, "Taken"},
		{"joined", errors.Join(errors.New("x"), own), Conflict, "Taken"},
		{"plain", errors.New("boom"), Internal, ""},
		{"canceled", fmt.Errorf("read: %w", context.Canceled), Canceled, ""},
		{"deadline", fmt.Errorf("read: %w", context.DeadlineExceeded), Timeout, ""},
		{"own before context", New(Unavailable, "", "x").Because(context.Canceled), Unavailable, ""},
	} {
		e := Of(tt.err)
		if e.Kind != tt.want || e.Code != tt.code || KindOf(tt.err) != tt.want || !Is(tt.err, tt.want) {
			t.Errorf("%s: %v/%q, want %v/%q", tt.name, e.Kind, e.Code, tt.want, tt.code)
		}
	}
	if Of(nil) != nil || Is(nil, Internal) || HasCode(nil, "") {
		t.Error("no error is an error")
	}
	if !HasCode(fmt.Errorf("x: %w", own), "Taken") || HasCode(own, "Other") {
		t.Error("HasCode")
	}
}

func TestWrap(t *testing.T) {
	if Wrap(nil, Internal, "x") != nil {
		t.Error("wrapping nothing gives an error")
	}
	in := &Error{Kind: Throttled, Code: "C", Target: "T", Msg: "M", More: []Detail{{Code: "D"}}, RetryAfter: time.Second}
	got := Of(Wrap(in, Internal, "load"))
	if d := cmp.Diff([]any{in.Kind, in.Code, in.Target, in.Msg, in.More, in.RetryAfter}, []any{got.Kind, got.Code, got.Target, got.Msg, got.More, got.RetryAfter}); d != "" {
		t.Error(d)
	}
	if !errors.Is(got, in) {
		t.Error("the cause is lost")
	}
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{errors.New("reset"), Unavailable},
		{context.Canceled, Canceled},
		{context.DeadlineExceeded, Timeout},
	} {
		err := Wrap(tt.err, Unavailable, "read blob")
		if KindOf(err) != tt.want || !strings.Contains(err.Error(), "read blob") || !errors.Is(err, tt.err) {
			t.Errorf("%v: %v (%v), want %v", tt.err, err, KindOf(err), tt.want)
		}
	}
}

// No way of making an error text shows the address in a transport error, for
// it may carry a SAS; the host and the cause stay.
func TestAddressesAreStripped(t *testing.T) {
	const secret = "sig=hunter2"
	transport := func(cause error) error {
		return &url.Error{Op: "Put", URL: "https://acct.blob.core.windows.net/c/customers.csv?sv=1&" + secret, Err: cause}
	}
	refused := New(BadArgument, "AddressRefused", "not from here")
	dns := &net.DNSError{Err: "no such host", Name: "acct.blob.core.windows.net"}
	ways := map[string]func(error) error{
		"Wrap":           func(err error) error { return Wrap(err, Unavailable, "put blob") },
		"Wrap twice":     func(err error) error { return Wrap(Wrap(err, Unavailable, "put blob"), Internal, "deliver") },
		"Because":        func(err error) error { return New(Unavailable, "", "x").Because(err) },
		"Of":             func(err error) error { return Of(err) },
		"wrapped, Wrap":  func(err error) error { return Wrap(fmt.Errorf("azblob: %w", err), Unavailable, "put blob") },
		"wrapped, Of":    func(err error) error { return Of(fmt.Errorf("azblob: %w", err)) },
		"joined, Wrap":   func(err error) error { return Wrap(errors.Join(errors.New("x"), err), Unavailable, "put blob") },
		"nested, Wrap":   func(err error) error { return Wrap(transport(err), Unavailable, "put blob") },
		"Because a Wrap": func(err error) error { return New(Internal, "", "x").Because(Wrap(err, Unavailable, "y")) },
	}
	for way, make := range ways {
		for _, cause := range []error{dns, context.Canceled, context.DeadlineExceeded, refused} {
			err := make(transport(cause))
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprint(Of(err).Details())} {
				if strings.Contains(text, "hunter2") || strings.Contains(text, "customers.csv") {
					t.Errorf("%s of %v shows the address: %s", way, cause, text)
				}
			}
			if !errors.Is(err, cause) {
				t.Errorf("%s of %v loses the cause: %v", way, cause, err)
			}
		}
		if err := make(transport(dns)); !strings.Contains(err.Error(), "acct.blob.core.windows.net") {
			t.Errorf("%s loses the host: %v", way, err)
		}
	}
	// What cannot be parsed as an address is not shown either.
	err := Wrap(&url.Error{Op: "parse", URL: "https://a b?" + secret, Err: errors.New("bad")}, BadArgument, "read reference")
	if strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestDetails(t *testing.T) {
	more := []Detail{{Code: "B", Message: "b"}}
	for _, tt := range []struct {
		name string
		e    *Error
		want []Detail
	}{
		{"own code and place", New(BadUserArgument, "InputParseError", "row %d", 3).At("input1"), []Detail{{"InputParseError", "input1", "row 3"}}},
		{"the kind's code", New(NotFound, "", "no such endpoint"), []Detail{{"ResourceNotFound", "", "no such endpoint"}}},
		{"the kind's message", &Error{Kind: Conflict}, []Detail{{"Conflict", "", "The request conflicts with the state of the resource."}}},
		{"more", &Error{Kind: BadArgument, Code: "A", Msg: "a", More: more}, []Detail{{"A", "", "a"}, {"B", "", "b"}}},
		{"internal text stays inside", New(Internal, "", "row 7 of table services"), []Detail{{"UnknownError", "", "The service encountered an internal error."}}},
		{"the cause stays inside", New(Unavailable, "", "storage is away").Because(errors.New("10.0.0.1")), []Detail{{"NoMoreResources", "", "storage is away"}}},
	} {
		if d := cmp.Diff(tt.want, tt.e.Details()); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		e    *Error
		want string
	}{
		{New(Conflict, "", "taken"), "taken"},
		{&Error{Kind: Conflict}, "conflict"},
		{New(Conflict, "", "taken").Because(errors.New("412")), "taken: 412"},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

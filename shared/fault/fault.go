// Package fault names the ways in which work fails.
//
// Every error that crosses a package boundary and that somebody must act on is
// an *Error with a Kind. One table maps the kind to what follows from it: the
// HTTP status and classic error class a caller sees, whether a trigger is
// retried or acknowledged, and the level of the log line. Nothing else in the
// program decides those.
package fault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// Kind is a way to fail. Kinds are append-only: their names are stored in job
// rows.
type Kind uint8

const (
	// Internal is a fault of ours. Its text never reaches a caller.
	Internal Kind = iota
	// BadArgument is a malformed request: URL, body, blob reference, name.
	BadArgument
	// BadUserArgument is well-formed input whose data do not fit the service:
	// a column, a cell, a global parameter.
	BadUserArgument
	// InvalidOperation is a request that the thing's present state forbids.
	InvalidOperation
	// LibraryExecution is a module that could not work on the data given.
	LibraryExecution
	// ModuleExecution is a module that failed in a run.
	ModuleExecution
	// Package is a model or graph file that cannot be used.
	Package
	// Unauthorized is a missing, wrong or expired key or token.
	Unauthorized
	// Forbidden is a known identity without the role the call needs.
	Forbidden
	// NotFound is absence, or presence inside another parent: callers cannot
	// tell the two apart.
	NotFound
	// Timeout is work that ended itself at its own deadline.
	Timeout
	// Conflict is a lost race, a failed condition or an existing name.
	Conflict
	// TooLarge is input above a limit; the message names the limit.
	TooLarge
	// Throttled is a refusal for load; a later try can succeed.
	Throttled
	// Unavailable is a dependency (storage, a source) that failed and may
	// recover: the only kind, besides Throttled and Timeout, worth a retry.
	Unavailable
	// Canceled is a caller who went away or a job that was cancelled.
	Canceled
	// Unsupported is a thing this program refuses by design, with what to use
	// instead in the message.
	Unsupported
	// Damaged is stored bytes that are not those that were written, which no
	// retry mends.
	Damaged
)

// Traits is what follows from a kind.
type Traits struct {
	Name    string     // stored name
	Status  int        // HTTP status
	Class   string     // classic error class, error.code on the wire
	Code    string     // classic code where the error has none of its own
	Message string     // the class's own message, error.message on the wire
	Retry   bool       // a trigger is worth delivering again
	Level   slog.Level // of the log line
}

var table = [...]Traits{
	Internal:         {"internal", 500, "InternalError", "UnknownError", "The service encountered an internal error.", true, slog.LevelError},
	BadArgument:      {"bad-argument", 400, "BadArgument", "RequestBodyInvalid", "Invalid argument provided.", false, slog.LevelInfo},
	BadUserArgument:  {"bad-user-argument", 400, "BadUserArgument", "InputMismatchError", "Invalid user argument provided.", false, slog.LevelInfo},
	InvalidOperation: {"invalid-operation", 400, "InvalidOperation", "InvalidOperation", "The operation is not valid in the current state.", false, slog.LevelInfo},
	LibraryExecution: {"library-execution", 400, "LibraryExecutionError", "LibraryExecutionError", "Module execution encountered an internal library error.", false, slog.LevelInfo},
	ModuleExecution:  {"module-execution", 400, "ModuleExecutionError", "ModuleExecutionError", "Module execution encountered an error.", false, slog.LevelInfo},
	Package:          {"package", 400, "WebServicePackageError", "ValidationError", "The web service package is not valid.", false, slog.LevelInfo},
	Unauthorized:     {"unauthorized", 401, "Unauthorized", "ScoreRequestUnauthorized", "Request is unauthorized to access resource.", false, slog.LevelInfo},
	Forbidden:        {"forbidden", 403, "Forbidden", "RoleRequired", "The identity has no right to this operation.", false, slog.LevelInfo},
	NotFound:         {"not-found", 404, "NotFound", "ResourceNotFound", "The resource was not found.", false, slog.LevelInfo},
	Timeout:          {"timeout", 408, "RequestTimeout", "ScoreRequestTimeout", "The request timed out.", true, slog.LevelWarn},
	Conflict:         {"conflict", 409, "Conflict", "Conflict", "The request conflicts with the state of the resource.", false, slog.LevelInfo},
	TooLarge:         {"too-large", 413, "MemoryQuotaViolation", "OutOfMemoryLimit", "The request exceeds a limit of the service.", false, slog.LevelInfo},
	Throttled:        {"throttled", 503, "ServiceUnavailable", "RequestThrottled", "Service is temporarily unavailable.", true, slog.LevelWarn},
	Unavailable:      {"unavailable", 503, "ServiceUnavailable", "NoMoreResources", "Service is temporarily unavailable.", true, slog.LevelWarn},
	Canceled:         {"canceled", 408, "RequestTimeout", "RequestCanceled", "The request was canceled by the client.", false, slog.LevelInfo},
	Unsupported:      {"unsupported", 400, "InvalidOperation", "NotSupported", "The operation is not supported.", false, slog.LevelInfo},
	Damaged:          {"damaged", 500, "InternalError", "StorageDamaged", "Stored data are damaged.", false, slog.LevelError},
}

// Traits returns what follows from k.
func (k Kind) Traits() Traits {
	if int(k) >= len(table) {
		return table[Internal]
	}
	return table[k]
}

func (k Kind) String() string { return k.Traits().Name }

// Detail is one entry of a classic error document's details.
type Detail struct {
	Code    string `json:"code"`
	Target  string `json:"target,omitempty"`
	Message string `json:"message"`
}

// Error is a failure somebody must act on.
type Error struct {
	Kind   Kind
	Code   string // classic code; empty = the kind's default
	Target string // input, parameter, port, node or column at fault
	Msg    string // for the caller: place, rule, value. Never a secret
	// More holds further details where several things are wrong at once.
	More []Detail
	// RetryAfter, where positive, is sent as Retry-After.
	RetryAfter time.Duration
	// Err is the cause, for the log only; never shown to a caller.
	Err error
}

func (e *Error) Error() string {
	s := e.Msg
	if s == "" {
		s = e.Kind.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Details returns every detail of e, its own first; never empty.
func (e *Error) Details() []Detail {
	t := e.Kind.Traits()
	d := Detail{Code: e.Code, Target: e.Target, Message: e.Msg}
	if d.Code == "" {
		d.Code = t.Code
	}
	if d.Message == "" || e.Kind == Internal {
		d.Message = t.Message
	}
	return append([]Detail{d}, e.More...)
}

// New returns an error of kind k with a classic code and a message for the
// caller.
func New(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Msg: fmt.Sprintf(format, args...)}
}

// At sets the place at fault and returns e.
func (e *Error) At(target string) *Error { e.Target = target; return e }

// Because sets the cause, for the log only, and returns e. The cause is
// stripped of addresses as Wrap does.
func (e *Error) Because(err error) *Error { e.Err = strip(err); return e }

// Wrap gives err a kind, keeping one it already has. It is the one way in
// which an SDK or transport error becomes text: of a *url.Error only the
// operation, the host and the cause are kept, for the URL may carry a SAS.
func Wrap(err error, k Kind, op string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		k = Canceled
	} else if errors.Is(err, context.DeadlineExceeded) {
		k = Timeout
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Kind: e.Kind, Code: e.Code, Target: e.Target, Msg: e.Msg, More: e.More, RetryAfter: e.RetryAfter, Err: fmt.Errorf("%s: %w", op, strip(err))}
	}
	return &Error{Kind: k, Err: fmt.Errorf("%s: %w", op, strip(err))}
}

func strip(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		host := "?"
		if p, perr := url.Parse(u.URL); perr == nil {
			host = p.Host
		}
		return fmt.Errorf("%s %s: %w", u.Op, host, strip(u.Err))
	}
	return err
}

// Of returns the *Error in err's chain, or err as an Internal one. Context
// errors become Canceled and Timeout. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &Error{Kind: Canceled, Err: strip(err)}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: Timeout, Err: strip(err)}
	}
	return &Error{Kind: Internal, Err: strip(err)}
}

// KindOf returns the kind of err; Internal where it has none.
func KindOf(err error) Kind { return Of(err).Kind }

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// HasCode reports whether err carries the classic code.
func HasCode(err error, code string) bool { return err != nil && Of(err).Code == code }

// Module returns the classic module error of that number: a fault of the data
// or parameters that a module was given.
func Module(number int, format string, args ...any) *Error {
	return New(LibraryExecution, ModuleCode(number), "Error %04d: %s", number, fmt.Sprintf(format, args...))
}

// ModuleCode is the classic code of a module error number, as details carry it.
func ModuleCode(number int) string { return fmt.Sprintf("Error%04d", number) }

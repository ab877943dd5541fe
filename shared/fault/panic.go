package fault

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Panicked returns the error that stands for a recovered panic, to be called in
// the deferred function that recovered it. Its cause names the panic's type,
// its text only where the runtime made it, and the functions on the stack: a
// value that was panicked with, or an argument on the stack, may be a cell.
func Panicked(v any) *Error {
	var b strings.Builder
	if e, ok := v.(runtime.Error); ok {
		fmt.Fprintf(&b, "panic: %s", e.Error())
	} else {
		fmt.Fprintf(&b, "panic: %T", v)
	}
	pcs := make([]uintptr, 24)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			fmt.Fprintf(&b, "; %s:%d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.Line)
		}
		if !more {
			break
		}
	}
	return &Error{Kind: Internal, Err: errors.New(b.String())}
}

// Package lambda is the adapter for AWS Lambda: the same binary, behind a
// Function URL whose InvokeMode is RESPONSE_STREAM.
//
// There are no envelopes here and no triggers: an event that is not a Function
// URL request has no path and gets the 404 of any other unknown address.
package lambda

import (
	"net/http"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-lambda-go/lambdaurl"
)

// Serve takes calls from the Lambda runtime for as long as the process lives.
// after, where set, runs when an answer is complete, before the runtime may
// freeze the process.
func Serve(h http.Handler, after func()) {
	lambda.Start(lambdaurl.Wrap(&handler{next: h, after: after}))
}

type handler struct {
	next  http.Handler
	after func()
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		// lambdaurl runs us on a goroutine without a recover: a panic here
		// would end the process. Half an answer cannot be taken back in this
		// protocol; the client sees a body that ends early.
		recover() //nolint:errcheck // the Router has already logged what happened
		if h.after != nil {
			h.after()
		}
	}()
	if lc, ok := lambdacontext.FromContext(r.Context()); ok {
		// The one name under which the Router takes an id of the host's.
		r.Header.Set("X-Azure-Functions-InvocationId", lc.AwsRequestID)
	}
	// Host is the Function URL's own name, from AWS and not from the client.
	r.Header.Set("X-Forwarded-Host", r.Host)
	r.Header.Set("X-Forwarded-Proto", "https")
	h.next.ServeHTTP(w, r)
}

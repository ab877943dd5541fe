// Command handler is the whole program: every function, under whichever host
// runs it, and the command line that works with them. This folder is its
// composition root; each sub-folder is one Azure function and one package.
//
// With a command as its first argument it performs that and ends (command.go).
// Without, as the hosts start it, it listens first and loads after, and it
// never ends of itself: a setting that cannot be used leaves it answering 503
// with the setting's name.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/lambda"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/telemetry"
)

// startWait is how long a call waits for the program to have loaded.
const startWait = 30 * time.Second

// endWait is how long calls in flight have when the process is asked to end.
// The Functions host never asks.
const endWait = 10 * time.Second

// ballast is never touched and so takes no memory, but the collector counts it
// as live: with a live heap of a few megabytes it would otherwise run every few
// hundred calls. Making it sets off a collection, which the first call would
// wait for; so it comes a moment later.
func ballast(ctx context.Context) {
	const bytes, after = 32 << 20, time.Second
	time.Sleep(after)
	held := make([]byte, bytes)
	<-ctx.Done()
	runtime.KeepAlive(held)
}

func main() {
	if isCommand(os.Args) {
		os.Exit(command(os.Args[1:]))
	}
	cfg, problems := config.FromEnvironment()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go ballast(ctx)
	if cfg.Host == config.Lambda {
		serveLambda(ctx, cfg, problems)
		return
	}
	if err := serve(ctx, cfg, problems); err != nil {
		fmt.Fprintln(os.Stderr, "portico:", err) // the Functions host quotes it
		os.Exit(1)
	}
}

// serve listens for the Functions host or, as a plain process, for callers.
func serve(ctx context.Context, cfg config.Config, problems []config.Problem) error {
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	gate := web.NewGate(startWait)
	server := &http.Server{
		Handler:           gate,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()

	tel := telemetry.New(telemetry.Options{Out: os.Stdout, Level: cfg.LogLevel, Metrics: metrics(cfg)})
	server.ErrorLog = slog.NewLogLogger(tel.Log.Handler(), slog.LevelDebug)
	tel.Log.Info("listening", "address", ln.Addr().String(), "host", string(cfg.Host))
	a := newApp(cfg, problems, tel, ln.Addr())
	gate.Open(a.handler(cfg))

	select {
	case err = <-served:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
		defer cancel()
		err = server.Shutdown(end)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	a.close(end)
	tel.Close(end)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// serveLambda takes calls from the Lambda runtime, which freezes the process
// between them: lines are written as they are made, and usage with each call.
func serveLambda(ctx context.Context, cfg config.Config, problems []config.Problem) {
	tel := telemetry.New(telemetry.Options{Out: os.Stdout, Level: cfg.LogLevel, Through: true, Metrics: metrics(cfg)})
	a := newApp(cfg, problems, tel, nil)
	lambda.Serve(a.router, func() { a.flush(ctx) })
}

// handler is what the host talks to.
func (a *app) handler(cfg config.Config) http.Handler {
	if cfg.Host != config.AzureFunctions {
		return a.router
	}
	return azfunc.NewHandler(azfunc.App{HTTP: a.router, Triggers: a.triggers, Observe: a.telemetry.Delivery})
}

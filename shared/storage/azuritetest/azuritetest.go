// Package azuritetest runs Azurite, the emulator of Azure Storage, for tests.
package azuritetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Required is the environment variable that, set to "required", turns the
// absence of Azurite from a skip into a failure.
const Required = "PORTICO_TEST_AZURITE"

// AccountName and AccountKey are those of every emulator.
const (
	AccountName = "devstoreaccount1"
	AccountKey  = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azurite is a running emulator; Blob, Queue and Table are the addresses of
// its services, as http://127.0.0.1:40001/devstoreaccount1.
type Azurite struct{ Blob, Queue, Table string }

// ConnectionString returns the connection string of the emulator's account.
func (a Azurite) ConnectionString() string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s;TableEndpoint=%s",
		AccountName, AccountKey, a.Blob, a.Queue, a.Table)
}

var shared = sync.OnceValues(func() (Azurite, error) { return start() })

// Shared returns an emulator that all tests of the process use, started by the
// first: it takes seconds to start. Its data are in memory and gone with it.
func Shared(t testing.TB) Azurite {
	t.Helper()
	Installed(t)
	a, err := shared()
	if err != nil {
		t.Fatalf("azurite: %v", err)
	}
	return a
}

// Start returns an emulator with further arguments of the caller's.
func Start(t testing.TB, args ...string) Azurite {
	t.Helper()
	Installed(t)
	a, err := start(args...)
	if err != nil {
		t.Fatalf("azurite: %v", err)
	}
	return a
}

// Installed skips the test where Azurite is not installed, or fails it where it
// is required.
func Installed(t testing.TB) {
	t.Helper()
	_, err := find()
	if err == nil {
		return
	}
	if os.Getenv(Required) == "required" {
		t.Fatalf("%v; %s=required forbids to skip", err, Required)
	}
	t.Skip(err)
}

func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	if done, _ := filepath.Glob(filepath.Join(dir, ".azurite", "installed-*")); len(done) == 0 {
		return "", fmt.Errorf("azurite is not installed: run `make azurite` (needs Node and npm)")
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "", fmt.Errorf("azurite needs node, which is not installed")
	}
	return filepath.Join(dir, ".azurite", "node_modules", "azurite", "dist", "src", "azurite.js"), nil
}

// bootstrap runs Azurite in a process that ends when its standard input does:
// with the test process, however that ends.
const bootstrap = `process.stdin.resume().on("end", () => process.exit());
process.argv.splice(1, 0, "azurite"); require(process.env.AZURITE_SCRIPT);`

var listening = regexp.MustCompile(`Azurite (Blob|Queue|Table) service (?:is successfully listening|successfully listens) (?:at|on) (https?://[^\s]+)`)

func start(args ...string) (Azurite, error) {
	js, err := find()
	if err != nil {
		return Azurite{}, err
	}
	args = append([]string{
		"-e", bootstrap, "--", "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence",
		"--blobPort", "0", "--queuePort", "0", "--tablePort", "0",
	}, args...)
	cmd := exec.Command("node", args...)
	cmd.Env = append(os.Environ(), "AZURITE_SCRIPT="+js)
	if _, err := cmd.StdinPipe(); err != nil {
		return Azurite{}, err
	}
	// Its own pipe, not StdoutPipe: it must be drained as long as it runs.
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return Azurite{}, err
	}
	go func() { w.CloseWithError(fmt.Errorf("it ended: %w", errOf(cmd.Wait()))) }()

	found := make(chan Azurite, 1)
	failed := make(chan error, 1)
	go func() {
		var a Azurite
		var said []string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			said = append(said, lines.Text())
			m := listening.FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			address := m[2] + "/" + AccountName
			switch m[1] {
			case "Blob":
				a.Blob = address
			case "Queue":
				a.Queue = address
			case "Table":
				a.Table = address
			}
			if a.Blob != "" && a.Queue != "" && a.Table != "" {
				found <- a
				break
			}
		}
		if a.Table == "" || a.Blob == "" || a.Queue == "" {
			failed <- fmt.Errorf("%w: %s", errOf(lines.Err()), strings.Join(said, "\n"))
			return
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case a := <-found:
		return a, nil
	case err := <-failed:
		return Azurite{}, err
	case <-time.After(2 * time.Minute):
		_ = cmd.Process.Kill()
		return Azurite{}, fmt.Errorf("it did not start within two minutes")
	}
}

func errOf(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

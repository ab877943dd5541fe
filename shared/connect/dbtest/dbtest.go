// Package dbtest runs PostgreSQL and MariaDB for tests: servers of their own,
// on a free port of this machine, with data in a temporary folder, that end
// with the test process. They are those that the operating system has
// installed; without one, its tests are skipped.
package dbtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/connect"
)

// Required is the environment variable that, set to "required", turns the
// absence of a server from a skip into a failure.
const Required = "PORTICO_TEST_DATABASES"

// Password is that of User, on every server; it has what needs quoting.
const (
	User     = "portico"
	Password = `pass'w"o rd;=\%&?`
	Database = "portico"
)

var (
	postgres = sync.OnceValues(startPostgres)
	mariadb  = sync.OnceValues(startMariaDB)
)

// Postgres returns a server that all tests of the process use. It speaks TLS,
// under a certificate that nobody trusts.
func Postgres(t testing.TB) connect.Place {
	t.Helper()
	return place(t, connect.PostgreSQL, postgres)
}

// MariaDB returns a server that all tests of the process use. It speaks in the
// clear.
func MariaDB(t testing.TB) connect.Place {
	t.Helper()
	return place(t, connect.MySQL, mariadb)
}

// missing says what is not installed.
type missing string

func (m missing) Error() string { return string(m) }

func place(t testing.TB, kind connect.Kind, start func() (string, error)) connect.Place {
	t.Helper()
	address, err := start()
	if _, ok := err.(missing); ok && os.Getenv(Required) != "required" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return connect.Place{Source: kind, Server: address, Database: Database, User: User, Password: Password, Unencrypted: true}
}

// find looks for a program where packages put it.
func find(pkg, name string, patterns ...string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return real, nil
		}
		return p, nil
	}
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			slices.Sort(found)
			return found[len(found)-1], nil
		}
	}
	return "", missing(fmt.Sprintf("%s is not installed (on Debian: apt-get install %s)", name, pkg))
}

// owner is who runs a server: both refuse to be run by root.
func owner() (*syscall.SysProcAttr, func(path string) error, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, func(string) error { return nil }, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}},
		func(path string) error { return os.Chown(path, uid, gid) }, nil
}

// folder makes a folder for a server and what it is to read.
func folder(own func(string) error, files map[string][]byte) (string, error) {
	dir, err := os.MkdirTemp("", "portico-db-")
	if err != nil {
		return "", err
	}
	for name, body := range files {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, body, 0o600); err != nil {
			return "", err
		}
		if err := own(p); err != nil {
			return "", err
		}
	}
	return dir, own(dir)
}

// freePort finds a port for a server that is started in a while. It is none of
// those that systems give to whoever asks for any: another test would be given
// it meanwhile.
func freePort() (int, error) {
	for try := 0; ; try++ {
		port := 12_000 + mathrand.N(20_000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		if try == 100 {
			return 0, err
		}
	}
}

// run runs a program to its end.
func run(attr *syscall.SysProcAttr, dir, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.SysProcAttr = dir, attr
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "TZ=UTC"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, bytes.TrimSpace(out))
	}
	return nil
}

// keeper runs a server until its standard input ends: with the test process,
// however that ends. Then it ends the server by a signal and removes the folder.
const keeper = `dir=$1 signal=$2; shift 2
"$@" </dev/null >"$dir/log" 2>&1 & pid=$!
cat >/dev/null
kill -$signal $pid 2>/dev/null; wait $pid 2>/dev/null
cd /; rm -rf "$dir"`

// The signals that end a server at once. PostgreSQL gives its shared memory back
// when it gets its own, which is the system's otherwise until the next start.
const (
	endPostgres = "QUIT"
	endMariaDB  = "KILL"
)

// serve starts a server and waits until it greets.
func serve(attr *syscall.SysProcAttr, dir, address, end string, greets func(net.Conn) bool, program string, args ...string) (string, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", keeper, "keeper", dir, end, program}, args...)...)
	cmd.Dir = dir
	own := *attr
	own.Setpgid = true
	cmd.SysProcAttr = &own
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "TZ=UTC"}
	if _, err := cmd.StdinPipe(); err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	go cmd.Wait() // holds on to the pipe
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", address); err == nil {
			ok := greets(c)
			c.Close()
			if ok {
				return address, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return "", fmt.Errorf("%s does not answer: %s", filepath.Base(program), log)
}

func startPostgres() (string, error) {
	server, err := find("postgresql", "postgres", "/usr/lib/postgresql/*/bin/postgres", "/usr/pgsql-*/bin/postgres")
	if err != nil {
		return "", err
	}
	initdb := filepath.Join(filepath.Dir(server), "initdb")
	attr, own, err := owner()
	if err != nil {
		return "", err
	}
	cert, key, err := certificate()
	if err != nil {
		return "", err
	}
	dir, err := folder(own, map[string][]byte{"password": []byte(Password + "\n"), "cert.pem": cert, "key.pem": key})
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := run(attr, dir, initdb, "-D", data, "-U", User, "-A", "scram-sha-256", "--pwfile", filepath.Join(dir, "password"), "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return "", err
	}
	single := exec.Command(server, "--single", "-D", data, "postgres")
	single.Dir, single.SysProcAttr, single.Stdin = dir, attr, bytes.NewReader([]byte("CREATE DATABASE portico\n"))
	if out, err := single.CombinedOutput(); err != nil {
		return "", fmt.Errorf("postgres --single: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return serve(attr, dir, address, endPostgres, greetsPostgres, server, "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port),
		"-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(dir, "cert.pem"), "-c", "ssl_key_file="+filepath.Join(dir, "key.pem"))
}

// greetsPostgres asks whether TLS is spoken, which is answered before anything
// else, and then whether the server is up: it refuses to say so as who comes.
func greetsPostgres(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	// A startup message of protocol 3.0 for a user.
	const body = "user\x00" + User + "\x00database\x00" + Database + "\x00\x00"
	n := len(body) + 8
	msg := append([]byte{0, 0, 0, byte(n), 0, 3, 0, 0}, body...)
	if _, err := c.Write(msg); err != nil {
		return false
	}
	kind := make([]byte, 1)
	_, err := io.ReadFull(c, kind)
	return err == nil && kind[0] == 'R' // asks for the password: it is up
}

func startMariaDB() (string, error) {
	server, err := find("mariadb-server", "mariadbd", "/usr/sbin/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mariadbd")
	if err != nil {
		return "", err
	}
	install, err := find("mariadb-server", "mariadb-install-db", "/usr/bin/mysql_install_db")
	if err != nil {
		return "", err
	}
	attr, own, err := owner()
	if err != nil {
		return "", err
	}
	const quoted = `pass''w"o rd;=\\%&?`
	dir, err := folder(own, map[string][]byte{"init.sql": []byte(
		"CREATE DATABASE portico CHARACTER SET utf8mb4;\nCREATE USER portico@'%' IDENTIFIED BY '" + quoted + "';\nGRANT ALL ON portico.* TO portico@'%';\n")})
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := run(attr, dir, install, "--no-defaults", "--datadir="+data, "--skip-test-db", "--auth-root-authentication-method=normal"); err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return serve(attr, dir, address, endMariaDB, greetsMariaDB, server, "--no-defaults", "--datadir="+data, "--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"),
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(port), "--init-file="+filepath.Join(dir, "init.sql"), "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--character-set-server=utf8mb4")
}

func greetsMariaDB(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	head := make([]byte, 5)
	_, err := io.ReadFull(c, head)
	return err == nil && head[4] == 10 // a handshake, and not an error
}

// certificate makes one that signs itself.
func certificate() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &k.PublicKey, k)
	if err != nil {
		return nil, nil, err
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder}), nil
}

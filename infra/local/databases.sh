#!/bin/sh
# Installs PostgreSQL and MariaDB, whose programs the tests of connect run as
# servers of their own. For Debian and Ubuntu, as root or with a sudo that asks
# nothing; anywhere else, or without a network, it says so and changes nothing,
# and those tests are skipped. Exits with 0 where both are there in the end.
set -u

there() { # there PROGRAM PATTERN...: on the path, or where packages put it
	command -v "$1" >/dev/null && return 0
	shift
	for p in "$@"; do [ -x "$p" ] && return 0; done
	return 1
}
postgres() { there postgres /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; }
mariadb() { there mariadbd /usr/sbin/mariadbd /usr/sbin/mysqld /usr/libexec/mariadbd; }

postgres && mariadb && exit 0
root=
[ "$(id -u)" = 0 ] || root="sudo -n"
if ! command -v apt-get >/dev/null || ! $root true 2>/dev/null; then
	echo "databases.sh: install PostgreSQL and MariaDB for the tests against them; they are skipped without" >&2
	exit 1
fi
echo "installing postgresql and mariadb-server"
install() { DEBIAN_FRONTEND=noninteractive timeout 300 $root apt-get install -y -q --no-install-recommends postgresql mariadb-server >/dev/null 2>&1; }
install || { timeout 120 $root apt-get update -q >/dev/null 2>&1 && install; } || echo "databases.sh: apt-get could not install them" >&2
postgres && mariadb

#!/bin/sh
# Runs every fuzz target of the repository for the time (10s) or number of inputs (3000x) given, one after the
# other; the first failure ends it. A new crasher lies under testdata/fuzz of
# its package and is to be committed with its fix.
set -eu

time=${1:-10s}
cd "$(dirname "$0")/../.."

targets=$(grep -rl --include='*_test.go' '^func Fuzz' . | sort)
[ -n "$targets" ] || { echo "fuzz.sh: no fuzz targets" >&2; exit 1; }
for file in $targets; do
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "fuzz ${file%/*} $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "${file%/*}"
	done
done

#!/bin/sh
# Prints the size of a handler and what it is made of: bytes of code and data
# per module, from the symbols of an unstripped build of the same sources.
set -eu

cd "$(dirname "$0")/../.."
handler=$1
full=$(mktemp)
trap 'rm -f "$full"' EXIT
CGO_ENABLED=0 go build -trimpath -tags lambda.norpc -o "$full" ./functions
echo "$handler: $(wc -c <"$handler" | awk '{printf "%.1f", $1 / 1e6}') MB"
go tool nm -size "$full" | awk '
	$3 !~ /^[TtRrDd]$/ { next }
	{
		name = $4
		sub(/^(type:[.a-z]*\.?|go:[a-z.]*)[*\[\]]*/, "", name)
		n = split(name, part, "/")
		if (n < 2) { sub(/[.(].*/, "", part[1]); key = "the standard library and runtime" }
		else if (part[1] ~ /\./) {
			key = part[1] "/" part[2]
			if (part[1] ~ /^(github\.com|golang\.org|go\.opentelemetry\.io)$/ && n > 2) { sub(/[.(].*/, "", part[3]); key = key "/" part[3] }
			sub(/\.[(A-Za-z_].*$/, "", key)
		} else key = "the standard library and runtime"
		bytes[key] += $2
	}
	END { for (k in bytes) printf "%9.2f MB  %s\n", bytes[k] / 1e6, k }
' | sort -rn | head -25

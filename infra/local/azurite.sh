#!/bin/sh
# Installs Azurite, the emulator of Azure Storage that the tests of the azure
# driver run against, into .azurite/ of the repository. Does nothing when this
# version is there already. Needs Node and npm.
set -eu

version=3.37.0

cd "$(dirname "$0")/../.."
done=.azurite/installed-$version
[ -e "$done" ] && exit 0

command -v npm >/dev/null || {
	echo "azurite.sh: npm is not installed; the tests against Azurite are skipped without it" >&2
	exit 1
}
echo "installing azurite@$version into .azurite/ (about half a minute, 365 MB)"
rm -rf .azurite
mkdir -p .azurite
# A package.json of its own keeps npm from looking for one further up.
echo '{"private": true}' >.azurite/package.json
npm install --prefix .azurite --save-exact --no-audit --no-fund --loglevel=error "azurite@$version"
touch "$done"

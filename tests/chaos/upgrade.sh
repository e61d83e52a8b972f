#!/bin/sh
# upgrade.sh BINARY [REF]: the fleet of an older version, built from the git history (HEAD~50 unless told otherwise), is rolled
# to BINARY under load, back, and forward again; see rolling.py.   OLD_BINARY=PATH: that one instead, where there is no history
set -eu
cd "$(dirname "$0")/../.."
new=$1 ref=${2:-HEAD~50}
if [ -z "${OLD_BINARY:-}" ]; then
	if ! sha=$(git rev-parse -q --verify "$ref^{commit}" 2>/dev/null); then
		echo "upgrade: there is no version \"$ref\" here to upgrade from (is this a clone with its history?): give OLD=REF, or OLD_BINARY=PATH" >&2
		exit 2
	fi
	tree=build/old/$sha
	OLD_BINARY=$tree/build/shoal
	if [ ! -x "$OLD_BINARY" ]; then
		echo "upgrade: building $(git log -1 --format='%h of %ad' --date=iso "$sha")"
		rm -rf "$tree"
		mkdir -p "$tree"
		git archive "$sha" | tar -x -C "$tree"
		env -u MAKEFLAGS -u MAKEOVERRIDES make -s -C "$tree" -j2 VERSION="$(git describe --tags --always "$sha")" all
	fi
fi
exec /usr/bin/python3 tests/chaos/rolling.py "$new" "$OLD_BINARY"

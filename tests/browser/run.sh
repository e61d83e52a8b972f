#!/bin/sh
# run.sh [BINARY]: `shoal up` and its chat page in a real browser, as a newcomer uses them. See test.mjs.
# What package.json names goes to build/browser, as do the pictures of the pages; the browser is the machine's own chromium.
set -u
bin=$(realpath "${1:-build/shoal}" 2>/dev/null) && [ -x "$bin" ] || { echo "not ok browser: no binary ${1:-build/shoal}"; exit 1; }
here=$(realpath "$(dirname "$0")") && cd "$here/../.." || exit 1

for program in chromium node npm; do
	command -v $program >/dev/null || { echo "not ok browser: $program is not installed (make deps)"; exit 1; }
done
mkdir -p build/browser && cd build/browser || exit 1
rm -f ./*.png

# Installed once per version; offline from then on.
if ! cmp -s "$here/package-lock.json" installed.lock || [ ! -d node_modules/playwright-core ] || [ ! -d node_modules/discord-interactions ] || [ ! -d node_modules/axe-core ]; then
	rm -rf node_modules installed.lock
	cp "$here/package.json" "$here/package-lock.json" . || exit 1
	if ! npm ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1; then
		echo "not ok browser: npm ci failed, see build/browser/npm.log"
		tail -n 15 npm.log
		exit 1
	fi
	cp package-lock.json installed.lock
fi

exec node "$here/test.mjs" "$bin" "$(command -v chromium)"

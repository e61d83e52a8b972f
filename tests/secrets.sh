#!/bin/sh
# secrets.sh FOLDER: whether the output of the tests, in FOLDER, holds any secret that they give to the programs. (What the
# programs themselves say is looked through by each test, see tests/lib.py.)
cd "$(dirname "$0")/.." || exit 1
logs=${1:-build/log}
list=$(mktemp) || exit 1
trap 'rm -f "$list"' EXIT
# tokens of the simulator's kind, and the passwords that tests give in URLs and for logins
{
	grep -rhoE '[0-9]{9}:token[A-Za-z0-9_-]*|[A-Za-z0-9_-]*secret-of-the-[a-z]*|MTAwMDAwMw[.][A-Za-z0-9_.-]+' tests --include='*.py' --include='*.h' --include='*.c'
	grep -rhoE '://[a-z]*:[A-Za-z0-9_-]{6,}@' tests/e2e tests/integration | sed 's/.*:\(.*\)@/\1/'
	grep -rhoE '(TOKEN|SECRET|OLD|KEY) *= *"[^" ]{12,}"' tests/e2e | sed 's/.*"\(.*\)"/\1/'
	printf '%s\n' geheim-pass app-pass New_secret-1 Old_secret-0
} | sort -u >"$list"
if [ "$(wc -l <"$list")" -lt 8 ]; then
	echo "not ok secrets: only $(wc -l <"$list") are known to look for"
	exit 1
fi
if [ -z "$(ls "$logs" 2>/dev/null)" ]; then
	echo "not ok secrets: there is no output in $logs"
	exit 1
fi
found=$(grep -rnF -f "$list" "$logs" 2>/dev/null | cut -c1-160)
if [ -n "$found" ]; then
	printf '%s\n' "$found" | head -20 | sed 's/^/# /'
	echo "not ok secrets: the tests' output holds some"
	exit 1
fi
echo "ok secrets: none of $(wc -l <"$list") in $(ls "$logs" | wc -l) logs"

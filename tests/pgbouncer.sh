#!/bin/sh
# pgbouncer.sh BINARY: the pool's own test with PgBouncer in transaction mode, then every end-to-end test and faults under load
# with one between the programs and Postgres. Closes with "N passed, N failed".   TESTS="test_cli.py chaos": some of them
set -u
cd "$(dirname "$0")/.." || exit 1
logs=build/log/pgbouncer
mkdir -p $logs
: >$logs/all

try() {
	name=$1
	shift
	case " ${TESTS:-$name} " in *" $name "*) ;; *) return ;; esac
	timeout -k 10 900 "$@" >"$logs/$name.log" 2>&1 </dev/null || grep -q '^not ok ' "$logs/$name.log" ||
		echo "not ok $name ended badly" >>"$logs/$name.log"
	printf '%-28s %4d passed %3d failed\n' "$name" "$(grep -c '^ok ' "$logs/$name.log")" "$(grep -c '^not ok ' "$logs/$name.log")"
	grep -B5 '^not ok ' "$logs/$name.log"
	cat "$logs/$name.log" >>$logs/all
}

try test_pg_pooler "$(dirname "$1")/tests/integration/test_pg_pooler"
export SHOAL_TEST_PGBOUNCER=1
for t in tests/e2e/test_*.py; do
	try "$(basename "$t")" /usr/bin/python3 "$t" "$1"
done
try chaos /usr/bin/python3 tests/chaos/run.py "$1"
awk '/^ok /{ ok++ } /^not ok /{ not++ } END { print ok + 0 " passed, " not + 0 " failed"; exit not > 0 || ok == 0 }' $logs/all

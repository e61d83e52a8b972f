#!/bin/sh
# tests/run.sh    every check of `make test`. A check prints "ok NAME" or "not ok NAME" for each of its cases; one that
# ends badly without a "not ok", or judges nothing, counts as one failure. Closes with "N passed, N failed".
#   FAST=1   leaves out the second run under ASan and UBSan, the browser and the fresh-chaos sample
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/log
rm -f build/log/failures
passed=0 failed=0 began=$(date +%s)
jobs=$(nproc 2>/dev/null || echo 2)
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1

# check TITLE SECONDS COMMAND...
check() {
	title=$1 seconds=$2
	shift 2
	out=build/log/$(echo "$title" | tr -c 'a-zA-Z0-9\n' _).log
	start=$(date +%s)
	timeout -k 10 "$seconds" "$@" >"$out" 2>&1 </dev/null
	status=$?
	ok=$(grep -c '^ok ' "$out") not=$(grep -c '^not ok ' "$out")
	if [ $status -ne 0 ] && [ "$not" -eq 0 ]; then
		not=1
		echo "not ok $title ended with status $status" >>"$out"
	elif [ $((ok + not)) -eq 0 ]; then
		case $title in
		build*) ok=1 ;; # says nothing when all is well
		*)
			not=1
			echo "not ok $title judged nothing" >>"$out"
			;;
		esac
	fi
	passed=$((passed + ok)) failed=$((failed + not))
	printf '%-44s %4d passed %3d failed %4d s\n' "$title" "$ok" "$not" $(($(date +%s) - start))
	if [ "$not" -gt 0 ]; then
		grep -n -B 12 '^not ok ' "$out" | tail -60
		tail -15 "$out"
		grep '^not ok ' "$out" | sed "s|^|$title: |" >>build/log/failures
	fi
}

# Tests that mostly wait (for timeouts, takeovers, dead servers), in two lanes, run beside those that mostly work.
waiting=' test_cache test_cache_close test_cache_races test_breaker test_fleet test_pg test_pg_listen test_queue test_redis turn_script.py flood_script.py '
waiting="$waiting test_edges.py test_effects.py test_escrow.py test_fleet.py test_redis_away.py test_cache_cli.py test_cache.py "
failing=' test_cache_away test_cache_fences test_turn test_flood.py test_outages.py test_poll.py test_queue_cli.py torture.py cache_torture.py '
lanes='working waiting failing'

# lane BUILD TITLE LANE: what runs on one build in one lane, its counts in a file
lane() {
	passed=0 failed=0
	for t in "$1"/tests/unit/test_* "$1"/tests/integration/test_* tests/integration/*.py tests/e2e/test_*.py tests/torture/*torture.py tests/torture/test_*.py "$1"/tests/model/test_turn; do
		name=$(basename "$t") kind=$(basename "$(dirname "$t")")
		case $name in *.d) continue ;; esac
		mine=working
		case $waiting in *[[:space:]]$name[[:space:]]*) mine=waiting ;; esac
		case $failing in *[[:space:]]$name[[:space:]]*) mine=failing ;; esac
		[ $mine = "$3" ] || continue
		case $t in
		# the script in Redis is not ours to sanitize
		*_script.py) [ -n "$2" ] || check "$kind $name" 420 env STEPS=1000 /usr/bin/python3 "$t" ;;
		*/model/test_turn) check "$2$kind $name" 240 env ${2:+STEPS=3000 MUTANTS=0} "$t" ;;
		*.py) check "$2$kind $name" 420 /usr/bin/python3 "$t" "$1/shoal" ;;
		*) check "$2$kind $name" 240 "$t" ;;
		esac
	done
	if [ "$3" = failing ]; then
		check "$2chaos" 300 env SECONDS=20 /usr/bin/python3 tests/chaos/run.py "$1/shoal"
		check "$2chaos test_check.py" 120 /usr/bin/python3 tests/chaos/test_check.py "$1/chaos"
	fi
	if [ "$3" = waiting ]; then
		check "$2bank" 300 /usr/bin/python3 tests/bank/run.py "$1/shoal"
		check "$2bank test_judge.py" 120 /usr/bin/python3 tests/bank/test_judge.py "$1/shoal"
	fi
	echo "$passed $failed" >"build/log/$3"
}
suite() {
	for lane in $lanes; do
		rm -f "build/log/$lane"
		lane "$1" "$2" "$lane" &
	done
	wait
	for lane in $lanes; do
		read -r p f <"build/log/$lane" || p=0 f=1
		total_passed=$((total_passed + p)) total_failed=$((total_failed + f))
	done
	passed=$total_passed failed=$total_failed
}

check "build" 600 make -s -j"$jobs" all test-programs
check "format" 120 sh tests/format.sh
check "layers" 180 sh tests/layers.sh
check "readme" 180 sh tests/readme.sh build/shoal
total_passed=$passed total_failed=$failed
suite build ""
check "protocol model" 420 sh tests/model/spin.sh
check "stack up, down, reset" 300 sh tests/integration/up.sh build/shoal
if [ -z "${FAST:-}" ]; then
	check "browser" 300 sh tests/browser/run.sh build/shoal
	check "build with ASan and UBSan" 900 make -s -j"$jobs" SANITIZE=address,undefined all test-programs
	SHOAL_TEST_LIGHT=1
	export SHOAL_TEST_LIGHT
	total_passed=$passed total_failed=$failed
	suite build/san "asan "
fi
if [ -s build/log/failures ]; then # once more where one looks first
	cut -c1-300 build/log/failures
fi
echo "took $(($(date +%s) - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/bin/sh
# tests/run.sh    every check of `make test`. A check prints "ok NAME" or "not ok NAME" for each of its cases; one that
# ends badly without a "not ok" counts as one failure. Closes with "N passed, N failed".
#   FAST=1   leaves out the second run under ASan and UBSan, the browser and the fresh-chaos sample
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/log
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
	elif [ $status -eq 0 ] && [ $((ok + not)) -eq 0 ]; then
		ok=1
	fi
	passed=$((passed + ok)) failed=$((failed + not))
	printf '%-44s %4d passed %3d failed %4d s\n' "$title" "$ok" "$not" $(($(date +%s) - start))
	if [ "$not" -gt 0 ]; then
		grep -n -B 12 '^not ok ' "$out" | tail -60
		tail -15 "$out"
	fi
}

# all that runs on one build; $1: "" or "asan "
suite() {
	bin=$2
	for t in "$bin"/tests/unit/test_*; do
		case $t in *.d) continue ;; esac
		check "${1}unit $(basename "$t")" 120 "$t"
	done
	for t in "$bin"/tests/integration/test_*; do
		case $t in *.d) continue ;; esac
		check "${1}integration $(basename "$t")" 240 "$t"
	done
	for t in tests/integration/*.py tests/e2e/test_*.py; do
		check "${1}$(basename "$(dirname "$t")") $(basename "$t")" 420 /usr/bin/python3 "$t" "$bin/shoal"
	done
}

check "build" 600 make -s -j"$jobs" all test-programs
check "format" 120 sh tests/format.sh
check "layers" 180 sh tests/layers.sh
check "readme" 180 sh tests/readme.sh build/shoal
suite "" build
check "stack up, down, reset" 300 sh tests/integration/up.sh build/shoal
if [ -z "${FAST:-}" ]; then
	check "browser" 300 sh tests/browser/run.sh build/shoal
	check "build with ASan and UBSan" 900 make -s -j"$jobs" SANITIZE=address,undefined all test-programs
	SHOAL_TEST_LIGHT=1
	export SHOAL_TEST_LIGHT
	suite "asan " build/san
fi
echo "took $(($(date +%s) - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

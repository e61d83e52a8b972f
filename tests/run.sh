#!/bin/sh
# tests/run.sh    every check of `make test`. A check prints "ok NAME" or "not ok NAME" for each of its cases; one that
# ends badly without a "not ok", or judges nothing, counts as one failure. Closes with "N passed, N failed".
#   FAST=1   leaves out the second run under ASan and UBSan, and the browser
set -u
cd "$(dirname "$0")/.." || exit 1
logs=build/log
mkdir -p $logs
rm -f $logs/failures $logs/counts
: >$logs/counts
began=$(date +%s)
jobs=$(nproc 2>/dev/null || echo 2)
# The servers' data in memory, where there is room: to make the thousand files of a cluster took a disk a second of a
# processor's time, for each test.
megabytes() {
	df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }'
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}
if [ -z "${TMPDIR:-}" ] && [ "$(megabytes | sort -n | head -n 1)" -ge 6000 ] && TMPDIR=$(mktemp -d /dev/shm/shoal-test.XXXXXX); then
	trap 'rm -rf "$TMPDIR"' EXIT
	trap 'exit 1' INT TERM
	chmod 1777 "$TMPDIR"
	export TMPDIR
fi
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1

# check TITLE SECONDS COMMAND...
check() {
	title=$1 seconds=$2
	shift 2
	out=$logs/$(echo "$title" | tr -c 'a-zA-Z0-9\n' _).log
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
	echo "$ok $not" >>$logs/counts
	printf '%-44s %4d passed %3d failed %4d s\n' "$title" "$ok" "$not" $(($(date +%s) - start))
	if [ "$not" -gt 0 ]; then
		grep -m 10 ': error: ' "$out" # a compiler's, which the other jobs' lines have pushed up
		grep -n -B 12 '^not ok ' "$out" | tail -60
		tail -15 "$out"
		grep '^not ok ' "$out" | sed "s|^|$title: |" >>$logs/failures
	fi
}

# What keeps a processor busy runs one at a time, two where nothing else is left; the rest mostly waits (for timeouts, takeovers,
# dead servers) and runs beside it. The longest begin first, so that none is left over at the end. test_check.py comes after
# chaos, whose files it reads.
busy=' test_delivery.py test_overload.py test_persona.py torture.py model/test_turn bank chaos test_check.py test_cache.py
 test_escrow.py test_updates.py test_cache_memory test_ladder_plans spin '
long=' test_browser model/test_turn test_poll.py test_admin.py test_fleet test_delivery.py test_persona.py test_queue test_fleet.py test_cache_away chaos test_overload.py
 test_outages.py up.sh torture.py test_discord_calls.py test_webhook.py test_flood.py test_cache_cli.py test_cache.py test_redis_away.py test_escrow.py
 test_clock.py test_limits.py test_exhaustion.py test_leaderboard.py test_match.py test_discord_chaos.py test_monitoring.py test_status.py test_doors.py rolling pooled '

# queue NAME LINE: a check to be done, as check() takes it
queue() {
	list=waiting
	case $busy in *[[:space:]]$1[[:space:]]*) list=working ;; esac
	case $long in
	*[[:space:]]$1[[:space:]]*) echo "$2" >>$logs/$list.long ;;
	*) echo "$2" >>$logs/$list.short ;;
	esac
}
# suite BUILD TITLE ENVIRONMENT: all that is run on one build
suite() {
	for t in "$1"/tests/unit/test_* "$1"/tests/integration/test_* tests/integration/*.py tests/e2e/test_*.py tests/torture/*torture.py tests/torture/test_*.py; do
		name=$(basename "$t") kind=$(basename "$(dirname "$t")")
		case $t in
		*.d) ;;
		# the script in Redis is not ours to sanitize
		*_script.py) [ -n "$2" ] || queue "$name" "'$kind $name' 420 env STEPS=1000 /usr/bin/python3 $t" ;;
		*.py) queue "$name" "'$2$kind $name' 420 env $3 /usr/bin/python3 $t $1/shoal" ;;
		*) queue "$name" "'$2$kind $name' 240 env $3 $t" ;;
		esac
	done
	queue model/test_turn "'$2model test_turn' 240 env ${2:+STEPS=3000 MUTANTS=0} $1/tests/model/test_turn"
	queue chaos "'$2chaos' 300 env $3 SECONDS=20 /usr/bin/python3 tests/chaos/run.py $1/shoal"
	[ -n "$2" ] || queue pooled "'chaos through PgBouncer' 300 env SHOAL_TEST_PGBOUNCER=1 SHOAL_TEST_LIGHT=1 SECONDS=20 \
		FAULTS=pooler-kill,pooler-term,pooler-pause,pooler-cut,pg-fast,pg-crash,kill /usr/bin/python3 tests/chaos/run.py $1/shoal"
	[ -n "$2" ] || queue rolling "rolling 240 env SHOAL_TEST_LIGHT=1 PAUSE=0.3 /usr/bin/python3 tests/chaos/rolling.py $1/shoal"
	queue test_check.py "'$2chaos test_check.py' 120 /usr/bin/python3 tests/chaos/test_check.py $1/chaos"
	queue bank "'$2bank' 300 env $3 /usr/bin/python3 tests/bank/run.py $1/shoal"
	queue test_judge.py "'$2bank test_judge.py' 120 /usr/bin/python3 tests/bank/test_judge.py $1/shoal"
	[ -n "$2" ] || queue crowd "crowd 200 env PLAYERS=300 WORKERS=2 KILLS=2 /usr/bin/python3 tests/crowd/run.py $1/shoal"
	[ -n "$2" ] || queue test_manifests.py "manifests 120 /usr/bin/python3 tests/k8s/test_manifests.py $1/shoal"
	[ -n "$2" ] || queue test_judge.py "'crowd test_judge.py' 120 /usr/bin/python3 tests/crowd/test_judge.py $1/shoal"
}
# pop LIST: its first line in $line; false: there is none
pop() {
	line=$(flock $logs/lock sh -c "sed -n 1p $logs/$1; sed -i 1d $logs/$1")
	[ -n "$line" ]
}
# lane LIST...: until nothing is left in any
lane() {
	for list in "$@"; do
		while pop "$list"; do
			eval "check $line"
		done
	done
}

close() {
	if [ -s $logs/failures ]; then # once more where one looks first
		cut -c1-300 $logs/failures
	fi
	echo "took $(($(date +%s) - began)) s"
	awk '{ ok += $1; not += $2 } END { print ok " passed, " not + 0 " failed"; exit not > 0 }' $logs/counts
	exit
}

check "build" 600 make -s -j"$jobs" all test-programs
[ ! -s $logs/failures ] || close # all else would fail for that, or judge an older build
check "format" 120 sh tests/format.sh
check "layers" 180 sh tests/layers.sh
check "readme" 180 sh tests/readme.sh build/shoal
rm -f $logs/working* $logs/waiting*
touch $logs/working.long $logs/working.short $logs/waiting.long $logs/waiting.short
suite build "" ""
queue up.sh "'stack up, down, reset' 300 sh tests/integration/up.sh build/shoal"
queue spin "'protocol model' 420 sh tests/model/spin.sh"
if [ -z "${FAST:-}" ]; then
	check "build with ASan and UBSan" 900 make -s -j"$jobs" SANITIZE=address,undefined all test-programs
	suite build/san "asan " SHOAL_TEST_LIGHT=1
	queue fuzz "fuzz 300 /usr/bin/python3 tests/fuzz/run.py build/san/tests/fuzz 1"
	queue test_browser "browser 300 sh tests/browser/run.sh build/shoal"
fi
for list in working waiting; do
	cat $logs/$list.long $logs/$list.short >$logs/$list
done
expected=$(cat $logs/counts $logs/working $logs/waiting | wc -l)
lane working waiting &
for _ in 1 2 3 4; do # they mostly wait: so many leave two processors little idle time
	lane waiting &
done
lane waiting working &
wait
expected=$((expected + 1))
check "secrets" 60 sh tests/secrets.sh $logs
if [ "$(wc -l <$logs/counts)" -ne "$expected" ]; then
	echo "not ok some of $expected checks ended without a word" | tee -a $logs/failures
	echo "0 1" >>$logs/counts
fi
close

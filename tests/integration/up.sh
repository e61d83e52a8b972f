#!/bin/sh
# up.sh [BINARY]: `shoal up`, `down` and `reset` from outside: what runs, what it survives, what it leaves behind.
# As root it is run again as an ordinary user.
set -u
bin=$(realpath "${1:-build/shoal}") && [ -x "$bin" ] || { echo "not ok up: no binary ${1:-build/shoal}"; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/shoal-test-up.XXXXXX") failed=0 up= label= as=
unset SHOAL_TELEGRAM_MODE
cli=$(command -v redis-cli || command -v valkey-cli) || cli=redis-cli

ok() { echo "ok up_$label$1"; }
not_ok() {
	echo "not ok up_$label$1"
	failed=1
	shift
	[ $# -eq 0 ] || printf '# %s\n' "$@"
	[ ! -f "$work/out" ] || tail -n 30 "$work/out" | sed 's/^/#   /'
}
check() { # NAME COMMAND...
	name=$1
	shift
	if "$@" >"$work/check" 2>&1; then ok "$name"; else not_ok "$name" "$* failed: $(cat "$work/check")"; fi
}
shoal() { $as "$bin" "$@"; }

# Waits until COMMAND is true, at most $1 tenths of a second.
wait_for() {
	left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}
gone() { ! kill -0 "$1" 2>/dev/null; }
field() { sed -n "s/^[0-9]* [0-9]* $1\$/&/p" .shoal/children | cut -d' ' -f1; } # pid of a child
children() { cut -d' ' -f1 .shoal/children; }
none_alive() { # one that ended and is only not yet collected does not count
	for p in "$@"; do
		if state=$(sed 's/.*) \(.\).*/\1/' "/proc/$p/stat" 2>/dev/null) && [ "$state" != Z ]; then
			echo "$p still runs"
			return 1
		fi
	done
}
count_workers() { [ "$(grep -c ' worker-' .shoal/children)" = "$1" ]; }
secret() { cat ".shoal/secrets/$1"; }
sql() { psql "$(secret postgres_url)" -XAtqc "$1"; }
redis() { $cli --no-auth-warning -u "$(secret redis_url)" "$@"; }
has() { grep -q -- "$1" "$work/out"; }

start() { # starts the supervisor, waits for the block at the end or for its death
	: >"$work/out" # at once: the child's own shell may take a while to get there
	$as "$bin" up "$@" </dev/null >"$work/out" 2>&1 &
	up=$!
	wait_for 1200 sh -c "grep -q '^Shoal is up' '$work/out' || ! kill -0 $up"
	has '^Shoal is up'
}
clean() {
	[ -z "$up" ] || kill -9 "$up" 2>/dev/null
	if [ -f "$work/in/.shoal/children" ]; then
		for p in $(cut -d' ' -f1 "$work/in/.shoal/children"); do
			readlink "/proc/$p/exe" | grep -qE 'redis|valkey|postgres|shoal' && kill -9 "$p"
		done
	fi 2>/dev/null
	cd / && rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

suite() {
	rm -rf "$work/in"
	mkdir "$work/in" && cd "$work/in" || exit 1
	[ -z "$as" ] || chown 65534:65534 "$work/in"

	check down_without_a_stack shoal down
	check reset_without_a_stack shoal reset --yes
	shoal up --workers many >/dev/null 2>&1
	[ $? = 2 ] && ok wrong_number_is_wrong_usage || not_ok wrong_number_is_wrong_usage

	# A taken port is stepped over, and the real one is printed.
	python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try: s.bind(("127.0.0.1", 8080)); s.listen()
except OSError: pass
print("taken", flush=True); time.sleep(600)' >"$work/taken" &
	taker=$!
	wait_for 50 grep -q taken "$work/taken"
	if start --workers 2; then ok starts; else not_ok starts; kill $taker; return; fi
	kill $taker 2>/dev/null
	wait $taker 2>/dev/null
	gateway=$(sed -n 's/^Gateway ready on 127.0.0.1:\([0-9]*\).*/\1/p' "$work/out")
	[ "${gateway:-8080}" -gt 8080 ] && ok taken_port_is_stepped_over || not_ok taken_port_is_stepped_over "gateway on $gateway"
	page=$(sed -n 's/^  Chat with the bot *//p' "$work/out")
	check page_answers python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$page"
	check two_workers count_workers 2
	api=$(sed -n 's/^  Dashboard *//p' "$work/out") token=$(sed -n 's/^    with all rights *//p' "$work/out")
	check admin_answers python3 -c 'import json, sys, urllib.request as u
assert json.load(u.urlopen(u.Request(sys.argv[1] + "api/analytics/start-codes", headers={"Authorization": "Bearer " + sys.argv[2]}), timeout=5))' "$api" "$token"
	if [ -z "$as" ] && [ "$(id -u)" = 0 ]; then
		owner=$(stat -c %U "/proc/$(field postgres)")
		[ "$owner" = postgres ] && ok postgres_is_not_root || not_ok postgres_is_not_root "$owner"
	fi

	# The children's settings, seen from another shell.
	check env_leads_to_redis sh -c '. ./.shoal/env && [ "$('"$cli"' --no-auth-warning -u "$(cat "$SHOAL_REDIS_URL_FILE")" ping)" = PONG ]'
	check env_leads_to_postgres sh -c '. ./.shoal/env && [ "$(psql "$(cat "$SHOAL_POSTGRES_URL_FILE")" -XAtqc "select count(*) > 0 from personas")" = t ]'
	[ "$(redis config get appendonly | tail -1) $(redis config get maxmemory-policy | tail -1)" = "yes noeviction" ] &&
		ok redis_keeps_everything || not_ok redis_keeps_everything

	# Not open to other users of the machine.
	r=$(secret redis_url | sed 's,.*@127.0.0.1:\([0-9]*\).*,\1,') p=$(secret postgres_url | sed 's,.*@127.0.0.1:\([0-9]*\).*,\1,')
	$cli -p "$r" ping 2>&1 | grep -q NOAUTH && ok redis_wants_a_password || not_ok redis_wants_a_password
	if psql "host=127.0.0.1 port=$p user=shoal dbname=shoal" -w -c 'select 1' >/dev/null 2>&1 ||
		psql "host=$(realpath .shoal/run) port=$p user=shoal dbname=shoal" -w -c 'select 1' >/dev/null 2>&1; then
		not_ok postgres_wants_a_password
	else
		ok postgres_wants_a_password
	fi
	open=$(find .shoal/secrets .shoal/log .shoal/env .shoal/lock .shoal/run/ .shoal/postgres -maxdepth 1 -perm /077 ! -type l)
	[ -z "$open" ] && ok files_are_closed_to_others || not_ok files_are_closed_to_others "$open"
	tr '\0' ' ' </proc/"$(field redis)"/cmdline >"$work/cmdlines"
	for c in $(children); do tr '\0' ' ' </proc/"$c"/cmdline; done >>"$work/cmdlines"
	grep -qE "$(secret redis_password)|$(secret postgres_password)|$(secret webhook_secret)|$(secret persona_token)|$(secret ladder_token)|$(secret ladder_seed)" "$work/cmdlines" &&
		not_ok no_secret_in_a_command_line || ok no_secret_in_a_command_line

	# A second one, scaling.
	shoal up >/dev/null 2>&1
	[ $? = 1 ] && ok second_up_is_refused || not_ok second_up_is_refused
	shoal reset --yes >/dev/null 2>&1
	[ $? = 1 ] && ok reset_is_refused_while_running || not_ok reset_is_refused_while_running
	check scale_up_is_told shoal up --workers 4
	check four_workers wait_for 100 count_workers 4
	check scale_down_is_told shoal up --workers 1
	check one_worker wait_for 300 count_workers 1

	# A child that dies comes back, and a line says so.
	for child in worker-1 gateway sim redis postgres; do
		old=$(field $child)
		kill -9 "$old"
		check "restarts_$child" wait_for 200 sh -c "p=\$(grep ' $child\$' .shoal/children | cut -d' ' -f1); [ -n \"\$p\" ] && [ \$p != $old ]"
	done
	check death_is_told has 'was killed by signal 9'
	check postgres_is_back wait_for 200 sql 'select 1'
	check redis_is_back wait_for 200 redis ping

	# Data outlive a stop.
	sql 'create table kept as select 42 as n' && redis set kept 42 >/dev/null
	all="$(children) $up"
	check down shoal down
	wait $up
	[ $? = 0 ] && ok stop_is_code_0 || not_ok stop_is_code_0
	check nothing_runs_after_down none_alive $all
	start --workers 1 && ok starts_again || not_ok starts_again
	[ "$(sql 'select n from kept') $(redis get kept)" = "42 42" ] && ok data_are_kept || not_ok data_are_kept

	# The supervisor dies outright: its children go too, and the next start is not in their way.
	all=$(children)
	kill -9 $up
	wait $up 2>/dev/null
	start --workers 1 && ok starts_after_kill_9 || not_ok starts_after_kill_9
	check children_of_a_killed_one_are_gone none_alive $all
	[ "$(sql 'select n from kept') $(redis get kept)" = "42 42" ] && ok data_survive_kill_9 || not_ok data_survive_kill_9

	# All die outright, and the pid in postmaster.pid belongs to somebody else by then.
	kill -9 $up $(children)
	wait $up 2>/dev/null
	wait_for 100 none_alive $(children)
	sleep 600 &
	other=$!
	sed -i "1s/.*/$other/" .shoal/postgres/postmaster.pid
	[ -z "$as" ] || chown 65534:65534 .shoal/postgres/postmaster.pid
	start --workers 1 && ok starts_with_a_stale_pid_file || not_ok starts_with_a_stale_pid_file
	gone $other && not_ok other_process_is_left_alone || ok other_process_is_left_alone
	kill $other 2>/dev/null
	[ "$(sql 'select n from kept')" = 42 ] && ok data_survive_it || not_ok data_survive_it
	kill -INT $up
	wait $up
	[ $? = 0 ] && ok interrupt_is_code_0 || not_ok interrupt_is_code_0

	# Data of another PostgreSQL: said clearly, and nothing is touched.
	version=$(cat .shoal/postgres/PG_VERSION)
	echo 9 >.shoal/postgres/PG_VERSION
	start
	has 'was made by PostgreSQL 9' && ok other_postgres_is_told || not_ok other_postgres_is_told
	echo "$version" >.shoal/postgres/PG_VERSION

	# A child that cannot work: its last lines are shown, all is stopped, code 1.
	SHOAL_INFLIGHT=banana start --workers 1
	wait $up
	code=$?
	[ $code = 1 ] && has 'SHOAL_INFLIGHT' && ok wrong_setting_is_shown || not_ok wrong_setting_is_shown "code $code"
	check nothing_runs_after_a_failure none_alive $(children)

	echo no | shoal reset >/dev/null 2>&1
	[ -d .shoal ] && ok reset_without_a_terminal_keeps_all || not_ok reset_without_a_terminal_keeps_all
	check reset shoal reset --yes
	[ ! -e .shoal ] && ok nothing_is_left || not_ok nothing_is_left "$(find .shoal)"

	mkdir .shoal && echo precious >.shoal/file
	shoal reset --yes >/dev/null 2>&1
	[ "$(ls -A .shoal)" = file ] && ok reset_leaves_a_foreign_folder_alone || not_ok reset_leaves_a_foreign_folder_alone

	# Nor may a start make it its own, which would let a later reset remove it.
	mkdir .shoal/shoal # the marker's name alone is nothing
	for kind in folder link; do
		[ $kind = folder ] || { mv .shoal foreign && ln -s foreign .shoal; }
		chmod 755 .shoal/.
		timeout 20 $as "$bin" up --workers 0 </dev/null >"$work/out" 2>&1
		code=$?
		shoal reset --yes >/dev/null 2>&1
		there=$(echo $(ls -A .shoal/) $(stat -c %a .shoal/.))
		[ $code = 1 ] && [ "$there" = "file shoal 755" ] && ok up_leaves_a_foreign_${kind}_alone ||
			not_ok "up_leaves_a_foreign_${kind}_alone" "code $code" "$there"
	done
	rm -rf .shoal foreign

	# A path too long for sockets.
	long=$work/in/$(printf '%0120d' 0)
	mkdir "$long" && cd "$long"
	[ -z "$as" ] || chown 65534:65534 .
	start --workers 0 && ok starts_in_a_long_path || not_ok starts_in_a_long_path
	sockets=$(readlink .shoal/run)
	[ -d "$sockets" ] && ok sockets_are_elsewhere || not_ok sockets_are_elsewhere "$sockets"
	check down_in_a_long_path shoal down
	wait $up
	check reset_in_a_long_path shoal reset --yes
	[ ! -e "$sockets" ] && ok no_socket_folder_is_left || not_ok no_socket_folder_is_left "$sockets"
	cd "$work" && rm -rf "$work/in"
	up=
}

suite
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	label=as_user_ as="setpriv --reuid 65534 --regid 65534 --clear-groups"
	cp "$bin" "$work/shoal" && bin=$work/shoal # the checkout may be closed to others
	chmod 755 "$work" "$work/shoal"
	unset XDG_RUNTIME_DIR
	suite
fi
exit $failed

#!/bin/sh
# deps.sh [build|test|bench]: installs the Debian packages that Shoal needs to be built and run; with "build" only to be
# built, with "test" also those of the tests, with "bench" those of what it is measured beside.
# Says nothing and asks no one when all are there. Starts and enables no service, makes no database cluster.
set -eu

BUILD="gcc make pkg-config libc6-dev libhiredis-dev libpq-dev libcurl4-openssl-dev libcjson-dev libevent-dev libssl-dev"
# REDIS_SERVER: the program that is to be run as Redis; a path is one's own, and no package
case ${REDIS_SERVER:-redis-server} in
/*) redis= ;;
*) redis=${REDIS_SERVER:-redis-server} ;;
esac
RUN="$redis postgresql ca-certificates"
TEST="clang clang-format libclang-rt-dev git procps python3 python3-redis python3-psycopg2 python3-cryptography python3-yaml python3-python-telegram-bot chromium nodejs npm spin pgbouncer prometheus strace valgrind"
BENCH="python3 python3-redis python3-psycopg2 nodejs npm golang-go golang-github-gomodule-redigo-dev golang-github-jackc-pgx-v4-dev python3-asyncpg python3-aiohttp"

say() { echo "deps: $*" >&2; }
fail() { say "$*"; exit 1; }

# What stands in for a package: another one that provides the same program.
there() {
	case $1 in
	redis-server) command -v redis-server >/dev/null || { [ -z "${REDIS_SERVER-}" ] && command -v valkey-server >/dev/null; } ;;
	valkey-server) command -v valkey-server >/dev/null ;;
	postgresql) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null ;;
	*) return 1 ;;
	esac
}

# Prints those of its arguments that are not installed.
missing() {
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
		sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr -s ', ' '\n\n' | sort -u)
	for p in "$@"; do
		echo "$have" | grep -qxF "$p" || there "$p" || printf '%s ' "$p"
	done
}

case ${1-} in
'') want="$BUILD $RUN" ;;
build) want="$BUILD" ;;
test) want="$BUILD $RUN $TEST" ;;
bench) want="$BUILD $RUN $BENCH" ;;
*) say "not understood: $1; usage: deps.sh [build|test|bench]"; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	say "this is not Debian: please see that these are there, under whatever name: $want"
	exit 0
fi
need=$(missing $want)
[ -n "$need" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
	root=sudo
else
	fail "missing: $need
deps: neither root nor sudo here. As root: apt-get install --no-install-recommends $need"
fi

log=$(mktemp) made_policy= made_conf=
apt() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		fail "apt-get $1 failed"
	}
}
# A package may be unknown because of its name (another release) or because the lists are old or empty.
known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

clean() {
	rm -f "$log"
	[ -z "$made_policy" ] || $root rm -f /usr/sbin/policy-rc.d
	[ -z "$made_conf" ] || $root rm -f "$made_conf"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "installing: $need"
apt update
install=
for p in $need; do
	if known "$p"; then
		install="$install $p"
	else
		say "this release has no package $p: going on without it"
	fi
done
[ -n "$install" ] || exit 0

# Services of the machine are not ours to start.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	made_policy=1
	printf '#!/bin/sh\nexit 101\n' | $root tee /usr/sbin/policy-rc.d >/dev/null
	$root chmod 755 /usr/sbin/policy-rc.d
fi
case " $install " in
*" postgresql "*)
	# Without this the package makes a cluster "main" in /var/lib/postgresql.
	apt install --no-install-recommends postgresql-common
	conf=/etc/postgresql-common/createcluster.d/shoal.conf
	if [ ! -e "$conf" ]; then
		made_conf=$conf
		$root mkdir -p "${conf%/*}"
		echo "create_main_cluster = false" | $root tee "$conf" >/dev/null
	fi
	;;
esac
# As they were before: a machine that starts one of these at boot now would do so because of us. (Of prometheus only
# promtool is wanted.)
services=
for s in redis-server valkey-server pgbouncer prometheus; do
	case " $install " in *" $s "*) services="$services $s" ;; esac
done
apt install --no-install-recommends $install
if [ -n "$services" ] && command -v systemctl >/dev/null; then
	$root systemctl disable $services >/dev/null 2>&1 || true
fi
need=$(missing $install)
[ -z "$need" ] || fail "still missing after the installation: $need"

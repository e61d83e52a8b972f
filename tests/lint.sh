#!/bin/sh
# lint.sh [FILE...]: what cppcheck, gcc -fanalyzer and clang-tidy (.clang-tidy has its rules) say of src, or of these files.
# An exception stands where it is needed, with its reason. By environment: TOOLS="cppcheck analyzer tidy"
cd "$(dirname "$0")/.." || exit 1
failed=0
tls=$(pkg-config --exists hiredis_ssl && echo -DSHOAL_REDIS_TLS $(pkg-config --cflags hiredis_ssl libssl))
flags="-std=gnu11 -Iinclude -Itests -D_GNU_SOURCE -DSHOAL_VERSION=__FILE__ $tls $(pkg-config --cflags hiredis libpq libcurl libcjson libevent libcrypto)"
[ $# -gt 0 ] || set -- $(find src -name '*.c' | sort)
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# verdict NAME: the findings are in $log
verdict() {
	if [ -s "$log" ]; then
		sed 's/^/# /' "$log"
		echo "not ok lint $1"
		failed=1
	else
		echo "ok lint $1"
	fi
}
# each COMMAND...: for every file, as many at a time as there are processors
each() {
	command=$1
	shift
	printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh -c "$command" 2>/dev/null >"$log"
}

for tool in ${TOOLS:-cppcheck analyzer tidy}; do
	case $tool in
	cppcheck)
		# sys/queue.h is the system's, and cppcheck does not read it
		cppcheck -q -j "$(nproc)" --enable=warning,portability --std=c11 --inline-suppr -Iinclude -Itests -D_GNU_SOURCE \
			'-DLIST_HEAD(n,t)=struct n{struct t *first;}' '-DLIST_ENTRY(t)=struct{struct t *next;}' \
			'-DTAILQ_HEAD(n,t)=struct n{struct t *first;}' '-DTAILQ_ENTRY(t)=struct{struct t *next;}' "$@" >"$log" 2>&1
		verdict cppcheck
		;;
	analyzer) # gcc's own; malloc-leak and the like follow pointers that lists and callbacks own, and lose them
		each "gcc $flags -O1 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak -Wno-analyzer-fd-leak -c -o /dev/null \$0 2>&1 | grep -A3 'warning:\|error:'" "$@"
		verdict "gcc -fanalyzer"
		;;
	tidy)
		each "clang-tidy --quiet \$0 -- $flags | grep 'warning:\|error:'" "$@"
		verdict clang-tidy
		;;
	*)
		echo "not ok lint: there is no $tool"
		failed=1
		;;
	esac
done
exit $failed

#!/bin/sh
# lint.sh [FILE...]: what cppcheck, gcc -fanalyzer and clang-tidy (.clang-tidy has its rules) say of src and of the programs in
# tests, or of these files. Each has first to find a mistake that is planted for it.
# An exception stands where it is needed, with its reason. By environment: TOOLS="cppcheck analyzer tidy"
cd "$(dirname "$0")/.." || exit 1
failed=0
tls=$(pkg-config --exists hiredis_ssl && echo -DSHOAL_REDIS_TLS $(pkg-config --cflags hiredis_ssl libssl))
flags="-std=gnu11 -Iinclude -Itests -D_GNU_SOURCE -DSHOAL_LINT -DSHOAL_VERSION=__FILE__ $tls $(pkg-config --cflags hiredis libpq libcurl libcjson libevent libcrypto)"
[ $# -gt 0 ] || set -- $(find src tests -name '*.c' | sort)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
log=$tmp/log
cat >"$tmp/planted.c" <<END
int planted(int n);
int planted(int n)
{
	int a[3] = {n, n, n}, *nothing = 0;

	if (n > 3)
		*nothing = a[0];
	return a[n > 0];
}
END
# cppcheck does not read the headers of the system, but for those whose macros it has to know
macros=$(printf '#include <sys/queue.h>\n#include <cjson/cJSON.h>\n' | gcc $flags -M -x c - | tr ' ' '\n' |
	sed -n '/sys\/queue\.h$\|cJSON\.h$/s/^/--include=/p')

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
# look TOOL FILE...: its findings into $log
look() {
	tool=$1
	shift
	case $tool in
	cppcheck) # varFuncNullUB: NULL is a pointer in every libc here
		cppcheck -q -j "$(nproc)" --enable=warning,portability --std=c11 --inline-suppr --library=tests/lint.xml \
			--suppress=varFuncNullUB $macros -Iinclude -Itests -D_GNU_SOURCE -DSHOAL_LINT "$@" >"$log" 2>&1
		;;
	analyzer) # gcc's own; malloc-leak and the like follow pointers that lists and callbacks own, and lose them. A test may
		# die of what it does not find, and of a lack of memory
		light="-Wno-analyzer-possible-null-argument -Wno-analyzer-possible-null-dereference
			-Wno-analyzer-null-dereference -Wno-analyzer-use-of-uninitialized-value"
		each "case \$0 in tests/*) light='$(echo $light)' ;; esac
			gcc $flags -O1 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak -Wno-analyzer-fd-leak \$light -c -o /dev/null \$0 2>&1 | grep -A3 'warning:\|error:'" "$@"
		;;
	tidy)
		each "clang-tidy --quiet --config-file=.clang-tidy \$0 -- $flags | grep 'warning:\|error:'" "$@"
		;;
	*) echo "there is no $tool" >"$log" ;;
	esac
}

for tool in ${TOOLS:-cppcheck analyzer tidy}; do
	look "$tool" "$tmp/planted.c"
	if [ -s "$log" ]; then
		look "$tool" "$@"
	else
		echo "finds nothing, not even what is planted" >"$log"
	fi
	verdict "$tool"
done
exit $failed

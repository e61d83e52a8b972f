#!/bin/sh
# The layers' law: who may include whom, headers that compile alone, bots without clock, chance or stdio, banned calls.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
B=${B:-build}
failed=0

# verdict NAME FINDINGS: nothing found is ok
verdict() {
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		failed=1
	fi
}

# what a layer may include beside itself
allowed() {
	case $1 in
	base) ;;
	model) echo base ;;
	bots) echo base model ;;
	wire) echo base model ;;
	io) echo base ;;
	store) echo base model io ;;
	worker | gateway | admin | cli) echo base model bots wire io store ;;
	sim | up) echo base io ;;
	*) return 1 ;;
	esac
}

directions() {
	for dir in src/*/ include/shoal/*/; do
		layer=$(basename "$dir")
		if ! may=$(allowed "$layer"); then
			echo "$dir: no such layer"
			continue
		fi
		grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"' "$dir" --include='*.[ch]' |
			sed -nE 's|^([^:]*:[0-9]+):[^"]*"([^"]*)".*|\1 \2|p' |
			while read -r where what; do
				case $what in
				shoal/*/*.h) to=${what#shoal/} to=${to%%/*} ;;
				*)
					echo "$where: \"$what\" is not shoal/LAYER/NAME.h"
					continue
					;;
				esac
				case " $layer $may " in
				*" $to "*) ;;
				*) echo "$where: $layer may not include $what" ;;
				esac
			done
	done
}

# libraries that live in one layer only
libraries() {
	grep -rnE '#[[:space:]]*include[[:space:]]*<(event2?/|event\.h|hiredis/|curl/|libpq-fe|sys/socket)' src include \
		--include='*.[ch]' | grep -vE '^(src|include/shoal)/(io|store|worker|gateway|admin|cli|sim|up)/'
	grep -rnE '#[[:space:]]*include[[:space:]]*<(time|sys/time|sys/random|stdio)\.h>' src/bots src/model include/shoal/bots \
		include/shoal/model --include='*.[ch]' 2>/dev/null | grep -v '<stdio.h>'
}

headers() {
	flags="-std=gnu11 -Iinclude -D_GNU_SOURCE $(pkg-config --cflags hiredis libpq libcurl libcjson libevent 2>/dev/null)"
	for h in $(find include -name '*.h' | sort); do
		# shellcheck disable=SC2086
		printf '#include "%s"\n' "${h#include/}" |
			$CC $flags -Wall -Wextra -Werror -fsyntax-only -x c - 2>&1 | sed "s|^|$h: |"
	done
}

impure='time|clock|clock_gettime|gettimeofday|timespec_get|nanosleep|sleep|usleep|rand|rand_r|srand|random|srandom|drand48'
impure="$impure|getrandom|arc4random|clock_ms|clock_us|clock_wall_ms|random_bytes|random_u64|random_hex|jitter_ms"
impure="$impure|printf|fprintf|vprintf|vfprintf|puts|putchar|fputs|fputc|fwrite|perror|fopen|fdopen|open|open64|openat|read"
impure="$impure|write|socket|connect|getenv|secure_getenv|system|popen|fork|execv|execve|log_emit"

# name of a library: its undefined symbols that a pure one has no use for
impurities() {
	make -s "$B/lib$1.a" >/dev/null 2>&1 || { echo "$B/lib$1.a does not build" && return; }
	nm -u "$B/lib$1.a" 2>/dev/null | sed -nE 's/^ +[Uw] (__)?([a-z0-9_]+)(@.*)?$/\2/p' | sed 's/_chk$//' | sort -u |
		grep -xE "$impure" | sed "s|^|lib$1.a calls |"
}

banned() {
	grep -rnE '(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|alloca|tmpnam|mktemp)[[:space:]]*\(' \
		src include --include='*.[ch]' | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)'
}

verdict layers_includes "$(directions)"
verdict layers_libraries "$(libraries)"
verdict layers_headers_compile_alone "$(headers)"
verdict layers_model_is_pure "$(impurities model)"
verdict layers_bots_are_pure "$(impurities bots)"
verdict layers_banned_functions "$(banned)"
exit $failed

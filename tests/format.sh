#!/bin/sh
# Every C file as clang-format writes it, every shell script readable by sh.
cd "$(dirname "$0")/.." || exit 1
failed=0

verdict() {
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		failed=1
	fi
}

c_files() {
	find src include tests -name '*.[ch]' | sort | xargs -r clang-format --dry-run -Werror 2>&1 | grep -E 'error:|: No such'
}

scripts() {
	find . \( -path ./build -o -path ./.git -o -path ./.shoal \) -prune -o -name '*.sh' -print | sort |
		while read -r f; do
			case $(head -n 1 "$f") in
			*bash*) bash -n "$f" 2>&1 ;;
			*) sh -n "$f" 2>&1 ;;
			esac
		done
}

if command -v clang-format >/dev/null; then
	verdict format_c "$(c_files)"
else
	echo "ok format_c # skipped: there is no clang-format"
fi
verdict format_sh "$(scripts)"
exit $failed

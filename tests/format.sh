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
	find src include tests -name '*.[ch]' | sort | xargs -r "$format" --dry-run -Werror 2>&1 | grep -E 'error:|: No such'
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

# versions write some initialisers each in a way of its own; Debian 12's decides
format=$(command -v clang-format-14 || command -v clang-format)
case $("${format:-true}" --version) in
*' version 14.'*) verdict format_c "$(c_files)" ;;
'') echo "ok format_c # skipped: there is no clang-format" ;;
*) echo "ok format_c # skipped: written by clang-format 14, and here is none of that version" ;;
esac
verdict format_sh "$(scripts)"
exit $failed

#!/bin/sh
# tests/readme.sh [BINARY]: what README.md says of options, verbs, metrics, files and targets is so, and its example works.
cd "$(dirname "$0")/.." || exit 1
bin=${1:-build/shoal}
case $bin in /*) ;; *) bin=./$bin ;; esac
failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/shoal-test-readme.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# verdict NAME FINDINGS: nothing found is ok
verdict() {
	if [ -z "$2" ]; then
		echo "ok readme_$1"
	else
		echo "not ok readme_$1"
		printf '%s\n' "$2" | sed 's/^/# /'
		failed=1
	fi
}

# differ A B: the lines that only one of two files has; < is the README
differ() {
	[ -s "$1" ] && [ -s "$2" ] || echo "nothing was found in $(basename "$1") or $(basename "$2")"
	diff "$1" "$2" | grep '^[<>]'
}

# NAME=value for each row; a default that names another option is that option's
options_said() {
	sed -n '/^<!-- options -->/,/^<!-- \/options -->/p' README.md | sed -n 's/^| `\(SHOAL_[A-Z_]*\)` | \([^|]*\) | .*/\1 \2/p' |
		awk '{
			value = $2
			if (value == "unset") value = ""
			gsub(/`/, "", value)
			if (value in known) value = known[value]
			known[$1] = value
			print $1 "=" value
		}'
}
# in an empty environment what is in force are the defaults
options_are() { env -i "$bin" config; }

verbs_said() {
	sed -n '/^| Verb | /,/^$/p' README.md | sed -n 's/^| \(`[^|]*\) | .*/\1/p' | grep -o '`[a-z]*' | tr -d '`' | grep . | sort -u
}
# the subverbs are taken from the help of their verb
verbs_are() {
	verbs=$(env -i "$bin" help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
	for v in $verbs; do
		echo "$v"
		env -i "$bin" help "$v" | sed -n "s/^shoal $v \([a-z|]*\).*/\1/p" | tr '|' '\n'
	done | grep . | grep -vx -e bash -e zsh | sort -u
}
# first words of a cell's further parts are subverbs: `code list`, `add`, `set`
subverbs_said() { sed -n '/^| Verb | /,/^$/p' README.md | sed -n 's/^| `[a-z]* \([a-z]*\)`.*/\1/p'; }

metrics_said() { grep -o '`shoal_[a-z_]*`' README.md | tr -d '`' | sort -u; }
# shoal_cache is a channel of Postgres
metrics_are() { grep -rhoE '"shoal_[a-z_]+"' src --include='*.c' | tr -d '"' | grep -vx shoal_cache | sort -u; }

# paths in backticks and links that lead nowhere
paths() {
	grep -oE '`(src|include|lua|sql|tests)/[A-Za-z0-9_./]*`' README.md | tr -d '`' | grep -v LAYER | sort -u | while read -r p; do
		[ -e "$p" ] || echo "there is no $p"
	done
	sed -n 's/^##* //p' README.md | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9\n-' >"$work/anchors"
	grep -oE '\]\([^)]*\)' README.md | sed 's/^](//; s/)$//' | while read -r l; do
		case $l in
		http*) ;;
		\#*) grep -qx -- "${l#?}" "$work/anchors" || echo "no section is called $l" ;;
		*) [ -e "$l" ] || echo "there is no $l" ;;
		esac
	done
}

targets() {
	for t in $(grep -oE '(`|&& |FAST=1 )make( [A-Z]+=[a-z,N]*)*( [a-z][a-z0-9-]*)+' README.md |
		sed -E 's/.*make//; s/ [A-Z]+=[a-z,N]*//g'); do
		grep -qE "^([a-z0-9-]+ )*$t( [a-z0-9-]+)*:" Makefile || echo "make has no target $t"
	done
}

# the nth line of the block that follows "<!-- example: NAME -->"
block() {
	awk -v mark="<!-- example: $1 -->" '$0 == mark { found = 1; next }
		found && /^```/ { if (inside) exit; inside = 1; next } inside' README.md
}

# A copy of the tree with the example in it, built and tested.
example() {
	tree=$work/tree
	mkdir -p "$tree/build/obj"
	cp -a Makefile .clang-format include src lua sql tests "$tree/" || return
	for o in base model bots embed.o embed.d; do # what is built already needs not be built again
		[ ! -e "build/obj/$o" ] || cp -a "build/obj/$o" "$tree/build/obj/"
	done
	[ ! -e build/embed.c ] || cp -a build/embed.c "$tree/build/"
	block function >"$work/function" && block row >"$work/row"
	awk -v function_file="$work/function" -v row_file="$work/row" '
		function put(file,   line) { while ((getline line <file) > 0) print line }
		/^static const struct command commands\[\] = \{/ { put(function_file); print "" }
		/\.name = "unknown_command"/ { put(row_file) }
		{ print }' src/bots/persona.c >"$tree/src/bots/persona.c"
	{ echo && block test; } >>"$tree/tests/decisions/persona.txt"
	cd "$tree" || return
	env -u MAKEFLAGS make -s SANITIZE= build/tests/unit/test_decisions >"$work/log" 2>&1 || { echo "it does not compile" && tail -20 "$work/log" && return; }
	build/tests/unit/test_decisions >"$work/log" 2>&1 || { echo "its test fails" && grep -A5 '^not ok' "$work/log" && return; }
	title=$(sed -n 's/^case //p' "$work/test" 2>/dev/null)
	grep -qxF "ok ${title:?}" "$work/log" || echo "its test was not run"
	! command -v clang-format >/dev/null || clang-format --dry-run -Werror src/bots/persona.c 2>&1
}

options_said >"$work/README" && options_are >"$work/config"
verdict options "$(differ "$work/README" "$work/config")"
{ verbs_said && subverbs_said; } | sort -u >"$work/README" && verbs_are >"$work/help"
verdict verbs "$(differ "$work/README" "$work/help")"
metrics_said >"$work/README" && metrics_are >"$work/src"
verdict metrics "$(differ "$work/README" "$work/src")"
verdict paths "$(paths)"
verdict targets "$(targets)"
block test >"$work/test"
verdict example "$(example)"
exit $failed

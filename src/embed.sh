#!/bin/sh
# embed.sh FILE... > embed.c    a C table of the files' bytes, by name; src/sim/web/x becomes sim/web/x. The line
# "-- @include NAME" of a script, of which it has one at most, has lua/part/NAME behind it.
put() { printf '\t".incbin \\"%s\\"%s\\n"\n' "$1" "$2"; }
size_of() { bytes=$(wc -c < "$1") && echo "$((bytes))"; }

echo '#include "shoal/base/embed.h"'
i=0
table=
for f in "$@"; do
	i=$((i + 1))
	size=$(size_of "$f") || exit
	printf '__asm__(".section .rodata\\n.global embed_%d\\nembed_%d:\\n"\n' $i $i
	if line=$(grep -b '^-- @include ' "$f"); then
		part=lua/part/${line##* }
		text=${line#*:}
		[ "$(grep -c '^-- @include ' "$f")" = 1 ] || { echo "$f includes more than one part" >&2; exit 1; }
		end=$((${line%%:*} + ${#text} + 1))
		more=$(size_of "$part") || exit
		size=$((size + more))
		put "$f" ", 0, $end"
		put "$part"
		put "$f" ", $end"
	else
		put "$f"
	fi
	printf '\t".byte 0\\n.previous");\nextern const char embed_%d[];\n' $i
	table="$table	{\"${f#src/}\", embed_$i, $size},
"
done
printf 'const struct embed_file embed_files[] = {\n%s\t{0},\n};\n' "$table"

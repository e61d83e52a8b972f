#!/bin/sh
# embed.sh FILE... > embed.c    a C table of the files' bytes, by name; src/sim/web/x becomes sim/web/x
echo '#include "shoal/base/embed.h"'
i=0
for f in "$@"; do
	i=$((i + 1))
	printf '__asm__(".section .rodata\\n.global embed_%d\\nembed_%d: .incbin \\"%s\\"\\n.byte 0\\n.previous");\n' \
		$i $i "$f"
	printf 'extern const char embed_%d[];\n' $i
done
echo 'const struct embed_file embed_files[] = {'
i=0
for f in "$@"; do
	i=$((i + 1))
	printf '\t{"%s", embed_%d, %d},\n' "${f#src/}" $i "$(($(wc -c < "$f")))"
done
echo '	{0},'
echo '};'

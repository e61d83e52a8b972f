#!/bin/sh
# tests/model/spin.sh [all]    checks queue.pml with spin: what must hold, then mistakes that it must reject. Without
# "all" a sample of half a minute. Work and logs are under build/model.
# One line a check, "ok" or "not ok"; a rejected mistake shows its counterexample.
set -u
cd "$(dirname "$0")/../.." || exit 1
model=$PWD/tests/model/queue.pml out=$PWD/build/model whole=${1-} failed=0
case $whole in '' | all) ;; *) echo "usage: spin.sh [all]" >&2; exit 2 ;; esac
for tool in spin gcc; do
	command -v $tool >/dev/null || { echo "not ok model: $tool is not installed"; exit 1; }
done
kinds='-DCRASH -DPAUSE -DCUT -DLEAVE -DUNKNOWN -DCONFLICT -DOUTAGE -DFAIL -DBAD'
safety='-DNOCLAIM -DSAFETY' ends='' compact='-DNOCLAIM -DSAFETY -DHC4'

# build NAME OPTIMISATION MACROS COMPILER-FLAGS
build() {
	rm -rf "$out/$1" && mkdir -p "$out/$1" && cd "$out/$1" || exit 1
	cp "$model" .
	{ spin -a $3 queue.pml && gcc "$2" -w -DNOREDUCE $4 -o pan pan.c; } >build.log 2>&1 || {
		tail -5 build.log
		return 1
	}
}
# The search was whole and ended well.
clean() {
	grep -q 'errors: 0$' pan.log && ! grep -qE 'max search depth too small|out of memory|resource|error:' pan.log
}
numbers() {
	awk '/depth reached/ { depth = $6 } /states, stored/ { states = $1 } /elapsed time/ { time = $4 }
		/total actual memory usage/ { mib = $1 }
		END { printf "%d states, depth %d, %d MiB, %.1f s", states, depth + 0, mib, time }' pan.log
}
# "[1010]" is a set of entries. What never ends is shown by where it stays.
readable() {
	awk '/^ *(unread|pel|settled|dead) = / { state = state " " $1 " " $3 }
	/<<<<<START OF CYCLE/ { print "    from here on for ever:" }
	/^ *(worker|redis|postgres|platform|network)|spin: text/ {
		while (match($0, /\[[01][01][01][01]\]/)) {
			set = ""
			for (i = 0; i < 4; i++)
				if (substr($0, RSTART + 1 + i, 1) == "1") set = set (set == "" ? "" : " ") i
			$0 = substr($0, 1, RSTART - 1) "{" set "}" substr($0, RSTART + 6)
		}
		sub(/^ *spin: text of failed assertion/, "violated")
		print "    " $0
	}
	END { print "    at the end, as masks of entries:" state }'
}

# holds NAME MACROS COMPILER-FLAGS PAN-FLAGS
holds() {
	(build "$1" "$opt" "$2" "$3" && ./pan -m2000000 $4 >pan.log 2>&1 && clean && echo "ok model $1: $(numbers)") || {
		echo "not ok model $1"
		failed=1
		(cd "$out/$1" && tail -5 pan.log && spin -t -T $2 queue.pml | readable)
	}
}

# rejects MISTAKE MACROS COMPILER-FLAGS PAN-FLAGS: without the mistake all is well, with it spin finds an error
rejects() {
	name=$(echo "$1" | tr 'A-Z_' 'a-z ')
	if [ -n "$whole" ]; then
		(build "without_$1" -O0 "$2" "$3" && ./pan -m100000 $4 >pan.log 2>&1 && clean) || {
			echo "not ok model, without mistake: $name"
			failed=1
		}
	fi
	(build "$1" -O0 "$2 -DBROKEN_$1" "$3 -DREACH" && ./pan -m100000 -i $4 >pan.log 2>&1
		grep -qE '^pan:[0-9]+: (assertion|acceptance)' pan.log) || {
		echo "not ok model, not rejected: $name"
		failed=1
		return
	}
	echo "ok model, rejected: $name"
	(cd "$out/$1" && spin -t -T $2 "-DBROKEN_$1" queue.pml | readable)
}

opt=-O1
holds all-kinds "-DN=2 -DFAULTS=1 $kinds" "$safety" ""
holds replies "-DN=1 -DR=2 -DFAULTS=2 $kinds" "$safety" ""
holds ends "-DLIVE -DN=2 -DFAULTS=1 $kinds" "$ends" -a
seen='-DBEHAVIOUR -DFAULTS=1'
rejects NO_GUARD "$seen -DN=1 -DCRASH" "$safety" ""
rejects NO_FENCE_BEFORE_SENDING "$seen -DN=1 -DPAUSE" "$safety" ""
rejects RETRY_FREES_LANE "$seen -DN=2 -DFAIL" "$safety" ""
rejects LEAVE_FREES_LANE "$seen -DN=1 -DLEAVE -DLIVE" "$ends" -a
[ -n "$whole" ] || exit $failed

rejects NO_FENCE_BEFORE_COMMIT "-DFAULTS=1 -DN=1 -DPAUSE" "$safety" ""
rejects GUARD_WITHOUT_EFFECTS "$seen -DN=1 -DCRASH" "$safety" ""
rejects HELLO_KEEPS_ALL "$seen -DN=1 -DCUT -DLIVE" "$ends" -a
rejects NO_REPORT_FENCE "$seen -DN=2 -DPAUSE" "$safety" ""
rejects ONE_NAME "$seen -DN=1 -DCUT -DLIVE" "$ends" -a
rejects NEXT_FORGETS_WAITING "$seen -DN=2 -DLIVE" "$ends" -a
rejects NO_MARKS "$seen -DN=1 -DR=2 -DCRASH" "$safety" ""
rejects CERTAIN_TOO_LONG "$seen -DN=1" "$safety" ""
rejects RETRY_UNCOUNTED "-DFAULTS=0 -DN=1 -DFAILS=0 -DLIVE" "$ends" -a
rejects TAKEOVER_UNCOUNTED "-DFAULTS=0 -DN=1 -DKILLER=0 -DLIVE" "$ends" -a
rejects SUSPECT_IN_COMPANY "-DFAULTS=0 -DN=3 -DKILLER=0 -DSUSPECT=2 -DFATAL=3" "$safety" ""
letters='-DSTRICT_MAYBE -DN=1 -DCRASH -DPAUSE -DCUT -DLEAVE -DUNKNOWN -DOUTAGE -DBAD'
rejects UNTRUE_LETTERS "-DFAULTS=2 $letters" "$safety" ""

opt=-O2
holds letters "-DFAULTS=3 $letters" "$safety" ""
holds two-faults "-DN=2 -DFAULTS=2 $kinds" "$safety" ""
holds three-lives "-DN=2 -DFAULTS=3 $kinds" "$compact" -w27
holds split "-DSPLIT -DN=2 -DFAULTS=2 $kinds" "$safety" ""
holds three-entries "-DN=3 -DFAULTS=1 $kinds" "$safety" ""
holds deaths "-DN=3 -DFAULTS=2 -DCRASH -DPAUSE" "$safety" ""
holds connections "-DN=3 -DFAULTS=2 -DCUT -DLEAVE" "$safety" ""
holds troubles "-DN=3 -DFAULTS=2 -DUNKNOWN -DCONFLICT -DOUTAGE -DFAIL -DBAD" "$safety" ""
holds arrivals "-DARRIVE -DN=2 -DFAULTS=2 $kinds" "$safety" ""
holds same-key "-DDUP -DN=3 -DFAULTS=2 -DCRASH -DCUT -DFORGET" "$safety" ""
holds killer "-DN=3 -DFAULTS=0 -DKILLER=0 -DSUSPECT=2 -DFATAL=3" "$safety" ""
holds killer-ends "-DLIVE -DN=3 -DFAULTS=0 -DKILLER=0 -DSUSPECT=2 -DFATAL=3" "$ends" -a
holds failing-ends "-DLIVE -DN=3 -DFAULTS=1 -DFAILS=0 -DATTEMPTS=3 $kinds" "$ends" -a
holds two-faults-end "-DLIVE -DN=2 -DFAULTS=2 $kinds" "$ends" -a
holds three-entries-end "-DLIVE -DN=3 -DFAULTS=1 $kinds" "$ends" -a
exit $failed

#!/bin/sh
# tests/lint.sh: what a grep can prove about the sources, and the compiler about headers. Run from the root of the tree.
# One line for each finding, then `layers: N passed, N failed`, where a check with any finding has failed.
set -u
export LC_ALL=C
CC=${CC:-cc}
passed=0 failed=0

# check TITLE COMMAND...: passes when the command prints nothing.
check() {
	title=$1
	shift
	findings=$("$@" 2>&1)
	if [ -n "$findings" ]; then
		failed=$((failed + 1))
		echo "$findings" | awk -v title="$title" '{ print title ": " $0 }'
	else
		passed=$((passed + 1))
	fi
}

sources() { find common fcgi helper deploy tests -name '*.[ch]' 2>/dev/null | sort; }
product() { sources | grep -v '^tests/'; }

# Without comments and strings, so that neither speaks for the code; lines keep their numbers.
code() {
	awk 'FNR == 1 { open = 0 }
	{
		line = $0
		gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
		while (1) {
			if (open) {
				if ((i = index(line, "*/")) == 0) { line = ""; break }
				line = substr(line, i + 2); open = 0
			}
			if ((i = index(line, "/*")) == 0) break
			rest = substr(line, i + 2); head = substr(line, 1, i - 1)
			if ((j = index(rest, "*/")) == 0) { line = head; open = 1; break }
			line = head " " substr(rest, j + 2)
		}
		print FILENAME ":" FNR ": " line
	}' "$@"
}

# ---- layers ----

# side FOLDER FORBIDDEN: no file of FOLDER includes one of the other side.
includes() { grep -rnE "#include \"($2)/" --include='*.[ch]' "$1" 2>/dev/null; }
side() { check "$1 includes $2" includes "$1" "$2"; }
side common 'fcgi|helper|deploy|tests'
side fcgi 'helper|deploy|tests'
side helper 'fcgi|deploy|tests'
side deploy 'fcgi|helper|tests'
# The commands for operators know of the launcher where its run directory is, and it knows that there are commands.
only() { includes "$1" "$2" | grep -vF "$3"; }
check "deploy/admin includes deploy/launcher" only deploy/admin deploy/launcher '"deploy/launcher/rundir.h"'
check "deploy/launcher includes deploy/admin" only deploy/launcher deploy/admin '"deploy/admin/admin.h"'

# The rooms of helper/ and the files beside them, as they stand on each other. A file includes its own room and what
# stands below: so no rooms include each other in a circle. Files without a room may include their equals. Connections
# (ipc) stand low: they hand a request up through a callback and know none of those above.
order='
8 helper/main
7 helper/dispatch
6 helper/admin
5 helper/produce helper/consume
4 helper/coordination
3 helper/kafka helper/store helper/zookeeper helper/ops helper/helper
2 helper/ipc helper/ipc_state helper/conn helper/op helper/tidy
1 helper/loop helper/loop_lanes helper/threads
'
# A file's room, or itself without .c or .h.
place() { case $1 in helper/*/*) echo "${1%/*}" ;; *) echo "${1%.[ch]}" ;; esac; }
rank() { echo "$order" | awk -v place="$1" '{ for (i = 2; i <= NF; i++) if ($i == place) print $1 }'; }
below() {
	[ "$1" -lt "$2" ] || { [ "$1" -eq "$2" ] && [ ! -d "$3" ] && [ ! -d "$4" ]; }
}
helper_order() {
	for f in $(find helper -name '*.[ch]' 2>/dev/null | sort); do
		here=$(place "$f") mine=$(rank "$(place "$f")")
		if [ -z "$mine" ]; then
			echo "$f: has no place in the order of tests/lint.sh"
			continue
		fi
		for h in $(sed -n 's/^#include "\(helper\/[^"]*\)".*/\1/p' "$f"); do
			there=$(place "$h")
			[ "$there" = "$here" ] || below "$(rank "$there")" "$mine" "$there" "$here" ||
				echo "$f includes $h, which does not stand below it"
		done
	done
}
check "order of helper" helper_order

# ---- each library has one home, jansson one on each side ----

# home LIBRARY HEADERS FILES: only FILES (an extended regular expression) include HEADERS.
outside() {
	grep -rnE "#include <($1)>" --include='*.[ch]' common fcgi helper deploy 2>/dev/null | grep -vE "^($2):"
}
home() { check "$1 outside its home" outside "$2" "$3"; }
home libfcgi 'fcgi(app|_stdio|os|misc|_config)?\.h' 'fcgi/http\.c'
home jansson 'jansson.*\.h' 'fcgi/json_in\.c|helper/zookeeper/registration\.c'
home SQLite 'sqlite3.*\.h' 'helper/store/.*'
home librdkafka 'librdkafka/.*\.h' 'helper/kafka/.*'
home ZooKeeper 'zookeeper/.*\.h' 'helper/zookeeper/.*'
home libuv 'uv\.h' 'helper/loop\.[ch]'

# ---- calls that are not used ----

banned='strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|system|popen|tmpnam|mktemp|alloca|rand|srand'
banned_calls() { code $(product) | grep -E "(^|[^A-Za-z0-9_])($banned) *\("; }
check "banned call" banned_calls

# ---- headers compile alone ----

alone() {
	for h in $(sources | grep '\.h$'); do
		$CC -std=c11 -D_GNU_SOURCE -DTHREADED -I. -Wall -Wextra -Wno-unused-function -fsyntax-only -x c "$h" \
			2>&1 | sed -n 's/^/'"$(basename "$h")"': /p' | head -n 3
		guard=$(grep -c '^#ifndef KP_[A-Z_0-9]*_H$' "$h")
		[ "$guard" -eq 1 ] || echo "$h: no guard KP_..._H"
	done
}
check "header alone" alone

# A .c file includes its own header before any other, so that each build proves the same.
own_first() {
	for c in $(product | grep '\.c$'); do
		[ -e "${c%.c}.h" ] || continue
		first=$(sed -n 's/^#include ["<]\(.*\)[">].*/\1/p' "$c" | head -n 1)
		[ "$first" = "${c%.c}.h" ] || echo "$c: includes $first before its own header"
	done
}
check "own header first" own_first

# ---- documents ----

options() { sed -n 's/^	{ "\([A-Za-z]*\)", .*/\1/p' common/conf.c; }
documented() {
	[ -e README.md ] || return 0
	for o in $(options); do
		cat README.md docs/*.md 2>/dev/null | grep -qE "(^|[^A-Za-z])--?$o([^A-Za-z]|\$)" ||
			echo "--$o: neither in README.md nor in docs/"
	done
	# The sample file has all options, set or commented out, and nothing else.
	f=deploy/kafka-pixy.conf
	sed -n 's/^#\{0,1\} *\([A-Za-z]*\) *=.*/\1/p' "$f" | sort -u | while read -r o; do
		options | grep -qx "$o" || echo "$f: $o is no option"
	done
	for o in $(options | grep -vxE 'help|version|config'); do
		grep -qE "^#? *$o *=" "$f" || echo "$f: $o is not there"
	done
}
table_found() { [ "$(options | wc -l)" -ge 20 ] || echo "no option table found in common/conf.c"; }
check "options" table_found
check "options documented" documented

# ---- form ----

# Columns, not bytes: tabs are 8 wide, and a byte that continues a character has no width.
long_lines() {
	for f in $(sources); do
		sed 's/[\x80-\xbf]//g' "$f" | expand -t 8 |
			awk -v f="$f" 'length > 100 { print f ":" NR ": " length " columns" }'
	done
}
trailing_blanks() { grep -nE '[ 	]+$' $(sources); }
unfinished() { grep -nE 'TODO|FIXME' $(sources); }
check "long line" long_lines
check "trailing blanks" trailing_blanks
check "unfinished" unfinished

echo "layers: $passed passed, $failed failed"
[ $failed -eq 0 ]

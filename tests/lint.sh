#!/bin/sh
# tests/lint.sh: what a grep can prove about the sources. Run from the root of the tree. One line for each finding,
# then `layers: N passed, N failed`, where a check with any finding has failed.
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
side helper/produce helper/consume
side helper/consume helper/produce
side helper/coordination 'helper/produce|helper/consume/group'
side helper/zookeeper 'helper/produce|helper/consume|helper/coordination|helper/admin'

# Inside helper/ a file includes only equals and what stands below. Connections (ipc) stand low: they hand a
# request up through a callback and know none of those above.
order='
9 main
8 dispatch
7 op_* ops helper
6 sender* lookout doubt stamp entry lane part* group* coordination offers sparse topics* assign health
5 store* receipts rate producer* consumer* budget known kafka_admin* zk* registration
4 kafka kafka_err kafka_file kafka_library kafka_list kafka_peers kafka_reach kafka_threads kafka_trouble kafka_version kafka_wake
2 ipc* conn op tidy
1 loop* threads
'
rank() {
	name=$(basename "$1" | sed 's/\.[ch]$//')
	set -f
	echo "$order" | while read -r n patterns; do
		for p in $patterns; do
			# shellcheck disable=SC2254
			case $name in $p) echo "$n" ;; esac
		done
	done | head -n 1
	set +f
}
helper_order() {
	for f in $(find helper -name '*.[ch]' 2>/dev/null | sort); do
		mine=$(rank "$f")
		if [ -z "$mine" ]; then
			echo "$f: has no place in the order of tests/lint.sh"
			continue
		fi
		for h in $(sed -n 's/^#include "\(helper\/[^"]*\)".*/\1/p' "$f"); do
			theirs=$(rank "$h")
			[ "${theirs:-10}" -le "$mine" ] || echo "$f includes $h, which stands above it"
		done
	done
}
check "order of helper" helper_order

# ---- each library has one home ----

# home LIBRARY HEADERS FILES: only FILES (an extended regular expression) include HEADERS.
outside() {
	grep -rnE "#include <($1)>" --include='*.[ch]' common fcgi helper deploy 2>/dev/null | grep -vE "^($2):"
}
home() { check "$1 outside its home" outside "$2" "$3"; }
home libfcgi 'fcgi(app|_stdio|os|misc|_config)?\.h' 'fcgi/http\.[ch]|fcgi/main\.c'
home jansson 'jansson.*\.h' 'fcgi/json_in\.c|helper/zookeeper/registration\.c'
home SQLite 'sqlite3.*\.h' 'helper/produce/store[a-z_]*\.[ch]'
home librdkafka 'librdkafka/.*\.h' \
	'helper/kafka[a-z_]*\.[ch]|helper/produce/producer[a-z_]*\.[ch]|helper/consume/consumer[a-z_]*\.c|helper/admin/kafka_admin[a-z_]*\.[ch]'
home ZooKeeper 'zookeeper/.*\.h' 'helper/zookeeper/zk[a-z_]*\.[ch]'
home libuv 'uv\.h' 'helper/loop\.[ch]|helper/ipc\.c'

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

# A .c file includes its own header before any other, which proves the same for its users.
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
	# What a sample file sets, set or commented out, must be an option.
	for f in deploy/*.conf.sample deploy/kafka-pixy.conf; do
		[ -e "$f" ] || continue
		sed -n 's/^#\{0,1\} *\([A-Za-z]*\) *=.*/\1/p' "$f" | sort -u | while read -r o; do
			options | grep -qx "$o" || echo "$f: $o is no option"
		done
		for o in $(options | grep -vxE 'help|version|config'); do
			grep -qE "^#? *$o *=" "$f" || echo "$f: $o is not there"
		done
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

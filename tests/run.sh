#!/bin/sh
# tests/run.sh NAME PROGRAM...: runs cmocka programs, each in a folder of its own under
# $KP_TEST_DIR (a temporary folder, removed at the end, when that is not set).
#   KP_TEST_TIMEOUT  most seconds of one program (default 180)
#   KP_TEST_JOBS     runs so many at a time (default 1)
#   KP_TEST_FILTER   runs only the tests whose names match, with * and ?
# Each program gets cmocka's own closing lines, a failed one its whole log; the last line counts tests.
set -u

# One of them, by ourselves: its log and its exit status come into $DIR.
if [ "$1" = --one ]; then
	program=$(realpath "$2")
	base=${program##*/}
	rm -rf "${DIR:?}/$base"
	mkdir -p "$DIR/$base" || exit 1
	(cd "$DIR/$base" && exec timeout -k 5 "${KP_TEST_TIMEOUT:-180}" "$program") >"$DIR/$base.log" 2>&1
	echo $? >"$DIR/$base.status"
	exit 0
fi

name=$1
shift
case ${KP_BUILD:-build} in
/*) KP_BUILD=${KP_BUILD} ;;
*) KP_BUILD=$PWD/${KP_BUILD:-build} ;;
esac
export KP_BUILD
if [ -n "${KP_TEST_DIR:-}" ]; then
	mkdir -p "$KP_TEST_DIR" || exit 1
	dir=$(cd "$KP_TEST_DIR" && pwd)
else
	dir=$(mktemp -d) || exit 1
	trap 'rm -rf "$dir"' EXIT
	trap 'exit 130' HUP INT TERM
fi

# The number in a log's "[  WORD  ] 12 test(s)" line, 0 without one.
count() {
	n=$(sed -n "s/^\[ *$1 *\] \([0-9][0-9]*\) test(s).*/\1/p" "$2" | tail -n 1)
	echo "${n:-0}"
}

report() {
	log=$dir/$1.log
	status=$(cat "$dir/$1.status" 2>/dev/null || echo 127)
	p=$(count PASSED "$log")
	f=$(count FAILED "$log")
	# A program that crashed, hung or never started has printed no count of its own.
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
	fi
	if [ "$f" -ne 0 ]; then
		echo "---- $1: exit status $status; its log:"
		cat "$log"
		echo "---- end of $1"
	else
		grep '^\[ *\(PASSED\|SKIPPED\) *\].* test(s)' "$log" | sed "s|\$| $1|"
	fi
	passed=$((passed + p)) failed=$((failed + f))
}

printf '%s\n' "$@" | DIR=$dir xargs -n 1 -P "${KP_TEST_JOBS:-1}" "$0" --one

passed=0 failed=0
for program; do
	report "${program##*/}"
done
echo "$name: $passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]

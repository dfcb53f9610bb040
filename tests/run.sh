#!/bin/sh
# tests/run.sh NAME PROGRAM...: runs cmocka programs one after the other, each in a folder of its own under
# $KP_TEST_DIR (a temporary folder, removed at the end, when that is not set).
#   KP_TEST_TIMEOUT  most seconds of one program (default 180)
#   KP_TEST_FILTER   runs only the tests whose names match, with * and ?
# Each program gets cmocka's own closing lines, a failed one its whole log; the last line counts tests.
set -u
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

passed=0 failed=0
for program; do
	case $program in
	/*) ;;
	*) program=$PWD/$program ;;
	esac
	base=${program##*/}
	log=$dir/$base.log
	rm -rf "${dir:?}/$base"
	mkdir -p "$dir/$base" || exit 1
	(cd "$dir/$base" && exec timeout -k 5 "${KP_TEST_TIMEOUT:-180}" "$program") >"$log" 2>&1
	status=$?
	p=$(count PASSED "$log")
	f=$(count FAILED "$log")
	# A program that crashed, hung or never started has printed no count of its own.
	if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
	fi
	if [ "$f" -ne 0 ]; then
		echo "---- $base: exit status $status; its log:"
		cat "$log"
		echo "---- end of $base"
	else
		grep '^\[ *\(PASSED\|SKIPPED\) *\].* test(s)' "$log" | sed "s|\$| $base|"
	fi
	passed=$((passed + p)) failed=$((failed + f))
done
echo "$name: $passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]

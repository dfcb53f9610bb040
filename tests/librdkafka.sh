#!/bin/sh
# Other librdkafkas than the system's, taken out of the wheels of Python's confluent-kafka:
#   tests/librdkafka.sh fetch               puts them into the cache; tests/setup.sh does it
#   tests/librdkafka.sh debian PROGRAM...   runs programs of unit/ and it/ on that of the other Debian
#   tests/librdkafka.sh newest PROGRAM...   and on the newest
# A program finds librdkafka.so.1 when it starts, so nothing is built again; the helper has to say that it
# found this one. Without PyPI it says so: the runs are then skipped, with CI=true they count as failed.
set -u

cache=${KP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-pixy}

# librdkafka=confluent-kafka: those of Debian 12 and 13, and the newest.
debian="2.0.2=2.0.2 2.8.0=2.8.0"
newest="2.16.0=2.16.1"

say() { echo "librdkafka: $*"; }

# pip looks for a Python that the oldest has a wheel for, whichever is here.
fetch() {
	dir=$cache/librdkafka-$1
	[ ! -e "$dir/librdkafka.so.1" ] || return 0
	say "fetching $1 from PyPI"
	rm -rf "$dir" "$dir.part"
	mkdir -p "$dir.part"
	if "$cache/venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
	    --python-version 3.11 -d "$dir.part" "confluent-kafka==$2" &&
	    "$cache/venv/bin/python" -m zipfile -e "$dir.part"/*.whl "$dir.part" &&
	    mv "$dir.part"/confluent_kafka.libs/librdkafka-*.so.1 "$dir.part/librdkafka.so.1"; then
		rm -rf "$dir.part"/*.whl "$dir.part"/confluent_kafka*
		mv "$dir.part" "$dir"
	else
		rm -rf "$dir.part"
		say "$1 could not be fetched from PyPI: tests on it will be skipped"
	fi
}

# The version that a helper finds, with $1 as LD_LIBRARY_PATH.
found() { LD_LIBRARY_PATH=$1 "${KP_BUILD:-build}/kafka-pixy-helper" --version | sed 's/.*, librdkafka //'; }

# run_on VERSION PROGRAM...
run_on() {
	version=$1 dir=$cache/librdkafka-$1
	shift
	if [ ! -e "$dir/librdkafka.so.1" ]; then
		say "$version is not here: tests/setup.sh could not fetch it; skipped"
		[ -z "${CI:-}" ]
	elif [ "$(found "$dir")" != "$version" ]; then
		say "the helper does not run on $version, but on $(found "$dir")"
		return 1
	else
		LD_LIBRARY_PATH=$dir KP_TEST_DIR=${KP_TEST_DIR:+$KP_TEST_DIR/librdkafka-$version} \
		    "$(dirname "$0")/run.sh" "librdkafka $version" "$@"
	fi
}

case ${1:-} in
fetch) versions="$debian $newest" ours=$(pkg-config --modversion rdkafka) ;;
debian) versions=$debian ours=$(found '') ;;
newest) versions=$newest ours=$(found '') ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
mode=$1 failed=0
shift
for v in $versions; do
	if [ "${v%=*}" = "$ours" ]; then
		continue
	elif [ "$mode" = fetch ]; then
		fetch "${v%=*}" "${v#*=}"
	else
		run_on "${v%=*}" "$@" || failed=1
	fi
done
exit $failed

#!/bin/sh
# Installs what the tests need on Debian 12 and 13, once; a later run finds it all in place and changes nothing:
#   - Debian packages (libraries, web servers, kcat, Java, Maven), as root or through sudo: deploy/deps.sh;
#   - a Python virtual environment of its own;
#   - the jars of five Kafka versions, with ZooKeeper, from Maven Central;
#   - other librdkafkas than the system's, from PyPI: tests/librdkafka.sh.
# The last three go to $KP_CACHE (default ~/.cache/kafka-pixy), never into the tree. Nothing that it installs
# is left running. Without Maven Central it says so and goes on: the tests on real Kafka are then skipped.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${KP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-pixy}
log=$cache/setup.log

say() { echo "setup: $*"; }

# Shows what a failed step printed, and ends.
die() {
	tail -n 15 "$log" >&2
	echo "setup: $*" >&2
	exit 1
}

# Kafka 4 needs Java 17; one that is there already, from whatever source, is used as it is.
has_java() {
	v=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
	[ "${v:-0}" -ge 17 ]
}

install_packages() {
	java=
	has_java || java=default-jre-headless
	command -v mvn >/dev/null || java="$java maven"
	"$here/../deploy/deps.sh" install build test
	"$here/../deploy/deps.sh" install-packages $java
}

make_venv() {
	want=$(python3 -c 'import sys; print(sys.executable, sys.version)' | cat - "$here/e2e/requirements.txt" | sha256sum)
	[ "$(cat "$cache/venv/stamp" 2>/dev/null)" != "$want" ] || return 0
	say "making a Python environment in $cache/venv"
	python3 -m venv --clear "$cache/venv" >>"$log" 2>&1 || die "python3 -m venv failed"
	"$cache/venv/bin/python" -m pip install -q --disable-pip-version-check \
	    -r "$here/e2e/requirements.txt" >>"$log" 2>&1 || die "pip install failed"
	echo "$want" >"$cache/venv/stamp"
}

copy_jars() {
	timeout 600 mvn -q -B -f "$1" dependency:copy-dependencies -DincludeScope=runtime \
	    -DoutputDirectory="$2" >>"$log" 2>&1
}

# A folder of jars appears complete, or not at all.
fetch_kafka() {
	dir=$cache/kafka-$1
	pom=$here/e2e/lib/kafka/kafka-$1.xml
	! cmp -s "$pom" "$dir/pom.xml" || return 0
	say "fetching Kafka $1 from Maven Central"
	rm -rf "$dir" "$dir.part"
	mkdir -p "$dir.part"
	if copy_jars "$pom" "$dir.part" || copy_jars "$pom" "$dir.part"; then
		cp "$pom" "$dir.part/pom.xml"
		mv "$dir.part" "$dir"
	else
		rm -rf "$dir.part"
		say "Kafka $1 could not be fetched from Maven Central ($log): tests on it will be skipped"
	fi
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
: >"$log"
install_packages
make_venv
for version in 0.8.2.2 0.9.0.1 3.9.1 4.1.0 4.4.0; do
	fetch_kafka $version
done
"$here/librdkafka.sh" fetch 2>>"$log"
say "ready ($cache)"

#!/bin/sh
# Installs what the tests need on Debian 12, once; a later run finds it all in place and changes nothing:
#   - Debian packages (web servers, kcat, curl, Java, Maven), as root or through sudo;
#   - a Python virtual environment of its own;
#   - the jars of two Kafka versions, one of them with ZooKeeper, from Maven Central.
# The last two go to $KP_CACHE (default ~/.cache/kafka-pixy), never into the tree. Nothing that it installs
# is left running. Without Maven Central it says so and goes on: the tests on real Kafka are then skipped.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${KP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-pixy}
servers="nginx lighttpd apache2"
packages="$servers libapache2-mod-fcgid spawn-fcgi kcat curl python3 python3-venv"
policy=/usr/sbin/policy-rc.d
log=$cache/setup.log

say() { echo "setup: $*"; }

# Shows what a failed step printed, and ends.
die() {
	tail -n 15 "$log" >&2
	echo "setup: $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Kafka 4 needs Java 17; one that is there already, from whatever source, is used as it is.
has_java() {
	v=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
	[ "${v:-0}" -ge 17 ]
}

install_packages() {
	missing=
	for p in $packages; do
		is_installed "$p" || missing="$missing $p"
	done
	has_java || missing="$missing default-jre-headless"
	command -v mvn >/dev/null || missing="$missing maven"
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "not a Debian system; please install:$missing"

	say "installing Debian packages:$missing"
	# Debian starts a server as it installs it, and at each boot from then on. Not on our account.
	if [ ! -e $policy ]; then
		trap 'as_root rm -f $policy' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
		as_root chmod 755 $policy
	fi
	as_root apt-get update -qq >>"$log" 2>&1 || die "apt-get update failed"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	    $missing >>"$log" 2>&1 || die "apt-get install failed"
	for s in $servers; do
		case " $missing " in
		*" $s "*) as_root systemctl disable "$s" >>"$log" 2>&1 || true ;;
		esac
	done
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
	pom=$here/e2e/kafka/kafka-$1.xml
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
fetch_kafka 3.9.1
fetch_kafka 4.1.0
say "ready ($cache)"

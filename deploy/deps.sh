#!/bin/sh
# What Kafka-Pixy is built from and runs with, on Debian 12 and 13.
#
#   deps.sh check                     silent when all is there; else names each missing library with its
#                                     package, and ends with 1
#   deps.sh install [build|run|test]… installs what is missing of these sets (default: build and run)
#   deps.sh install-packages PKG...   installs what is missing of these
#
# Packages are installed as root or through sudo. Debian starts a server as it installs it, and at each boot from
# then on: nothing that was not there before is left running, or enabled, by this script.
set -eu

policy=/usr/sbin/policy-rc.d
servers="nginx lighttpd apache2"
build="build-essential pkg-config libfcgi-dev librdkafka-dev libzookeeper-mt-dev libjansson-dev libsqlite3-dev libuv1-dev zlib1g-dev"
run="nginx curl"
tests="libcmocka-dev nginx curl lighttpd apache2 libapache2-mod-fcgid spawn-fcgi kcat libnss-wrapper python3 python3-venv"

say() { echo "deps: $*"; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "this needs root, or sudo: $*" >&2
		exit 1
	fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

has_header() { echo "#include <$1>" | ${CC:-cc} -E -x c - >/dev/null 2>&1; }

# Library, how it is found, package.
check() {
	missing=0
	command -v "${CC:-cc}" >/dev/null || lacks "a C compiler" build-essential
	command -v pkg-config >/dev/null || lacks pkg-config pkg-config
	while read -r name how package; do
		case $how in
		*.h) has_header "$how" || lacks "$name" "$package" ;;
		*) pkg-config --exists "$how" 2>/dev/null || lacks "$name" "$package" ;;
		esac
	done <<-EOF
	libfcgi fcgiapp.h libfcgi-dev
	librdkafka rdkafka librdkafka-dev
	libzookeeper_mt zookeeper/zookeeper.h libzookeeper-mt-dev
	libjansson jansson libjansson-dev
	libsqlite3 sqlite3 libsqlite3-dev
	libuv libuv libuv1-dev
	zlib zlib zlib1g-dev
	EOF
	[ $missing -eq 0 ] || exit 1
	check_versions
}

lacks() {
	echo "missing $1: apt-get install $2" >&2
	missing=1
}

# Versions that have known faults are still built with: a distribution may have mended its own.
check_versions() {
	pkg-config --atleast-version=2.0.2 rdkafka ||
		say "warning: librdkafka $(pkg-config --modversion rdkafka) is older than 2.0.2, the oldest that is tested" >&2
	case $(pkg-config --modversion rdkafka) in
	2.1.* | 2.2.* | 2.5.0 | 2.6.0 | 2.10.0)
		say "warning: librdkafka $(pkg-config --modversion rdkafka) has faults that are known: docs/operations.md, Which librdkafka" >&2 ;;
	esac
	fcgi=$(dpkg-query -W -f '${Version}' libfcgi-dev 2>/dev/null) || return 0
	dpkg --compare-versions "$fcgi" ge 2.4.2-2+deb12u1 ||
		say "warning: libfcgi $fcgi is older than 2.4.2-2+deb12u1, which mends an overflow (CVE-2025-23016)" >&2
}

# Until the script ends; one that is there already stays as it is.
forbid_starts() {
	[ ! -e $policy ] || return 0
	trap 'as_root rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
	as_root chmod 755 $policy
}

install_packages() {
	missing=
	for p in "$@"; do
		is_installed "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		say "not a Debian system; please install:$missing" >&2
		exit 1
	fi
	say "installing Debian packages:$missing"
	forbid_starts
	log=$(mktemp)
	as_root apt-get -qq update >"$log" 2>&1 &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
			-o DPkg::Lock::Timeout=300 install $missing >>"$log" 2>&1 || {
		tail -n 15 "$log" >&2
		rm -f "$log"
		say "apt-get could not install them" >&2
		exit 1
	}
	rm -f "$log"
	for s in $servers; do
		case " $missing " in
		*" $s "*) as_root systemctl disable "$s" >/dev/null 2>&1 || true ;;
		esac
	done
}

case ${1:-} in
check) check ;;
install)
	shift
	wanted=
	for set in ${*:-build run}; do
		case $set in
		build) wanted="$wanted $build" ;;
		run) wanted="$wanted $run" ;;
		test) wanted="$wanted $tests" ;;
		*) say "there is no set \"$set\": build, run, test" >&2; exit 2 ;;
		esac
	done
	install_packages $wanted
	;;
install-packages)
	shift
	install_packages "$@"
	;;
*)
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

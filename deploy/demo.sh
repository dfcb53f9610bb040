#!/bin/sh
# The quick start, for real: builds, starts the gateway with the broker that needs no Kafka, sends and fetches messages
# with curl, stops it. Nothing stays behind but the build and the Debian packages that were missing. An answer that
# is not the expected one ends the demo with status 1.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${B:-build}
cd "$root"

say() { printf '%s\n' "$*"; }

# A port that nobody listens on, from below those that the kernel gives to outgoing connections.
free_port() {
	port=$((15000 + $$ % 15000))
	while curl -s -o "$dir/null" --max-time 1 "127.0.0.1:$port" || [ $? -ne 7 ]; do
		port=$((port + 1))
	done
	echo $port
}

stop() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
	[ -z "$pid" ] || wait "$pid" || true
	pid=
}

fail() {
	say "demo: $*" >&2
	say "demo: the log of kafka-pixy:" >&2
	tail -n 30 "$dir/log" >&2
	exit 1
}

# ask STATUS PATTERN CURL-ARGUMENT...: shows the command as one would type it, then the answer, and checks both.
ask() {
	status=$1 pattern=$2
	shift 2
	printf '\n$ curl'
	for arg in "$@"; do
		case $arg in
		*[!A-Za-z0-9_./:=-]*) printf " '%s'" "$arg" ;;
		*) printf ' %s' "$arg" ;;
		esac
	done
	echo
	code=$(curl -s --max-time 20 -o "$dir/answer" -w '%{http_code}' "$@") || fail "curl failed"
	cat "$dir/answer"
	printf '\n(%s)\n' "$code"
	[ "$code" = "$status" ] || fail "the status should be $status"
	tr -d ' \n' <"$dir/answer" | grep -Eq -- "$pattern" || fail "the answer should match $pattern"
}

deploy/deps.sh install
${MAKE:-make} -s B="$build" all
dir=$(mktemp -d)
pid=
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -m 700 "$dir/store"
port=$(free_port)
site=127.0.0.1:$port
topic=$site/topics/foo

say "\$ $build/kafka-pixy --kafkaPeers embedded --tcpAddr $site"
"$build/kafka-pixy" --kafkaPeers embedded --tcpAddr "$site" --store "$dir/store/store.db" 2>"$dir/log" &
pid=$!
for _ in $(seq 150); do
	curl -s -o "$dir/null" --max-time 1 "$site/_ping" && break
	kill -0 "$pid" 2>/dev/null || fail "kafka-pixy did not start"
	sleep 0.1
done
ask 200 '^pong$' "$site/_ping"

say
say "# The first request of a group finds nothing, but stores where the group starts."
ask 408 'longpollingtimeout' -G "$topic/messages" -d group=bar

say
say "# Produce, and wait until Kafka has it (sync), or until it is kept on this host (the default)."
ask 200 '"partition":[0-9]+,"offset":[0-9]+' -X POST "$topic/messages?key=1&sync" -H 'Content-Type: text/plain' -d 'Hello, Kafka'
ask 200 '^\{\}$' -X POST "$topic/messages?key=2" -H 'Content-Type: text/plain' -d 'and hello again'

say
say "# Consume. Keys and values are base64."
ask 200 '"value":"(SGVsbG8sIEthZmth|YW5kIGhlbGxvIGFnYWlu)"' -G "$topic/messages" -d group=bar
ask 200 '"value":"(SGVsbG8sIEthZmth|YW5kIGhlbGxvIGFnYWlu)"' -G "$topic/messages" -d group=bar

say
say "# Where the group is, and who serves it."
sleep 1
ask 200 '^\[\{"partition":0,.*"lag":0' -G "$topic/offsets" -d group=bar
ask 200 '^\{"bar":\{"pixy_' -G "$topic/consumers" -d group=bar

stop
say
say "That was all of it. To start it for good, with your own Kafka and ZooKeeper:"
say
say "  $build/kafka-pixy --kafkaPeers kafka1:9092,kafka2:9092 --zookeeperPeers zoo1:2181,zoo2:2181"

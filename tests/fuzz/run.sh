#!/bin/sh
# tests/fuzz/run.sh SECONDS PROGRAM...: runs fuzz targets, one a processor at a time, each for SECONDS and for the
# files of tests/fuzz/corpus/<target>, which come first. A line for each; then `fuzz: N passed, N failed`.
#   KP_SEED      repeats a run of our own driver (each line names its seed)
#   KP_FUZZ_DIR  where an input that crashes is written, and where libFuzzer collects what it finds (default: next
#                to the program)
set -u
seconds=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
dir=${KP_FUZZ_DIR:-$(dirname "$1")/fuzz-found}
mkdir -p "$dir" || exit 1

# Nothing of a target's own output is shown unless it fails.
one() {
	target=${1##*/fuzz_}
	log=$dir/$target.log
	crash=$dir/$target.crash
	rm -f "$crash"
	if grep -q LLVMFuzzerRunDriver "$1"; then
		mkdir -p "$dir/$target"
		# With what it has found before, and in the end all of it once more, for the line of counts.
		"$1" -dict="$here/dict/$target" -max_total_time="$seconds" -timeout=5 -close_fd_mask=2 \
			-exact_artifact_path="$crash" -print_final_stats=1 "$dir/$target" "$here/corpus/$target" \
			>"$log" 2>&1 && sed -n "s/^stat::number_of_executed_units: */fuzz_$target: libFuzzer runs=/p" "$log"
	else
		timeout -k 5 $((seconds + 60)) "$1" -d "$here/dict/$target" -s "$seconds" -o "$crash" \
			"$here/corpus/$target" >"$log" 2>&1 && tail -n 1 "$log"
	fi
}

if [ "${KP_FUZZ_ONE:-}" ]; then
	one "$1" && exit 0
	echo "---- ${1##*/} failed; again: $1 $dir/${1##*/fuzz_}.crash"
	cat "$dir/${1##*/fuzz_}.log"
	echo "---- end of ${1##*/}"
	exit 1
fi
export KP_FUZZ_ONE=1
failed=$(printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c '"$0" "$1" "$2" >&2 || echo' "$0" "$seconds" {} | wc -l)
echo "fuzz: $(($# - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# Shows that lockstep, copied to a bare system, needs nothing there but HDF5 and oneDNN, and how soon it writes.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: sudo Benchmarks/bare_system.sh MODEL

Makes a minimal system of this machine's Debian or Ubuntu release in a temporary folder, with the run-time packages
of HDF5 and oneDNN and what they depend on; copies the stripped lockstep and MODEL there; and lets it write a text,
evaluate that text and inspect the model, in a chroot. Then measures, outside of it, the time from the start of
`lockstep generate MODEL --length 1` to its end: the median of 20 runs.

The exit status is 0 if all of that works, no libmpi is linked and the median is below 100 ms; 1 otherwise.

Needs root, debootstrap, binutils, a built lockstep (in LOCKSTEP_BINARIES, or else .build/release) and a mirror to
download about 60 MB from: the one that apt uses. Everything is removed at the end.
TEXT
}

fail() {
  echo "bare_system.sh: $*" >&2
  exit 1
}

case ${1:-} in
  -h | --help)
    usage
    exit
    ;;
esac
(($# == 1)) || fail "expected one model; see Benchmarks/bare_system.sh --help"
model=$1
program=${LOCKSTEP_BINARIES:-$(dirname -- "${BASH_SOURCE[0]}")/../.build/release}/lockstep
runs=20 limit=100

((EUID == 0)) || fail "chroot and debootstrap need root; start this as root or with sudo"
for command in debootstrap strip readelf apt-get dpkg-query; do
  command -v "$command" >/dev/null || fail "there is no $command; on Debian and Ubuntu: apt-get install debootstrap binutils"
done
[[ -f $model ]] || fail "there is no file '$model'; 'lockstep export' makes one"
[[ -x $program ]] || fail "there is no program $program; build it with launch/build"

# --- What system, from where, with what. ---

# shellcheck source=/dev/null
codename=$(source /etc/os-release && echo "${VERSION_CODENAME:-}")
[[ $codename ]] || fail "/etc/os-release does not name this system's release; this works on Debian and Ubuntu"
mirror=$(apt-get indextargets --format "\$(CODENAME) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages' |
  awk -v release="$codename" '$1 == release && $2 == "main" { print $3; exit }')
[[ $mirror ]] || fail "apt has no source of $codename's component main; add one and run apt-get update"

# The package that a shared library of the program is from, as it is installed here.
package_of() {
  local path
  path=$(ldd "$program" | awk -v name="$1" 'index($1, name) == 1 { print $3 }')
  [[ $path ]] || fail "$program is not linked with $1"
  # What is in /lib may be known to be in /usr/lib, or the other way round.
  { dpkg-query -S "$(realpath -- "$path")" 2>/dev/null || dpkg-query -S "$path" 2>/dev/null ||
    fail "no package has $path"; } | cut -d : -f 1
}
packages=("$(package_of libhdf5)" "$(package_of libdnnl)")

# --- The system. ---

temporary=$(mktemp -d) building=''
clean_up() {
  local tenths mounts mount
  if [[ $building ]]; then
    # All of it, for at most ten seconds; then by force.
    kill -TERM -- "-$building" 2>/dev/null || true
    for ((tenths = 0; tenths < 100; tenths++)); do
      kill -0 -- "-$building" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$building" 2>/dev/null || true
    wait "$building" 2>/dev/null || true
  fi
  # Also what debootstrap leaves mounted if it is ended.
  mounts=$(awk -v prefix="$temporary/" 'index($2, prefix) == 1 { print $2 }' /proc/self/mounts | sort -r)
  for mount in $mounts; do umount -- "$mount" || umount --lazy -- "$mount"; done
  rm -rf --one-file-system -- "$temporary"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

system=$temporary/system
echo "system       $codename from $mirror, minbase and ${packages[*]}"
# A process group of its own (set -m), so that nothing of it outlives this script.
set -m
debootstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" "$codename" "$system" "$mirror" \
  </dev/null >"$temporary/log" 2>&1 &
building=$!
set +m
wait "$building" || { tail -n 20 "$temporary/log" >&2; fail "debootstrap failed (see above)"; }
building=''
strip -o "$system/usr/bin/lockstep" -- "$program"
model_inside=/srv/${model##*/} text=/srv/text.txt
cp -- "$model" "$system$model_inside"
# Swift takes a program's arguments from there.
mount -t proc proc "$system/proc"
inside() { chroot "$system" /usr/bin/env -i PATH=/usr/bin:/bin "$@"; }

libraries=$(inside ldd /usr/bin/lockstep)
echo "program      $(stat -c %s "$system/usr/bin/lockstep") bytes, stripped; linked with"
for library in $(readelf -d "$system/usr/bin/lockstep" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
  path=$(awk -v name="$library" '{ split($1, parts, "/") } $1 == name { print $3 } $1 ~ "/" name "$" { print $1 }' \
    <<<"$libraries")
  owner=$(inside dpkg-query -S "$(inside realpath -- "$path")" 2>/dev/null || inside dpkg-query -S "$path")
  printf '  %-24s %s\n' "$library" "${owner%%:*}"
done
echo "ldd          $(wc -l <<<"$libraries") libraries with those that they need:"
awk '{ print "  " $1 }' <<<"$libraries"
if grep -q 'not found' <<<"$libraries"; then fail "a library is missing there: ${libraries}"; fi
if grep -q libmpi <<<"$libraries"; then fail "lockstep is linked with libmpi"; fi
echo "libmpi       none"

# --- The program in it. ---

show() {
  echo "\$ lockstep $*"
  inside lockstep "$@" | sed 's/^/  /'
}
show generate "$model_inside" --length 20
inside lockstep generate "$model_inside" --length 2000 >"$system$text"
env -i PATH="$PATH" "$system/usr/bin/lockstep" generate "$model" --length 2000 | cmp - "$system$text" ||
  fail "the text written there is not the one that is written here"
show evaluate "$model_inside" "$text"
show inspect "$model_inside"

# --- How soon it writes, on this machine as it is. ---

start_once() {
  local begun=${EPOCHREALTIME/[.,]/}
  "$system/usr/bin/lockstep" generate "$model" --length 1 >/dev/null
  echo $((${EPOCHREALTIME/[.,]/} - begun))
}
start_once >/dev/null # files come into memory
mapfile -t times < <(for ((run = 0; run < runs; run++)); do start_once; done | sort -n)
((${#times[@]} == runs)) || fail "lockstep ended with an error outside of the system"
median=$(((times[runs / 2 - 1] + times[runs / 2]) / 2))
in_milliseconds() { printf '%d.%d ms' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }
echo "first token  $(in_milliseconds "$median") after the start, median of $runs" \
  "($(in_milliseconds "${times[0]}") to $(in_milliseconds "${times[runs - 1]}"))"
((median < limit * 1000)) || fail "expected less than $limit ms"

# shellcheck shell=bash
# What deploy/run, deploy/test and .ci/run share. Sourced, never run; leaves the caller in the clone.
#
# After sourcing:  root   the clone         caller  the directory the script was called from
#                  build  SwiftPM's scratch path    cache  what may be kept between runs, or lost

# shellcheck disable=SC2034
caller=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

step() { printf '%s\n' "tollgate: $*" >&2; }
die() {
    step "$*"
    exit 1
}

# Ours to use if it exists or can be made, and can be written.
usable() { mkdir -p "$1" 2>/dev/null && [ -w "$1" ]; }

cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}/tollgate
[ "$cache" != /tollgate ] && usable "$cache" || cache=$root/.build/cache
build=${TOLLGATE_BUILD_DIR:-$cache/build}
if [ -z "${TOLLGATE_BUILD_DIR:-}" ] && ! usable "$build"; then build=$root/.build; fi
usable "$build" || die "cannot write $build: set TOLLGATE_BUILD_DIR to a directory that can be written"
build=$(cd "$build" && pwd)

# quietly COMMAND…: silent when it succeeds; all it said when it does not.
quietly() {
    local said status=0
    said=$(mktemp)
    "$@" >"$said" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || cat "$said" >&2
    rm -f "$said"
    return "$status"
}

# --- Debian packages -------------------------------------------------------------------------

# A package counts as there when what we need from it works, wherever it came from.
present() {
    case $1 in
        liblmdb-dev) pkg-config --exists lmdb 2>/dev/null || [ -e /usr/include/lmdb.h ] ;;
        redis-tools) command -v redis-cli && command -v redis-benchmark ;;
        binutils) command -v strip ;;
        python3-pip) python3 -m pip --version ;;
        python3-cryptography) python3 -c 'import cryptography' ;;
        python3-venv) python3 -c 'import ensurepip, venv' ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt_updated=
apt_install() {
    if [ -z "$apt_updated" ]; then
        quietly as_root apt-get -q update || step "apt-get update failed: going on with the lists at hand"
        apt_updated=yes
    fi
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "$@"
}

# install_missing PACKAGE…: returns 1, having said why, when some are missing and stay so.
install_missing() {
    local package missing=()
    for package in "$@"; do present "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        step "missing: ${missing[*]} (Debian's names); there is no apt-get here, please install them"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        step "missing: ${missing[*]}; neither root nor sudo here, please run: apt-get install ${missing[*]}"
        return 1
    fi
    step "installing ${missing[*]}"
    if ! apt_install "${missing[@]}"; then
        step "could not install ${missing[*]} (see above)"
        return 1
    fi
}

# What the build itself cannot do without.
install_for_build() {
    command -v swift >/dev/null || die "swift is not on PATH: Swift 6.2 or newer is needed"
    install_missing pkg-config liblmdb-dev || die "cannot build without these packages"
}

# --- Swift packages --------------------------------------------------------------------------

# Package.resolved pins versions and commits. A mirror may serve the same versions under other
# commits; then SwiftPM, which reads pins from this one place only, must see others there while it
# works. `resolve` puts them there, `restore_pins` (also at any exit) puts the committed file back.
pins_kept=

resolve() {
    local local_pins
    if [ ! -e Package.resolved ]; then
        quietly swift_package resolve || die "the Swift packages cannot be resolved (see above)"
        return
    fi
    local_pins=$build/pins-$(cat Package.swift Package.resolved | cksum | tr ' ' -)
    # Pins found by an earlier run are used at once: even trying the others would undo its checkouts.
    if [ -e "$local_pins" ]; then
        swap_pins "$local_pins"
        swift_package --force-resolved-versions resolve >/dev/null 2>&1 && return
        rm -f "$local_pins"
        restore_pins
    fi
    swift_package --force-resolved-versions resolve >/dev/null 2>&1 && return

    step "the commits in Package.resolved are not to be had here: resolving afresh by version"
    translate_pins >"$local_pins.new"
    swap_pins "$local_pins.new"
    if ! swift_package --force-resolved-versions resolve >/dev/null 2>&1; then
        # Not even the same versions of what our dependencies depend on: any that fit, then.
        rm -f Package.resolved
        if ! quietly swift_package resolve; then
            rm -f "$local_pins.new"
            die "the Swift packages cannot be resolved (see above)"
        fi
        cp Package.resolved "$local_pins.new"
    fi
    mv "$local_pins.new" "$local_pins"
}

# The committed pins, each commit replaced by the one its version's tag has where we fetch from.
translate_pins() {
    local location version revision found edits=()
    while read -r location version revision; do
        found=$(git ls-remote "$location" "refs/tags/$version" "refs/tags/$version^{}" \
            "refs/tags/v$version" "refs/tags/v$version^{}" 2>/dev/null </dev/null | tail -n 1 | cut -f 1)
        [ -z "$found" ] || edits+=(-e "s/$revision/$found/")
    done < <(awk -F '"' '
        $2 == "location" { location = $4 }
        $2 == "revision" { revision = $4 }
        $2 == "version" && $4 != "" { print location, $4, revision }' Package.resolved)
    sed -e '' "${edits[@]}" Package.resolved
}

swap_pins() {
    pins_kept=$(mktemp)
    cp -p Package.resolved "$pins_kept"
    cp "$1" Package.resolved
}

restore_pins() {
    [ -n "$pins_kept" ] || return 0
    cp -p "$pins_kept" Package.resolved
    rm -f "$pins_kept"
    pins_kept=
}

trap restore_pins EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

swift_package() { swift package --scratch-path "$build" "$@"; }
swift_build() { swift build --scratch-path "$build" --force-resolved-versions "$@"; }
swift_test() { swift test --scratch-path "$build" --force-resolved-versions "$@"; }

# build_release: the executable is then $build/release/tollgate.
build_release() {
    step "building the release (minutes the first time), in $build"
    resolve
    quietly swift_build -c release --product tollgate || die "the release build failed (see above)"
    restore_pins
}

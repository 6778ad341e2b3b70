# What the scripts of this project share: timed steps with names, commands beside them, and packages that are installed without a question
# and without starting a service. Sourced by tests/run, tests/long, .ci/run and packaging/*; does nothing by itself.

export DEBIAN_FRONTEND=noninteractive
STEP_TABLE=""
STEPS_PASSED=0
STEPS_SKIPPED=0

say() { printf '%s\n' "$*" >&2; }

# step NAME COMMAND…: runs it, remembers its time; its status is the command's.
step() {
    local name="$1" start=$SECONDS status=0
    shift
    say "=== $name"
    "$@" || status=$?
    local word=ok
    [ $status -eq 0 ] || word=FAILED
    if [ $status -eq 77 ]; then # the old convention for «skipped»
        word=skipped
        status=0
        STEPS_SKIPPED=$((STEPS_SKIPPED + 1))
    elif [ $status -eq 0 ]; then
        STEPS_PASSED=$((STEPS_PASSED + 1))
    fi
    STEP_TABLE+="$(printf '%6d s  %-8s %s' $((SECONDS - start)) "$word" "$name")"$'\n'
    say "=== $name: $word, $((SECONDS - start)) s"
    return $status
}

# beside NAME COMMAND…: begins a command on what others leave of the processors. `joined NAME` waits for it, says what it said
# and has its status; `leave_beside` ends those that nobody waits for any more.
declare -A BESIDE=()
beside() {
    local name="$1" low=(nice -n 19)
    shift
    ! chrt --idle 0 true 2>/dev/null || low=(chrt --idle 0)
    BESIDE[$name]="$(mktemp -d)"
    # A group of its own, so that all of it can be ended. (`joined` may stand in a pipeline, where `wait` knows no children.) Linux
    # gives each session the same share, whatever the priorities in it: that of this one is made the least.
    setsid "${low[@]}" bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; "${@:2}" >"$1/said" 2>&1; echo $? >"$1/ended"' \
        beside "${BESIDE[$name]}" "$@" </dev/null &
    echo $! >"${BESIDE[$name]}/group"
}
joined() {
    local at="${BESIDE[$1]}"
    while [ ! -s "$at/ended" ] && kill -0 "$(cat "$at/group")" 2>/dev/null; do sleep 0.2; done
    sleep 0.2
    cat "$at/said"
    return "$(cat "$at/ended" 2>/dev/null || echo 1)"
}
leave_beside() {
    local at
    for at in "${BESIDE[@]}"; do
        [ -s "$at/ended" ] || kill -- "-$(cat "$at/group")" 2>/dev/null
        rm -rf "$at"
    done
}

# The times of all steps so far.
steps_table() { printf '%s' "$STEP_TABLE"; }

# Whether packages can be installed here: Debian or a child of it, as root.
can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -e /etc/debian_version ]; }

# A network has bad seconds: anything with apt is tried twice.
twice() { "$@" || { say "once more: $*"; sleep 5; "$@"; }; }

apt_quiet() { apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "$@"; }

# The lists are fetched once a run, and only when something is really missing.
apt_lists() {
    [ -z "${APT_LISTS_DONE:-}" ] || return 0
    twice apt_quiet update >/dev/null || say "apt-get update failed; going on with the lists that are here"
    APT_LISTS_DONE=1
}

apt_has() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# apt_install PACKAGE…: installs those that are missing; starts no service, now or at the next boot.
apt_install() {
    local missing=() package status=0 policy=/usr/sbin/policy-rc.d ours=
    for package in "$@"; do apt_has "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    apt_lists
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && ours=1
    fi
    twice apt_quiet install --no-install-recommends "${missing[@]}" >"${STEP_LOG:-/dev/null}" 2>&1 || status=$?
    [ -z "$ours" ] || rm -f $policy
    for package in "${missing[@]}"; do apt_no_service "$package"; done
    [ $status -eq 0 ] || say "could not install ${missing[*]}"
    return $status
}

# A package that was installed for a test must not serve anything after the next boot.
apt_no_service() {
    local unit
    command -v systemctl >/dev/null || return 0
    for unit in $(dpkg -L "$1" 2>/dev/null | sed -n 's#^/\(usr/\)\?lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)$#\2#p'); do
        systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
    done
}

# apt_unpack DIR PACKAGE…: the files of packages that conflict with installed ones, put aside in DIR, uninstalled.
apt_unpack() {
    local dir="$1" fetch
    shift
    fetch="$(mktemp -d)"
    apt_lists
    (cd "$fetch" && chmod 755 . && twice apt-get -q download "$@" >/dev/null 2>&1) || { rm -rf "$fetch"; return 1; }
    mkdir -p "$dir"
    local deb
    for deb in "$fetch"/*.deb; do dpkg -x "$deb" "$dir" || return 1; done
    rm -rf "$fetch"
}

# apt_newer DIR PACKAGE…: the same from Debian's newest suite, by lists of their own: nothing of it is installed.
apt_newer() {
    local own mirror
    own="$(mktemp -d)"
    mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1)"
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} sid main" >"$own/list"
    printf 'Dir::Etc::SourceList "%s/list";\nDir::Etc::SourceParts "/dev/null";\nDir::State::Lists "%s/lists";\nDir::Cache "%s/cache";\nAPT::Sandbox::User "root";\n' \
        "$own" "$own" "$own" >"$own/conf"
    APT_CONFIG="$own/conf" apt-get -q update >/dev/null 2>&1
    APT_CONFIG="$own/conf" apt_unpack "$@"
    local rc=$?
    rm -rf "$own"
    return $rc
}

# Like grep -q, but reads to the end: with pipefail, a writer cut off by a grep that left early would be a failure.
finds() { grep "$@" >/dev/null; }

# Shared by the scripts that DEB and RPM run as root on the user's machine: which audit helpers work, and what a spool
# holds. For any sh, with /proc or without. Only looks; it ends no process and removes no file.

PROGRAM=/usr/bin/gostech-audit-log
SPOOL=/var/lib/gostech-audit-log
# So many helpers are named; of a machine that has more their number is enough.
MOST_SHOWN=50

tell() { printf '%s\n' "$*" >&2; }

# Whether a process works with the program of this package: not one of a container, nor a copy elsewhere. A program file
# that was replaced or removed is named with « (deleted)».
is_helper() { # PID
    case $(readlink "/proc/$1/exe" 2>/dev/null) in
    "$PROGRAM" | "$PROGRAM (deleted)" | "$PROGRAM".*" (deleted)") [ "/proc/$1/root" -ef / ] ;;
    *) return 1 ;;
    esac
}

# The helpers that work, each once: one is several processes, and the parent of its keeper is none of them.
helpers() {
    for at in /proc/[0-9]*; do
        pid=${at#/proc/}
        is_helper "$pid" || continue
        # It may have ended meanwhile.
        parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$at/status" 2>/dev/null) || continue
        [ -n "$parent" ] && ! is_helper "$parent" && echo "$pid"
    done
    return 0
}

# Those whose program is not the one that is installed now. The same bytes under another inode are the same program.
old_helpers() {
    for pid in $(helpers); do
        [ "/proc/$pid/exe" -ef "$PROGRAM" ] || cmp -s "/proc/$pid/exe" "$PROGRAM" || echo "$pid"
    done
}

# These processes below a headline, a line each: its number, and the unit whose restart ends it. Fails where there are none.
show_helpers() { # HEADLINE PID…
    headline=$1 left=$MOST_SHOWN
    shift
    [ $# -gt 0 ] || return 1
    tell "gostech-audit-log: $headline"
    for pid in "$@"; do
        left=$((left - 1))
        [ $left -ge 0 ] || { tell "    and $(($# - MOST_SHOWN)) more"; break; }
        unit=$(sed -n 's#.*/\([^/]*\.service\)\(/.*\)\{0,1\}$#\1#p' "/proc/$pid/cgroup" 2>/dev/null | sed -n 1p)
        tell "    process $pid${unit:+ of $unit}"
    done
}

# Whether a spool may hold events. What is not known to be without any counts as one that has some.
holds_events() {
    [ -d "$SPOOL" ] || return 1
    command -v find >/dev/null || return 0
    # A segment of 2048 bytes is its head alone.
    [ -n "$(find "$SPOOL/" -mindepth 1 ! -type d ! -type s ! \( -type f \( -name lock -o -name 'owner*' -o -name 'state*' \
        -o -name 'cursor-*' -o -name 'forget-*' -o -name '*.seg' -size -2049c \) \) -print 2>/dev/null | sed -n 1p)" ]
}

warn_of_removal() {
    # shellcheck disable=SC2046
    show_helpers "WARNING: audit helpers of Picodata are at work, and go on without their program file:" $(helpers) || return 0
    tell "THE NEXT START OF SUCH A DATABASE HAS NO AUDIT TRAIL: its --audit command is gone, and Picodata goes on without"
    tell "it. Before that start install the package again, or change --audit."
}

tell_of_upgrade() {
    # shellcheck disable=SC2046
    show_helpers "these audit helpers go on with the version that was installed before:" $(old_helpers) || return 0
    tell "They lose nothing by it. Picodata starts its helper only once: the version that is installed now works from the"
    tell "next restart of the instance on."
}

# Where undelivered events are when the program is gone, and what can be done with them.
tell_of_spool() {
    tell "gostech-audit-log: $SPOOL is kept: $(du -sh "$SPOOL/" 2>/dev/null | cut -f1) of audit events, of which some may"
    tell "not be delivered. They are, when the package is installed again and the instance started, or by hand: the command"
    tell "of --audit with --drain 10m </dev/null, as the spool's owner. To give them up: rm -r $SPOOL"
}

# What the packaging scripts share: names, versions, texts. Sourced; does nothing by itself.

. tests/steps.sh

PROGRAMS="gostech-audit-log gostech-metrics"
VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
RELEASE=1
# Debian's convention for packages that are not Debian's: anything of theirs is newer.
DEB_RELEASE="0gostech$RELEASE"
PACKAGES="${GOSTECH_PACKAGES:-$PWD/target/packages}"
STATIC="${GOSTECH_STATIC_OUT:-$PWD/target/static}"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}"
export SOURCE_DATE_EPOCH VERSION RELEASE
# Who answers for the packages: whoever builds them for others, in the form `Name <address>`; Debian's usual variables count
# too. Without either it is an address that cannot exist (RFC 2606), rather than one that may be a stranger's.
NOBODY="gostech maintainers <maintainers@gostech.invalid>"
MAINTAINER="${GOSTECH_MAINTAINER:-${DEBEMAIL:-}}"
case $MAINTAINER in "" | *\<*) ;; *) MAINTAINER="${DEBFULLNAME:-gostech maintainers} <$MAINTAINER>" ;; esac
MAINTAINER="${MAINTAINER:-$NOBODY}"
# The project's page, where there is one.
HOMEPAGE="${GOSTECH_HOMEPAGE:-}"

summary_of() {
    case $1 in
    gostech-audit-log) echo "deliver the audit log of Picodata, losing nothing" ;;
    gostech-metrics) echo "serve the metrics of a Picodata instance to Prometheus" ;;
    esac
}

description_of() {
    case $1 in
    gostech-audit-log)
        cat <<'TEXT'
The helper at the end of Picodata's audit pipe (picodata run --audit='|
exec gostech-audit-log --url ...'). It takes what the database writes without
making it wait, keeps it in a durable spool, and delivers it over HTTP(S) to
Logstash and other receivers, in order, through outages of the receiver,
crashes and full disks. What was lost is counted and said.
TEXT
        ;;
    gostech-metrics)
        cat <<'TEXT'
Asks a Picodata or Tarantool instance for its metrics over iproto and serves
them as a strict Prometheus or OpenMetrics page. It asks once a scrape, bounds
everything it takes from either side, and says that the database is down
rather than serve old numbers.
TEXT
        ;;
    esac
}

# Those of `packages` makes for an architecture; others may lie beside them.
packages_of() { find "$PACKAGES" -name "*_$(deb_arch "$1").deb" -o -name "*.$1.rpm" -o -name "*.$1.cdx.json" | sort; }

deb_arch() { case $1 in x86_64) echo amd64 ;; aarch64) echo arm64 ;; esac; }

# The mirror that this machine uses for a suite of Debian, whatever it is; nothing, so debootstrap's own, where apt has none.
debian_mirror() {
    apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
        awk -v s="$1" '$2 == s && $1 ~ /debian\/?$/ && !found { print $1; found = 1 }'
}

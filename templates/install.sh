#!/bin/sh
# Installs this bundle on its host. Written by clusterctl; the same on every host: what goes where stands in manifest.json.
#
# It checks everything before it touches anything, prepares every file next to its place, and only then renames them all.
# If a rename fails, what was there before is put back. The second time it finds nothing to do.
set -eu
LC_ALL=C
export LC_ALL
unset CDPATH

usage() {
    cat <<'USAGE'
Usage: [DESTDIR=FOLDER] ./install.sh [--dry-run] [--signer FILE] [--force-host] [--replace]

Installs the files of this bundle under / or, with DESTDIR, under a folder that stands for it.

  --dry-run     check everything, say what would be installed, change nothing
  --signer FILE refuse a bundle that nobody in FILE signed: a name and a public key a line (ssh-keygen's allowed_signers).
                Without it: the file that CLUSTERCTL_SIGNER names, else etc/kubernetes/clusterctl/allowed_signers, if there
                is one
  --force-host  install although this host is called otherwise than the bundle's
  --replace     install although a newer bundle, or another cluster's or host's, is installed
  --help        say this

Exit status: 0 installed, or nothing to do; 1 refused or failed, and nothing was changed; 2 usage.
USAGE
}

main() {
    read_options "$@"
    cd "$(dirname -- "$0")" || die "the bundle's folder cannot be entered"
    uid=$(id -u)
    check_bundle
    check_host
    [ "$dry_run" = yes ] || take_lock
    check_installed
    find_pending
    if [ -z "$pending" ]; then
        [ "$dry_run" = yes ] || sweep
        say "Nothing to do: all $total files of $host (generation $generation) are in place${root:+ under $root}."
        check_drop_ins
        exit 0
    fi
    check_space
    if [ "$dry_run" = yes ]; then
        say "Would install ${root:+under $root }for $host (cluster $cluster, generation $generation):"
        list_pending
        check_drop_ins
        exit 0
    fi
    trap undo EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    prepare
    # From here to the last rename there are only renames, and no signal comes between them.
    trap '' HUP INT TERM
    swap
    trap - EXIT
    sweep
    trap - HUP INT TERM
    report
}

say() {
    printf '%s\n' "$*"
}

warn() {
    printf 'warning: %s\n' "$*" >&2
}

# die REASON [HINT]
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

read_options() {
    dry_run=no
    force_host=no
    replace=no
    signers=${CLUSTERCTL_SIGNER:-}
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case "$option" in
        --dry-run) dry_run=yes ;;
        --signer=?*) signers=${option#--signer=} ;;
        --signer)
            if [ -z "${1:-}" ]; then
                printf 'error: --signer needs a FILE\n' >&2
                exit 2
            fi
            signers=$1
            shift
            ;;
        --force-host) force_host=yes ;;
        --replace) replace=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            printf 'error: unknown argument %s\n' "$option" >&2
            usage >&2
            exit 2
            ;;
        esac
    done
    root=${DESTDIR:-}
    while [ "$root" != "${root%/}" ]; do
        root=${root%/}
    done
    case "$root" in
    '' | /*) ;;
    *) root=$(pwd)/$root ;;
    esac
    case "$signers" in
    '' | /*) ;;
    *) signers=$(pwd)/$signers ;;
    esac
}

# ── the bundle itself ──

digest() {
    sha256sum <"$1" | cut -d ' ' -f 1
}

# field NAME FILE: the value of one of the manifest's own fields, which stand alone on their lines
field() {
    sed -n 's/^  "'"$1"'": "\{0,1\}\([^"]*\)"\{0,1\},$/\1/p' "$2"
}

check_bundle() {
    command -v sha256sum >/dev/null || die "there is no sha256sum on this host" "install coreutils"
    for file in manifest.json manifest.sha256; do
        [ -f "$file" ] || die "$(pwd)/$file is missing" "run install.sh in the folder that the whole bundle was unpacked into"
        [ -r "$file" ] || die "$(pwd)/$file cannot be read" "run install.sh as the user who unpacked the bundle, or as root"
    done
    check_signature
    [ "$(digest manifest.json)" = "$(cut -d ' ' -f 1 manifest.sha256)" ] ||
        die "manifest.json is damaged: its SHA-256 is not the one in manifest.sha256" "copy the bundle again"
    [ "$(field schemaVersion manifest.json)" = 1 ] || die "this install.sh does not know manifest.json's version"
    host=$(field host manifest.json)
    cluster=$(field cluster manifest.json)
    generation=$(field generation manifest.json)
    roles=$(sed -n 's/^  "roles": \[\(.*\)\],$/\1/p' manifest.json)
    files=$(sed -n 's|^    {"path":"\([A-Za-z0-9._@/-]*\)","mode":"\([0-7]*\)","sha256":"\([0-9a-f]*\)"},\{0,1\}$|\3 \2 \1|p' manifest.json)
    total=$(printf '%s\n' "$files" | wc -l | tr -d ' ')
    if [ -z "$host" ] || [ -z "$cluster" ] || [ -z "$files" ] || ! is_number "$generation" ||
        [ "$(grep -c '"path"' manifest.json)" != "$total" ]; then
        die "manifest.json cannot be read" "copy the bundle again"
    fi

    bad=''
    while read -r sha mode path; do
        case "/$path/" in
        */../* | */./* | *//*) die "manifest.json has a path that leads elsewhere: $path" ;;
        esac
        case "$mode" in
        0600 | 0644 | 0755) ;;
        *) die "manifest.json asks for mode $mode, which no bundle has: $path" ;;
        esac
        if [ -L "$path" ] || [ ! -f "$path" ]; then
            bad="$bad $path(missing)"
        elif [ ! -r "$path" ]; then
            bad="$bad $path(unreadable)"
        elif [ "$(digest "$path")" != "$sha" ]; then
            bad="$bad $path(damaged)"
        fi
    done <<FILES
$files
FILES
    [ -z "$bad" ] || die "these files are not as manifest.json lists them:$bad" "copy the bundle again; nothing was installed"

    not_after=$(field notAfter manifest.json)
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    if expr "x$now" '>' "x$not_after" >/dev/null; then
        warn "it is $now here, and the certificates of this bundle ended at $not_after"
    fi
}

# The manifest lists everything else, so that its signature speaks for all of it.
check_signature() {
    usual=$root/etc/kubernetes/clusterctl/allowed_signers
    if [ -z "$signers" ] && { [ -e "$usual" ] || [ -L "$usual" ]; }; then
        signers=$usual
    fi
    if [ -z "$signers" ]; then
        say "Signature not checked: no --signer was given, and there is no $usual."
        return 0
    fi
    [ -r "$signers" ] || die "the allowed signers in $signers cannot be read" "name a file with --signer, or run it as root"
    [ -f manifest.json.sig ] || die "this bundle is not signed: there is no manifest.json.sig in it" \
        "take one that was made with: clusterctl bundle --sign-with KEY"
    command -v ssh-keygen >/dev/null || die "there is no ssh-keygen on this host, and without it the signature cannot be checked" \
        "install openssh-client"
    signer=''
    signed=no
    try_names "$(names_in "$signers")"
    if [ "$signed" = no ]; then
        # ssh-keygen goes no further than the first line that has the key, and that one may allow it something else, git for
        # one. So each line is asked by itself.
        while IFS= read -r line; do
            try_names "$(printf '%s\n' "$line" | names_in /dev/stdin)"
            [ "$signed" = no ] || break
        done <<LINES
$(cat -- "$signers" 2>/dev/null)
LINES
    fi
    [ -n "$signer" ] || die "this bundle is signed by nobody who is allowed to, or its signature is damaged" \
        "the allowed signers are in $signers; nothing was installed"
    [ "$signed" = yes ] ||
        die "manifest.json is not what $signer signed: it was changed, or the signature was made for something else" \
            "copy the bundle again; nothing was installed"
    say "Signed by $signer."
}

# names_in FILE: who has the signature's key there, a name a line. Older versions of ssh-keygen leave the commas between them.
names_in() {
    ssh-keygen -Y find-principals -s manifest.json.sig -f "$1" 2>/dev/null | tr ',' '\n'
}

# try_names NAMES: the first that verifies is the signer; if none does, the first of all is who it should have been.
try_names() {
    while IFS= read -r name; do
        # After a ! stands who it is not.
        case "$name" in
        '' | '!'*) continue ;;
        esac
        if ssh-keygen -Y verify -f "$signers" -I "$name" -n clusterctl-bundle -s manifest.json.sig \
            <manifest.json >/dev/null 2>&1; then
            signer=$name
            signed=yes
            return 0
        fi
        signer=${signer:-$name}
    done <<NAMES
$1
NAMES
}

is_number() {
    case "$1" in
    '' | *[!0-9]*) return 1 ;;
    esac
}

# ── where it goes ──

check_host() {
    if [ -z "$root" ]; then
        names=$(uname -n)
        full=$(hostname -f 2>/dev/null || :)
        [ -z "$full" ] || [ "$full" = "$names" ] || names="$names $full"
    elif [ -s "$root/etc/hostname" ]; then
        # As hostname(5) has it: comments and empty lines may come before the name.
        names=$(sed -n '/^[[:space:]]*[^#[:space:]]/ { p; q; }' "$root/etc/hostname") || die "$root/etc/hostname cannot be read"
        if [ -z "$names" ]; then
            say "Host name not checked: there is no name in $root/etc/hostname."
            return 0
        fi
    else
        say "Host name not checked: there is no $root/etc/hostname."
        return 0
    fi
    names=$(printf '%s' "$names" | tr '[:upper:]' '[:lower:]' | tr -s '[:space:]' ' ')
    for name in $names; do
        [ "$name" != "$host" ] || return 0
        # A host that knows only the first label of its name.
        case "$name" in
        *.*) ;;
        *) [ "$name" != "${host%%.*}" ] || return 0 ;;
        esac
    done
    if [ "$force_host" = yes ]; then
        warn "this bundle is for $host, and this host is called $names"
        return 0
    fi
    die "this bundle is for $host, and this host is called $names" \
        "take the bundle of this host; if it is this one nevertheless, add --force-host"
}

check_installed() {
    record=etc/kubernetes/clusterctl/manifest.json
    [ -f "$root/$record" ] || return 0
    [ "$replace" = no ] || return 0
    for name in cluster host; do
        old=$(field "$name" "$root/$record")
        new=$(field "$name" manifest.json)
        [ "$old" = "$new" ] ||
            die "a bundle of $name $old is installed here, and this one is of $name $new" "to replace it, add --replace"
    done
    old=$(field generation "$root/$record")
    is_number "$old" || die "$root/$record cannot be read" "to replace what is installed, add --replace"
    [ "$generation" -ge "$old" ] ||
        die "generation $old is installed here, and this bundle is older: generation $generation" \
            "take the newest bundle of $host; to go back nevertheless, add --replace"
}

# Everything that is not in place, a line each: SHA-256, mode, path in the bundle, path on the host. The record comes last:
# it says that all before it is there.
find_pending() {
    pending=''
    everything=''
    while read -r sha mode path; do
        case "$path" in
        */*) want "$sha" "$mode" "$path" "$path" ;;
        esac
    done <<FILES
$files
FILES
    total=$(printf '%s' "$everything" | wc -l | tr -d ' ')
    want "$(digest manifest.json)" 0644 manifest.json "$record"
}

want() {
    everything="$everything$4
"
    [ ! -d "$root/$4" ] || die "$root/$4 is a folder, and a file has to go there" "move it away"
    if [ -n "$(find "$root/$4" -prune -type f -perm "$2" -user "$uid" 2>/dev/null || :)" ] &&
        [ "$(digest "$root/$4")" = "$1" ]; then
        return 0
    fi
    pending="$pending$1 $2 $3 $4
"
}

# Every file system that a file goes to must have room for all of them, while the old ones are still there.
check_space() {
    need=0
    while read -r _ _ source _; do
        need=$((need + ($(wc -c <"$source") + 8191) / 1024))
    done <<PENDING
${pending%?}
PENDING
    while read -r _ _ _ target; do
        folder=$root/$target
        while [ -n "$folder" ] && [ ! -d "$folder" ]; do
            folder=${folder%/*}
        done
        free=$(df -Pk "${folder:-/}" 2>/dev/null |
            awk 'NR == 2 { for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { print $(i - 1); exit } }')
        if is_number "$free" && [ "$free" -lt "$need" ]; then
            die "there is not enough space at ${folder:-/}: $free KiB are free, $need are needed" "make room there"
        fi
    done <<PENDING
${pending%?}
PENDING
}

list_pending() {
    while read -r _ mode _ target; do
        if [ -e "$root/$target" ]; then
            say "  replace  $mode  $root/$target"
        else
            say "  new      $mode  $root/$target"
        fi
    done <<PENDING
${pending%?}
PENDING
}

# ── installing ──

# Where there is no flock, or no folder yet, two at once are on their own.
take_lock() {
    if [ -r "${root:-/}" ] && command -v flock >/dev/null; then
        exec 9<"${root:-/}"
        flock -n 9 || die "another install.sh is at work under ${root:-/}" "wait for it and try again"
    fi
}

made=''
swapped=''

make_folder() {
    if [ -z "$1" ] || [ -d "$1" ]; then
        return 0
    fi
    make_folder "${1%/*}"
    # The kubelet's own folders hold keys.
    case "${1#"$root"}" in
    /var/lib/kubelet*) mask=027 ;;
    *) mask=022 ;;
    esac
    (umask "$mask" && mkdir "$1") || die "the folder $1 cannot be made" "$(rights_hint)"
    made="$1
$made"
}

rights_hint() {
    if [ "$uid" = 0 ]; then
        say "is it on a file system that can be written?"
    else
        say "run install.sh as root, or set DESTDIR to a folder of yours"
    fi
}

# beside TARGET ENDING: the temporary sibling of a file
beside() {
    say "$root/${1%/*}/.${1##*/}.clusterctl-$2"
}

prepare() {
    while read -r sha mode source target; do
        make_folder "$root/${target%/*}"
        new=$(beside "$target" new)
        rm -f -- "$new" || die "the old $new cannot be removed" "$(rights_hint)"
        # The mode is there from the first byte on, and noclobber opens nothing that somebody put there meanwhile.
        case "$mode" in
        0600) mask=077 ;;
        *) mask=022 ;;
        esac
        (umask "$mask" && set -C && cat -- "$source" >"$new") || die "$new cannot be written" "$(rights_hint)"
        [ "$mode" != 0755 ] || chmod 0755 "$new"
        [ "$(digest "$new")" = "$sha" ] || die "$new came out damaged" "is the disk full, or failing?"
        # Onto the disk before the rename, where sync can do a single file.
        sync "$new" 2>/dev/null || :
    done <<PENDING
${pending%?}
PENDING
}

swap() {
    while read -r _ _ _ target; do
        old=$(beside "$target" old)
        rm -f -- "$old"
        if [ -e "$root/$target" ] || [ -L "$root/$target" ]; then
            ln -- "$root/$target" "$old" 2>/dev/null || cp -pP -- "$root/$target" "$old" ||
                die "$root/$target cannot be set aside" "$(rights_hint)"
        fi
        mv -f -- "$(beside "$target" new)" "$root/$target" || die "$root/$target cannot be replaced" "$(rights_hint)"
        swapped="$swapped$target
"
    done <<PENDING
${pending%?}
PENDING
}

# Runs when the installation ends early, whatever the reason: as if it had never begun.
undo() {
    status=$?
    trap '' HUP INT TERM
    trap - EXIT
    if [ -n "$swapped" ]; then
        while read -r target; do
            old=$(beside "$target" old)
            if [ -e "$old" ] || [ -L "$old" ]; then
                mv -f -- "$old" "$root/$target" || warn "$root/$target could not be put back"
            else
                rm -f -- "$root/$target" || warn "$root/$target could not be removed"
            fi
        done <<SWAPPED
${swapped%?}
SWAPPED
    fi
    sweep
    if [ -n "$made" ]; then
        while read -r folder; do
            rmdir -- "$folder" 2>/dev/null || :
        done <<MADE
${made%?}
MADE
    fi
    printf 'Nothing was changed.\n' >&2
    exit "$status"
}

# No temporary file stays, not even one of a run that was killed: some of them are keys.
sweep() {
    while read -r target; do
        rm -f -- "$(beside "$target" new)" "$(beside "$target" old)" 2>/dev/null || :
    done <<EVERYTHING
${everything%?}
EVERYTHING
}

# ── afterwards ──

report() {
    say "Installed for $host (cluster $cluster, generation $generation)${root:+ under $root}:"
    while read -r _ mode _ target; do
        say "  $mode  $root/$target"
    done <<PENDING
${pending%?}
PENDING
    check_drop_ins
    case "$roles" in
    *'"node"'*) say "Next:  systemctl daemon-reload && systemctl restart kubelet" ;;
    esac
    case "$roles" in
    *'"master"'*)
        say "Next, where systemd runs the control plane:"
        say "  systemctl daemon-reload && systemctl enable etcd kube-apiserver kube-controller-manager kube-scheduler &&"
        say "  systemctl restart --no-block etcd kube-apiserver kube-controller-manager kube-scheduler"
        say "The first time, do it on all masters within a minute: etcd is ready when most of its members are."
        say "Where a kubelet runs it from etc/kubernetes/manifests, it sees new manifests by itself."
        ;;
    esac
}

# Drop-ins are read in the order of their names, and the last ExecStart= wins. kubeadm's packages bring a later one, and may do
# so long after the bundle was installed: so this is said each time.
check_drop_ins() {
    case "$roles" in
    *'"node"'*) ;;
    *) return 0 ;;
    esac
    ours=10-clusterctl.conf
    for folder in etc run usr/lib lib; do
        # Where lib is usr/lib by another name, nothing is told twice.
        if [ "$folder" = lib ] && [ -L "$root/lib" ]; then
            continue
        fi
        for other in "$root/$folder"/systemd/system/kubelet.service.d/*.conf; do
            name=${other##*/}
            # What lies under the same name in etc, an empty file or a link to /dev/null, takes its place.
            if [ "$folder" != etc ] && [ -e "$root/etc/systemd/system/kubelet.service.d/$name" ]; then
                continue
            fi
            if [ -f "$other" ] && expr "x$name" '>' "x$ours" >/dev/null && grep -q '^ExecStart=' "$other"; then
                warn "$other comes after ours and sets ExecStart=, so the kubelet would not start with this bundle"
                say "To switch it off:  ln -sf /dev/null $root/etc/systemd/system/kubelet.service.d/$name"
            fi
        done
    done
}

main "$@"

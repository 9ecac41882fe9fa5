#!/bin/sh
# Installs this bundle on its host. Written by clusterctl; the same on every host: what goes where stands in manifest.json.
#
# It checks everything, prepares every file next to its place, and only then renames them all. If a rename fails, what was there
# before is put back. A journal says how far a run came that was killed: the next run, or a unit at the next boot, finishes it.
set -eu
LC_ALL=C
export LC_ALL
unset CDPATH

{# Paths on the host: what was installed last, and what is kept of an installation until it is finished. #}
record=etc/kubernetes/clusterctl/manifest.json
state=etc/kubernetes/clusterctl/unfinished
unit=etc/systemd/system/clusterctl-unfinished.service
wanted=etc/systemd/system/multi-user.target.wants/clusterctl-unfinished.service

usage() {
    cat <<'USAGE'
Usage: [DESTDIR=FOLDER] ./install.sh [--dry-run] [--restart] [--signer FILE] [--force] [--force-host]
                                      [--replace]
       [DESTDIR=FOLDER] ./install.sh --finish

Installs the files of this bundle under / or, with DESTDIR, into an image: an existing folder that stands for /.

  --dry-run     check everything, say what would be installed and restarted, change nothing
  --restart     restart programs that read replaced files only when they start; else they are named
  --signer FILE refuse a bundle that no signer in FILE signed: one name and public key per line (ssh-keygen's allowed_signers).
                Without it: etc/kubernetes/clusterctl/allowed_signers, else the file that CLUSTERCTL_SIGNER names, if there
                is one
  --force       install although the bundle's certificates have expired
  --force-host  install although this host is called otherwise than the bundle's
  --replace     install although a newer bundle, another cluster's or host's, or one with another root is installed
  --finish      only finish an installation that was interrupted; the unit clusterctl-unfinished.service runs this at boot
  --help        say this

Exit status: 0 installed, or nothing to do; 1 refused or failed, and nothing was changed; 2 usage; 3 a
program was not restarted.
USAGE
}

main() {
    read_options "$@"
    uid=$(id -u)
    if [ "$finish" = yes ]; then
        take_lock
        [ -e "$root/$state" ] || say "Nothing was interrupted${root:+ under $root}."
        recover
        exit 0
    fi
    cd "$(dirname -- "$0")" || die "the bundle's folder cannot be entered"
    check_bundle
    check_host
    if [ "$dry_run" = yes ]; then
        [ ! -e "$root/$state/journal" ] || say "An installation was interrupted here. It is finished first, without --dry-run."
    else
        take_lock
        recover
    fi
    check_installed
    check_keys
    find_pending
    check_folders
    find_due
    if [ -z "$pending$stale" ]; then
        [ "$dry_run" = yes ] || sweep "$everything"
        say "Nothing to do: all $total files of $host (generation $generation) are in place${root:+ under $root}."
        check_drop_ins
        finish_restarts
        exit 0
    fi
    check_space
    if [ "$dry_run" = yes ]; then
        say "Would install ${root:+under $root }for $host (cluster $cluster, generation $generation${phase:+, $phase}):"
        list_pending
        tell_left
        check_drop_ins
        finish_restarts
        exit 0
    fi
    plan
    trap undo EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    prepare
    {# From here to the last rename no signal comes between them. #}
    trap '' HUP INT TERM
    commit
    note_due
    trap - EXIT
    close_journal
    sweep "$everything"
    trap - HUP INT TERM
    report
    finish_restarts
}

say() {
    printf '%s\n' "$*"
}

warn() {
    printf 'warning: %s\n' "$*" >&2
}

{# die REASON [HINT] #}
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

read_options() {
    dry_run=no
    finish=no
    restart=no
    force=no
    force_host=no
    replace=no
    signers=
    signers_of_environment=${CLUSTERCTL_SIGNER:-}
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
        --finish) finish=yes ;;
        --restart) restart=yes ;;
        --force) force=yes ;;
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
    [ -z "$root" ] || check_root
    case "$signers" in
    '' | /*) ;;
    *) signers=$(pwd)/$signers ;;
    esac
    case "$signers_of_environment" in
    '' | /*) ;;
    *) signers_of_environment=$(pwd)/$signers_of_environment ;;
    esac
}

{# A DESTDIR with a typo in it must not be made and filled with keys. A new image may be empty. #}
check_root() {
    [ -d "$root" ] || die "DESTDIR is $root, and there is no such folder" "make it first, or correct its name"
    for name in bin boot dev etc home lib opt proc root run sbin srv sys tmp usr var; do
        if [ -e "$root/$name" ] || [ -L "$root/$name" ]; then
            return 0
        fi
    done
    for name in "$root"/* "$root"/.[!.]*; do
        case "${name##*/}" in
        lost+found) ;;
        *) [ ! -e "$name" ] || die "DESTDIR is $root, and that is no root of a system: it holds ${name##*/}, and no etc or usr" \
            "name the folder that stands for / in the image" ;;
        esac
    done
}

# -- the bundle itself --

digest() {
    sha256sum <"$1" | cut -d ' ' -f 1
}

{# field NAME FILE: the value of one of the manifest's own fields, which stand alone on their lines #}
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
    restarts=$(sed -n 's/^  "restarts": \[\(.*\)\],$/\1/p' manifest.json | tr ',' '\n' | tr -d '"')
    phase=$(sed -n 's/^  "rotation": {"role":"\(.*\)","phase":"\(.*\)","number":\(.\)},$/phase \3 (\2) of the \1 rotation/p' manifest.json)
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
        [ "$force" = yes ] || die "the certificates of this bundle expired at $not_after, and it is $now here" \
            "take a new bundle, or correct this host's clock; to install it nevertheless, add --force"
        warn "the certificates of this bundle expired at $not_after, and it is $now here"
    fi
}

{# The manifest lists everything else, so that its signature speaks for all of it. #}
check_signature() {
    usual=$root/etc/kubernetes/clusterctl/allowed_signers
    {# What the host's administrator laid down is not for the environment to replace. #}
    if [ -z "$signers" ] && { [ -e "$usual" ] || [ -L "$usual" ]; }; then
        signers=$usual
    fi
    signers=${signers:-$signers_of_environment}
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
        {# ssh-keygen stops at the first line that has the key, which may allow it something else. So each line is asked by itself. #}
        while IFS= read -r line; do
            try_names "$(printf '%s\n' "$line" | names_in /dev/stdin)"
            [ "$signed" = no ] || break
        done <<LINES
$(cat -- "$signers" 2>/dev/null)
LINES
    fi
    [ -n "$signer" ] || die "no allowed signer signed this bundle, or its signature is damaged" \
        "the allowed signers are in $signers; nothing was installed"
    [ "$signed" = yes ] ||
        die "manifest.json is not what $signer signed: it was changed, or the signature was made for something else" \
            "copy the bundle again; nothing was installed"
    say "Signed by $signer."
}

{# names_in FILE: who has the signature's key there, a name a line. Older versions of ssh-keygen leave the commas between them. #}
names_in() {
    ssh-keygen -Y find-principals -s manifest.json.sig -f "$1" 2>/dev/null | tr ',' '\n'
}

{# try_names NAMES: the first that verifies is the signer; if none does, the first of all is who it should have been. #}
try_names() {
    while IFS= read -r name; do
        {# After a ! stands who it is not. #}
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

# -- where it goes --

check_host() {
    if [ -z "$root" ]; then
        names=$(uname -n)
        full=$(hostname -f 2>/dev/null || :)
        [ -z "$full" ] || [ "$full" = "$names" ] || names="$names $full"
    elif [ -s "$root/etc/hostname" ]; then
        {# As hostname(5) has it: comments and empty lines may come before the name. #}
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
        {# A host that knows only the first label of its name. #}
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
    [ "$replace" = no ] || return 0
    if [ ! -f "$root/$record" ]; then
        check_foreign_root
        return 0
    fi
    for name in cluster host; do
        old=$(field "$name" "$root/$record")
        new=$(field "$name" manifest.json)
        [ "$old" = "$new" ] ||
            die "a bundle of $name $old is installed here, and this one is of $name $new" "to replace it, add --replace"
    done
    old=$(field rootPin "$root/$record")
    new=$(field rootPin manifest.json)
    {# While a root is replaced, hosts trust both: the new one was installed beside the old one, or the old one stays. #}
    [ "$old" = "$new" ] || has_pin "$new" "$root/$record" || has_pin "$old" manifest.json ||
        die "this bundle would replace the cluster's root: $old is installed here, and the bundle has $new" \
            "hosts with the old root and with the new one do not trust each other; to replace it nevertheless, add --replace"
    old=$(field generation "$root/$record")
    is_number "$old" || die "$root/$record cannot be read" "to replace what is installed, add --replace"
    [ "$generation" -ge "$old" ] ||
        die "generation $old is installed here, and this bundle is older: generation $generation" \
            "take the newest bundle of $host; to go back nevertheless, add --replace"
}

{# has_pin PIN MANIFEST: whether the root with this pin is trusted beside the first one #}
has_pin() {
    sed -n 's/^  "otherPins": \[\(.*\)\],$/\1/p' "$2" | tr ',' '\n' | grep -qxF "\"$1\""
}

{# A root that no bundle brought is trusted by what runs here. #}
check_foreign_root() {
    authority=etc/kubernetes/pki/ca.crt
    if [ ! -f "$root/$authority" ] || [ ! -f "$authority" ] || [ "$(digest "$root/$authority")" = "$(digest "$authority")" ]; then
        return 0
    fi
    old=$(pin_of "$root/$authority")
    die "$root/$authority is another root, which no bundle of clusterctl brought: ${old:-its pin is not known}, and this bundle has $(field rootPin manifest.json)" \
        "to replace it, add --replace"
}

{# pin_of FILE: the pin of its first certificate, where there is an openssl. #}
pin_of() {
    key=$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null) || return 0
    printf '%s\n' "$key" | openssl pkey -pubin -outform DER 2>/dev/null | sha256sum | sed 's/^\([0-9a-f]*\).*/sha256:\1/'
}

{# The keys that only this host has: the bundle has their certificates alone, and each key has to fit its own. #}
check_keys() {
    [ -f host-keys ] || return 0
    wrong=''
    while read -r path public; do
        check_key "$path" "$public"
    done <host-keys
    [ -z "$wrong" ] || die "the bundle has certificates for keys of this host, and these keys cannot be used:$wrong" \
        "if they were made here, run clusterctl request $host here and let the request be signed; if they were deleted where bundles are made, run there clusterctl issue-node --reissue $host and clusterctl apply. Then take the new bundle; nothing was installed"
}

{# check_key PATH PUBLIC #}
check_key() {
    if [ ! -f "$root/$1" ]; then
        wrong="$wrong $1(missing)"
    elif [ ! -r "$root/$1" ]; then
        wrong="$wrong $1(unreadable)"
    elif [ -n "$(find -L "$root/$1" -prune \( -perm -0040 -o -perm -0020 -o -perm -0004 -o -perm -0002 \) 2>/dev/null || :)" ]; then
        wrong="$wrong $1(open to others: chmod 0600)"
    elif ! has_public "$root/$1" "$2"; then
        if command -v openssl >/dev/null; then
            wrong="$wrong $1(not the certificate's)"
        else
            wrong="$wrong $1(not the certificate's, or of a kind that only openssl can compare)"
        fi
    fi
}

{# has_public KEY PUBLIC: whether this is the public half of a key. Most files of keys have it; of the others openssl computes it. #}
has_public() {
    octets=$(sed -n '/^-----BEGIN .*PRIVATE KEY-----/,/^-----END /p' "$1" | sed '/^-----/d' | base64 -d 2>/dev/null | in_hex)
    case "$octets" in
    *"$2"*) octets='' ;;
    *)
        octets=$(openssl pkey -in "$1" -passin pass: -pubout -outform DER 2>/dev/null | in_hex)
        case "$octets" in
        *"$2"*) ;;
        *) return 1 ;;
        esac
        ;;
    esac
}

in_hex() {
    od -A n -v -t x1 | tr -d ' \n'
}

{# Everything that is not in place, a line each: SHA-256, mode, path in the bundle, path on the host. The record comes last. #}
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
    left=$(sed -n 's|^    {"path":"\([A-Za-z0-9._@-]*/[A-Za-z0-9._@/-]*\)",.*|\1|p' "$root/$record" 2>/dev/null || :)
    {# Earlier bundles' drop-ins sorted before those of other packages, which undid them. #}
    stale=''
    for program in $(units); do
        old=etc/systemd/system/$program.service.d/10-clusterctl.conf
        if [ -f "$root/$old" ] && [ ! -f "$old" ] && [ ! -L "$root/$old" ] &&
            { grep -qF "\"$old\"" "$root/$record" 2>/dev/null || grep -q 'Written by clusterctl' "$root/$old"; }; then
            stale="$stale$old
"
        fi
    done
}

{# The units that this bundle has drop-ins for. #}
units() {
    case "$roles" in
    *'"master"'*) say etcd kube-apiserver kube-controller-manager kube-scheduler ;;
    esac
    case "$roles" in
    *'"node"'*) say kubelet ;;
    esac
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

{# No folder on the way may be something else, lead out of an image, or be open to others. #}
check_folders() {
    image=$(cd -P -- "${root:-/}" && pwd -P)
    seen=' '
    while read -r target; do
        folder=${target%/*}
        while [ -n "$folder" ]; do
            case "$seen" in
            *" $folder "*) break ;;
            esac
            seen="$seen$folder "
            if [ -d "$root/$folder" ]; then
                at=$(cd -P -- "$root/$folder" && pwd -P)
                case "$at" in
                "${image%/}"/*) ;;
                *) die "$root/$folder leads out of $root, to $at" "make it a folder, or a link with a relative path, in the image" ;;
                esac
                if [ "$uid" = 0 ] && [ -n "$(find "$at" -prune \( ! -user 0 -o -perm -0002 \) 2>/dev/null || :)" ]; then
                    warn "others than root may change the folder $root/$folder, and replace what is installed in it: chown root it, and chmod go-w"
                fi
            elif [ -e "$root/$folder" ] || [ -L "$root/$folder" ]; then
                die "$root/$folder is no folder, or a link that leads nowhere" "move it away"
            fi
            case "$folder" in
            */*) folder=${folder%/*} ;;
            *) folder='' ;;
            esac
        done
    done <<TARGETS
$everything$state/journal
$unit
$wanted
TARGETS
}

{# What an earlier bundle brought and this one does not have: the host may have another role now, and keys of the old one. #}
tell_left() {
    reported=no
    while read -r path; do
        case "
$everything
$stale" in
        *"
$path
"*) continue ;;
        esac
        if [ -f host-keys ] && grep -qF "$path " host-keys; then
            continue
        fi
        if [ -n "$path" ] && [ -e "$root/$path" ]; then
            [ "$reported" = yes ] || say "Of an earlier bundle, and not in this one; remove what nothing needs:"
            reported=yes
            say "  left     $root/$path"
        fi
    done <<LEFT
$left
LEFT
}

{# Every file system that a file goes to must have room for all of them, while the old ones are still there. #}
check_space() {
    need=$((($(wc -c <install.sh) + 32767) / 1024))
    while read -r _ _ source _; do
        [ -z "$source" ] || need=$((need + ($(wc -c <"$source") + 8191) / 1024))
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
        [ -n "$target" ] || continue
        if [ -e "$root/$target" ]; then
            say "  replace  $mode  $root/$target"
        else
            say "  new      $mode  $root/$target"
        fi
    done <<PENDING
${pending%?}
PENDING
    while read -r target; do
        [ -z "$target" ] || say "  remove         $root/$target"
    done <<STALE
${stale%?}
STALE
}

# -- installing --

{# Where there is no flock, or no folder yet, two at once are on their own. #}
take_lock() {
    if [ -r "${root:-/}" ] && command -v flock >/dev/null; then
        exec 9<"${root:-/}"
        flock -n 9 || die "another install.sh is at work under ${root:-/}" "wait for it and try again"
    fi
}

make_folder() {
    if [ -z "$1" ] || [ -d "$1" ]; then
        return 0
    fi
    make_folder "${1%/*}"
    {# The kubelet's own folders hold keys, and the state says where keys are. #}
    case "${1#"$root"}" in
    /var/lib/kubelet*) mask=027 ;;
    "/$state") mask=077 ;;
    *) mask=022 ;;
    esac
    (umask "$mask" && mkdir "$1") || die "the folder $1 cannot be made" "$(rights_hint)"
}

rights_hint() {
    if [ "$uid" = 0 ]; then
        say "is it on a file system that can be written?"
    else
        say "run install.sh as root, or set DESTDIR to a folder of yours"
    fi
}

{# beside TARGET ENDING: the temporary sibling of a file #}
beside() {
    say "$root/${1%/*}/.${1##*/}.clusterctl-$2"
}

{# durable PATH...: files, or the names in folders, are on the disk when it returns. Some versions of sync know no files. #}
durable() {
    if [ -z "${sync_knows_files:-}" ]; then
        sync_knows_files=no
        ! sync "${root:-/}" 2>/dev/null || sync_knows_files=yes
    fi
    case "$sync_knows_files" in
    yes) sync "$@" ;;
    *) sync ;;
    esac
}

# -- the journal --
{# Its first line says which way an installation goes, should it be interrupted:
     prepare  no file is in its place yet: what was prepared is removed
     forward  everything is prepared and on the disk: all is put into its place
     back     a rename failed: what was there before is put back
   Then come the operations, in order, one a line, each with four words:
     put SHA256 yes|no PATH   a new file, and whether it takes the place of another
     remove - yes PATH        a file that bundles no longer have
     folder - no PATH         a folder that was not there, the deepest first #}

{# The operations of this installation. #}
plan() {
    operations=''
    folders=''
    while read -r target; do
        [ -n "$target" ] || continue
        operations="${operations}remove - yes $target
"
    done <<STALE
${stale%?}
STALE
    while read -r sha _ _ target; do
        [ -n "$target" ] || continue
        had=no
        if [ -e "$root/$target" ] || [ -L "$root/$target" ]; then
            had=yes
        fi
        operations="${operations}put $sha $had $target
"
        missing_folders "$target"
    done <<PENDING
${pending%?}
PENDING
    missing_folders "$state/journal"
    missing_folders "$wanted"
    while read -r folder; do
        [ -z "$folder" ] || [ "$folder" = "$state" ] || operations="${operations}folder - no $folder
"
    done <<FOLDERS
$(printf '%s' "$folders" | sort -ru)
FOLDERS
}

{# missing_folders TARGET: those above it that are not there #}
missing_folders() {
    folder=${1%/*}
    while [ ! -d "$root/$folder" ]; do
        folders="$folders$folder
"
        case "$folder" in
        */*) folder=${folder%/*} ;;
        *) break ;;
        esac
    done
}

{# put_state NAME: writes a file of the state from its input #}
put_state() {
    new=$(beside "$state/$1" new)
    cat >"$new" || die "$new cannot be written" "$(rights_hint)"
    mv -f -- "$new" "$root/$state/$1" || die "$root/$state/$1 cannot be written" "$(rights_hint)"
}

{# The state, with a copy of this script, and a unit that runs it at the next boot, come before any key is written. #}
open_journal() {
    make_folder "$root/$state"
    put_state finish.sh <install.sh
    make_folder "$root/${wanted%/*}"
    new=$(beside "$unit" new)
    cat >"$new" <<UNIT || die "$new cannot be written" "$(rights_hint)"
[Unit]
Description=Finish an interrupted installation of a clusterctl bundle
ConditionPathExists=/$state/finish.sh
RequiresMountsFor=/etc/kubernetes /var/lib/kubelet
Before=kubelet.service etcd.service kube-apiserver.service kube-controller-manager.service kube-scheduler.service

[Service]
Type=oneshot
ExecStart=/bin/sh /$state/finish.sh --finish
ExecStartPost=-/bin/sh -c "systemctl daemon-reload"
UNIT
    mv -f -- "$new" "$root/$unit" || die "$root/$unit cannot be written" "$(rights_hint)"
    ln -sf "../${unit##*/}" "$root/$wanted" || die "$root/$wanted cannot be made" "$(rights_hint)"
    for direction in forward back prepare; do
        put_state "$direction" <<JOURNAL
clusterctl-journal 1 $direction
${operations%?}
JOURNAL
    done
    durable "$root/$unit" "$root/${unit%/*}" "$root/${wanted%/*}" "$root/$state/finish.sh" "$root/$state/forward" \
        "$root/$state/back" "$root/$state/prepare" "$root/$state" "$root/${state%/*}" ||
        die "$root/$state cannot be brought to the disk" "is the disk failing?"
    turn prepare || die "$root/$state/journal cannot be written" "$(rights_hint)"
}

{# prepare: every file beside its place, and beside it what is there now #}
prepare() {
    open_journal
    set --
    while read -r sha mode source target; do
        [ -n "$target" ] || continue
        make_folder "$root/${target%/*}"
        new=$(beside "$target" new)
        rm -f -- "$new" || die "the old $new cannot be removed" "$(rights_hint)"
        {# The mode is there from the first byte on, and noclobber does not open a file that another process created meanwhile. #}
        case "$mode" in
        0600) mask=077 ;;
        *) mask=022 ;;
        esac
        (umask "$mask" && set -C && cat -- "$source" >"$new") || die "$new cannot be written" "$(rights_hint)"
        [ "$mode" != 0755 ] || chmod 0755 "$new"
        [ "$(digest "$new")" = "$sha" ] || die "$new came out damaged" "is the disk full, or failing?"
        set -- "$@" "$new"
    done <<PENDING
${pending%?}
PENDING
    while read -r operation _ had target; do
        case "$operation $had" in
        'put yes' | 'remove yes') ;;
        *) continue ;;
        esac
        old=$(beside "$target" old)
        rm -f -- "$old"
        ln -- "$root/$target" "$old" 2>/dev/null || cp -pP -- "$root/$target" "$old" ||
            die "$root/$target cannot be set aside" "$(rights_hint)"
    done <<OPERATIONS
${operations%?}
OPERATIONS
    folders_durable "$@" || die "what was prepared cannot be brought to the disk" "is the disk failing?"
}

{# folders_durable [FILE...]: the files, and the names in every folder that the operations touch and in those above #}
folders_durable() {
    while read -r operation _ _ target; do
        [ "$operation" != folder ] || continue
        folder=$root/${target%/*}
        while [ -d "$folder" ] && [ "$folder" != "$root" ]; do
            case " $* " in
            *" $folder "*) ;;
            *) set -- "$@" "$folder" ;;
            esac
            folder=${folder%/*}
        done
    done <<OPERATIONS
${operations%?}
OPERATIONS
    durable "$@" "${root:-/}"
}

committed=no

{# With this one rename the installation is decided: what comes after it is done, by the next run if not by this one. #}
commit() {
    turn forward || die "$root/$state/journal cannot be written" "$(rights_hint)"
    committed=yes
    go_forward
}

{# turn DIRECTION: which way the journal goes from here #}
turn() {
    mv -f -- "$root/$state/$1" "$root/$state/journal" && durable "$root/$state"
}

go_forward() {
    while read -r operation _ _ target; do
        case "$operation" in
        put)
            new=$(beside "$target" new)
            {# A run before this one may have come so far. #}
            [ -e "$new" ] || continue
            mv -f -- "$new" "$root/$target" || die "$root/$target cannot be replaced" "$(rights_hint)"
            ;;
        remove) rm -f -- "$root/$target" || die "$root/$target cannot be removed" "$(rights_hint)" ;;
        esac
    done <<OPERATIONS
${operations%?}
OPERATIONS
    folders_durable || die "what was installed cannot be brought to the disk" "is the disk failing?"
}

{# Whether each new file is there, in its place or beside it. #}
can_go_forward() {
    while read -r operation sha _ target; do
        [ "$operation" = put ] || continue
        for file in "$(beside "$target" new)" "$root/$target"; do
            if [ -f "$file" ] && [ "$(digest "$file")" = "$sha" ]; then
                continue 2
            fi
        done
        return 1
    done <<OPERATIONS
${operations%?}
OPERATIONS
}

go_back() {
    while read -r operation _ had target; do
        [ "$operation" != folder ] || continue
        old=$(beside "$target" old)
        if [ "$had" = no ]; then
            rm -f -- "$root/$target" || warn "$root/$target could not be removed"
        elif [ -e "$old" ] || [ -L "$old" ]; then
            mv -f -- "$old" "$root/$target" || warn "$root/$target could not be put back"
        fi
    done <<OPERATIONS
${operations%?}
OPERATIONS
    folders_durable || warn "what was put back could not be brought to the disk"
}

{# Removes temporary files, and folders that nothing is in. #}
drop_prepared() {
    sweep "$(printf '%s' "$operations" | sed -n -e 's/^put [^ ]* [^ ]* //p' -e 's/^remove [^ ]* [^ ]* //p')
"
    folders_durable || warn "what was removed could not be brought to the disk"
}

drop_folders() {
    while read -r operation _ _ target; do
        [ "$operation" != folder ] || rmdir -- "$root/$target" 2>/dev/null || :
    done <<OPERATIONS
${operations%?}
OPERATIONS
}

{# The journal goes when no temporary file is left, and the unit when there is no journal. #}
close_journal() {
    drop_prepared
    drop_folders
    rm -f -- "$root/$state/journal"
    [ ! -d "$root/$state" ] || durable "$root/$state" || warn "$root/$state could not be brought to the disk"
    remove_state
    drop_folders
}

remove_state() {
    for name in forward back prepare; do
        rm -f -- "$root/$state/$name" "$(beside "$state/$name" new)"
    done
    rm -f -- "$root/$wanted" "$root/$unit" "$(beside "$unit" new)"
    [ -d "$root/$state" ] || return 0
    rm -f -- "$root/$state/finish.sh" "$(beside "$state/finish.sh" new)"
    {# A run that was killed before its journal was there may have made it. #}
    rmdir -- "$root/${wanted%/*}" 2>/dev/null || :
    rmdir -- "$root/$state" 2>/dev/null || :
}

{# Finishes what a run before this one left, and says so. #}
recover() {
    operations=''
    if [ ! -e "$root/$state/journal" ]; then
        remove_state
        return 0
    fi
    direction=$(sed -n '1s/^clusterctl-journal 1 //p' "$root/$state/journal")
    operations=$(sed 1d "$root/$state/journal")
    operations="$operations
"
    case "$direction" in
    forward)
        if can_go_forward; then
            go_forward
            finished=$operations
            say "Finished an installation that was interrupted."
        else
            warn "files of an interrupted installation are gone; what was there before it is put back"
            go_back
        fi
        ;;
    back)
        go_back
        say "Put back what an interrupted installation had replaced."
        ;;
    prepare) say "Removed what an interrupted installation had prepared." ;;
    *) die "$root/$state/journal cannot be read" "look at it, remove $root/$state, and run install.sh again" ;;
    esac
    close_journal
}

{# Runs when the installation ends early, whatever the reason: as if it had not been started. #}
undo() {
    status=$?
    trap '' HUP INT TERM
    trap - EXIT
    if [ "$committed" = yes ]; then
        turn back || warn "$root/$state/journal could not be written"
        go_back
    fi
    close_journal
    printf 'Nothing was changed.\n' >&2
    exit "$status"
}

{# sweep TARGETS: no temporary file stays, not even one of a run that was killed: some of them are keys. #}
sweep() {
    while read -r target; do
        [ -z "$target" ] || rm -f -- "$(beside "$target" new)" "$(beside "$target" old)" 2>/dev/null || :
    done <<TARGETS
${1%?}
TARGETS
}

# -- afterwards --

report() {
    say "Installed for $host (cluster $cluster, generation $generation${phase:+, $phase})${root:+ under $root}:"
    while read -r _ mode _ target; do
        [ -z "$target" ] || say "  $mode  $root/$target"
    done <<PENDING
${pending%?}
PENDING
    while read -r target; do
        [ -z "$target" ] || say "  removed  $root/$target"
    done <<STALE
${stale%?}
STALE
    tell_left
    check_drop_ins
    if [ -n "$root" ]; then
        report_image
        return 0
    fi
    case "$idle" in
    *kubelet*) say "Next:  systemctl daemon-reload && systemctl restart kubelet" ;;
    esac
    case "$idle" in
    *kube-apiserver*)
        say "Next, where systemd runs the control plane:"
        say "  systemctl daemon-reload && systemctl enable etcd kube-apiserver kube-controller-manager kube-scheduler &&"
        say "  systemctl restart --no-block etcd kube-apiserver kube-controller-manager kube-scheduler"
        say "The first time, do it on all masters within a minute: etcd is ready when most of its members are."
        say "Where a kubelet runs it from etc/kubernetes/manifests, it sees new manifests by itself."
        ;;
    esac
}

# -- restarts --
{# manifest.json has the files that each program reads only when it starts. When one is replaced, the instance that runs is noted. #}
noted=/run/clusterctl-restarts

{# find_due: the programs to be restarted, and how each runs; those that do not run are idle #}
find_due() {
    due=''
    idle=''
    [ -z "$root" ] || return 0
    for program in $(units); do
        for how in systemd pod otherwise not; do
            [ -z "$(instance)" ] || break
        done
        if [ "$how" = not ]; then
            idle="$idle $program"
        elif is_replaced || grep -qxF "$(instance) $program" "$noted" 2>/dev/null; then
            due="$due$program $how
"
        fi
    done
}

{# instance: which instance of $program runs; nothing where it does not run like $how #}
instance() {
    case "$how" in
    systemd)
        case "$(systemctl is-active "$program" 2>/dev/null)" in
        active | *ing | failed) systemctl show --property=InvocationID "$program" ;;
        esac
        ;;
    pod) crictl ps -q --name "^$program\$" 2>/dev/null ;;
    otherwise) pidof "$program" 2>/dev/null ;;
    not) say no ;;
    esac </dev/null || :
}

is_replaced() {
    for path in "etc/systemd/system/$program.service.d/10-clusterctl.conf" $(say "$restarts" | sed -n "s/^$program //p"); do
        case "$pending $stale${finished:-}" in
        {# A kubelet starts a static pod again when its manifest changes. #}
        *"etc/kubernetes/manifests/$program.yaml
"*) [ "$how" != pod ] || return 1 ;;
        esac
        case "$pending $stale${finished:-}" in
        *"$path
"*) return 0 ;;
        esac
    done
    return 1
}

note_due() {
    [ -n "$root" ] || while read -r program how; do
        [ -z "$program" ] || say "$(instance) $program"
    done 2>/dev/null >"$noted" <<DUE || :
${due%?}
DUE
}

finish_restarts() {
    left=''
    if [ "$restart" = yes ] && [ "$dry_run" = no ]; then
        while read -r program how; do
            if [ -n "$program" ] && [ -z "$left" ] && restart_one; then
                say "  restarted  $program"
            else
                left="$left${program:+$program $how
}"
            fi
        done <<DUE
${due%?}
DUE
        due=$left
        note_due
    fi
    [ -z "$due" ] || say "To be restarted, because they read replaced files only when they start (by hand, or --restart):"
    while read -r program how; do
        case "$how" in
        systemd) say "  systemctl daemon-reload && systemctl restart $program" ;;
        pod) say "  crictl stop -t 30 \$(crictl ps -q --name '^$program\$')" ;;
        otherwise) say "  $program (a static pod: move its manifest away, and back)" ;;
        esac
    done <<DUE
${due%?}
DUE
    [ -z "$left" ] || exit 3
}

{# restart_one: restarts $program, and waits until it is ready, at most two minutes #}
restart_one() {
    before=$(instance)
    case "$how" in
    systemd) systemctl daemon-reload && systemctl --no-block restart "$program" ;;
    {# Two seconds more than the 30, crictl's own, are not enough where a killed program takes longer to be gone. #}
    pod) crictl --timeout 30s stop -t 30 "$before" >/dev/null ;;
    *) false ;;
    esac </dev/null || return 1
    for _ in 1 2 3 4 5 6; do
        sleep 20
        case "$(instance)" in
        "$before" | '') ;;
        *) [ "$how" = systemd ] && ! systemctl is-active -q "$program" </dev/null || return 0 ;;
        esac
    done
    warn "$program is not ready"
    return 1
}

{# Nothing runs in an image that could be restarted. #}
report_image() {
    say "This is an image: nothing runs in it. It is for $host alone, and it holds that host's keys."
    case "$roles" in
    *'"node"'*) say "Next, so that the kubelet starts with the image:  systemctl --root=$root enable kubelet" ;;
    esac
    case "$roles" in
    *'"master"'*)
        say "Next, where systemd is to run the control plane:"
        say "  systemctl --root=$root enable etcd kube-apiserver kube-controller-manager kube-scheduler"
        ;;
    esac
}

{# Drop-ins are read in the order of their names, and the last ExecStart= wins. A package may bring a later one: this is said each time. #}
check_drop_ins() {
    ours=99-clusterctl.conf
    for program in $(units); do
        for folder in etc run usr/lib lib; do
            {# Where lib is usr/lib by another name, nothing is reported twice. #}
            if [ "$folder" = lib ] && [ -L "$root/lib" ]; then
                continue
            fi
            for other in "$root/$folder/systemd/system/$program.service.d"/*.conf; do
                name=${other##*/}
                {# A file of the same name in etc, an empty one or a link to /dev/null, takes its place. #}
                if [ "$folder" != etc ] && [ -e "$root/etc/systemd/system/$program.service.d/$name" ]; then
                    continue
                fi
                if [ "$program" = etcd ] && [ -f "$other" ] && expr "x$name" '<' "x$ours" >/dev/null && grep -q EXTRA_ARGS "$other"; then
                    warn "$other comes before ours, which resets etcd's environment, so its EXTRA_ARGS are lost: call it 99-extra.conf"
                fi
                if [ -f "$other" ] && expr "x$name" '>' "x$ours" >/dev/null && grep -q '^ExecStart=' "$other"; then
                    warn "$other comes after 99-clusterctl.conf and sets ExecStart=, so $program would not start with this bundle"
                    say "To disable it:  ln -sf /dev/null $root/etc/systemd/system/$program.service.d/$name"
                fi
            done
        done
    done
}

main "$@"

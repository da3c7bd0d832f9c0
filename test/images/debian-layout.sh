#!/bin/bash
# Makes the OCI layout that it is given with the image "made": a Debian of some 800 MB as debootstrap installs it, and on top what a
# user changes in one. umoci makes both layers. MIRROR can be given.
set -eu
layout=$1; work=$(mktemp -d "${TMPDIR:-/tmp}/berth-debian.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
mirror=${MIRROR:-http://deb.debian.org/debian}

# The packages bring set-id programs, file capabilities, hard links, long names and some 20,000 files.
debootstrap --variant=minbase --include=build-essential,git,iputils-ping,locales,python3,sudo,vim \
  bookworm "$work/tree" "$mirror" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }

umoci init --layout "$layout"
umoci new --image "$layout:made"
umoci unpack --image "$layout:made" "$work/bundle"
find "$work/tree" -mindepth 1 -maxdepth 1 -exec mv -t "$work/bundle/rootfs" {} +
umoci repack --image "$layout:made" --refresh-bundle "$work/bundle"

cd "$work/bundle/rootfs"
rm -r usr/share/doc usr/share/locale var/cache/apt
mkdir usr/share/doc && echo new >usr/share/doc/only
rm usr/bin/git && ln -s /bin/true usr/bin/git
mv usr/lib/python3.11/json usr/lib/json.moved
chown 1000:1000 home && chmod 2775 home && : >home/.hidden && ln home/.hidden home/again
echo changed >>etc/passwd && truncate -s 5M var/log/sparse
umoci repack --image "$layout:made" "$work/bundle"

#!/bin/bash
# Writes 1.tar, 2.tar and 3.tar into the directory that it is given: layers that replace, remove, hide and link.
set -eu
out=$1; mkdir -p "$out"; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

pack() { # NAME PATHS…: a pax archive with times to the nanosecond and every attribute
  local name=$1; shift
  find "$work/$name" -depth -print0 | xargs -0 touch -h -d '2021-02-03 04:05:06.123456789 UTC'
  tar -C "$work/$name" -H posix --numeric-owner --xattrs --xattrs-include='*' -cf "$out/$name.tar" "$@"
}

mkdir -p "$work/1"; cd "$work/1"
mkdir -p bin etc/kept etc/hidden/deep usr/lib usr/share/doc var/log var/replaced-by-file "with space" tmp links
echo shell >bin/sh; ln bin/sh bin/bash; ln -s sh bin/ash; ln -s /usr/lib lib
echo one >etc/one; echo two >etc/two; echo three >etc/kept/three; echo gone >etc/hidden/gone; echo deep >etc/hidden/deep/er
echo library >usr/lib/libc; ln usr/lib/libc links/libc; ln usr/lib/libc "with space/libc"
ln -s nowhere links/dangling; ln links/dangling links/same-dangling
echo file >var/replaced-by-directory; echo x >var/replaced-by-file/x; echo y >var/replaced-by-link
mknod -m 0620 var/null c 1 3; mknod -m 0640 var/disk b 259 77; mkfifo -m 0604 var/fifo
echo suid >bin/su; chown 0:42 bin/su; chmod 6755 bin/su; chmod 1777 tmp; chmod 2751 usr/share; chown 7:8 usr/share
chown 65535:65534 etc/one; chmod 0000 etc/two; chown -h 5:6 bin/ash
echo "$(printf 'n%.0s' {1..200})" >"etc/$(printf 'n%.0s' {1..200})"
deep=usr/$(printf 'a%.0s' {1..120})/$(printf 'b%.0s' {1..120}); mkdir -p "$deep"; echo far >"$deep/away"
truncate -s 1M var/sparse; printf end >>var/sparse
python3 -c 'import os, struct
os.setxattr("etc/one", "user.binary", bytes(range(256)))
os.setxattr("usr/lib", "user.directory", b"on a directory")
acl = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, 2, 4, 1234, 4, 4, 2**32 - 1, 16, 6, 2**32 - 1, 32, 4, 2**32 - 1)
os.setxattr("etc/kept/three", "system.posix_acl_access", acl)
os.setxattr("etc/kept", "system.posix_acl_default", acl)
os.setxattr("usr/lib/libc", "user.text", b"of a file with several names")'
pack 1 .

# No parents: usr, usr/lib and etc are implied and must stay as they are.
mkdir -p "$work/2"; cd "$work/2"
mkdir -p usr/lib etc/hidden bin var/replaced-by-directory links
: >etc/.wh.two; : >bin/.wh.ash; : >etc/hidden/.wh..wh..opq; echo new >etc/hidden/new
echo second >usr/lib/second; ln usr/lib/second links/second
echo now >var/replaced-by-file; echo inner >var/replaced-by-directory/inner; ln -s /etc var/replaced-by-link
echo changed >bin/su; chmod 0711 bin/su; chown 3:4 bin/su
pack 2 --no-recursion etc/.wh.two bin/.wh.ash etc/hidden etc/hidden/.wh..wh..opq etc/hidden/new usr/lib/second links/second \
  var/replaced-by-file var/replaced-by-directory var/replaced-by-directory/inner var/replaced-by-link bin/su

# Comes back after its removal; a directory goes; a name that only looks like a whiteout's stays.
mkdir -p "$work/3"; cd "$work/3"
mkdir -p etc usr var links bin
echo back >etc/two; : >usr/.wh.share; : >links/.wh.libc; : >var/.wh.replaced-by-directory; echo dot >bin/.whisper
ln -s ../etc/two bin/ash
pack 3 --no-recursion etc/two usr/.wh.share links/.wh.libc var/.wh.replaced-by-directory bin/.whisper bin/ash

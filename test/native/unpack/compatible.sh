# Archives of GNU tar come out as GNU tar itself unpacks them; what the formats allow is understood.
# Sourced by run.

# user::rw- user:1234:r-- group::r-- mask::rw- other::r--
acl='\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xd2\x04\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x06\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff'
acl_shown='\\002\\000\\000\\000\\001\\000\\006\\000\\377\\377\\377\\377\\002\\000\\004\\000\\322\\004\\000\\000\\004\\000\\004\\000\\377\\377\\377\\377\\020\\000\\006\\000\\377\\377\\377\\377\\040\\000\\004\\000\\377\\377\\377\\377'
make_tree() {
  mkdir -p "$1"/{bin,etc/deep/er,var/empty,"a name with spaces",sparse} && cd "$1" || return
  echo hello >etc/hosts; printf 'x%.0s' {1..100000} >bin/large; : >etc/empty
  ln bin/large etc/hard; ln -s ../etc/hosts bin/symbolic; ln -s /etc bin/absolute
  ln bin/symbolic var/hard-symbolic; mknod var/null c 1 3; mknod var/disk b 259 300; mkfifo -m 0600 var/fifo
  echo set >bin/setuid; chown 12:34 bin/setuid; chmod 6755 bin/setuid; chmod 1777 var/empty; chmod 2750 etc/deep
  chown 65535:65535 etc/hosts; printf 'bytes' >"$(printf 'etc/na\nme\377\001')"
  touch "etc/$(printf 'n%.0s' {1..150})" "etc/deep/$(printf 'd%.0s' {1..250})"
  ln -s "$(printf 't%.0s' {1..300})" etc/long-target
  local far=deep/$(printf 'p%.0s' {1..120})/$(printf 'q%.0s' {1..120}); mkdir -p "$far"; echo far >"$far/file"
  truncate -s 3M sparse/hole; printf 'middle' | dd of=sparse/hole bs=1 seek=1500000 conv=notrunc status=none
  truncate -s 5M sparse/many
  for i in {1..60}; do printf '%04d' "$i" | dd of=sparse/many bs=1 seek=$((i * 80000)) conv=notrunc status=none; done
  truncate -s 1M sparse/only-hole; printf start >sparse/start; truncate -s 900000 sparse/start
  setfattr -n user.note -v "$(printf 'v\001\002')" etc/hosts 2>/dev/null
  find . -depth -print0 | xargs -0 touch -h -d '2020-02-03 04:05:06.789012345 UTC'
  touch -d '1969-01-01 UTC' etc/empty; touch -d '2100-01-01 00:00:00.5 UTC' bin/large; cd - >/dev/null || return
}

# same_as_gnu NAME TAR-FILE: our unpacking of it and GNU tar's are the same, file by file
same_as_gnu() {
  local said ours theirs
  rm -rf "$work/theirs"; mkdir "$work/theirs"; fresh
  tar -C "$work/theirs" --xattrs --xattrs-include='*' -xpf "$2" 2>/dev/null
  said=$(unpack <"$2") || { no "$1" "$said"; return; }
  # An archive that does not carry its root leaves the time of that to chance.
  [ "$(tar -tf "$2" | head -1)" = ./ ] || touch -d @7 "$work/layer" "$work/theirs"
  ours=$(list "$work/layer" 100000) theirs=$(list "$work/theirs")
  if [ "$ours" = "$theirs" ]; then ok; else no "$1" "$(diff <(echo "$theirs") <(echo "$ours") | head -20)"; fi
}

make_tree "$work/tree"
mkdir "$work/corpus"
for format in gnu posix ustar v7; do
  file=$work/corpus/$format.tar options=()
  [ $format = ustar ] && options=(--exclude=./deep --exclude='ddd*' --exclude=long-target --exclude=name --exclude=large)
  [ $format = v7 ] && options=(--exclude=./deep --exclude='ddd*' --exclude='nnn*' --exclude=long-target --exclude=var)
  [ $format = posix ] && options=(--xattrs --xattrs-include='user.*')
  tar -C "$work/tree" -H $format "${options[@]}" -cf "$file" . 2>/dev/null
  same_as_gnu "unpacks what GNU tar writes in $format format as GNU tar does" "$file"
done
tar -C "$work/tree" -H gnu -S -cf "$work/corpus/gnu-sparse.tar" sparse
same_as_gnu "unpacks old GNU sparse files" "$work/corpus/gnu-sparse.tar"
for version in 0.0 0.1 1.0; do
  tar -C "$work/tree" -H posix -S --sparse-version=$version -cf "$work/corpus/sparse-$version.tar" sparse
  same_as_gnu "unpacks pax sparse files of format $version" "$work/corpus/sparse-$version.tar"
done
if [ "$(stat -c %b "$work/layer/sparse/many")" -lt 2000 ]; then ok; else no "holes stay holes" "$(stat "$work/layer/sparse/many")"; fi
tar -C "$work/tree" -H posix --sort=none -b 1 -cf "$work/corpus/small-records.tar" etc bin
same_as_gnu "unpacks an archive with records of one block" "$work/corpus/small-records.tar"
for format in gnu posix; do # without the large files, which would only make the damaging slow
  tar -C "$work/tree" -H $format --xattrs --xattrs-include='user.*' --exclude=sparse --exclude=large -cf "$work/corpus/small-$format.tar" . 2>/dev/null
done

served=$work/served; mkdir "$served"
said=$("$driver" serve "$served" 100000 1000000000 100000 <"$work/corpus/posix.tar" 2>&1); status=$?
if [ $status = 0 ] && [ "$(head -1 <<<"$said")" = "done 77" ] && [ "$(wc -l <<<"$said")" = 5 ] &&
  [ "$(list "$served" 100000)" = "$(fresh; unpack <"$work/corpus/posix.tar" >/dev/null; list "$work/layer" 100000)" ]
then ok; else no "the service unpacks what comes through its socket" "$said"; fi
rm -rf "$served"; mkdir "$served"
said=$(head -c 200000 "$work/corpus/posix.tar" | "$driver" serve "$served" 100000 1000000000 100000 2>&1); status=$?
if [ $status = 1 ] && grep -q 'error ENODATA .*truncated' <<<"$said" && [ "$(wc -l <<<"$said")" = 2 ]
then ok; else no "the service answers a truncated archive with an error" "$said"; fi
rm -rf "$served"; mkdir "$served"
said=$({ "$work/make-tar" entry name=../x; head -c 20000000 /dev/zero; } | "$driver" serve "$served" 0 1000000000 100000 2>&1)
if grep -q 'error EBADMSG .*\.\.' <<<"$said"
then ok; else no "the service's error arrives although the client has more to send" "$said"; fi
rm -rf "$served"

# encoded ENCODING NAME STATUS PATTERN: what comes on stdin through the decoder
encoded() {
  local encoding=$1; shift
  rm -rf "$served" "$served.kept"; mkdir "$served"
  said=$("$driver" "$encoding" "$served" 100000 1000000000 100000 2>&1); status=$?
  if [ $status = "$2" ] && grep -qE -- "$3" <<<"$said"; then ok; else no "$1" "status $status" "$said"; fi
}
gzipped() { encoded gzip "$@"; }
sha() { sha256sum "$@" | cut -d' ' -f1; }
gzip -c "$work/corpus/posix.tar" >"$work/posix.gz"
gzipped 'the service unpacks gzip and tells the digest of the archive' 0 "^archive sha256 $(sha "$work/corpus/posix.tar")$" <"$work/posix.gz"
if grep -q "^sent sha256 $(sha "$work/posix.gz")$" <<<"$said" && cmp -s "$served.kept" "$work/posix.gz" &&
  [ "$(stat -c %a "$served.kept")" = 600 ] &&
  [ "$(list "$served" 100000)" = "$(fresh; unpack <"$work/corpus/posix.tar" >/dev/null; list "$work/layer" 100000)" ]
then ok; else no "what came is kept as it came, and unpacked" "$said"; fi
gzipped 'gzip that was cut short is an error' 1 'error EILSEQ .*ends too early' < <(head -c -5 "$work/posix.gz")
gzipped 'gzip with a wrong checksum is an error' 1 'error EILSEQ' < <(head -c -8 "$work/posix.gz"; printf 'xxxx'; tail -c 4 "$work/posix.gz")
gzipped 'gzip with something behind it is an error' 1 'error EILSEQ' < <(cat "$work/posix.gz"; echo more)
gzipped 'what is no gzip is an error' 1 'error EILSEQ' <"$work/corpus/posix.tar"
gzipped 'gzip with zeros behind it is taken' 0 '^content' < <(cat "$work/posix.gz"; head -c 1000 /dev/zero)
gzipped 'a bomb of gzip is an error' 1 'error EFBIG .*looks like a bomb' < <({ "$work/make-tar" entry name=f size=50000000 $t; head -c 60000000 /dev/zero; } | gzip -9)
gzipped 'an error of the archive counts behind a decoder' 1 'error EBADMSG .*\.\.' < <("$work/make-tar" entry name=../x data=a end | gzip)
rm -rf "$served" "$served.kept" "$work/posix.gz"

zstandard() { encoded zstd "$@"; }
# A skippable frame of four bytes (RFC 8878, 3.1.2).
skippable() { printf 'P\x2aM\x18\x04\0\0\0bert'; }
if command -v zstd >/dev/null; then
  tar=$work/corpus/posix.tar
  zstd -q --check -c "$tar" >"$work/posix.zst"
  zstandard 'the service unpacks zstd and tells the digest of the archive' 0 "^archive sha256 $(sha "$tar")$" <"$work/posix.zst"
  if grep -q "^sent sha256 $(sha "$work/posix.zst")$" <<<"$said" && cmp -s "$served.kept" "$work/posix.zst"
  then ok; else no "zstd is kept as it came" "$said"; fi
  zstandard 'several frames and skippable ones are one archive' 0 "^archive sha256 $(sha "$tar")$" < <(
    skippable; head -c 700 "$tar" | zstd -q -c; skippable; tail -c +701 "$tar" | zstd -q -19 -c; skippable)
  zstandard 'a window of 128 MiB is taken' 0 "^archive sha256 $(sha "$tar")$" < <(zstd -q --long=27 -c <"$tar")
  zstandard 'a larger window is an error' 1 'error EILSEQ .*not valid zstd' < <(printf '\x28\xb5\x2f\xfd\0\xa8\1\0\0')
  zstandard 'zstd that was cut short is an error' 1 'error EILSEQ .*ends too early' < <(head -c -1 "$work/posix.zst")
  zstandard 'a skippable frame that was cut short is an error' 1 'error EILSEQ .*ends too early' < <(cat "$work/posix.zst"; skippable | head -c -1)
  zstandard 'zstd with a wrong checksum is an error' 1 'error EILSEQ' < <(head -c -4 "$work/posix.zst"; printf 'xxxx')
  zstandard 'zstd with something behind it is an error' 1 'error EILSEQ' < <(cat "$work/posix.zst"; echo more)
  zstandard 'a frame of zstd as it was before its standard is an error' 1 'error EILSEQ' < <(cat "$work/posix.zst"; printf '\x27\xb5\x2f\xfd\0\0\0\0')
  zstandard 'a bomb of zstd is an error' 1 'error EFBIG .*looks like a bomb' < <({ "$work/make-tar" entry name=f size=50000000 $t; head -c 60000000 /dev/zero; } | zstd -q -c)
  zstandard 'an error of the archive counts behind zstd' 1 'error EBADMSG .*\.\.' < <("$work/make-tar" entry name=../x data=a end | zstd -q -c)
  rm -rf "$served" "$served.kept" "$work/posix.zst"
else
  echo "skip: zstd makes what is decoded"
  [ -z "${MUST_WORK:-}" ] || no 'zstd is missing'
fi

accepts 'an empty archive is an empty layer' . '' -- end
accepts 'one block of zeros ends an archive' . '' -- zeros 1
accepts 'a long run of zeros behind the end is allowed' 'f' "f - 0644 0:0 $z 0 cbf29ce484222325 -" -- entry name=f $t end zeros 500
accepts 'absolute names are relative to the root' '^f' "f - 0644 0:0 $z 1 af63dc4c8601ec8c -" -- entry name=//./f $t data=a end
accepts 'a number in base 256 is understood' '^f' "f - 0644 300:0 -1.000000000 0 cbf29ce484222325 -" -- \
  entry name=f 'uid=\x80\0\0\0\0\0\x01\x2c' 'mtime=\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' magic=gnu end
accepts 'a prefix comes before the name' '^p/f' "p/f - 0644 0:0 $z 0 cbf29ce484222325 -" -- entry prefix=p name=f $t end
accepts 'an old archive marks a directory by a slash' '^d' "d d 0644 0:0 $z -" -- entry name=d/ 'type=\0' magic=v7 $t end
accepts 'an extended header overrides the plain one' '^new' "new - 0644 7:8 -2.500000000 3 e71fa2190541574b -" -- \
  pax path=new uid=7 gid=8 mtime=-1.5 size=3 entry name=old uid=1 gid=1 size=0 data=abc end
accepts 'a size in an extended header is not that of a long name' '^file' "file - 0644 0:0 $z 3 e71fa2190541574b -" -- \
  pax size=3 long file entry name=x size=0 data=abc $t end
accepts 'a global header counts until it is taken back' '^(a|b)' \
  "$(printf '%s\n%s' "a - 0644 9:0 $z 0 cbf29ce484222325 -" "b - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  global uid=9 entry name=a $t pax uid= entry name=b $t end
accepts 'attributes keep their bytes' '^f' "f - 0644 0:0 $z 0 cbf29ce484222325 - user.b=\\000\\012=\\377 user.l=hi" -- \
  pax 'SCHILY.xattr.user.b=\0\n=\xff' LIBARCHIVE.xattr.user%2El=aGk= entry name=f $t end
accepts 'file capabilities belong to the root of the container' '^f' \
  "f - 0755 0:0 $z 0 cbf29ce484222325 - security.capability=\\001\\000\\000\\003\\000\\004\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\240\\206\\001\\000" -- \
  pax 'SCHILY.xattr.security.capability=\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0' entry name=f mode=493 $t end
accepts 'attributes that are not for an image to set are passed over' '^d' "d d 0755 0:0 $z -" -- \
  pax SCHILY.xattr.trusted.overlay.redirect=/x SCHILY.xattr.trusted.overlay.opaque=x SCHILY.xattr.security.selinux=x \
  entry name=d type=5 mode=493 $t end
accepts "overlay's mark of an opaque directory counts on directories" '^[df]' \
  "$(printf '%s\n' "d d 0755 0:0 $z - trusted.overlay.opaque=y" "f - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  pax SCHILY.xattr.trusted.overlay.opaque=y entry name=d type=5 mode=493 $t \
  pax SCHILY.xattr.trusted.overlay.opaque=y entry name=f $t end
accepts 'ids of access lists are those of the container' '^f' \
  "f - 0664 0:0 $z 0 cbf29ce484222325 - system.posix_acl_access=$(printf %b "$acl_shown")" -- \
  pax "SCHILY.xattr.system.posix_acl_access=$acl" entry name=f mode=436 $t end
accepts 'set-id bits survive the change of owner' '^f' "f - 6755 5:6 $z 0 cbf29ce484222325 -" -- entry name=f mode=3565 uid=5 gid=6 $t end

accepts 'a later entry takes the place of an earlier one' '^(a|b|c|d)' \
  "$(printf '%s\n' "a l 0777 0:0 $z -> t -" "b d 0755 0:0 $z -" "c - 0644 0:0 $z 0 cbf29ce484222325 -" "d - 0644 0:0 $z 1 af63df4c8601f1a5 -")" -- \
  entry name=a entry name=a type=2 link=t $t entry name=b type=2 link=/etc entry name=b type=5 mode=493 $t \
  entry name=c type=5 mode=493 entry name=c/d/e entry name=c $t entry name=d data=1 entry name=d data=b $t end
accepts 'a directory merges with an earlier one' '^d' \
  "$(printf '%s\n' "d d 0700 1:0 $z -" "d/f - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  entry name=d type=5 mode=493 entry name=d/f $t entry name=d type=5 mode=448 uid=1 $t end
accepts 'a directory keeps its time although entries come to it later' '^d' \
  "$(printf '%s\n' "d d 0755 0:0 5.000000000 -" "d/f - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  entry name=d type=5 mode=493 mtime=5 entry name=e type=5 entry name=d/f $t end
accepts 'a hard link finds its target through the links of the layer' '^(x|usr/l)' \
  "$(printf '%s\n' "usr/l - 0644 0:0 $z 1 af63dc4c8601ec8c usr/l" "x - 0644 0:0 $z 1 af63dc4c8601ec8c usr/l")" -- \
  entry name=usr type=5 mode=493 $t entry name=lib type=2 link=/usr entry name=usr/l data=a $t entry name=x type=1 link=/lib/l end
accepts 'a hard link to itself changes nothing' '^f' "f - 0644 0:0 $z 1 af63dc4c8601ec8c -" -- \
  entry name=f data=a $t entry name=f type=1 link=f end
accepts 'a parent that is a symbolic link leads inside the layer' '^(usr|bin|f)' \
  "$(printf '%s\n' "bin l 0777 0:0 $z -> /usr/../../../usr -" "usr d 0755 0:0 $z -" "usr/f - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  entry name=usr type=5 mode=493 $t entry name=bin type=2 link=/usr/../../../usr $t entry name=bin/f $t end

accepts 'whiteouts become overlay whiteouts' '^(gone|dir)' \
  "$(printf '%s\n' "dir d 0755 0:0 $z - trusted.overlay.opaque=y" "dir/f - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  entry name=dir type=5 mode=493 $t entry name=dir/.wh..wh..opq entry name=dir/f $t end
fresh; "$work/make-tar" entry name=.wh.gone entry name=d/.wh.x end | unpack >/dev/null
if [ "$(stat -c %F:%t:%T "$work/layer/gone" "$work/layer/d/x" 2>&1 | sort -u)" = 'character special file:0:0' ]
then ok; else no 'a whiteout is a character device 0:0 in place'; fi
accepts 'a whiteout never hides what the same layer brings' '^(a|b|c) ' \
  "$(printf '%s\n' "a - 0644 0:0 $z 0 cbf29ce484222325 -" "b - 0644 0:0 $z 0 cbf29ce484222325 -" "c d 0755 0:0 $z - trusted.overlay.opaque=y")" -- \
  entry name=a $t entry name=.wh.a entry name=.wh.b entry name=b $t entry name=.wh.c entry name=c type=5 mode=493 $t end
accepts 'a directory that a whiteout follows is opaque' '^c' "c d 0755 0:0 $z - trusted.overlay.opaque=y" -- \
  entry name=c type=5 mode=493 $t entry name=.wh.c end
accepts 'a whiteout in overlay form passes through' '^w' "w c 0000 0:0 $z 0,0 -" -- entry name=w type=3 mode=0 $t end
accepts 'the files of aufs are passed over' . '' -- entry name=.wh..wh.aufs entry name=.wh..wh.plnk/1.2 entry name=.wh..wh.orph type=5 end

implies 'parents without an entry are listed' 'a a/b a/b/c ' -- entry name=a/b/c/f end
implies 'a parent whose entry comes later is not' 'a/b ' -- entry name=a/b/f entry name=a type=5 end
implies 'a parent that is gone again is not' '' -- entry name=a/b/f entry name=a end
implies 'a parent behind a link is listed where it is' 'usr usr/n ' -- entry name=usr/x entry name=b type=2 link=usr entry name=b/n/f end
fresh; "$work/make-tar" entry name=a/b/f end | unpack >/dev/null
if [ "$(stat -c '%F %u:%g %a' "$work/layer/a" "$work/layer/a/b" | sort -u)" = 'directory 100000:100000 755' ]
then ok; else no 'an implied directory is of root and 0755'; fi

# A tree that is packed and unpacked again is the same; so are the changes of an upper directory.
packs() {
  local name=$1 before said; shift
  before=$(plain_list)
  said=$("$driver" pack "$work/layer" 100000 "$@" 2>&1 >"$work/packed.tar") || { no "$name" "$said"; return; }
  "$driver" pack "$work/layer" 100000 "$@" >"$work/again.tar"
  fresh; said=$(unpack <"$work/packed.tar") || { no "$name" "$said"; return; }
  if [ "$before" = "$(plain_list)" ] && cmp -s "$work/packed.tar" "$work/again.tar"
  then ok; else no "$name" "$(diff <(echo "$before") <(plain_list) | head -20)"; fi
}
# Without the root, and whiteouts without owner and time, which say nothing.
plain_list() { list "$work/layer" 100000 | grep -v '^\. ' | sed 's/ c 0000 .* 0,0 -$/ whiteout/'; }
fresh; unpack <"$work/corpus/posix.tar" >/dev/null; touch -d @7 "$work/layer"
"$driver" pack "$work/layer" 100000 >"$work/packed.tar"; mkdir "$work/gnu"
tar -C "$work/gnu" --xattrs --xattrs-include='*' -xpf "$work/packed.tar" 2>/dev/null; touch -d @7 "$work/gnu"
if [ "$(list "$work/layer" 100000)" = "$(list "$work/gnu")" ]
then ok; else no 'GNU tar unpacks what is packed' "$(diff <(list "$work/layer" 100000) <(list "$work/gnu") | head)"; fi
fresh; "$work/make-tar" pax "SCHILY.xattr.system.posix_acl_access=$acl" 'SCHILY.xattr.user.b=\0\n=\xff' entry name=d/f mode=436 uid=7 $t \
  pax 'SCHILY.xattr.security.capability=\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0' entry name=c mode=493 $t \
  entry name=h type=1 link=d/f entry name=d/.wh.gone entry name=o type=5 mode=488 $t entry name=o/.wh..wh..opq end | unpack >/dev/null
touch -d @0 "$work/layer/d" "$work/layer"
packs 'whiteouts, opaque directories, access lists, capabilities and links come back from a packed layer' changes
fresh; : >"$work/layer/f"; said=$("$driver" pack "$work/layer" 100000 2>&1 >/dev/null)
if [[ $said == *'error EOVERFLOW [f] its owner is none of the container'* ]]; then ok; else no 'an owner of the host is refused' "$said"; fi

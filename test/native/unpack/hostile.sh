# Whatever an archive says, nothing outside its layer is read, made or changed. Sourced by run.

accepts 'a symbolic link to the outside is only text' '^(out|f)' "out l 0777 0:0 $z -> $work/outside -" -- entry name=out type=2 "link=$work/outside" $t end
refuses 'an entry behind a link to the outside' 'leads to no directory of the layer' -- \
  entry name=out type=2 "link=$work/outside" entry name=out/file data=evil end
refuses 'an entry behind a relative link to the outside' 'leads to no directory of the layer' -- \
  entry name=out type=2 link=../outside entry name=out/file data=evil end
refuses 'a path with ..' 'EBADMSG \[\.\./outside/file\] a path with \.\.' -- entry name=../outside/file data=evil end
refuses 'a path with .. in its middle' 'a path with \.\.' -- entry name=a/../../outside/file data=evil end
refuses 'a path that ends with ..' 'a path with \.\.' -- entry name=a/.. type=5 end
refuses '.. by an extended header' 'a path with \.\.' -- pax path=../outside/new entry name=x end
refuses '.. by a long name' 'a path with \.\.' -- long ../outside/new entry name=x end
refuses 'a hard link to the outside by ..' 'a path with \.\.' -- entry name=l type=1 link=../outside/file end
refuses 'a hard link to an absolute path' 'ENOENT' -- entry name=l type=1 "link=$work/outside/file" end
refuses 'a hard link through a symbolic link to the outside' 'ENOENT' -- \
  entry name=o type=2 "link=$work/outside" entry name=l type=1 link=o/file end
refuses 'a hard link whose target is missing' 'ENOENT \[l\] cannot link it to missing' -- entry name=l type=1 link=missing end
refuses 'a hard link to a directory' 'EPERM' -- entry name=d type=5 entry name=l type=1 link=d end
refuses 'a hard link without a target' 'without a target' -- entry name=l type=1 end
accepts 'writing through a hard link to a symbolic link replaces the link' '^(s|l) ' \
  "$(printf '%s\n' "l - 0644 0:0 $z 1 af63dc4c8601ec8c -" "s l 0777 0:0 $z -> $work/outside/file -")" -- \
  entry name=s type=2 "link=$work/outside/file" $t entry name=l type=1 link=s entry name=l data=a $t end
accepts 'a file replaces a symbolic link and is not written through it' '^s ' "s - 0644 0:0 $z 1 af63dc4c8601ec8c -" -- \
  entry name=s type=2 "link=$work/outside/file" entry name=s data=a $t end
accepts 'a device replaces a symbolic link' '^s ' "s c 0644 0:0 $z 1,3 -" -- \
  entry name=s type=2 "link=$work/outside/file" entry name=s type=3 major=1 minor=3 $t end
accepts 'a directory replaces a symbolic link to one' '^s' "$(printf '%s\n' "s d 0755 0:0 $z -" "s/f - 0644 0:0 $z 0 cbf29ce484222325 -")" -- \
  entry name=s type=2 "link=$work/outside" entry name=s type=5 mode=493 $t entry name=s/f $t end
refuses 'an entry behind a chain of links that turns in a circle' 'ELOOP|leads to no directory' -- \
  entry name=a type=2 link=b entry name=b type=2 link=a entry name=a/f end
refuses 'an entry behind a magic link' 'leads to no directory' -- entry name=p type=2 link=/proc/self/root entry name=p/f end
refuses 'a whiteout of ..' 'whiteout of nothing' -- entry name=d/.wh... end
refuses 'a whiteout of .' 'whiteout of nothing' -- entry name=.wh.. end
refuses 'a whiteout without a name' 'whiteout of nothing' -- entry name=.wh. end
refuses 'a whiteout behind a link to the outside' 'leads to no directory' -- \
  entry name=o type=2 "link=$work/outside" entry name=o/.wh.file end
refuses 'an opaque mark behind a link to the outside' 'leads to no directory' -- \
  entry name=o type=2 "link=$work/outside" entry name=o/.wh..wh..opq end
refuses 'an entry below a file' 'ENOTDIR' -- entry name=f entry name=f/g end
refuses 'a root that is a link' 'no directory' -- entry name=./ type=2 "link=$work/outside" end
refuses 'a root that is a file' 'no directory' -- entry name=/ data=x end
refuses 'an empty name' 'no directory' -- entry name= end

refuses 'an id that no container has' 'EOVERFLOW \[f\] its owner 65536:0' -- entry name=f uid=65536 end
refuses 'a group id that no container has' 'EOVERFLOW \[f\]' -- entry name=f gid=65536 end
refuses 'an id that turns around' 'EOVERFLOW|no number' -- pax uid=4294967296 entry name=f end
refuses 'an id beyond 64 bits' 'user id in an extended header' -- pax uid=18446744073709551616 entry name=f end
refuses 'a negative id' 'user id in a header' -- entry name=f 'uid=\xff\xff\xff\xff\xff\xff\xff\xff' magic=gnu end
refuses 'an id that is a word' 'user id in a header' -- entry name=f uid=root end
refuses 'a device number that is too large' 'device number' -- entry name=f type=3 major=5000 end
refuses 'file capabilities of a wrong size' 'EINVAL .*security.capability' -- pax 'SCHILY.xattr.security.capability=\x01\0\0\x02' entry name=f end

refuses 'a wrong checksum' 'checksum' -- entry name=f sum=wrong end
refuses 'an unknown type' 'unknown type 0x4d' -- entry name=f type=M end
refuses 'a negative size' 'size' -- entry name=f 'size=\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe' magic=gnu end
refuses 'a size that overflows' 'size' -- entry name=f 'size=\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff' magic=gnu end
refuses 'a size in an extended header that overflows' 'size' -- pax size=9223372036854775807 entry name=f end
refuses 'a negative size of a sparse file' 'sparse|size' -- pax GNU.sparse.major=1 GNU.sparse.minor=0 GNU.sparse.realsize=-1 entry name=f end
refuses 'a sparse map that runs backwards' 'sparse map' -- \
  pax GNU.sparse.size=100 GNU.sparse.map=50,2,0,2 entry name=f data=abcd end
refuses 'a sparse map beyond the end of its file' 'sparse map' -- pax GNU.sparse.size=10 GNU.sparse.map=9,4 entry name=f data=abcd end
refuses 'a sparse map that overflows' 'sparse map' -- pax GNU.sparse.size=10 GNU.sparse.map=18446744073709551615,4 entry name=f data=abcd end
refuses 'a sparse map with more than is stored' 'does not fit' -- pax GNU.sparse.size=100 GNU.sparse.map=0,50 entry name=f data=abcd end
refuses 'a sparse map that never ends' 'sparse map' -- \
  pax GNU.sparse.major=1 GNU.sparse.minor=0 GNU.sparse.realsize=9 entry name=f data=99999999999 end
refuses 'a huge hole' 'EFBIG .*more than the limit' -- pax GNU.sparse.size=9000000000000000000 GNU.sparse.map=0,4 entry name=f data=abcd end

refuses 'an extended header without a length' 'extended header' -- pax-raw 'path=x\n' entry name=f end
refuses 'an extended header with a wrong length' 'extended header' -- pax-raw '99 path=x\n' entry name=f end
refuses 'an extended header with a length of nothing' 'extended header' -- pax-raw '0 path=x\n' entry name=f end
refuses 'an extended header without a key' 'extended header' -- pax-raw '5 =x\n' entry name=f end
refuses 'an extended header with a path that holds a NUL' 'NUL' -- pax 'path=a\0b' entry name=f end
refuses 'an extended header longer than 1 MiB' 'longer than 1 MiB' -- entry name=x type=x size=1048577 end
refuses 'a long name of a terabyte' 'too long' -- entry name=x type=L size=1000000000000 end
refuses 'a path longer than the kernel takes' 'too long|deeper' -- pax "path=$(printf 'abcdefghi/%.0s' {1..410})x" entry name=f end
refuses 'a name longer than the kernel takes' 'too long' -- pax "path=$(printf 'n%.0s' {1..256})" entry name=f end
refuses 'a path of a thousand directories' 'deeper than 256' -- pax "path=$(printf 'a/%.0s' {1..1000})x" entry name=f end
refuses 'attributes without end' 'more than 256 xattrs' -- pax $(printf 'SCHILY.xattr.user.a=b %.0s' {1..257}) entry name=f end
refuses 'an attribute that is too large' '64 KiB' -- pax "SCHILY.xattr.user.a=$(printf 'x%.0s' {1..65537})" entry name=f end
refuses 'an attribute without a name' 'name of an xattr' -- pax SCHILY.xattr.=x entry name=f end

refuses 'an access list that is none' 'EINVAL .*posix_acl_access' -- pax SCHILY.xattr.system.posix_acl_access=x entry name=f end
refuses 'an access list of an id that a container has not' 'EINVAL .*posix_acl_access' -- \
  pax 'SCHILY.xattr.system.posix_acl_access=\x02\0\0\0\x02\0\x04\0\0\0\x01\0' entry name=f end
refuses 'no archive at all' 'truncated' -- raw ''
refuses 'an archive without its end' 'truncated' -- entry name=f data=abc
refuses 'an archive cut in its content' 'truncated' -- entry name=f size=5000 data=abc
export END_MAY_LACK=1
accepts 'an archive without its end where its digest is known' '^(f|g)' "$(printf '%s\n' "f - 0644 0:0 $z 3 e71fa2190541574b -" "g l 0777 0:0 $z -> f -")" -- \
  entry name=f data=abc $t entry name=g type=2 link=f $t
accepts 'nothing at all where its digest is known' . '' -- raw ''
refuses 'an archive cut in its content, whose digest is known' 'truncated' -- entry name=f size=5000 data=abc
refuses 'an archive cut in a header, whose digest is known' 'truncated' -- entry name=f raw abc
refuses 'an archive cut behind an extended header, whose digest is known' 'truncated' -- pax path=a
unset END_MAY_LACK
refuses 'an archive cut in a header' 'truncated' -- entry name=f raw abc
refuses 'an archive that ends behind an extended header' 'ends behind an extended header' -- pax path=x end
refuses 'something behind the end' 'behind its end' -- entry name=f end raw x
refuses 'an entry behind the end' 'behind its end' -- entry name=f end entry name=g end
refuses 'text instead of an archive' 'checksum|truncated' -- raw "$(printf 'text %.0s' {1..300})"

entries=3 refuses 'too many entries' 'EFBIG .*limit of 3 entries' -- entry name=a entry name=b entry name=c entry name=d end
entries=3 refuses 'too many implied directories' 'EFBIG .*limit of 3 entries' -- entry name=a/b/c/d entry name=e end
bytes=10 refuses 'too much content' 'EFBIG .*limit of 10 bytes' -- entry name=a data=123456 entry name=b data=123456 end
bytes=10 entries=1 refuses 'zeros without end' 'EFBIG .*longer than the limit' -- end zeros 140000

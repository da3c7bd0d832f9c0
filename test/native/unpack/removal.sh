# Trees go whole, and only they. Sourced by run.

# gone NAME: what $work/remove is now is removed without a word
gone() {
  local said; said=$("$driver" remove "$work/remove" 2>&1)
  if [ $? = 0 ] && [ ! -e "$work/remove" ] && [ ! -L "$work/remove" ]; then ok; else no "$1" "$said"; fi
}
gone 'what is gone already is no error'
echo x >"$work/remove"; gone 'a file is removed'
ln -s "$work/outside" "$work/remove"; gone 'a link is removed, not what it leads to'
make_tree "$work/remove"; ln -s "$work/outside" "$work/remove/out"; chmod 0 "$work/remove/etc"; chown -R 100005:7 "$work/remove/bin"
gone 'a tree of other owners with links to the outside is removed'
"$driver" deep "$work/remove" 5000 || no 'a deep tree is made'
gone 'a tree deeper than any path is removed'
mkdir -p "$work/remove/wide"; (cd "$work/remove/wide" && for i in {1..3000}; do echo "$i"; done | xargs touch)
gone 'a wide directory is removed'
[ -f "$work/outside/file" ] || no 'removal leaves what links lead to'

mkdir -p "$work/remove/a/b" "$work/remove/c"; echo x >"$work/remove/a/b/fixed"; echo y >"$work/remove/c/other"
if chattr +i "$work/remove/a/b/fixed" 2>/dev/null; then
  said=$("$driver" remove "$work/remove")
  if [ "$said" = 'error EPERM [remove/a/b/fixed]' ] && [ ! -e "$work/remove/c" ]; then ok
  else no 'an immutable file is named and the rest removed' "$said"; fi
  chattr -i "$work/remove/a/b/fixed"
else echo 'skip: no immutable files on this file system'; fi
gone 'what was immutable is removed later'

mkdir -p "$work/remove/mounted" "$work/remove/other"
if mount -t tmpfs none "$work/remove/mounted" 2>/dev/null; then
  echo keep >"$work/remove/mounted/keep"
  said=$("$driver" remove "$work/remove")
  if [ "$said" = 'error EBUSY [remove/mounted]' ] && [ -f "$work/remove/mounted/keep" ]; then ok
  else no 'another mount is left alone and named' "$said"; fi
  umount "$work/remove/mounted"
else echo 'skip: cannot mount here'; fi
gone 'what was a mount point is removed later'

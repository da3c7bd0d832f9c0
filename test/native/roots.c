/* Paths inside a root: no link, however it is made, leads out of it.
 *
 *     roots DIRECTORY    an empty one
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/native/in-root.h"
#include "check.h"

static int root;
static char outside[4096];

/* 1: the path leads to the file of this name inside the root. */
static int leads_to(int fd, const char *inside) {
  struct stat got, wanted;
  if (fd < 0 || fstat(fd, &got) < 0 || fstatat(root, inside, &wanted, AT_SYMLINK_NOFOLLOW) < 0) return 0;
  close(fd);
  return got.st_dev == wanted.st_dev && got.st_ino == wanted.st_ino;
}

static int make_dir(const char *path) { return in_root_open_or_make(root, path, IN_ROOT_DIRECTORY, 0755); }

static void test_links(void) {
  symlinkat("/", root, "absolute");
  symlinkat("../../../../../../..", root, "above");
  symlinkat(outside, root, "elsewhere");
  symlinkat("/etc/made/here", root, "dangling");
  symlinkat("loop", root, "loop");
  symlinkat("/proc/self/root", root, "magic");
  CHECK(leads_to(in_root_open(root, "/absolute"), "."), "/ is the root");
  CHECK(leads_to(in_root_open(root, "above"), "."), ".. ends at the root");
  CHECK(leads_to(in_root_open(root, "/../../etc"), "etc"), ".. in a path ends at the root");
  CHECK(in_root_open(root, "/elsewhere") == -ENOENT, "a path of the host is one of the root");
  CHECK(in_root_open(root, "loop") == -ELOOP, "a loop is an error");
  CHECK(in_root_open(root, "magic") < 0, "a magic link is not followed");
}

static void test_making(void) {
  struct stat status;
  CHECK(leads_to(make_dir("/a/b/c"), "a/b/c"), "directories are made with their parents");
  CHECK(leads_to(make_dir("/a/b/c/"), "a/b/c"), "and found again");
  CHECK(leads_to(make_dir("/dangling"), "etc/made/here"), "a dangling link is made where it points");
  CHECK(leads_to(make_dir("/elsewhere/x"), outside + 1) == 0, "what is made is new");
  CHECK(stat(outside, &status) == 0 && status.st_nlink == 2, "nothing is made outside");
  CHECK(leads_to(in_root_open_or_make(root, "/above/file", IN_ROOT_FILE, 0640), "file"), "a file is made");
  CHECK(fstatat(root, "file", &status, 0) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0777) == 0640,
        "with its mode");
  CHECK(make_dir("loop/x") == -ELOOP, "nothing is made in a loop");
  CHECK(make_dir("file/x") == -ENOTDIR, "nor below a file");
  CHECK(leads_to(make_dir("/"), "."), "the root is there already");
}

static void test_beneath(void) {
  struct stat status;
  CHECK(leads_to(beneath_open_or_make_dirs(root, "/host//x/./y/", 0750), "host/x/y"), "missing directories are made");
  CHECK(fstatat(root, "host/x", &status, 0) == 0 && (status.st_mode & 07777) == 0750, "with their mode");
  CHECK(leads_to(beneath_open_or_make_dirs(root, "host/x", 0700), "host/x"), "and found again");
  CHECK(beneath_open_or_make_dirs(root, "elsewhere/made", 0755) == -ENOTDIR, "no link is followed");
  CHECK(beneath_open_or_make_dirs(root, "dangling", 0755) == -ENOTDIR, "nor made where it points");
  CHECK(stat(outside, &status) == 0 && status.st_nlink == 2, "nothing is made outside");
  CHECK(beneath_open_or_make_dirs(root, "host/../etc", 0755) == -EINVAL, "and no way leads up");
  CHECK(beneath_open_or_make_dirs(root, "file/x", 0755) == -ENOTDIR, "a file has nothing below it");
}

static void test_symlinks(void) {
  char target[64];
  CHECK(in_root_make_symlink(root, "/anywhere", "/links/one") == 0, "a link is made with its parents");
  ssize_t length = readlinkat(root, "links/one", target, sizeof target);
  CHECK(length == 9 && memcmp(target, "/anywhere", 9) == 0, "with its target");
  CHECK(in_root_make_symlink(root, "/other", "/links/one") == 0, "an existing link stays");
  CHECK(readlinkat(root, "links/one", target, sizeof target) == 9, "as it was");
  CHECK(in_root_make_symlink(root, "x", "/elsewhere/../escaped") == 0, "a link is made inside");
  CHECK(faccessat(root, "escaped", F_OK, AT_SYMLINK_NOFOLLOW) == 0 || faccessat(root, outside + 1, F_OK, 0) == 0,
        "of the root");
}

/* Deeper than the limit is refused, not followed by a crash. */
static void test_depth(void) {
  char path[4000];
  size_t length = 0;
  for (int i = 0; i < 1990; i++) length += (size_t)snprintf(path + length, sizeof path - length, "d/");
  CHECK(make_dir(path) == -ELOOP, "there is a limit to depth");
}

int main(int argc, char **argv) {
  char inside[4096];
  if (argc < 2) return 2;
  snprintf(inside, sizeof inside, "%s/inside", argv[1]);
  snprintf(outside, sizeof outside, "%s/outside", argv[1]);
  umask(0);
  if (mkdir(inside, 0755) < 0 || mkdir(outside, 0755) < 0) return 2;
  root = open(inside, O_PATH | O_DIRECTORY);
  mkdirat(root, "etc", 0755);
  test_links();
  test_making();
  test_beneath();
  test_symlinks();
  test_depth();
  return report_checks("roots");
}

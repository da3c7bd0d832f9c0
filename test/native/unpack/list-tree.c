/* Prints everything about a tree that two unpackings of one archive must agree on, a line per path, sorted:
 *
 *     list-tree DIR [ID_BASE]        owners are printed less ID_BASE
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint32_t id_base;

static void print_bytes(const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)bytes[i];
    if (c > ' ' && c < 127 && c != '\\') putchar(c);
    else printf("\\%03o", c);
  }
}

static uint64_t hash_of(const char *path) {
  uint64_t value = 14695981039346656037u;
  static unsigned char chunk[65536];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  for (ssize_t got; fd >= 0 && (got = read(fd, chunk, sizeof chunk)) > 0;)
    for (ssize_t i = 0; i < got; i++) value = (value ^ chunk[i]) * 1099511628211u;
  if (fd >= 0) close(fd);
  return value;
}

static int compare(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Ids in an access list are printed less ID_BASE too: entries of 8 bytes behind 4, a tag, rights and an id each. */
static void shift_acl(const char *name, char *bytes, ssize_t size) {
  if (strncmp(name, "system.posix_acl_", 17) != 0) return;
  for (ssize_t at = 4; at + 8 <= size; at += 8) {
    uint32_t id;
    if (bytes[at] != 2 && bytes[at] != 8) continue;
    memcpy(&id, bytes + at + 4, sizeof id);
    id -= id_base;
    memcpy(bytes + at + 4, &id, sizeof id);
  }
}

static void print_xattrs(const char *path) {
  static char names[65536], value[65536];
  char *sorted[256];
  size_t count = 0;
  ssize_t length = llistxattr(path, names, sizeof names);
  for (ssize_t at = 0; at < length && count < 256; at += (ssize_t)strlen(names + at) + 1) sorted[count++] = names + at;
  qsort(sorted, count, sizeof *sorted, compare);
  for (size_t i = 0; i < count; i++) {
    ssize_t size = lgetxattr(path, sorted[i], value, sizeof value);
    shift_acl(sorted[i], value, size);
    printf(" %s=", sorted[i]);
    print_bytes(value, size > 0 ? (size_t)size : 0);
  }
}

/* The first path under which an inode was seen names its group of hard links. */
static const char *group_of(const struct stat *status, const char *path) {
  static struct { ino_t inode; char *path; } seen[65536];
  static size_t count;
  if (S_ISDIR(status->st_mode) || status->st_nlink < 2) return "-";
  for (size_t i = 0; i < count; i++)
    if (seen[i].inode == status->st_ino) return seen[i].path;
  if (count < sizeof seen / sizeof *seen) {
    seen[count].inode = status->st_ino;
    seen[count++].path = strdup(path);
  }
  return path;
}

static void list(const char *path, size_t root_length) {
  struct stat status;
  if (lstat(path, &status) < 0) return;
  const char *shown = path[root_length] ? path + root_length + 1 : ".";
  print_bytes(shown, strlen(shown));
  printf(" %c %04o %u:%u %lld.%09ld", "?pc?d?b?-?l?s???"[status.st_mode >> 12 & 15], status.st_mode & 07777,
         status.st_uid - id_base, status.st_gid - id_base, (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  if (S_ISREG(status.st_mode)) printf(" %lld %016llx", (long long)status.st_size, (unsigned long long)hash_of(path));
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) printf(" %u,%u", major(status.st_rdev), minor(status.st_rdev));
  char target[4096];
  ssize_t length = S_ISLNK(status.st_mode) ? readlink(path, target, sizeof target) : -1;
  if (length >= 0) printf(" -> "), print_bytes(target, (size_t)length);
  printf(" %s", group_of(&status, shown));
  print_xattrs(path);
  putchar('\n');
  struct dirent **names;
  int count = S_ISDIR(status.st_mode) ? scandir(path, &names, NULL, NULL) : 0;
  char **sorted = calloc((size_t)(count > 0 ? count : 1), sizeof *sorted);
  for (int i = 0; i < count; i++) sorted[i] = names[i]->d_name;
  qsort(sorted, (size_t)(count > 0 ? count : 0), sizeof *sorted, compare);
  for (int i = 0; i < count; i++) {
    static const size_t room = 16384;
    if (strcmp(sorted[i], ".") == 0 || strcmp(sorted[i], "..") == 0) continue;
    char *below = malloc(room);
    snprintf(below, room, "%s/%s", path, sorted[i]);
    list(below, root_length);
    free(below);
  }
  free(sorted);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (argc > 2) id_base = (uint32_t)strtoul(argv[2], NULL, 10);
  list(argv[1], strlen(argv[1]));
  return 0;
}

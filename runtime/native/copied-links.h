/* Files with several names that a copy has met: where the first copy of each lies, and which file it is. */
#ifndef BERTH_COPIED_LINKS_H
#define BERTH_COPIED_LINKS_H

#include <stddef.h>
#include <sys/types.h>

struct file_identity {
  dev_t device;
  ino_t inode;
};

struct copied_link {
  struct file_identity source;
  struct file_identity copy;
  char *path; /* of the copy, below the destination; NULL: a free slot */
};

struct copied_links {
  struct copied_link *slots; /* open addressing, at most half full */
  size_t capacity;           /* a power of two */
  size_t count;
  size_t path_bytes; /* of all paths, with what it takes to keep one */
};

/* NULL when this file was not copied yet. */
const struct copied_link *copied_links_find(const struct copied_links *links, struct file_identity source);
/* 0 or -ENOMEM; a file that is there already is not added again by its caller. */
int copied_links_add(struct copied_links *links, struct file_identity source, struct file_identity copy,
                     const char *path);
void copied_links_free(struct copied_links *links);

#endif

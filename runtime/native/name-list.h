/* The names in a directory, in the order of their bytes. */
#ifndef BERTH_NAME_LIST_H
#define BERTH_NAME_LIST_H

#include <stddef.h>

struct name_list {
  char **names;
  size_t count;
  size_t capacity;
};

/* The descriptor stays the caller's. 0, or -errno with nothing to free. */
int name_list_read(struct name_list *list, int directory);
void name_list_free(struct name_list *list);

#endif

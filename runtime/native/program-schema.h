/* What the payload of each operation looks like, and who may carry it out. */
#ifndef BERTH_PROGRAM_SCHEMA_H
#define BERTH_PROGRAM_SCHEMA_H

#include "program.h"

#define IN_HOST 1
#define IN_INIT 2

struct operation_schema {
  const char *fields; /* see program-schema.c; NULL: no such operation */
  unsigned where;
  operation_function *run;
};

/* NULL for an unknown operation. */
const struct operation_schema *operation_schema_of(uint16_t op);

#endif

#include "program-schema.h"

#include <errno.h>
#include <stdio.h>

/* Letters of `fields`: w u32, q u64, l a slot, n a slot or BERTH_SLOT_NONE, s a string, b bytes,
 * (…) a list of the fields in the brackets. */
static const struct operation_schema schemas[] = {
    [BERTH_OP_MKDIR] = {"wws", IN_HOST, op_mkdir},
    [BERTH_OP_WRITE_FILE] = {"wwsb", IN_HOST, op_write_file},
    [BERTH_OP_OPEN] = {"lnws", IN_HOST, op_open},
    [BERTH_OP_OPEN_TREE] = {"lnwqws", IN_HOST, op_open_tree},
    [BERTH_OP_MOUNT_SETATTR] = {"lwqqqn", IN_HOST | IN_INIT, op_mount_setattr},
    [BERTH_OP_FSOPEN] = {"lsq(wssn)", IN_HOST | IN_INIT, op_fsopen},
    [BERTH_OP_USER_NAMESPACE] = {"lss", IN_HOST, op_user_namespace},
    [BERTH_OP_NETLINK] = {"wwwb", IN_HOST | IN_INIT, op_netlink},
    [BERTH_OP_CGROUP_ATTACH] = {"s", IN_HOST, op_cgroup_attach},
    [BERTH_OP_UNLINK] = {"ws", IN_HOST, op_unlink},
    [BERTH_OP_CLONE] = {"qn", IN_HOST, op_clone},
    [BERTH_OP_ID_MAP] = {"ss", IN_HOST, op_id_map},
    [BERTH_OP_CHILD_NAMESPACE] = {"ls", IN_HOST, op_child_namespace},
    [BERTH_OP_PASS_FDS] = {"", IN_HOST, op_pass_fds},
    [BERTH_OP_NOTIFY] = {"", IN_HOST | IN_INIT, op_notify},
    [BERTH_OP_INIT_BEGIN] = {"", IN_HOST, NULL},
    [BERTH_OP_JOIN] = {"wn", IN_HOST, op_join},
    [BERTH_OP_CHILD_OOM_SCORE] = {"w", IN_HOST, op_child_oom_score},
    [BERTH_OP_CHILD_RLIMIT] = {"wqq", IN_HOST, op_child_rlimit},
    [BERTH_OP_CGROUP_DEVICES] = {"sb", IN_HOST, op_cgroup_devices},
    [BERTH_OP_COPY_TREE] = {"llw", IN_HOST | IN_INIT, op_copy_tree},
    [BERTH_OP_FS_IDS] = {"ww", IN_HOST, op_fs_ids},
    [BERTH_OP_ENTER] = {"lq", IN_HOST, op_enter},
    [BERTH_OP_MAKE_NODE] = {"nwqwws", IN_HOST | IN_INIT, op_make_node},
    [BERTH_OP_TREE_CHANGES] = {"llqw", IN_HOST, op_tree_changes},
    [BERTH_OP_CHILD_LABEL] = {"lw", IN_HOST, op_child_label},
    [BERTH_OP_PUT_FILE] = {"lwwwsb", IN_HOST, op_put_file},
    [BERTH_OP_SECCOMP_AGENT] = {"s(s)", IN_HOST, op_seccomp_agent},
    [BERTH_OP_OPEN_OR_MAKE_DIRS] = {"lws", IN_HOST, op_open_or_make_dirs},
    [BERTH_OP_CONSOLE_SOCKET] = {"s", IN_HOST, op_console_socket},
    [BERTH_OP_LISTEN] = {"ls", IN_HOST, op_listen},
    [BERTH_OP_CONTAINER] = {"wq", IN_HOST, op_container},
    [BERTH_OP_HOOK] = {"ws(s)(s)ss", IN_HOST | IN_INIT, op_hook},
    [BERTH_OP_TAKE_FDS] = {"", IN_INIT, op_take_fds},
    [BERTH_OP_AWAIT] = {"", IN_HOST | IN_INIT, op_await},
    [BERTH_OP_ATTACH_ROOT] = {"ls", IN_INIT, op_attach_root},
    [BERTH_OP_MOUNT] = {"lwws", IN_INIT, op_mount},
    [BERTH_OP_MAKE_DIR] = {"ws", IN_INIT, op_make_dir},
    [BERTH_OP_MAKE_SYMLINK] = {"ss", IN_INIT, op_make_symlink},
    [BERTH_OP_READ_ONLY] = {"s", IN_INIT, op_read_only},
    [BERTH_OP_MASK] = {"lls", IN_INIT, op_mask},
    [BERTH_OP_PIVOT] = {"", IN_INIT, op_pivot},
    [BERTH_OP_ROOT_READ_ONLY] = {"", IN_INIT, op_root_read_only},
    [BERTH_OP_HOSTNAME] = {"ss", IN_INIT, op_hostname},
    [BERTH_OP_SYSCTL] = {"ss", IN_INIT, op_sysctl},
    [BERTH_OP_RLIMIT] = {"wqq", IN_INIT, op_rlimit},
    [BERTH_OP_UNSHARE] = {"q", IN_INIT, op_unshare},
    [BERTH_OP_SESSION] = {"", IN_INIT, op_session},
    [BERTH_OP_TTY] = {"ww", IN_INIT, op_tty},
    [BERTH_OP_KEYRING] = {"", IN_INIT, op_keyring},
    [BERTH_OP_UMASK] = {"w", IN_INIT, op_umask},
    [BERTH_OP_IDS] = {"ww(w)", IN_INIT, op_ids},
    [BERTH_OP_CAPABILITIES] = {"qqqqq", IN_INIT, op_capabilities},
    [BERTH_OP_NO_NEW_PRIVS] = {"", IN_INIT, op_no_new_privs},
    [BERTH_OP_SECCOMP] = {"wb", IN_INIT, op_seccomp},
    [BERTH_OP_CHDIR] = {"ws", IN_INIT, op_chdir},
    [BERTH_OP_REAP] = {"", IN_INIT, op_reap},
    [BERTH_OP_EXEC] = {"(s)(s)", IN_INIT, op_exec},
    [BERTH_OP_HOLD] = {"", IN_INIT, op_hold},
    [BERTH_OP_PRIVATE_MOUNTS] = {"", IN_INIT, op_private_mounts},
    [BERTH_OP_CGROUP_ENTER] = {"l", IN_INIT, op_cgroup_enter},
    [BERTH_OP_PROC] = {"l", IN_INIT, op_proc},
    [BERTH_OP_BIND_FROM_ROOT] = {"lws", IN_INIT, op_bind_from_root},
    [BERTH_OP_SCHEDULER] = {"wqwwqqq", IN_INIT, op_scheduler},
    [BERTH_OP_IO_PRIORITY] = {"ww", IN_INIT, op_io_priority},
    [BERTH_OP_PERSONALITY] = {"w", IN_INIT, op_personality},
    [BERTH_OP_AFFINITY] = {"b", IN_HOST | IN_INIT, op_affinity},
    [BERTH_OP_MEMORY_POLICY] = {"wb", IN_INIT, op_memory_policy},
    [BERTH_OP_TIME_OFFSETS] = {"s", IN_HOST, op_time_offsets},
    [BERTH_OP_HOLD_UNTIL] = {"l", IN_INIT, op_hold_until},
    [BERTH_OP_DRESS] = {"ll", IN_HOST, op_dress},
    [BERTH_OP_PACK] = {"lwwqws", IN_HOST, op_pack},
    [BERTH_OP_LABEL] = {"ls", IN_INIT, op_label},
    [BERTH_OP_FIND] = {"(s)(s)", IN_INIT, op_find},
    [BERTH_OP_COPY_OUT] = {"wqwss", IN_INIT, op_copy_out},
    [BERTH_OP_COPY_IN] = {"wqwss", IN_INIT, op_copy_in},
    [BERTH_OP_DIAL] = {"wws", IN_INIT, op_dial},
    [BERTH_OP_REPLACE_MOUNT] = {"lls", IN_INIT, op_replace_mount},
    [BERTH_OP_END] = {"", IN_INIT, op_end},
    [BERTH_OP_NETLINK_IN] = {"nwwnsb", IN_HOST, op_netlink_in},
    [BERTH_OP_UNDO] = {"b", IN_HOST, op_undo},
};

const struct operation_schema *operation_schema_of(uint16_t op) {
  if (op >= sizeof schemas / sizeof schemas[0] || schemas[op].fields == NULL) return NULL;
  return &schemas[op];
}

static void check_field(struct wire_reader *payload, char field) {
  uint32_t value;
  switch (field) {
    case 'w': wire_u32(payload); break;
    case 'q': wire_u64(payload); break;
    case 's': wire_string(payload); break;
    case 'b': wire_bytes(payload, &value); break;
    case 'l':
      if (wire_u32(payload) >= BERTH_SLOTS) payload->broken = true;
      break;
    case 'n':
      value = wire_u32(payload);
      if (value >= BERTH_SLOTS && value != BERTH_SLOT_NONE) payload->broken = true;
      break;
    default: payload->broken = true; break;
  }
}

/* Every item takes at least four bytes, so a huge count ends where the payload does. */
static const char *check_list(struct wire_reader *payload, const char *fields) {
  const char *end = fields;
  for (uint32_t left = wire_u32(payload); left > 0 && !payload->broken; left--) {
    for (const char *field = fields; *field != ')'; field++) check_field(payload, *field);
  }
  while (*end != ')') end++;
  return end;
}

static bool fields_fit(struct wire_reader payload, const char *fields) {
  for (const char *field = fields; *field != '\0'; field++) {
    if (*field == '(') field = check_list(&payload, field + 1);
    else check_field(&payload, *field);
  }
  return wire_is_done(&payload);
}

static int malformed(struct failure *failure, uint16_t op, const char *why) {
  failure->op = op;
  failure->error = EBADMSG;
  snprintf(failure->object, sizeof failure->object, "program");
  snprintf(failure->detail, sizeof failure->detail, "%s", why);
  return -EBADMSG;
}

bool program_next(struct wire_reader *program, struct operation *operation) {
  if (program->broken || program->at == program->end) return false;
  operation->op = wire_u16(program);
  operation->flags = wire_u16(program);
  uint32_t length = wire_u32(program);
  if (program->broken || (size_t)(program->end - program->at) < length) {
    program->broken = true;
    return false;
  }
  operation->payload = wire_reader_of(program->at, length);
  program->at += length;
  return true;
}

/* How often each operation that shapes a program occurs in it. */
struct shape {
  unsigned clones, joins, containers, begins;
  unsigned notifies, awaits, passes, takes; /* the supervisor's NOTIFY, the init's AWAIT */
  unsigned agents, pins;                    /* pins: the supervisor's AFFINITY */
  unsigned calls, hears;                    /* the init's NOTIFY, the supervisor's AWAIT */
  uint16_t last;
};

static void add_to_shape(struct shape *shape, uint16_t op) {
  shape->clones += op == BERTH_OP_CLONE;
  shape->joins += op == BERTH_OP_JOIN;
  shape->containers += op == BERTH_OP_CONTAINER;
  shape->begins += op == BERTH_OP_INIT_BEGIN;
  bool begun = shape->begins > 0;
  shape->notifies += op == BERTH_OP_NOTIFY && !begun;
  shape->awaits += op == BERTH_OP_AWAIT && begun;
  shape->calls += op == BERTH_OP_NOTIFY && begun;
  shape->hears += op == BERTH_OP_AWAIT && !begun;
  shape->agents += op == BERTH_OP_SECCOMP_AGENT;
  shape->pins += op == BERTH_OP_AFFINITY && !begun;
  shape->passes += op == BERTH_OP_PASS_FDS;
  shape->takes += op == BERTH_OP_TAKE_FDS;
  shape->last = op;
}

/* What a process does that joins a container and becomes no program. */
static bool is_own_work(uint16_t op) {
  return op == BERTH_OP_COPY_OUT || op == BERTH_OP_COPY_IN || op == BERTH_OP_DIAL || op == BERTH_OP_END;
}

/* An AWAIT that nobody answers would leave supervisor and init waiting for each other. */
static const char *shape_error(enum program_kind kind, const struct shape *shape) {
  if (kind == PROGRAM_RUN) {
    unsigned others = shape->clones + shape->joins + shape->begins + shape->hears + shape->agents + shape->pins;
    return others > 0 ? "a RUN program starts no process" : NULL;
  }
  if (kind == PROGRAM_EXEC && shape->agents > 0) return "SECCOMP_AGENT belongs into a START";
  if (kind == PROGRAM_EXEC && shape->pins > 0) return "AFFINITY of the supervisor belongs into a START";
  if (shape->begins != 1) return "INIT_BEGIN is missing";
  if (kind == PROGRAM_START && (shape->clones + shape->joins != 1 || shape->joins != shape->containers)) {
    return "a START program has one CLONE, or CONTAINER and JOIN";
  }
  if (kind == PROGRAM_EXEC && (shape->clones != 0 || shape->joins != 1)) return "an EXEC program has one JOIN";
  if (shape->notifies != shape->awaits || shape->calls != shape->hears) return "as many NOTIFY as AWAIT are needed";
  if (shape->passes != shape->takes) return "as many PASS_FDS as TAKE_FDS are needed";
  if (kind == PROGRAM_EXEC && is_own_work(shape->last)) return NULL;
  return shape->last == BERTH_OP_EXEC ? NULL : "the last operation is not EXEC";
}

static const char *operation_error(const struct operation *operation, bool begun) {
  const struct operation_schema *schema = operation_schema_of(operation->op);
  if (schema == NULL) return "unknown operation";
  if ((schema->where & (begun ? IN_INIT : IN_HOST)) == 0) return "operation on the wrong side of INIT_BEGIN";
  if ((operation->flags & ~(BERTH_OPF_OPTIONAL | BERTH_OPF_MAY_BE_ABSENT)) != 0) return "unknown operation flags";
  return fields_fit(operation->payload, schema->fields) ? NULL : "fields do not fit the operation";
}

/* One level deep: what undoes has nothing that undoes it. */
static const char *undo_error(enum program_kind kind, struct wire_reader payload) {
  struct failure failure;
  uint32_t length;
  const uint8_t *bytes = wire_bytes(&payload, &length);
  if (kind != PROGRAM_START) return "UNDO belongs into a START";
  return program_check(PROGRAM_RUN, bytes, length, &failure) < 0 ? "what UNDO holds is no program of RUN" : NULL;
}

int program_check(enum program_kind kind, const uint8_t *bytes, size_t length, struct failure *failure) {
  struct wire_reader program = wire_reader_of(bytes, length);
  struct operation operation = {0};
  struct shape shape = {0};
  while (program_next(&program, &operation)) {
    const char *wrong = operation_error(&operation, shape.begins > 0);
    bool is_last = operation.op == BERTH_OP_EXEC || is_own_work(operation.op);
    if (wrong == NULL && operation.op == BERTH_OP_UNDO) wrong = undo_error(kind, operation.payload);
    if (wrong == NULL && is_last && program.at != program.end) wrong = "EXEC is not the last operation";
    if (wrong != NULL) return malformed(failure, operation.op, wrong);
    add_to_shape(&shape, operation.op);
  }
  if (program.broken) return malformed(failure, operation.op, "operation longer than the program");
  const char *wrong = shape_error(kind, &shape);
  return wrong == NULL ? 0 : malformed(failure, 0, wrong);
}

bool program_makes_container(const uint8_t *bytes, size_t length) {
  struct wire_reader program = wire_reader_of(bytes, length);
  struct operation operation;
  while (program_next(&program, &operation)) {
    if (operation.op == BERTH_OP_CLONE) return true;
  }
  return false;
}

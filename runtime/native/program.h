/* Carrying out a program: the list of operations that protocol.h describes. */
#ifndef BERTH_PROGRAM_H
#define BERTH_PROGRAM_H

#include <sys/types.h>

#include "wire.h"

/* One operation as it lies in the message. */
struct operation {
  uint16_t op;
  uint16_t flags;
  struct wire_reader payload;
};

/* Where a program may come from: it decides which operations it must and may hold. */
enum program_kind { PROGRAM_RUN, PROGRAM_START, PROGRAM_EXEC };

/*
 * Checks a whole program before any of it is carried out: every payload has exactly the fields of its operation,
 * slots are in range, host operations come before INIT_BEGIN and init operations after it, START holds one CLONE
 * and EXEC one JOIN, and both end with EXEC, an EXEC program maybe with COPY_OUT or COPY_IN. Returns 0, or -EBADMSG with `failure` filled in.
 */
int program_check(enum program_kind kind, const uint8_t *bytes, size_t length, struct failure *failure);

/* The next operation of a checked program; false at its end. */
bool program_next(struct wire_reader *program, struct operation *operation);

/* True when a checked program makes a container, false when it joins one. */
bool program_makes_container(const uint8_t *bytes, size_t length);

#define PROGRAM_ENTERED_MAX 8

/* State that the operations of one program share. One process owns it; CLONE gives the child its own copy. */
struct program {
  uint32_t id;              /* of the request */
  struct wire_reader rest;  /* operations still to be done */
  void *mapping;            /* the message that holds them, for who wants to give it back */
  size_t mapping_bytes;
  struct failure failure;   /* filled in by the operation that fails */
  int slots[BERTH_SLOTS];   /* descriptors, -1 where empty */
  int report_fd;            /* where NETLINK_REPLY goes; -1: nowhere */
  int *netlink_sockets;     /* NETLINK_FAMILIES of them, kept from program to program; NULL: one for each operation */

  /* The supervisor's side. */
  int stdio[3];             /* the child's ends; -1: what the supervisor has there, /dev/null */
  int container_pidfd;      /* JOIN: first process of the container */
  pid_t child;              /* as the host sees it; 0 before CLONE */
  int child_pidfd;
  int channel;              /* to the child, or in the child to the supervisor */
  uint64_t clone_flags;
  int entered[PROGRAM_ENTERED_MAX]; /* slots of namespaces that the init is made from inside of */
  uint64_t entered_flags[PROGRAM_ENTERED_MAX];
  size_t entered_count;
  const char *time_offsets; /* of the time namespace to come; NULL: the host's clocks */
  uint32_t root_uid;        /* the host's id of the container's root, once ID_MAP ran */
  uint32_t root_gid;

  const uint8_t *undo;      /* what a failed START carries out; NULL: nothing */
  size_t undo_bytes;

  size_t preserved;         /* descriptors from 3 on that the payload keeps */
  int console_socket;       /* who gets the terminal; -1: the supervisor */
  int seccomp_agent;        /* who gets the listener of the filter; -1: nobody */
  struct wire_reader agent_state; /* the list of strings that it gets with it */

  /* The init's side. */
  pid_t host_pid;           /* this process, as the host sees it */
  bool answers_asker;       /* the channel leads to who has sent RELEASE */
  bool is_init;
  bool is_first;            /* first process of a container, not of an EXEC */
  bool is_left;             /* START_LEAVE was asked for */
  bool holds;               /* START_HOLD was asked for */
  bool has_terminal;
  bool descriptors_sealed;  /* close_range has run */
  int root_fd;              /* the container's root */
  int attach_fd;            /* the host directory of ATTACH_ROOT, opened before host ids are given up */
  int proc_fd;              /* private procfs of SYSCTL */
  mode_t umask;             /* the payload's, set right before exec */
};

void program_init(struct program *program, uint32_t id, const uint8_t *bytes, size_t length);
/* Closes every descriptor that the program still owns, but those that point to the child and what UNDO needs, and ends
 * what FS_IDS has begun. */
void program_release(struct program *program);
/* Carries out what UNDO holds, all of it whatever fails. program->failure stays. */
void program_undo(struct program *program);
/* Forgets UNDO, and closes the descriptors that it needs. */
void program_keep(struct program *program);

/*
 * Carries out host operations: of a RUN all of them, else those up to INIT_BEGIN. Returns 0 or -errno with
 * program->failure filled in. In the child that CLONE or JOIN makes it never returns: the child carries out the
 * init's operations and either becomes the payload or reports its failure and ends.
 */
int program_run_host(struct program *program, uint32_t stage);

/* Puts a descriptor into a slot, closing what was there; -EBADMSG when there is no such slot. */
int program_fill_slot(struct program *program, uint32_t slot, int fd);
/* The descriptor of a filled slot, or -EBADF. */
int program_slot(const struct program *program, uint32_t slot);

/* Makes the payload's pipes its root's: it may open /dev/stdout again, and pipefs asks for the owner then. */
void program_give_stdio(const struct program *program);

/* The host's id that a uid_map gives to 0; UINT32_MAX when it gives none. */
uint32_t host_id_of_root(const char *map);

/* A list of strings, NULL-terminated, as execve wants it; NULL without memory. The caller frees it. */
char **program_string_list(struct wire_reader *payload);

/* Name what an operation acts on, for the failure that it may become. They return `error` for convenience. */
int program_fails(struct program *program, int error, const char *object);
void program_detail(struct program *program, const char *detail);

/* Protocol families of netlink(7) that sockets are kept for. */
#define NETLINK_FAMILIES 32

/* Every operation: reads its payload (checked before), acts, returns 0 or -errno. */
typedef int operation_function(struct program *program, struct wire_reader *payload);

operation_function op_mkdir, op_write_file, op_open, op_unlink, op_cgroup_attach, op_cgroup_devices;
operation_function op_child_oom_score, op_child_rlimit, op_id_map, op_child_namespace;
operation_function op_child_label, op_copy_tree, op_tree_changes, op_fs_ids, op_enter, op_make_node, op_put_file, op_pack, op_dress;
operation_function op_open_tree, op_mount_setattr, op_fsopen;
operation_function op_user_namespace, op_clone, op_join, op_pass_fds, op_notify;
operation_function op_netlink, op_netlink_in, op_undo;
operation_function op_cgroup_enter, op_take_fds, op_await, op_hold, op_unshare;
operation_function op_private_mounts, op_attach_root, op_mount, op_make_dir, op_make_symlink, op_read_only;
operation_function op_mask, op_pivot, op_root_read_only, op_bind_from_root, op_sysctl, op_proc;
operation_function op_hostname, op_rlimit, op_keyring, op_umask, op_ids, op_capabilities;
operation_function op_no_new_privs, op_seccomp, op_chdir, op_exec;
operation_function op_tty, op_session, op_reap;
operation_function op_open_or_make_dirs, op_console_socket, op_seccomp_agent, op_listen, op_container, op_hook, op_hold_until, op_find;
operation_function op_scheduler, op_io_priority, op_personality, op_affinity, op_memory_policy, op_time_offsets;
operation_function op_copy_out, op_copy_in, op_dial, op_label, op_replace_mount, op_end;

#endif

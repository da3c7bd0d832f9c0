/* The wire between berth (TypeScript) and its helper (C). Twin of runtime/protocol.ts: a test compares
 * every constant of the two files.
 *
 * All integers are little-endian. A message is a 12-byte header and a body:
 *
 *     u32 length    bytes of the body, at most BERTH_MESSAGE_BYTES_MAX
 *     u32 id        chosen by the asker, echoed in every message that belongs to the request; 0: an event
 *     u16 type      BERTH_MSG_*
 *     u8  version   BERTH_PROTOCOL_VERSION
 *     u8  zero
 *
 * A string or byte field is u32 length, the bytes, one NUL that the length does not count: the helper uses
 * it in place as a C string. A list is u32 count and the items.
 *
 * A program (the body of START and EXEC) is a list of operations without a count, carried out in order:
 *
 *     u16 op        BERTH_OP_*
 *     u16 flags     BERTH_OPF_*
 *     u32 length    bytes of the payload
 *     payload       fields in the order that the comment beside the op names
 *
 * Operations hand file descriptors to each other through numbered slots (0 to BERTH_SLOTS - 1). Filling a
 * slot that is in use closes what was there. All descriptors are O_CLOEXEC.
 */
#ifndef BERTH_PROTOCOL_H
#define BERTH_PROTOCOL_H

/* A supervisor speaks the version that it was started with for as long as its container lives, and the agent speaks to it
 * in that one. In every version the header is as above, and a message of another version is answered by an ERROR with the
 * answerer's own version byte: so the asker learns it. What each version brought:
 *
 *     1   the first
 *     2   EXEC takes DIAL, REPLACE_MOUNT and END
 *     3   STATE names the helper's version
 *     4   ATTACH takes OWNER
 */
#define BERTH_PROTOCOL_VERSION 4
#define BERTH_PROTOCOL_VERSION_OLDEST 1
#define BERTH_HEADER_BYTES 12
#define BERTH_MESSAGE_BYTES_MAX 4194304
#define BERTH_SLOTS 192
#define BERTH_SLOT_NONE 0xffffffffu

/* Requests to the launcher (its stdin and stdout are one stream socket). */
#define BERTH_MSG_HELLO 1      /* - ; answered by HELLO_OK */
#define BERTH_MSG_START 2      /* str container id, str socket path, str exit path, str log path,
                                  u64 log bytes max (0: no log), u32 log files max, u32 start flags, program */
#define BERTH_MSG_UNPACK 3     /* str socket path, str destination dir, u32 id base, u64 bytes max,
                                  u32 entries max, u32 encoding BERTH_ENCODING_*, u64 decoded bytes from which on
                                  the ratio counts, u32 decoded bytes for one encoded at most, u32 1: the archive may
                                  lack its end and the last padding (its digest is known), str path of a new
                                  file for what is sent ("": none); answered by DONE once the socket listens. One client connects, sends the archive and shuts its sending side;
                                  it receives one UNPACKED or ERROR message and the end of the stream */
#define BERTH_MSG_RUN 4        /* program of host operations, carried out in a child: answered by DONE or
                                  ERROR (NETLINK replies travel in NETLINK_REPLY before that) */
#define BERTH_MSG_REMOVE_TREE 5 /* str path: removes a tree fd-relative in a child; DONE or ERROR */
#define BERTH_MSG_NOTIFY 6     /* str socket path (abstract when it begins with '@'), str datagram: sends one
                                  AF_UNIX datagram (sd_notify); DONE or ERROR */
#define BERTH_MSG_TAKE_FILES 7 /* str socket path, str destination dir, u64 bytes max, u32 entries max, u32 encoding
                                  BERTH_ENCODING_*, u64 and u32 as for UNPACK; answered by DONE once the socket
                                  listens. One client sends an archive and shuts its sending side; each file of it
                                  is written into the destination, named by its number. It receives one FILE_TAKEN
                                  for each file and link, in the archive's order, then DONE or ERROR and the end */

#define BERTH_MSG_FINGERPRINT 8 /* groups of files to the end of the body, each a u32 count and for each file u32 kind
                                   BERTH_PRINT_*, str path; FINGERPRINTS or ERROR */

/* Requests to a supervisor, on its path socket (root only, checked by SO_PEERCRED). */
#define BERTH_MSG_STATUS 32    /* - ; answered by STATE, then one EXITED when the container ends */
#define BERTH_MSG_SIGNAL 33    /* u32 signal, u32 all (1: every process of the container); DONE or ERROR */
#define BERTH_MSG_RELEASE 34   /* - ; lets a container started with BERTH_START_HOLD exec; DONE or ERROR */
#define BERTH_MSG_EXEC 35      /* u32 exec flags, program; answered by STARTED or ERROR, then OUTPUT..., EXITED */
#define BERTH_MSG_ATTACH 36    /* u32 attach flags: answered by STARTED, then OUTPUT of the first process, then EXITED */
#define BERTH_MSG_INPUT 37     /* bytes for the stdin of the EXEC or ATTACH with this id; empty: end of input */
#define BERTH_MSG_RESIZE 38    /* u32 rows, u32 columns, for the terminal of the EXEC or ATTACH with this id */
#define BERTH_MSG_EXEC_SIGNAL 39 /* u32 signal, to the process of the EXEC with this id; 0: it shall outlive its client,
                                    and what it writes from then on without one is dropped; 0 with the id of an ATTACH:
                                    that one is no OWNER any more */
#define BERTH_MSG_ROTATE 40    /* - ; reopens the log; DONE or ERROR */

/* Answers. */
#define BERTH_MSG_HELLO_OK 64  /* u32 protocol version, u32 pid, str helper version */
#define BERTH_MSG_DONE 65      /* - */
#define BERTH_MSG_ERROR 66     /* u32 stage BERTH_STAGE_*, u32 op, u32 errno, str object, str detail */
#define BERTH_MSG_STARTED 67   /* u32 pid of the process on the host, u64 start time (clock ticks since
                                  boot, field 22 of /proc/PID/stat), u32 supervisor pid,
                                  u64 supervisor start time */
#define BERTH_MSG_STATE 68     /* u32 running (0 held, 1 running, 2 ended), u32 pid, u64 start time,
                                  u32 supervisor pid, since version 3: str helper version */
#define BERTH_MSG_EXITED 69    /* u32 known (0: the status was lost), u32 code, u32 signal (0: none),
                                  u64 finished at (ms since the epoch) */
#define BERTH_MSG_OUTPUT 70    /* u32 stream (1 stdout, 2 stderr), bytes; for an attached reader that is too
                                  slow, stream 0 carries the u64 count of bytes that were dropped */
#define BERTH_MSG_NETLINK_REPLY 71 /* bytes: the netlink messages that answered, headers included */
#define BERTH_MSG_UNPACKED 72  /* u64 bytes of file content, u32 entries, u64 tar bytes read, bytes: their SHA-256,
                                  u64 bytes sent, bytes: their SHA-256,
                                  list of str: directories that the layer implies but does not carry */

#define BERTH_MSG_CHANGES 73   /* bytes: for each change a letter (A, C, D), its path and a NUL; before the DONE of a RUN */
#define BERTH_MSG_FILE_TAKEN 74 /* u32 kind BERTH_TAKEN_*, str path as the archive has it, str target of a link, u32 number,
                                   u64 bytes, bytes: their SHA-256. It is on the disk */

#define BERTH_MSG_FINGERPRINTS 75 /* 16 bytes for each group, in order: others as soon as one of its files is another or is
                                     gone */

/* What of a file a fingerprint covers. */
#define BERTH_PRINT_CONTENT 0
#define BERTH_PRINT_STATUS 1   /* which inode it is, its size and when it changed */

/* What an archive holds. */
#define BERTH_TAKEN_FILE 0
#define BERTH_TAKEN_HARD_LINK 1
#define BERTH_TAKEN_SYMLINK 2

/* How an archive is sent to UNPACK and TAKE_FILES. */
#define BERTH_ENCODING_NONE 0
#define BERTH_ENCODING_GZIP 1
#define BERTH_ENCODING_ZSTD 2

/* Flags of START. */
#define BERTH_START_HOLD 1     /* answer STARTED before exec and wait for RELEASE */
#define BERTH_START_STDIN 2    /* keep a stdin pipe open for attach; else /dev/null */
#define BERTH_START_TTY 4      /* the first process gets a terminal (with OP_TTY in the program) */
#define BERTH_START_INHERIT 8  /* the launcher's own descriptors 3, 4 and 5 are the process's 0, 1 and 2, and those
                                  after them its 3 and up: nothing is pumped or logged */
#define BERTH_START_LEAVE 16   /* the supervisor ends once it has answered, and the process goes to the next
                                  subreaper: no socket, no exit record, no log; HOLD_UNTIL in place of HOLD */

/* Flags of EXEC. */
#define BERTH_EXEC_STDIN 1
#define BERTH_EXEC_TTY 2
#define BERTH_EXEC_DETACH 4    /* answered by STARTED only; output goes to /dev/null */

/* Flags of ATTACH. */
#define BERTH_ATTACH_STDIN 1
#define BERTH_ATTACH_OUTPUT 2
#define BERTH_ATTACH_OWNER 4   /* whose container it is: output waits until this client has room for it, also after the end;
                                  when the client goes, a container that is held ends, and one with STDIN has the end of
                                  its input, unless that is a terminal */

/* Flags of an operation. */
#define BERTH_OPF_OPTIONAL 1   /* any failure of this operation is passed over */
#define BERTH_OPF_MAY_BE_ABSENT 2 /* ENOENT (and ENOTDIR) are passed over */

/* Host operations: the supervisor before and after CLONE, or the child of RUN. Full privilege. */
#define BERTH_OP_MKDIR 1       /* u32 mode, u32 exist ok, str path */
#define BERTH_OP_WRITE_FILE 2  /* u32 open flags (O_WRONLY is implied), u32 mode, str path, bytes: one write */
#define BERTH_OP_OPEN 3        /* u32 slot, u32 base slot or NONE (then resolved with RESOLVE_IN_ROOT from it),
                                  u32 open flags, str path */
#define BERTH_OP_OPEN_TREE 4   /* u32 slot, u32 base slot or NONE (then beneath it, no symlink followed),
                                  u32 open_tree flags, u64 expected rdev or 0,
                                  u32 expected type (S_IFMT bits) or 0, str path */
#define BERTH_OP_MOUNT_SETATTR 5 /* u32 slot, u32 recursive, u64 set, u64 clear, u64 propagation,
                                  u32 user namespace slot or NONE */
#define BERTH_OP_FSOPEN 6      /* u32 slot, str file system, u64 mount attributes, list of
                                  (u32 kind BERTH_FS_*, str key, str value, u32 slot) */
#define BERTH_OP_USER_NAMESPACE 7 /* u32 slot, str uid_map, str gid_map: a namespace with no process */
#define BERTH_OP_NETLINK 8     /* u32 family, u32 patch offset or NONE (the child's pid is written there, u32),
                                  u32 replies wanted (1: NETLINK_REPLY), bytes: one or more netlink messages,
                                  sent as one datagram; every NLM_F_ACK and dump is awaited */
#define BERTH_OP_CGROUP_ATTACH 9 /* str directory: the child is written to its cgroup.procs */
#define BERTH_OP_UNLINK 10     /* u32 directory (1: rmdir), str path */
#define BERTH_OP_CLONE 11      /* u64 clone flags, u32 cgroup slot or NONE: makes the init; operations after
                                  INIT_BEGIN are the init's, those before are the supervisor's */
#define BERTH_OP_ID_MAP 12     /* str uid_map, str gid_map of the child */
#define BERTH_OP_CHILD_NAMESPACE 13 /* u32 slot, str name ("user", "net", ...) of the child's namespace */
#define BERTH_OP_PASS_FDS 14   /* - ; sends every slot to the init and closes them here */
#define BERTH_OP_NOTIFY 15     /* - ; wakes the init out of one AWAIT; the init wakes the supervisor with it out of one of its */
#define BERTH_OP_INIT_BEGIN 16 /* - ; end of the supervisor's part */
#define BERTH_OP_JOIN 17       /* u32 clone flags, u32 cgroup slot or NONE: EXEC only, in place of CLONE: a child that joins these
                                  namespaces of the container's first process by its pidfd (NEWPID included) */
#define BERTH_OP_CHILD_OOM_SCORE 18 /* i32 as u32: written to the child's oom_score_adj */
#define BERTH_OP_CHILD_RLIMIT 19 /* u32 resource, u64 soft, u64 hard: prlimit on the child, with host rights */
#define BERTH_OP_CGROUP_DEVICES 20 /* str cgroup2 directory, bytes: eBPF program of type CGROUP_DEVICE */
#define BERTH_OP_COPY_TREE 21  /* u32 slot of a source directory, u32 slot of an empty one, u32 limit in ms (0: none):
                                  what is in it, with ids, modes, times, xattrs and links; nothing when the source's
                                  slot is empty */
#define BERTH_OP_FS_IDS 22     /* u32 uid, u32 gid: the ids with which the supervisor acts on file systems from here on */

#define BERTH_OP_ENTER 23      /* u32 slot of a namespace, u64 its clone flag: the init is made from inside it; before CLONE */
#define BERTH_OP_MAKE_NODE 24  /* u32 slot of a directory or NONE (then the root), u32 mode with type, u64 rdev,
                                  u32 uid, u32 gid, str path inside; the same device in its place is no error */
#define BERTH_OP_PUT_FILE 27   /* u32 slot of a directory, u32 mode, u32 uid, u32 gid, str name, bytes: a new file in it;
                                  the bytes are wiped from the program */

#define BERTH_OP_TREE_CHANGES 25 /* u32 slot of an overlay's upper directory, u32 slot of its lower tree, u64 bytes max,
                                  u32 limit in ms: RUN only; CHANGES say what the one changes of the other */

#define BERTH_OP_CHILD_LABEL 26 /* u32 slot, u32 module (1 AppArmor, 2 SELinux): the file that says what the child's next
                                  exec is confined by; before PASS_FDS */

#define BERTH_OP_SECCOMP_AGENT 63 /* str path, list of str: whoever listens there gets the descriptor of the notifications of
                                  the SECCOMP that makes one, by SCM_RIGHTS, and these strings with the new process's pid
                                  on the host between each two. Before CLONE or JOIN */
#define BERTH_OP_TIME_OFFSETS 70 /* str as written to timens_offsets: of the time namespace that CLONE makes; before CLONE */
#define BERTH_OP_NETLINK_IN 71 /* u32 slot of a network namespace or NONE (then one's own), u32 family, u32 patch offset or NONE,
                                  u32 slot whose descriptor's number is written there (u32) or NONE, str what it is about,
                                  bytes: as NETLINK */
#define BERTH_OP_UNDO 81       /* bytes: a program of RUN, carried out where the START fails after this, whatever part of it
                                  fails. Slots that are filled stay open until then. The last UNDO holds */
#define BERTH_OP_OPEN_OR_MAKE_DIRS 64 /* u32 slot, u32 mode, str absolute path: a directory of the host; those that are missing
                                  on the way are made, and no link is followed */
#define BERTH_OP_CONSOLE_SOCKET 28 /* str path: whoever listens there gets the master of TTY, by SCM_RIGHTS */
#define BERTH_OP_LISTEN 29     /* u32 slot, str path: a stream socket of root's */
#define BERTH_OP_CONTAINER 30  /* u32 pid, u64 start time: whose namespaces JOIN enters, in a START */
#define BERTH_OP_HOOK 31       /* u32 timeout ms (0: none), str path, list of str argv, list of str environment,
                                  str before, str after: a program that reads before, the first process's pid on the
                                  host, and after; the init's too */

/* Operations of the init (after INIT_BEGIN). Paths are inside the new root unless said otherwise, and are
 * resolved with RESOLVE_IN_ROOT from the root's descriptor. FSOPEN, MOUNT_SETATTR, MAKE_NODE and NETLINK (without
 * patch or reply) are the init's operations too: there they act with the container's own rights. */
#define BERTH_OP_TAKE_FDS 32   /* - ; receives the slots */
#define BERTH_OP_AWAIT 33      /* - ; waits for one NOTIFY; the supervisor's death ends the init. A host operation too, for
                                  one NOTIFY of the init */
#define BERTH_OP_ATTACH_ROOT 34 /* u32 slot, str host directory to mount it on (in the private namespace) */
#define BERTH_OP_MOUNT 35      /* u32 slot, u32 create (0 no, 1 directory, 2 file), u32 mode of what is
                                  created, str path: move_mount onto the descriptor of the path */
#define BERTH_OP_MAKE_DIR 36   /* u32 mode, str path (with its parents) */
#define BERTH_OP_MAKE_SYMLINK 37 /* str target, str path */
#define BERTH_OP_READ_ONLY 38  /* str path: bound onto itself and made read-only, recursively */
#define BERTH_OP_MASK 39       /* u32 slot of /dev/null, u32 slot of an empty read-only directory, str path */
#define BERTH_OP_PIVOT 40      /* - ; the root of ATTACH_ROOT becomes /, the host's tree is detached */
#define BERTH_OP_ROOT_READ_ONLY 41 /* - ; remounts / read-only (its submounts keep their attributes) */
#define BERTH_OP_HOSTNAME 42   /* str hostname, str domainname (empty: not set) */
#define BERTH_OP_SYSCTL 43     /* str path below /proc/sys, str value: written to a private procfs */
#define BERTH_OP_RLIMIT 44     /* u32 resource, u64 soft, u64 hard */
#define BERTH_OP_UNSHARE 45    /* u64 clone flags */
#define BERTH_OP_SESSION 46    /* - ; setsid, and the terminal becomes the controlling one where there is one */
#define BERTH_OP_TTY 47        /* u32 rows, u32 columns: a pty of the container's own devpts (TIOCGPTPEER),
                                  its master handed to the supervisor, mounted on /dev/console for the first
                                  process */
#define BERTH_OP_KEYRING 48    /* - ; joins a new anonymous session keyring */
#define BERTH_OP_UMASK 49      /* u32 */
#define BERTH_OP_IDS 50        /* u32 uid, u32 gid, list of u32 supplementary groups; keeps capabilities */
#define BERTH_OP_CAPABILITIES 51 /* u64 bounding, u64 permitted, u64 effective, u64 inheritable, u64 ambient */
#define BERTH_OP_NO_NEW_PRIVS 52 /* - */
#define BERTH_OP_SECCOMP 53    /* u32 seccomp flags, bytes: struct sock_filter[]. With NEW_LISTENER it waits until
                                  SECCOMP_AGENT's listener has the descriptor: by write(2) and read(2), and no other call */
#define BERTH_OP_CHDIR 54      /* u32 create (1: made with mode 0755 where it is missing), str path; the
                                  result is checked to lie inside the root */
#define BERTH_OP_REAP 55       /* - ; a tiny PID 1 stays, forwards signals and reaps; the rest goes on in its child */
#define BERTH_OP_EXEC 56       /* list of str argv, list of str environment: argv[0] without a slash is
                                  looked up in the PATH of that environment */
#define BERTH_OP_HOLD 57       /* - ; where START_HOLD waits (before EXEC) */
#define BERTH_OP_PRIVATE_MOUNTS 58 /* - ; the whole tree becomes MS_SLAVE then MS_PRIVATE; first in the init */
#define BERTH_OP_BIND_FROM_ROOT 59 /* u32 slot, u32 open_tree flags, str path: open_tree inside the root */
#define BERTH_OP_CGROUP_ENTER 60 /* u32 slot of a v1 cgroup's tasks file that the supervisor opened: the init moves itself.
                                  A process that moves its only thread spares the grace period of CGROUP_ATTACH */
#define BERTH_OP_PROC 61       /* u32 slot of a detached procfs: where SYSCTL writes, in place of one of the init's own */
#define BERTH_OP_LABEL 62      /* u32 slot of a CHILD_LABEL, str text: written there. The host's file, because /proc may be
                                  anything in a container */
#define BERTH_OP_SCHEDULER 65  /* u32 policy, u64 flags, i32 nice as u32, u32 priority, u64 runtime, u64 deadline, u64 period:
                                  sched_setattr(2) */
#define BERTH_OP_IO_PRIORITY 66 /* u32 class, u32 priority: ioprio_set(2) */
#define BERTH_OP_PERSONALITY 67 /* u32: personality(2) */
#define BERTH_OP_MEMORY_POLICY 69 /* u32 mode with its flags, bytes: one bit a node, a multiple of 8: set_mempolicy(2) */
#define BERTH_OP_AFFINITY 68   /* bytes: one bit a CPU, a multiple of 8: sched_setaffinity(2) of who carries it out. In a START
                                  a host operation, too: what is cloned after it begins on these CPUs */
#define BERTH_OP_HOLD_UNTIL 72 /* u32 slot of a LISTEN: where START_HOLD waits for a RELEASE; the connection then
                                  gets an ERROR, or its end by exec */
#define BERTH_OP_COPY_OUT 74   /* u32 copy flags, u64 bytes max, u32 entries max, str path, str name: last, in place of EXEC
                                  in a program that joins. The path's tar archive goes to stdout, with `name` for
                                  what it leads to; a line on stderr and exit code 1 say what failed */
#define BERTH_OP_COPY_IN 75    /* the fields of COPY_OUT: the archive of stdin is put to the path, under `name` where that
                                  is a directory */
#define BERTH_OP_DIAL 78       /* u32 relay (0: ends with code 0 once it is connected), u32 port, str IPv4 address: last, in place
                                  of EXEC in a program that joins. What stdin brings goes to a TCP connection, and what
                                  that answers to stdout; a line on stderr and exit code 1 say what failed */
#define BERTH_OP_FIND 73       /* the fields of EXEC: fails as EXEC would where the program is missing */

#define BERTH_OP_PACK 76       /* u32 slot of a directory, u32 pack flags, u32 first id, u64 bytes max, u32 entries max, str path of
                                  a stream socket that somebody listens on: the tree goes there as a tar archive. Its
                                  owners are counted from the first id. In a RUN */

#define BERTH_OP_REPLACE_MOUNT 79 /* u32 slot, u32 slot of the host's /proc, str path: takes the place of the mount that the path leads
                                  to, in one step. Kernels before 6.5 leave the other one under it */
#define BERTH_OP_END 80        /* - ; last, in place of EXEC in a program that joins: exit code 0 */

#define BERTH_OP_DRESS 77      /* u32 slot of a directory, u32 slot of another, which gets its owner, mode, times and attributes */

/* Kinds of an FSOPEN parameter. */
#define BERTH_FS_FLAG 0
#define BERTH_FS_STRING 1
#define BERTH_FS_FD 2

/* Flags of COPY_OUT and COPY_IN. */
#define BERTH_COPY_FOLLOW 1    /* out: a link at the end of the path is followed */
#define BERTH_COPY_CONTENTS 2  /* in: what is in the source is put into a directory, not the source itself */
#define BERTH_COPY_EXTRACT 4   /* in: the archive is the user's own, and the path a directory that it is unpacked in */
#define BERTH_COPY_KEEP_IDS 8  /* in: owners are those of the archive */

/* Flags of PACK. */
#define BERTH_PACK_CHANGES 1   /* the directory is the upper one of an overlay, and the archive an image layer */

/* Who failed. */
#define BERTH_STAGE_LAUNCHER 1
#define BERTH_STAGE_SUPERVISOR 2
#define BERTH_STAGE_INIT 3
#define BERTH_STAGE_EXEC 4     /* the payload's own execve: the object is its path */
#define BERTH_STAGE_UNPACK 5

#endif

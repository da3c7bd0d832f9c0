/* Who a process between clone and exec is. */
#ifndef BERTH_INIT_IDS_H
#define BERTH_INIT_IDS_H

/* Takes id 0 of the user namespace, without supplementary groups and with all capabilities kept. Leaves things as
 * they are where 0 is not mapped (yet). Returns 0 or -errno. */
int become_namespace_root(void);

/* Where stdin, stdout or stderr is the host's /dev/null, opens the one of the current root instead, so that no
 * descriptor of the payload leads to a mount of the host. Returns 0 or -errno; no such device is no error. */
int reopen_null_stdio(void);

#endif

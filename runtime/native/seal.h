/* A binary that nobody can write to, whoever holds it open. */
#ifndef BERTH_SEAL_H
#define BERTH_SEAL_H

/* Goes on as a copy of this program in a sealed memory file, with the mode as its only argument and an empty
 * environment, unless it is one already: what a container sees as /proc/PID/exe of its init is that copy, and never
 * the file on the host (CVE-2019-5736). Returns 0 in the copy, or -errno. */
int seal_self(const char *mode);

#endif

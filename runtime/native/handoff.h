/* Handing a terminal to whoever has asked for it. */
#ifndef BERTH_HANDOFF_H
#define BERTH_HANDOFF_H

/* 0 or -errno. Both descriptors stay the caller's. */
int handoff_terminal(int console_socket, int master);

#endif

/* The agent's hands: forks cheaply what the agent, being large, should not fork itself. */
#ifndef BERTH_LAUNCHER_H
#define BERTH_LAUNCHER_H

#define BERTH_HELPER_VERSION "0.1.0"

/* Serves requests from descriptor 0, answers on descriptor 1, until 0 ends. Returns the exit code. */
int launcher_run(void);

#endif

/* Server: the command "server": read the configuration, assemble, serve, until told to stop. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

/* ${argv}[0] is "server". Returns the process's exit status. */
int server_main(int argc, char **argv);

#endif

/* Server: the command "server": read the configuration, assemble, serve, until told to stop. */
#include "server/server.h"

#include <stdio.h>

int server_main(int argc, char **argv)
{
    fputs("Error: this build has no server\n", stderr);
    return 1;
}

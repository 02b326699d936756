/* Listener: a bound socket; accepts on one loop and deals connections out to all of them. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/http.h"
#include "net/loop.h"
#include "net/site.h"

struct http_listener {
    struct site site;   /* filled by listener_open but for handler, workers, established */
    struct str address; /* owned text */
    char *socket_path;  /* of a Unix socket, owned; NULL: TCP */
    int fd;             /* -1: closed */
    struct http_listener *next;
    /* The accepting loop's. */
    struct loop *loops;
    int n_loops, turn;
    bool polling;
    bool short_of; /* descriptors or memory; said once */
    uv_poll_t poll;
    uv_timer_t pause;
    struct note start_note;
};

/* Bind and listen; nothing is accepted yet.  -1: ERR_BAD_REQUEST, ERR_IO, ERR_NOMEM. */
int listener_open(const struct http_listener_config *config, struct http_listener **out,
                  struct err *err) MUST_USE;
/* Accept from now on, on the first of ${n} loops.  Any thread. */
void listener_start(struct http_listener *l, struct loop *loops, int n);
/* Accept no more, close the socket.  The first loop's thread. */
void listener_stop(struct http_listener *l);
/* After its loops have ended. */
void listener_free(struct http_listener *l);

#endif

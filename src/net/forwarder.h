/*
 * Forwarder: hands a client's request on to another member's cluster port and brings the answer
 * back: HTTP/1.1 over links that are kept open between requests.
 */
#ifndef NET_FORWARDER_H
#define NET_FORWARDER_H

#include "net/http.h"
#include "net/link.h"

/* The ALPN protocol of its links. */
#define FORWARDER_ALPN "coffer-forward/1"

struct forwarder; /* any thread */

/* The status (of HTTP) with which a member refuses what is not its to do: nothing was done. */
enum { FORWARDER_MISDIRECTED = 421 };

int forwarder_new(struct link_creds *creds, struct forwarder **out, struct err *err) MUST_USE;
/* Waits for calls under way; idle links are closed. */
void forwarder_free(struct forwarder *f);
/* Close what is idle: the leader is another one now. */
void forwarder_forget(struct forwarder *f);
/* The leader is at ${addr} and has been for a while: close what is idle, and give up the calls to
 * others whose answer has not begun (ERR_IO: what they did there is not known). */
void forwarder_leave(struct forwarder *f, struct str addr);

/*
 * Send ${x}'s request (method, target, headers but hop-by-hop ones, body or spooled body) with
 * ${extra} headers added to ${addr}, and answer ${x} with what comes back (in pieces when it is
 * large), whose headers pass but hop-by-hop ones.  Blocks: workers only.
 * -1: nothing was answered: ERR_UPSTREAM when the request surely did nothing there (no connection,
 * or an idle link had been closed: that is tried once more by itself), ERR_TIMEOUT or ERR_IO when
 * it may have; ERR_TOO_LARGE, ERR_BAD_REQUEST when it cannot be sent (dropped body, line ends).
 * An answer that breaks off while it passes in pieces breaks off for the client, too: that is 0.
 * ${timeout_ms} is for connecting; ${answer_ms} until the answer begins, 0: for ever (a member that
 * vanished is noticed in a minute).
 */
struct forwarder_call {
    struct str addr;
    const struct http_header *extra;
    size_t n_extra;
    int timeout_ms, answer_ms;
};
int forwarder_run(struct forwarder *f, struct http_exchange *x, const struct forwarder_call *call,
                  struct err *err) MUST_USE;

#endif

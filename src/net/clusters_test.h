/* Clusters_test: what tests of links, cluster ports and forwarding share: members' certificates. */
#ifndef NET_CLUSTERS_TEST_H
#define NET_CLUSTERS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#include "crypto/cluster_cert.h"
#include "net/http.h"
#include "net/link.h"

enum { DAY_S = 86400 };

/* An identity issued by ${ca} at ${shift_s} from now for ${valid_s}. */
static inline struct link_identity identity_at(struct arena *a, const struct cluster_authority *ca,
                                               struct str id, int64_t shift_s, int64_t valid_s)
{
    struct link_identity out = { 0 };
    struct err err = { 0 };
    strs_add(a, &out.authorities_der, ca->cert_der);
    if (cluster_cert_issue(a, ca, id, time(NULL) + shift_s, valid_s, &out.cert_der, &out.key_der,
                           &err) < 0)
        fail_msg("%s", err.msg);
    return out;
}

static inline struct link_identity identity(struct arena *a, const struct cluster_authority *ca,
                                            struct str id)
{
    return identity_at(a, ca, id, 0, DAY_S);
}

static inline struct cluster_authority authority(struct arena *a)
{
    struct cluster_authority ca;
    struct err err = { 0 };
    if (cluster_authority_make(a, STR("cluster"), time(NULL), 10 * DAY_S, &ca, &err) < 0)
        fail_msg("%s", err.msg);
    return ca;
}

static inline void set_creds(struct link_creds *c, const struct link_identity *id)
{
    struct err err = { 0 };
    if (link_creds_set(c, id, &err) < 0)
        fail_msg("%s", err.msg);
}

static inline bool has_text(struct str all, const char *part)
{
    bool found = str_find(all, str_of(part)) >= 0;
    if (!found)
        print_message("no \"%s\" in: " STR_FMT "\n", part, STR_ARG(str_head(all, 2000)));
    return found;
}

/* A plain connection to "127.0.0.1:port" that does not wait for ever. */
static inline int dial_plain(struct str addr)
{
    struct timeval most = { 20, 0 };
    uint64_t port = 0;
    assert_true(str_to_u64(str_from(addr, (size_t)str_rfind_byte(addr, ':') + 1), &port));
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

#endif

/* Lease: the leader's book of what members have echoed and what it has granted them. */
#include "storage/raft/lease.h"

#include <stdlib.h>

void lease_fini(struct lease *l)
{
    free(l->peers);
    l->peers = NULL;
    l->n = l->cap = 0;
}

void lease_lead(struct lease *l)
{
    l->leads = true;
    l->stopping = false;
    l->resumed = 0;
    l->n = 0;
}

void lease_follow(struct lease *l)
{
    l->leads = l->stopping = false;
    l->n = 0;
}

static struct lease_peer *peer_of(const struct lease *l, uint64_t member)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->peers[i].number == member)
            return &l->peers[i];
    return NULL;
}

static struct lease_peer *add_peer(struct lease *l, uint64_t member)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 8 : l->cap * 2;
        struct lease_peer *v = cap <= LEASE_MEMBERS ? reallocarray(l->peers, cap, sizeof *v) : NULL;
        if (v == NULL)
            return NULL;
        l->peers = v;
        l->cap = cap;
    }
    l->peers[l->n] = (struct lease_peer){ .number = member };
    return &l->peers[l->n++];
}

int lease_heard(struct lease *l, uint64_t member, uint64_t echoed, uint64_t theirs,
                struct err *err)
{
    if (!l->leads)
        return 0;
    struct lease_peer *p = peer_of(l, member);
    if (p == NULL && (p = add_peer(l, member)) == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    if (echoed > p->echoed)
        p->echoed = echoed;
    if (theirs > p->theirs)
        p->theirs = theirs;
    /* It has seen a frame that took its grant back (of a later millisecond, to be sure). */
    if (p->stopped != 0 && echoed > p->stopped)
        p->until = 0;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

uint64_t lease_until(const struct lease *l, const struct raft_configuration *c, uint64_t self,
                     uint64_t now)
{
    uint64_t seen[LEASE_MEMBERS];
    size_t n = 0;
    if (!l->leads || l->stopping)
        return 0;
    for (unsigned i = 0; i < c->n && n < LEASE_MEMBERS; i++) {
        if (c->servers[i].role != RAFT_VOTER)
            continue;
        const struct lease_peer *p = peer_of(l, c->servers[i].id);
        uint64_t echoed = p != NULL && p->echoed > l->resumed ? p->echoed : 0;
        seen[n++] = c->servers[i].id == self ? now : echoed;
    }
    if (n == 0)
        return 0;
    qsort(seen, n, sizeof *seen, newest_first);
    uint64_t quorum = seen[n / 2];
    return quorum == 0 ? 0 : quorum + l->election_ms * 4 / 5;
}

struct lease_grant lease_give(struct lease *l, uint64_t member, bool covers, uint64_t own_until,
                              uint64_t now)
{
    struct lease_grant g = { 0 };
    struct lease_peer *p = l->leads ? peer_of(l, member) : NULL;
    if (p == NULL)
        return g;
    g.back = p->stopped != 0 && p->until > now;
    if (l->stopping || !covers || own_until <= now || p->theirs <= p->given)
        return g;
    g.theirs = p->given = p->theirs;
    g.ms = own_until - now < l->grant_ms ? own_until - now : l->grant_ms;
    if (now + g.ms > p->until)
        p->until = now + g.ms;
    return g;
}

bool lease_holds(const struct lease *l, uint64_t member, uint64_t now)
{
    const struct lease_peer *p = peer_of(l, member);
    return p != NULL && p->until > now;
}

uint64_t lease_next(const struct lease *l, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < l->n; i++)
        if (l->peers[i].until > now && l->peers[i].until < next)
            next = l->peers[i].until;
    return next;
}

void lease_stop(struct lease *l, uint64_t now)
{
    l->stopping = true;
    for (size_t i = 0; i < l->n; i++)
        if (l->peers[i].until > now)
            l->peers[i].stopped = now;
}

void lease_resume(struct lease *l, uint64_t now)
{
    l->stopping = false;
    l->resumed = now;
    for (size_t i = 0; i < l->n; i++)
        l->peers[i].stopped = 0;
}

void lease_take(struct lease_reader *r, const struct lease_frame *f)
{
    const struct lease_grant *g = &f->grant;
    if (r->leader != f->leader)
        *r = (struct lease_reader){ .leader = f->leader };
    if (f->sent > r->sent)
        r->sent = f->sent;
    if (g->back && f->sent > r->back)
        r->back = f->sent;
    if (g->back)
        r->until = 0;
    /* One that was sent before it was taken back may come afterwards. */
    else if (g->ms > 0 && f->sent > r->back && g->theirs + g->ms > r->until)
        r->until = g->theirs + g->ms;
}

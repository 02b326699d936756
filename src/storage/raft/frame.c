/* Frame: the encoding of what members send each other. */
#include "storage/raft/frame.h"

#include <stdlib.h>

enum { ENTRY_LEAST = 1 + 8 + 4, VOTE_DISRUPT = 1, VOTE_PRE = 2, VOTE_GRANTED = 4 };

void frame_clear(struct frame *f)
{
    engine_message_clear(&f->m);
    *f = (struct frame){ 0 };
}

/* ---- writing ---- */

static void add64(struct buf *out, uint64_t v)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(out, (char)(v >> shift));
}

static void add32(struct buf *out, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_byte(out, (char)(v >> shift));
}

static void add_append(struct buf *out, const struct raft_append_entries *a,
                       struct entry *const *entries, size_t n)
{
    add64(out, a->term);
    add64(out, a->prev_log_index);
    add64(out, a->prev_log_term);
    add64(out, a->leader_commit);
    add32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        buf_byte(out, (char)entries[i]->type);
        add64(out, entries[i]->term);
        add32(out, (uint32_t)entries[i]->n);
        buf_add(out, entry_data(entries[i]));
    }
}

static void add_message(struct buf *out, const struct raft_message *m,
                        struct entry *const *entries, size_t n)
{
    const struct raft_request_vote *v = &m->request_vote;
    const struct raft_request_vote_result *r = &m->request_vote_result;
    buf_byte(out, (char)m->type);
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        add_append(out, &m->append_entries, entries, n);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        add64(out, m->append_entries_result.term);
        add64(out, m->append_entries_result.rejected);
        add64(out, m->append_entries_result.last_log_index);
        break;
    case RAFT_REQUEST_VOTE:
        add64(out, v->term);
        add64(out, v->last_log_index);
        add64(out, v->last_log_term);
        buf_byte(out, (char)((v->disrupt_leader ? VOTE_DISRUPT : 0) |
                             (v->pre_vote ? VOTE_PRE : 0)));
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        add64(out, r->term);
        buf_byte(out, (char)((r->vote_granted ? VOTE_GRANTED : 0) | (r->pre_vote ? VOTE_PRE : 0)));
        break;
    case RAFT_INSTALL_SNAPSHOT:
        break;
    case RAFT_TIMEOUT_NOW:
        add64(out, m->timeout_now.term);
        add64(out, m->timeout_now.last_log_index);
        add64(out, m->timeout_now.last_log_term);
        break;
    }
}

int frame_write(const struct frame *f, struct entry *const *entries, size_t n, struct buf *out,
                struct err *err)
{
    size_t at = out->n;
    add32(out, 0);
    buf_byte(out, (char)f->type);
    buf_byte(out, (char)f->flags);
    switch (f->type) {
    case FRAME_HELLO:
        add32(out, FRAME_VERSION);
        add64(out, f->conf_index);
        buf_add(out, str_of(f->m.peer));
        break;
    case FRAME_MESSAGE:
        add64(out, f->sent);
        add64(out, f->echo);
        add64(out, f->grant);
        add64(out, f->last);
        add64(out, f->last_term);
        add64(out, f->applied);
        add_message(out, &f->m.m, entries, n);
        break;
    case FRAME_REMOVED:
    case FRAME_ASK:
    case FRAME_ANSWER:
    case FRAME_LEAVE:
    case FRAME_END:
    case FRAME_SNAPSHOT:
        add64(out, f->id);
        add64(out, f->index);
        buf_add(out, f->bytes);
        break;
    case FRAME_ENTRIES:
        buf_add(out, f->bytes);
        break;
    }
    TRY(buf_check(out, err));
    size_t len = out->n - at - FRAME_HEAD;
    if (len > FRAME_MAX)
        return err_set(err, ERR_TOO_LARGE, "raft: a message would be too large");
    for (int i = 0; i < FRAME_HEAD; i++)
        out->p[at + (size_t)i] = (char)(len >> (24 - 8 * i));
    return 0;
}

/* ---- reading ---- */

/* What is left; once it was too short, everything read is 0. */
struct cursor {
    struct str rest;
    bool bad;
};

static struct str take(struct cursor *c, size_t n)
{
    if (c->bad || n > c->rest.n) {
        c->bad = true;
        return (struct str){ "", 0 };
    }
    struct str s = str_head(c->rest, n);
    c->rest = str_from(c->rest, n);
    return s;
}

static uint64_t take_number(struct cursor *c, size_t n)
{
    struct str s = take(c, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | (uint8_t)s.p[i];
    return v;
}

static uint64_t take64(struct cursor *c)
{
    return take_number(c, 8);
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "a malformed message");
}

int frame_length(const char head[FRAME_HEAD], size_t *out, struct err *err)
{
    struct cursor c = { str_mem(head, FRAME_HEAD), false };
    *out = (size_t)take_number(&c, FRAME_HEAD);
    return *out >= 2 && *out <= FRAME_MAX ? 0 : corrupt(err);
}

static int take_entries(struct cursor *c, struct engine_message *m, size_t n, struct err *err)
{
    struct raft_append_entries *a = &m->m.append_entries;
    a->n_entries = 0;
    if (c->bad || n > c->rest.n / ENTRY_LEAST || a->prev_log_index > UINT64_MAX - n - 1)
        return corrupt(err);
    if (n == 0)
        return 0;
    m->entries = calloc(n, sizeof(struct entry *));
    if (m->entries == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    for (size_t i = 0; i < n; i++) {
        uint8_t type = (uint8_t)take_number(c, 1);
        uint64_t term = take64(c);
        struct str data = take(c, (size_t)take_number(c, 4));
        if (c->bad)
            return corrupt(err);
        struct entry *e = entry_new(a->prev_log_index + 1 + i, term, type, data);
        if (e == NULL)
            return err_set(err, ERR_NOMEM, "raft: out of memory");
        m->entries[a->n_entries++] = e;
    }
    return 0;
}

static int take_append(struct cursor *c, struct engine_message *m, struct err *err)
{
    struct raft_append_entries *a = &m->m.append_entries;
    a->term = take64(c);
    a->prev_log_index = take64(c);
    a->prev_log_term = take64(c);
    a->leader_commit = take64(c);
    return take_entries(c, m, (size_t)take_number(c, 4), err);
}

static int take_message(struct cursor *c, struct engine_message *m, struct err *err)
{
    struct raft_request_vote *v = &m->m.request_vote;
    struct raft_request_vote_result *r = &m->m.request_vote_result;
    uint8_t type = (uint8_t)take_number(c, 1), flags;
    m->m.type = (enum raft_message_type)type;
    switch (type) {
    case RAFT_APPEND_ENTRIES:
        return take_append(c, m, err);
    case RAFT_APPEND_ENTRIES_RESULT:
        m->m.append_entries_result.term = take64(c);
        m->m.append_entries_result.rejected = take64(c);
        m->m.append_entries_result.last_log_index = take64(c);
        return 0;
    case RAFT_REQUEST_VOTE:
        v->term = take64(c);
        v->last_log_index = take64(c);
        v->last_log_term = take64(c);
        flags = (uint8_t)take_number(c, 1);
        v->disrupt_leader = (flags & VOTE_DISRUPT) != 0;
        v->pre_vote = (flags & VOTE_PRE) != 0;
        return 0;
    case RAFT_REQUEST_VOTE_RESULT:
        r->term = take64(c);
        flags = (uint8_t)take_number(c, 1);
        r->vote_granted = (flags & VOTE_GRANTED) != 0;
        r->pre_vote = (flags & VOTE_PRE) != 0;
        return 0;
    case RAFT_TIMEOUT_NOW:
        m->m.timeout_now.term = take64(c);
        m->m.timeout_now.last_log_index = take64(c);
        m->m.timeout_now.last_log_term = take64(c);
        return 0;
    }
    return corrupt(err);
}

static int take_hello(struct cursor *c, struct frame *f, struct err *err)
{
    uint64_t version = take_number(c, 4);
    f->conf_index = take64(c);
    struct str text = take(c, c->rest.n);
    if (version != FRAME_VERSION && !c->bad)
        return err_set(err, ERR_CORRUPT, "it speaks version %u of this protocol, we %d",
                       (unsigned)version, FRAME_VERSION);
    if (text.n == 0 || text.n >= MEMBER_TEXT_MAX || str_find_byte(text, 0) >= 0)
        return corrupt(err);
    memcpy(f->m.peer, text.p, text.n);
    f->m.peer[text.n] = 0;
    return 0;
}

static int take_body(struct cursor *c, struct frame *f, struct err *err)
{
    switch (f->type) {
    case FRAME_HELLO:
        return take_hello(c, f, err);
    case FRAME_MESSAGE:
        f->sent = take64(c);
        f->echo = take64(c);
        f->grant = take64(c);
        f->last = take64(c);
        f->last_term = take64(c);
        f->applied = take64(c);
        return take_message(c, &f->m, err);
    case FRAME_REMOVED:
    case FRAME_ASK:
    case FRAME_ANSWER:
    case FRAME_LEAVE:
    case FRAME_END:
    case FRAME_SNAPSHOT:
        f->id = take64(c);
        f->index = take64(c);
        f->bytes = take(c, c->rest.n);
        return 0;
    case FRAME_ENTRIES:
        f->bytes = take(c, c->rest.n);
        return 0;
    }
    return corrupt(err);
}

int frame_read(struct str body, struct frame *out, struct err *err)
{
    struct cursor c = { body, false };
    *out = (struct frame){ 0 };
    uint8_t type = (uint8_t)take_number(&c, 1);
    out->flags = (uint8_t)take_number(&c, 1);
    if (type < FRAME_HELLO || type > FRAME_LEAVE)
        return corrupt(err);
    out->type = (enum frame_type)type;
    int rc = take_body(&c, out, err);
    if (rc == 0 && (c.bad || c.rest.n > 0))
        rc = corrupt(err);
    if (rc < 0)
        frame_clear(out);
    return rc;
}

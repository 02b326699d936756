/*
 * Engine: wraps raft_step.  What libraft trusts its caller with is checked here: it asserts (or
 * worse, when built without assertions) on messages that a correct member would not send.
 */
#include "storage/raft/engine.h"

#include <stdlib.h>

enum { VOTE_VERSION = 2, RESULT_VERSION = 2 };

/* Entries handed out to be made durable. */
struct pending {
    uint64_t seq, last; /* last: 0 when nothing of it stands any more */
};

struct engine {
    struct raft raft;
    struct engine_options options;
    uint64_t number, now;
    uint64_t quiet_since;    /* no votes for an election timeout from here on */
    uint64_t firm;           /* nor in this term for a transfer; 0: none */
    bool leads;
    bool takes_conf; /* libraft keeps the configuration of an event, and frees it itself */
    bool live;               /* RAFT_START has been done */
    bool barrier;            /* the leader has an entry of its term in the log */
    struct pending *pending; /* oldest first */
    size_t n_pending, cap_pending;
    uint64_t seq;
    /* The event's own entries, while it is being stepped: borrowed. */
    struct entry *const *given;
    size_t n_given;
    uint64_t given_at; /* index of given[0] */
    struct raft_entry *heads;
    size_t cap_heads;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "raft: out of memory");
}

static int failed(const struct engine *e, int rc, const char *what, struct err *err)
{
    if (rc == RAFT_NOMEM)
        return no_memory(err);
    if (rc == RAFT_SHUTDOWN)
        return err_set(err, ERR_CONFLICT,
                       "raft: the leader's log contradicts what this node has applied");
    return err_set(err, ERR_INTERNAL, "raft: %s: %s", what, raft_strerror(rc));
}

void engine_message_clear(struct engine_message *m)
{
    if (m->entries != NULL)
        for (unsigned i = 0; i < m->m.append_entries.n_entries; i++)
            entry_drop(m->entries[i]);
    free(m->entries);
    member_clear(&m->conf);
    *m = (struct engine_message){ 0 };
}

static void piece_clear(struct engine_piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        entry_drop(p->v[i]);
    free(p->v);
}

void engine_todo_clear(struct engine_todo *t)
{
    for (size_t i = 0; i < t->n_pieces; i++)
        piece_clear(&t->pieces[i]);
    for (size_t i = 0; i < t->n_messages; i++)
        engine_message_clear(&t->messages[i]);
    free(t->pieces);
    free(t->messages);
    *t = (struct engine_todo){ 0 };
}

/*
 * Up to 0.22.1 libraft takes over what an event holds, later versions copy it; their numbers are
 * not told at run time, so a raft that is thrown away shows it.
 */
static int probe(bool *takes, struct err *err)
{
    struct raft r = { 0 };
    struct raft_update u = { 0 };
    struct raft_snapshot_metadata m = { .index = 1, .term = 1, .configuration_index = 1 };
    struct raft_event event = { .type = RAFT_START };
    if (raft_init(&r, NULL, NULL, 1, "1") != 0)
        return no_memory(err);
    r.tracer = NULL;
    int rc = raft_configuration_add(&m.configuration, 2, "2", RAFT_VOTER);
    const struct raft_server *given = m.configuration.servers;
    event.start.term = 1;
    event.start.metadata = &m;
    event.start.start_index = 2;
    if (rc == 0)
        rc = raft_step(&r, &event, &u);
    *takes = r.configuration.servers == given;
    if (!*takes)
        member_clear(&m.configuration);
    raft_close(&r, NULL);
    return rc == 0 ? 0 : no_memory(err);
}

int engine_new(const struct engine_options *options, struct engine **out, struct err *err)
{
    char text[MEMBER_TEXT_MAX];
    bool takes = false;
    TRY(member_text(options->id, options->addr, text, err));
    TRY(probe(&takes, err));
    struct engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return no_memory(err);
    e->options = *options;
    e->takes_conf = takes;
    e->options.id = e->options.addr = STR("");
    e->number = member_number(options->id);
    if (raft_init(&e->raft, NULL, NULL, e->number, text) != 0) {
        free(e);
        return no_memory(err);
    }
    e->raft.tracer = NULL; /* it formats every step, into buffers that all engines share */
    raft_seed(&e->raft, options->seed);
    raft_set_election_timeout(&e->raft, options->election_ms);
    raft_set_heartbeat_timeout(&e->raft, options->heartbeat_ms);
    raft_set_pre_vote(&e->raft, true);
    raft_set_max_inflight_entries(&e->raft, options->max_inflight);
    *out = e;
    return 0;
}

void engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    raft_close(&e->raft, NULL);
    free(e->pending);
    free(e->heads);
    free(e);
}

/* ---- what a step has changed ---- */

static int add_pending(struct engine *e, uint64_t first, uint64_t last, struct engine_todo *todo,
                       struct err *err)
{
    for (size_t i = 0; i < e->n_pending; i++)
        if (e->pending[i].last >= first)
            e->pending[i].last = first - 1;
    if (e->n_pending == e->cap_pending) {
        size_t cap = e->cap_pending == 0 ? 16 : e->cap_pending * 2;
        struct pending *p = reallocarray(e->pending, cap, sizeof *p);
        if (p == NULL)
            return no_memory(err);
        e->pending = p;
        e->cap_pending = cap;
    }
    todo->seq = ++e->seq;
    e->pending[e->n_pending++] = (struct pending){ e->seq, last };
    return 0;
}

/* Our own object for an entry of the update: the event's, or libraft's barrier made one. */
static struct entry *object_of(struct engine *e, uint64_t index, const struct raft_entry *r)
{
    if (index >= e->given_at && index - e->given_at < e->n_given)
        return entry_hold(e->given[index - e->given_at]);
    struct str data = str_mem(r->buf.base, r->buf.len);
    struct entry *mine = entry_new(index, r->term, (uint8_t)r->type, data);
    raft_free(r->batch);
    return mine;
}

/* Depending on libraft's version the update's array is a copy to be freed, or that of the event. */
static bool is_ours(const struct engine *e, const struct raft_entry *batch)
{
    uintptr_t at = (uintptr_t)batch, heads = (uintptr_t)e->heads;
    return batch == &e->raft.barrier ||
           (at >= heads && at < heads + e->cap_heads * sizeof *e->heads);
}

static int take_entries(struct engine *e, const struct raft_update *u, struct engine_todo *todo,
                        struct err *err)
{
    struct engine_piece piece = { calloc(u->entries.n, sizeof(struct entry *)), 0 };
    struct engine_piece *all =
        reallocarray(todo->pieces, todo->n_pieces + 1, sizeof *todo->pieces);
    uint64_t first = u->entries.index;
    if (all != NULL)
        todo->pieces = all;
    int rc = piece.v == NULL || all == NULL ? no_memory(err) : 0;
    for (unsigned i = 0; i < u->entries.n && rc == 0; i++) {
        piece.v[i] = object_of(e, first + i, &u->entries.batch[i]);
        if (piece.v[i] == NULL)
            rc = no_memory(err);
        else
            piece.n++;
    }
    if (!is_ours(e, u->entries.batch))
        raft_free(u->entries.batch);
    if (rc == 0)
        rc = add_pending(e, first, first + piece.n - 1, todo, err);
    if (rc < 0) {
        piece_clear(&piece);
        return -1;
    }
    todo->pieces[todo->n_pieces++] = piece;
    return 0;
}

static int take_message(const struct raft_message *m, struct engine_todo *todo, struct err *err)
{
    if (todo->n_messages == todo->cap_messages) {
        size_t cap = todo->cap_messages == 0 ? 8 : todo->cap_messages * 2;
        struct engine_message *all = reallocarray(todo->messages, cap, sizeof *all);
        if (all == NULL)
            return no_memory(err);
        todo->messages = all;
        todo->cap_messages = cap;
    }
    struct engine_message *mine = &todo->messages[todo->n_messages];
    size_t n = strnlen(m->server_address, MEMBER_TEXT_MAX);
    if (n == MEMBER_TEXT_MAX)
        return 0;
    *mine = (struct engine_message){ .m = *m };
    memcpy(mine->peer, m->server_address, n);
    mine->m.server_address = NULL;
    if (m->type == RAFT_APPEND_ENTRIES)
        mine->m.append_entries.entries = NULL;
    todo->n_messages++;
    return 0;
}

static int take_update(struct engine *e, const struct raft_update *u, struct engine_todo *todo,
                       struct err *err)
{
    if (u->flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) {
        todo->vote = true;
        todo->term = raft_current_term(&e->raft);
        todo->voted_for = raft_voted_for(&e->raft);
    }
    if (u->flags & RAFT_UPDATE_STATE)
        todo->role_changed = true;
    if (u->flags & RAFT_UPDATE_SNAPSHOT) {
        todo->install = true;
        e->n_pending = 0;
        member_clear((struct raft_configuration *)&u->snapshot.metadata.configuration);
    }
    if (u->flags & RAFT_UPDATE_ENTRIES)
        TRY(take_entries(e, u, todo, err));
    if (u->flags & RAFT_UPDATE_MESSAGES)
        for (unsigned i = 0; i < u->messages.n; i++)
            TRY(take_message(&u->messages.batch[i], todo, err));
    return 0;
}

/* After a step that a copy was made for. */
static void conf_given(const struct engine *e, struct raft_configuration *copy)
{
    if (!e->takes_conf)
        member_clear(copy);
}

static int step(struct engine *e, struct raft_event *event, struct engine_todo *todo,
                struct err *err)
{
    struct raft_update u = { 0 };
    event->time = e->now;
    raft_id leader = 0, before = 0;
    const char *text;
    raft_leader(&e->raft, &before, &text);
    uint64_t pending = e->raft.configuration_uncommitted_index;
    int rc = raft_step(&e->raft, event, &u);
    if (rc != 0)
        return failed(e, rc, "step", err);
    raft_leader(&e->raft, &leader, &text);
    todo->role_changed |= leader != before;
    todo->conf_changed |= pending != e->raft.configuration_uncommitted_index;
    return take_update(e, &u, todo, err);
}

static uint64_t conf_index(const struct engine *e)
{
    return e->raft.configuration_uncommitted_index != 0 ? e->raft.configuration_uncommitted_index
                                                        : e->raft.configuration_committed_index;
}

/* libraft leaves it to us to say that a configuration has been committed. */
static int commit_conf(struct engine *e, struct engine_todo *todo, struct err *err)
{
    struct raft_event event = { .type = RAFT_CONFIGURATION };
    event.configuration.index = e->raft.configuration_uncommitted_index;
    TRY(member_copy(&e->raft.configuration, &event.configuration.conf, err));
    struct raft_configuration copy = event.configuration.conf;
    todo->conf_changed = true;
    int rc = step(e, &event, todo, err);
    conf_given(e, &copy);
    return rc;
}

/*
 * Raft §6.4: a leader knows what is committed when an entry of its own term is; libraft makes one
 * only when it has older entries that are not known as committed.  We want one always.
 */
static int add_barrier(struct engine *e, struct engine_todo *todo, struct err *err)
{
    uint64_t last = raft_last_index(&e->raft);
    if (last > 0 && e->options.term_of(e->options.ctx, last) == e->raft.current_term) {
        e->barrier = true;
        return 0;
    }
    for (size_t i = 0; i < todo->n_pieces; i++)
        if (todo->pieces[i].v[todo->pieces[i].n - 1]->term == e->raft.current_term)
            e->barrier = true;
    if (e->barrier)
        return 0;
    struct entry *b = entry_new(0, 0, RAFT_BARRIER, STR("\0\0\0\0\0\0\0\0"));
    if (b == NULL)
        return no_memory(err);
    e->barrier = true;
    return engine_submit(e, e->now, b, todo, err);
}

static int settle(struct engine *e, struct engine_todo *todo, struct err *err)
{
    uint64_t at = e->raft.configuration_uncommitted_index;
    if (at != 0 && raft_commit_index(&e->raft) >= at)
        TRY(commit_conf(e, todo, err));
    if (e->leads && raft_state(&e->raft) != RAFT_LEADER)
        e->quiet_since = e->now;
    e->leads = raft_state(&e->raft) == RAFT_LEADER;
    if (!e->leads)
        e->barrier = false;
    else if (!e->barrier)
        TRY(add_barrier(e, todo, err));
    return 0;
}

static int run(struct engine *e, uint64_t now_ms, struct raft_event *event,
               struct engine_todo *todo, struct err *err)
{
    if (now_ms > e->now)
        e->now = now_ms;
    TRY(step(e, event, todo, err));
    return settle(e, todo, err);
}

/* ---- start ---- */

/* With a copy of the configuration. */
static int metadata_of(const struct mark *m, struct raft_snapshot_metadata *out, struct err *err)
{
    *out = (struct raft_snapshot_metadata){ .index = m->index, .term = m->term,
                                            .configuration_index = m->conf_index };
    return member_copy(&m->conf, &out->configuration, err);
}

static int make_heads(struct engine *e, size_t n, struct err *err)
{
    if (n <= e->cap_heads)
        return 0;
    struct raft_entry *v = reallocarray(e->heads, n, sizeof *v);
    if (v == NULL)
        return no_memory(err);
    e->heads = v;
    e->cap_heads = n;
    return 0;
}

static struct raft_entry head_of(const struct entry *entry, void *batch)
{
    return (struct raft_entry){ .term = entry->term,
                                .type = (enum raft_entry_type)entry->type,
                                .buf = { (void *)(uintptr_t)entry->data, entry->n },
                                .batch = batch };
}

static int check_change(uint8_t type, struct str data)
{
    struct raft_configuration c;
    struct err err;
    if (type != RAFT_CHANGE)
        return type == RAFT_COMMAND || type == RAFT_BARRIER ? 0 : -1;
    if (member_decode(data, &c, &err) < 0)
        return -1;
    member_clear(&c);
    return 0;
}

static int fill_heads(const struct engine_start *s, struct raft_entry *heads, struct err *err)
{
    for (size_t i = 0; i < s->n_terms; i++)
        heads[i] = (struct raft_entry){ .term = s->terms[i], .type = RAFT_COMMAND };
    for (size_t i = 0; i < s->n_later; i++) {
        const struct entry *later = s->later[i];
        if (check_change(later->type, entry_data(later)) < 0)
            return err_set(err, ERR_CORRUPT, "raft: entry %llu of the log is malformed",
                           (unsigned long long)later->index);
        heads[later->index - s->first] = head_of(later, NULL);
    }
    return 0;
}

static int start_with(struct engine *e, const struct engine_start *s, struct raft_entry *heads,
                      struct engine_todo *todo, struct err *err)
{
    struct raft_snapshot_metadata meta = { 0 };
    struct raft_event event = { .type = RAFT_START };
    if (s->mark != NULL)
        TRY(metadata_of(s->mark, &meta, err));
    event.start.term = s->term;
    event.start.voted_for = s->voted_for;
    event.start.metadata = s->mark != NULL ? &meta : NULL;
    event.start.start_index = s->first;
    event.start.entries = heads;
    event.start.n_entries = (unsigned)s->n_terms;
    int rc = step(e, &event, todo, err);
    conf_given(e, &meta.configuration);
    return rc;
}

int engine_start(struct engine *e, uint64_t now_ms, const struct engine_start *s,
                 struct engine_todo *todo, struct err *err)
{
    struct raft_entry *heads = raft_malloc((s->n_terms + 1) * sizeof *heads);
    e->now = e->quiet_since = now_ms;
    if (heads == NULL)
        return no_memory(err);
    int rc = fill_heads(s, heads, err);
    bool stepped = rc == 0;
    if (stepped)
        rc = start_with(e, s, heads, todo, err);
    /* That version frees what it could not take. */
    if (!stepped || rc == 0 || !e->takes_conf)
        raft_free(heads);
    TRY(rc);
    e->live = true;
    return settle(e, todo, err);
}

int engine_timeout(struct engine *e, uint64_t now_ms, struct engine_todo *todo, struct err *err)
{
    struct raft_event event = { .type = RAFT_TIMEOUT };
    return run(e, now_ms, &event, todo, err);
}

/* ---- messages ---- */

static bool sane_append(const struct engine *e, const struct engine_message *m)
{
    const struct raft_append_entries *a = &m->m.append_entries;
    uint64_t term = a->prev_log_term, last;
    if ((a->prev_log_index == 0) != (a->prev_log_term == 0) || a->prev_log_term > a->term)
        return false;
    if (__builtin_add_overflow(a->prev_log_index, a->n_entries, &last))
        return false;
    for (unsigned i = 0; i < a->n_entries; i++) {
        const struct entry *x = m->entries[i];
        if (x->term < term || x->term > a->term || x->term == 0 ||
            x->index != a->prev_log_index + 1 + i || check_change(x->type, entry_data(x)) < 0)
            return false;
        term = x->term;
    }
    /* There is one leader a term: another would be a lie or a restored disk. */
    return !(a->term == e->raft.current_term && e->raft.state == RAFT_LEADER);
}

static bool sane_result(const struct engine *e, const struct engine_message *m)
{
    const struct raft_append_entries_result *r = &m->m.append_entries_result;
    return e->raft.state == RAFT_LEADER && r->rejected < UINT64_MAX &&
           r->last_log_index < UINT64_MAX;
}

/* A vote is given to who asks, and for a log that can exist. */
static bool sane_request(const struct engine *e, const struct engine_message *m)
{
    const struct raft_request_vote *v = &m->m.request_vote;
    if (v->candidate_id != m->m.server_id || v->last_log_term > v->term)
        return false;
    /*
     * Leases rest on this: a node that has just started may have promised a leader, before it
     * stopped, not to help another one for an election timeout; and one that has led until now
     * has counted on itself.
     */
    bool disrupts = v->disrupt_leader && e->firm != e->raft.current_term;
    bool promised = e->now - e->quiet_since < e->options.election_ms;
    if (v->disrupt_leader && !disrupts)
        return false;
    return !promised || disrupts || member_voters(&e->raft.configuration) < 2;
}

static bool sane_vote(const struct engine *e, const struct engine_message *m)
{
    const struct raft_request_vote_result *v = &m->m.request_vote_result;
    if (e->raft.state != RAFT_CANDIDATE)
        return false;
    return !(v->vote_granted && v->term > e->raft.current_term + 1) &&
           !(v->vote_granted && !e->raft.candidate_state.in_pre_vote &&
             v->term > e->raft.current_term);
}

static bool sane_install(const struct engine *e, const struct engine_message *m)
{
    const struct raft_install_snapshot *s = &m->m.install_snapshot;
    return s->last_index > 0 && s->last_term > 0 && s->last_term <= s->term && m->conf.n > 0 &&
           s->conf_index > 0 && s->conf_index <= s->last_index &&
           !(s->term == e->raft.current_term && e->raft.state == RAFT_LEADER);
}

static bool is_sane(const struct engine *e, const struct engine_message *m)
{
    if (m->m.server_id == 0 || m->m.server_id == e->number ||
        m->m.server_id != member_number_of_text(m->peer))
        return false;
    switch (m->m.type) {
    case RAFT_APPEND_ENTRIES:
        return sane_append(e, m);
    case RAFT_APPEND_ENTRIES_RESULT:
        return sane_result(e, m);
    case RAFT_REQUEST_VOTE:
        return sane_request(e, m);
    case RAFT_REQUEST_VOTE_RESULT:
        return sane_vote(e, m);
    case RAFT_INSTALL_SNAPSHOT:
        return sane_install(e, m);
    case RAFT_TIMEOUT_NOW:
        return true;
    }
    return false;
}

/*
 * One step for entries [from, to) of the message.  libraft releases entries[0].batch when nothing
 * of it is new, which is a byte made for that.
 */
static int step_part(struct engine *e, struct engine_message *m, unsigned from, unsigned to,
                     struct engine_todo *todo, struct err *err)
{
    struct raft_message part = m->m;
    struct raft_event event = { .type = RAFT_RECEIVE, .receive.message = &part };
    struct raft_append_entries *a = &part.append_entries;
    size_t pieces = todo->n_pieces;
    void *batch = NULL;
    part.server_address = m->peer;
    TRY(make_heads(e, to - from + 1, err));
    if (to > from && (batch = raft_malloc(1)) == NULL)
        return no_memory(err);
    for (unsigned i = from; i < to; i++)
        e->heads[i - from] = head_of(m->entries[i], batch);
    if (from > 0) {
        a->prev_log_index = m->entries[from - 1]->index;
        a->prev_log_term = m->entries[from - 1]->term;
    }
    a->entries = e->heads;
    a->n_entries = to - from;
    e->given = m->entries + from;
    e->n_given = to - from;
    e->given_at = a->prev_log_index + 1;
    int rc = run(e, e->now, &event, todo, err);
    e->n_given = 0;
    if (todo->n_pieces > pieces)
        raft_free(batch);
    return rc;
}

/*
 * libraft takes a configuration for the one at the index of the first new entry: each must begin a
 * step.  And it holds one that is not committed: when another comes behind it, the first has been
 * committed (there is one at a time), which the leader has not told us yet.
 */
static int before_change(struct engine *e, const struct engine_message *m, unsigned at,
                         struct engine_todo *todo, struct err *err)
{
    uint64_t open = e->raft.configuration_uncommitted_index;
    const struct entry *change = m->entries[at];
    uint64_t prev = at > 0 ? m->entries[at - 1]->term : m->m.append_entries.prev_log_term;
    if (open == 0 || open >= change->index || e->raft.snapshot.installing)
        return 0;
    /* Only when it will be appended: ours matches up to there. */
    uint64_t have = e->options.term_of(e->options.ctx, change->index - 1);
    for (size_t i = 0; i < todo->n_pieces; i++)
        for (size_t j = 0; j < todo->pieces[i].n; j++)
            if (todo->pieces[i].v[j]->index == change->index - 1)
                have = todo->pieces[i].v[j]->term;
    return have == prev && m->m.append_entries.term >= e->raft.current_term
               ? commit_conf(e, todo, err)
               : 0;
}

/*
 * A message that begins before our log does: libraft would refuse it for ever, if the leader never
 * learnt that a snapshot was installed.  What the snapshot holds is committed, so the leader has
 * it: the rest counts.
 */
static void skip_known(const struct engine *e, struct engine_message *m)
{
    struct raft_append_entries *a = &m->m.append_entries;
    uint64_t known = e->raft.trail.snapshot.index, n = known - a->prev_log_index;
    if (a->prev_log_index >= known || a->prev_log_index >= e->raft.trail.offset)
        return;
    if (n > a->n_entries)
        n = a->n_entries;
    for (unsigned i = 0; i < a->n_entries; i++) {
        if (i < n)
            entry_drop(m->entries[i]);
        else
            m->entries[i - n] = m->entries[i];
    }
    a->n_entries -= (unsigned)n;
    a->prev_log_index = known;
    a->prev_log_term = e->raft.trail.snapshot.term;
}

static int receive_append(struct engine *e, struct engine_message *m, struct engine_todo *todo,
                          struct err *err)
{
    skip_known(e, m);
    unsigned n = m->m.append_entries.n_entries, from = 0;
    while (from < n || n == 0) {
        unsigned to = from + 1;
        if (n > 0 && m->entries[from]->type == RAFT_CHANGE)
            TRY(before_change(e, m, from, todo, err));
        while (to < n && m->entries[to]->type != RAFT_CHANGE)
            to++;
        TRY(step_part(e, m, from, n == 0 ? 0 : to, todo, err));
        from = to;
        if (n == 0)
            break;
    }
    return 0;
}

static int receive_install(struct engine *e, struct engine_message *m, struct engine_todo *todo,
                           struct err *err)
{
    struct raft_message copy = m->m;
    struct raft_event event = { .type = RAFT_RECEIVE, .receive.message = &copy };
    /* In these cases no version takes what it is given. */
    if (e->raft.snapshot.installing || copy.install_snapshot.term < e->raft.current_term)
        return 0;
    copy.server_address = m->peer;
    TRY(member_copy(&m->conf, &copy.install_snapshot.conf, err));
    struct raft_configuration conf = copy.install_snapshot.conf;
    copy.install_snapshot.data = (struct raft_buffer){ NULL, 0 };
    int rc = run(e, e->now, &event, todo, err);
    conf_given(e, &conf);
    return rc;
}

/*
 * A late rejection of what has been confirmed since makes libraft probe below that, from where it
 * never comes back.  What remains of it is that the member was heard.
 */
static void correct_result(const struct engine *e, struct raft_message *m)
{
    struct raft_append_entries_result *r = &m->append_entries_result;
    r->version = RESULT_VERSION;
    if (r->rejected > 0 && r->rejected <= engine_match(e, m->server_id))
        r->rejected = r->last_log_index = 0;
}

int engine_receive(struct engine *e, uint64_t now_ms, struct engine_message *m,
                   struct engine_todo *todo, struct err *err)
{
    if (now_ms > e->now)
        e->now = now_ms;
    if (!is_sane(e, m))
        return 0;
    if (m->m.type == RAFT_APPEND_ENTRIES)
        return receive_append(e, m, todo, err);
    if (m->m.type == RAFT_INSTALL_SNAPSHOT)
        return receive_install(e, m, todo, err);
    struct raft_message copy = m->m;
    struct raft_event event = { .type = RAFT_RECEIVE, .receive.message = &copy };
    copy.server_address = m->peer;
    if (copy.type == RAFT_REQUEST_VOTE)
        copy.request_vote.version = VOTE_VERSION;
    if (copy.type == RAFT_REQUEST_VOTE_RESULT)
        copy.request_vote_result.version = VOTE_VERSION;
    if (copy.type == RAFT_APPEND_ENTRIES_RESULT)
        correct_result(e, &copy);
    return run(e, e->now, &event, todo, err);
}

/* ---- disk ---- */

int engine_persisted(struct engine *e, uint64_t now_ms, uint64_t seq, struct engine_todo *todo,
                     struct err *err)
{
    struct raft_event event = { .type = RAFT_PERSISTED_ENTRIES };
    size_t n = 0;
    uint64_t last = 0;
    for (; n < e->n_pending && e->pending[n].seq <= seq; n++)
        if (e->pending[n].last > last)
            last = e->pending[n].last;
    memmove(e->pending, e->pending + n, (e->n_pending - n) * sizeof *e->pending);
    e->n_pending -= n;
    if (last <= e->raft.last_stored || e->raft.snapshot.installing)
        return 0;
    event.persisted_entries.index = last;
    return run(e, now_ms, &event, todo, err);
}

int engine_installed(struct engine *e, uint64_t now_ms, const struct mark *mark,
                     struct engine_todo *todo, struct err *err)
{
    struct raft_event event = { .type = RAFT_PERSISTED_SNAPSHOT };
    TRY(metadata_of(mark, &event.persisted_snapshot.metadata, err));
    struct raft_configuration copy = event.persisted_snapshot.metadata.configuration;
    event.persisted_snapshot.last = true;
    todo->conf_changed = true;
    int rc = run(e, now_ms, &event, todo, err);
    conf_given(e, &copy);
    return rc;
}

int engine_compact(struct engine *e, uint64_t now_ms, const struct mark *mark, unsigned trailing,
                   struct engine_todo *todo, struct err *err)
{
    struct raft_event event = { .type = RAFT_SNAPSHOT };
    if (mark->index <= e->raft.trail.snapshot.index || e->raft.snapshot.installing ||
        mark->index > raft_last_index(&e->raft))
        return 0;
    TRY(metadata_of(mark, &event.snapshot.metadata, err));
    struct raft_configuration copy = event.snapshot.metadata.configuration;
    event.snapshot.trailing = trailing;
    int rc = run(e, now_ms, &event, todo, err);
    conf_given(e, &copy);
    return rc;
}

/* ---- requests ---- */

static int refused(int rc, struct err *err)
{
    if (rc == RAFT_NOTLEADER)
        return err_set(err, ERR_STANDBY, "raft: this node does not lead");
    if (rc == RAFT_CANTCHANGE)
        return err_set(err, ERR_CONFLICT, "raft: another change of members is under way");
    return err_set(err, rc == RAFT_NOMEM ? ERR_NOMEM : ERR_BAD_REQUEST, "raft: %s",
                   raft_strerror(rc));
}

static int check_submit(const struct engine *e, const struct entry *entry, struct err *err)
{
    if (e->raft.state != RAFT_LEADER || e->raft.leader_state.transferee != 0)
        return refused(RAFT_NOTLEADER, err);
    if (entry->type == RAFT_CHANGE && (e->raft.configuration_uncommitted_index != 0 ||
                                       e->raft.leader_state.promotee_id != 0))
        return refused(RAFT_CANTCHANGE, err);
    if (check_change(entry->type, entry_data(entry)) < 0)
        return refused(RAFT_MALFORMED, err);
    return 0;
}

int engine_submit(struct engine *e, uint64_t now_ms, struct entry *entry, struct engine_todo *todo,
                  struct err *err)
{
    struct raft_event event = { .type = RAFT_SUBMIT };
    if (check_submit(e, entry, err) < 0 || make_heads(e, 1, err) < 0) {
        entry_drop(entry);
        return -1;
    }
    entry->term = e->raft.current_term;
    entry->index = raft_last_index(&e->raft) + 1;
    e->heads[0] = head_of(entry, entry);
    event.submit.entries = e->heads;
    event.submit.n = 1;
    e->given = &entry;
    e->n_given = 1;
    e->given_at = entry->index;
    int rc = run(e, now_ms, &event, todo, err);
    e->n_given = 0;
    entry_drop(entry);
    return rc;
}

int engine_transfer(struct engine *e, uint64_t now_ms, uint64_t to, struct engine_todo *todo,
                    struct err *err)
{
    struct raft_event event = { .type = RAFT_TRANSFER, .transfer.server_id = to };
    const struct raft_server *s = member_of(&e->raft.configuration, to);
    if (e->raft.state != RAFT_LEADER || e->raft.leader_state.transferee != 0)
        return refused(RAFT_NOTLEADER, err);
    if (s == NULL || s->role != RAFT_VOTER || to == e->number)
        return refused(RAFT_BADID, err);
    todo->role_changed = true;
    return run(e, now_ms, &event, todo, err);
}

void engine_firm(struct engine *e, bool firm)
{
    e->firm = firm ? e->raft.current_term : 0;
}

/* ---- looking ---- */

uint64_t engine_due_ms(const struct engine *e)
{
    return e->live ? raft_timeout(&e->raft) : UINT64_MAX;
}

void engine_look(const struct engine *e, struct engine_view *out)
{
    struct raft *r = (struct raft *)(uintptr_t)&e->raft;
    raft_id leader;
    *out = (struct engine_view){
        .state = raft_state(r),
        .term = r->current_term,
        .voted_for = r->voted_for,
        .last = raft_last_index(r),
        .stored = r->last_stored,
        .committed = r->commit_index,
        .conf = &r->configuration,
        .conf_index = conf_index(e),
        .conf_pending = r->configuration_uncommitted_index != 0,
        .snapshot = r->trail.snapshot.index,
    };
    raft_leader(r, &leader, &out->leader_text);
    out->leader = leader;
    out->transferring = r->state == RAFT_LEADER && r->leader_state.transferee != 0;
}

uint64_t engine_match(const struct engine *e, uint64_t member)
{
    raft_index index = 0;
    return raft_match_index(&e->raft, member, &index) == 0 ? index : 0;
}

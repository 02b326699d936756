/* Member: numbers, texts and configurations of a cluster's members. */
#include "storage/raft/member.h"

#include "crypto/digest.h"
#include "storage/ha.h"

enum { MEMBERS_MAX = 1024, CONF_FORMAT = 1, NUMBER_N = 8 };

uint64_t member_number(struct str id)
{
    uint8_t sum[DIGEST_MAX] = { 0 };
    uint64_t n = 0;
    struct err err;
    if (digest_of(DIGEST_SHA256, id, sum, &err) < 0)
        return 1 + str_hash(id) / 2;
    for (int i = 0; i < NUMBER_N; i++)
        n = n << 8 | sum[i];
    return n != 0 ? n : 1;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
            return false;
    return s.n < HA_NAME_MAX;
}

int member_text(struct str id, struct str addr, char out[MEMBER_TEXT_MAX], struct err *err)
{
    if (id.n == 0 || !is_plain(id))
        return err_set(err, ERR_BAD_REQUEST, "a node id is 1 to %d printable characters",
                       HA_NAME_MAX - 1);
    if (!is_plain(addr))
        return err_set(err, ERR_BAD_REQUEST, "a cluster address is at most %d printable characters",
                       HA_NAME_MAX - 1);
    memcpy(out, id.p, id.n);
    out[id.n] = '\t';
    if (addr.n > 0)
        memcpy(out + id.n + 1, addr.p, addr.n);
    out[id.n + 1 + addr.n] = 0;
    return 0;
}

void member_parts(const char *text, struct str *id, struct str *addr)
{
    struct str whole = str_of(text);
    ptrdiff_t at = str_find_byte(whole, '\t');
    *id = at < 0 ? whole : str_head(whole, (size_t)at);
    *addr = at < 0 ? STR("") : str_from(whole, (size_t)at + 1);
}

uint64_t member_number_of_text(const char *text)
{
    struct str id, addr;
    member_parts(text, &id, &addr);
    return member_number(id);
}

struct raft_server *member_of(const struct raft_configuration *c, uint64_t number)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id == number)
            return &c->servers[i];
    return NULL;
}

size_t member_voters(const struct raft_configuration *c)
{
    size_t n = 0;
    for (unsigned i = 0; i < c->n; i++)
        n += c->servers[i].role == RAFT_VOTER;
    return n;
}

void member_clear(struct raft_configuration *c)
{
    raft_configuration_close(c);
    raft_configuration_init(c);
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "raft: out of memory");
}

int member_encode(const struct raft_configuration *c, struct buf *out, struct err *err)
{
    struct raft_buffer b;
    if (c->n == 0)
        return err_set(err, ERR_INTERNAL, "raft: a configuration without members");
    if (raft_configuration_encode(c, &b) != 0)
        return no_memory(err);
    buf_add(out, str_mem(b.base, b.len));
    raft_free(b.base);
    return buf_check(out, err);
}

static uint64_t load_le64(const char *p)
{
    uint64_t v = 0;
    for (int i = NUMBER_N; i-- > 0;)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "raft: a list of members is malformed");
}

/* One server: number, text with its NUL, role. */
static int take_server(struct str *rest, struct raft_configuration *out, struct err *err)
{
    if (rest->n < NUMBER_N)
        return corrupt(err);
    uint64_t number = load_le64(rest->p);
    *rest = str_from(*rest, NUMBER_N);
    ptrdiff_t end = str_find_byte(*rest, 0);
    if (number == 0 || end < 1 || end >= MEMBER_TEXT_MAX || rest->n < (size_t)end + 2)
        return corrupt(err);
    const char *text = rest->p;
    int role = (uint8_t)rest->p[end + 1];
    *rest = str_from(*rest, (size_t)end + 2);
    int rc = raft_configuration_add(out, number, text, role);
    if (rc == RAFT_NOMEM)
        return no_memory(err);
    return rc == 0 ? 0 : corrupt(err);
}

int member_decode(struct str bytes, struct raft_configuration *out, struct err *err)
{
    raft_configuration_init(out);
    if (bytes.n < 1 + NUMBER_N || bytes.p[0] != CONF_FORMAT)
        return corrupt(err);
    uint64_t n = load_le64(bytes.p + 1);
    struct str rest = str_from(bytes, 1 + NUMBER_N);
    if (n == 0 || n > MEMBERS_MAX)
        return corrupt(err);
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0; i++)
        rc = take_server(&rest, out, err);
    if (rc == 0 && rest.n >= NUMBER_N)
        rc = corrupt(err);
    if (rc < 0)
        member_clear(out);
    return rc;
}

int member_copy(const struct raft_configuration *c, struct raft_configuration *out,
                struct err *err)
{
    return member_without(c, 0, out, err);
}

int member_without(const struct raft_configuration *c, uint64_t number,
                   struct raft_configuration *out, struct err *err)
{
    raft_configuration_init(out);
    for (unsigned i = 0; i < c->n; i++) {
        const struct raft_server *s = &c->servers[i];
        if (s->id == number || raft_configuration_add(out, s->id, s->address, s->role) == 0)
            continue;
        member_clear(out);
        return no_memory(err);
    }
    return 0;
}

/* The order of servers stays: libraft keeps its progress by position. */
int member_with(const struct raft_configuration *c, struct str id, struct str addr, int role,
                struct raft_configuration *out, struct err *err)
{
    char text[MEMBER_TEXT_MAX];
    uint64_t number = member_number(id);
    TRY(member_text(id, addr, text, err));
    raft_configuration_init(out);
    int rc = 0;
    for (unsigned i = 0; i < c->n && rc == 0; i++) {
        const struct raft_server *s = &c->servers[i];
        bool it = s->id == number;
        rc = raft_configuration_add(out, s->id, it ? text : s->address, it ? role : s->role);
    }
    if (rc == 0 && member_of(c, number) == NULL)
        rc = raft_configuration_add(out, number, text, role);
    if (rc == 0)
        return 0;
    member_clear(out);
    return rc == RAFT_NOMEM ? no_memory(err)
                            : err_set(err, ERR_BAD_REQUEST, "raft: %s", raft_strerror(rc));
}

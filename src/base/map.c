/* Open addressing with linear probing; at most 3/4 full, tombstones counted. */
#include "base/map.h"

#include <stdlib.h>

#include "base/random.h"

struct map_slot {
    uint64_t hash;
    char *key; /* NULL: never used; TOMB: used once */
    size_t n;
    void *value;
};

static char tomb_mark;
#define TOMB (&tomb_mark)

/* SipHash-1-3 (Aumasson, Bernstein 2012; reduced rounds as in Rust's and Ruby's tables). */
static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static const uint64_t *hash_key(void)
{
    static _Thread_local uint64_t mine[2];
    static uint64_t shared[2];
    static int state; /* 0 unset, 1 being set, 2 set */
    if (mine[0] == 0) {
        int unset = 0;
        if (__atomic_compare_exchange_n(&state, &unset, 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            random_fill(shared, sizeof shared);
            shared[0] |= 1;
            __atomic_store_n(&state, 2, __ATOMIC_RELEASE);
        }
        while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != 2)
            ;
        mine[0] = shared[0];
        mine[1] = shared[1];
    }
    return mine;
}

uint64_t map_hash(struct str s)
{
    const uint64_t *k = hash_key();
    uint64_t v[4] = { k[0] ^ 0x736f6d6570736575ULL, k[1] ^ 0x646f72616e646f6dULL,
                      k[0] ^ 0x6c7967656e657261ULL, k[1] ^ 0x7465646279746573ULL };
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t word;
        memcpy(&word, s.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)s.n << 56;
    for (size_t j = 0; i + j < s.n; j++)
        last |= (uint64_t)(unsigned char)s.p[i + j] << (8 * j);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t h)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = h & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (s->key == NULL)
            return NULL;
        if (s->key != TOMB && s->hash == h && str_eq(str_mem(s->key, s->n), key))
            return s;
    }
}

void *map_get(const struct map *m, struct str key)
{
    const struct map_slot *s = find(m, key, map_hash(key));
    return s == NULL ? NULL : s->value;
}

static void place(struct map *m, struct map_slot what)
{
    size_t i = what.hash & (m->cap - 1);
    while (m->slots[i].key != NULL && m->slots[i].key != TOMB)
        i = (i + 1) & (m->cap - 1);
    if (m->slots[i].key == TOMB)
        m->tombs--;
    m->slots[i] = what;
    m->n++;
}

static int make_room(struct map *m, struct err *err)
{
    if ((m->n + m->tombs + 1) * 4 <= m->cap * 3)
        return 0;
    struct map bigger = { .cap = m->cap == 0 ? 8 : m->n * 2 >= m->cap ? m->cap * 2 : m->cap };
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key != NULL && m->slots[i].key != TOMB)
            place(&bigger, m->slots[i]);
    free(m->slots);
    *m = bigger;
    return 0;
}

int map_put(struct map *m, struct str key, void *value, void **old, struct err *err)
{
    uint64_t h = map_hash(key);
    struct map_slot *s = find(m, key, h);
    if (old != NULL)
        *old = s == NULL ? NULL : s->value;
    if (s != NULL) {
        s->value = value;
        return 0;
    }
    TRY(make_room(m, err));
    char *copy = malloc(key.n + 1);
    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (key.n > 0)
        memcpy(copy, key.p, key.n);
    place(m, (struct map_slot){ .hash = h, .key = copy, .n = key.n, .value = value });
    return 0;
}

static void drop_key(struct map_slot *s)
{
    explicit_bzero(s->key, s->n);
    free(s->key);
}

void *map_remove(struct map *m, struct str key)
{
    struct map_slot *s = find(m, key, map_hash(key));
    if (s == NULL)
        return NULL;
    void *value = s->value;
    drop_key(s);
    *s = (struct map_slot){ .key = TOMB };
    m->n--;
    m->tombs++;
    return value;
}

bool map_next(const struct map *m, size_t *at, struct str *key, void **value)
{
    for (; *at < m->cap; (*at)++) {
        const struct map_slot *s = &m->slots[*at];
        if (s->key == NULL || s->key == TOMB)
            continue;
        if (key != NULL)
            *key = str_mem(s->key, s->n);
        if (value != NULL)
            *value = s->value;
        (*at)++;
        return true;
    }
    return false;
}

void map_free(struct map *m, void (*free_value)(void *))
{
    for (size_t i = 0; i < m->cap; i++) {
        struct map_slot *s = &m->slots[i];
        if (s->key == NULL || s->key == TOMB)
            continue;
        drop_key(s);
        if (free_value != NULL)
            free_value(s->value);
    }
    free(m->slots);
    *m = (struct map){ 0 };
}

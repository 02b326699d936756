/* Leaf sums. */
#include "storage/hashtree.h"

#include "base/buf.h"
#include "crypto/digest.h"

int hashtree_hash(struct str key, struct str value, struct hashtree_entry *out, struct err *err)
{
    uint8_t of_value[DIGEST_MAX], of_entry[DIGEST_MAX];
    char small[512];
    AUTO(buf_free) struct buf large = { 0 };
    size_t n = key.n + 1 + 32;
    TRY(digest_of(DIGEST_SHA256, value, of_value, err));
    if (n > sizeof small && buf_reserve(&large, n) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    char *text = n > sizeof small ? large.p : small;
    memcpy(text, key.p, key.n);
    text[key.n] = 0;
    memcpy(text + key.n + 1, of_value, 32);
    TRY(digest_of(DIGEST_SHA256, str_mem(text, n), of_entry, err));
    /* The key's own hash need not resist anybody: who chooses keys may fill one leaf. */
    uint64_t h = str_hash(key);
    out->leaf = (uint32_t)((h ^ h >> 32) % HASHTREE_LEAVES);
    memcpy(out->value, of_value, sizeof out->value);
    memcpy(out->sum.bytes, of_entry, sizeof out->sum.bytes);
    return 0;
}

static unsigned __int128 load(const struct hashtree_sum *s)
{
    unsigned __int128 v = 0;
    for (size_t i = sizeof s->bytes; i-- > 0;)
        v = v << 8 | s->bytes[i];
    return v;
}

static void store(struct hashtree_sum *s, unsigned __int128 v)
{
    for (size_t i = 0; i < sizeof s->bytes; i++, v >>= 8)
        s->bytes[i] = (uint8_t)v;
}

void hashtree_add(struct hashtree *t, const struct hashtree_entry *e)
{
    store(&t->leaf[e->leaf], load(&t->leaf[e->leaf]) + load(&e->sum));
}

void hashtree_sub(struct hashtree *t, const struct hashtree_entry *e)
{
    store(&t->leaf[e->leaf], load(&t->leaf[e->leaf]) - load(&e->sum));
}

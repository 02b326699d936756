/* Sorting by eight-byte prefixes: short runs by insertion, then merged; O(n log n), stable. */
#include "codec/members.h"

static uint64_t prefix_of(struct str key)
{
    uint64_t word = 0;
    if (key.n >= 8) {
        memcpy(&word, key.p, 8);
        return __builtin_bswap64(word);
    }
    for (size_t i = 0; i < key.n; i++)
        word |= (uint64_t)(unsigned char)key.p[i] << (56 - 8 * i);
    return word;
}

void members_list(const struct json *object, struct member *out)
{
    size_t i = 0;
    for (struct json *m = object->first; m != NULL; m = m->next)
        out[i++] = (struct member){ prefix_of(m->key), m };
}

int members_cmp(const struct member *a, const struct member *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return str_cmp(a->json->key, b->json->key);
}

static void insertion_sort(struct member *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct member m = v[i];
        size_t j = i;
        for (; j > 0 && members_cmp(&v[j - 1], &m) > 0; j--)
            v[j] = v[j - 1];
        v[j] = m;
    }
}

/* Merge a[0, mid) and a[mid, n) into out. */
static void merge(const struct member *a, size_t mid, size_t n, struct member *out)
{
    size_t i = 0, j = mid, k = 0;
    while (i < mid && j < n)
        out[k++] = members_cmp(&a[i], &a[j]) <= 0 ? a[i++] : a[j++];
    if (i < mid)
        memcpy(out + k, a + i, (mid - i) * sizeof *a);
    else if (j < n)
        memcpy(out + k, a + j, (n - j) * sizeof *a);
}

static bool is_sorted(const struct member *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (members_cmp(&v[i - 1], &v[i]) > 0)
            return false;
    return true;
}

void members_sort(struct member *v, struct member *scratch, size_t n)
{
    if (n <= MEMBERS_SMALL) {
        insertion_sort(v, n);
        return;
    }
    if (is_sorted(v, n))
        return;
    for (size_t i = 0; i < n; i += MEMBERS_SMALL)
        insertion_sort(v + i, n - i < MEMBERS_SMALL ? n - i : MEMBERS_SMALL);
    struct member *from = v, *to = scratch;
    for (size_t run = MEMBERS_SMALL; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            size_t left = n - i;
            merge(from + i, left < run ? left : run, left < 2 * run ? left : 2 * run, to + i);
        }
        struct member *swap = from;
        from = to;
        to = swap;
    }
    if (from != v)
        memcpy(v, from, n * sizeof *v);
}

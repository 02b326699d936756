/* Writing JSON as Go's encoder does, without recursion and without touching the tree. */
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "codec/json.h"
#include "codec/members.h"
#include "codec/utf8.h"

/* An open container; its sorted members are slots[at, end). */
struct frame {
    const struct json *container;
    const struct json *next; /* the child to come, when it is not sorted */
    size_t base, at, end;
    bool sorted;
};

enum { FEW_FRAMES = 16, FEW_SLOTS = 64, FIRST_ROOM = 256 };

struct printer {
    struct buf *out;
    int indent; /* -1: all on one line */
    bool html;  /* '<', '>', '&' are escaped */
    struct frame *frames;
    size_t depth, frame_cap;
    struct member *slots;
    size_t used, slot_cap;
    struct frame few_frames[FEW_FRAMES];
    struct member few_slots[FEW_SLOTS];
};

static inline void put(struct buf *out, const char *p, size_t n)
{
    if (out->cap - out->n < n && buf_reserve(out, n) < 0)
        return;
    if (n > 0)
        memcpy(out->p + out->n, p, n);
    out->n += n;
}

static inline void put_byte(struct buf *out, char c)
{
    if (out->n == out->cap && buf_reserve(out, 1) < 0)
        return;
    out->p[out->n++] = c;
}

/* ----------------------------------------------------------------- strings */

/* Bytes that are not written as they are. */
static const bool odd_byte[256] = {
    [0 ... 31] = true, ['"'] = true, ['\\'] = true, ['<'] = true,
    ['>'] = true,      ['&'] = true, [128 ... 255] = true,
};

#ifdef __SSE2__
/* A bit for each byte that is not. */
static inline int odd_bytes(__m128i v)
{
    __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                               _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(v, _mm_set1_epi8('&')));
    /* '<' and '>' differ in the bit of value 2 alone. */
    __m128i angle = _mm_and_si128(v, _mm_set1_epi8(~2));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(angle, _mm_set1_epi8('<')));
    odd = _mm_or_si128(odd, _mm_cmplt_epi8(v, _mm_set1_epi8(' ')));
    return _mm_movemask_epi8(odd);
}
#endif

/* How many bytes from ${p} on are written as they are. */
static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;
#ifdef __SSE2__
    for (; n - i >= 16; i += 16) {
        int mask = odd_bytes(_mm_loadu_si128((const __m128i *)(const void *)(p + i)));
        if (mask != 0)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < n && !odd_byte[(unsigned char)p[i]])
        i++;
    return i;
}

static void put_u00(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
    put(out, text, sizeof text);
}

static void put_ascii(struct buf *out, char c, bool html)
{
    char pair[2] = { '\\', c };
    switch (c) {
    case '"':
    case '\\':
        break;
    case '\n':
        pair[1] = 'n';
        break;
    case '\r':
        pair[1] = 'r';
        break;
    case '\t':
        pair[1] = 't';
        break;
    case '<':
    case '>':
    case '&':
        if (!html) {
            put_byte(out, c);
            return;
        }
        put_u00(out, (unsigned char)c);
        return;
    default:
        put_u00(out, (unsigned char)c);
        return;
    }
    put(out, pair, sizeof pair);
}

/* One character beyond ASCII, or a byte that is none; returns how many bytes it took. */
static size_t put_wide(struct buf *out, const char *p, size_t n)
{
    size_t len = utf8_len(p, n);
    if (len == 0) {
        put(out, "\\ufffd", 6);
        return 1;
    }
    if (len == 3 && (memcmp(p, "\xE2\x80\xA8", 3) == 0 || memcmp(p, "\xE2\x80\xA9", 3) == 0))
        put(out, p[2] == '\xA8' ? "\\u2028" : "\\u2029", 6);
    else
        put(out, p, len);
    return len;
}

static void put_string(struct buf *out, struct str s, bool html)
{
    put_byte(out, '"');
    for (size_t i = 0;;) {
        size_t run = plain_run(s.p + i, s.n - i);
        put(out, s.p + i, run);
        i += run;
        if (i == s.n)
            break;
        if ((signed char)s.p[i] < 0)
            i += put_wide(out, s.p + i, s.n - i);
        else
            put_ascii(out, s.p[i++], html);
    }
    put_byte(out, '"');
}

#ifdef __SSE2__
/* 4 to 16 bytes in one register, those in the middle perhaps twice. */
static __m128i load_short(const char *p, size_t n)
{
    if (n >= 8) {
        uint64_t low, high;
        memcpy(&low, p, 8);
        memcpy(&high, p + n - 8, 8);
        return _mm_set_epi64x((long long)high, (long long)low);
    }
    uint32_t low, high;
    memcpy(&low, p, 4);
    memcpy(&high, p + n - 4, 4);
    return _mm_set1_epi64x((long long)((uint64_t)high << 32 | low));
}
#endif

/* Is the whole of it written as it is? Names mostly are, and most are short. */
static bool is_plain(struct str s)
{
#ifdef __SSE2__
    if (s.n >= 4 && s.n < 16)
        return odd_bytes(load_short(s.p, s.n)) == 0;
#endif
    return plain_run(s.p, s.n) == s.n;
}

void json_print_string(struct str s, struct buf *out)
{
    if (!is_plain(s)) {
        put_string(out, s, true);
        return;
    }
    if (out->cap - out->n < s.n + 2 && buf_reserve(out, s.n + 2) < 0)
        return;
    char *p = out->p + out->n;
    *p++ = '"';
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = '"';
    out->n += s.n + 2;
}

/* ------------------------------------------------------------------- stacks */

/*
 * Twice the room for an array that may have begun on the stack.  Not from the tree's arena: a tree
 * that is printed again and again would fill it.
 */
static void *grow(void *old, const void *few, size_t used_bytes, size_t want_bytes)
{
    void *p = malloc(want_bytes);
    if (p == NULL)
        return NULL;
    memcpy(p, old, used_bytes);
    explicit_bzero(old, used_bytes);
    if (old != few)
        free(old);
    return p;
}

static bool want_slots(struct printer *pr, size_t more)
{
    if (pr->slot_cap - pr->used >= more)
        return true;
    size_t cap = pr->slot_cap * 2 > pr->used + more ? pr->slot_cap * 2 : pr->used + more;
    void *p = grow(pr->slots, pr->few_slots, pr->used * sizeof *pr->slots, cap * sizeof *pr->slots);
    if (p == NULL)
        return false;
    pr->slots = p;
    pr->slot_cap = cap;
    return true;
}

static bool want_frame(struct printer *pr)
{
    if (pr->depth < pr->frame_cap)
        return true;
    size_t cap = pr->frame_cap * 2;
    void *p = grow(pr->frames, pr->few_frames, pr->depth * sizeof *pr->frames,
                   cap * sizeof *pr->frames);
    if (p == NULL)
        return false;
    pr->frames = p;
    pr->frame_cap = cap;
    return true;
}

static void release_stacks(struct printer *pr)
{
    if (pr->slots != pr->few_slots) {
        explicit_bzero(pr->slots, pr->slot_cap * sizeof *pr->slots);
        free(pr->slots);
    }
    if (pr->frames != pr->few_frames)
        free(pr->frames);
}

static bool push(struct printer *pr, const struct json *v)
{
    bool sorted = v->type == JSON_OBJECT && !v->keep_order && v->count > 1;
    size_t n = sorted ? v->count : 0;
    if (!want_frame(pr) || !want_slots(pr, n > MEMBERS_SMALL ? 2 * n : n)) {
        pr->out->failed = true;
        return false;
    }
    struct member *slots = pr->slots + pr->used;
    if (sorted) {
        members_list(v, slots);
        members_sort(slots, slots + n, n);
    }
    pr->frames[pr->depth++] =
        (struct frame){ v, v->first, pr->used, pr->used, pr->used + n, sorted };
    pr->used += n;
    return true;
}

/* ------------------------------------------------------------------ printing */

static bool is_open(const struct json *v)
{
    return v != NULL && (v->type == JSON_OBJECT || v->type == JSON_ARRAY) && v->first != NULL;
}

static void put_leaf(struct printer *pr, const struct json *v)
{
    switch (v == NULL ? JSON_NULL : v->type) {
    case JSON_NULL:
        put(pr->out, "null", 4);
        break;
    case JSON_BOOL:
        put(pr->out, v->truth ? "true" : "false", v->truth ? 4 : 5);
        break;
    case JSON_STRING:
        put_string(pr->out, v->text, pr->html);
        break;
    case JSON_NUMBER:
    case JSON_RAW:
        put(pr->out, v->text.p, v->text.n);
        break;
    case JSON_ARRAY:
        put(pr->out, "[]", 2);
        break;
    case JSON_OBJECT:
        put(pr->out, "{}", 2);
        break;
    }
}

static void new_line(struct printer *pr)
{
    if (pr->indent < 0)
        return;
    put_byte(pr->out, '\n');
    for (size_t i = 0; i < pr->depth * (size_t)pr->indent; i++)
        put_byte(pr->out, ' ');
}

static const struct json *next_child(struct printer *pr, struct frame *f)
{
    if (f->sorted)
        return f->at == f->end ? NULL : pr->slots[f->at++].json;
    const struct json *child = f->next;
    if (child != NULL) {
        f->next = child->next;
        f->at++;
    }
    return child;
}

static void close_frame(struct printer *pr)
{
    const struct frame *f = &pr->frames[--pr->depth];
    pr->used = f->base;
    new_line(pr);
    put_byte(pr->out, f->container->type == JSON_OBJECT ? '}' : ']');
}

static void put_key(struct printer *pr, struct str key)
{
    put_string(pr->out, key, pr->html);
    put_byte(pr->out, ':');
    if (pr->indent >= 0)
        put_byte(pr->out, ' ');
}

/* A value, and into it when it holds others. */
static bool put_value(struct printer *pr, const struct json *v)
{
    if (!is_open(v)) {
        put_leaf(pr, v);
        return true;
    }
    put_byte(pr->out, v->type == JSON_OBJECT ? '{' : '[');
    return push(pr, v);
}

static void print(const struct json *v, struct buf *out, int indent, bool html)
{
    struct printer pr;
    pr.out = out;
    pr.indent = indent;
    pr.html = html;
    pr.frames = pr.few_frames;
    pr.slots = pr.few_slots;
    pr.depth = pr.used = 0;
    pr.frame_cap = FEW_FRAMES;
    pr.slot_cap = FEW_SLOTS;

    bool going = put_value(&pr, v);
    while (going && pr.depth > 0) {
        struct frame *f = &pr.frames[pr.depth - 1];
        bool first = f->at == f->base;
        const struct json *child = next_child(&pr, f);
        if (child == NULL) {
            close_frame(&pr);
            continue;
        }
        if (!first)
            put_byte(out, ',');
        new_line(&pr);
        if (f->container->type == JSON_OBJECT)
            put_key(&pr, child->key);
        going = put_value(&pr, child);
    }
    release_stacks(&pr);
}

void json_print(const struct json *v, struct buf *out)
{
    if (is_open(v) && buf_reserve(out, FIRST_ROOM) < 0)
        return;
    print(v, out, -1, true);
}

void json_print_pretty(const struct json *v, int indent, struct buf *out)
{
    print(v, out, indent < 0 ? 0 : indent, false);
}

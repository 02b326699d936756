/* Base62: a big whole number in chunks of ten digits, the most that a 64-bit word holds. */
#include "codec/base62.h"

enum { CHUNK = 10 };
static const uint64_t CHUNK_VALUE = 839299365868340224U; /* 62^10 */

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* Big-endian bytes to words, the highest first. */
static void load_words(struct str bytes, uint64_t *words, size_t n)
{
    memset(words, 0, n * sizeof *words);
    for (size_t i = 0; i < bytes.n; i++) {
        size_t from_end = bytes.n - 1 - i;
        words[n - 1 - from_end / 8] |= (uint64_t)(uint8_t)bytes.p[i] << (from_end % 8 * 8);
    }
}

/* Divide in place; returns the rest. */
static uint64_t divide(uint64_t *words, size_t n, uint64_t by)
{
    uint64_t rest = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned __int128 part = (unsigned __int128)rest << 64 | words[i];
        words[i] = (uint64_t)(part / by);
        rest = (uint64_t)(part % by);
    }
    return rest;
}

struct str base62_encode(struct arena *a, struct str bytes)
{
    size_t n = (bytes.n + 7) / 8, first = 0;
    /* A byte is less than 1.35 digits. */
    size_t room = bytes.n + bytes.n / 2 + CHUNK + 1;
    uint64_t *words = arena_array(a, n + 1, sizeof *words);
    char *text = arena_bytes(a, room);

    if (words == NULL || text == NULL)
        return (struct str){ NULL, 0 };
    load_words(bytes, words, n);
    size_t at = room;
    for (;;) {
        while (first < n && words[first] == 0)
            first++;
        if (first == n)
            break;
        uint64_t chunk = divide(words + first, n - first, CHUNK_VALUE);
        for (int i = 0; i < CHUNK; i++, chunk /= 62)
            text[--at] = digits[chunk % 62];
    }
    while (at < room && text[at] == '0')
        at++;
    if (at == room)
        text[--at] = '0';
    return (struct str){ text + at, room - at };
}

static int value_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 36;
    return -1;
}

/* words = words * by + plus, the highest word first; the room suffices by construction. */
static void multiply_add(uint64_t *words, size_t n, uint64_t by, uint64_t plus)
{
    for (size_t i = n; i-- > 0;) {
        unsigned __int128 part = (unsigned __int128)words[i] * by + plus;
        words[i] = (uint64_t)part;
        plus = (uint64_t)(part >> 64);
    }
}

static struct str store_bytes(const uint64_t *words, size_t n, char *out)
{
    size_t len = n * 8, skip = 0;

    for (size_t i = 0; i < len; i++)
        out[i] = (char)(words[i / 8] >> (56 - i % 8 * 8));
    while (skip < len && out[skip] == 0)
        skip++;
    return (struct str){ out + skip, len - skip };
}

int base62_decode(struct arena *a, struct str text, struct str *out, struct err *err)
{
    /* A digit is less than six bits. */
    size_t n = text.n * 6 / 64 + 1;
    uint64_t *words = arena_array(a, n, sizeof *words), chunk = 0, scale = 1;
    char *bytes = arena_bytes(a, n * 8);

    TRY(arena_check(a, err));
    if (text.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "base62: no digits");
    for (size_t i = 0; i < text.n; i++) {
        int value = value_of(text.p[i]);
        if (value < 0)
            return err_set(err, ERR_BAD_REQUEST, "base62: bad character at %zu", i);
        chunk = chunk * 62 + (uint64_t)value;
        scale *= 62;
        if (scale == CHUNK_VALUE || i + 1 == text.n) {
            multiply_add(words, n, scale, chunk);
            chunk = 0;
            scale = 1;
        }
    }
    *out = store_bytes(words, n, bytes);
    return 0;
}

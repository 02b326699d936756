/* Utf8: how long the well-formed sequence at a byte is (Unicode 15, table 3-7; as Go's utf8). */
#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H

#include "base/attr.h"

/* Length of the sequence that starts at ${p}, of at most ${n} > 0 bytes; 0 when it is not UTF-8. */
static inline size_t utf8_len(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    unsigned char c = u[0];
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4 || n < 2)
        return 0;
    unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (u[1] < low || u[1] > high)
        return 0;
    if (c < 0xE0)
        return 2;
    if (n < 3 || (u[2] & 0xC0) != 0x80)
        return 0;
    if (c < 0xF0)
        return 3;
    return n < 4 || (u[3] & 0xC0) != 0x80 ? 0 : 4;
}

/* Write ${rune} (no surrogate, at most 0x10FFFF) to ${out}, which has 4 bytes; returns its length.
 */
static inline size_t utf8_put(char *out, uint32_t rune)
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xC0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3F));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (char)(0xE0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3F));
        out[2] = (char)(0x80 | (rune & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3F));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3F));
    out[3] = (char)(0x80 | (rune & 0x3F));
    return 4;
}

#endif

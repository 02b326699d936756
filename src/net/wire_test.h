/* Wire_test: what tests of servers say and hear on a socket, byte by byte. */
#ifndef NET_WIRE_TEST_H
#define NET_WIRE_TEST_H

#include "net/clusters_test.h"

static inline void wire_say(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may close early: what it said is still to be read */
        s = str_from(s, (size_t)n);
    }
}

/* Read until the server closes, or ${until} stands in it.  False: cut off. */
static inline bool wire_hear(int fd, const char *until, struct buf *out)
{
    for (;;) {
        char part[65536];
        ssize_t n = recv(fd, part, sizeof part, 0);
        if (n <= 0)
            return n == 0;
        buf_add(out, str_mem(part, (size_t)n));
        if (until != NULL && str_find(buf_str(out), str_of(until)) >= 0)
            return true;
    }
}

/* Send on a new connection, read to the end. */
static inline bool wire_talk(struct str addr, struct str request, struct buf *out)
{
    int fd = dial_plain(addr);
    wire_say(fd, request);
    bool whole = wire_hear(fd, NULL, out);
    close(fd);
    return whole;
}

/* An HTTP/2 frame's type, flags and stream, the payload follows. */
static inline void wire_frame(struct buf *b, char type, char flags, uint32_t id,
                              struct str payload)
{
    char head[9] = {
        (char)(payload.n >> 16), (char)(payload.n >> 8), (char)payload.n, type,    flags,
        (char)(id >> 24),        (char)(id >> 16),       (char)(id >> 8), (char)id
    };
    buf_add(b, str_mem(head, 9));
    buf_add(b, payload);
}

/* The beginning of HTTP/2 and the head of a POST to ${path} (shorter than 127) on stream 1. */
static inline void wire_post2(struct buf *out, const char *path, bool has_body)
{
    AUTO(buf_free) struct buf block = { 0 };
    static const char begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    buf_add(out, str_mem(begin, sizeof begin - 1));
    buf_printf(&block,
               "\x83\x86\x04%c%s\x41\x01"
               "b",
               (int)strlen(path), path);
    wire_frame(out, 1, has_body ? 4 : 5, 1, buf_str(&block));
    /* The answer may be large: both windows are opened wide. */
    wire_frame(out, 8, 0, 0, STR("\0\xff\xff\xff"));
    wire_frame(out, 8, 0, 1, STR("\0\xff\xff\xff"));
}

/* Read frames until stream 1 ends well (true), is reset, or the server closes. */
static inline bool wire_hear2(int fd, struct buf *body)
{
    AUTO(buf_free) struct buf in = { 0 };
    size_t at = 0;
    for (;;) {
        const unsigned char *p = (const unsigned char *)in.p + at;
        size_t length = in.n - at < 9 ? 0 : (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (in.n - at < 9 || in.n - at < 9 + length) {
            char part[65536];
            ssize_t n = recv(fd, part, sizeof part, 0);
            if (n <= 0)
                return false;
            buf_add(&in, str_mem(part, (size_t)n));
            continue;
        }
        bool ours = p[8] == 1 && p[7] == 0;
        at += 9 + length;
        if (ours && p[3] == 0)
            buf_add(body, str_mem(p + 9, length));
        if (ours && p[3] == 3)
            return false;
        if (ours && (p[3] == 0 || p[3] == 1) && (p[4] & 1) != 0)
            return true;
    }
}

#endif

/*
 * Figures of snapshot archives: archive_bench DIRECTORY [secrets].  A secret is one entry as KV
 * version 2 makes it (key 156 bytes, value 240, incompressible); what is written, checked and read
 * is one archive in an unlinked file of the directory.  Memory is what the peak of VmRSS grew by.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "storage/raft/archive.h"

enum { VALUE_N = 240, RANDOM_N = 1 << 20 };

struct entries {
    size_t at, n;
    char key[192];
    char random[RANDOM_N];
};

static struct entries entries;

static double now_s(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long peak_kib(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_maxrss;
}

static int next(void *ctx, struct str *key, struct str *value, struct err *err)
{
    struct entries *e = ctx;
    if (e->at == e->n)
        return 0;
    uint64_t h = ++e->at * 0x9E3779B97F4A7C15u;
    int n = snprintf(e->key, sizeof e->key,
                     "logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/"
                     "4f0ee3b5-1c47-5a07-9f39-5d8d0f5c1a2b/versions/%03zx/%013zx%016llx%016llx"
                     "%016llx",
                     e->at >> 12, e->at & 0xfff, (unsigned long long)h,
                     (unsigned long long)(h * h), (unsigned long long)(h * h * h));
    *key = str_mem(e->key, (size_t)n);
    *value = str_mem(e->random + h % (RANDOM_N - VALUE_N), VALUE_N);
    return 1;
}

static int seal(void *ctx, struct str text, struct buf *out, struct err *err)
{
    buf_add(out, text);
    return 0;
}

static int sink(void *ctx, struct str bytes, struct err *err)
{
    int fd = *(int *)ctx;
    return write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n ? 0 : err_set(err, ERR_IO, "write");
}

static int put(void *ctx, struct str key, struct str value, struct err *err)
{
    ++*(size_t *)ctx;
    return 0;
}

static void done(const char *what, int rc, const struct err *err, double wall, double cpu)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", what, err->msg);
        exit(1);
    }
    printf("%-8s %6.2f s   %6.2f s CPU\n", what, now_s(CLOCK_MONOTONIC) - wall,
           now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

#define TIMED(what, call)                                                                          \
    do {                                                                                           \
        double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);               \
        int rc = call;                                                                             \
        done(what, rc, &err, wall, cpu);                                                           \
    } while (0)

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : ".";
    int fd = open(dir, O_TMPFILE | O_RDWR, 0600);
    struct archive_server server = { STR("node-1"), STR("127.0.0.1:8201"), true };
    struct archive_meta meta = { .version = 1, .id = STR("bolt-snapshot"), .index = 45, .term = 3,
                                 .configuration_index = 1, .servers = &server, .n_servers = 1 };
    struct archive_calls calls = { next, &entries, seal, NULL, sink, &fd };
    AUTO(arena_drop) struct arena *a = arena_new();
    size_t put_n = 0;
    struct err err = { 0 };

    entries.n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    uint64_t r = 88172645463325252;
    for (size_t i = 0; i < RANDOM_N; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        entries.random[i] = (char)(r >> 20);
    }
    if (fd < 0 || a == NULL) {
        perror(dir);
        return 1;
    }
    long before = peak_kib();
    TIMED("write", archive_write(&meta, &calls, dir, &err));
    TIMED("check", archive_check(fd, a, seal, NULL, &meta, &err));
    TIMED("entries", archive_entries(fd, put, &put_n, &err));
    printf("%zu entries, state.bin %.1f MB, archive %.1f MB, memory %.1f MiB\n", put_n,
           (double)meta.size / 1e6, (double)lseek(fd, 0, SEEK_END) / 1e6,
           (double)(peak_kib() - before) / 1024);
    return put_n == entries.n ? 0 : 1;
}

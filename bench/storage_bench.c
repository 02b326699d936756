/*
 * Figures of a storage driver: storage_bench DRIVER DIRECTORY [secrets] [writers] [log retention].
 * A secret is two entries written in one batch, as KV version 2 writes one of 300 bytes: metadata
 * (key 155 bytes, value 120) and version (key 156, value 345).  CPU is the whole process's.
 */
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/random.h"
#include "storage/driver.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void report(const char *what, size_t n, double wall, double cpu)
{
    printf("%-34s %8zu   %10.2f us each   %10.2f us CPU each\n", what, n, wall / (double)n * 1e6,
           cpu / (double)n * 1e6);
}

#define MOUNT "logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/4f0ee3b5-1c47-5a07-9f39-5d8d0f5c1a2b/"

enum { METADATA_N = 120, VERSION_N = 345 };

/* Spread as KV version 2's encrypted and hashed names are. */
static struct str key_of(char out[192], size_t secret, int which)
{
    uint64_t h[4];
    for (size_t i = 0; i < 4; i++)
        h[i] = (secret + 1) * 0x9E3779B97F4A7C15u * (2 * i + 1);
    const char *part = which == 0 ? "metadata/" : "versions/";
    const char *slash = which == 0 ? "" : "/";
    int n = snprintf(out, 192, MOUNT "%s%03x%s%013llx%016llx%016llx%016llx", part,
                     (unsigned)(h[0] >> 52), slash, (unsigned long long)(h[0] & 0xFFFFFFFFFFFFF),
                     (unsigned long long)h[1], (unsigned long long)h[2],
                     (unsigned long long)(h[3] & 0xFFFFFFFFFFFFF));
    return (struct str){ out, (size_t)n };
}

static char value[VERSION_N];

static int write_secret(struct storage *s, size_t secret, struct err *err)
{
    char a[192], b[192];
    struct storage_op ops[] = {
        { STORAGE_PUT, key_of(a, secret, 0), { value, METADATA_N } },
        { STORAGE_PUT, key_of(b, secret, 1), { value, VERSION_N } },
    };
    return storage_commit(s, ops, 2, err);
}

struct crowd {
    struct storage *s;
    atomic_size_t next;
    size_t end, secrets;
};

static void *write_some(void *ctx)
{
    struct crowd *c = ctx;
    struct err err = { 0 };
    for (size_t i; (i = atomic_fetch_add(&c->next, 1)) < c->end;)
        if (write_secret(c->s, i, &err) < 0) {
            fprintf(stderr, "%s\n", err.msg);
            exit(1);
        }
    return NULL;
}

static void *read_some(void *ctx)
{
    struct crowd *c = ctx;
    struct err err = { 0 };
    AUTO(buf_free) struct buf b = { 0 };
    char key[192];
    while (atomic_fetch_add(&c->next, 1000) < c->end)
        for (int i = 0; i < 1000; i++) {
            buf_clear(&b);
            size_t secret = random_below((uint32_t)c->secrets);
            if (storage_get(c->s, key_of(key, secret, 1), &b, &err) != 1)
                exit(1);
        }
    return NULL;
}

static void run(const char *what, struct crowd *c, void *(*work)(void *), size_t threads)
{
    pthread_t *t = calloc(threads, sizeof *t);
    size_t n = c->end - atomic_load(&c->next);
    double wall = now_s(), cpu = cpu_s();
    for (size_t i = 0; i < threads; i++)
        pthread_create(&t[i], NULL, work, c);
    for (size_t i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    report(what, n, now_s() - wall, cpu_s() - cpu);
    free(t);
}

static int count(void *ctx, struct str name)
{
    ++*(size_t *)ctx;
    return 0;
}

static void list_all(struct storage *s)
{
    struct err err = { 0 };
    size_t folders = 0, entries = 0;
    double wall = now_s(), cpu = cpu_s();
    struct str folder = STR(MOUNT "versions/");
    if (storage_list(s, folder, STR(""), count, &folders, &err) < 0)
        exit(1);
    report("name listed, jumping over folders", folders, now_s() - wall, cpu_s() - cpu);
    wall = now_s();
    cpu = cpu_s();
    if (storage_walk(s, folder, count, &entries, &err) < 0)
        exit(1);
    report("entry walked", entries, now_s() - wall, cpu_s() - cpu);
}

static double bytes_on_disk;

static int add_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    bytes_on_disk += (double)st->st_blocks * 512;
    return 0;
}

int main(int argc, char **argv)
{
    const struct storage_driver *drivers[] = { &storage_inmem, &storage_file, &storage_lmdb };
    if (argc < 3) {
        fprintf(stderr, "usage: storage_bench DRIVER DIRECTORY [secrets] [writers] [retention]\n");
        return 2;
    }
    size_t secrets = argc > 3 ? strtoul(argv[3], NULL, 10) : 100000;
    size_t writers = argc > 4 ? strtoul(argv[4], NULL, 10) : 128;
    struct storage_option options[] = { { STR("path"), str_of(argv[2]) },
                                        { STR("log_retention"),
                                          str_of(argc > 5 ? argv[5] : "16384") } };
    struct storage *s = NULL;
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        if (strcmp(drivers[i]->type, argv[1]) == 0 &&
            drivers[i]->open(options, ARRAY_LEN(options), &s, &err) < 0) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
    if (s == NULL)
        return 2;
    random_fill(value, sizeof value);

    struct crowd c = { .s = s, .end = secrets, .secrets = secrets };
    run("secret written (two entries)", &c, write_some, writers);
    atomic_store(&c.next, 0);
    run("secret overwritten", &c, write_some, writers);
    atomic_store(&c.next, 0);
    run("get, one thread", &c, read_some, 1);
    atomic_store(&c.next, 0);
    run("get, four threads", &c, read_some, 4);
    list_all(s);
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    nftw(argv[2], add_size, 16, FTW_PHYS);
    printf("on disk %.1f MB, most resident %.1f MB\n", bytes_on_disk / 1e6,
           (double)r.ru_maxrss / 1e3);
    storage_close(s);
    return 0;
}

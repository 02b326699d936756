/*
 * Figures of storage "raft", one node: raft_commit DIRECTORY [seconds] [writers].  A commit is what
 * a secret of KV version 2 takes: two entries of 155 + 120 and 156 + 345 bytes.  CPU is the whole
 * process's.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/random.h"
#include "storage/raft/raftstore.h"

enum { WRITERS_MAX = 1024 };

static struct storage *store;
static atomic_bool over;
static atomic_ulong commits, failures;

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

#define MOUNT "logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/4f0ee3b5-1c47-5a07-9f39-5d8d0f5c1a2b/"

static struct str key_of(char out[192], const uint64_t h[4], const char *part)
{
    int n = snprintf(out, 192, MOUNT "%s%03x%013llx%016llx%016llx%016llx", part,
                     (unsigned)(h[0] >> 52), (unsigned long long)(h[0] & 0xFFFFFFFFFFFFF),
                     (unsigned long long)h[1], (unsigned long long)h[2], (unsigned long long)h[3]);
    return str_mem(out, (size_t)n);
}

static void *write_secrets(void *arg)
{
    static const char zeros[345];
    while (!atomic_load(&over)) {
        char keys[2][192];
        uint64_t h[4];
        struct err err;
        random_fill(h, sizeof h);
        struct storage_op ops[] = {
            { STORAGE_PUT, key_of(keys[0], h, "metadata/"), str_mem(zeros, 120) },
            { STORAGE_PUT, key_of(keys[1], h, "versions/"), str_mem(zeros, 345) },
        };
        if (storage_commit(store, ops, 2, &err) == 0)
            atomic_fetch_add(&commits, 1);
        else
            atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static int wait_to_lead(struct ha *h, struct err *err)
{
    struct ha_leader leader = { 0 };
    const struct timespec pause = { 0, 1000000 };
    for (int i = 0; i < 5000 && !leader.self; i++) {
        h->ops->leader(h, &leader);
        nanosleep(&pause, NULL);
    }
    return h->ops->settle(h, err);
}

static int run(const char *dir, unsigned seconds, size_t writers, struct err *err)
{
    pthread_t threads[WRITERS_MAX];
    const struct storage_option options[] = { { STR("path"), str_of(dir) },
                                              { STR("node_id"), STR("bench") } };
    const struct ha_events events = { 0 };
    TRY(storage_raft.open(options, 2, &store, err));
    struct ha *h = raftstore_ha(raftstore_of(store));
    TRY(storage_put(store, STR("core/seal-config"), STR("x"), err));
    TRY(h->ops->start(h, &events, err));
    TRY(wait_to_lead(h, err));
    double wall = now_s(), cpu = cpu_s();
    for (size_t i = 0; i < writers; i++)
        if (pthread_create(&threads[i], NULL, write_secrets, NULL) != 0)
            abort();
    struct timespec rest = { seconds, 0 };
    nanosleep(&rest, NULL);
    double n = (double)atomic_load(&commits);
    wall = now_s() - wall;
    cpu = cpu_s() - cpu;
    atomic_store(&over, true);
    for (size_t i = 0; i < writers; i++)
        pthread_join(threads[i], NULL);
    printf("%10.0f commits/s  %8.1f us of CPU each  %lu failed\n", n / wall, cpu / n * 1e6,
           atomic_load(&failures));
    storage_close(store);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    if (argc < 2) {
        fprintf(stderr, "raft_commit DIRECTORY [seconds] [writers]\n");
        return 2;
    }
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
    size_t writers = argc > 3 ? strtoul(argv[3], NULL, 10) : 128;
    if (writers > WRITERS_MAX)
        writers = WRITERS_MAX;
    if (run(argv[1], seconds, writers, &err) == 0)
        return 0;
    fprintf(stderr, "%s\n", err.msg);
    return 1;
}

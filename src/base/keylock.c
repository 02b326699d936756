/* A table of the keys that are held, in shards; waiting happens on the shard's condition. */
#include "base/keylock.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

enum { SHARDS = 64 };

struct shard {
    pthread_mutex_t mu;
    pthread_cond_t freed;
    struct map held; /* under mu; the value is not used */
};

struct keylock {
    struct shard shard[SHARDS];
};

static char present;

struct keylock *keylock_new(void)
{
    struct keylock *k = calloc(1, sizeof *k);
    for (size_t i = 0; k != NULL && i < SHARDS; i++) {
        pthread_mutex_init(&k->shard[i].mu, NULL);
        pthread_cond_init(&k->shard[i].freed, NULL);
    }
    return k;
}

void keylock_free(struct keylock *k)
{
    for (size_t i = 0; k != NULL && i < SHARDS; i++) {
        map_free(&k->shard[i].held, NULL);
        pthread_mutex_destroy(&k->shard[i].mu);
        pthread_cond_destroy(&k->shard[i].freed);
    }
    free(k);
}

static struct shard *shard_of(struct keylock *k, struct str key)
{
    return &k->shard[str_hash(key) % SHARDS];
}

int keylock_hold(struct keylock *k, struct str key, struct keyhold *out, struct err *err)
{
    struct shard *s = shard_of(k, key);
    char *copy = malloc(key.n + 1);
    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (key.n > 0)
        memcpy(copy, key.p, key.n);

    pthread_mutex_lock(&s->mu);
    while (map_get(&s->held, key) != NULL)
        pthread_cond_wait(&s->freed, &s->mu);
    int result = map_put(&s->held, key, &present, NULL, err);
    pthread_mutex_unlock(&s->mu);
    if (result < 0) {
        free(copy);
        return -1;
    }
    *out = (struct keyhold){ k, { copy, key.n } };
    return 0;
}

void keylock_release(struct keyhold *h)
{
    if (h->lock == NULL)
        return;
    struct shard *s = shard_of(h->lock, h->key);
    pthread_mutex_lock(&s->mu);
    map_remove(&s->held, h->key);
    pthread_cond_broadcast(&s->freed);
    pthread_mutex_unlock(&s->mu);
    free((char *)h->key.p);
    *h = (struct keyhold){ 0 };
}

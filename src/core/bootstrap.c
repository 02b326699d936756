/* Challenges that are open. */
#include "core/bootstrap.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/secret.h"

struct challenge {
    char node_id[BOOTSTRAP_ID_MAX];
    size_t n; /* of node_id; 0: free */
    uint64_t number;
    uint8_t answer[BOOTSTRAP_ANSWER];
};

struct bootstrap {
    pthread_mutex_t mu;
    uint64_t number; /* under mu, as are the challenges */
    struct challenge open[BOOTSTRAP_MAX];
};

struct bootstrap *bootstrap_new(void)
{
    struct bootstrap *b = calloc(1, sizeof *b);
    if (b != NULL)
        pthread_mutex_init(&b->mu, NULL);
    return b;
}

void bootstrap_free(struct bootstrap *b)
{
    if (b == NULL)
        return;
    explicit_bzero(b->open, sizeof b->open);
    pthread_mutex_destroy(&b->mu);
    free(b);
}

static struct challenge *of_node(struct bootstrap *b, struct str node_id)
{
    for (size_t i = 0; i < BOOTSTRAP_MAX; i++)
        if (b->open[i].n > 0 && str_eq(str_mem(b->open[i].node_id, b->open[i].n), node_id))
            return &b->open[i];
    return NULL;
}

static struct challenge *oldest(struct bootstrap *b)
{
    struct challenge *found = &b->open[0];
    for (size_t i = 1; i < BOOTSTRAP_MAX; i++)
        if (b->open[i].number < found->number)
            found = &b->open[i];
    return found;
}

int bootstrap_challenge(struct bootstrap *b, struct str node_id, uint8_t answer[BOOTSTRAP_ANSWER],
                        struct err *err)
{
    if (node_id.n == 0 || node_id.n > BOOTSTRAP_ID_MAX)
        return err_set(err, ERR_BAD_REQUEST, "server id exceeds max length");
    random_fill(answer, BOOTSTRAP_ANSWER);
    pthread_mutex_lock(&b->mu);
    struct challenge *c = of_node(b, node_id);
    if (c == NULL)
        c = oldest(b);
    memcpy(c->node_id, node_id.p, node_id.n);
    c->n = node_id.n;
    c->number = ++b->number;
    memcpy(c->answer, answer, sizeof c->answer);
    pthread_mutex_unlock(&b->mu);
    return 0;
}

bool bootstrap_is_answer(struct bootstrap *b, struct str node_id, struct str answer)
{
    pthread_mutex_lock(&b->mu);
    struct challenge *c = of_node(b, node_id);
    bool good = c != NULL && secret_eq(str_mem(c->answer, sizeof c->answer), answer);
    if (c != NULL)
        *c = (struct challenge){ 0 };
    pthread_mutex_unlock(&b->mu);
    return good;
}

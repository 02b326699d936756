/* Locked memory: small secrets share pages from a pool of slots, large ones get their own. */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/random.h"

enum { SLOT = 128, PAGE = 4096, SLOTS = PAGE / SLOT };

/* A page of slots. The list only grows: pages of small keys are few and reused. */
struct pool_page {
    struct pool_page *next;
    uint8_t *bytes;
    uint32_t used; /* a bit a slot */
};

static pthread_mutex_t pool_mu = PTHREAD_MUTEX_INITIALIZER;
static struct pool_page *pool; /* under pool_mu */

static uint8_t *map_locked(size_t n)
{
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    /* A refused lock (RLIMIT_MEMLOCK) is not fatal here: the server checks at its start. */
    (void)mlock(p, n);
    (void)madvise(p, n, MADV_DONTDUMP);
    (void)madvise(p, n, MADV_WIPEONFORK);
    return p;
}

static size_t whole_pages(size_t n)
{
    return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static uint8_t *slot_take(void)
{
    uint8_t *p = NULL;
    pthread_mutex_lock(&pool_mu);
    for (struct pool_page *page = pool; page != NULL && p == NULL; page = page->next) {
        if (page->used == UINT32_MAX)
            continue;
        int i = __builtin_ctz(~page->used);
        page->used |= 1U << i;
        p = page->bytes + (size_t)i * SLOT;
    }
    if (p == NULL) {
        struct pool_page *page = malloc(sizeof *page);
        uint8_t *bytes = page == NULL ? NULL : map_locked(PAGE);
        if (bytes == NULL) {
            free(page);
        } else {
            *page = (struct pool_page){ .next = pool, .bytes = bytes, .used = 1 };
            pool = page;
            p = bytes;
        }
    }
    pthread_mutex_unlock(&pool_mu);
    return p;
}

static void slot_release(uint8_t *p)
{
    pthread_mutex_lock(&pool_mu);
    for (struct pool_page *page = pool; page != NULL; page = page->next)
        if (p >= page->bytes && p < page->bytes + PAGE)
            page->used &= ~(1U << ((size_t)(p - page->bytes) / SLOT));
    pthread_mutex_unlock(&pool_mu);
}

int secret_alloc(struct secret *s, size_t n, struct err *err)
{
    uint8_t *p = n <= SLOT ? slot_take() : map_locked(whole_pages(n));
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for key material");
    *s = (struct secret){ p, n };
    return 0;
}

int secret_set(struct secret *s, struct str bytes, struct err *err)
{
    TRY(secret_alloc(s, bytes.n, err));
    if (bytes.n > 0)
        memcpy(s->p, bytes.p, bytes.n);
    return 0;
}

int secret_random(struct secret *s, size_t n, struct err *err)
{
    TRY(secret_alloc(s, n, err));
    random_fill(s->p, n);
    return 0;
}

void secret_free(struct secret *s)
{
    if (s == NULL || s->p == NULL)
        return;
    explicit_bzero(s->p, s->n);
    if (s->n <= SLOT)
        slot_release(s->p);
    else
        munmap(s->p, whole_pages(s->n));
    *s = (struct secret){ 0 };
}

struct secret secret_take(struct secret *s)
{
    struct secret out = *s;
    *s = (struct secret){ 0 };
    return out;
}

bool secret_eq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    volatile unsigned char diff = 0;
    for (size_t i = 0; i < a.n; i++)
        diff = (unsigned char)(diff | ((unsigned char)a.p[i] ^ (unsigned char)b.p[i]));
    return diff == 0;
}

int secret_harden_process(bool lock_all, struct err *err)
{
    struct rlimit none = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (lock_all && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        return err_set(err, ERR_IO,
                       "failed to lock memory: %s. Give the binary the IPC_LOCK capability "
                       "(setcap cap_ipc_lock=+ep) or set disable_mlock = true",
                       strerror(errno));
    return 0;
}

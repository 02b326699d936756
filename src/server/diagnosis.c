/* The tree of a diagnosis. */
#include "server/diagnosis.h"

const char *diagnosis_status_name(enum diagnosis_status status)
{
    static const char *const names[] = { [DIAGNOSIS_OK] = "ok", [DIAGNOSIS_SKIPPED] = "skipped",
                                         [DIAGNOSIS_WARN] = "warn", [DIAGNOSIS_FAIL] = "fail" };
    return names[status];
}

struct diagnosis *diagnosis_add(struct arena *a, struct diagnosis *parent, const char *name)
{
    struct diagnosis *d = arena_alloc(a, sizeof *d);
    if (d == NULL)
        return NULL;
    *d = (struct diagnosis){ .name = str_of(name) };
    if (parent == NULL)
        return d;
    if (parent->last != NULL)
        parent->last->next = d;
    else
        parent->first = d;
    parent->last = d;
    return d;
}

void diagnosis_found(struct diagnosis *d, enum diagnosis_status status, struct str message)
{
    if (d == NULL)
        return;
    if (status > d->status)
        d->status = status;
    d->message = message;
}

void diagnosis_warn(struct arena *a, struct diagnosis *d, struct str text)
{
    if (d == NULL)
        return;
    strs_add(a, &d->warnings, arena_dup(a, text));
    if (d->status < DIAGNOSIS_WARN)
        d->status = DIAGNOSIS_WARN;
}

void diagnosis_fail(struct arena *a, struct diagnosis *d, const struct err *err,
                    const char *advice)
{
    diagnosis_found(d, DIAGNOSIS_FAIL, arena_dup(a, err_text(err)));
    if (d != NULL && advice != NULL)
        d->advice = str_of(advice);
}

enum diagnosis_status diagnosis_settle(struct diagnosis *d)
{
    for (struct diagnosis *c = d->first; c != NULL; c = c->next) {
        enum diagnosis_status status = diagnosis_settle(c);
        if (status > DIAGNOSIS_SKIPPED && status > d->status)
            d->status = status;
    }
    return d->status;
}

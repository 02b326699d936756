/* Diagnosis: what was looked at and what was found, as a tree; its texts live in its arena. */
#ifndef SERVER_DIAGNOSIS_H
#define SERVER_DIAGNOSIS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strs.h"

enum diagnosis_status { DIAGNOSIS_OK, DIAGNOSIS_SKIPPED, DIAGNOSIS_WARN, DIAGNOSIS_FAIL };

/* A check and those beneath it, in its arena.  Its status is the worst of them all. */
struct diagnosis {
    struct str name;
    enum diagnosis_status status;
    struct str message;  /* may be empty */
    struct strs warnings;
    struct str advice;   /* may be empty */
    struct diagnosis *first, *last, *next;
};

/* A check below ${parent} (NULL: of its own).  NULL when memory is out: the arena remembers. */
struct diagnosis *diagnosis_add(struct arena *a, struct diagnosis *parent, const char *name);

/* What came of it; all accept a NULL ${d}, and keep the worst status. */
void diagnosis_found(struct diagnosis *d, enum diagnosis_status status, struct str message);
void diagnosis_warn(struct arena *a, struct diagnosis *d, struct str text);
void diagnosis_fail(struct arena *a, struct diagnosis *d, const struct err *err,
                    const char *advice); /* or NULL */

/* Give each the status of its worst child; being skipped is no worse than ok. */
enum diagnosis_status diagnosis_settle(struct diagnosis *d);

/* "ok", "skipped", "warn", "fail". */
const char *diagnosis_status_name(enum diagnosis_status status);

#endif

/*
 * Bootstrap: the active node's part when another one wants to join: a challenge that only who holds
 * the unseal key (or may use the seal) can answer.
 */
#ifndef CORE_BOOTSTRAP_H
#define CORE_BOOTSTRAP_H

#include "base/arena.h"
#include "core/lifecycle.h"

struct bootstrap; /* any thread */

struct bootstrap *bootstrap_new(void) MUST_USE;
void bootstrap_free(struct bootstrap *b);

/*
 * A fresh challenge for ${node_id}: an EncryptedBlobInfo under the seal's key, in ${a}.  Only the
 * newest of a node counts, and only the newest BOOTSTRAP_MAX of all nodes.
 */
enum { BOOTSTRAP_MAX = 64, BOOTSTRAP_ID_MAX = 255 };
int bootstrap_challenge(struct bootstrap *b, struct lifecycle *l, struct arena *a,
                        struct str node_id, struct str *out, struct err *err) MUST_USE;
/* Is it the answer to the node's challenge?  Each is good for one try. */
bool bootstrap_is_answer(struct bootstrap *b, struct str node_id, struct str answer);

#endif

/*
 * Bootstrap: the active node's part when another one wants to join: a challenge that only who holds
 * the unseal key (or may use the seal) can answer.
 */
#ifndef CORE_BOOTSTRAP_H
#define CORE_BOOTSTRAP_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct bootstrap; /* any thread */

struct bootstrap *bootstrap_new(void) MUST_USE;
void bootstrap_free(struct bootstrap *b);

enum { BOOTSTRAP_MAX = 64, BOOTSTRAP_ID_MAX = 255, BOOTSTRAP_ANSWER = 32 };
/*
 * The answer that ${node_id} shall give: it gets it sealed.  Only the newest of a node counts, and
 * only the newest BOOTSTRAP_MAX of all nodes.  -1: ERR_BAD_REQUEST: the id is too long.
 */
int bootstrap_challenge(struct bootstrap *b, struct str node_id, uint8_t answer[BOOTSTRAP_ANSWER],
                        struct err *err) MUST_USE;
/* Is it the answer to the node's challenge?  Each is good for one try. */
bool bootstrap_is_answer(struct bootstrap *b, struct str node_id, struct str answer);

#endif

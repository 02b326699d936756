/* Kv2/upgrade: sets a mount up, and moves the secrets of one that was version 1. */
#ifndef ENGINES_KV2_UPGRADE_H
#define ENGINES_KV2_UPGRADE_H

#include "engines/kv2/state.h"

/*
 * At opening: make the mount's key policy and salt if there are none, and begin to move secrets of
 * version 1; what is more than one batch is moved by a thread of its own, and until it is done
 * the mount refuses requests.  Everything can be taken up again after a crash.
 */
int kv2_upgrade_open(struct kv2 *k, struct err *err) MUST_USE;
/* Stops the thread at its next batch and waits for it. */
void kv2_upgrade_close(struct kv2 *k);

/* Another node changed "upgrading". */
void kv2_upgrade_look_again(struct kv2 *k);

/* Takes up again what failed. -1: it failed again; it stays to be done. */
int kv2_upgrade_tick(struct kv2 *k, struct err *err) MUST_USE;

#endif

/* A hashed timing wheel with lazy moves. */
#include "net/wheel.h"

static int64_t tick_of(int64_t ms)
{
    return ms / WHEEL_TICK_MS;
}

static void file_at(struct wheel *w, struct wheel_item *item, int64_t tick)
{
    struct wheel_item **slot = &w->slots[tick % WHEEL_SLOTS];
    item->tick = tick;
    item->next = *slot;
    item->link = slot;
    if (item->next != NULL)
        item->next->link = &item->next;
    *slot = item;
    w->n++;
}

void wheel_remove(struct wheel *w, struct wheel_item *item)
{
    if (item->link == NULL)
        return;
    *item->link = item->next;
    if (item->next != NULL)
        item->next->link = item->link;
    item->link = NULL;
    w->n--;
}

/* The tick to look at an item: its deadline's, or the farthest within one turn. */
static int64_t tick_for(const struct wheel *w, int64_t deadline_ms)
{
    int64_t tick = tick_of(deadline_ms) + 1, farthest = w->tick + WHEEL_SLOTS - 1;
    if (tick <= w->tick)
        tick = w->tick + 1;
    return tick < farthest ? tick : farthest;
}

int64_t wheel_set(struct wheel *w, struct wheel_item *item, int64_t now_ms, int64_t deadline_ms)
{
    if (w->n == 0)
        w->tick = tick_of(now_ms);
    item->deadline_ms = deadline_ms;
    int64_t tick = tick_for(w, deadline_ms);
    if (item->link != NULL && item->tick <= tick)
        return item->tick * WHEEL_TICK_MS;
    wheel_remove(w, item);
    file_at(w, item, tick);
    return tick * WHEEL_TICK_MS;
}

static void run_slot(struct wheel *w, int64_t now_ms, void (*fire)(struct wheel_item *item))
{
    /* Cut the list off first: what is filed anew goes to other slots, or waits a turn. */
    struct wheel_item *todo = w->slots[w->tick % WHEEL_SLOTS];
    w->slots[w->tick % WHEEL_SLOTS] = NULL;
    if (todo != NULL)
        todo->link = &todo;
    while (todo != NULL) {
        struct wheel_item *item = todo;
        wheel_remove(w, item);
        if (item->deadline_ms <= now_ms)
            fire(item);
        else if (item->deadline_ms != INT64_MAX)
            file_at(w, item, tick_for(w, item->deadline_ms));
    }
}

void wheel_run(struct wheel *w, int64_t now_ms, void (*fire)(struct wheel_item *item))
{
    int64_t now = tick_of(now_ms);
    if (now - w->tick > WHEEL_SLOTS)
        w->tick = now - WHEEL_SLOTS;
    while (w->tick < now && w->n > 0) {
        w->tick++;
        run_slot(w, now_ms, fire);
    }
    w->tick = now;
}

int64_t wheel_next_ms(const struct wheel *w)
{
    if (w->n == 0)
        return -1;
    int64_t tick = w->tick + 1;
    while (w->slots[tick % WHEEL_SLOTS] == NULL)
        tick++;
    return tick * WHEEL_TICK_MS;
}

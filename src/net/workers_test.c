/* Tests of the worker pool: every job runs once, blocked ones do not hold up others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "net/workers.h"

/* A job that may wait, and counts. */
struct task {
    struct job job;
    sem_t *entered, *go; /* NULL: it does not wait */
    atomic_int *done;
};

static void run_task(struct job *j)
{
    struct task *t = (struct task *)j;
    if (t->entered != NULL) {
        sem_post(t->entered);
        sem_wait(t->go);
    }
    atomic_fetch_add(t->done, 1);
}

static void all_that_is_queued_runs_before_the_pool_ends(void **state)
{
    enum { N = 20000 };
    atomic_int done = 0;
    struct workers *w = workers_new(4);
    struct task *tasks = calloc(N, sizeof *tasks);
    for (int i = 0; i < N; i++) {
        tasks[i] = (struct task){ { .run = run_task }, NULL, NULL, &done };
        workers_submit(w, &tasks[i].job);
    }
    workers_free(w);
    assert_int_equal(done, N);
    free(tasks);
}

static void as_many_as_the_limit_block_at_once(void **state)
{
    enum { N = 20 };
    atomic_int done = 0;
    sem_t entered, go;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    struct workers *w = workers_new(N);
    struct task tasks[N];
    for (int i = 0; i < N; i++) {
        tasks[i] = (struct task){ { .run = run_task }, &entered, &go, &done };
        workers_submit(w, &tasks[i].job);
    }
    for (int i = 0; i < N; i++)
        sem_wait(&entered); /* all have a thread, though none has ended */
    assert_int_equal(done, 0);
    for (int i = 0; i < N; i++)
        sem_post(&go);
    workers_free(w);
    assert_int_equal(done, N);
}

static void past_the_limit_work_waits_its_turn(void **state)
{
    atomic_int done = 0;
    sem_t entered, go;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    struct workers *w = workers_new(1);
    struct task first = { { .run = run_task }, &entered, &go, &done };
    struct task second = { { .run = run_task }, &entered, &go, &done };
    workers_submit(w, &first.job);
    workers_submit(w, &second.job);
    sem_wait(&entered);
    assert_int_equal(sem_trywait(&entered), -1);
    sem_post(&go);
    sem_wait(&entered);
    assert_int_equal(done, 1);
    sem_post(&go);
    workers_free(w);
    assert_int_equal(done, 2);
}

static void an_idle_thread_is_used_again(void **state)
{
    atomic_int done = 0;
    sem_t entered, go;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    struct workers *w = workers_new(2);
    for (int i = 0; i < 1000; i++) {
        struct task t = { { .run = run_task }, &entered, &go, &done };
        workers_submit(w, &t.job);
        sem_wait(&entered);
        sem_post(&go);
        while (atomic_load(&done) <= i)
            sched_yield(); /* the task lives on this stack */
    }
    workers_free(w);
    assert_int_equal(done, 1000);
}

static void a_pool_that_never_worked_ends(void **state)
{
    workers_free(workers_new(8));
    workers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_queued_runs_before_the_pool_ends),
        cmocka_unit_test(as_many_as_the_limit_block_at_once),
        cmocka_unit_test(past_the_limit_work_waits_its_turn),
        cmocka_unit_test(an_idle_thread_is_used_again),
        cmocka_unit_test(a_pool_that_never_worked_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

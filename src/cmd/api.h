/* Api: calls of commands to the server, with the token, the options and the wording of errors. */
#ifndef CMD_API_H
#define CMD_API_H

#include "cmd/command.h"

struct api_call {
    const char *method;
    const char *path;           /* below /v1/ */
    const struct json *body;    /* object, or NULL */
    const struct coffer_pair *query;
    size_t n_query;
    bool unwrapped;             /* a question on the way: never wrapped, never printed as curl */
    /* Instead of body, bytes in pieces: as coffer_request has it. */
    int (*source)(void *ctx, uint64_t offset, char *to, size_t len);
    void *source_ctx;
    uint64_t source_n;
    const char *source_name;
    int (*sink)(void *ctx, const char *part, size_t len);
    void *sink_ctx;
};

/* What came back. Lives in the run's arena. */
struct api_answer {
    int status;        /* 0: nobody answered */
    struct json *json; /* NULL: no body */
    struct str text;   /* the body */
    struct str error;  /* why the call failed, as Vault's client words it */
};

/*
 * The client, made of options, environment and token helper at the first use. -1: said so on
 * standard error, the command ends with 2.
 */
int api_client(struct command_run *run, struct coffer **out) MUST_USE;

/* 0: status 2xx. -1: answer->error says why, answer->json is the body if it was JSON. */
int api_send(struct command_run *run, const struct api_call *call,
             struct api_answer *answer) MUST_USE;

/* The common forms. */
int api_get(struct command_run *run, const char *path, struct api_answer *answer) MUST_USE;
int api_list(struct command_run *run, const char *path, struct api_answer *answer) MUST_USE;
int api_put(struct command_run *run, const char *path, const struct json *body,
            struct api_answer *answer) MUST_USE;
int api_post(struct command_run *run, const char *path, const struct json *body,
             struct api_answer *answer) MUST_USE;
int api_delete(struct command_run *run, const char *path, struct api_answer *answer) MUST_USE;

/*
 * Read a secret: 1 found, 0 absent (404 without warnings or data), -1 answer->error. A 404 with
 * data is found.
 */
int api_read(struct command_run *run, const struct api_call *call,
             struct api_answer *answer) MUST_USE;

/* The options that every calling command takes. */
extern const struct flag api_flags[];
extern const size_t api_flags_count;

#endif

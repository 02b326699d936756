/* Hcl_scan: configuration text to tokens; strings are decoded, heredocs included. */
#ifndef CODEC_HCL_SCAN_H
#define CODEC_HCL_SCAN_H

#include "base/arena.h"
#include "codec/hcl_pos.h"

enum hcl_token_type {
    TOK_EOF,
    TOK_IDENT,
    TOK_STRING,
    TOK_NUMBER,
    TOK_LBRACE,
    TOK_RBRACE,
    TOK_LBRACK,
    TOK_RBRACK,
    TOK_COMMA,
    TOK_ASSIGN,
    TOK_COLON,
};

struct hcl_token {
    enum hcl_token_type type;
    struct hcl_pos pos;
    struct str text; /* identifier or number as written (borrowed), string decoded (arena) */
};

/* A walk through a text.  The caller reads tok and json; one thread. */
struct hcl_scan {
    struct arena *arena;
    struct str text; /* borrowed */
    size_t at, line_start;
    uint32_t line;
    const char *file;
    bool json;
    struct hcl_token tok; /* the token not yet consumed */
    struct err *err;
};

/*
 * Start at the first token.  ${file} may be NULL.  -1: ERR_BAD_REQUEST: text over 32 MiB, not
 * UTF-8, with a NUL, or wrong at its start; ERR_NOMEM.
 */
int hcl_scan_open(struct hcl_scan *s, struct arena *a, const char *file, struct str text,
                  struct err *err) MUST_USE;

/* Put the next token into s->tok. */
int hcl_scan_next(struct hcl_scan *s) MUST_USE;

/* "STRING", "LBRACE", ... for messages. */
const char *hcl_scan_name(enum hcl_token_type type);

#endif

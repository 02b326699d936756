/* What a transit request costs inside the engine: no HTTP, no core. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engines/transit/transit.h"
#include "storage/driver.h"

struct bench {
    struct storage *store;
    void *state;
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* One request from parsed body to finished answer; dies when it is refused. */
static struct json *request(struct bench *b, struct arena *a, const char *path, struct str body)
{
    struct request req = {
        .arena = a, .op = OP_UPDATE, .rel = str_of(path), .storage = b->store,
        .backend = b->state, .may_block = true, .now_ns = (int64_t)(now_us() * 1e3),
    };
    struct response resp = { .arena = a };

    if (json_parse(a, body, &req.data, NULL, &req.err) < 0 ||
        route_match(engine_transit.routes, engine_transit.n_routes, &req) != 1 ||
        route_exists(&req) < 0 || route_call(&req, &resp) < 0) {
        fprintf(stderr, "%s: %s\n", path, req.err.msg);
        exit(1);
    }
    return resp.data;
}

static void measure(struct bench *b, const char *what, const char *path, struct str body, int n)
{
    struct arena *a = arena_new();
    double best = 1e18;

    for (int round = 0; round < 5; round++) {
        double start = now_us();
        for (int i = 0; i < n; i++) {
            (void)request(b, a, path, body);
            arena_reset(a);
        }
        double each = (now_us() - start) / n;
        best = each < best ? each : best;
    }
    printf("%-44s %8.2f us\n", what, best);
    arena_free(a);
}

static void make(struct bench *b, const char *path, const char *body)
{
    struct arena *a = arena_new();
    (void)request(b, a, path, str_of(body));
    arena_free(a);
}

/* Encrypt once, then measure opening it. */
static void measure_open(struct bench *b, const char *what, const char *name, const char *context,
                         int n)
{
    struct arena *a = arena_new();
    struct str body = arena_printf(
        a, "{\"plaintext\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"%s}", context);
    const char *path = arena_cstr(a, arena_printf(a, "encrypt/%s", name));
    struct json *data = request(b, a, path, body);
    struct str sealed = json_get_str(data, "ciphertext");
    body = arena_printf(a, "{\"ciphertext\":\"" STR_FMT "\"%s}", STR_ARG(sealed), context);
    path = arena_cstr(a, arena_printf(a, "decrypt/%s", name));
    measure(b, what, path, body, n);
    arena_free(a);
}

int main(void)
{
    static const struct str text =
        STR_INIT("{\"plaintext\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}");
    static const struct str with_context =
        STR_INIT("{\"plaintext\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","
                 "\"context\":\"Y3R4\"}");
    static const struct str input = STR_INIT("{\"input\":\"aGVsbG8=\"}");
    struct bench b = { 0 };
    struct err err = { 0 };

    if (storage_inmem.open(NULL, 0, &b.store, &err) < 0)
        return 1;
    struct engine_ctx ctx = { .storage = b.store };
    if (engine_transit.open(&ctx, &b.state, &err) < 0)
        return 1;
    make(&b, "keys/aes", "{}");
    make(&b, "keys/chacha", "{\"type\":\"chacha20-poly1305\"}");
    make(&b, "keys/derived", "{\"derived\":true}");
    make(&b, "keys/convergent", "{\"derived\":true,\"convergent_encryption\":true}");
    make(&b, "keys/ed25519", "{\"type\":\"ed25519\"}");
    make(&b, "keys/p256", "{\"type\":\"ecdsa-p256\"}");
    make(&b, "keys/rsa", "{\"type\":\"rsa-2048\"}");

    measure(&b, "encrypt 32 B, aes256-gcm96", "encrypt/aes", text, 20000);
    measure_open(&b, "decrypt 32 B, aes256-gcm96", "aes", "", 20000);
    measure(&b, "encrypt 32 B, chacha20-poly1305", "encrypt/chacha", text, 20000);
    measure(&b, "encrypt 32 B, derived", "encrypt/derived", with_context, 10000);
    measure_open(&b, "decrypt 32 B, derived", "derived", ",\"context\":\"Y3R4\"", 10000);
    measure(&b, "encrypt 32 B, convergent", "encrypt/convergent", with_context, 10000);
    measure(&b, "hmac, sha2-256", "hmac/aes", input, 20000);
    measure(&b, "datakey", "datakey/plaintext/aes", STR("{}"), 20000);
    measure(&b, "sign, ed25519", "sign/ed25519", input, 2000);
    measure(&b, "sign, ecdsa-p256", "sign/p256", input, 2000);
    measure(&b, "sign, rsa-2048 pss", "sign/rsa", input, 100);
    measure(&b, "encrypt, rsa-2048", "encrypt/rsa", text, 500);
    engine_transit.close(b.state);
    storage_close(b.store);
    return 0;
}

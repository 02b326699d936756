/*
 * A server that answers every request with a small JSON text, to be driven by wrk or h2load:
 * http_hello ADDRESS [CERT KEY].  A request for /worker is answered from a worker thread.  Prints
 * the CPU time per request when standard input ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "net/http.h"

/* One loop: one thread counts. */
static long requests;

static void answer(void *ctx, struct http_exchange *x)
{
    static const struct http_header headers[] = {
        { STR_INIT("Cache-Control"), STR_INIT("no-store") },
        { STR_INIT("Content-Type"), STR_INIT("application/json") },
    };
    struct http_reply reply = {
        .status = 200,
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .body = STR("{\"request_id\":\"6d9e4a4c-8f2e-4ad4-a4ee-6d1c2a5a0001\",\"data\":"
                    "{\"hello\":\"world\"}}\n"),
    };
    http_answer(x, &reply);
}

static void hello(void *ctx, struct http_exchange *x)
{
    requests++;
    if (str_is(x->req.path, "/worker"))
        http_offload(x, answer, NULL);
    else
        answer(NULL, x);
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    struct http_server *server;
    struct err err = { 0 };
    struct http_server_config config = { .loops = 1, .handler = hello };
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: http_hello ADDRESS [CERT KEY]\n");
        return 2;
    }
    struct http_listener_config listener = {
        .address = str_of(argv[1]),
        .unix_socket = argv[1][0] == '/',
        .tls_cert_file = str_of(argc == 4 ? argv[2] : ""),
        .tls_key_file = str_of(argc == 4 ? argv[3] : ""),
    };
    if (http_server_new(&config, &server, &err) < 0 ||
        http_listen(server, &listener, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    double before = cpu_us();
    while (getchar() != EOF)
        ;
    double used = cpu_us() - before;
    http_server_drain(server, 1000);
    printf("requests=%ld cpu_us=%.0f per_request_us=%.2f\n", requests, used,
           requests > 0 ? used / (double)requests : 0.0);
    http_server_free(server);
    return 0;
}

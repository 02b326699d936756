/* The command "server": configuration, assembly, signals. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/version.h"
#include "codec/timefmt.h"
#include "server/assemble.h"
#include "server/dev.h"
#include "server/options.h"

static const struct log lg = { "core" };

static const char *environment(void *ctx, const char *name)
{
    return getenv(name);
}

static int read_config(const struct options *o, struct arena *a, struct config **out,
                       struct err *err)
{
    struct config *c;
    TRY(config_new(&c, err));
    int result = o->dev ? dev_config(o, c, a, err) : 0;
    if (result == 0 && !o->dev && o->config_paths.n == 0)
        result = err_set(err, ERR_BAD_REQUEST,
                         "Must supply at least one config path using -config");
    for (size_t i = 0; i < o->config_paths.n && result == 0; i++)
        result = config_add_path(c, o->config_paths.v[i], err);
    if (result == 0)
        result = config_add_env(c, environment, NULL, err);
    if (result == 0)
        result = config_finish(c, err);
    if (result < 0) {
        config_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

/* Flags win over the configuration, which has taken the environment in already. */
static int set_log_level(const struct options *o, const struct config *c, struct err *err)
{
    enum log_level level = c->log_level;
    if (o->log_level.n > 0 && !log_level_of(o->log_level, &level))
        return err_set(err, ERR_BAD_REQUEST, "unknown log level: " STR_FMT,
                       STR_ARG(o->log_level));
    log_set_level(level);
    log_set_json(o->log_format.n > 0 ? str_is(o->log_format, "json") : c->log_json);
    return 0;
}

/* ${fd} keeps the open log file over reloads; -1: none. */
static int open_log(const struct config *c, int *fd, struct err *err)
{
    if (c->log_file.n == 0)
        return 0;
    int fresh = open(c->log_file.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fresh < 0)
        return err_set(err, ERR_IO, "log_file %s: %s", c->log_file.p, strerror(errno));
    log_set_fd(fresh);
    if (*fd >= 0)
        close(*fd);
    *fd = fresh;
    return 0;
}

static int write_pid(const struct config *c, struct err *err)
{
    if (c->pid_file.n == 0)
        return 0;
    FILE *f = fopen(c->pid_file.p, "we");
    if (f == NULL || fprintf(f, "%d", (int)getpid()) < 0 || fclose(f) != 0)
        return err_set(err, ERR_IO, "pid_file %s: %s", c->pid_file.p, strerror(errno));
    return 0;
}

/* sd_notify(3): a datagram to the socket that systemd names. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (path == NULL || path[0] == 0 || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (to.sun_path[0] == '@')
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
        LOG(&lg, WARN, "failed to notify the service manager: error=%s", strerror(errno));
    close(fd);
}

static void print_row(const char *name, const char *value)
{
    printf("%24s: %s\n", name, value);
}

static void print_seal_row(void *ctx, const char *name, struct str value)
{
    printf("%24s: " STR_FMT "\n", name, STR_ARG(value));
}

/* Where a cluster's members would meet: the next port unless told. */
static struct str cluster_address(const struct config_listener *l, struct str address,
                                  struct arena *a)
{
    int64_t port;
    ptrdiff_t colon = str_rfind_byte(address, ':');
    if (l->cluster_address.n > 0 || colon < 0 ||
        !str_to_i64(str_from(address, (size_t)colon + 1), &port))
        return l->cluster_address;
    return arena_printf(a, STR_FMT ":%lld", STR_ARG(str_head(address, (size_t)colon)),
                        (long long)port + 1);
}

static void tell_listener(const struct config_listener *l, size_t i, struct str address,
                          struct arena *a)
{
    struct str duration = duration_format(a, l->max_request_duration_ns);
    char name[32];
    snprintf(name, sizeof name, "Listener %zu", i + 1);
    struct str cluster = STR("");
    if (l->type == CONFIG_TCP)
        cluster = arena_printf(a, " cluster address: \"" STR_FMT "\",",
                               STR_ARG(cluster_address(l, address, a)));
    struct str row = arena_printf(
        a,
        "%s (addr: \"" STR_FMT "\"," STR_FMT " max_request_duration: \"" STR_FMT
        "\", max_request_size: \"%lld\", tls: \"%s\")",
        l->type == CONFIG_UNIX ? "unix" : "tcp", STR_ARG(address), STR_ARG(cluster),
        STR_ARG(duration), (long long)l->max_request_size,
        l->tls_disable || l->type == CONFIG_UNIX ? "disabled" : "enabled");
    print_row(name, row.p);
}

static void tell_configuration(const struct config *c, const struct assembly *s, bool recovery,
                               struct arena *a)
{
    printf("==> Vault server configuration:\n\n");
    assemble_describe_seals(s, a, print_seal_row, NULL);
    if (c->api_addr.n > 0)
        print_row("Api Address", c->api_addr.p);
    if (assemble_cluster_address(s).n > 0)
        print_row("Cluster Address", assemble_cluster_address(s).p);
    for (size_t i = 0; i < c->n_listeners; i++)
        tell_listener(&c->listeners[i], i, assemble_address(s, i), a);
    print_row("Log Level", log_level_name(c->log_level));
    print_row("Mlock", c->disable_mlock ? "supported: true, enabled: false"
                                        : "supported: true, enabled: true");
    print_row("Recovery Mode", recovery ? "true" : "false");
    bool ha = assemble_cluster_address(s).n > 0;
    print_row("Storage", ha ? arena_printf(a, "%s (HA available)", c->storage.type.p).p
                            : c->storage.type.p);
    print_row("Version", "Vault v" VERSION_FULL);
    printf("\n==> Vault server started! Log data will stream in below:\n\n");
    fflush(stdout);
}

/* SIGHUP: what may change without a restart. */
static void reload(const struct options *o, struct assembly *s, int *log_fd)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct config *fresh;
    struct err err = { 0 };
    notify("RELOADING=1");
    LOG(&lg, INFO, "reloading configuration");
    if (a == NULL || read_config(o, a, &fresh, &err) < 0) {
        LOG(&lg, ERROR, "failed to read the configuration again: error=%s", err.msg);
    } else {
        if (set_log_level(o, fresh, &err) < 0 || open_log(fresh, log_fd, &err) < 0)
            LOG(&lg, ERROR, "failed to reload: error=%s", err.msg);
        config_free(fresh);
    }
    assemble_reload(s);
    notify("READY=1");
}

static void serve_until_told(const struct options *o, struct assembly *s, const sigset_t *signals,
                             int *log_fd)
{
    int number;
    while (sigwait(signals, &number) == 0) {
        if (number == SIGHUP) {
            reload(o, s, log_fd);
            continue;
        }
        printf("==> Vault shutdown triggered\n");
        fflush(stdout);
        notify("STOPPING=1");
        return;
    }
}

static int run(const struct options *o, struct config *c, struct arena *a, struct err *err)
{
    struct assembly *s;
    sigset_t signals;
    int log_fd = -1;
    TRY(set_log_level(o, c, err));
    TRY(open_log(c, &log_fd, err));
    for (size_t i = 0; i < c->warnings.n; i++)
        LOG(&lg, WARN, STR_FMT, STR_ARG(c->warnings.v[i]));
    TRY(secret_harden_process(!c->disable_mlock, err));
    /* All threads inherit the mask: signals come to this thread only. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    TRY(assemble(c, o->recovery, &s, err));
    int result = write_pid(c, err);
    if (result == 0)
        tell_configuration(c, s, o->recovery, a);
    if (result == 0 && o->dev)
        result = dev_start(s, o, err);
    if (result == 0) {
        notify("READY=1");
        serve_until_told(o, s, &signals, &log_fd);
    }
    disassemble(s);
    if (c->pid_file.n > 0)
        unlink(c->pid_file.p);
    return result;
}

int server_main(int argc, char **argv)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct options o;
    struct config *c;
    struct err err = { 0 };
    if (a == NULL || options_parse(a, argc, argv, &o, &err) < 0) {
        fprintf(stderr, "Error: %s\n", err.msg);
        return 1;
    }
    /* Few arenas: memory that one thread frees serves the others. */
    mallopt(M_ARENA_MAX, 2);
    if (read_config(&o, a, &c, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    int result = run(&o, c, a, &err);
    config_free(c);
    if (result < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}

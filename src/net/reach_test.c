/* Tests of reach: who listens, who does not, and what is no address. */
#include "net/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket of 127.0.0.1, bound; listening or not.  Its address in ${text}. */
static int bound(char text[32], bool listens)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0);
    snprintf(text, 32, "127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static void who_listens_is_reached(void **state)
{
    char addr[32];
    struct err err = { 0 };
    int fd = bound(addr, true);
    assert_int_equal(reach_connect(str_of(addr), 5000, &err), 0);
    close(fd);
}

static void a_closed_port_is_told(void **state)
{
    char addr[32];
    struct err err = { 0 };
    int fd = bound(addr, false);
    assert_int_equal(reach_connect(str_of(addr), 5000, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_non_null(strstr(err.msg, "refused"));
    close(fd);
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const wrong[] = { "", "host", ":1", "host:", "host:0", "host:65536",
                                         "host:x" };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = { 0 };
        assert_int_equal(reach_resolve(str_of(wrong[i]), &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void addresses_need_no_look_up(void **state)
{
    struct err err = { 0 };
    assert_int_equal(reach_resolve(STR("127.0.0.1:1"), &err), 0);
    assert_int_equal(reach_resolve(STR("[::1]:1"), &err), 0);
}

static void a_name_that_nobody_has_is_told(void **state)
{
    struct err err = { 0 };
    assert_int_equal(reach_resolve(STR("no-such-host.invalid:1"), &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_non_null(strstr(err.msg, "the name no-such-host.invalid is not known"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_is_reached),
        cmocka_unit_test(a_closed_port_is_told),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(addresses_need_no_look_up),
        cmocka_unit_test(a_name_that_nobody_has_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

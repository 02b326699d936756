/* Read every file of a directory as JSON: y_* must parse, n_* must be refused, i_* may do either.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/json.h"

static void close_dir(DIR **dir)
{
    if (*dir != NULL)
        closedir(*dir);
}

static int read_file(int dir, const char *name, struct buf *out)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n;
    do {
        n = buf_reserve(out, 65536) < 0 ? -1 : read(fd, out->p + out->n, 65536);
        out->n += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    return n == 0 ? 0 : -1;
}

/* What was parsed prints as text that reads as the same tree. */
static bool prints_back(struct arena *a, const struct json *v)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct json *again;
    json_print(v, &out);
    return json_parse_all(a, buf_str(&out), &again, NULL) == 0 && json_equal(v, again);
}

/* What is wrong with how the file was taken, or NULL. */
static const char *check(const char *name, struct str text)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *v;
    struct err err = { 0 };
    if (a == NULL)
        return "out of memory";
    bool taken = json_parse_all(a, text, &v, &err) == 0;
    if (taken && name[0] == 'n')
        return "was taken";
    if (!taken && name[0] == 'y')
        return "was refused";
    return taken && !prints_back(a, v) ? "prints as something else" : NULL;
}

int main(int argc, char **argv)
{
    AUTO(close_dir) DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        fprintf(stderr, "usage: json_suite directory\n");
        return 2;
    }
    int files = 0, wrong = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == 0 || e->d_name[1] != '_')
            continue;
        AUTO(buf_free) struct buf text = { 0 };
        const char *why = read_file(dirfd(dir), e->d_name, &text) < 0
                              ? "cannot be read"
                              : check(e->d_name, buf_str(&text));
        files++;
        if (why != NULL)
            printf("%s %s\n", e->d_name, why);
        wrong += why != NULL;
    }
    printf("json_suite: %d files, %d wrong\n", files, wrong);
    return files == 0 || wrong > 0;
}

/* Finding a mapping in /proc/self/maps, and giving its pages back. */
#include "storage/resident.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The process's resident pages that belong to files; 0 when the system does not tell. */
static size_t file_bytes(void)
{
    char text[128];
    unsigned long long total, resident, shared;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    if (sscanf(text, "%llu %llu %llu", &total, &resident, &shared) != 3)
        return 0;
    return (size_t)shared * (size_t)sysconf(_SC_PAGESIZE);
}

/*
 * "from-to rwxp offset device inode path".  The device is not compared: overlays show another one
 * here than stat does, and giving back pages of some other shared mapping would do no harm.
 */
static bool is_shared_map_of(const char *line, const struct stat *st, struct resident *r)
{
    unsigned long long from, to, inode;
    char rights[5];
    if (sscanf(line, "%llx-%llx %4s %*s %*s %llu", &from, &to, rights, &inode) != 4)
        return false;
    if (inode != st->st_ino || rights[3] != 's')
        return false;
    r->map = (void *)(size_t)from;
    r->size = (size_t)(to - from);
    return true;
}

void resident_find(struct resident *r, int fd)
{
    struct stat st;
    char line[512];
    r->map = NULL;
    r->size = 0;
    atomic_store(&r->other_bytes, file_bytes());
    FILE *f = fstat(fd, &st) == 0 ? fopen("/proc/self/maps", "re") : NULL;
    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL && !is_shared_map_of(line, &st, r))
        ;
    fclose(f);
    /*
     * A server that locks its memory locks what it maps later too.  This file holds ciphertext only,
     * and a locked page cannot be given back.
     */
    if (r->map != NULL)
        munlock(r->map, r->size);
}

void resident_check(struct resident *r, size_t limit_bytes)
{
    if (r->map == NULL || file_bytes() <= atomic_load(&r->other_bytes) + limit_bytes)
        return;
    /* Of a shared mapping of a file nothing is lost: what it shows is the page cache. */
    madvise(r->map, r->size, MADV_DONTNEED);
    atomic_store(&r->other_bytes, file_bytes());
}

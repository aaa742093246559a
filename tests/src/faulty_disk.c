/* Put before the C library by LD_PRELOAD, this is a disk that fails when a test says so.
 *
 * While the file that FAULTY_DISK names holds "sync" or "write", that call fails with EIO for SQLite's write-ahead
 * log. What FAULTY_DISK_READ_ONLY names is a folder in which nothing can be opened for writing, as on a disk that is
 * mounted read-only; permissions would mean nothing to a test that runs as root. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

typedef int (*open_call)(const char *, int, ...);
typedef int (*openat_call)(int, const char *, int, ...);
typedef ssize_t (*pwrite_call)(int, const void *, size_t, off_t);
typedef int (*sync_call)(int);

/* Whether `what` is to fail now for this descriptor. */
static int fails(const char *what, int descriptor) {
    const char *order = getenv("FAULTY_DISK");
    if (!order) return 0;
    int file = REAL(open_call, "open")(order, O_RDONLY);
    if (file < 0) return 0;
    char said[16] = {0};
    ssize_t length = read(file, said, sizeof said - 1);
    close(file);
    if (length <= 0 || strncmp(said, what, strlen(what)) != 0) return 0;
    char link[64], path[4096] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    return length > 4 && strcmp(path + length - 4, "-wal") == 0;
}

/* Whether opening this path in this way would write to a read-only disk. */
static int refuses(const char *path, int flags) {
    const char *folder = getenv("FAULTY_DISK_READ_ONLY");
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    return folder && writes && strncmp(path, folder, strlen(folder)) == 0;
}

static mode_t mode_of(int flags, va_list rest) {
    return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...) {                     \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        mode_t mode = mode_of(flags, rest);                          \
        va_end(rest);                                                \
        if (refuses(path, flags)) return errno = EROFS, -1;          \
        return REAL(open_call, #name)(path, flags, mode);            \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                 \
    int name(int at, const char *path, int flags, ...) {             \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        mode_t mode = mode_of(flags, rest);                          \
        va_end(rest);                                                \
        if (refuses(path, flags)) return errno = EROFS, -1;          \
        return REAL(openat_call, #name)(at, path, flags, mode);      \
    }
OPENAT(openat)
OPENAT(openat64)

#define PWRITE(name)                                                          \
    ssize_t name(int file, const void *bytes, size_t count, off_t offset) {   \
        if (fails("write", file)) return errno = EIO, -1;                     \
        return REAL(pwrite_call, #name)(file, bytes, count, offset);          \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SYNC(name)                                          \
    int name(int file) {                                    \
        if (fails("sync", file)) return errno = EIO, -1;    \
        return REAL(sync_call, #name)(file);                \
    }
SYNC(fsync)
SYNC(fdatasync)

/* Stands in for a call that is safe in Rust, so that a test without `unsafe` can
   fork(2): std::fs::canonicalize("/maint-test-fork") forks, and fails in both. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

char *realpath(const char *path, char *resolved)
{
    if (path && strcmp(path, "/maint-test-fork") == 0) {
        errno = fork() < 0 ? EAGAIN : ENOENT;
        return NULL;
    }
    char *(*next)(const char *, char *) = dlsym(RTLD_NEXT, "realpath");
    return next(path, resolved);
}

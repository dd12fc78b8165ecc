/* Another program that has a file of the site open.
 *
 *     holder keep FILE STOP SHARE   keeps it open until STOP exists; SHARE as in winnt.h
 *     holder read FILE STOP         reads it again and again, and counts what it saw
 *     holder stay                   keeps Wine running until its standard input ends
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int is_there(const char *path)
{
    return GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES;
}

static HANDLE open_file(const char *path, DWORD share)
{
    return CreateFileA(path, GENERIC_READ, share, NULL, OPEN_EXISTING, 0, NULL);
}

static int keep(const char *path, const char *stop, DWORD share)
{
    HANDLE file = open_file(path, share);
    if (file == INVALID_HANDLE_VALUE) {
        return 1;
    }
    printf("open\n");
    fflush(stdout);
    while (!is_there(stop)) {
        Sleep(5);
    }
    CloseHandle(file);
    return 0;
}

static int read_again(const char *path, const char *stop)
{
    static char bytes[1 << 20];
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    unsigned long whole = 0, broken = 0;
    printf("open\n");
    fflush(stdout);
    while (!is_there(stop)) {
        HANDLE file = open_file(path, share);
        DWORD length = 0;
        if (file == INVALID_HANDLE_VALUE) {
            continue;
        }
        Sleep(1);
        if (ReadFile(file, bytes, sizeof bytes, &length, NULL) && length > 2 && bytes[0] == '{'
            && memcmp(bytes + length - 2, "}\n", 2) == 0) {
            whole++;
        } else {
            broken++;
        }
        CloseHandle(file);
        Sleep(4);
    }
    printf("%lu %lu\n", whole, broken);
    return 0;
}

static int stay(void)
{
    /* Wine starts what draws windows, which inherits the standard output of this process. */
    GetDesktopWindow();
    while (getchar() != EOF) {
    }
    return 0;
}

int main(int count, char **words)
{
    if (count == 5 && strcmp(words[1], "keep") == 0) {
        return keep(words[2], words[3], (DWORD)atoi(words[4]));
    }
    if (count == 4 && strcmp(words[1], "read") == 0) {
        return read_again(words[2], words[3]);
    }
    if (count == 2 && strcmp(words[1], "stay") == 0) {
        return stay();
    }
    return 2;
}

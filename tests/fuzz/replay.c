/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target on stored inputs: every file of the folders named, and the empty input first.
 * So what a fuzzer once found stays a test, under gcc's sanitizers and without libFuzzer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20) /* libFuzzer's own default limit */

static unsigned inputs;

/* An exact allocation, so that a read behind the end is caught. */
static void run_on(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy) {
        perror("malloc");
        exit(1);
    }
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

static int run_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *f = fopen(path, "rb");

    if (!f) {
        perror(path);
        return -1;
    }
    size_t size = fread(data, 1, sizeof(data), f);
    fclose(f);
    /* Said before, so that the last line before a crash names its input. */
    fprintf(stderr, "%s\n", path);
    run_on(data, size);
    return 0;
}

static int run_folder(const char *path)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    int ret = 0;

    /* A target without stored inputs has no folder in git. */
    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0) {
        perror(path);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char file[4096];
        struct stat st;
        snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && run_file(file) < 0)
            ret = -1;
        free(names[i]);
    }
    free(names);
    return ret;
}

int main(int argc, char **argv)
{
    int ret = 0;

    run_on(NULL, 0);
    for (int i = 1; i < argc; i++)
        if (run_folder(argv[i]) < 0)
            ret = 1;
    printf("%u inputs\n", inputs);
    return ret;
}

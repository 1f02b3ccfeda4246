/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shell FILE: runs the commands in a file of the file system, one a line:
 *
 *     [!] PROGRAM WORD... [< FILE] [| PROGRAM WORD...]... [> FILE or >> FILE]
 *
 * A program without a slash is one of /bin.  A command is right when all its programs end with 0,
 * or, with !, when one does not or cannot be started.  Empty lines and those that begin with # are
 * skipped.
 */
#include "child.h"
#include "print.h"
#include "start.h"
#include "str.h"

#define LINE_MAX_ 256u
#define WORDS_MAX 16u
#define STAGES    4u

struct stage {
    const char *argv[WORDS_MAX + 1];
    int argc;
    char path[64];
    struct child child;
    struct child_pipe pipe; /* to the next one */
    bool made, started;
    int status;
};

static struct stage stages[STAGES];
static unsigned nstages, passed, failed;

/* Where the command's input comes from and its output goes, NULL: the console. */
static const char *input, *output;
static bool append, negated;

/* The next word of *at, which is cut out; NULL: none. */
static char *next_word(char **at)
{
    char *p = *at, *word;

    while (*p == ' ' || *p == '\t')
        p++;
    if (*p == 0)
        return NULL;
    word = p;
    while (*p && *p != ' ' && *p != '\t')
        p++;
    if (*p)
        *p++ = 0;
    *at = p;
    return word;
}

/* `word` and perhaps one behind it; what is wrong, or NULL. */
static const char *take_word(char *word, char **at)
{
    struct stage *s = &stages[nstages - 1];
    const char **file = strcmp(word, "<") == 0 ? &input : &output;

    if (strcmp(word, "|") == 0) {
        if (s->argc == 0 || nstages == STAGES)
            return "nothing on one side of |, or too many of them";
        memset(&stages[nstages++], 0, sizeof(stages[0]));
        return NULL;
    }
    if (strcmp(word, "<") == 0 || strcmp(word, ">") == 0 || strcmp(word, ">>") == 0) {
        append = word[0] == '>' && word[1] == '>';
        *file = next_word(at);
        return *file ? NULL : "no file behind < or >";
    }
    if (s->argc == (int)WORDS_MAX)
        return "too many words";
    s->argv[s->argc++] = word;
    return NULL;
}

static const char *parse(char *line)
{
    const char *wrong = NULL;
    char *word;

    memset(&stages[0], 0, sizeof(stages[0]));
    nstages = 1;
    input = output = NULL;
    append = negated = false;
    while (!wrong && (word = next_word(&line)) != NULL) {
        if (strcmp(word, "!") == 0 && stages[0].argc == 0 && !negated)
            negated = true;
        else
            wrong = take_word(word, &line);
    }
    if (!wrong && stages[nstages - 1].argc == 0)
        wrong = "no program";
    return wrong;
}

/* argv[0] becomes a path. */
static unsigned find_program(struct stage *s)
{
    size_t n = strnlen(s->argv[0], sizeof(s->path));

    if (strchr(s->argv[0], '/'))
        return SE_OK;
    if (n + 6 > sizeof(s->path))
        return SE_NO_SUCH_FILE;
    memcpy(s->path, "/bin/", 5);
    memcpy(s->path + 5, s->argv[0], n + 1);
    s->argv[0] = s->path;
    return SE_OK;
}

static unsigned make_children(void)
{
    unsigned err = SE_OK;

    for (unsigned i = 0; i < nstages && !err; i++) {
        err = find_program(&stages[i]);
        if (!err)
            err = child_create(&stages[i].child, stages[i].argv[0]);
        stages[i].made = !err;
    }
    for (unsigned i = 0; i + 1 < nstages && !err; i++)
        err =
            child_pipe(&stages[i].pipe, &stages[i].child, FILE_OUT, &stages[i + 1].child, FILE_IN);
    if (!err && input)
        err = child_file(&stages[0].child, FILE_IN, input, FILE_R);
    if (!err && output)
        err = child_file(&stages[nstages - 1].child, FILE_OUT, output,
                         FILE_W | FILE_CREATE | (append ? FILE_APPEND : FILE_TRUNC));
    return err;
}

/*
 * False: one could not be started, which was said.  Readers first, because nobody waits for those
 * that have been started by then: they wait for their input until they are destroyed.
 */
static bool start_children(void)
{
    for (unsigned i = nstages; i-- > 0;) {
        unsigned err = child_exec(&stages[i].child, stages[i].argc, stages[i].argv);

        stages[i].started = !err;
        if (err) {
            print("shell: %s cannot be started: error %u\n", stages[i].argv[0], err);
            for (unsigned j = i + 1; j < nstages; j++)
                stages[j].started = false;
            return false;
        }
    }
    return true;
}

/* In the order of the pipes, so that each one's end reaches the next one. */
static bool wait_children(void)
{
    bool ok = true;

    for (unsigned i = 0; i < nstages; i++) {
        if (stages[i].started && child_wait(&stages[i].child, &stages[i].status) != SE_OK)
            stages[i].started = false;
        ok &= stages[i].started && stages[i].status == 0;
        if (stages[i].pipe.sel && stages[i].status == PANIC_STATUS)
            child_pipe_end(&stages[i].pipe);
    }
    return ok;
}

static void free_children(void)
{
    for (unsigned i = 0; i < nstages; i++)
        if (stages[i].made)
            child_destroy(&stages[i].child);
    for (unsigned i = 0; i < nstages; i++)
        if (stages[i].pipe.sel)
            child_pipe_free(&stages[i].pipe);
}

/* Did it do what it should? */
static bool run(char *line)
{
    const char *wrong = parse(line);
    unsigned err;
    bool ok = false;

    if (wrong) {
        print("shell: %s\n", wrong);
        return negated;
    }
    err = make_children();
    if (err)
        print("shell: %s cannot be prepared: error %u\n", stages[0].argv[0], err);
    else if (start_children())
        ok = wait_children();
    free_children();
    return ok != negated;
}

static void command(const char *line)
{
    static char copy[LINE_MAX_];
    bool ok;

    memcpy(copy, line, strlen(line) + 1);
    ok = run(copy);
    passed += ok;
    failed += !ok;
    print("%s %s: ", ok ? "ok  " : "FAIL", line);
    for (unsigned i = 0; i < nstages; i++)
        if (stages[i].started)
            print("%sexit code %d", i ? ", " : "", stages[i].status);
        else
            print("%snot started", i ? ", " : "");
    print("\n");
}

static int script(const char *path)
{
    static char line[LINE_MAX_];
    int fd = file_open(path, FILE_R);
    size_t n = 0;
    long got;
    char c;

    if (fd < 0) {
        print("shell: %s: error %d\n", path, -fd);
        return 1;
    }
    do {
        got = file_read(fd, &c, 1);
        if (got == 1 && c != '\n') {
            if (n + 1 == sizeof(line))
                panic("shell: %s: a line is too long", path);
            line[n++] = c;
            continue;
        }
        line[n] = 0;
        if (n > 0 && line[0] != '#')
            command(line);
        n = 0;
    } while (got == 1);
    file_close(fd);
    print("shell: %u passed, %u failed\n", passed, failed);
    return failed > 0 || got < 0;
}

int main(int argc, char **argv)
{
    unsigned err;

    if (argc != 2)
        panic("usage: shell FILE");
    err = file_root();
    if (err)
        panic("shell: no file system: error %u", err);
    return script(argv[1]);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* See check.h. */
#include "check.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_ (4u << 20)

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = f ? malloc(SIZE_MAX_ + 1) : NULL;
    size_t n;

    if (!text) {
        fprintf(stderr, "bench: %s: %s: run make bench first\n", path, strerror(errno));
        if (f)
            fclose(f);
        return NULL;
    }
    n = fread(text, 1, SIZE_MAX_ + 1, f);
    fclose(f);
    if (n > SIZE_MAX_) {
        fprintf(stderr, "bench: %s: more than %u bytes\n", path, SIZE_MAX_);
        free(text);
        return NULL;
    }
    text[n] = 0;
    return text;
}

/* What a case lacks; NULL: nothing. */
static const char *lacks(const struct json *c)
{
    static const char *const numbers[] = {"ratio", "exits", "n", "p50", "p99"};

    if (!json_string(c, "name", NULL))
        return "name";
    for (unsigned i = 0; i < 5; i++) {
        const struct json *v = json_get(c, numbers[i]);
        bool not_counted = v && v->type == JSON_NULL && strcmp(numbers[i], "exits") == 0;

        if (!v || (v->type != JSON_NUMBER && !not_counted))
            return numbers[i];
    }
    return json_get(c, "baseline") ? NULL : "baseline";
}

static bool complain(const char *path, const char *what, const char *whose)
{
    fprintf(stderr, "bench: %s: %s%s: run make bench again\n", path, what, whose);
    return false;
}

static bool valid(const char *path, const struct json *results)
{
    const struct json *cases = json_get(results, "cases");

    if (!cases || cases->type != JSON_LIST)
        return complain(path, "no list of cases", "");
    for (const struct json *c = cases->child; c; c = c->next)
        if (lacks(c)) {
            char what[64];

            snprintf(what, sizeof(what), "no %s in case ", lacks(c));
            return complain(path, what, json_string(c, "name", "?"));
        }
    if (!cases->child && !(json_get(results, "not_run") && json_get(results, "not_run")->child))
        return complain(path, "no cases", "");
    return true;
}

struct json *check_load(const char *path)
{
    char *text = read_file(path), err[160];
    struct json *j;

    if (!text)
        return NULL;
    j = json_parse(text, err, sizeof(err));
    free(text);
    if (!j) {
        fprintf(stderr, "bench: %s: %s: run make bench again\n", path, err);
    } else if (!valid(path, j)) {
        json_free(j);
        j = NULL;
    }
    return j;
}

/* ---- bench-check ---- */

static bool print_case(const struct json *c, const struct budgets *budgets, const char *commit)
{
    const char *name = json_string(c, "name", "?"), *own = json_string(c, "commit", "");
    double ratio = json_number(c, "ratio", 0), exits = json_number(c, "exits", NAN);
    const struct budget *b = budget_find(budgets, name);
    char at[48] = "", most[32] = "any", had[32] = "not counted";

    if (!b) {
        printf("FAIL %-26s has no budget\n", name);
        return false;
    }
    if (strcmp(own, commit) != 0)
        snprintf(at, sizeof(at), " (of commit %.12s)", own);
    if (!b->any_exits)
        snprintf(most, sizeof(most), "%g", b->exits);
    if (isfinite(exits))
        snprintf(had, sizeof(had), "%.3f", exits);
    printf("%s %-26s ratio %.3f, budget %g; exits %s, budget %s%s\n",
           budget_holds(b, ratio, exits) ? "PASS" : "FAIL", name, ratio, b->ratio, had, most, at);
    return budget_holds(b, ratio, exits);
}

static bool in_list(const struct json *list, const char *name)
{
    for (const struct json *c = list ? list->child : NULL; c; c = c->next)
        if (strcmp(json_string(c, "name", ""), name) == 0)
            return true;
    return false;
}

unsigned check_print(const struct json *results, const struct budgets *budgets)
{
    const struct json *cases = json_get(results, "cases"), *not_run = json_get(results, "not_run");
    const char *commit = json_string(results, "commit", "");
    unsigned passed = 0, failed = 0, skipped = 0;

    for (const struct json *c = cases->child; c; c = c->next)
        if (print_case(c, budgets, commit))
            passed++;
        else
            failed++;
    for (const struct json *c = not_run ? not_run->child : NULL; c; c = c->next) {
        bool skip = strcmp(json_string(c, "status", ""), "skipped") == 0;

        printf("%s %-26s %s\n", skip ? "SKIP" : "FAIL", json_string(c, "name", "?"),
               json_string(c, "why", ""));
        skipped += skip;
        failed += !skip;
    }
    for (unsigned i = 0; i < budgets->n; i++)
        if (!in_list(cases, budgets->b[i].name) && !in_list(not_run, budgets->b[i].name)) {
            printf("FAIL %-26s has no result\n", budgets->b[i].name);
            failed++;
        }
    printf("%u within their budgets, %u not, %u skipped\n", passed, failed, skipped);
    return failed;
}

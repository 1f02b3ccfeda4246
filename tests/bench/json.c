/* SPDX-License-Identifier: BSD-2-Clause */
/* See json.h. */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16u

struct reader {
    const char *text, *at;
    const char *wrong; /* what is; NULL: nothing yet */
};

static struct json *value(struct reader *r, unsigned depth);

static void skip(struct reader *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

static void *wrong(struct reader *r, const char *what)
{
    if (!r->wrong)
        r->wrong = what;
    return NULL;
}

/* One character of a string, behind the backslash; 0: none. */
static char escaped(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = strchr(from, *r->at);
    char hex[5] = "";
    unsigned long code;

    if (*r->at && at) {
        r->at++;
        return to[at - from];
    }
    if (*r->at != 'u' || strspn(r->at + 1, "0123456789abcdefABCDEF") < 4)
        return 0;
    memcpy(hex, r->at + 1, 4);
    r->at += 5;
    code = strtoul(hex, NULL, 16);
    return code == 0 || code > 0x7F ? '?' : (char)code;
}

static char *string(struct reader *r)
{
    size_t max = strlen(++r->at), n = 0;
    const char *close = strchr(r->at, '"');
    char *s;

    while (close && close > r->at && close[-1] == '\\')
        close = strchr(close + 1, '"');
    if (close)
        max = (size_t)(close - r->at) + 1; /* enough unless it ends in a backslash */
    s = malloc(max + 1);
    if (!s)
        return wrong(r, "out of memory");
    while (*r->at && *r->at != '"' && n < max) {
        char ch = *r->at++;

        if (ch == '\\' && !(ch = escaped(r)))
            break;
        if ((unsigned char)ch < ' ' && r->at[-1] == ch)
            break;
        s[n++] = ch;
    }
    s[n] = 0;
    if (*r->at == '"') {
        r->at++;
        return s;
    }
    free(s);
    return wrong(r, "a string that does not end, or a character that may not be in one");
}

/* [value, ...] and {"key": value, ...} */
static void members(struct reader *r, struct json *j, unsigned depth, char close)
{
    struct json **last = &j->child;

    r->at++;
    skip(r);
    if (*r->at == close) {
        r->at++;
        return;
    }
    while (!r->wrong) {
        char *key = NULL;

        skip(r);
        if (close == '}') {
            key = *r->at == '"' ? string(r) : wrong(r, "a member without a name");
            skip(r);
            if (!r->wrong && *r->at++ != ':')
                wrong(r, "no : behind a name");
        }
        *last = r->wrong ? NULL : value(r, depth + 1);
        if (!*last) {
            free(key);
            return;
        }
        (*last)->key = key;
        last = &(*last)->next;
        skip(r);
        if (*r->at == close) {
            r->at++;
            return;
        }
        if (*r->at != ',')
            wrong(r, "neither a comma nor an end");
        else
            r->at++;
    }
}

static void number(struct reader *r, struct json *j)
{
    char *end;

    j->type = JSON_NUMBER;
    j->number = strspn(r->at, "-0123456789") ? strtod(r->at, &end) : NAN;
    if (!isfinite(j->number))
        wrong(r, "what is no value");
    else
        r->at = end;
}

static void word(struct reader *r, struct json *j)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};

    for (unsigned i = 0; i < 3; i++)
        if (strncmp(r->at, words[i].word, strlen(words[i].word)) == 0) {
            j->type = words[i].type;
            r->at += strlen(words[i].word);
            return;
        }
    number(r, j);
}

static struct json *value(struct reader *r, unsigned depth)
{
    struct json *j;

    if (depth > DEPTH_MAX)
        return wrong(r, "too deep");
    j = calloc(1, sizeof(*j));
    if (!j)
        return wrong(r, "out of memory");
    skip(r);
    if (*r->at == '{' || *r->at == '[') {
        j->type = *r->at == '{' ? JSON_OBJECT : JSON_LIST;
        members(r, j, depth, *r->at == '{' ? '}' : ']');
    } else if (*r->at == '"') {
        j->type = JSON_STRING;
        j->string = string(r);
    } else {
        word(r, j);
    }
    if (r->wrong) {
        json_free(j);
        return NULL;
    }
    return j;
}

struct json *json_parse(const char *text, char *err, size_t size)
{
    struct reader r = {.text = text, .at = text};
    struct json *j = value(&r, 0);
    unsigned line = 1;

    skip(&r);
    if (j && *r.at) {
        wrong(&r, "something behind the end");
        json_free(j);
        j = NULL;
    }
    for (const char *p = text; p < r.at; p++)
        line += *p == '\n';
    if (!j)
        snprintf(err, size, "line %u: %s", line, r.wrong);
    return j;
}

void json_free(struct json *j)
{
    while (j) {
        struct json *next = j->next;

        json_free(j->child); /* at most DEPTH_MAX deep */
        free(j->key);
        free(j->string);
        free(j);
        j = next;
    }
}

const struct json *json_get(const struct json *j, const char *key)
{
    if (!j || j->type != JSON_OBJECT)
        return NULL;
    for (j = j->child; j; j = j->next)
        if (strcmp(j->key, key) == 0)
            return j;
    return NULL;
}

double json_number(const struct json *j, const char *key, double otherwise)
{
    const struct json *m = json_get(j, key);

    return m && m->type == JSON_NUMBER ? m->number : otherwise;
}

const char *json_string(const struct json *j, const char *key, const char *otherwise)
{
    const struct json *m = json_get(j, key);

    return m && m->type == JSON_STRING ? m->string : otherwise;
}

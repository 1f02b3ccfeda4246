/* SPDX-License-Identifier: BSD-2-Clause */
/* A small reader of JSON: for build/bench.json. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>

enum json_type {
    JSON_NULL,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_LIST,
    JSON_OBJECT
};

struct json {
    enum json_type type;
    char *key;    /* in an object, else NULL */
    char *string; /* unescaped; \u above 7F becomes ? */
    double number;
    struct json *child, *next;
};

/* The whole text is one value.  NULL, with one line in err, when it is not (or is nested more than
 * 16 deep, or memory is out).  The caller frees it. */
struct json *json_parse(const char *text, char *err, size_t size);
void json_free(struct json *j);

/* NULL: j is NULL or no object, or has no such member. */
const struct json *json_get(const struct json *j, const char *key);
/* The member's number or string; what is missing or of another type is `otherwise`. */
double json_number(const struct json *j, const char *key, double otherwise);
const char *json_string(const struct json *j, const char *key, const char *otherwise);

#endif

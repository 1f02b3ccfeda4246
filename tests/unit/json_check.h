/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is this text JSON (RFC 8259)?  For tests of what writes some; it keeps nothing.  Text with a NUL
 * in it, or nested deeper than JSON_DEPTH, is none.
 */
#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include <stdbool.h>
#include <string.h>

#define JSON_DEPTH 32

static const char *json_value(const char *s, unsigned depth);

static inline const char *json_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

/* Each takes where it begins and returns what follows, NULL for an error. */
static inline const char *json_string(const char *s)
{
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s != '\\')
            continue;
        s++;
        if (*s == 'u') {
            if (strspn(s + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            s += 4;
        } else if (!*s || !strchr("\"\\/bfnrt", *s)) {
            return NULL;
        }
    }
    return s + 1;
}

static inline const char *json_digits(const char *s)
{
    size_t n = strspn(s, "0123456789");

    return n ? s + n : NULL;
}

static inline const char *json_number(const char *s)
{
    s += *s == '-';
    if (*s == '0')
        s++;
    else if (!(s = json_digits(s)))
        return NULL;
    if (*s == '.' && !(s = json_digits(s + 1)))
        return NULL;
    if (*s == 'e' || *s == 'E') {
        s++;
        s = json_digits(s + (*s == '+' || *s == '-'));
    }
    return s;
}

static inline const char *json_items(const char *s, char close, unsigned depth)
{
    s = json_space(s + 1);
    if (*s == close)
        return s + 1;
    for (;;) {
        if (close == '}') {
            s = json_string(json_space(s));
            if (!s || *(s = json_space(s)) != ':')
                return NULL;
            s++;
        }
        s = json_value(s, depth + 1);
        if (!s || (*s != ',' && *s != close))
            return NULL;
        if (*s++ == close)
            return s;
    }
}

static inline const char *json_value(const char *s, unsigned depth)
{
    s = json_space(s);
    if (depth > JSON_DEPTH)
        return NULL;
    if (*s == '{' || *s == '[')
        s = json_items(s, *s == '{' ? '}' : ']', depth);
    else if (*s == '"')
        s = json_string(s);
    else if (strncmp(s, "true", 4) == 0 || strncmp(s, "null", 4) == 0)
        s += 4;
    else if (strncmp(s, "false", 5) == 0)
        s += 5;
    else
        s = json_number(s);
    return s ? json_space(s) : NULL;
}

static inline bool json_valid(const char *s)
{
    s = json_value(s, 0);
    return s && !*s;
}

#endif

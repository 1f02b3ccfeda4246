/* SPDX-License-Identifier: BSD-2-Clause */
/* For lwIP's sources, which include it and, as configured, use nothing but this. */
#ifndef BRIDGE_STDLIB_H
#define BRIDGE_STDLIB_H

#include <stddef.h>

int atoi(const char *s);

#endif

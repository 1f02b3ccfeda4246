/* SPDX-License-Identifier: BSD-2-Clause */
/* For lwIP's sources: what guest/lib has of <string.h>. */
#include "str.h"

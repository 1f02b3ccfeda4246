/* SPDX-License-Identifier: BSD-2-Clause */
/* What capserver understands, for it and its client. */
#ifndef CAPSERVER_H
#define CAPSERVER_H

#define CAPSERVER_NAME "capserver"

/* OBTAIN, first word of the arguments. */
enum capserver_give { CAPSERVER_GATE, CAPSERVER_CAP };

/* Messages: the number of the capability to revoke; the answer is an error code. */
#define CAPSERVER_MAX 1000u

#endif

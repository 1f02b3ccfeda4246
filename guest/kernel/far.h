/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities for VPEs and services of other kernels: CAP_FAR_VPE and CAP_FAR_SRV (far.c).
 */
#ifndef KERNEL_FAR_H
#define KERNEL_FAR_H

#include "kernel.h"

/* Reserved `into` becomes a capability for the VPE of that key; ours, if it is one. */
int far_get_vpe(uint64_t key, struct cap *into);
/* The key that names c's VPE, ours or another kernel's. */
uint64_t far_vpe_key(const struct cap *c);
/* c, a CAP_FAR_VPE, has been copied; is out of use; is being freed. */
void far_copied(struct cap *c);
void far_disabled(struct cap *c);
void far_released(struct cap *c);

/* CREATEGATE (label, endpoint, credits; checked), VPECTRL, EXCHANGE for such VPEs. */
int far_creategate(struct vpe *v, struct cap *target, uint32_t sel, const uint64_t args[3]);
int far_vpectrl(struct sys_call *c, struct cap *cap, uint32_t op);
int far_exchange(struct sys_call *c, const struct cap *cap, const struct cap_range *own,
                 const struct cap_range *other, bool obtain);
/* CREATESESSAT for such a service. */
int far_createsessat(struct vpe *v, struct cap *srv, uint32_t sel, uint64_t ident);

/* v is ending: other kernels that have capabilities for it are told. */
void far_tell_end(struct vpe *v);
/* Has c's VPE ended?  Then it is nobody's child any more when its parent goes. */
bool far_has_ended(const struct cap *c);
/* The VPE of ours for which p has that child of that parent, NULL: none. */
struct vpe *far_named(const struct peer *p, uint64_t parent, uint64_t child);
/* KCREATEVPE and KEXIT with a capability behind their arguments. */
void far_start_asked(struct kcall *c, uint32_t tid);
void far_end_told(struct kcall *c, int32_t code);

#endif

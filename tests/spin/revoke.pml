/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation of a channel (vdtu/RINGS.md): a sender, a receiver and the host, with store buffers.
 * A slot has a payload and a sequence number; payload = number of the message while the sender is
 * honest, 99 what it writes after the kernel's write has returned.
 *
 * Claims: the receiver gets what the sender believes accepted, in order, and nothing written after
 * the revocation.  FENCE=0 leaves out the sender's fence, HFENCE=0 the host's between DYING and its
 * look, RECHECK=0 the receiver's second look; KEPT=0 decides by the live ring what was accepted.  Each
 * must fail.
 */
#ifndef FENCE
#define FENCE 1
#endif
#ifndef HFENCE
#define HFENCE 1
#endif
#ifndef RECHECK
#define RECHECK 1
#endif
#ifndef KEPT
#define KEPT 1
#endif
#define SLOTS 2
#define LAST  2

mtype = { LIVE, DYING, DEAD };
mtype state = LIVE;
byte seq[SLOTS], data[SLOTS];   /* the shared block */
byte kseq[SLOTS], kdata[SLOTS]; /* the host's copy */
byte last;
bool revoked;                   /* the kernel's write has returned */
byte sb_seq; byte sb_slot; bool sb_full;
bool dying; /* in the host's store buffer */
byte accepted; bool sent_all;
byte taken;

proctype flush()
{
end:
    do
    :: atomic { sb_full -> seq[sb_slot] = sb_seq; sb_full = false }
    od
}

proctype flush_host()
{
end:
    do
    :: atomic { dying -> state = DYING; dying = false }
    od
}

proctype sender()
{
    byte n = 0;
    mtype s;

    do
    :: n < LAST ->
        /* The payload before the number: x86 keeps stores in order, so it is visible when that is. */
        data[n % SLOTS] = n + 1;
        atomic { !sb_full -> sb_seq = n + 1; sb_slot = n % SLOTS; sb_full = true }
#if FENCE
        !sb_full;
#endif
        s = state;
        if
        :: s == LIVE -> n++; accepted = n
        :: else ->
            state == DEAD;
            if
            :: last > n -> n++; accepted = n
            :: else
            fi;
            break
        fi
    :: else -> break
    od;
    sent_all = true;
    /* It still maps the page. */
    revoked;
    data[0] = 99;
    data[1] = 99;
    seq[0] = 1 + taken;
    seq[1] = 2 + taken
}

proctype host()
{
    byte i = 0;

    dying = true;
#if HFENCE
    !dying;
#endif
    do
    :: i < SLOTS ->
        kseq[i] = seq[i];
        kdata[i] = data[i];
        i++
    :: else -> break
    od;
#if KEPT
    last = (kseq[1] > kseq[0] -> kseq[1] : kseq[0]);
#else
    last = (seq[1] > seq[0] -> seq[1] : seq[0]);
#endif
    !dying;
    state = DEAD;
    revoked = true
}

proctype receiver()
{
    byte d;
    mtype s;

    do
    :: taken == LAST -> break
    :: sent_all && taken == accepted && state == DEAD -> break
    :: else ->
        s = state;
        if
        :: s == LIVE && seq[taken % SLOTS] == taken + 1 ->
            d = data[taken % SLOTS];
#if RECHECK
            s = state;
#endif
            if
            :: s == LIVE -> assert(d == taken + 1); taken++
            :: else
            fi
        :: s == DEAD && kseq[taken % SLOTS] == taken + 1 ->
            d = kdata[taken % SLOTS];
            assert(d == taken + 1);
            taken++
        :: s == DEAD && kseq[taken % SLOTS] != taken + 1 ->
            /* Nothing more will come. */
            sent_all;
            assert(taken == accepted);
            break
        :: else
        fi
    od;
    sent_all;
    assert(taken == accepted)
}

init
{
    atomic { run flush(); run flush_host(); run sender(); run host(); run receiver() }
}

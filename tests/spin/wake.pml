/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleep and wake of rings (vdtu/RINGS.md), on a machine whose stores wait in a buffer, as x86's do:
 * a store is visible to others only once it is flushed, which happens any time, and a full fence
 * waits for it.  Two senders, one receiver, a host.
 *
 * Claim: every message is taken, i.e. the receiver does not sleep for ever over one.  With FENCE=0
 * (spin -DFENCE=0) the model must fail: tests/spin/run.sh asks that, too.  With ONLY=1 the receiver
 * wants the messages of sender 0 only (VREG_CALL_ONLY): it sleeps over the other's, whose bells wake
 * it all the same.
 */
#ifndef ONLY
#define ONLY 0
#endif
#ifndef FENCE
#define FENCE 1
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#define SENDERS 2
#if ONLY
#define WANTED MESSAGES
#else
#define WANTED (SENDERS * MESSAGES)
#endif

byte seq[SENDERS];  /* messages of each that others can see */
bool sleeping;      /* the receiver's flag, as others see it */
bool belled;        /* the host's latch */
byte taken;         /* messages that the receiver has */

/* Store buffers of one entry each: the only stores that matter come singly. */
byte sb_seq[SENDERS];
bool sb_seq_full[SENDERS];
bool sb_sleeping, sb_sleeping_full;

proctype flush_seq(byte s)
{
end:
    do
    :: atomic { sb_seq_full[s] -> seq[s] = sb_seq[s]; sb_seq_full[s] = false }
    od
}

proctype flush_sleeping()
{
end:
    do
    :: atomic { sb_sleeping_full -> sleeping = sb_sleeping; sb_sleeping_full = false }
    od
}

proctype sender(byte s)
{
    byte n = 0;

    do
    :: n < MESSAGES ->
        n++;
        atomic { !sb_seq_full[s] -> sb_seq[s] = n; sb_seq_full[s] = true }
#if FENCE
        !sb_seq_full[s];
#endif
        if
        :: sleeping ->
            /* VREG_RING_BELL: an exit, which flushes the buffer */
            !sb_seq_full[s];
            atomic { sleeping = false; belled = true }
        :: else
        fi
    :: else -> break
    od
}

inline look()
{
    /* takes what is there */
    atomic {
        found = false;
        if
        :: got[0] < seq[0] -> got[0]++; found = true
        :: else ->
            if
            :: !ONLY && got[1] < seq[1] -> got[1]++; found = true
            :: else
            fi
        fi;
        if
        :: found -> taken++
        :: else
        fi
    }
}

proctype receiver()
{
    byte got[SENDERS];
    bool found;

    do
    :: taken == WANTED -> break
    :: else ->
        look();
        if
        :: found -> skip
        :: else ->
            atomic { !sb_sleeping_full -> sb_sleeping = true; sb_sleeping_full = true }
#if FENCE
            !sb_sleeping_full;
#endif
            look();
            if
            :: found -> skip
            :: else ->
                !sb_sleeping_full; /* WAIT: an exit */
                atomic { belled -> belled = false } /* sleeps here */
            fi;
            atomic { !sb_sleeping_full -> sb_sleeping = false; sb_sleeping_full = true };
            !sb_sleeping_full
        fi
    od
}

init
{
    atomic {
        run flush_seq(0);
        run flush_seq(1);
        run flush_sleeping();
        run sender(0);
        run sender(1);
        run receiver()
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a channel, and its entries in the next (vdtu/RINGS.md, "A block is used again"): sender
 * S, receiver R and the host.  S has sent; the channel ends, because S's endpoint is written, or R's;
 * and later R's endpoint may be written, or its PE reset, too.  R's entry is then given to a third
 * PE's channel, in which any answer that R writes would be taken for one to that one's first message.
 *
 * Claims: no answer of this channel is in the next one; an entry is given away only when nothing of
 * it is in its program's hands; S gets no answer that was written after R had lost the right; an
 * answer that R believes given is taken; in the end each entry is free, whatever the other end does,
 * and so S, which sleeps, is woken for all that it waits for.  Whether answers have credits is all
 * one here (credits.pml).
 *
 * HOSTILE=1: R never closes, tells S that it has, and writes answers by hand; 2: it closes and does
 * not tell S; 3: S never closes.  With any one of these left out it must fail: ASKED (R, though it
 * has lost its endpoint, keeps its entry until it says so), HELD (who holds something does not
 * close), AGAIN (who has closed takes nothing), FROZEN (then answers are what the host kept), LOOK (a
 * copy counts only if nothing changed), FENCE (of R, between answer and look), MUTE (R is told before
 * answers are kept), TOLD (S is, when R has its entry back), NUDGE.  BOTH=1 waits for both ends.
 */
#ifndef ASKED
#define ASKED 1
#endif
#ifndef HELD
#define HELD 1
#endif
#ifndef AGAIN
#define AGAIN 1
#endif
#ifndef FROZEN
#define FROZEN 1
#endif
#ifndef LOOK
#define LOOK 1
#endif
#ifndef FENCE
#define FENCE 1
#endif
#ifndef MUTE
#define MUTE 1
#endif
#ifndef TOLD
#define TOLD 1
#endif
#ifndef NUDGE
#define NUDGE 1
#endif
#ifndef BOTH
#define BOTH 0
#endif
#ifndef HOSTILE
#define HOSTILE 0
#endif
#define SENT 2 /* messages, which both want an answer */
#define EVIL 9

mtype = { LIVE, DEAD, GONE, FREE };
mtype sword = LIVE, rword = LIVE; /* the descriptors */
byte rep[SENT + 1], kept[SENT + 1]; /* answers: in the ring; what the host kept of them, */
byte nkept;                         /* and says so to R */
byte sb, sb_at;                     /* R's store buffer: an answer that nobody sees yet */
bool drained;                       /* what R has not taken is lost */
bool dst_closed;                    /* in the block: any of the two can write it */
bool rclosed, sclosed;              /* in private pages */
bool rout, sout;                    /* the entry is its end's no more */
bool mute, lost;                    /* R may not answer; and the kernel's write has returned */
bool over;                          /* R's PE was reset */
bool belled;                        /* S's latch */
byte taken, held, granted, given;   /* R's: given is what it believes */
byte got;                           /* S's: answers taken, */
bool hands;                         /* and one is in the program's hands */

active proctype flush()
{
end:
    do
    :: atomic {
           sb ->
           assert(!rout || over); /* else the next channel has it */
           rep[sb_at] = sb;
           sb = 0
       }
    od
}

active proctype receiver()
{
    {
end:
        do
        :: taken < SENT && !drained && rword != FREE && !rclosed -> atomic { taken++; held++ }
        :: held -> held-- /* ACK */
        :: held && (rword == LIVE || rword == DEAD) ->
            /* It has looked, and writes now; then publishes, and looks again. */
            atomic { !sb -> sb_at = granted; sb = granted + 1 }
            granted++;
#if FENCE
            !sb;
#endif
            if
            :: rword != GONE -> given = granted
            :: else ->
                lost; /* waits for the host's lock */
                if
                :: nkept >= granted -> given = granted
                :: else
                fi
            fi;
            held--
        :: HOSTILE != 1 && !rclosed && (rword == DEAD || rword == GONE) &&
           ((!held && (taken == SENT || drained)) || !HELD || HOSTILE == 2) ->
            if
            :: HOSTILE == 2 -> held = 0; drained = true
            :: else -> dst_closed = true
            fi;
            rclosed = true
        :: rclosed && !held -> break
        od
    } unless { over }
}

/* What a hostile R may do besides, at any time. */
active proctype forger()
{
    if
    :: HOSTILE == 1 ->
        {
            if
            :: dst_closed = true
            :: skip
            fi;
end4:
            lost;
            rep[0] = EVIL;
            rep[1] = EVIL
        } unless { over }
    :: else
    fi
}

active proctype sender()
{
    byte v;
    mtype s;

end:
    do
    :: hands -> hands = false
    :: got < SENT && !(sclosed && AGAIN) && (!hands) ->
        s = sword;
        v = (s == GONE && FROZEN -> kept[got] : rep[got]);
        if
        :: v && (!LOOK || sword == s) ->
            assert(v != EVIL);
            assert(!sout);
            atomic { got++; hands = true }
        :: v && LOOK && sword != s -> skip
        :: else ->
            if
            :: sclosed ->
end2:
                rep[got] /* only without AGAIN */
            :: !sclosed && HOSTILE != 3 && (s == GONE || (s == DEAD && dst_closed)) ->
                v = (s == GONE && FROZEN -> kept[got] : rep[got]);
                if
                :: v == 0 && (!hands || !HELD) -> sclosed = true
                :: else
                fi
            :: else ->
                /* Sleeps; the bell for an answer is wake.pml's. */
end3:
                if
                :: atomic { belled -> belled = false }
                :: sword != GONE && rep[got]
                :: sword == DEAD && dst_closed /* nobody rings for that: it has woken for other things */
                fi
            fi
        fi;
        v = 0
    :: got == SENT && HOSTILE != 3 && !sclosed && sword != LIVE && (!hands || !HELD) ->
        sclosed = true
    od
}

inline nudge()
{
    belled = belled || NUDGE
}

/* vdtu_chan_no_endpoint() */
inline no_answers()
{
    if
    :: !mute ->
#if MUTE
        rword = GONE;
#endif
        i = 0;
        do
        :: i < SENT ->
            kept[i] = rep[i];
            if
            :: kept[i] -> nkept = i + 1
            :: else
            fi;
            i++
        :: else -> break
        od;
        rword = GONE;
        mute = true;
        if
        :: !sout -> sword = GONE; nudge()
        :: else
        fi;
        lost = true
    :: else
    fi
}

#define R_DONE (rclosed || over || (!ASKED && mute))

active proctype host()
{
    byte i;

    if
    :: sword = DEAD; rword = DEAD; nudge() /* S's endpoint: answers go on */
    :: drained = true; sword = DEAD; rword = DEAD; nudge(); no_answers()
    fi;
    if
    :: skip
    :: true -> no_answers(); over = true
    :: true -> no_answers(); drained = true /* R's endpoint, though S's was written before */
    fi;
end:
    do
    :: !rout && R_DONE && (!BOTH || sclosed) ->
        assert(!held || over);
        if
        :: TOLD -> no_answers()
        :: else
        fi;
        atomic { rout = true; rword = FREE }
    :: !sout && sclosed && (!BOTH || R_DONE) ->
        assert(!hands);
        atomic { sout = true; sword = FREE }
    od
}

/* When nobody can go on. */
active proctype monitor()
{
    timeout;
    /* Who has sent and gets no answer waits, as with a DTU, until nobody can give one any more. */
    assert(sout || HOSTILE == 3 || (HOSTILE == 1 && !dst_closed && !lost));
    assert(rout || HOSTILE == 1);
    assert(got >= given || HOSTILE)
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots and credits of a channel (vdtu/RINGS.md, "Room"): the sender looks at answers only, never at
 * what the receiver has taken.  The receiver copies messages to an inbox, keeps them, and answers in
 * any order.
 *
 * Claims: no message is written over before it was taken, the inbox never is full, and who has
 * credits can send.  EARLY=1 answers a message before it is out of its slot, INORDER=1 frees slots
 * of the inbox in the order of the messages, as a ring would.  Each must fail.
 */
#ifndef EARLY
#define EARLY 0
#endif
#ifndef INORDER
#define INORDER 0
#endif
#define CAP   2
#define SLOTS 2
#define N     5

byte slot[SLOTS];      /* number + 1 of the message there */
bool fresh[SLOTS];      /* not taken yet */
byte answers;          /* published: so many credits came back */
bool held[SLOTS];      /* inbox */
byte number[SLOTS];
byte taken, least;     /* the receiver's own */
bool over[N];

proctype sender()
{
    byte sent = 0;

    do
    :: sent == N -> break
    :: sent < N && sent - answers < CAP ->
        assert(!fresh[sent % SLOTS]);
        fresh[sent % SLOTS] = true;
        slot[sent % SLOTS] = sent + 1;
        sent++
    od
}

proctype receiver()
{
    byte i, given = 0;

    do
    :: given == N -> break
#if EARLY
    :: slot[taken % SLOTS] == taken + 1 ->
        answers++; /* what it says is known before the copy is complete */
        given++;
        fresh[taken % SLOTS] = false;
        taken++
#else
    :: slot[taken % SLOTS] == taken + 1 ->
#if INORDER
        assert(taken - least < SLOTS);
#endif
        i = 0;
        do
        :: i < SLOTS && held[i] -> i++
        :: else -> break
        od;
        assert(i < SLOTS);
        held[i] = true;
        number[i] = taken;
        fresh[taken % SLOTS] = false;
        taken++
    :: held[0] || held[1] ->
        if
        :: held[0] -> i = 0
        :: held[1] -> i = 1
        fi;
        answers++;
        given++;
        held[i] = false;
        over[number[i]] = true;
        do
        :: least < N && over[least] -> least++
        :: else -> break
        od
#endif
    od
}

init
{
    atomic { run sender(); run receiver() }
}

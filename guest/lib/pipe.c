/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes; see pipe.h. */
#include "pipe.h"

#include "marshal.h"

#define LOOK_NS 2000000u /* between two looks whether the other side is still there */

void pipe_reader_init(struct pipe_reader *r, unsigned mem, unsigned ep)
{
    *r = (struct pipe_reader){.ep = ep, .mem = {.sel = mem}};
    ep_reserve(ep);
}

void pipe_writer_init(struct pipe_writer *w, unsigned mem, uint64_t size)
{
    *w = (struct pipe_writer){
        .size = size, .free = size, .mem = {.sel = mem}, .send = {.sel = mem + 1}};
}

static uint64_t round_up(uint64_t n)
{
    return (n + 7) & ~7ull;
}

/* Some time, or until a message comes; messages may be unread elsewhere. */
static void look_later(void)
{
    if (dtu_get(DTU_MSG_CNT))
        dtu_relax(LOOK_NS);
    else
        dtu_wait(LOOK_NS);
}

/* ---- reading ---- */

static unsigned attach_reader(struct pipe_reader *r)
{
    unsigned err;

    if (r->attached)
        return SE_OK;
    err = recv_gate_attach(&r->recv, r->ep, PIPE_ORDER, PIPE_MSGORDER);
    r->attached = !err;
    return err;
}

/* The memory was taken away: whoever made the pipe has given up on the writer. */
static bool reader_alone(struct pipe_reader *r)
{
    return gate_activate(&r->mem) != SE_OK || dtu_type(r->mem.ep) != DTU_EP_MEM;
}

/* The next piece; false: there will be none. */
static bool next_piece(struct pipe_reader *r)
{
    struct msg_reader in;

    while (!(r->msg = dtu_fetch(r->recv.ep))) {
        if (dtu_type(r->recv.ep) != DTU_EP_RECV || reader_alone(r))
            return false;
        look_later();
    }
    msg_reader_init(&in, dtu_payload(r->msg), r->msg->length);
    r->off = msg_get_u64(&in);
    r->length = r->left = msg_get_u64(&in);
    return !in.error;
}

/* Says that we are done with the piece; 0: with all. */
static void reply(struct pipe_reader *r, uint64_t length)
{
    static uint64_t word;

    word = length;
    if (r->msg)
        dtu_reply(r->recv.ep, r->msg, &word, sizeof(word));
    r->msg = NULL;
}

long pipe_read(struct pipe_reader *r, void *buf, size_t n)
{
    unsigned err = attach_reader(r);

    if (err)
        return -(long)err;
    if (r->eof || n == 0)
        return 0;
    if (r->left == 0) {
        reply(r, r->length);
        if (!next_piece(r) || r->length == 0) {
            r->eof = true;
            return 0;
        }
    }
    if (n > r->left)
        n = r->left;
    err = map_auto_read(&r->map, &r->mem, buf, n, r->off);
    if (err)
        return -(long)err;
    r->off += n;
    r->left -= n;
    return (long)n;
}

void pipe_close_reader(struct pipe_reader *r)
{
    if (attach_reader(r) != SE_OK)
        return;
    if (r->msg || (!r->eof && next_piece(r)))
        reply(r, 0);
    map_auto_drop(&r->map);
    gate_deactivate(&r->mem);
    recv_gate_destroy(&r->recv);
    r->attached = false;
}

/* ---- writing ---- */

static unsigned attach_writer(struct pipe_writer *w)
{
    unsigned err;

    if (w->attached)
        return SE_OK;
    err = recv_gate_create(&w->recv, PIPE_ORDER, PIPE_MSGORDER);
    w->attached = !err;
    return err;
}

/* A reply; false: the reader has ended, or says that it is the end. */
static bool take_reply(struct pipe_writer *w)
{
    const struct dtu_header *msg;
    struct msg_reader in;
    uint64_t length;

    while (!(msg = dtu_fetch(w->recv.ep))) {
        if (dtu_type(w->recv.ep) != DTU_EP_RECV || gate_activate(&w->send) != SE_OK ||
            dtu_type(w->send.ep) != DTU_EP_SEND)
            return false;
        look_later();
    }
    msg_reader_init(&in, dtu_payload(msg), msg->length);
    length = round_up(msg_get_u64(&in));
    dtu_ack(w->recv.ep, msg);
    w->pending--;
    if (in.error || length == 0 || length > w->size - w->free)
        return false;
    w->free += length;
    w->rdpos = (w->rdpos + length) % w->size;
    return true;
}

/* Bytes next to each other that are free from wrpos on. */
static uint64_t room(const struct pipe_writer *w)
{
    uint64_t to_end = w->size - w->wrpos;

    return w->free < to_end ? w->free : to_end;
}

static unsigned announce(struct pipe_writer *w, uint64_t off, uint64_t length)
{
    static uint64_t piece[2];
    unsigned err;

    piece[0] = off;
    piece[1] = length;
    do {
        err = gate_send(&w->send, piece, sizeof(piece), w->recv.ep, 0);
        if (err == SE_NO_RING_SPACE)
            dtu_relax(LOOK_NS);
    } while (err == SE_NO_RING_SPACE);
    if (!err)
        w->pending++;
    return err;
}

/* One piece: as much of n as there is room for now. */
static long write_piece(struct pipe_writer *w, const void *buf, size_t n)
{
    uint64_t space = room(w);
    unsigned err;

    if (n > space)
        n = space;
    err = map_auto_write(&w->map, &w->mem, buf, n, w->wrpos);
    if (!err)
        err = announce(w, w->wrpos, n);
    if (err)
        return -(long)err;
    w->wrpos = (w->wrpos + round_up(n)) % w->size;
    w->free -= round_up(n);
    return (long)n;
}

long pipe_write(struct pipe_writer *w, const void *buf, size_t n)
{
    unsigned err = attach_writer(w);
    const uint8_t *from = buf;
    size_t left = n;

    if (err)
        return -(long)err;
    while (left > 0 && !w->eof) {
        if (w->pending == PIPE_MSGS || room(w) == 0) {
            w->eof = !take_reply(w);
        } else {
            long done = write_piece(w, from, left);

            w->eof = done < 0;
            if (done > 0) {
                from += done;
                left -= (size_t)done;
            }
        }
    }
    return left > 0 ? -(long)SE_END_OF_FILE : (long)n;
}

void pipe_close_writer(struct pipe_writer *w)
{
    if (attach_writer(w) != SE_OK)
        return;
    while (!w->eof && w->pending == PIPE_MSGS)
        w->eof = !take_reply(w);
    if (!w->eof && announce(w, w->wrpos % w->size, 0) == SE_OK)
        while (w->pending > 0 && take_reply(w))
            ;
    map_auto_drop(&w->map);
    gate_deactivate(&w->mem);
    gate_deactivate(&w->send);
    recv_gate_destroy(&w->recv);
    w->attached = false;
}

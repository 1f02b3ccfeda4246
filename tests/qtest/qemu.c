/* SPDX-License-Identifier: BSD-2-Clause */
/* See qemu.h. */
#include "qemu.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANGS       60000 /* ms; only ends what hangs */
#define BIOS_SIZE   0x10000u
#define HPET        0xFED00000u
#define HPET_MS     100000u /* its ticks in a millisecond */
#define SOCKET_ROOM (8 << 20)

static void fail(const char *what)
{
    fprintf(stderr, "qtest: %s: %s; is qemu-system-x86 7.2 or later installed?\n", what,
            strerror(errno));
    exit(2);
}

/* Fifteen bytes before the end a processor starts: there it stops for good. */
static int make_bios(void)
{
    static uint8_t bios[BIOS_SIZE];
    int fd = memfd_create("bios", 0);

    memset(bios, 0xF4, sizeof(bios)); /* hlt */
    bios[BIOS_SIZE - 16] = 0xFA;      /* cli */
    if (fd < 0 || write(fd, bios, sizeof(bios)) != sizeof(bios))
        fail("memory for a BIOS");
    return fd;
}

static int make_ram(struct qemu *q)
{
    int fd = memfd_create("ram", 0);

    if (fd < 0 || ftruncate(fd, QEMU_RAM))
        fail("memory for a guest");
    q->ram = mmap(NULL, QEMU_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (q->ram == MAP_FAILED)
        fail("mmap");
    return fd;
}

/* Two UDP sockets connected to each other. */
static void make_net(int fd[2])
{
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr[0]);
    int room = SOCKET_ROOM;

    for (unsigned i = 0; i < 2; i++) {
        addr[i] =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd[i] < 0 || bind(fd[i], (struct sockaddr *)&addr[i], len) ||
            getsockname(fd[i], (struct sockaddr *)&addr[i], &len))
            fail("UDP on loopback");
        if (setsockopt(fd[i], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
            setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    }
    for (unsigned i = 0; i < 2; i++)
        if (connect(fd[i], (struct sockaddr *)&addr[!i], len))
            fail("UDP on loopback");
}

static void run_qemu(const int fd[5], const uint8_t *mac)
{
    char bios[32], ram[96], net[48], qtest[48], qmp[48], dev[80];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < 5; i++)
        fcntl(fd[i], F_SETFD, 0);
    snprintf(bios, sizeof(bios), "/proc/self/fd/%d", fd[0]);
    snprintf(ram, sizeof(ram),
             "memory-backend-file,id=m,size=%u,share=on,mem-path=/proc/self/fd/%d", QEMU_RAM,
             fd[1]);
    snprintf(net, sizeof(net), "dgram,id=n,local.type=fd,local.str=%d", fd[2]);
    snprintf(qtest, sizeof(qtest), "socket,id=qtest,fd=%d", fd[3]);
    snprintf(qmp, sizeof(qmp), "socket,id=p,fd=%d", fd[4]);
    snprintf(dev, sizeof(dev), "e1000,addr=4,romfile=,netdev=n,mac=%02x:%02x:%02x:%02x:%02x:%02x",
             mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    execlp("qemu-system-x86_64", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display",
           "none", "-accel", "tcg", "-icount", "shift=0,sleep=off", "-machine",
           "pc,memory-backend=m", "-m", "16", "-object", ram, "-bios", bios, "-chardev", qtest,
           "-qtest", "chardev:qtest", "-qtest-log", "/dev/null", "-chardev", qmp, "-mon",
           "chardev=p,mode=control", "-netdev", net, "-device", dev, (char *)NULL);
    fail("qemu-system-x86_64");
}

/* The next line of a socket, without its end; both protocols have lines. */
static char *read_line(struct qemu *q, int fd)
{
    static char line[sizeof(q->in)];

    for (;;) {
        char *end = memchr(q->in, '\n', q->have);
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t n;

        if (end) {
            size_t len = (size_t)(end - q->in);

            memcpy(line, q->in, len);
            line[len] = 0;
            q->have -= len + 1;
            memmove(q->in, end + 1, q->have);
            return line;
        }
        if (q->have == sizeof(q->in))
            fail("a line too long");
        if (poll(&p, 1, HANGS) != 1)
            fail("QEMU does not answer");
        n = read(fd, q->in + q->have, sizeof(q->in) - q->have);
        if (n <= 0)
            fail("QEMU ended");
        q->have += (size_t)n;
    }
}

static void tell(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail("QEMU does not listen");
}

static uint64_t answer(struct qemu *q)
{
    char *line = read_line(q, q->qtest);

    if (strncmp(line, "OK", 2) != 0)
        fail(line);
    return strtoull(line + 2, NULL, 16);
}

/* One command; what stands behind OK. */
static uint64_t command(struct qemu *q, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tell(q->qtest, text);
    return answer(q);
}

/* Sends a command to the monitor and reads until a line has `until` in it. */
static void monitor(struct qemu *q, const char *text, const char *until)
{
    tell(q->qmp, text);
    for (unsigned i = 0; i < 100; i++)
        if (strstr(read_line(q, q->qmp), until))
            return;
    fail("QEMU's monitor does not say what it should");
}

void qemu_start(struct qemu *q, const uint8_t *mac)
{
    int net[2], qtest[2], qmp[2], parts[5];

    memset(q, 0, sizeof(*q));
    signal(SIGPIPE, SIG_IGN);
    make_net(net);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qtest) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp))
        fail("sockets");
    parts[0] = make_bios();
    parts[1] = make_ram(q);
    parts[2] = net[1];
    parts[3] = qtest[1];
    parts[4] = qmp[1];
    fcntl(net[0], F_SETFD, FD_CLOEXEC);
    q->pid = fork();
    if (q->pid < 0)
        fail("fork");
    if (q->pid == 0)
        run_qemu(parts, mac);
    for (unsigned i = 0; i < 5; i++)
        close(parts[i]);
    q->net = net[0];
    q->qtest = qtest[0];
    q->qmp = qmp[0];
    monitor(q, "{\"execute\":\"qmp_capabilities\"}\n", "\"return\"");
    qemu_reset(q);
}

void qemu_stop(struct qemu *q)
{
    kill(q->pid, SIGKILL);
    waitpid(q->pid, NULL, 0);
    close(q->net);
    close(q->qtest);
    close(q->qmp);
    munmap(q->ram, QEMU_RAM);
}

void qemu_reset(struct qemu *q)
{
    /* An event tells when; the answer comes before it or after it. */
    monitor(q, "{\"execute\":\"system_reset\"}\n", "\"RESET\"");
    monitor(q, "{\"execute\":\"query-status\"}\n", "\"running\"");
    qemu_writel(q, HPET + 0x10, 1);
}

uint32_t qemu_inl(struct qemu *q, uint16_t port)
{
    return (uint32_t)command(q, "inl 0x%x\n", port);
}

void qemu_outl(struct qemu *q, uint16_t port, uint32_t value)
{
    command(q, "outl 0x%x 0x%x\n", port, value);
}

uint32_t qemu_readl(struct qemu *q, uint64_t address)
{
    return (uint32_t)command(q, "readl 0x%llx\n", (unsigned long long)address);
}

void qemu_read_many(struct qemu *q, uint64_t base, const uint16_t *offset, unsigned count,
                    uint32_t *value)
{
    char text[64 * 32] = "";
    size_t len = 0;

    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "readl 0x%llx\n",
                                (unsigned long long)(base + offset[i]));
    tell(q->qtest, text);
    for (unsigned i = 0; i < count; i++)
        value[i] = (uint32_t)answer(q);
}

void qemu_writel(struct qemu *q, uint64_t address, uint32_t value)
{
    command(q, "writel 0x%llx 0x%x\n", (unsigned long long)address, value);
}

/* Each command is a turn of QEMU's main loop at least, which is when sockets are read. */
void qemu_settle(struct qemu *q)
{
    for (unsigned i = 0; i < 4; i++)
        qemu_inl(q, 0xCF8);
}

void qemu_wait(struct qemu *q, unsigned ms)
{
    uint32_t start = qemu_readl(q, HPET + 0xF0);

    for (unsigned i = 0; i < 10000000; i++)
        if (qemu_readl(q, HPET + 0xF0) - start > ms * HPET_MS)
            return;
    fail("QEMU's clock stands still");
}

void qemu_send(struct qemu *q, const void *frame, size_t len)
{
    if (send(q->net, frame, len, 0) != (ssize_t)len)
        fail("sending a frame");
}

long qemu_receive(struct qemu *q, void *frame, size_t size)
{
    ssize_t n = recv(q->net, frame, size, MSG_DONTWAIT);

    if (n < 0 && errno != EAGAIN)
        fail("receiving a frame");
    return n;
}

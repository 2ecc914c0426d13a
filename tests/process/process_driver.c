#include "process/process_driver.h"

#include "nx_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (100 * NX_SEC)

static void become_node(const struct driver *d, const int in[2], const int out[2], unsigned index,
                        unsigned id, unsigned nodes, unsigned min_nodes, double join_timeout_s)
{
    char args[8][24], contacts[8 * DRIVER_NODES_MAX] = "";
    for (unsigned i = 0; i < DRIVER_NODES_MAX; i++)
        if (i != index && d->ports[i] && !d->own_ips)
            snprintf(contacts + strlen(contacts), sizeof contacts - strlen(contacts), "%u ",
                     d->ports[i]);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    if (d->log)
        dup2(d->log, STDERR_FILENO);
    snprintf(args[0], sizeof args[0], "%u", id);
    unsigned port = index == 0 ? d->port : 0;
    if (d->ports[index])
        port = d->ports[index];
    snprintf(args[1], sizeof args[1], "%u", port);
    snprintf(args[2], sizeof args[2], "%u", d->port);
    snprintf(args[3], sizeof args[3], "%u", nodes);
    snprintf(args[4], sizeof args[4], "%u", min_nodes);
    snprintf(args[5], sizeof args[5], "%.3f", join_timeout_s);
    snprintf(args[6], sizeof args[6], "%u", d->timeout_ms);
    snprintf(args[7], sizeof args[7], "127.0.0.%u", index + 1);
    execl(d->program, d->program, args[0], args[1], args[2], args[3], args[4], args[5],
          d->own_ips ? args[7] : d->ip, d->provider, d->secret_file ? d->secret_file : "", args[6],
          d->ip, contacts, NULL);
    _exit(127);
}

void driver_start(struct driver *d, unsigned index, unsigned id, unsigned nodes, unsigned min_nodes,
                  double join_timeout_s)
{
    struct driver_node *n = &d->nodes[index];
    int in[2], out[2];
    memset(n, 0, sizeof *n);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    n->pid = fork();
    assert_true(n->pid >= 0);
    if (n->pid == 0)
        become_node(d, in, out, index, id, nodes, min_nodes, join_timeout_s);
    close(in[0]);
    close(out[1]);
    n->in = in[1];
    n->out = out[0];
}

static void forget(struct driver_node *n)
{
    close(n->in);
    close(n->out);
    n->pid = 0;
}

void driver_stop_all(struct driver *d)
{
    for (unsigned i = 0; i < DRIVER_NODES_MAX; i++) {
        struct driver_node *n = &d->nodes[i];
        if (!n->pid)
            continue;
        kill(n->pid, SIGKILL);
        waitpid(n->pid, NULL, 0);
        forget(n);
    }
}

void driver_tell(struct driver *d, unsigned index, const char *format, ...)
{
    char line[DRIVER_LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    line[n++] = '\n';
    assert_int_equal(write(d->nodes[index].in, line, (size_t)n), n);
}

/* Takes one line out of the buffer; false if there is no whole one. */
static bool take_line(struct driver_node *n)
{
    char *end = memchr(n->buffer, '\n', n->used);
    if (!end)
        return false;
    size_t len = (size_t)(end - n->buffer), gone = len + 1;
    size_t kept = len < sizeof n->line ? len : sizeof n->line - 1;
    memcpy(n->line, n->buffer, kept);
    n->line[kept] = '\0';
    n->used -= gone;
    memmove(n->buffer, end + 1, n->used);
    return true;
}

/* False: the node has ended. */
static bool read_more(struct driver_node *n, unsigned index, const char *prefix, nx_ns until)
{
    struct pollfd p = {.fd = n->out, .events = POLLIN};
    nx_ns left = until - nx_clock_now();
    if (left <= 0 || poll(&p, 1, (int)(left / NX_MS) + 1) == 0)
        fail_msg("node %u never said \"%s\"", index, prefix);
    ssize_t got = read(n->out, n->buffer + n->used, sizeof n->buffer - n->used);
    if (got > 0)
        n->used += (size_t)got;
    return got > 0;
}

static bool is_bad(const char *line)
{
    return strncmp(line, "wrong", 5) == 0 || strncmp(line, "failed", 6) == 0 ||
           strncmp(line, "refused", 7) == 0 || strncmp(line, "unknown", 7) == 0;
}

const char *driver_await(struct driver *d, unsigned index, const char *prefix)
{
    struct driver_node *n = &d->nodes[index];
    nx_ns until = nx_clock_now() + PATIENCE_NS;
    for (;;) {
        while (!take_line(n))
            if (!read_more(n, index, prefix, until))
                fail_msg("node %u ended while \"%s\" was awaited; its last line: %s", index, prefix,
                         n->line);
        if (strncmp(n->line, prefix, strlen(prefix)) == 0)
            return n->line;
        if (is_bad(n->line))
            fail_msg("node %u said \"%s\" while \"%s\" was awaited", index, n->line, prefix);
    }
}

const char *driver_report(struct driver *d, unsigned index)
{
    static const char command[] = "report\n";
    struct driver_node *n = &d->nodes[index];
    nx_ns until = nx_clock_now() + PATIENCE_NS;
    if (write(n->in, command, sizeof command - 1) < 0)
        return NULL;
    do {
        while (!take_line(n))
            if (!read_more(n, index, "report", until))
                return NULL;
    } while (strncmp(n->line, "report", 6) != 0);
    return n->line;
}

void driver_kill(struct driver *d, unsigned index)
{
    kill(d->nodes[index].pid, SIGKILL);
    waitpid(d->nodes[index].pid, NULL, 0);
    forget(&d->nodes[index]);
}

int driver_await_exit(struct driver *d, unsigned index)
{
    struct driver_node *n = &d->nodes[index];
    nx_ns until = nx_clock_now() + PATIENCE_NS;
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(n->pid, &status, WNOHANG)) == 0) {
        if (nx_clock_now() > until)
            fail_msg("node %u does not end", index);
        poll(NULL, 0, 1);
    }
    assert_int_equal(pid, n->pid);
    forget(n);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

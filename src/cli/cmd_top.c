/* nexus top: the status of a group, again and again, on a terminal; once where the output is none.
 *
 * The screen is drawn over, not cleared, so that nothing flickers; the terminal is given back as it was, also after
 * SIGINT and SIGTERM. A node that does not answer is said so in the last lines, and asked again. */
#include "cli/client_args.h"
#include "cli/client_ask.h"
#include "cli/client_status.h"
#include "cli/cmd.h"
#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_SIGNAL_BASE = 128, TIMEOUT_S = 5, TEXT_MAX = 4 << 20 };

static volatile sig_atomic_t stopped; /* the signal's number */

static void on_stop(int number)
{
    stopped = number;
}

/* A wait that it interrupts is the redrawing. */
static void on_resize(int number)
{
    (void)number;
}

struct top {
    struct nx_client_ask ask;
    struct nx_client_identity identity;
    uint32_t interval_s;
    bool keys; /* standard input is a terminal: q quits */
    struct termios before;
    struct nx_pb_traffic last; /* of the status before */
    uint64_t last_ms;          /* the node's uptime then; 0: there was none */
    struct nx_text page;       /* what is told now */
};

/* --- the page ------------------------------------------------------------------------------------- */

static void tell_rates(struct top *top, const struct nx_pb_status *status)
{
    bool anew = top->last_ms == 0 || status->uptime_ms <= top->last_ms;
    struct nx_pb_traffic since =
        anew ? status->traffic : nx_client_traffic_since(&status->traffic, &top->last);
    uint64_t ms = anew ? status->uptime_ms : status->uptime_ms - top->last_ms;
    nx_text_printf(&top->page, "%s: ", anew ? "since its start" : "now");
    nx_client_status_traffic(&since, (double)ms / 1e3, &top->page);
    top->last = status->traffic;
    top->last_ms = status->uptime_ms;
}

/* Asks, and writes the page; a failure leaves the page before, with the reason under it. */
static enum nx_status refresh(struct top *top, struct nx_err *err)
{
    struct nx_pb_status status;
    struct nx_arena arena;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    enum nx_status done = nx_client_status(top->ask.node, &top->identity, top->ask.timeout_s,
                                           &stopped, &arena, &status, err);
    if (done == NX_OK) {
        nx_text_free(&top->page);
        nx_text_init(&top->page, TEXT_MAX);
        tell_rates(top, &status);
        nx_client_status_table(&status, &top->page);
    }
    nx_arena_free(&arena);
    return done;
}

/* --- the terminal --------------------------------------------------------------------------------- */

static const char enter[] = "\033[?1049h\033[?25l", leave[] = "\033[?25h\033[?1049l";

static void open_terminal(struct top *top)
{
    struct sigaction stop = {.sa_handler = on_stop}, resize = {.sa_handler = on_resize};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGWINCH, &resize, NULL);
    top->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &top->before) == 0;
    if (top->keys) {
        struct termios raw = top->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    }
    fputs(enter, stdout);
}

static void close_terminal(struct top *top)
{
    fputs(leave, stdout);
    fflush(stdout);
    if (top->keys)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &top->before);
}

static struct winsize size_now(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

/* The first `columns` characters of a line; a byte that goes on with a character takes no column. */
static size_t crop(const char *line, size_t len, unsigned columns)
{
    size_t i = 0;
    for (unsigned used = 0; i < len; i++) {
        bool starts = ((unsigned char)line[i] & 0xc0) != 0x80;
        if (starts && used++ == columns)
            break;
    }
    return i;
}

static void draw(const struct top *top, const struct nx_err *err)
{
    struct winsize size = size_now();
    unsigned rows = size.ws_row, row = 1;
    const char *at = top->page.at ? top->page.at : "";
    fputs("\033[H", stdout);
    for (; *at && row < rows; row++) {
        size_t len = strcspn(at, "\n");
        printf("%.*s\033[K\n", (int)crop(at, len, size.ws_col), at);
        at += len + (at[len] == '\n');
    }
    const char *last = err->status == NX_OK ? "q quits" : err->text;
    printf("\033[7m%.*s\033[0m\033[K\033[J", (int)crop(last, strlen(last), size.ws_col), last);
    fflush(stdout);
}

/* Until the next turn is due. True: q was pressed. A resize draws the page anew. */
static bool wait_for_turn(struct top *top, const struct nx_err *err)
{
    nx_ns until = nx_clock_now() + (nx_ns)top->interval_s * NX_SEC;
    for (nx_ns now; !stopped && (now = nx_clock_now()) < until;) {
        struct pollfd keys = {.fd = top->keys ? STDIN_FILENO : -1, .events = POLLIN};
        int ready = poll(&keys, 1, (int)((until - now) / NX_MS) + 1);
        char key;
        if (ready < 0 && !stopped)
            draw(top, err);
        if (ready <= 0 || !keys.revents)
            continue;
        ssize_t got = read(STDIN_FILENO, &key, 1);
        if (got == 1 && (key == 'q' || key == 'Q'))
            return true;
        if (got <= 0)
            top->keys = false; /* nobody presses any more */
    }
    return false;
}

static int run_live(struct top *top)
{
    struct nx_err err = {0};
    bool quit = false;
    open_terminal(top);
    while (!quit && !stopped) {
        err = (struct nx_err){0};
        (void)refresh(top, &err); /* why not stands on the screen */
        if (stopped)
            break;
        draw(top, &err);
        quit = wait_for_turn(top, &err);
    }
    close_terminal(top);
    return stopped ? EXIT_SIGNAL_BASE + stopped : EXIT_SUCCESS;
}

static int run_once(struct top *top)
{
    struct nx_err err = {0};
    if (refresh(top, &err) == NX_OK &&
        (top->page.bad || fwrite(top->page.at, 1, top->page.len, stdout) != top->page.len ||
         fflush(stdout) != 0))
        nx_err_set(&err, NX_IO, "cannot write the status: %s", strerror(errno));
    if (err.status != NX_OK)
        fprintf(stderr, "nexus top: %s\n", err.text);
    return err.status == NX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static enum nx_status parse(int argc, char **argv, struct top *top, struct nx_err *err)
{
    static const struct option options[] = {
        {"interval", required_argument, NULL, 'i'}, NX_CLIENT_ASK_OPTIONS, {0}};
    opterr = 0;
    for (int option;
         !top->ask.help && (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (option != 'i')
            NX_TRY(nx_client_ask_option(option, argv, &top->ask, err));
        else if (!nx_client_parse_u32(optarg, &top->interval_s) || top->interval_s < 1 ||
                 top->interval_s > 3600)
            return nx_err_set(err, NX_INVALID, "--interval \"%.40s\" is not 1 to 3600 seconds",
                              optarg);
    }
    return nx_client_ask_finish(argc, argv, &top->ask, err);
}

/* The files are read once: a screen that is full of tables has no room for a key that is being replaced. */
static int run(struct top *top)
{
    struct nx_err err = {0};
    if (nx_client_identity_open(&top->ask.paths, &top->identity, &err) != NX_OK) {
        fprintf(stderr, "nexus top: %s\n", err.text);
        return EXIT_FAILURE;
    }
    int code = isatty(STDOUT_FILENO) ? run_live(top) : run_once(top);
    nx_client_identity_close(&top->identity);
    return code;
}

int nx_cmd_top(int argc, char **argv)
{
    struct top top = {.ask.timeout_s = TIMEOUT_S, .interval_s = 1};
    struct nx_err err = {0};
    nx_text_init(&top.page, TEXT_MAX);
    if (parse(argc, argv, &top, &err) != NX_OK) {
        fprintf(stderr, "nexus top: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (top.ask.help)
        return nx_cmd_help(argc, argv);
    int code = run(&top);
    nx_text_free(&top.page);
    return code;
}

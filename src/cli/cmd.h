/* cmd.h — the subcommands of the nexus binary, one file each.
 *
 * A wrong argument is exit status 2 and one line on stderr that quotes it.
 *
 * Each gets the arguments from its own name on (argv[0] is "client") and returns the process's exit
 * status. The process is theirs: they may set signal handlers and write to stdout and stderr. */
#ifndef NX_CLI_CMD_H
#define NX_CLI_CMD_H

int nx_cmd_client(int argc, char **argv);
int nx_cmd_server(int argc, char **argv);
int nx_cmd_log(int argc, char **argv);
int nx_cmd_model(int argc, char **argv);
int nx_cmd_profile(int argc, char **argv);
int nx_cmd_status(int argc, char **argv);
int nx_cmd_top(int argc, char **argv);
int nx_cmd_help(int argc, char **argv); /* the usage, to stdout: of argv[0], or of all commands */

/* oneDNN's threads spin at their barriers unless OMP_WAIT_POLICY says otherwise when the process starts: on cores that
 * are shared, or with two categorizers on one machine, that costs several times the inference itself. So a subcommand
 * that runs models starts the process once more with it; where that fails it goes on as it is. */
void nx_cmd_wait_passively(int argc, char **argv);

#endif

/* cmd.h — the subcommands of the nexus binary, one file each.
 *
 * Each gets the arguments from its own name on (argv[0] is "client") and returns the process's exit
 * status. The process is theirs: they may set signal handlers and write to stdout and stderr. */
#ifndef NX_CLI_CMD_H
#define NX_CLI_CMD_H

int nx_cmd_client(int argc, char **argv);
int nx_cmd_server(int argc, char **argv);
int nx_cmd_log(int argc, char **argv);
int nx_cmd_model(int argc, char **argv);
int nx_cmd_help(int argc, char **argv); /* the usage, to stdout */

#endif

/* usage.h — what `nexus --help` and `nexus COMMAND --help` print: one text for each command.
 *
 * A wrong argument is answered with one line (cmd.h) that names the help, not with the help itself, under which the line
 * would be lost. */
#ifndef NX_CLI_USAGE_H
#define NX_CLI_USAGE_H

#include <stdbool.h>
#include <stdio.h>

/* What `command` takes and does; of all commands where it is NULL or none of them. False if `out` did not take it. */
bool nx_usage_print(FILE *out, const char *command);

#endif

#include "cli/client_ask.h"

#include "cli/client_args.h"

enum nx_status nx_client_ask_option(int letter, char **argv, struct nx_client_ask *ask,
                                    struct nx_err *err)
{
    if (nx_client_identity_option(letter, optarg, &ask->paths))
        return NX_OK;
    switch (letter) {
    case 't': return nx_client_parse_timeout(optarg, &ask->timeout_s, err);
    case 'h': ask->help = true; return NX_OK;
    case ':': return nx_err_set(err, NX_INVALID, "%s needs a value", argv[optind - 1]);
    default: return nx_err_set(err, NX_INVALID, "unknown option %s", argv[optind - 1]);
    }
}

enum nx_status nx_client_ask_finish(int argc, char **argv, struct nx_client_ask *ask,
                                    struct nx_err *err)
{
    if (ask->help)
        return NX_OK;
    if (argc - optind != 1)
        return nx_err_set(err, NX_INVALID, "%d arguments; it takes one node, as 127.0.0.1:28000",
                          argc - optind);
    ask->node = argv[optind];
    NX_TRY(nx_client_identity_check(&ask->paths, err));
    return nx_client_check_node(ask->node, err);
}

/* nexus client: one command, one call to a function tier node, one answer.
 *
 * Arguments and files are checked first; then the connection is made; then bytes are sent. What was
 * asked happened, or the exit status is not 0 and one line on standard error says why not. */
#include "cli/client_args.h"
#include "cli/client_call.h"
#include "cli/client_file.h"
#include "cli/client_models.h"
#include "cli/client_text.h"
#include "cli/client_upload.h"
#include "cli/cmd.h"
#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/pb/pb_demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { EXIT_USAGE = 2, EXIT_SIGNAL_BASE = 128, FILES_MAX = 4, TEXT_BYTES = 64 * 1024 };

static volatile sig_atomic_t caught_signal;

static void on_signal(int number)
{
    caught_signal = number;
}

/* The first signal cancels the call in order; a second one ends the process there and then. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static const char install_method[] = "/sospdemo.FunctionTierService/InstallModel";
static const char infer_method[] = "/sospdemo.FunctionTierService/Whatsthis";
static const char remove_method[] = "/sospdemo.FunctionTierService/RemoveModel";
static const char models_method[] = "/nexus.Control/ListModels";

/* What a command sends: a first message, then files as chunks. */
struct request {
    const char *method;
    const struct nx_client_args *args;
    uint8_t first[NX_PB_RECIPE_BYTES + 1024]; /* 64 models of 128 bytes are fewer */
    size_t first_bytes;
    struct nx_client_file files[FILES_MAX];
    unsigned file_count;
    struct nx_pb_model model; /* large: it holds a recipe */
};

struct reply {
    uint8_t *bytes; /* ours to free */
    size_t len;
    bool whole_request_sent; /* false: the node answered before it could know all of it */
};

static enum nx_status open_file(struct request *request, const char *path, struct nx_err *err)
{
    NX_TRY(nx_client_file_open(&request->files[request->file_count], path, err));
    request->file_count++;
    return NX_OK;
}

static enum nx_status make_request_id(uint8_t id[NX_PB_REQUEST_ID_BYTES], struct nx_err *err)
{
    if (getrandom(id, NX_PB_REQUEST_ID_BYTES, 0) != NX_PB_REQUEST_ID_BYTES)
        return nx_err_set(err, NX_IO, "no random bytes for a request id: %s", strerror(errno));
    return NX_OK;
}

/* An encoder refuses only what was checked before: text that is no UTF-8, or longer than its field. */
static void take_first(struct request *request, enum nx_status encoded)
{
    nx_assert(encoded == NX_OK && request->first_bytes <= sizeof request->first);
}

static enum nx_status prepare_install(struct request *request, struct nx_err *err)
{
    const struct nx_client_args *args = request->args;
    struct nx_pb_model *model = &request->model;
    NX_TRY(open_file(request, args->synset_path, err));
    NX_TRY(open_file(request, args->model_path, err));
    if (args->params_path)
        NX_TRY(open_file(request, args->params_path, err));
    if (args->calibration_path) {
        NX_TRY(open_file(request, args->calibration_path, err));
        model->calibration_bytes = request->files[request->file_count - 1].size_bytes;
    }
    NX_TRY(make_request_id(model->request_id, err));
    if (args->recipe)
        NX_TRY(nx_client_recipe_text(args->recipe, model->recipe, sizeof model->recipe, err));
    model->tag = args->tags[0];
    model->synset_bytes = request->files[0].size_bytes;
    model->symbol_bytes = request->files[1].size_bytes;
    model->params_bytes = args->params_path ? request->files[2].size_bytes : 0;
    model->has_request_id = true;
    model->replace = args->replace;
    snprintf(model->format, sizeof model->format, "%s", args->params_path ? "" : "onnx");
    request->method = install_method;
    take_first(request, nx_pb_model_encode(model, request->first, sizeof request->first,
                                           &request->first_bytes));
    return NX_OK;
}

/* In place of the tags: who asks by name does not get another model that shares its tag. */
static void name_models(const struct nx_client_args *args, struct nx_pb_photo *photo)
{
    static_assert((int)NX_PB_MODEL_BYTES == (int)NX_CLIENT_NAME_BYTES, "one bound for names");
    photo->model_count = args->tag_count;
    photo->tag_count = 0;
    for (uint32_t i = 0; i < args->tag_count; i++) {
        memcpy(photo->models[i].name, args->models[i].name, sizeof photo->models[i].name);
        photo->models[i].version = args->models[i].version;
    }
}

static enum nx_status prepare_infer(struct request *request, struct nx_err *err)
{
    const struct nx_client_args *args = request->args;
    struct nx_pb_photo photo = {.tag_count = args->tag_count};
    static_assert(sizeof photo.tags == sizeof args->tags, "one bound for tags");
    NX_TRY(open_file(request, args->photo_path, err));
    photo.photo_bytes = request->files[0].size_bytes;
    memcpy(photo.tags, args->tags, sizeof photo.tags);
    if (args->by_name)
        name_models(args, &photo);
    request->method = infer_method;
    take_first(request, nx_pb_photo_encode(&photo, request->first, sizeof request->first,
                                           &request->first_bytes));
    return NX_OK;
}

static enum nx_status prepare_remove(struct request *request, struct nx_err *err)
{
    struct nx_pb_removal removal = {.tag = request->args->tags[0], .has_request_id = true};
    NX_TRY(make_request_id(removal.request_id, err));
    request->method = remove_method;
    take_first(request, nx_pb_removal_encode(&removal, request->first, sizeof request->first,
                                             &request->first_bytes));
    return NX_OK;
}

static enum nx_status prepare_models(struct request *request, struct nx_err *err)
{
    (void)err; /* the question has no words */
    request->method = models_method;
    return NX_OK;
}

static enum nx_status send_request(struct nx_client_call *call, struct request *request,
                                   bool *complete, struct nx_err *err)
{
    *complete = request->file_count == 0;
    if (!nx_client_call_send(call, request->first, request->first_bytes))
        return NX_OK; /* the call has ended: its reply says why, or answers a removal already */
    return nx_client_upload(call, request->files, request->file_count, complete, err);
}

static enum nx_status open_call(const struct request *request, struct nx_client_call **call,
                                struct nx_err *err)
{
    struct nx_client_identity identity;
    NX_TRY(nx_client_identity_open(&request->args->paths, &identity, err));
    enum nx_status status =
        nx_client_call_open(request->args->node, &identity, request->method,
                            request->args->timeout_s, &caught_signal, call, err);
    nx_client_identity_close(&identity);
    return status;
}

static enum nx_status exchange(struct request *request, struct reply *reply, struct nx_err *err)
{
    struct nx_client_call *call;
    NX_TRY(open_call(request, &call, err));
    enum nx_status status = send_request(call, request, &reply->whole_request_sent, err);
    if (status == NX_OK)
        status = nx_client_call_finish(call, &reply->bytes, &reply->len, err);
    nx_client_call_close(call);
    return status;
}

static enum nx_status answered_early(const struct request *request, struct nx_err *err)
{
    return nx_err_set(err, NX_CORRUPT, "%s answered before all of the request was sent",
                      request->args->node);
}

/* The answer to an install or a removal. */
static enum nx_status print_outcome(const struct request *request, const struct reply *reply,
                                    char *text, struct nx_err *err)
{
    int32_t code;
    NX_TRY(nx_pb_model_reply_decode(reply->bytes, reply->len, &code, text, TEXT_BYTES, err));
    nx_client_text_make_printable(text);
    printf("return code:%d\ndescription:%s\n", code, text);
    if (code)
        return nx_err_set(err, NX_DENIED, "%s refused, return code %d: %s", request->args->node,
                          code, text);
    return reply->whole_request_sent ? NX_OK : answered_early(request, err);
}

static enum nx_status print_description(const struct request *request, const struct reply *reply,
                                        char *text, struct nx_err *err)
{
    if (!reply->whole_request_sent)
        return answered_early(request, err);
    NX_TRY(nx_pb_photo_reply_decode(reply->bytes, reply->len, text, TEXT_BYTES, err));
    nx_client_text_make_printable(text);
    printf("photo description:%s\n", text);
    return NX_OK;
}

static enum nx_status print_models(const struct request *request, const struct reply *reply,
                                   char *text, struct nx_err *err)
{
    (void)text;
    return nx_client_models_print(reply->bytes, reply->len, request->args->json, err);
}

static const struct {
    enum nx_status (*prepare)(struct request *request, struct nx_err *err);
    enum nx_status (*print)(const struct request *request, const struct reply *reply, char *text,
                            struct nx_err *err);
} commands[] = {
    [NX_CLIENT_INSTALL] = {prepare_install, print_outcome},
    [NX_CLIENT_INFER] = {prepare_infer, print_description},
    [NX_CLIENT_REMOVE] = {prepare_remove, print_outcome},
    [NX_CLIENT_MODELS] = {prepare_models, print_models},
};

static enum nx_status run(struct request *request, struct nx_err *err)
{
    static char text[TEXT_BYTES];
    struct reply reply = {0};
    NX_TRY(commands[request->args->verb].prepare(request, err));
    if (!request->args->json)
        printf("Use function tier node: %s\n", request->args->node);
    fflush(stdout);
    NX_TRY(exchange(request, &reply, err));
    enum nx_status status = commands[request->args->verb].print(request, &reply, text, err);
    free(reply.bytes);
    if (fflush(stdout) == EOF || ferror(stdout))
        return nx_err_set(err, NX_IO, "cannot write the answer: %s", strerror(errno));
    return status;
}

static enum nx_status run_command(const struct nx_client_args *args, struct nx_err *err)
{
    struct request *request = nx_calloc(1, sizeof *request);
    if (!request)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
    request->args = args;
    enum nx_status status = run(request, err);
    for (unsigned i = 0; i < request->file_count; i++)
        nx_client_file_close(&request->files[i]);
    free(request);
    return status;
}

int nx_cmd_client(int argc, char **argv)
{
    struct nx_client_args args;
    struct nx_err err = {0};
    if (nx_client_args_parse(argc, argv, &args, &err) != NX_OK) {
        fprintf(stderr, "nexus client: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (args.help)
        return nx_cmd_help(argc, argv);
    catch_signals();
    enum nx_status status = run_command(&args, &err);
    if (status == NX_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "nexus client: %s\n", err.text);
    return caught_signal ? EXIT_SIGNAL_BASE + caught_signal : EXIT_FAILURE;
}

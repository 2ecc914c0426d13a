#include "common/mms_config.h"
#include "nx_test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct nx_mms_config mms;
static struct nx_err err;

static enum nx_status parse(const char *text)
{
    err = (struct nx_err){0};
    return nx_mms_parse(text, "f", &mms, &err);
}

/* What a key of ours was set to; "-": it was not. */
static const char *value(const char *key)
{
    for (uint32_t i = 0; i < mms.settings_count; i++)
        if (strcmp(mms.settings[i].name, key) == 0)
            return mms.settings[i].value;
    return "-";
}

static bool noted(const char *words)
{
    for (uint32_t i = 0; i < mms.notes_count; i++)
        if (strstr(mms.notes[i], words))
            return true;
    return false;
}

static void an_empty_file_has_model_servers_addresses(void **state)
{
    (void)state;
    assert_int_equal(parse(""), NX_OK);
    assert_string_equal(value("listen"), "127.0.0.1:8080, 127.0.0.1:8081");
    assert_string_equal(value("management"), "loopback");
    assert_int_equal(mms.notes_count, 0);
}

static void each_property_with_a_meaning(void **state)
{
    static const struct {
        const char *line, *key, *value;
    } rows[] = {
        {"inference_address=http://0.0.0.0:80", "listen", "0.0.0.0:80, 127.0.0.1:8081"},
        {"inference_address=http://10.1.2.3/", "listen", "10.1.2.3:80, 127.0.0.1:8081"},
        {"inference_address=http://localhost:8081", "listen", "127.0.0.1:8081"},
        {"management_address=http://0.0.0.0:9", "management", "anywhere"},
        {"management_address=http://127.0.0.9:9", "management", "loopback"},
        {"load_models=ALL", "load_models", "ALL"},
        {"load_models = a.mar, b=c.model ", "load_models", "a.mar, b=c.model"},
        {"model_store: /models", "model_store", "/models"},
        {"model_store /with\\ space", "model_store", "/with space"},
        {"model_store=/a\\\n    b", "model_store", "/ab"},
        {"model_store=${NX_TEST_STORE}/x", "model_store", "/somewhere/x"},
        {"model_store=/1\nmodel_store=/2", "model_store", "/2"},
        {"default_workers_per_model=3", "threads", "3"},
        {"default_response_timeout=7", "response_timeout_s", "7"},
        {"job_queue_size=100", "requests_max", "100"},
        {"max_request_size=6553500", "request_max_mb", "7"},
        {"max_request_size=1048576", "request_max_mb", "1"},
        {"debug=true", "log_level", "debug"},
        {"inference_address=https://127.0.0.1:8443\ncertificate_file=c.pem\nprivate_key_file=k.pem",
         "tls_cert", "c.pem"},
    };
    (void)state;
    setenv("NX_TEST_STORE", "/somewhere", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parse(rows[i].line) != NX_OK)
            fail_msg("%s: %s", rows[i].line, err.text);
        assert_string_equal(value(rows[i].key), rows[i].value);
    }
}

static void each_property_without_is_named(void **state)
{
    static const char *const names[] = {"max_response_size",
                                        "unregister_model_timeout",
                                        "number_of_gpu",
                                        "number_of_netty_threads",
                                        "netty_client_threads",
                                        "keystore",
                                        "keystore_pass",
                                        "keystore_type",
                                        "cors_allowed_origin",
                                        "cors_allowed_methods",
                                        "cors_allowed_headers",
                                        "blacklist_env_vars",
                                        "default_service_handler",
                                        "preload_model",
                                        "plugins_path",
                                        "decode_input_request",
                                        "async_logging",
                                        "metric_time_interval",
                                        "enable_envvars_config",
                                        "model_server_home",
                                        "prefer_direct_buffer",
                                        "use_native_io",
                                        "io_ratio",
                                        "vmargs"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[80], note[80];
        snprintf(text, sizeof text, "# a comment\n\n%s=1\n", names[i]);
        snprintf(note, sizeof note, "f:3: %s is not supported", names[i]);
        assert_int_equal(parse(text), NX_OK);
        assert_int_equal(mms.notes_count, 1);
        assert_true(noted(note));
    }
    assert_int_equal(parse("modelstore=x"), NX_OK);
    assert_true(noted("f:1: modelstore is no key"));
    assert_int_equal(parse("certificate_file=c.pem\n"), NX_OK);
    assert_true(noted("certificate_file is not used"));
    assert_string_equal(value("tls_cert"), "-");
}

static void notes_have_a_bound(void **state)
{
    char text[4096] = "";
    (void)state;
    for (int i = 0; i < 200; i++)
        strcat(text, "vmargs=1\n");
    assert_int_equal(parse(text), NX_OK);
    assert_int_equal(mms.notes_count, NX_MMS_NOTES_MAX);
    assert_true(noted("and more"));
}

static void what_cannot_be_meant_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"\ninference_address=8080", "f:2: inference_address must be like"},
        {"inference_address=http://1.2.3.4:99999", "must be like"},
        {"inference_address=http://host.example:80", "f:1: \"host.example\" is no IPv4"},
        {"inference_address=unix:/tmp/x", "IP addresses only"},
        {"inference_address=https://127.0.0.1:8443", "f:1: https needs certificate_file"},
        {"max_request_size=big", "f:1: max_request_size must be a number of bytes"},
        {"max_request_size=0", "must be a number"},
        {"debug=perhaps", "f:1: debug must be true or false"},
        {"model_store=${NX_NOT_SET_ANYWHERE}", "the environment has no NX_NOT_SET_ANYWHERE"},
        {"model_store=${", "is no ${NAME}"},
        {"model_store=\\u0041", "an escape"},
    };
    (void)state;
    unsetenv("NX_NOT_SET_ANYWHERE");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(rows[i].text), NX_INVALID);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static const char conf[] = "[MMS Arguments]\n"
                           "--models\n"
                           "squeezenet=/models/squeezenet_v1.1.model resnet=/models/resnet.model\n"
                           "\n"
                           "--service\n"
                           "optional\n"
                           "--log-file\n"
                           "/tmp/mms.log\n"
                           "--log-level\n"
                           "INFO\n"
                           "[Gunicorn Arguments]\n"
                           "--bind\n"
                           "unix:/tmp/mms_app.sock\n"
                           "--workers\n"
                           "4\n"
                           "[Nginx Configurations]\n"
                           "server {\n"
                           "    listen       8080 default_server;\n"
                           "    client_max_body_size 100m;\n"
                           "    location / {\n"
                           "        proxy_pass http://unix:/tmp/mms_app.sock;\n"
                           "    }\n"
                           "}\n"
                           "[MXNet Environment Variables]\n"
                           "OMP_NUM_THREADS=1\n";

static void a_file_of_0_4(void **state)
{
    (void)state;
    if (parse(conf) != NX_OK)
        fail_msg("%s", err.text);
    assert_string_equal(value("model_store"), "/models");
    assert_string_equal(value("load_models"),
                        "squeezenet=squeezenet_v1.1.model, resnet=resnet.model");
    assert_string_equal(value("log_level"), "info");
    assert_string_equal(value("threads"), "4");
    assert_string_equal(value("listen"), "0.0.0.0:8080");
    assert_string_equal(value("request_max_mb"), "100");
    assert_string_equal(value("management"), "-");
    assert_true(noted("f:7: --log-file") || noted("f:8: --log-file"));
    assert_true(noted("--bind"));
    assert_true(noted("location: of nginx's block only"));
    assert_true(noted("OMP_NUM_THREADS"));
    assert_int_equal(mms.notes_count, 4);
}

static void a_file_of_0_4_without_nginx(void **state)
{
    (void)state;
    assert_int_equal(parse("[MMS Arguments]\n--models\nm=m.model\n--port\n81\n--host\n1.2.3.4\n"),
                     NX_OK);
    assert_string_equal(value("listen"), "1.2.3.4:81");
    assert_string_equal(value("model_store"), ".");
    assert_int_equal(parse("[MMS Arguments]\n[Else]\nanything\n"), NX_OK);
    assert_true(noted("f:2: section [Else] is not known"));
    assert_string_equal(value("listen"), "127.0.0.1:8080");
}

static void mistakes_of_0_4(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"x\n[MMS Arguments]\n", "f:1: \"x\" stands before any section"},
        {"[MMS Arguments]\n--models\n--service\n", "f:3: --models of line 2 has no value"},
        {"[MMS Arguments]\n--models\n", "--models of line 2 has no value"},
        {"[MMS Arguments]\n--models\n[Gunicorn Arguments]\n", "has no value"},
        {"[MMS Arguments]\nvalue\n", "f:2: a value without a flag"},
        {"[MMS Arguments]\n--models\nsqueezenet\n", "is not like name=path"},
        {"[MMS Arguments]\n--models\na=https://x/a.model\n", "this node fetches nothing"},
        {"[MMS Arguments]\n--models\na=/1/a b=/2/b\n", "all models lie in one folder"},
        {"[MMS Arguments]\n--log-level\nloud\n", "is no level"},
        {"[MMS Arguments]\n--port\n0\n", "is no port"},
        {"[Nginx Configurations]\nlisten x;\n", "f:2: listen"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(rows[i].text), NX_INVALID);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static void a_folder_that_is_too_long_is_not_cut_off(void **state)
{
    (void)state;
    static char text[2 * NX_CONFIG_PATH_BYTES + 64] = "[MMS Arguments]\n--models\na=/";
    memset(text + strlen(text), 'f', 2 * NX_CONFIG_PATH_BYTES);
    strcat(text, "/b\n");
    assert_int_equal(parse(text), NX_INVALID);
    assert_non_null(strstr(err.text, "--models: a folder of "));
}

static const char node[] = "[NEXUS]\nleader_ip = 127.0.0.1\nlocal_id = 3\nlocal_ip = 127.0.0.1\n"
                           "tier = function\nfirst_view_nodes = 2\n[CLIENTS]\nrequests_max = 9\n";

/* nexus.cfg and options win; a value of no use is told with the other file's line. */
static void it_yields_to_the_nodes_own_file(void **state)
{
    struct nx_config config;
    (void)state;
    assert_int_equal(parse("job_queue_size=100\nmodel_store=/m\n"), NX_OK);
    assert_int_equal(nx_config_parse_beside(node, "nexus.cfg", 0, NULL, mms.settings,
                                            mms.settings_count, &config, &err),
                     NX_OK);
    assert_int_equal(config.requests_max, 9);
    assert_string_equal(config.model_store, "/m");
    assert_int_equal(config.listen_count, 2);
    assert_int_equal(config.listen_at[1].port, 8081);
    assert_int_equal(parse("\n\ndefault_response_timeout=0\n"), NX_OK);
    assert_int_equal(nx_config_parse_beside(node, "nexus.cfg", 0, NULL, mms.settings,
                                            mms.settings_count, &config, &err),
                     NX_INVALID);
    assert_non_null(strstr(err.text, "f:3: response_timeout_s must be a number"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_has_model_servers_addresses),
        cmocka_unit_test(each_property_with_a_meaning),
        cmocka_unit_test(each_property_without_is_named),
        cmocka_unit_test(notes_have_a_bound),
        cmocka_unit_test(what_cannot_be_meant_is_refused_with_its_line),
        cmocka_unit_test(a_file_of_0_4),
        cmocka_unit_test(a_file_of_0_4_without_nginx),
        cmocka_unit_test(mistakes_of_0_4),
        cmocka_unit_test(a_folder_that_is_too_long_is_not_cut_off),
        cmocka_unit_test(it_yields_to_the_nodes_own_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "bench/load/load_report.h"

#include <string.h>

static const struct {
    const char *title, *key;
    double q;
} quantiles[] = {
    {"p50", "p50_ms", 0.5},      {"p90", "p90_ms", 0.9},         {"p99", "p99_ms", 0.99},
    {"p99.9", "p999_ms", 0.999}, {"p99.99", "p9999_ms", 0.9999},
};
enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

static const char *const fates[LOAD_FATES] = {
    [LOAD_CLOSED] = "closed",       [LOAD_RESET] = "reset",   [LOAD_MALFORMED] = "malformed",
    [LOAD_TIMED_OUT] = "timed out", [LOAD_UNSENT] = "unsent",
};

static double seconds(nx_ns t)
{
    return (double)t / (double)NX_SEC;
}

static double ms(double t)
{
    return t / (double)NX_MS;
}

static double per_second(uint64_t count, const struct load_result *result)
{
    return (double)count / seconds(result->took);
}

static double cores(const struct load_result *result)
{
    return result->spent > 0 ? (double)result->cpu / (double)result->spent : 0;
}

/* --- text ------------------------------------------------------------------------------------------- */

static void add_counts(struct nx_text *text, const struct load_result *result)
{
    for (int i = 0; i < LOAD_HTTP_CODES; i++)
        if (result->http[i])
            nx_text_printf(text, ", HTTP %d: %lu", i, (unsigned long)result->http[i]);
    for (int i = 0; i < LOAD_GRPC_CODES; i++)
        if (result->grpc[i])
            nx_text_printf(text, ", gRPC %d: %lu", i, (unsigned long)result->grpc[i]);
    for (int i = 0; i < LOAD_FATES; i++)
        if (result->broken[i])
            nx_text_printf(text, ", %s: %lu", fates[i], (unsigned long)result->broken[i]);
    if (result->connects_failed)
        nx_text_printf(text, ", connects failed: %lu", (unsigned long)result->connects_failed);
}

static void add_latencies(struct nx_text *text, const char *title, const struct load_hist *hist)
{
    if (hist->total == 0) { /* nothing was answered, which is not the same as at once */
        nx_text_printf(text, "  %-10s%10s", title, "-");
        for (int i = 0; i <= QUANTILES; i++)
            nx_text_printf(text, "%10s", "-");
        nx_text_add(text, "\n");
        return;
    }
    nx_text_printf(text, "  %-10s%10.3f", title, ms(load_hist_mean(hist)));
    for (int i = 0; i < QUANTILES; i++)
        nx_text_printf(text, "%10.3f", ms((double)load_hist_quantile(hist, quantiles[i].q)));
    nx_text_printf(text, "%10.3f\n", ms((double)hist->max));
}

void load_report_text(const struct load_about *about, const struct load_options *options,
                      const struct load_result *result, struct nx_text *text)
{
    nx_text_printf(text, "asked       %s of %s, %zu B each%s\n", about->api, about->nodes,
                   about->request_bytes, options->tls ? ", TLS" : "");
    if (options->rate > 0)
        nx_text_printf(text, "open loop   %.1f/s, Poisson", options->rate);
    else
        nx_text_printf(text, "closed loop %u clients", options->clients);
    nx_text_printf(text, ", %.1f s, %u connections, %u threads\n", seconds(result->took),
                   options->connections, options->threads);
    nx_text_printf(text, "due         %lu (%.1f/s), succeeded %lu (%.1f/s), failed %lu\n",
                   (unsigned long)result->due, per_second(result->due, result),
                   (unsigned long)result->ok, per_second(result->ok, result),
                   (unsigned long)(result->due - result->ok));
    nx_text_printf(text, "answers     %lu", (unsigned long)result->answered);
    add_counts(text, result);
    nx_text_add(text, "\nlatency ms        mean");
    for (int i = 0; i < QUANTILES; i++)
        nx_text_printf(text, "%10s", quantiles[i].title);
    nx_text_add(text, "       max\n");
    add_latencies(text, options->rate > 0 ? "from due" : "corrected", &result->from_due);
    add_latencies(text, "from sent", &result->from_sent);
    nx_text_printf(text, "generator   %.2f cores of %u threads\n", cores(result), options->threads);
}

/* --- JSON ------------------------------------------------------------------------------------------- */

static void add_json_counts(struct nx_text *text, const char *key, const uint64_t *counts,
                            int count, const char *const *names)
{
    const char *comma = "";
    nx_text_printf(text, ",\"%s\":{", key);
    for (int i = 0; i < count; i++) {
        if (!counts[i])
            continue;
        if (names)
            nx_text_printf(text, "%s\"%s\":%lu", comma, names[i], (unsigned long)counts[i]);
        else
            nx_text_printf(text, "%s\"%d\":%lu", comma, i, (unsigned long)counts[i]);
        comma = ",";
    }
    nx_text_add(text, "}");
}

static void add_json_latencies(struct nx_text *text, const char *key, const struct load_hist *hist)
{
    nx_text_printf(text, ",\"%s\":{\"count\":%lu,\"mean_ms\":%.6f", key, (unsigned long)hist->total,
                   ms(load_hist_mean(hist)));
    for (int i = 0; i < QUANTILES; i++)
        nx_text_printf(text, ",\"%s\":%.6f", quantiles[i].key,
                       ms((double)load_hist_quantile(hist, quantiles[i].q)));
    nx_text_printf(text, ",\"max_ms\":%.6f}", ms((double)hist->max));
}

void load_report_json(const struct load_about *about, const struct load_options *options,
                      const struct load_result *result, struct nx_text *text)
{
    nx_text_add(text, "{\"api\":");
    nx_text_json(text, about->api, strlen(about->api));
    nx_text_add(text, ",\"nodes\":");
    nx_text_json(text, about->nodes, strlen(about->nodes));
    nx_text_printf(text,
                   ",\"request_bytes\":%zu,\"tls\":%s,\"loop\":\"%s\",\"rate\":%.3f,\"clients\":%u,"
                   "\"connections\":%u,\"threads\":%u,\"seconds\":%.3f",
                   about->request_bytes, options->tls ? "true" : "false",
                   options->rate > 0 ? "open" : "closed", options->rate, options->clients,
                   options->connections, options->threads, seconds(result->took));
    nx_text_printf(text,
                   ",\"due\":%lu,\"answered\":%lu,\"succeeded\":%lu,\"succeeded_per_s\":%.3f,"
                   "\"connects_failed\":%lu,\"generator_cores\":%.3f",
                   (unsigned long)result->due, (unsigned long)result->answered,
                   (unsigned long)result->ok, per_second(result->ok, result),
                   (unsigned long)result->connects_failed, cores(result));
    add_json_counts(text, "http", result->http, LOAD_HTTP_CODES, NULL);
    add_json_counts(text, "grpc", result->grpc, LOAD_GRPC_CODES, NULL);
    add_json_counts(text, "broken", result->broken, LOAD_FATES, fates);
    add_json_latencies(text, options->rate > 0 ? "from_due" : "corrected", &result->from_due);
    add_json_latencies(text, "from_sent", &result->from_sent);
    nx_text_add(text, "}\n");
}

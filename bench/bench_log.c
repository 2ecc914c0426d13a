/* bench-log [FOLDER]: what the durable log costs against the same bytes written raw, on the disk below FOLDER.
 *
 * Each row: records of one size, with as many outstanding as the buffer takes (batched) or one. *Raw* is pwrite and
 * fdatasync of batches of the same mean size, one after another, in the same folder, right after. */
#include "group/log/plog.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const nx_ns RUN_NS = NX_SEC;

static uint8_t payload[1 << 20];

struct row {
    double records, batches, raw_batches, cpu_s; /* per second; cpu_s per 1,000 records */
    size_t batch_bytes;
};

static bool measure_log(struct nx_disk *disk, size_t size, bool batched, struct row *row)
{
    struct nx_plog_config config = {.owner = {.shard = "BENCH.0"}};
    struct nx_plog *log;
    struct nx_plog_stats stats;
    struct nx_err err = {0};
    if (nx_plog_open(disk, &config, &log, NULL, &err) != NX_OK)
        return fprintf(stderr, "bench-log: %s\n", err.text), false;
    nx_seq first = nx_plog_last(log), next = first + 1;
    nx_ns start = nx_clock_now(), cpu = nx_clock_process_cpu(), now;
    while ((now = nx_clock_now()) - start < RUN_NS && nx_plog_status(log, &err) == NX_OK) {
        while ((batched || nx_plog_durable(log) == next - 1) &&
               nx_plog_append(log, next, 1, 1, payload, size) == NX_OK)
            next++;
        if (!nx_plog_poll(log, now))
            disk->ops->wait(disk);
    }
    double seconds = (double)(now - start) / 1e9, count = (double)(nx_plog_durable(log) - first);
    nx_plog_get_stats(log, &stats);
    row->records = count / seconds;
    row->batches = (double)stats.batches / seconds;
    row->cpu_s = (double)(nx_clock_process_cpu() - cpu) / 1e6 / count;
    row->batch_bytes =
        stats.batches ? (size_t)(count * (double)nx_record_bytes(size) / (double)stats.batches) : 0;
    nx_plog_close(log);
    return err.status == NX_OK || (fprintf(stderr, "bench-log: %s\n", err.text), false);
}

static bool measure_raw(const char *folder, struct row *row)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/raw", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    nx_ns start = nx_clock_now();
    off_t at = 0;
    size_t batches = 0,
           bytes = row->batch_bytes < sizeof payload ? row->batch_bytes : sizeof payload;
    while (fd >= 0 && nx_clock_now() - start < RUN_NS) {
        if (pwrite(fd, payload, bytes, at) != (ssize_t)bytes || fdatasync(fd) != 0)
            break;
        at += (off_t)bytes;
        batches++;
    }
    row->raw_batches = (double)batches * 1e9 / (double)(nx_clock_now() - start);
    if (fd >= 0)
        close(fd);
    unlink(path);
    return batches > 0;
}

static bool measure(struct nx_disk *disk, const char *folder, size_t size, bool batched)
{
    struct row row = {0};
    if (!measure_log(disk, size, batched, &row) || !measure_raw(folder, &row))
        return false;
    printf("| %zu | %s | %.0f | %.1f | %.0f | %.0f | %.2f | %.4f |\n", size,
           batched ? "batched" : "one", row.records, row.records * (double)size / 1e6, row.batches,
           row.raw_batches, row.batches / row.raw_batches, row.cpu_s);
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    char folder[4096], command[4200];
    struct nx_disk *disk;
    struct nx_err err = {0};
    snprintf(folder, sizeof folder, "%.4000s/nexus-bench-log-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(folder) || nx_disk_file_open(folder, NX_DISK_OWN, &disk, &err) != NX_OK) {
        fprintf(stderr, "bench-log: cannot use %s %s\n", folder, err.text);
        return 1;
    }
    printf("| bytes | outstanding | durable records/s | MB/s | fdatasync/s | raw fdatasync/s | "
           "ratio | "
           "CPU-s per 1,000 |\n|---|---|---|---|---|---|---|---|\n");
    bool ok = measure(disk, folder, 100, true) && measure(disk, folder, 10000, true) &&
              measure(disk, folder, 100, false) && measure(disk, folder, 10000, false);
    nx_disk_close(disk);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || !ok;
}

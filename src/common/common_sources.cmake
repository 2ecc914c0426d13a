# What libnexus-common is made of; bench/gpu_check builds it from this list too.
set(nexus_common_sources
    status.c nx_assert.c arena.c log.c log_json.c log_traced.c request_trace.c clock.c event_wait.c given_file.c lines.c precision.c prng.c
    codec.c ring.c budget.c room.c cpus.c descriptors.c text.c utf8.c worker.c)

nexus_fuzz(fuzz_http_parts SOURCES fuzz_http_parts.c DEPS nexus_http)
nexus_fuzz(fuzz_http_conn SOURCES fuzz_http_conn.c DEPS nexus_http)
nexus_fuzz(fuzz_json SOURCES fuzz_json.c DEPS nexus_v2)
nexus_fuzz(fuzz_archive SOURCES fuzz_archive.c DEPS nexus_archive)

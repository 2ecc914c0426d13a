nexus_fuzz(fuzz_request SOURCES fuzz_request.c DEPS nexus_categorizer)
nexus_fuzz(fuzz_profile SOURCES fuzz_profile.c DEPS nexus_batcher)
nexus_fuzz(fuzz_config SOURCES fuzz_config.c DEPS nexus_config)
nexus_fuzz(fuzz_manifest SOURCES fuzz_manifest.c DEPS nexus_store)

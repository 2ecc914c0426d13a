nexus_fuzz(fuzz_bootstrap SOURCES fuzz_bootstrap.c DEPS nexus_fabric)

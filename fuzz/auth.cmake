nexus_fuzz(fuzz_boot_auth SOURCES fuzz_boot_auth.c DEPS nexus_fabric)

nexus_fuzz(fuzz_plog SOURCES fuzz_plog.c DEPS nexus_sim_disk)

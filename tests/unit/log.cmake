foreach(name IN ITEMS plog_segment plog plog_crash)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_sim_disk)
endforeach()

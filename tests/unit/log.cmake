foreach(name IN ITEMS plog_segment plog plog_crash blob_store)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_sim_disk)
endforeach()
nexus_test(test_disk_file SOURCES test_disk_file.c DEPS nexus_log)

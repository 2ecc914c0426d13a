foreach(name IN ITEMS sim_trace sim_check sim_check_disks)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_judges)
endforeach()
nexus_test(test_sim_edit SOURCES test_sim_edit.c ${PROJECT_SOURCE_DIR}/sim/sim_edit.c DEPS nexus_judges nexus_core)

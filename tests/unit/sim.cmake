foreach(name IN ITEMS sim_trace sim_check)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_judges)
endforeach()

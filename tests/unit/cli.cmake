foreach(name IN ITEMS client_args client_file client_status client_text)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_client)
endforeach()

foreach(name IN ITEMS http_head http_chunked http_multipart http_conn)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_http)
endforeach()
nexus_test(test_json_read SOURCES test_json_read.c DEPS nexus_http)
# infer.c alone: the router is the test's.
nexus_test(test_infer SOURCES test_infer.c ${CMAKE_SOURCE_DIR}/src/function_tier/infer.c DEPS nexus_categorizer_wire)
pkg_check_modules(OPENSSL_SSL REQUIRED IMPORTED_TARGET libssl libcrypto)
nexus_test(test_stream SOURCES test_stream.c DEPS nexus_tls PkgConfig::OPENSSL_SSL)
nexus_test(test_admission SOURCES test_admission.c ${CMAKE_SOURCE_DIR}/src/function_tier/admission.c
           DEPS nexus_grpc nexus_categorizer_wire)
nexus_test(test_auth SOURCES test_auth.c DEPS nexus_auth)
nexus_test(test_v2_request SOURCES test_v2_request.c DEPS nexus_v2)
nexus_test(test_v2_reader SOURCES test_v2_reader.c DEPS nexus_v2)
nexus_test(test_v2_writer SOURCES test_v2_writer.c DEPS nexus_v2)
